//! Searching and listing users.
//!
//! A search finds user ids in tables of its own, which hold nothing but what is compared: `search_users` (the primary
//! identity), `search_activity` (logins of all identities) and `search_values` (metadata). Users are then read whole.
//! [`statement`] makes SQL of a filter, [`stored`] writes what is compared.
//!
//! By an index are found: whole texts, beginnings and ranges of `email`, `email.domain`, `name`, `given_name`,
//! `family_name`, `nickname`, `username` and `user_id`; `identities.connection`; `created_at`, `last_login` and
//! `logins_count`; `blocked:true`; whole values, beginnings and ranges in metadata. In an `AND`, one such term is enough. The rest looks at
//! every user: wildcards at the beginning, `phone_number`, `picture`, other flags, `updated_at`, `identities.provider`,
//! `identities.user_id`, `_exists_`, and everything under `NOT`.
//!
//! Searches have connections of their own, so that a slow one does not keep logins waiting; one that takes longer than
//! other calls may is given up, which says nothing about the database. SQLite then still finishes what it began, and
//! other searches wait for it.

mod statement;
mod stored;

pub(super) use stored::{add_values, fill, keys, put_values, root_keys};

use super::connect::Backend;
use super::{Trouble, has_nul, users};
use crate::error::{Error, ErrorKind};
use crate::store::search::{FoundUsers, MOST_FOUND, MOST_LISTED, MOST_REACHED, UserQuery};
use crate::user::User;
use sqlx::AnyConnection;
use statement::Statement;

/// Can this be answered at all?
pub(super) fn checked(query: &UserQuery) -> Result<(), Error> {
    if query.limit > MOST_FOUND {
        return Err(Error::new(ErrorKind::InvalidRequest, format!("A page has at most {MOST_FOUND} users.")));
    }
    if query.offset.saturating_add(query.limit) > MOST_REACHED {
        let detail = format!("Only the first {MOST_REACHED} users can be paged through; narrow the search, or export the users.");
        return Err(Error::new(ErrorKind::InvalidRequest, detail));
    }
    Ok(())
}

pub(super) async fn find(connection: &mut AnyConnection, backend: Backend, query: &UserQuery) -> Result<FoundUsers, Trouble> {
    let ids = Statement::page(backend, query).ids(&mut *connection).await.map_err(in_time)?;
    // A page that is not full ends the list, and says how long it is.
    let last = ids.len() < query.limit && (query.offset == 0 || !ids.is_empty());
    let total = match (query.count, last) {
        (false, _) => None,
        (true, true) => i64::try_from(query.offset + ids.len()).ok(),
        (true, false) => Some(Statement::count(backend, query.filter.as_ref()).number(&mut *connection).await.map_err(in_time)?),
    };
    Ok(FoundUsers { users: in_order(connection, backend, &ids).await?, total })
}

pub(super) async fn after(
    connection: &mut AnyConnection,
    backend: Backend,
    after: Option<&str>,
    name: Option<&str>,
    limit: usize,
) -> Result<Vec<User>, Trouble> {
    if [after, name].into_iter().flatten().any(has_nul) {
        return Ok(Vec::new());
    }
    let list = Statement::after(backend, after, name, limit.min(MOST_LISTED));
    let ids = list.ids(&mut *connection).await.map_err(in_time)?;
    in_order(connection, backend, &ids).await
}

/// The users of these ids. Who was deleted meanwhile is left out.
async fn in_order(connection: &mut AnyConnection, backend: Backend, ids: &[String]) -> Result<Vec<User>, Trouble> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut found: std::collections::HashMap<String, User> =
        users::by_ids(connection, backend, ids).await.map_err(of_trouble)?.into_iter().map(|user| (user.user_id.clone(), user)).collect();
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// The answer to a search that was given up.
pub(super) fn took_too_long(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::StoreUnavailable, "The search took too long. Search for something that fewer users have.").because(source)
}

/// 57014: the server ended the statement, because of its time limit.
fn in_time(error: sqlx::Error) -> Trouble {
    match &error {
        sqlx::Error::Database(reason) if reason.code().is_some_and(|code| code == "57014") => took_too_long(error).into(),
        _ => error.into(),
    }
}

fn of_trouble(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Sql(error) => in_time(error),
        other => other,
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
