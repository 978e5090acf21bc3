//! Identities that could not be joined, for an operator to look at.

use super::users::{self, findable, time};
use super::{Trouble, without_nul};
use crate::store::ConflictRecord;
use crate::user::Identity;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

const RECORD: &str = "INSERT INTO conflicts \
    (connection, subject, reason, email, candidates, correlation_id, first_at, last_at, times) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1) \
    ON CONFLICT (connection, subject) DO UPDATE SET reason = excluded.reason, email = excluded.email, \
        candidates = excluded.candidates, correlation_id = excluded.correlation_id, last_at = excluded.last_at, \
        times = conflicts.times + 1";

const NEWEST: &str = "SELECT connection, subject, reason, email, candidates, correlation_id, first_at, last_at, times \
    FROM conflicts ORDER BY last_at DESC, connection, subject LIMIT $1";

const FORGET: &str = "DELETE FROM conflicts WHERE connection = $1 AND subject = $2";

const FORGET_ALL_OF: &str = "DELETE FROM conflicts WHERE (connection, subject) IN \
    (SELECT i.connection, i.subject FROM identities i WHERE i.user_id = $1)";

pub(super) async fn record(connection: &mut AnyConnection, conflict: &ConflictRecord) -> Result<(), Trouble> {
    let insert = sqlx::query(RECORD)
        .bind(&conflict.connection)
        .bind(&conflict.subject)
        .bind(without_nul(&conflict.reason))
        .bind(findable(conflict.email.as_deref()))
        .bind(users::written(&conflict.candidates)?)
        .bind(without_nul(&conflict.correlation_id))
        .bind(conflict.last_at.millis());
    insert.execute(connection).await?;
    Ok(())
}

pub(super) async fn newest(connection: &mut AnyConnection, limit: i64) -> Result<Vec<ConflictRecord>, Trouble> {
    sqlx::query(NEWEST).bind(limit.max(0)).fetch_all(connection).await?.iter().map(conflict).collect()
}

/// The identity was made, or joined to somebody.
pub(super) async fn forget(statements: &mut AnyConnection, identity: &Identity) -> Result<(), Trouble> {
    sqlx::query(FORGET).bind(&identity.connection).bind(&identity.user_id).execute(statements).await?;
    Ok(())
}

/// Of all identities of a user.
pub(super) async fn forget_all_of(statements: &mut AnyConnection, user_id: &str) -> Result<(), Trouble> {
    sqlx::query(FORGET_ALL_OF).bind(user_id).execute(statements).await?;
    Ok(())
}

fn conflict(row: &AnyRow) -> Result<ConflictRecord, Trouble> {
    Ok(ConflictRecord {
        connection: row.try_get("connection")?,
        subject: row.try_get("subject")?,
        reason: row.try_get("reason")?,
        email: row.try_get("email")?,
        candidates: users::json(row, "candidates")?,
        correlation_id: row.try_get("correlation_id")?,
        first_at: time(row, "first_at")?,
        last_at: time(row, "last_at")?,
        times: row.try_get("times")?,
    })
}
