//! Users, with their identities, and what operators change of them.

use super::connect::Backend;
use super::logins::insert_identity;
use super::transaction::{End, transaction};
use super::{Trouble, conflicts, has_nul, own, search, unreadable};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::store::{IdentityLogin, NewUser, UserChange};
use crate::user::metadata::Part;
use crate::user::{Identity, StoredIdentity, User, UserState};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

/// In bytes; RFC 5321 allows 254, and older ones 320. What is longer is no address that anybody is to be found by.
const LONGEST_EMAIL: usize = 320;

/// Users with their identities, in order, where a condition holds.
macro_rules! users_where {
    ($condition:literal) => {
        concat!(
            "SELECT u.user_id, u.blocked, u.created_at, u.updated_at, u.groups, u.user_metadata, u.app_metadata, u.custom_fields, \
                i.connection, i.subject, i.provider, i.is_social, i.profile, i.root, i.allows_login, i.created_at AS identity_created_at, \
                i.last_login, i.logins_count \
             FROM users u JOIN identities i ON i.user_id = u.user_id WHERE ",
            $condition,
            " ORDER BY u.user_id, i.position"
        )
    };
}

/// Locks a user who is about to be changed, and says that it was: `$1` is the time, but it never stands still.
macro_rules! touch_where {
    ($condition:literal) => {
        concat!(
            "UPDATE users SET updated_at = CASE WHEN updated_at < $1 THEN $1 ELSE updated_at + 1 END WHERE user_id = ",
            $condition,
            " RETURNING user_id, blocked, created_at, groups, user_metadata, app_metadata, custom_fields"
        )
    };
}

const BY_ID: &str = users_where!("u.user_id = $1");

/// `$2`, `$3`: an identity of the user.
const STATE: &str = "SELECT u.blocked, u.created_at, i.allows_login, i.last_login, \
        (SELECT MAX(o.last_login) FROM identities o WHERE o.user_id = u.user_id) AS newest_login, u.updated_at \
    FROM users u JOIN identities i ON i.user_id = u.user_id AND i.connection = $2 AND i.subject = $3 WHERE u.user_id = $1";

/// As many numbers as there are ids come in the place of the second.
const OF_IDS: &str = users_where!("u.user_id IN ($1, $2)");

const BY_IDENTITY: &str = users_where!("u.user_id = (SELECT o.user_id FROM identities o WHERE o.connection = $1 AND o.subject = $2)");

const BY_EMAIL: &str =
    users_where!("u.user_id IN (SELECT DISTINCT o.user_id FROM identities o WHERE o.email = $1 ORDER BY o.user_id LIMIT $2)");

/// `$1`: a JSON array of user ids.
const BY_IDS_IN_SQLITE: &str = users_where!("u.user_id IN (SELECT value FROM json_each($1))");

const BY_IDS_IN_POSTGRES: &str = users_where!("u.user_id IN (SELECT json_array_elements_text($1::json))");

const TOUCH: &str = touch_where!("$2");

const TOUCH_OWNER: &str = touch_where!("(SELECT o.user_id FROM identities o WHERE o.connection = $2 AND o.subject = $3)");

const TOUCH_LINKED: &str = touch_where!("(SELECT l.user_id FROM links l WHERE l.link_id = $2)");

const CHANGE: &str = "UPDATE users SET updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at + 1 END, \
        blocked = COALESCE($4, blocked), groups = COALESCE($5, groups), user_metadata = COALESCE($6, user_metadata), \
        app_metadata = COALESCE($7, app_metadata), custom_fields = COALESCE($8, custom_fields) \
    WHERE user_id = $1 AND updated_at = $2";

const BLOCK: &str = "UPDATE users SET updated_at = CASE WHEN updated_at < $2 THEN $2 ELSE updated_at + 1 END, blocked = $3 \
    WHERE user_id = $1";

const CHANGE_ROOT: &str = "UPDATE identities SET root = $2, root_keys = $3 WHERE user_id = $1 AND position = 0";

