//! Linking, and taking it back. Each is one transaction; what it needs to remember is in [`journal`].

use super::journal::Line;
use super::logins::{end_turn, found_login, insert_identity, owner, repeated_login, take_turn};
use super::transaction::{End, transaction};
use super::users::{NewRow, Touched, findable, touch};
use super::{Trouble, conflicts, has_nul, journal, users};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::store::{IdentityLogin, LinkEntry, LinkedBy, UserLogin};
use crate::user::{Identity, User};
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

const NEXT_POSITION: &str = "SELECT COALESCE(MAX(position), 0) + 1 FROM identities WHERE user_id = $1";

/// Two are enough to tell that it is not one.
const WHO_HAS_EMAIL: &str = "SELECT DISTINCT user_id FROM identities WHERE email = $1 LIMIT 2";

const IDENTITIES: &str = "SELECT connection, subject, provider, is_social, position FROM identities WHERE user_id = $1 ORDER BY position";

const MOVE_ALL: &str = "UPDATE identities SET user_id = $2, position = position + $3 WHERE user_id = $1";

const MOVE_ONE: &str = "UPDATE identities SET user_id = $4, position = $5 WHERE connection = $1 AND subject = $2 AND user_id = $3";

const FORGET_TOKENS: &str = "DELETE FROM credentials WHERE connection = $1 AND subject = $2 AND kind = 'provider_tokens'";

const ONE: &str = "SELECT connection, subject, provider, is_social, position FROM identities \
    WHERE user_id = $1 AND connection = $2 AND subject = $3";

/// Those of a line that have not left its user. The primary identity of a user never came by a line.
const OF_LINE: &str = "SELECT i.connection, i.subject, i.provider, i.is_social, i.position \
    FROM link_identities l JOIN identities i ON i.connection = l.connection AND i.subject = l.subject \
    WHERE l.link_id = $1 AND l.here = 1 AND i.user_id = $2 AND i.position > 0 ORDER BY i.position";

pub(super) async fn link_login(
    connection: &mut AnyConnection,
    login: &IdentityLogin<'_>,
    user_id: &str,
    only_match: bool,
    by: &LinkedBy,
) -> Result<UserLogin, Trouble> {
    if has_nul(user_id) {
        return Err(conflict("The user to link to is gone."));
    }
    let linked = transaction(connection, async |statements| {
        let email = findable(login.email);
        if let Some(email) = email {
            take_turn(statements, email).await?;
        }
        match touch(statements, user_id, login.now).await? {
            None => return Err(conflict("The user to link to is gone.")),
            Some(user) if user.blocked => return Err(conflict("The user to link to is blocked.")),
            Some(_) => {}
        }
        if owner(statements, login.identity).await?.is_some_and(|owner| owner == user_id) {
            return Ok(End::RollBack(None));
        }
        if only_match && who_has(statements, email).await? != [user_id] {
            return Err(conflict("The user to link to is not the one with this e-mail address."));
        }
        let position = sqlx::query_scalar(NEXT_POSITION).bind(user_id).fetch_one(&mut *statements).await?;
        if !insert_identity(statements, login, user_id, position, true).await? {
            return Err(conflict("The identity belongs to somebody else by now."));
        }
        conflicts::forget(statements, login.identity).await?;
        let identities = vec![name(login.identity)];
        let by = journal::storable(by);
        let (user_id, at) = (user_id.to_owned(), login.now);
        let entry = LinkEntry { by, at, user_id, former_user_id: None, identities, kept: Map::new(), undone_at: None };
        journal::write(statements, &entry).await?;
        end_turn(statements, email).await?;
        Ok(End::Commit(found_login(statements, login.identity).await?))
    })
    .await?;
    match linked {
        Some(login) => Ok(login),
        // It was linked before, to this user: a login like any other.
        None => repeated_login(connection, login).await?.filter(|found| found.user_id == user_id).ok_or(Trouble::Overtaken),
    }
}

async fn who_has(statements: &mut AnyConnection, email: Option<&str>) -> Result<Vec<String>, Trouble> {
    let Some(email) = email else { return Ok(Vec::new()) };
    Ok(sqlx::query_scalar(WHO_HAS_EMAIL).bind(email).fetch_all(statements).await?)
}

pub(super) async fn link_users(
    connection: &mut AnyConnection,
    user_id: &str,
    other: &str,
    by: &LinkedBy,
    now: Timestamp,
) -> Result<LinkEntry, Trouble> {
    if user_id == other {
        return Err(conflict("A user cannot be linked to itself."));
    }
    if let Some(nobody) = [user_id, other].into_iter().find(|id| has_nul(id)) {
        return Err(not_found(nobody));
    }
    transaction(connection, async |statements| {
        let (first, second) = (user_id.min(other), user_id.max(other));
        let first = touch(statements, first, now).await?;
        let second = touch(statements, second, now).await?;
        let (user, former) = if user_id < other { (first, second) } else { (second, first) };
        if user.ok_or_else(|| not_found(user_id))?.blocked {
            return Err(conflict("The user is blocked."));
        }
        let former = former.ok_or_else(|| not_found(other))?;
        if former.blocked {
            return Err(conflict("The user to be joined is blocked."));
        }
        let identities = sqlx::query(IDENTITIES).bind(other).fetch_all(&mut *statements).await?;
        let identities = identities.iter().map(moved).collect::<Result<Vec<_>, _>>()?;
        let entry = LinkEntry {
            by: journal::storable(by),
            at: now,
            user_id: user_id.to_owned(),
            former_user_id: Some(other.to_owned()),
            identities: identities.iter().map(|moved| name(&moved.identity)).collect(),
            kept: former.kept,
            undone_at: None,
        };
        journal::write(statements, &entry).await?;
        journal::move_all(statements, other, user_id).await?;
        conflicts::forget_all_of(statements, other).await?;
        let position: i64 = sqlx::query_scalar(NEXT_POSITION).bind(user_id).fetch_one(&mut *statements).await?;
        sqlx::query(MOVE_ALL).bind(other).bind(user_id).bind(position).execute(&mut *statements).await?;
        users::remove(statements, other).await?;
        Ok(End::Commit(entry))
    })
    .await
}

