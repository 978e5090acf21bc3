//! The audit log, and an embedded session store written down.

use super::{Trouble, unreadable, without_nul};
use crate::clock::Timestamp;
use crate::id;
use crate::store::{AuditEvent, SavedEntry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::{AnyConnection, Connection as _, Row as _};
use std::sync::atomic::{AtomicU32, Ordering};

/// Saved entries are put into parts of about this many bytes, so that no statement is huge.
const PART: usize = 512 << 10;

pub(super) async fn audit(connection: &mut AnyConnection, event: &AuditEvent) -> Result<(), Trouble> {
    let insert = sqlx::query("INSERT INTO audit (id, at, kind, correlation_id, detail) VALUES ($1, $2, $3, $4, $5)")
        .bind(audit_id(event.at))
        .bind(event.at.millis())
        .bind(without_nul(&event.kind))
        .bind(without_nul(&event.correlation_id))
        .bind(without_nul(&event.detail));
    insert.execute(connection).await?;
    Ok(())
}

/// Sorts by time; events of one millisecond sort as they came, within one node.
fn audit_id(at: Timestamp) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{count:08x}{}", at.millis().max(0), id::hex(&id::random_bytes::<4>()))
}

pub(super) async fn audit_events(connection: &mut AnyConnection, limit: i64) -> Result<Vec<AuditEvent>, Trouble> {
    let select = sqlx::query("SELECT at, kind, correlation_id, detail FROM audit ORDER BY id DESC LIMIT $1").bind(limit.max(0));
    let rows = select.fetch_all(connection).await?;
    let event = |row: &sqlx::any::AnyRow| {
        Ok(AuditEvent {
            at: Timestamp::from_millis(row.try_get("at")?),
            kind: row.try_get("kind")?,
            correlation_id: row.try_get("correlation_id")?,
            detail: row.try_get("detail")?,
        })
    };
    rows.iter().map(event).collect()
}

pub(super) async fn save_sessions(connection: &mut AnyConnection, entries: &[SavedEntry]) -> Result<(), Trouble> {
    let mut transaction = connection.begin().await?;
    sqlx::query("DELETE FROM saved_sessions").execute(&mut *transaction).await?;
    let mut rest = entries;
    let mut number = 0_i64;
    while !rest.is_empty() {
        let mut size = 0;
        let fitting = rest.iter().take_while(|entry| {
            let fits = size < PART;
            size += entry.key.len() + entry.value.len();
            fits
        });
        let (part, later) = rest.split_at(fitting.count());
        let part: Vec<_> = part.iter().map(|entry| (&entry.key, STANDARD.encode(&entry.value), entry.expires_at)).collect();
        let text = serde_json::to_string(&part).map_err(unreadable)?;
        let insert = sqlx::query("INSERT INTO saved_sessions (part, entries) VALUES ($1, $2)").bind(number).bind(text);
        insert.execute(&mut *transaction).await?;
        number += 1;
        rest = later;
    }
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn take_sessions(connection: &mut AnyConnection) -> Result<Vec<SavedEntry>, Trouble> {
    let rows = sqlx::query("DELETE FROM saved_sessions RETURNING entries").fetch_all(connection).await?;
    let mut entries = Vec::new();
    for row in &rows {
        let part: Vec<(String, String, Timestamp)> = serde_json::from_str(row.try_get("entries")?).map_err(unreadable)?;
        for (key, value, expires_at) in part {
            entries.push(SavedEntry { key, value: STANDARD.decode(value).map_err(unreadable)?, expires_at });
        }
    }
    Ok(entries)
}

pub(super) async fn ping(connection: &mut AnyConnection) -> Result<(), Trouble> {
    sqlx::query("SELECT 1").fetch_all(connection).await?;
    Ok(())
}
