//! Logins. That of somebody known is one statement. It finds nothing when the user is blocked or the identity does not
//! allow logins, so that what the identity provider says then changes nothing here; the rare rest is sorted out in
//! further statements.

use super::transaction::{End, transaction};
use super::users::{self, NewRow, findable, flag};
use super::{Trouble, conflicts, has_nul, search, unreadable};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{IdentityLogin, IfUnknown, MATCHES, PrimaryIdentity, Recorded, UserLogin};
use crate::user::{Identity, ProfileSync};
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// In bytes. PostgreSQL's index entries end at about 2700, and the new user's id is a little longer.
const LONGEST_SUBJECT: usize = 2000;

/// What a [`UserLogin`] is made of, of a row of `identities`. Texts that are read together are joined as a JSON array.
/// The primary identity is looked for only where this is another one.
macro_rules! of_an_identity {
    () => {
        "user_id, logins_count, root, \
         (SELECT '[' || u.user_metadata || ',' || u.app_metadata || ',' || u.custom_fields || ',' || u.groups || ']' \
            FROM users u WHERE u.user_id = identities.user_id) AS given, \
         (SELECT string_agg('[' || o.position || ',' || o.groups || ']', ',') FROM identities o \
            WHERE o.user_id = identities.user_id AND o.position <> identities.position) AS linked_groups, \
         CASE WHEN position = 0 THEN NULL ELSE (SELECT p.connection FROM identities p \
            WHERE p.user_id = identities.user_id AND p.position = 0) END AS primary_connection, \
         CASE WHEN position = 0 THEN NULL ELSE (SELECT p.subject FROM identities p \
            WHERE p.user_id = identities.user_id AND p.position = 0) END AS primary_subject, \
         CASE WHEN position = 0 THEN NULL ELSE (SELECT '[' || p.profile || ',' || p.root || ']' FROM identities p \
            WHERE p.user_id = identities.user_id AND p.position = 0) END AS primary_profile"
    };
}

/// `$5`: 2 to replace the root attributes, 1 to do so if nobody has come yet, 0 to keep them.
const KNOWN: &str = concat!(
    "UPDATE identities SET profile = $3, last_login = $4, logins_count = logins_count + 1, \
        root = CASE WHEN $5 = 2 OR ($5 = 1 AND last_login = 0) THEN $6 ELSE root END, \
        groups = $7, email = $8, email_verified = $9, keys = $10, \
        root_keys = CASE WHEN $5 = 2 OR ($5 = 1 AND last_login = 0) THEN $11 ELSE root_keys END \
     WHERE connection = $1 AND subject = $2 AND allows_login = 1 \
        AND (SELECT u.blocked FROM users u WHERE u.user_id = identities.user_id) = 0 \
     RETURNING ",
    of_an_identity!()
);

/// The login of an account that is kept here.
const KNOWN_HERE: &str = concat!(
    "UPDATE identities SET last_login = $3, logins_count = logins_count + 1 \
     WHERE connection = $1 AND subject = $2 AND allows_login = 1 \
        AND (SELECT u.blocked FROM users u WHERE u.user_id = identities.user_id) = 0 \
     RETURNING ",
    of_an_identity!()
);

const FIND: &str = concat!(
    "SELECT allows_login, (SELECT u.blocked FROM users u WHERE u.user_id = identities.user_id) AS blocked, ",
    of_an_identity!(),
    " FROM identities WHERE connection = $1 AND subject = $2"
);

const NEW_IDENTITY: &str = "INSERT INTO identities \
    (connection, subject, user_id, position, provider, is_social, created_at, last_login, logins_count, \
     profile, root, groups, email, email_verified, allows_login, keys, root_keys) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (connection, subject) DO NOTHING";

/// One statement, so that nobody is deleted between two.
const STRANGERS: &str = "SELECT COUNT(*) FROM users u WHERE u.user_id = $1 \
    AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.connection = $2 AND i.subject = $3)";

const OWNER: &str = "SELECT user_id FROM identities WHERE connection = $1 AND subject = $2";

/// Waits until no other transaction decides about this address.
const TAKE_TURN: &str = "INSERT INTO email_turns (email) VALUES ($1) ON CONFLICT (email) DO UPDATE SET email = excluded.email";

const END_TURN: &str = "DELETE FROM email_turns WHERE email = $1";

/// Can an identity be stored?
pub(super) fn checked(connection: &str, provider: &str, subject: &str) -> Result<()> {
    if [connection, provider, subject].into_iter().any(has_nul) {
        return Err(Error::new(ErrorKind::IdpResponseInvalid, "The subject holds a NUL character."));
    }
    if connection.len() + provider.len() + subject.len() > LONGEST_SUBJECT {
        return Err(Error::new(ErrorKind::IdpResponseInvalid, format!("The subject is longer than {LONGEST_SUBJECT} bytes.")));
    }
    Ok(())
}