const FORGET_TOKENS: &str = "DELETE FROM credentials WHERE kind = 'provider_tokens' AND EXISTS (\
        SELECT 1 FROM identities i WHERE i.user_id = $1 AND i.connection = credentials.connection AND i.subject = credentials.subject)";

const FORGET: &str = "UPDATE identities SET profile = '{}', root = '{}', groups = '[]', email = NULL, email_verified = 0, \
    last_login = 0, logins_count = 0, keys = '[]', root_keys = '[]' WHERE user_id = $1";

const NEW: &str = "INSERT INTO users (user_id, blocked, created_at, updated_at, groups, user_metadata, app_metadata, custom_fields) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (user_id) DO NOTHING";

pub(super) async fn user(connection: &mut AnyConnection, user_id: &str) -> Result<Option<User>, Trouble> {
    if has_nul(user_id) {
        return Ok(None);
    }
    Ok(users(&sqlx::query(BY_ID).bind(user_id).fetch_all(connection).await?)?.pop())
}

pub(super) async fn state(
    connection: &mut AnyConnection,
    user_id: &str,
    (name, subject): (&str, &str),
) -> Result<Option<UserState>, Trouble> {
    if [user_id, name, subject].into_iter().any(has_nul) {
        return Ok(None);
    }
    let row = sqlx::query(STATE).bind(user_id).bind(name).bind(subject).fetch_optional(connection).await?;
    row.as_ref().map(user_state).transpose()
}

pub(super) async fn user_of(connection: &mut AnyConnection, name: &str, subject: &str) -> Result<Option<User>, Trouble> {
    if has_nul(name) || has_nul(subject) {
        return Ok(None);
    }
    Ok(users(&sqlx::query(BY_IDENTITY).bind(name).bind(subject).fetch_all(connection).await?)?.pop())
}

pub(super) async fn by_email(connection: &mut AnyConnection, email: &str, limit: usize) -> Result<Vec<User>, Trouble> {
    let Some(email) = findable(Some(email)) else { return Ok(Vec::new()) };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    users(&sqlx::query(BY_EMAIL).bind(email).bind(limit).fetch_all(connection).await?)
}

/// Users with these ids, in the order of ids.
pub(super) async fn of_ids(connection: &mut AnyConnection, ids: &[String]) -> Result<Vec<User>, Trouble> {
    let Some(more) = ids.len().checked_sub(1) else { return Ok(Vec::new()) };
    let numbers: String = (0..more).map(|number| format!(", ${}", number + 2)).collect();
    let mut select = sqlx::query(AssertSqlSafe(OF_IDS.replace(", $2", &numbers)));
    for id in ids {
        select = select.bind(id);
    }
    users(&select.fetch_all(connection).await?)
}

/// Users of these ids; those that are not there are left out.
pub(super) async fn by_ids(connection: &mut AnyConnection, backend: Backend, ids: &[String]) -> Result<Vec<User>, Trouble> {
    let select = match backend {
        Backend::Sqlite => BY_IDS_IN_SQLITE,
        Backend::Postgres => BY_IDS_IN_POSTGRES,
    };
    users(&sqlx::query(select).bind(written(&ids)?).fetch_all(connection).await?)
}

/// The address, if users may be found by it.
pub(super) fn findable(email: Option<&str>) -> Option<&str> {
    email.filter(|email| !email.is_empty() && email.len() <= LONGEST_EMAIL && !has_nul(email))
}

