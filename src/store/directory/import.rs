//! What bulk imports and exports do with users: many of them in one statement.
//!
//! SQL is put together here from static pieces and parameter numbers only; whatever comes from a file is bound.

use super::transaction::{End, transaction};
use super::users::{self, flag, json, time};
use super::{Trouble, has_nul, logins, search, unreadable};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::store::{CredentialKind, ImportInsert, ImportKnown, ImportNames, ImportStep, ImportUpdate, KnownIdentity};
use crate::user::User;
use crate::user::metadata::Part;
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};
use std::collections::HashSet;
use std::fmt::Write as _;

/// Rows or values of one statement; both databases allow more than 30,000 parameters.
const MANY: usize = 500;

const KNOWN: &str = "SELECT i.subject, i.user_id, i.email, i.profile, i.root, i.logins_count, i.last_login, \
        u.updated_at, u.user_metadata, u.app_metadata, \
        (SELECT n.username FROM usernames n WHERE n.connection = i.connection AND n.subject = i.subject LIMIT 1) AS username, \
        (SELECT c.body FROM credentials c WHERE c.connection = i.connection AND c.subject = i.subject AND c.kind = 'password') AS password \
    FROM identities i JOIN users u ON u.user_id = i.user_id WHERE ";

/// Joined to nothing, the connection's name is none that an index is for: SQLite would rather read all of the connection
/// than look for the addresses.
const OF_CONNECTION_BY_EMAIL: &str = "(i.connection || '') = $1 AND i.email IN ";

const BY_USERNAME: &str = "i.connection = $1 AND i.subject IN \
    (SELECT o.subject FROM usernames o WHERE o.connection = $1 AND o.username IN ";

const STEP: &str = "UPDATE jobs SET next_part = next_part + 1, inserted = inserted + $4, updated = updated + $5, failed = failed + $6, \
        lease_until = $7 \
    WHERE id = $1 AND owner = $2 AND next_part = $3 AND status = 'processing'";

const UPDATE_USER: &str = "UPDATE users SET updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at + 1 END, \
        user_metadata = COALESCE($4, user_metadata), app_metadata = COALESCE($5, app_metadata) \
    WHERE user_id = $1 AND updated_at = $2";

/// Who has signed in since has a profile that this import has not seen.
const UPDATE_IDENTITY: &str = "UPDATE identities SET profile = COALESCE($5, profile), root = COALESCE($6, root), \
        email_verified = COALESCE($7, email_verified), keys = COALESCE($8, keys), root_keys = COALESCE($9, root_keys) \
    WHERE connection = $1 AND subject = $2 AND user_id = $3 AND logins_count = $4";

const PUT_CREDENTIAL: &str = "INSERT INTO credentials (connection, subject, kind, body, changed_at) \
    SELECT i.connection, i.subject, $3, $4, $5 FROM identities i WHERE i.connection = $1 AND i.subject = $2 \
    ON CONFLICT (connection, subject, kind) DO UPDATE SET body = excluded.body, changed_at = excluded.changed_at";

const NEW_CREDENTIAL: &str = "INSERT INTO credentials (connection, subject, kind, body, changed_at) \
    SELECT i.connection, i.subject, $3, $4, $5 FROM identities i WHERE i.connection = $1 AND i.subject = $2 \
    ON CONFLICT (connection, subject, kind) DO NOTHING";

const CHANGE_CREDENTIAL: &str =
    "UPDATE credentials SET body = $4, changed_at = $5 WHERE connection = $1 AND subject = $2 AND kind = $3 AND body = $6";

const DELETE_CREDENTIAL: &str = "DELETE FROM credentials WHERE connection = $1 AND subject = $2 AND kind = $3 AND body = $4";

const PAGE: &str = "SELECT u.user_id FROM users u WHERE u.user_id > $1 ORDER BY u.user_id LIMIT $2";

const PAGE_OF_CONNECTION: &str = "SELECT DISTINCT i.user_id FROM identities i WHERE i.user_id > $1 AND i.connection = $3 \
    ORDER BY i.user_id LIMIT $2";