pub(super) async fn record_login(connection: &mut AnyConnection, login: &IdentityLogin<'_>) -> Result<Recorded, Trouble> {
    match repeated_login(connection, login).await? {
        Some(answer) => Ok(Recorded::Login(Box::new(answer))),
        None if login.kept_here => Err(Error::new(ErrorKind::AccessDenied, "The account is not there any more.").into()),
        None => first_login(connection, login).await,
    }
}

/// The login of an identity that somebody has; `None` when nobody has it.
pub(super) async fn repeated_login(connection: &mut AnyConnection, login: &IdentityLogin<'_>) -> Result<Option<UserLogin>, Trouble> {
    if let Some(known) = known_login(connection, login).await? {
        return Ok(Some(known));
    }
    match found_login(connection, login.identity).await? {
        // Made or let in between the two statements, or moved to a user that the first could not see yet.
        Some(found) if !found.blocked && found.allows_login => Err(Trouble::Overtaken),
        found => Ok(found),
    }
}

async fn known_login(connection: &mut AnyConnection, login: &IdentityLogin<'_>) -> Result<Option<UserLogin>, Trouble> {
    if login.kept_here {
        let update = sqlx::query(KNOWN_HERE).bind(&login.identity.connection).bind(&login.identity.user_id).bind(login.now.millis());
        return update.fetch_all(connection).await?.first().map(|row| user_login(row, false, true)).transpose();
    }
    let root = match login.sync {
        ProfileSync::OnEachLogin => 2_i64,
        ProfileSync::OnFirstLogin => 1,
        ProfileSync::NeverOnLogin => 0,
    };
    let update = sqlx::query(KNOWN)
        .bind(&login.identity.connection)
        .bind(&login.identity.user_id)
        .bind(login.profile.get())
        .bind(login.now.millis())
        .bind(root)
        .bind(login.root)
        .bind(login.groups)
        .bind(findable(login.email))
        .bind(i64::from(login.email_verified))
        .bind(search::keys(login.profile.get(), login.email)?)
        .bind(search::root_keys(login.root)?);
    // All rows and not the first: only the end of the statement tells that it was committed.
    update.fetch_all(connection).await?.first().map(|row| user_login(row, false, true)).transpose()
}

/// The answer to a login that changes nothing.
pub(super) async fn found_login(connection: &mut AnyConnection, identity: &Identity) -> Result<Option<UserLogin>, Trouble> {
    let find = sqlx::query(FIND).bind(&identity.connection).bind(&identity.user_id);
    let found = find.fetch_optional(connection).await?;
    found.map(|row| user_login(&row, flag(&row, "blocked")?, flag(&row, "allows_login")?)).transpose()
}

fn user_login(row: &AnyRow, blocked: bool, allows_login: bool) -> Result<UserLogin, Trouble> {
    let (user_metadata, app_metadata, custom_fields, assigned_groups) = users::json(row, "given")?;
    let linked_groups = match row.try_get("linked_groups")? {
        Some(lists) => in_order(lists)?,
        None => Vec::new(),
    };
    let primary = match row.try_get("primary_connection")? {
        Some(connection) => {
            let (profile, root) = users::json(row, "primary_profile")?;
            Some(PrimaryIdentity { connection, subject: row.try_get("primary_subject")?, profile, root })
        }
        None => None,
    };
    Ok(UserLogin {
        user_id: row.try_get("user_id")?,
        created: false,
        blocked,
        allows_login,
        logins_count: row.try_get("logins_count")?,
        root: users::json(row, "root")?,
        primary,
        linked_groups,
        assigned_groups,
        user_metadata,
        app_metadata,
        custom_fields,
    })
}

/// From `[position, groups]` of several identities: sorting them in the database would make every login slower.
fn in_order(lists: &str) -> Result<Vec<String>, Trouble> {
    let mut lists: Vec<(i64, Vec<String>)> = serde_json::from_str(&format!("[{lists}]")).map_err(unreadable)?;
    lists.sort_by_key(|(position, _)| *position);
    Ok(lists.into_iter().flat_map(|(_, groups)| groups).collect())
}