/// Makes a user who has not come yet; false when identity or user id are taken.
pub(super) async fn create(connection: &mut AnyConnection, new: &NewUser, now: Timestamp) -> Result<bool, Trouble> {
    let user_id = new.identity.user_id_for_new_user();
    let own = new.own.as_ref();
    let profile = own.map_or_else(|| Ok("{}".to_owned()), |own| written(&own.profile))?;
    let profile = RawValue::from_string(profile).map_err(unreadable)?;
    let root = written(&new.root)?;
    let identity = IdentityLogin {
        allows_login: new.allows_login,
        root: &root,
        email: own.and_then(|own| own.email.as_deref()),
        email_verified: own.is_some_and(|own| own.email_verified),
        ..IdentityLogin::plain(&new.identity, &profile, now)
    };
    transaction(connection, async |statements| {
        let turn = match own {
            Some(own) => Some(own::take_turn(statements, &new.identity.connection, &new.identity.user_id, own).await?),
            None => None,
        };
        if turn.as_ref().is_some_and(|turn| turn.is_taken) {
            return Ok(End::RollBack(false));
        }
        let user = NewRow {
            blocked: new.blocked,
            created_at: now,
            updated_at: now,
            groups: written(&new.groups)?,
            user_metadata: written(&new.user_metadata)?,
            app_metadata: written(&new.app_metadata)?,
            custom_fields: written(&new.custom_fields)?,
        };
        if !insert(statements, &user_id, &user).await? || !insert_identity(statements, &identity, &user_id, 0, false).await? {
            return Ok(End::RollBack(false));
        }
        conflicts::forget(statements, &new.identity).await?;
        if let (Some(own), Some(turn)) = (own, turn) {
            own::set_username(statements, &new.identity.connection, &new.identity.user_id, own).await?;
            turn.end(statements).await?;
        }
        Ok(End::Commit(true))
    })
    .await
}

pub(super) async fn update(
    connection: &mut AnyConnection,
    user_id: &str,
    seen: Timestamp,
    change: &UserChange,
    now: Timestamp,
) -> Result<Option<()>, Trouble> {
    if has_nul(user_id) {
        return Ok(None);
    }
    let groups = change.groups.as_ref().map(written).transpose()?;
    let [root, user_metadata, app_metadata, custom_fields] =
        [&change.root, &change.user_metadata, &change.app_metadata, &change.custom_fields]
            .map(|part| part.as_ref().map(written).transpose());
    let (root, objects) = (root?, [user_metadata?, app_metadata?, custom_fields?]);
    let [user_metadata, app_metadata, custom_fields] = &objects;
    let update = sqlx::query(CHANGE)
        .bind(user_id)
        .bind(seen.millis())
        .bind(now.millis())
        .bind(change.blocked.map(i64::from))
        .bind(groups)
        .bind(user_metadata)
        .bind(app_metadata)
        .bind(custom_fields);
    transaction(connection, async |statements| {
        let turn = match &change.own {
            Some((name, subject, own)) => Some(own::take_turn(statements, name, subject, own).await?),
            None => None,
        };
        if turn.as_ref().is_some_and(|turn| turn.is_taken) {
            let detail = "Another user of this connection has this e-mail address or username.";
            return Err(Error::new(ErrorKind::AccountConflict, detail).into());
        }
        if update.execute(&mut *statements).await?.rows_affected() == 0 {
            let there: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE user_id = $1").bind(user_id).fetch_one(statements).await?;
            return if there == 0 {
                Ok(End::RollBack(None))
            } else {
                Err(Error::new(ErrorKind::Conflict, "Somebody else has changed this user meanwhile.").into())
            };
        }
        if let Some(root) = root {
            let keys = search::root_keys(&root)?;
            sqlx::query(CHANGE_ROOT).bind(user_id).bind(root).bind(keys).execute(&mut *statements).await?;
        }
        for (part, object) in Part::ALL.into_iter().zip(&objects) {
            if let Some(object) = object {
                search::put_values(statements, user_id, part, object).await?;
            }
        }
        if let (Some((name, subject, own)), Some(turn)) = (&change.own, turn) {
            own::change(statements, (name, subject, user_id), own).await?;
            turn.end(statements).await?;
        }
        Ok(End::Commit(Some(())))
    })
    .await
}

/// Identities, refresh-token families and the link journal go with the user, by their foreign keys.
pub(super) async fn delete(connection: &mut AnyConnection, user_id: &str) -> Result<bool, Trouble> {
    if has_nul(user_id) {
        return Ok(false);
    }
    transaction(connection, async |statements| {
        // For the lock; nobody sees the time.
        if touch(statements, user_id, Timestamp::from_millis(0)).await?.is_none() {
            return Ok(End::RollBack(false));
        }
        conflicts::forget_all_of(statements, user_id).await?;
        remove(statements, user_id).await?;
        Ok(End::Commit(true))
    })
    .await
}

