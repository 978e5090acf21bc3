//! Objects of the management API, with versions that appear in their order.

use super::transaction::{End, transaction};
use super::{Trouble, has_nul};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::store::{Expect, ObjectChange, ObjectWrite, StoredObject};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// Takes the turn; the first statement writes, so that the row is held until the end.
const TURN: &str = "UPDATE objects_version SET version = version + $1 WHERE one = 1 RETURNING version";

const PRESENT: &str = "SELECT version FROM objects WHERE kind = $1 AND id = $2 AND body IS NOT NULL";

const PUT: &str = "INSERT INTO objects (kind, id, name, body, version, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6) \
    ON CONFLICT (kind, id) DO UPDATE SET name = $3, body = $4, version = $5, updated_at = $6, \
        created_at = CASE WHEN objects.body IS NULL THEN $6 ELSE objects.created_at END";

const DELETE: &str = "UPDATE objects SET body = NULL, name = NULL, version = $3, updated_at = $4 WHERE kind = $1 AND id = $2";

const ONE: &str = "SELECT kind, id, body, version, created_at, updated_at FROM objects WHERE kind = $1 AND id = $2 AND body IS NOT NULL";

const PAGE: &str = "SELECT kind, id, body, version, created_at, updated_at FROM objects \
    WHERE kind = $1 AND id > $2 AND body IS NOT NULL ORDER BY id LIMIT $3";

const SINCE: &str = "SELECT kind, id, body, version FROM objects WHERE version > $1 ORDER BY version LIMIT $2";

pub(super) async fn write(connection: &mut AnyConnection, writes: &[ObjectWrite<'_>], now: Timestamp) -> Result<i64, Trouble> {
    for write in writes {
        if [Some(write.kind), Some(write.id), write.name, write.body].into_iter().flatten().any(has_nul) {
            return Err(Error::new(ErrorKind::InvalidRequest, "a text with a NUL character cannot be kept").into());
        }
    }
    let count = i64::try_from(writes.len()).unwrap_or(i64::MAX);
    transaction(connection, async move |connection| {
        let newest: i64 = sqlx::query(TURN).bind(count).fetch_one(&mut *connection).await?.try_get(0)?;
        for (write, version) in writes.iter().zip(newest - count + 1..) {
            one_write(&mut *connection, write, version, now).await?;
        }
        Ok(End::Commit(newest))
    })
    .await
}

async fn one_write(connection: &mut AnyConnection, write: &ObjectWrite<'_>, version: i64, now: Timestamp) -> Result<(), Trouble> {
    let present = sqlx::query(PRESENT).bind(write.kind).bind(write.id).fetch_optional(&mut *connection).await?;
    let present: Option<i64> = present.map(|row| row.try_get(0)).transpose()?;
    let refusal = match (write.expect, present) {
        (Expect::Nothing, Some(_)) => Some("is there already"),
        (Expect::Version(_), None) => Some("is not there any more"),
        (Expect::Version(seen), Some(is)) if seen != is => Some("was changed by somebody else"),
        _ => None,
    };
    if let Some(refusal) = refusal {
        return Err(Error::new(ErrorKind::Conflict, format!("The {} {} {refusal}.", write.kind.replace('_', " "), write.id)).into());
    }
    let Some(body) = write.body else {
        sqlx::query(DELETE).bind(write.kind).bind(write.id).bind(version).bind(now.millis()).execute(&mut *connection).await?;
        return Ok(());
    };
    let put = sqlx::query(PUT).bind(write.kind).bind(write.id).bind(write.name).bind(body).bind(version).bind(now.millis());
    match put.execute(&mut *connection).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            let kind = write.kind.replace('_', " ");
            let detail = format!("There is another {kind} with the name {}.", write.name.unwrap_or_default());
            Err(Error::new(ErrorKind::Conflict, detail).because(error).into())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn one(connection: &mut AnyConnection, kind: &str, id: &str) -> Result<Option<StoredObject>, Trouble> {
    if has_nul(kind) || has_nul(id) {
        return Ok(None);
    }
    let row = sqlx::query(ONE).bind(kind).bind(id).fetch_optional(connection).await?;
    Ok(row.as_ref().map(object).transpose()?)
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<StoredObject>, Trouble> {
    let after = after.unwrap_or_default();
    if has_nul(kind) || has_nul(after) {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = sqlx::query(PAGE).bind(kind).bind(after).bind(limit).fetch_all(connection).await?;
    Ok(rows.iter().map(object).collect::<Result<_, _>>()?)
}

pub(super) async fn since(connection: &mut AnyConnection, version: i64, limit: usize) -> Result<Vec<ObjectChange>, Trouble> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = sqlx::query(SINCE).bind(version).bind(limit).fetch_all(connection).await?;
    let change =
        |row: &AnyRow| Ok(ObjectChange { kind: row.try_get(0)?, id: row.try_get(1)?, body: row.try_get(2)?, version: row.try_get(3)? });
    Ok(rows.iter().map(change).collect::<Result<_, sqlx::Error>>()?)
}

fn object(row: &AnyRow) -> Result<StoredObject, sqlx::Error> {
    Ok(StoredObject {
        kind: row.try_get(0)?,
        id: row.try_get(1)?,
        body: row.try_get(2)?,
        version: row.try_get(3)?,
        created_at: Timestamp::from_millis(row.try_get(4)?),
        updated_at: Timestamp::from_millis(row.try_get(5)?),
    })
}