/// Makes user and identity, unless the address is taken.
async fn first_login(connection: &mut AnyConnection, login: &IdentityLogin<'_>) -> Result<Recorded, Trouble> {
    let IdentityLogin { identity, now, .. } = login;
    let user_id = identity.user_id_for_new_user();
    let email = match login.unknown {
        IfUnknown::MakeUser => None,
        IfUnknown::MakeUserUnlessEmailIsTaken => findable(login.email),
    };
    transaction(connection, async |statements| {
        if let Some(email) = email {
            take_turn(statements, email).await?;
            // Whoever had the turn before may have made this very identity, or a user with its address.
            if owner(statements, identity).await?.is_some() {
                return Err(Trouble::Overtaken);
            }
            let users = users::by_email(statements, email, MATCHES).await?;
            if !users.is_empty() {
                return Ok(End::RollBack(Recorded::Taken(users)));
            }
        }
        if !users::insert(statements, &user_id, &NewRow::bare(*now)).await? {
            return Err(why_taken(statements, identity, &user_id).await?);
        }
        if !insert_identity(statements, login, &user_id, 0, true).await? {
            return Err(Trouble::Overtaken);
        }
        conflicts::forget(statements, identity).await?;
        end_turn(statements, email).await?;
        Ok(End::Commit(Recorded::Login(Box::new(new_user_login(login, user_id.clone())?))))
    })
    .await
}

/// The user id of a new user is taken: usually by whom somebody else has just made.
async fn why_taken(statements: &mut AnyConnection, identity: &Identity, user_id: &str) -> Result<Trouble, Trouble> {
    let strangers = sqlx::query_scalar(STRANGERS).bind(user_id).bind(&identity.connection).bind(&identity.user_id);
    let strangers: i64 = strangers.fetch_one(statements).await?;
    // Joining them by a guess could give somebody another's account.
    let stranger = || Error::new(ErrorKind::Internal, "The new user's id belongs to another user.").into();
    Ok(if strangers > 0 { stranger() } else { Trouble::Overtaken })
}

fn new_user_login(login: &IdentityLogin<'_>, user_id: String) -> Result<UserLogin, Trouble> {
    Ok(UserLogin {
        user_id,
        created: true,
        blocked: false,
        allows_login: login.allows_login,
        logins_count: 1,
        root: serde_json::from_str(root_of_new(login)).map_err(unreadable)?,
        primary: None,
        linked_groups: Vec::new(),
        assigned_groups: Vec::new(),
        user_metadata: Map::new(),
        app_metadata: Map::new(),
        custom_fields: Map::<String, Value>::new(),
    })
}

/// Gives a new identity to a user; false when somebody has it. `came`: with a login, and not beforehand.
pub(super) async fn insert_identity(
    statements: &mut AnyConnection,
    login: &IdentityLogin<'_>,
    user_id: &str,
    position: i64,
    came: bool,
) -> Result<bool, Trouble> {
    let now = login.now.millis();
    let insert = sqlx::query(NEW_IDENTITY)
        .bind(&login.identity.connection)
        .bind(&login.identity.user_id)
        .bind(user_id)
        .bind(position)
        .bind(&login.identity.provider)
        .bind(i64::from(login.identity.is_social))
        .bind(now)
        .bind(if came { now } else { 0 })
        .bind(i64::from(came))
        .bind(login.profile.get())
        .bind(root_of_new(login))
        .bind(login.groups)
        .bind(findable(login.email))
        .bind(i64::from(login.email_verified))
        .bind(i64::from(login.allows_login))
        .bind(search::keys(login.profile.get(), login.email)?)
        .bind(search::root_keys(root_of_new(login))?);
    Ok(insert.execute(statements).await?.rows_affected() > 0)
}

fn root_of_new<'a>(login: &IdentityLogin<'a>) -> &'a str {
    match login.sync {
        ProfileSync::OnEachLogin | ProfileSync::OnFirstLogin => login.root,
        ProfileSync::NeverOnLogin => "{}",
    }
}

/// Who has an identity.
pub(super) async fn owner(statements: &mut AnyConnection, identity: &Identity) -> Result<Option<String>, Trouble> {
    let owner = sqlx::query_scalar(OWNER).bind(&identity.connection).bind(&identity.user_id);
    Ok(owner.fetch_optional(statements).await?)
}

/// From here to the end of the transaction nobody else decides about this address.
pub(super) async fn take_turn(statements: &mut AnyConnection, email: &str) -> Result<(), Trouble> {
    sqlx::query(TAKE_TURN).bind(email).execute(statements).await?;
    Ok(())
}

/// Removes what held the turn, just before the transaction ends; whoever waits goes on waiting until it has.
pub(super) async fn end_turn(statements: &mut AnyConnection, email: Option<&str>) -> Result<(), Trouble> {
    if let Some(email) = email {
        sqlx::query(END_TURN).bind(email).execute(statements).await?;
    }
    Ok(())
}
