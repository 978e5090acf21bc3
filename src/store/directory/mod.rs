//! The directory in SQL: one SQL text, for SQLite (one node, no server) and PostgreSQL.
//!
//! This file opens a directory and gives out connections under a time limit; [`users`], [`families`] and
//! [`records`] hold the statements, [`connect`] the URLs and migrations.
//!
//! Texts with a NUL character cannot be kept (PostgreSQL has no such texts): an identity with one is refused as
//! [`ErrorKind::IdpResponseInvalid`], and nobody is found by one.

mod connect;
mod families;
mod records;
mod users;

pub use connect::check_url;

use super::{AuditEvent, Directory, IdentityLogin, Later, RefreshFamily, Rotation, SavedEntry, UserLogin};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::user::User;
use connect::Backend;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// For every call but the two that write sessions down and read them back.
const LIMIT: Duration = Duration::from_millis(1800);

/// At start and stop only: a store full of sessions takes a while.
const LONG_LIMIT: Duration = Duration::from_secs(30);

/// Opens the directory at `url`, `sqlite:path` or `postgres://..`, and brings its tables up to date.
/// A database that does not answer is [`ErrorKind::StoreUnavailable`] after two seconds; try again if it may be starting.
pub async fn open_directory(url: &str) -> Result<Arc<dyn Directory>> {
    Ok(Arc::new(SqlDirectory::open(url).await?))
}

struct SqlDirectory {
    pool: AnyPool,
    backend: Backend,
}

impl SqlDirectory {
    async fn open(url: &str) -> Result<Self> {
        let (pool, backend) = connect::open(url).await?;
        let directory = Self { pool, backend };
        let now = Timestamp::now();
        let forget = |mut held: Held| async move {
            let answer = families::forget_expired(&mut held, now).await;
            (held, answer)
        };
        directory.run(LONG_LIMIT, forget).await?;
        Ok(directory)
    }

    /// Runs statements on one connection, within `limit`. When the connection turns out to be dead (the server was
    /// restarted since its last use), they run again on another one.
    async fn run<T, F>(&self, limit: Duration, work: impl Fn(Held) -> F + Send) -> Result<T>
    where
        F: Future<Output = (Held, Result<T, Trouble>)> + Send,
    {
        let attempts = async {
            for left in (0..=connect::MOST_CONNECTIONS).rev() {
                let connection = self.pool.acquire().await.map_err(unavailable)?;
                let (mut held, answer) = work(Held { connection: Some(connection), backend: self.backend, sound: false }).await;
                held.sound = !matches!(&answer, Err(Trouble::Sql(error)) if is_broken(error));
                match answer {
                    Ok(answer) => return Ok(answer),
                    Err(Trouble::Refused(error)) => return Err(error),
                    Err(Trouble::Sql(error)) if held.sound || left == 0 => return Err(unavailable(error)),
                    Err(Trouble::Sql(_)) => {}
                }
            }
            Err(unavailable("every connection was broken"))
        };
        timeout(limit, attempts).await.unwrap_or_else(|late| Err(unavailable(late)))
    }
}

/// `on!(self, LIMIT, |held| work(&mut held, ..))`: the work of one call as the trait wants it.
macro_rules! on {
    ($self:ident, $limit:expr, |$held:ident| $work:expr) => {
        Box::pin($self.run($limit, move |mut $held: Held| async move {
            let answer = $work.await;
            ($held, answer)
        }))
    };
}

impl Directory for SqlDirectory {
    fn record_login<'a>(&'a self, login: &'a IdentityLogin<'a>) -> Later<'a, UserLogin> {
        match users::checked(login) {
            Ok(profile) => Box::pin(async move {
                let profile = profile.as_str();
                on!(self, LIMIT, |held| users::record_login(&mut held, login, profile)).await
            }),
            Err(refusal) => Box::pin(std::future::ready(Err(refusal))),
        }
    }

    fn user<'a>(&'a self, user_id: &'a str) -> Later<'a, Option<User>> {
        on!(self, LIMIT, |held| users::user(&mut held, user_id))
    }

    fn delete_user<'a>(&'a self, user_id: &'a str) -> Later<'a, bool> {
        on!(self, LIMIT, |held| users::delete(&mut held, user_id))
    }

    fn set_blocked<'a>(&'a self, user_id: &'a str, blocked: bool) -> Later<'a, bool> {
        on!(self, LIMIT, |held| users::set_blocked(&mut held, user_id, blocked))
    }

    fn put_family<'a>(&'a self, family: &'a RefreshFamily) -> Later<'a, ()> {
        on!(self, LIMIT, |held| families::put(&mut held, family))
    }

    fn rotate_family<'a>(
        &'a self,
        grant_id: &'a str,
        client_id: &'a str,
        generation: i64,
        now: Timestamp,
        grace: i64,
    ) -> Later<'a, Rotation> {
        let token = families::Presented { grant_id, client_id, generation };
        on!(self, LIMIT, |held| families::rotate(&mut held, token, now, grace))
    }

    fn revoke_family<'a>(&'a self, grant_id: &'a str) -> Later<'a, ()> {
        on!(self, LIMIT, |held| families::revoke(&mut held, grant_id))
    }

    fn audit<'a>(&'a self, event: &'a AuditEvent) -> Later<'a, ()> {
        on!(self, LIMIT, |held| records::audit(&mut held, event))
    }

    fn audit_events(&self, limit: i64) -> Later<'_, Vec<AuditEvent>> {
        on!(self, LIMIT, |held| records::audit_events(&mut held, limit))
    }

    fn save_sessions<'a>(&'a self, entries: &'a [SavedEntry]) -> Later<'a, ()> {
        on!(self, LONG_LIMIT, |held| records::save_sessions(&mut held, entries))
    }

    fn take_sessions(&self) -> Later<'_, Vec<SavedEntry>> {
        on!(self, LONG_LIMIT, |held| records::take_sessions(&mut held))
    }

    fn ping(&self) -> Later<'_, ()> {
        on!(self, LIMIT, |held| records::ping(&mut held))
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            // A server that hangs must not keep this program from stopping.
            let _ = timeout(LIMIT, self.pool.close()).await;
            Ok(())
        })
    }
}

/// A connection in use. One that broke, or whose caller ran out of time in the middle of an answer, does not go
/// back to the pool: the next user would wait for the rest of that answer, or for a dead server.
struct Held {
    connection: Option<PoolConnection<Any>>,
    backend: Backend,
    sound: bool,
}

impl Deref for Held {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        self.connection.as_ref().expect("present until dropped")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("present until dropped")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SQLite has no server that could hang, and an in-memory database lives no longer than its connection.
        if !self.sound && self.backend == Backend::Postgres {
            drop(self.connection.take().map(PoolConnection::detach));
        }
    }
}

/// Why statements did not give an answer.
enum Trouble {
    Sql(sqlx::Error),
    /// An answer after all, and the answer is no.
    Refused(Error),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Did the connection break, as opposed to the statement being refused? 57P: the server shuts down or starts up.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::StoreUnavailable, "The directory does not answer.").because(source)
}

/// The database holds what this program did not write.
fn unreadable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Trouble {
    Error::new(ErrorKind::Internal, "The directory holds something unreadable.").because(source).into()
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

#[cfg(test)]
mod tests;