pub(super) async fn unlink(
    connection: &mut AnyConnection,
    user_id: &str,
    (name, subject): (&str, &str),
    now: Timestamp,
) -> Result<Option<User>, Trouble> {
    if [user_id, name, subject].into_iter().any(has_nul) {
        return Ok(None);
    }
    transaction(connection, async |statements| {
        let Some(user) = touch(statements, user_id, now).await? else { return Ok(End::RollBack(None)) };
        let find = sqlx::query(ONE).bind(user_id).bind(name).bind(subject);
        let Some(row) = find.fetch_optional(&mut *statements).await? else { return Ok(End::RollBack(None)) };
        let leaving = moved(&row)?;
        if leaving.position == 0 {
            return Err(conflict("The primary identity of a user cannot be unlinked."));
        }
        let line = journal::of_first(statements, user_id, &leaving.identity).await?;
        Ok(End::Commit(part(statements, &user, &[leaving], line.as_ref(), now).await?))
    })
    .await
}

pub(super) async fn undo_link(connection: &mut AnyConnection, link_id: &str, now: Timestamp) -> Result<Option<User>, Trouble> {
    if has_nul(link_id) {
        return Ok(None);
    }
    transaction(connection, async |statements| {
        let Some((user, line)) = journal::lock(statements, link_id, now).await? else { return Ok(End::RollBack(None)) };
        if line.undone {
            return Err(conflict("This link was taken back before."));
        }
        let leaving = sqlx::query(OF_LINE).bind(link_id).bind(&user.user_id).fetch_all(&mut *statements).await?;
        let leaving = leaving.iter().map(moved).collect::<Result<Vec<_>, _>>()?;
        Ok(End::Commit(part(statements, &user, &leaving, Some(&line), now).await?))
    })
    .await
}

/// An identity on its way from one user to another.
struct Moved {
    identity: Identity,
    position: i64,
}

fn moved(row: &AnyRow) -> Result<Moved, Trouble> {
    Ok(Moved {
        identity: Identity {
            connection: row.try_get("connection")?,
            provider: row.try_get("provider")?,
            user_id: row.try_get("subject")?,
            is_social: users::flag(row, "is_social")?,
        },
        position: row.try_get("position")?,
    })
}

/// Makes a user of identities that leave another one, the first of them primary.
async fn part(
    statements: &mut AnyConnection,
    from: &Touched,
    leaving: &[Moved],
    line: Option<&Line>,
    now: Timestamp,
) -> Result<Option<User>, Trouble> {
    let Some(first) = leaving.first() else { return Err(conflict("Nothing of this link is left.")) };
    let to = revive(statements, from, &first.identity, line, now).await?;
    for Moved { identity, position } in leaving {
        let update = sqlx::query(MOVE_ONE)
            .bind(&identity.connection)
            .bind(&identity.user_id)
            .bind(&from.user_id)
            .bind(&to)
            .bind(position - first.position);
        update.execute(&mut *statements).await?;
        // They were given to the account that it leaves.
        let forget = sqlx::query(FORGET_TOKENS).bind(&identity.connection).bind(&identity.user_id);
        forget.execute(&mut *statements).await?;
        journal::leave(statements, identity, &from.user_id, line.map(|line| (line, to.as_str()))).await?;
    }
    if let Some(line) = line {
        journal::undone(statements, line, now).await?;
    }
    // Whoever holds one may have got it by what belongs to somebody else now.
    users::end_families(statements, &from.user_id).await?;
    users::user(statements, &to).await
}

/// Makes the user again that a line has kept, or else a bare one, and answers its id. Parting unblocks nobody.
async fn revive(
    statements: &mut AnyConnection,
    from: &Touched,
    first: &Identity,
    line: Option<&Line>,
    now: Timestamp,
) -> Result<String, Trouble> {
    let kept = |member: &str| line.and_then(|line| line.kept.get(member));
    let written = |member: &str, nothing: &str| kept(member).map_or_else(|| nothing.to_owned(), Value::to_string);
    let row = NewRow {
        blocked: from.blocked || kept("blocked").and_then(Value::as_bool).unwrap_or_default(),
        created_at: kept("created_at").and_then(Value::as_i64).map_or(now, Timestamp::from_millis),
        updated_at: now,
        groups: written("groups", "[]"),
        user_metadata: written("user_metadata", "{}"),
        app_metadata: written("app_metadata", "{}"),
        custom_fields: written("custom_fields", "{}"),
    };
    let former = line.and_then(|line| line.former_user_id.clone());
    for user_id in former.into_iter().chain([first.user_id_for_new_user()]) {
        if users::insert(statements, &user_id, &row).await? {
            return Ok(user_id);
        }
    }
    Err(conflict("The user ids that the identity could have are taken."))
}

fn name(identity: &Identity) -> (String, String) {
    (identity.connection.clone(), identity.user_id.clone())
}

fn conflict(detail: &str) -> Trouble {
    Error::new(ErrorKind::Conflict, detail).into()
}

fn not_found(user_id: &str) -> Trouble {
    Error::new(ErrorKind::NotFound, format!("There is no user {user_id}.")).into()
}