/// `prefix ($1, $2), ($3, $4) suffix` for so many rows and columns. In SQLite places have no names: it would look for each
/// name among all of them.
pub(super) fn rows(connection: &AnyConnection, prefix: &'static str, rows: usize, columns: usize, suffix: &'static str) -> String {
    let named = connection.backend_name() == "PostgreSQL";
    let mut sql = prefix.to_owned();
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=columns {
            sql.push_str(if column == 1 { "" } else { ", " });
            if named {
                let _ = write!(sql, "${}", row * columns + column);
            } else {
                sql.push('?');
            }
        }
        sql.push(')');
    }
    sql.push_str(suffix);
    sql
}

/// `prefix ($2, $3, ..) suffix`: a list of values after the first parameter.
fn list(prefix: &str, values: usize, suffix: &'static str) -> String {
    let mut sql = prefix.to_owned();
    for number in 2..values + 2 {
        let _ = write!(sql, "{}${number}", if number == 2 { "(" } else { ", " });
    }
    sql.push(')');
    sql.push_str(suffix);
    sql
}

pub(super) async fn known(connection: &mut AnyConnection, names: &ImportNames<'_>) -> Result<ImportKnown, Trouble> {
    let mut found = ImportKnown::default();
    let mut seen = HashSet::new();
    for (condition, values, end) in [
        ("i.connection = $1 AND i.subject IN ", names.subjects, ""),
        (OF_CONNECTION_BY_EMAIL, names.emails, ""),
        (BY_USERNAME, names.usernames, ")"),
    ] {
        for values in values.chunks(MANY) {
            let mut select = sqlx::query(AssertSqlSafe(list(&format!("{KNOWN}{condition}"), values.len(), end))).bind(names.connection);
            for value in values {
                select = select.bind(value);
            }
            for row in &select.fetch_all(&mut *connection).await? {
                let known = known_identity(row)?;
                if seen.insert(known.subject.clone()) {
                    found.identities.push(known);
                }
            }
        }
    }
    for ids in names.user_ids.chunks(MANY) {
        // The first parameter is there for `list` alone.
        let sql = list("SELECT user_id FROM users WHERE CAST($1 AS BIGINT) = 1 AND user_id IN ", ids.len(), "");
        let mut select = sqlx::query(AssertSqlSafe(sql)).bind(1_i64);
        for id in ids {
            select = select.bind(id);
        }
        for row in &select.fetch_all(&mut *connection).await? {
            found.user_ids.push(row.try_get(0)?);
        }
    }
    Ok(found)
}

fn known_identity(row: &AnyRow) -> Result<KnownIdentity, Trouble> {
    Ok(KnownIdentity {
        subject: row.try_get("subject")?,
        user_id: row.try_get("user_id")?,
        email: row.try_get("email")?,
        username: row.try_get("username")?,
        profile: json(row, "profile")?,
        root: json(row, "root")?,
        logins_count: row.try_get("logins_count")?,
        came: flag(row, "last_login")?,
        updated_at: time(row, "updated_at")?,
        user_metadata: json(row, "user_metadata")?,
        app_metadata: json(row, "app_metadata")?,
        password: row.try_get("password")?,
    })
}

/// Can all of it be stored?
pub(super) fn checked(step: &ImportStep<'_>) -> Result<(), Error> {
    for insert in step.inserts {
        logins::checked(&insert.identity.connection, &insert.identity.provider, &insert.identity.user_id)?;
        if insert.identity.connection != step.connection || has_nul(&insert.email) || insert.username.as_deref().is_some_and(has_nul) {
            return Err(Error::new(ErrorKind::Internal, "an import has a user that cannot be stored"));
        }
    }
    Ok(())
}

