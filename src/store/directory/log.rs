//! The log of what happened.

use super::{Trouble, has_nul, unreadable, without_nul};
use crate::clock::Timestamp;
use crate::store::{LogDay, LogEvent, LogFilter, LogPage};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};
use std::fmt::Write as _;

const DAY: i64 = 24 * 3600 * 1000;

/// Rows of one statement.
const ROWS: usize = 500;

const COLUMNS: usize = 7;

/// 86400000 is a day.
const DAYS: &str = "SELECT at / 86400000 AS day, COUNT(CASE WHEN type = 's' THEN 1 END) AS logins, \
        COUNT(CASE WHEN type = 'ss' THEN 1 END) AS signups \
    FROM log_events WHERE type IN ('s', 'ss') AND log_id >= $1 AND log_id < $2 GROUP BY at / 86400000 ORDER BY day";

const ACTIVE: &str = "SELECT COUNT(DISTINCT user_id) FROM log_events WHERE type IN ('s', 'ssa') AND log_id >= $1 AND user_id IS NOT NULL";

const FORGET: &str =
    "DELETE FROM log_events WHERE log_id IN (SELECT l.log_id FROM log_events l WHERE l.log_id < $1 ORDER BY l.log_id LIMIT $2)";

pub(super) async fn insert(connection: &mut AnyConnection, events: &[LogEvent]) -> Result<(), Trouble> {
    for events in events.chunks(ROWS) {
        let sql = super::import::rows(
            connection,
            "INSERT INTO log_events (log_id, at, type, user_id, client_id, connection, body) VALUES ",
            events.len(),
            COLUMNS,
            " ON CONFLICT (log_id) DO NOTHING",
        );
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for event in events {
            let optional = |text: &Option<String>| text.as_deref().map(without_nul);
            insert = insert
                .bind(without_nul(&event.log_id))
                .bind(event.date.millis())
                .bind(event.kind.code())
                .bind(optional(&event.user_id))
                .bind(optional(&event.client_id))
                .bind(optional(&event.connection))
                .bind(serde_json::to_string(event).map_err(unreadable)?);
        }
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn one(connection: &mut AnyConnection, log_id: &str) -> Result<Option<LogEvent>, Trouble> {
    if has_nul(log_id) {
        return Ok(None);
    }
    let row = sqlx::query("SELECT body FROM log_events WHERE log_id = $1").bind(log_id).fetch_optional(connection).await?;
    row.as_ref().map(event).transpose()
}

pub(super) async fn events(
    connection: &mut AnyConnection,
    filter: &LogFilter,
    page: &LogPage,
    limit: usize,
) -> Result<Vec<LogEvent>, Trouble> {
    let (beyond, direction, place) = match page {
        LogPage::Newest => ("log_id <", "DESC", None),
        LogPage::Before(log_id) => ("log_id <", "DESC", Some(without_nul(log_id))),
        LogPage::After(log_id) => ("log_id >", "ASC", Some(without_nul(log_id))),
    };
    let optional = |text: &Option<String>| text.as_deref().map(without_nul);
    let conditions = [
        ("user_id =", optional(&filter.user_id)),
        ("type =", filter.kind.map(|kind| kind.code().to_owned())),
        ("client_id =", optional(&filter.client_id)),
        ("connection =", optional(&filter.connection)),
        ("log_id >=", filter.from.map(first_id)),
        ("log_id <", filter.to.map(first_id)),
        (beyond, place),
    ];
    let mut sql = "SELECT body FROM log_events WHERE 1 = 1".to_owned();
    let mut values = Vec::new();
    for (condition, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            // Static pieces and numbers only; what was asked for is bound.
            let _ = write!(sql, " AND {condition} ${}", values.len());
        }
    }
    let _ = write!(sql, " ORDER BY log_id {direction} LIMIT ${}", values.len() + 1);
    let mut select = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        select = select.bind(value);
    }
    let select = select.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    select.fetch_all(connection).await?.iter().map(event).collect()
}

pub(super) async fn days(connection: &mut AnyConnection, from: Timestamp, to: Timestamp) -> Result<Vec<LogDay>, Trouble> {
    let rows = sqlx::query(DAYS).bind(first_id(from)).bind(first_id(to)).fetch_all(connection).await?;
    let day = |row: &AnyRow| {
        let day = Timestamp::from_millis(row.try_get::<i64, _>("day")?.saturating_mul(DAY));
        Ok(LogDay { day, logins: row.try_get("logins")?, signups: row.try_get("signups")? })
    };
    rows.iter().map(day).collect()
}

pub(super) async fn active_users(connection: &mut AnyConnection, since: Timestamp) -> Result<i64, Trouble> {
    Ok(sqlx::query_scalar(ACTIVE).bind(first_id(since)).fetch_one(connection).await?)
}

pub(super) async fn forget(connection: &mut AnyConnection, before: Timestamp, limit: i64) -> Result<i64, Trouble> {
    let delete = sqlx::query(FORGET).bind(first_id(before)).bind(limit.max(0));
    Ok(i64::try_from(delete.execute(connection).await?.rows_affected()).unwrap_or(i64::MAX))
}

/// No id of this moment or later is smaller; see [`LogEvent::log_id`].
fn first_id(at: Timestamp) -> String {
    format!("{:016x}", at.millis().max(0))
}

fn event(row: &AnyRow) -> Result<LogEvent, Trouble> {
    serde_json::from_str(row.try_get(0)?).map_err(unreadable)
}
