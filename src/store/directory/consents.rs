//! What people have agreed that applications get.

use super::users::time;
use super::{Trouble, has_nul, unreadable};
use crate::error::{Error, ErrorKind};
use crate::store::{ConsentFilter, ConsentRecord, FoundConsents};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// Whoever has agreed before keeps the id, and the time of the first time.
const PUT: &str = "INSERT INTO consents (user_id, client_id, audience, consent_id, scopes, claims, created_at, changed_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
    ON CONFLICT (user_id, client_id, audience) DO UPDATE \
    SET scopes = excluded.scopes, claims = excluded.claims, changed_at = excluded.changed_at";

const ONE: &str = "SELECT user_id, client_id, audience, consent_id, scopes, claims, created_at, changed_at FROM consents \
    WHERE user_id = $1 AND client_id = $2 AND audience = $3";

/// What is not asked for is bound as NULL.
macro_rules! found_where {
    ($select:literal, $end:literal) => {
        concat!(
            "SELECT ",
            $select,
            " FROM consents WHERE (CAST($1 AS TEXT) IS NULL OR user_id = $1) AND (CAST($2 AS TEXT) IS NULL OR client_id = $2) \
              AND (CAST($3 AS TEXT) IS NULL OR audience = $3) AND (CAST($4 AS TEXT) IS NULL OR consent_id = $4)",
            $end
        )
    };
}

const FOUND: &str = found_where!(
    "user_id, client_id, audience, consent_id, scopes, claims, created_at, changed_at",
    " ORDER BY user_id, client_id, audience LIMIT $5 OFFSET $6"
);

const COUNT: &str = found_where!("COUNT(*)", "");

const END: &str = "DELETE FROM consents WHERE consent_id = $1";

pub(super) async fn put(connection: &mut AnyConnection, consent: &ConsentRecord) -> Result<(), Trouble> {
    let insert = sqlx::query(PUT).bind(&consent.user_id).bind(&consent.client_id).bind(&consent.audience).bind(&consent.consent_id);
    let insert = insert.bind(written(&consent.scopes)?).bind(written(&consent.claims)?);
    let insert = insert.bind(consent.created_at.millis()).bind(consent.changed_at.millis());
    match insert.execute(&mut *connection).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(Error::new(ErrorKind::NotFound, "The user does not exist any more.").because(error).into())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn one(
    connection: &mut AnyConnection,
    user_id: &str,
    client_id: &str,
    audience: &str,
) -> Result<Option<ConsentRecord>, Trouble> {
    if [user_id, client_id, audience].into_iter().any(has_nul) {
        return Ok(None);
    }
    let select = sqlx::query(ONE).bind(user_id).bind(client_id).bind(audience);
    select.fetch_optional(connection).await?.as_ref().map(consent).transpose()
}

pub(super) async fn found(connection: &mut AnyConnection, filter: &ConsentFilter) -> Result<FoundConsents, Trouble> {
    let ConsentFilter { user_id, client_id, audience, consent_id, .. } = filter;
    let wanted = [user_id, client_id, audience, consent_id].map(Option::as_deref);
    if wanted.into_iter().flatten().any(has_nul) {
        return Ok(FoundConsents::default());
    }
    let [user_id, client_id, audience, consent_id] = wanted;
    let bound = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let count = sqlx::query_scalar(COUNT).bind(user_id).bind(client_id).bind(audience).bind(consent_id);
    let total: i64 = count.fetch_one(&mut *connection).await?;
    let select = sqlx::query(FOUND).bind(user_id).bind(client_id).bind(audience).bind(consent_id);
    let rows = select.bind(bound(filter.limit)).bind(bound(filter.offset)).fetch_all(connection).await?;
    let consents = rows.iter().map(consent).collect::<Result<_, _>>()?;
    Ok(FoundConsents { consents, total: usize::try_from(total).unwrap_or(0) })
}

pub(super) async fn end(connection: &mut AnyConnection, consent_id: &str) -> Result<bool, Trouble> {
    if has_nul(consent_id) {
        return Ok(false);
    }
    Ok(sqlx::query(END).bind(consent_id).execute(connection).await?.rows_affected() > 0)
}

fn written(texts: &[String]) -> Result<String, Trouble> {
    serde_json::to_string(texts).map_err(unreadable)
}

fn consent(row: &AnyRow) -> Result<ConsentRecord, Trouble> {
    let texts = |column| -> Result<Vec<String>, Trouble> { serde_json::from_str(row.try_get(column)?).map_err(unreadable) };
    Ok(ConsentRecord {
        user_id: row.try_get("user_id")?,
        client_id: row.try_get("client_id")?,
        audience: row.try_get("audience")?,
        consent_id: row.try_get("consent_id")?,
        scopes: texts("scopes")?,
        claims: texts("claims")?,
        created_at: time(row, "created_at")?,
        changed_at: time(row, "changed_at")?,
    })
}
