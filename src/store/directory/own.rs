//! What people have at connections that are the gateway's own: an address and a username that nobody else has there.

use super::users::{findable, written};
use super::{Trouble, logins, search};
use crate::error::{Error, ErrorKind};
use crate::store::OwnProfile;
use sqlx::AnyConnection;

/// From here to the end of the transaction nobody else, and no import, gives addresses and usernames of this connection.
pub(super) struct Turn {
    name: String,
    /// Another identity has the address or the username.
    pub(super) is_taken: bool,
}

const EMAIL_TAKEN: &str = "SELECT COUNT(*) FROM identities WHERE connection = $1 AND email = $3 AND subject <> $2";

const USERNAME_TAKEN: &str = "SELECT COUNT(*) FROM usernames WHERE connection = $1 AND username = $3 AND subject <> $2";

const CHANGE: &str = "UPDATE identities SET profile = $3, email = $4, email_verified = $5, keys = $7 WHERE connection = $1 AND subject = $2 \
    AND user_id = $6";

pub(super) async fn take_turn(statements: &mut AnyConnection, connection: &str, subject: &str, own: &OwnProfile) -> Result<Turn, Trouble> {
    // The name that imports have too.
    let name = format!("import {connection}");
    logins::take_turn(statements, &name).await?;
    let mut is_taken = false;
    for (query, value) in [(EMAIL_TAKEN, findable(own.email.as_deref())), (USERNAME_TAKEN, own.username.as_deref())] {
        if let Some(value) = value {
            let others: i64 = sqlx::query_scalar(query).bind(connection).bind(subject).bind(value).fetch_one(&mut *statements).await?;
            is_taken |= others > 0;
        }
    }
    Ok(Turn { name, is_taken })
}

impl Turn {
    pub(super) async fn end(self, statements: &mut AnyConnection) -> Result<(), Trouble> {
        logins::end_turn(statements, Some(&self.name)).await
    }
}

/// Replaces what an identity of a user has.
pub(super) async fn change(
    statements: &mut AnyConnection,
    (connection, subject, user_id): (&str, &str, &str),
    own: &OwnProfile,
) -> Result<(), Trouble> {
    let profile = written(&own.profile)?;
    let keys = search::keys(&profile, own.email.as_deref())?;
    let change = sqlx::query(CHANGE).bind(connection).bind(subject).bind(profile);
    let change = change.bind(findable(own.email.as_deref())).bind(i64::from(own.email_verified)).bind(user_id).bind(keys);
    if change.execute(&mut *statements).await?.rows_affected() == 0 {
        return Err(Error::new(ErrorKind::Conflict, "Somebody else has changed this user meanwhile.").into());
    }
    set_username(statements, connection, subject, own).await
}

pub(super) async fn set_username(statements: &mut AnyConnection, connection: &str, subject: &str, own: &OwnProfile) -> Result<(), Trouble> {
    let forget = sqlx::query("DELETE FROM usernames WHERE connection = $1 AND subject = $2").bind(connection).bind(subject);
    forget.execute(&mut *statements).await?;
    if let Some(username) = &own.username {
        let insert = sqlx::query("INSERT INTO usernames (connection, username, subject) VALUES ($1, $2, $3)");
        insert.bind(connection).bind(username).bind(subject).execute(statements).await?;
    }
    Ok(())
}