/// Locks are taken in the order of `transaction`: the job, the turn, users by id, and the rest.
pub(super) async fn part(connection: &mut AnyConnection, step: &ImportStep<'_>) -> Result<bool, Trouble> {
    let inserted = i64::try_from(step.inserts.len()).unwrap_or(i64::MAX);
    let updated = i64::try_from(step.updates.len()).unwrap_or(i64::MAX).saturating_add(step.unchanged);
    let mut inserts: Vec<(String, &ImportInsert)> =
        step.inserts.iter().map(|insert| (insert.identity.user_id_for_new_user(), insert)).collect();
    inserts.sort_by(|a, b| a.0.cmp(&b.0));
    let mut updates: Vec<&ImportUpdate> = step.updates.iter().collect();
    updates.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    // No address begins so. Two imports into one connection cannot give two people one address, nor wait for each other.
    let turn = format!("import {}", step.connection);
    transaction(connection, async |statements| {
        let begin = sqlx::query(STEP)
            .bind(step.job_id)
            .bind(step.owner)
            .bind(step.part)
            .bind(inserted)
            .bind(updated)
            .bind(step.failed)
            .bind(step.lease_until.millis());
        if begin.execute(&mut *statements).await?.rows_affected() == 0 {
            return Ok(End::RollBack(false));
        }
        logins::take_turn(statements, &turn).await?;
        for inserts in inserts.chunks(MANY) {
            insert_all(statements, inserts, step.now).await?;
        }
        if step.unique_emails {
            addresses_are_unique(statements, step).await?;
        }
        for update in updates {
            update_one(statements, step.connection, update, step.now).await?;
        }
        sqlx::query("DELETE FROM job_parts WHERE job_id = $1 AND part = $2")
            .bind(step.job_id)
            .bind(step.part)
            .execute(&mut *statements)
            .await?;
        if let Some(errors) = step.errors {
            let insert = sqlx::query("INSERT INTO job_errors (job_id, part, body) VALUES ($1, $2, $3)");
            insert.bind(step.job_id).bind(step.part).bind(errors).execute(&mut *statements).await?;
        }
        logins::end_turn(statements, Some(&turn)).await?;
        Ok(End::Commit(true))
    })
    .await
}

async fn insert_all(statements: &mut AnyConnection, inserts: &[(String, &ImportInsert)], now: Timestamp) -> Result<(), Trouble> {
    insert_users(statements, inserts, now).await?;
    insert_identities(statements, inserts, now).await?;
    let named: Vec<(&ImportInsert, &String)> =
        inserts.iter().filter_map(|(_, insert)| Some((*insert, insert.username.as_ref()?))).collect();
    if !named.is_empty() {
        let prefix = "INSERT INTO usernames (connection, username, subject) VALUES ";
        let sql = rows(statements, prefix, named.len(), 3, " ON CONFLICT DO NOTHING");
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (insert, username) in &named {
            query = query.bind(&insert.identity.connection).bind(*username).bind(&insert.identity.user_id);
        }
        all_new(query.execute(&mut *statements).await?.rows_affected(), named.len())?;
    }
    let secrets: Vec<_> =
        inserts.iter().flat_map(|(_, insert)| insert.credentials.iter().map(move |(kind, body)| (insert, kind, body))).collect();
    for secrets in secrets.chunks(MANY) {
        let prefix = "INSERT INTO credentials (connection, subject, kind, body, changed_at) VALUES ";
        let mut query = sqlx::query(AssertSqlSafe(rows(statements, prefix, secrets.len(), 5, "")));
        for (insert, kind, body) in secrets {
            query = query.bind(&insert.identity.connection).bind(&insert.identity.user_id);
            query = query.bind(kind.name()).bind(*body).bind(now.millis());
        }
        query.execute(&mut *statements).await?;
    }
    let Some((_, first)) = inserts.first() else { return Ok(()) };
    let sql = list("DELETE FROM conflicts WHERE connection = $1 AND subject IN ", inserts.len(), "");
    let mut forget = sqlx::query(AssertSqlSafe(sql)).bind(&first.identity.connection);
    for (_, insert) in inserts {
        forget = forget.bind(&insert.identity.user_id);
    }
    forget.execute(statements).await?;
    Ok(())
}

