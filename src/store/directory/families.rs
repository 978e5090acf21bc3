//! Families of refresh tokens.

use super::{Trouble, has_nul};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::store::{FamilyFilter, FoundFamilies, RefreshFamily, Rotation};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// A refresh token, as a client presents it.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    pub grant_id: &'a str,
    pub client_id: &'a str,
    pub generation: i64,
}

const PUT: &str = "INSERT INTO refresh_families \
    (grant_id, client_id, user_id, generation, created_at, rotated_at, expires_at, revoked, data) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)";

const ROTATE: &str = "UPDATE refresh_families SET generation = generation + 1, rotated_at = $4 \
    WHERE grant_id = $1 AND client_id = $2 AND generation = $3 AND revoked = 0 AND expires_at > $4 \
    RETURNING grant_id, client_id, user_id, generation, created_at, rotated_at, expires_at, data";

const USE: &str = "UPDATE refresh_families SET rotated_at = $4 \
    WHERE grant_id = $1 AND client_id = $2 AND generation = $3 AND revoked = 0 AND expires_at > $4 \
    RETURNING grant_id, client_id, user_id, generation, created_at, rotated_at, expires_at, data";

const ALIVE: &str = "SELECT grant_id, client_id, user_id, generation, created_at, rotated_at, expires_at, data \
    FROM refresh_families WHERE grant_id = $1 AND client_id = $2 AND revoked = 0 AND expires_at > $3";

/// What is not asked for is bound as NULL.
macro_rules! found_where {
    ($select:literal, $end:literal) => {
        concat!(
            "SELECT ",
            $select,
            " FROM refresh_families WHERE revoked = 0 AND expires_at > $1 \
              AND (CAST($2 AS TEXT) IS NULL OR user_id = $2) AND (CAST($3 AS TEXT) IS NULL OR grant_id = $3) \
              AND (CAST($4 AS TEXT) IS NULL OR client_id = $4)",
            $end
        )
    };
}

const FOUND: &str = found_where!(
    "grant_id, client_id, user_id, generation, created_at, rotated_at, expires_at, data",
    " ORDER BY grant_id LIMIT $5 OFFSET $6"
);

const COUNT: &str = found_where!("COUNT(*)", "");

const REVOKE: &str = "UPDATE refresh_families SET revoked = 1 WHERE grant_id = $1 AND revoked = 0";

const FORGET: &str = "DELETE FROM refresh_families WHERE grant_id IN \
    (SELECT grant_id FROM refresh_families WHERE expires_at < $1 LIMIT 10000)";

/// A new family; the user must exist ([`ErrorKind::InvalidGrant`] when deleted meanwhile).
pub(super) async fn put(connection: &mut AnyConnection, family: &RefreshFamily) -> Result<(), Trouble> {
    let insert = sqlx::query(PUT)
        .bind(&family.grant_id)
        .bind(&family.client_id)
        .bind(&family.user_id)
        .bind(family.generation)
        .bind(family.created_at.millis())
        .bind(family.rotated_at.millis())
        .bind(family.expires_at.millis())
        .bind(&family.data);
    match insert.execute(&mut *connection).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(Error::new(ErrorKind::InvalidGrant, "The user does not exist any more.").because(error).into())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn rotate(connection: &mut AnyConnection, token: Presented<'_>, now: Timestamp, grace: i64) -> Result<Rotation, Trouble> {
    let Presented { grant_id, client_id, generation } = token;
    if has_nul(grant_id) || has_nul(client_id) {
        return Ok(Rotation::Refused);
    }
    let update = sqlx::query(ROTATE).bind(grant_id).bind(client_id).bind(generation).bind(now.millis());
    if let Some(row) = update.fetch_all(&mut *connection).await?.first() {
        return Ok(Rotation::Rotated(family(row)?));
    }
    // Not the token in force. Either the family cannot be used at all ..
    let alive = sqlx::query(ALIVE).bind(grant_id).bind(client_id).bind(now.millis());
    let Some(row) = alive.fetch_optional(&mut *connection).await? else { return Ok(Rotation::Refused) };
    let family = family(&row)?;
    // .. or the token was never given out, ..
    if generation >= family.generation || generation < 0 {
        return Ok(Rotation::Refused);
    }
    // .. or its answer may have been lost a moment ago, ..
    if generation + 1 == family.generation && now <= family.rotated_at.plus_seconds(grace) {
        return Ok(Rotation::Repeated(family));
    }
    // .. or it was stolen. RFC 9700 4.14.2: revoke what was issued from it.
    let revoked = sqlx::query(REVOKE).bind(grant_id).execute(connection).await?.rows_affected();
    Ok(if revoked > 0 { Rotation::Reused(family) } else { Rotation::Refused })
}

/// The family whose token in force it is, which stays in force.
pub(super) async fn used(connection: &mut AnyConnection, token: Presented<'_>, now: Timestamp) -> Result<Option<RefreshFamily>, Trouble> {
    let Presented { grant_id, client_id, generation } = token;
    if has_nul(grant_id) || has_nul(client_id) {
        return Ok(None);
    }
    let update = sqlx::query(USE).bind(grant_id).bind(client_id).bind(generation).bind(now.millis());
    update.fetch_all(connection).await?.first().map(family).transpose()
}

pub(super) async fn found(connection: &mut AnyConnection, filter: &FamilyFilter, now: Timestamp) -> Result<FoundFamilies, Trouble> {
    let FamilyFilter { grant_id, user_id, client_id, .. } = filter;
    if [grant_id, user_id, client_id].into_iter().flatten().any(|text| has_nul(text)) {
        return Ok(FoundFamilies::default());
    }
    let bound = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let count = sqlx::query_scalar(COUNT).bind(now.millis()).bind(user_id.as_deref()).bind(grant_id.as_deref()).bind(client_id.as_deref());
    let total: i64 = count.fetch_one(&mut *connection).await?;
    let select = sqlx::query(FOUND).bind(now.millis()).bind(user_id.as_deref()).bind(grant_id.as_deref()).bind(client_id.as_deref());
    let rows = select.bind(bound(filter.limit)).bind(bound(filter.offset)).fetch_all(connection).await?;
    let families = rows.iter().map(family).collect::<Result<_, _>>()?;
    Ok(FoundFamilies { families, total: usize::try_from(total).unwrap_or(0) })
}

pub(super) async fn revoke(connection: &mut AnyConnection, grant_id: &str) -> Result<(), Trouble> {
    if !has_nul(grant_id) {
        sqlx::query(REVOKE).bind(grant_id).execute(connection).await?;
    }
    Ok(())
}

/// Families that expired before `now` answer nobody any more. Some stay until the next time when there are many.
pub(super) async fn forget_expired(connection: &mut AnyConnection, now: Timestamp) -> Result<(), Trouble> {
    sqlx::query(FORGET).bind(now.millis()).execute(connection).await?;
    Ok(())
}

fn family(row: &AnyRow) -> Result<RefreshFamily, Trouble> {
    let time = |column| row.try_get(column).map(Timestamp::from_millis);
    Ok(RefreshFamily {
        grant_id: row.try_get("grant_id")?,
        client_id: row.try_get("client_id")?,
        user_id: row.try_get("user_id")?,
        generation: row.try_get("generation")?,
        created_at: time("created_at")?,
        rotated_at: time("rotated_at")?,
        expires_at: time("expires_at")?,
        data: row.try_get("data")?,
    })
}
