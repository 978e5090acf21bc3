//! Logins. That of somebody known is one statement. It finds nothing when the user is blocked, so that what a
//! blocked user's identity provider says changes nothing here; the rare rest is sorted out in further statements.

use super::users::object;
use super::{Trouble, has_nul};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{IdentityLogin, Recorded, UserLogin};
use crate::user::Identity;
use serde_json::Map;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};

/// In bytes. PostgreSQL's index entries end at about 2700, and the new user's id is a little longer.
const LONGEST_SUBJECT: usize = 2000;

const KNOWN: &str = "UPDATE identities SET profile = $3, last_login = $4, logins_count = logins_count + 1 \
    WHERE connection = $1 AND subject = $2 AND (SELECT u.blocked FROM users u WHERE u.user_id = identities.user_id) = 0 \
    RETURNING user_id, logins_count, \
        (SELECT u.user_metadata FROM users u WHERE u.user_id = identities.user_id) AS user_metadata, \
        (SELECT u.app_metadata FROM users u WHERE u.user_id = identities.user_id) AS app_metadata";

const FIND: &str = "SELECT u.user_id, u.blocked, u.user_metadata, u.app_metadata, i.logins_count \
    FROM identities i JOIN users u ON u.user_id = i.user_id WHERE i.connection = $1 AND i.subject = $2";

const NEW_USER: &str = "INSERT INTO users (user_id, blocked, created_at, user_metadata, app_metadata) \
    VALUES ($1, 0, $2, '{}', '{}') ON CONFLICT (user_id) DO NOTHING";

const NEW_IDENTITY: &str = "INSERT INTO identities \
    (connection, subject, user_id, position, provider, is_social, last_login, logins_count, profile) \
    VALUES ($1, $2, $3, 0, $4, $5, $6, 1, $7) ON CONFLICT (connection, subject) DO NOTHING";

/// The profile as it is stored, of a login whose identity can be stored.
pub(super) fn checked(login: &IdentityLogin<'_>) -> Result<()> {
    let Identity { connection, provider, user_id, .. } = login.identity;
    if [connection, provider, user_id].into_iter().any(|text| has_nul(text)) {
        return Err(Error::new(ErrorKind::IdpResponseInvalid, "The subject holds a NUL character."));
    }
    if connection.len() + provider.len() + user_id.len() > LONGEST_SUBJECT {
        return Err(Error::new(ErrorKind::IdpResponseInvalid, format!("The subject is longer than {LONGEST_SUBJECT} bytes.")));
    }
    Ok(())
}

pub(super) async fn record_login(connection: &mut AnyConnection, login: &IdentityLogin<'_>) -> Result<Recorded, Trouble> {
    // Whoever loses a race against another first login finds the winner's user in the second round.
    for _ in 0..3 {
        if let Some(known) = known_login(connection, login).await? {
            return Ok(Recorded::Login(Box::new(known)));
        }
        if let Some(found) = found_login(connection, login.identity).await? {
            if found.blocked {
                return Ok(Recorded::Login(Box::new(found)));
            }
        } else if let Some(new) = first_login(connection, login).await? {
            return Ok(Recorded::Login(Box::new(new)));
        }
    }
    Err(Error::new(ErrorKind::StoreUnavailable, "The user changes too fast.").into())
}

async fn known_login(connection: &mut AnyConnection, login: &IdentityLogin<'_>) -> Result<Option<UserLogin>, Trouble> {
    let Identity { connection: name, user_id: subject, .. } = login.identity;
    let update = sqlx::query(KNOWN).bind(name).bind(subject).bind(login.profile.get()).bind(login.now.millis());
    // All rows and not the first: only the end of the statement tells that it was committed.
    match update.fetch_all(connection).await?.first() {
        Some(row) => user_login(row, false).map(Some),
        None => Ok(None),
    }
}

async fn found_login(connection: &mut AnyConnection, identity: &Identity) -> Result<Option<UserLogin>, Trouble> {
    let find = sqlx::query(FIND).bind(&identity.connection).bind(&identity.user_id);
    match find.fetch_optional(connection).await? {
        Some(row) => user_login(&row, row.try_get::<i64, _>("blocked")? != 0).map(Some),
        None => Ok(None),
    }
}

fn user_login(row: &AnyRow, blocked: bool) -> Result<UserLogin, Trouble> {
    Ok(UserLogin {
        user_id: row.try_get("user_id")?,
        created: false,
        blocked,
        allows_login: true,
        logins_count: row.try_get("logins_count")?,
        root: Map::new(),
        primary: None,
        linked_groups: Vec::new(),
        assigned_groups: Vec::new(),
        user_metadata: object(row, "user_metadata")?,
        app_metadata: object(row, "app_metadata")?,
        custom_fields: Map::new(),
    })
}

/// Makes user and identity; `None` when somebody else was faster.
async fn first_login(connection: &mut AnyConnection, login: &IdentityLogin<'_>) -> Result<Option<UserLogin>, Trouble> {
    let IdentityLogin { identity, now, .. } = login;
    let user_id = identity.user_id_for_new_user();
    let mut transaction = connection.begin().await?;
    let new_user = sqlx::query(NEW_USER).bind(&user_id).bind(now.millis());
    let users = new_user.execute(&mut *transaction).await?.rows_affected();
    let new_identity = sqlx::query(NEW_IDENTITY)
        .bind(&identity.connection)
        .bind(&identity.user_id)
        .bind(&user_id)
        .bind(&identity.provider)
        .bind(i64::from(identity.is_social))
        .bind(now.millis())
        .bind(login.profile.get());
    let identities = new_identity.execute(&mut *transaction).await?.rows_affected();
    match (users, identities) {
        (1, 1) => transaction.commit().await?,
        (_, 0) => {
            transaction.rollback().await?;
            return Ok(None);
        }
        // A user of this id without this identity: joining them by a guess could give somebody another's account.
        _ => {
            transaction.rollback().await?;
            return Err(Error::new(ErrorKind::Internal, "The new user's id belongs to another user.").into());
        }
    }
    Ok(Some(UserLogin {
        user_id,
        created: true,
        blocked: false,
        allows_login: true,
        logins_count: 1,
        root: Map::new(),
        primary: None,
        linked_groups: Vec::new(),
        assigned_groups: Vec::new(),
        user_metadata: Map::new(),
        app_metadata: Map::new(),
        custom_fields: Map::new(),
    }))
}
