//! Messages to partners that wait to be sent again.

use super::users::time;
use super::{Trouble, has_nul, without_nul};
use crate::clock::Timestamp;
use crate::store::QueuedMessage;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

const PUT: &str = "INSERT INTO queue (id, message, attempts, due_at, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING";

/// The outer condition is looked at again by whoever waited for somebody else's claim.
const CLAIM: &str = "UPDATE queue SET attempts = attempts + 1, due_at = $2 \
    WHERE id = (SELECT q.id FROM queue q WHERE q.due_at <= $1 ORDER BY q.due_at, q.id LIMIT 1) AND due_at <= $1 \
    RETURNING id, message, attempts, due_at, expires_at";

/// `attempts` tells whether it is still the same claim.
const PUT_OFF: &str = "UPDATE queue SET due_at = $3 WHERE id = $1 AND attempts = $2";

const END: &str = "DELETE FROM queue WHERE id = $1";

pub(super) async fn put(connection: &mut AnyConnection, messages: &[QueuedMessage]) -> Result<(), Trouble> {
    for message in messages {
        let insert = sqlx::query(PUT).bind(&message.id).bind(without_nul(&message.message)).bind(message.attempts);
        insert.bind(message.due_at.millis()).bind(message.expires_at.millis()).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn claim(
    connection: &mut AnyConnection,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Option<QueuedMessage>, Trouble> {
    let claim = sqlx::query(CLAIM).bind(now.millis()).bind(lease_until.millis());
    claim.fetch_all(connection).await?.first().map(message).transpose()
}

pub(super) async fn put_off(connection: &mut AnyConnection, id: &str, attempts: i64, due_at: Timestamp) -> Result<bool, Trouble> {
    if has_nul(id) {
        return Ok(false);
    }
    let update = sqlx::query(PUT_OFF).bind(id).bind(attempts).bind(due_at.millis());
    Ok(update.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn end(connection: &mut AnyConnection, id: &str) -> Result<bool, Trouble> {
    if has_nul(id) {
        return Ok(false);
    }
    Ok(sqlx::query(END).bind(id).execute(connection).await?.rows_affected() > 0)
}

fn message(row: &AnyRow) -> Result<QueuedMessage, Trouble> {
    Ok(QueuedMessage {
        id: row.try_get("id")?,
        message: row.try_get("message")?,
        attempts: row.try_get("attempts")?,
        due_at: time(row, "due_at")?,
        expires_at: time(row, "expires_at")?,
    })
}