pub(super) async fn forget_profile(connection: &mut AnyConnection, user_id: &str, now: Timestamp) -> Result<bool, Trouble> {
    if has_nul(user_id) {
        return Ok(false);
    }
    transaction(connection, async |statements| {
        if touch(statements, user_id, now).await?.is_none() {
            return Ok(End::RollBack(false));
        }
        sqlx::query(FORGET).bind(user_id).execute(&mut *statements).await?;
        sqlx::query(FORGET_TOKENS).bind(user_id).execute(&mut *statements).await?;
        end_families(statements, user_id).await?;
        Ok(End::Commit(true))
    })
    .await
}

pub(super) async fn set_blocked(connection: &mut AnyConnection, user_id: &str, blocked: bool, now: Timestamp) -> Result<bool, Trouble> {
    if has_nul(user_id) {
        return Ok(false);
    }
    let update = sqlx::query(BLOCK).bind(user_id).bind(now.millis()).bind(i64::from(blocked));
    Ok(update.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn set_allows_login(
    connection: &mut AnyConnection,
    (name, subject): (&str, &str),
    allows: bool,
    now: Timestamp,
) -> Result<bool, Trouble> {
    if has_nul(name) || has_nul(subject) {
        return Ok(false);
    }
    transaction(connection, async |statements| {
        let owner = sqlx::query(TOUCH_OWNER).bind(now.millis()).bind(name).bind(subject);
        let Some(owner) = touched(&owner.fetch_all(&mut *statements).await?)? else { return Ok(End::RollBack(false)) };
        let update = "UPDATE identities SET allows_login = $4 WHERE connection = $1 AND subject = $2 AND user_id = $3";
        let update = sqlx::query(update).bind(name).bind(subject).bind(&owner.user_id).bind(i64::from(allows));
        if update.execute(statements).await?.rows_affected() == 0 {
            return Err(Trouble::Overtaken);
        }
        Ok(End::Commit(true))
    })
    .await
}

/// A user whose row this transaction has locked.
pub(super) struct Touched {
    pub(super) user_id: String,
    pub(super) blocked: bool,
    /// What the link journal keeps of a user that ends.
    pub(super) kept: Map<String, Value>,
}

/// Locks a user and moves its `updated_at`. Whatever changes a user or its identities begins with this.
pub(super) async fn touch(statements: &mut AnyConnection, user_id: &str, now: Timestamp) -> Result<Option<Touched>, Trouble> {
    touched(&sqlx::query(TOUCH).bind(now.millis()).bind(user_id).fetch_all(statements).await?)
}

/// As [`touch`], the user to whom a line of the link journal belongs.
pub(super) async fn touch_linked(statements: &mut AnyConnection, link_id: &str, now: Timestamp) -> Result<Option<Touched>, Trouble> {
    touched(&sqlx::query(TOUCH_LINKED).bind(now.millis()).bind(link_id).fetch_all(statements).await?)
}

fn touched(rows: &[AnyRow]) -> Result<Option<Touched>, Trouble> {
    let Some(row) = rows.first() else { return Ok(None) };
    let blocked = flag(row, "blocked")?;
    let mut kept = Map::new();
    kept.insert("created_at".into(), row.try_get::<i64, _>("created_at")?.into());
    kept.insert("blocked".into(), blocked.into());
    for column in ["groups", "user_metadata", "app_metadata", "custom_fields"] {
        kept.insert(column.into(), json(row, column)?);
    }
    Ok(Some(Touched { user_id: row.try_get("user_id")?, blocked, kept }))
}

/// Everything of a new user's row but its id; the last four are JSON.
pub(super) struct NewRow {
    pub(super) blocked: bool,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) groups: String,
    pub(super) user_metadata: String,
    pub(super) app_metadata: String,
    pub(super) custom_fields: String,
}

impl NewRow {
    pub(super) fn bare(now: Timestamp) -> Self {
        let [groups, user_metadata, app_metadata, custom_fields] = ["[]", "{}", "{}", "{}"].map(str::to_owned);
        Self { blocked: false, created_at: now, updated_at: now, groups, user_metadata, app_metadata, custom_fields }
    }
}

/// False when there is such a user.
pub(super) async fn insert(statements: &mut AnyConnection, user_id: &str, user: &NewRow) -> Result<bool, Trouble> {
    let insert = sqlx::query(NEW)
        .bind(user_id)
        .bind(i64::from(user.blocked))
        .bind(user.created_at.millis())
        .bind(user.updated_at.millis())
        .bind(&user.groups)
        .bind(&user.user_metadata)
        .bind(&user.app_metadata)
        .bind(&user.custom_fields);
    if insert.execute(&mut *statements).await?.rows_affected() == 0 {
        return Ok(false);
    }
    for (part, object) in Part::ALL.into_iter().zip([&user.user_metadata, &user.app_metadata, &user.custom_fields]) {
        search::add_values(statements, user_id, part, object).await?;
    }
    Ok(true)
}

/// Deletes the row of a user, and with it what refers to it.
pub(super) async fn remove(statements: &mut AnyConnection, user_id: &str) -> Result<(), Trouble> {
    sqlx::query("DELETE FROM users WHERE user_id = $1").bind(user_id).execute(statements).await?;
    Ok(())
}

/// Deletes the refresh-token families of a user: their data may repeat what the user is not to have any more.
pub(super) async fn end_families(statements: &mut AnyConnection, user_id: &str) -> Result<(), Trouble> {
    sqlx::query("DELETE FROM refresh_families WHERE user_id = $1").bind(user_id).execute(statements).await?;
    Ok(())
}

/// Users from rows that are in their order.
fn users(rows: &[AnyRow]) -> Result<Vec<User>, Trouble> {
    let mut users: Vec<User> = Vec::new();
    for row in rows {
        let user_id: &str = row.try_get("user_id")?;
        let identity = stored_identity(row)?;
        match users.last_mut() {
            Some(user) if user.user_id == user_id => user.identities.push(identity),
            _ => users.push(User {
                user_id: user_id.to_owned(),
                blocked: flag(row, "blocked")?,
                created_at: time(row, "created_at")?,
                updated_at: time(row, "updated_at")?,
                identities: vec![identity],
                groups: json(row, "groups")?,
                user_metadata: json(row, "user_metadata")?,
                app_metadata: json(row, "app_metadata")?,
                custom_fields: json(row, "custom_fields")?,
            }),
        }
    }
    Ok(users)
}

fn user_state(row: &AnyRow) -> Result<UserState, Trouble> {
    Ok(UserState {
        blocked: flag(row, "blocked")?,
        created_at: time(row, "created_at")?,
        changed_at: time(row, "updated_at")?.max(time(row, "newest_login")?),
        allows_login: flag(row, "allows_login")?,
        last_login: last_login(row)?,
    })
}

/// Zero stands for never.
fn last_login(row: &AnyRow) -> Result<Option<Timestamp>, Trouble> {
    Ok(Some(time(row, "last_login")?).filter(|at| at.millis() != 0))
}

fn stored_identity(row: &AnyRow) -> Result<StoredIdentity, Trouble> {
    Ok(StoredIdentity {
        identity: Identity {
            connection: row.try_get("connection")?,
            provider: row.try_get("provider")?,
            user_id: row.try_get("subject")?,
            is_social: flag(row, "is_social")?,
        },
        profile: json(row, "profile")?,
        root: json(row, "root")?,
        allows_login: flag(row, "allows_login")?,
        created_at: time(row, "identity_created_at")?,
        last_login: last_login(row)?,
        logins_count: row.try_get("logins_count")?,
    })
}

pub(super) fn json<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, Trouble> {
    serde_json::from_str(row.try_get(column)?).map_err(unreadable)
}

pub(super) fn written<T: Serialize>(value: &T) -> Result<String, Trouble> {
    serde_json::to_string(value).map_err(unreadable)
}

pub(super) fn flag(row: &AnyRow, column: &str) -> Result<bool, Trouble> {
    Ok(row.try_get::<i64, _>(column)? != 0)
}

pub(super) fn time(row: &AnyRow, column: &str) -> Result<Timestamp, Trouble> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}
