//! Users, with their identities.

use super::{Trouble, has_nul, unreadable};
use crate::clock::Timestamp;
use crate::user::{Identity, StoredIdentity, User};
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

const USER: &str = "SELECT u.blocked, u.created_at, u.user_metadata, u.app_metadata, \
        i.connection, i.subject, i.provider, i.is_social, i.last_login, i.logins_count, i.profile \
    FROM users u JOIN identities i ON i.user_id = u.user_id WHERE u.user_id = $1 \
    ORDER BY i.position, i.connection, i.subject";

pub(super) async fn user(connection: &mut AnyConnection, user_id: &str) -> Result<Option<User>, Trouble> {
    if has_nul(user_id) {
        return Ok(None);
    }
    let rows = sqlx::query(USER).bind(user_id).fetch_all(connection).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    Ok(Some(User {
        user_id: user_id.to_owned(),
        blocked: first.try_get::<i64, _>("blocked")? != 0,
        created_at: time(first, "created_at")?,
        identities: rows.iter().map(stored_identity).collect::<Result<_, _>>()?,
        updated_at: time(first, "created_at")?,
        groups: Vec::new(),
        user_metadata: object(first, "user_metadata")?,
        app_metadata: object(first, "app_metadata")?,
        custom_fields: Map::new(),
    }))
}

fn stored_identity(row: &AnyRow) -> Result<StoredIdentity, Trouble> {
    Ok(StoredIdentity {
        identity: Identity {
            connection: row.try_get("connection")?,
            provider: row.try_get("provider")?,
            user_id: row.try_get("subject")?,
            is_social: row.try_get::<i64, _>("is_social")? != 0,
        },
        profile: object(row, "profile")?,
        root: Map::new(),
        allows_login: true,
        created_at: time(row, "last_login")?,
        last_login: Some(time(row, "last_login")?),
        logins_count: row.try_get("logins_count")?,
    })
}

/// Identities and refresh-token families go with the user, by their foreign keys.
pub(super) async fn delete(connection: &mut AnyConnection, user_id: &str) -> Result<bool, Trouble> {
    if has_nul(user_id) {
        return Ok(false);
    }
    let delete = sqlx::query("DELETE FROM users WHERE user_id = $1").bind(user_id);
    Ok(delete.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn set_blocked(connection: &mut AnyConnection, user_id: &str, blocked: bool) -> Result<bool, Trouble> {
    if has_nul(user_id) {
        return Ok(false);
    }
    let update = sqlx::query("UPDATE users SET blocked = $2 WHERE user_id = $1").bind(user_id).bind(i64::from(blocked));
    Ok(update.execute(connection).await?.rows_affected() > 0)
}

pub(super) fn object(row: &AnyRow, column: &str) -> Result<Map<String, Value>, Trouble> {
    match row.try_get::<&str, _>(column)? {
        "{}" => Ok(Map::new()),
        text => serde_json::from_str(text).map_err(unreadable),
    }
}

fn time(row: &AnyRow, column: &str) -> Result<Timestamp, Trouble> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}