async fn insert_users(statements: &mut AnyConnection, inserts: &[(String, &ImportInsert)], now: Timestamp) -> Result<(), Trouble> {
    let prefix = "INSERT INTO users (user_id, blocked, created_at, updated_at, groups, user_metadata, app_metadata, custom_fields) VALUES ";
    let mut query = sqlx::query(AssertSqlSafe(rows(statements, prefix, inserts.len(), 8, " ON CONFLICT (user_id) DO NOTHING")));
    for (user_id, insert) in inserts {
        query = query.bind(user_id).bind(i64::from(insert.blocked)).bind(now.millis()).bind(now.millis()).bind("[]");
        query = query.bind(&insert.user_metadata).bind(&insert.app_metadata).bind("{}");
    }
    all_new(query.execute(&mut *statements).await?.rows_affected(), inserts.len())?;
    for (user_id, insert) in inserts {
        search::add_values(statements, user_id, Part::UserMetadata, &insert.user_metadata).await?;
        search::add_values(statements, user_id, Part::AppMetadata, &insert.app_metadata).await?;
    }
    Ok(())
}

async fn insert_identities(statements: &mut AnyConnection, inserts: &[(String, &ImportInsert)], now: Timestamp) -> Result<(), Trouble> {
    let prefix = "INSERT INTO identities (connection, subject, user_id, position, provider, is_social, created_at, last_login, \
        logins_count, profile, root, groups, email, email_verified, allows_login, keys, root_keys) VALUES ";
    let mut query = sqlx::query(AssertSqlSafe(rows(statements, prefix, inserts.len(), 17, " ON CONFLICT DO NOTHING")));
    for (user_id, insert) in inserts {
        let identity = &insert.identity;
        query = query.bind(&identity.connection).bind(&identity.user_id).bind(user_id).bind(0_i64).bind(&identity.provider);
        query = query.bind(i64::from(identity.is_social)).bind(now.millis()).bind(0_i64).bind(0_i64);
        query = query.bind(&insert.profile).bind(&insert.root).bind("[]").bind(users::findable(Some(&insert.email)));
        query = query.bind(i64::from(insert.email_verified)).bind(i64::from(insert.allows_login));
        query = query.bind(search::keys(&insert.profile, Some(&insert.email))?).bind(search::root_keys(&insert.root)?);
    }
    all_new(query.execute(statements).await?.rows_affected(), inserts.len())
}

fn all_new(made: u64, wanted: usize) -> Result<(), Trouble> {
    if u64::try_from(wanted).is_ok_and(|wanted| wanted == made) { Ok(()) } else { Err(overtaken()) }
}

/// Counts only what imports before this one have written: they had the turn before.
async fn addresses_are_unique(statements: &mut AnyConnection, step: &ImportStep<'_>) -> Result<(), Trouble> {
    for inserts in step.inserts.chunks(MANY) {
        let sql = list(&format!("SELECT COUNT(*) FROM identities i WHERE {OF_CONNECTION_BY_EMAIL}"), inserts.len(), "");
        let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(step.connection);
        for insert in inserts {
            query = query.bind(&insert.email);
        }
        let count: i64 = query.fetch_one(&mut *statements).await?;
        all_new(u64::try_from(count).unwrap_or(u64::MAX), inserts.len())?;
    }
    Ok(())
}

async fn update_one(statements: &mut AnyConnection, connection: &str, update: &ImportUpdate, now: Timestamp) -> Result<(), Trouble> {
    let user = sqlx::query(UPDATE_USER)
        .bind(&update.user_id)
        .bind(update.seen_updated_at.millis())
        .bind(now.millis())
        .bind(update.user_metadata.as_deref())
        .bind(update.app_metadata.as_deref());
    all_new(user.execute(&mut *statements).await?.rows_affected(), 1)?;
    for (part, object) in [(Part::UserMetadata, &update.user_metadata), (Part::AppMetadata, &update.app_metadata)] {
        if let Some(object) = object {
            search::put_values(statements, &update.user_id, part, object).await?;
        }
    }
    if update.profile.is_some() || update.root.is_some() || update.email_verified.is_some() {
        let identity = sqlx::query(UPDATE_IDENTITY)
            .bind(connection)
            .bind(&update.subject)
            .bind(&update.user_id)
            .bind(update.seen_logins_count)
            .bind(update.profile.as_deref())
            .bind(update.root.as_deref())
            .bind(update.email_verified.map(i64::from))
            .bind(update.profile.as_deref().map(keys_of).transpose()?)
            .bind(update.root.as_deref().map(search::root_keys).transpose()?);
        all_new(identity.execute(&mut *statements).await?.rows_affected(), 1)?;
    }
    if let Some(password) = &update.password {
        put_credential(statements, (connection, &update.subject), CredentialKind::Password, password, now).await?;
    }
    Ok(())
}

/// What a profile is searched by.
fn keys_of(profile: &str) -> Result<String, Trouble> {
    let members: Map<String, Value> = serde_json::from_str(profile).map_err(unreadable)?;
    search::keys(profile, members.get("email").and_then(Value::as_str))
}

fn overtaken() -> Trouble {
    Error::new(ErrorKind::Conflict, "Somebody else has made or changed one of these users meanwhile.").into()
}

pub(super) async fn put_credential(
    connection: &mut AnyConnection,
    (name, subject): (&str, &str),
    kind: CredentialKind,
    sealed: &str,
    now: Timestamp,
) -> Result<bool, Trouble> {
    if has_nul(name) || has_nul(subject) {
        return Ok(false);
    }
    let put = sqlx::query(PUT_CREDENTIAL).bind(name).bind(subject).bind(kind.name()).bind(sealed).bind(now.millis());
    Ok(put.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn change_credential(
    connection: &mut AnyConnection,
    (name, subject): (&str, &str),
    kind: CredentialKind,
    (before, after): (Option<&str>, Option<&str>),
    now: Timestamp,
) -> Result<bool, Trouble> {
    if has_nul(name) || has_nul(subject) {
        return Ok(false);
    }
    let change = match (before, after) {
        (None, None) => return Ok(false),
        (None, Some(after)) => sqlx::query(NEW_CREDENTIAL).bind(name).bind(subject).bind(kind.name()).bind(after).bind(now.millis()),
        (Some(before), Some(after)) => {
            let change = sqlx::query(CHANGE_CREDENTIAL).bind(name).bind(subject).bind(kind.name()).bind(after);
            change.bind(now.millis()).bind(before)
        }
        (Some(before), None) => sqlx::query(DELETE_CREDENTIAL).bind(name).bind(subject).bind(kind.name()).bind(before),
    };
    Ok(change.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn credential(
    connection: &mut AnyConnection,
    (name, subject): (&str, &str),
    kind: CredentialKind,
) -> Result<Option<String>, Trouble> {
    if has_nul(name) || has_nul(subject) {
        return Ok(None);
    }
    let select = sqlx::query_scalar("SELECT body FROM credentials WHERE connection = $1 AND subject = $2 AND kind = $3");
    Ok(select.bind(name).bind(subject).bind(kind.name()).fetch_optional(connection).await?)
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    name: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<User>, Trouble> {
    let after = after.unwrap_or_default();
    if has_nul(after) || name.is_some_and(has_nul) {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let select = match name {
        None => sqlx::query(PAGE).bind(after).bind(limit),
        Some(name) => sqlx::query(PAGE_OF_CONNECTION).bind(after).bind(limit).bind(name),
    };
    let rows = select.fetch_all(&mut *connection).await?;
    let ids: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(MANY) {
        found.extend(users::of_ids(&mut *connection, ids).await?);
    }
    Ok(found)
}

pub(super) async fn count(connection: &mut AnyConnection, name: Option<&str>) -> Result<i64, Trouble> {
    let count = match name {
        None => sqlx::query_scalar("SELECT COUNT(*) FROM users"),
        Some(name) if has_nul(name) => return Err(unreadable("a connection's name with a NUL character")),
        Some(name) => sqlx::query_scalar("SELECT COUNT(DISTINCT user_id) FROM identities WHERE connection = $1").bind(name),
    };
    Ok(count.fetch_one(connection).await?)
}
