//! The directory in SQL: one SQL text, for SQLite (one node, no server) and PostgreSQL.
//!
//! This file opens a directory and gives out connections under a time limit; [`logins`], [`users`],
//! [`families`], [`search`] and [`records`] hold the statements, [`connect`] the URLs and migrations, [`pool`] the connections.
//!
//! Texts with a NUL character cannot be kept (PostgreSQL has no such texts): an identity with one is refused as
//! [`ErrorKind::IdpResponseInvalid`], and nobody is found by one.

mod conflicts;
mod connect;
mod consents;
mod families;
mod import;
mod jobs;
mod journal;
mod links;
mod log;
mod logins;
mod objects;
mod own;
mod pool;
mod queue;
mod records;
mod search;
mod transaction;
mod users;

pub use connect::check_url;

use super::{
    AuditEvent, ConflictRecord, ConsentFilter, ConsentRecord, CredentialKind, Directory, ExportStep, FamilyFilter, FoundConsents,
    FoundFamilies, IdentityLogin, ImportKnown, ImportNames, ImportStep, Job, JobAges, JobStatus, Later, LinkEntry, LinkedBy, LogDay,
    LogEvent, LogFilter, LogPage, NewJob, NewUser, ObjectChange, ObjectWrite, QueuedMessage, Recorded, RefreshFamily, Rotation, SavedEntry,
    StoredObject, UserChange, UserLogin,
};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::store::search::{FoundUsers, UserQuery};
use crate::user::{User, UserState};
use connect::{Backend, Target};
use pool::{Held, Pool, Use};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use transaction::is_collision;

/// For every call but the two that write sessions down and read them back.
const LIMIT: Duration = Duration::from_millis(1800);

/// Several nodes may wait for the one that changes large tables.
const MIGRATION_LIMIT: Duration = Duration::from_secs(300);

/// At start and stop only: a store full of sessions takes a while.
const LONG_LIMIT: Duration = Duration::from_secs(30);

/// Opens the directory at `url`, `sqlite:path` or `postgres://..`, and brings its tables up to date.
/// A database that does not answer is [`ErrorKind::StoreUnavailable`] after two seconds; try again if it may be starting.
pub async fn open_directory(url: &str) -> Result<Arc<dyn Directory>> {
    Ok(Arc::new(SqlDirectory::open(url).await?))
}

/// `on!(self, LIMIT, |held| work(&mut held, ..))`: the work of one call as the trait wants it.
macro_rules! on {
    ($self:ident, $limit:expr, |$held:ident| $work:expr) => {
        Box::pin($self.run($limit, move |mut $held: Held<'_>| async move {
            let answer = $work.await;
            ($held, answer)
        }))
    };
}

/// As `on!`, a search.
macro_rules! searching {
    ($self:ident, |$held:ident| $work:expr) => {
        Box::pin($self.search(move |mut $held: Held<'_>| async move {
            let answer = $work.await;
            ($held, answer)
        }))
    };
}

/// Answers already when an identity cannot be stored.
macro_rules! checked {
    ($identity:expr) => {{
        let identity = $identity;
        checked!(&identity.connection, &identity.provider, &identity.user_id);
    }};
    ($connection:expr, $provider:expr, $subject:expr) => {
        if let Err(refusal) = logins::checked($connection, $provider, $subject) {
            return Box::pin(std::future::ready(Err(refusal)));
        }
    };
}

struct SqlDirectory {
    backend: Backend,
    pool: Pool,
    /// For searches, where the database can have more connections.
    searches: Option<Pool>,
    /// The last call found no database that answers. Then one caller at a time tries, and the others are refused.
    down: AtomicBool,
    trying: Mutex<()>,
}

impl SqlDirectory {
    async fn open(url: &str) -> Result<Self> {
        let target = Target::new(url)?;
        let backend = target.backend;
        let searches = Target::for_searches(url)?.map(Pool::new);
        let (pool, down, trying) = (Pool::new(target), AtomicBool::new(false), Mutex::new(()));
        let directory = Self { backend, pool, searches, down, trying };
        // Nothing to migrate, and nothing to wait for, when the server is not there.
        on!(directory, LIMIT, |held| records::ping(&mut held)).await?;
        on!(directory, MIGRATION_LIMIT, |held| connect::migrate(&mut held, backend)).await?;
        let now = Timestamp::now();
        on!(directory, LONG_LIMIT, |held| families::forget_expired(&mut held, now)).await?;
        Ok(directory)
    }

    /// Runs statements on one connection, within `limit`.
    async fn run<'s, T, F>(&'s self, limit: Duration, work: impl Fn(Held<'s>) -> F + Send) -> Result<T>
    where
        F: Future<Output = (Held<'s>, Result<T, Trouble>)> + Send,
    {
        self.answered(timeout(limit, self.attempts(&self.pool, work)), |late| (unavailable(late), true)).await
    }

    /// Runs a search, on connections of its own. That it takes too long tells nothing about the database.
    async fn search<'s, T, F>(&'s self, work: impl Fn(Held<'s>) -> F + Send) -> Result<T>
    where
        F: Future<Output = (Held<'s>, Result<T, Trouble>)> + Send,
    {
        let pool = self.searches.as_ref().unwrap_or(&self.pool);
        let was_down = self.down.load(Ordering::Relaxed);
        self.answered(timeout(LIMIT, self.attempts(pool, work)), |late| (search::took_too_long(late), was_down)).await
    }

    /// Makes an answer of what came of statements, and notes whether the database answers; `late` says both of a time-out.
    async fn answered<T, L>(
        &self,
        answer: impl Future<Output = Result<Result<T, Trouble>, L>> + Send,
        late: impl FnOnce(L) -> (Error, bool) + Send,
    ) -> Result<T> {
        let _only_one = if self.down.load(Ordering::Relaxed) {
            let again = "the database did not answer a moment ago and is being tried again";
            Some(self.trying.try_lock().map_err(|_| unavailable(again))?)
        } else {
            None
        };
        let (answer, down) = match answer.await {
            Ok(Ok(answer)) => (Ok(answer), false),
            Ok(Err(Trouble::Refused(error))) => (Err(error), false),
            Ok(Err(Trouble::Overtaken)) => (Err(unavailable("others were faster each time")), false),
            Ok(Err(Trouble::Sql(error) | Trouble::Unanswered(error))) => {
                let down = is_broken(&error);
                (Err(unavailable(error)), down)
            }
            Err(elapsed) => {
                let (error, down) = late(elapsed);
                (Err(error), down)
            }
        };
        self.down.store(down, Ordering::Relaxed);
        answer
    }

    /// When a connection turns out to be dead (the server was restarted since its last use), the statements run again
    /// on another one. The worst that comes of it is a login counted twice. They also run again when somebody else's got
    /// into their way.
    async fn attempts<'s, T, F>(&'s self, pool: &'s Pool, work: impl Fn(Held<'s>) -> F + Send) -> Result<T, Trouble>
    where
        F: Future<Output = (Held<'s>, Result<T, Trouble>)> + Send,
    {
        let mut left = connect::POSTGRES_CONNECTIONS;
        loop {
            let held = pool.acquire().await?;
            let (mut held, answer) = work(held).await;
            let (broke, again) = match &answer {
                Err(Trouble::Sql(error)) => (is_broken(error), is_broken(error) || is_collision(error)),
                Err(Trouble::Unanswered(_)) => (true, false),
                Err(Trouble::Overtaken) => (false, true),
                Ok(_) | Err(Trouble::Refused(_)) => (false, false),
            };
            held.ended(if broke { Use::Broke } else { Use::Finished });
            if !again || left == 0 {
                return answer;
            }
            left -= 1;
        }
    }
}

impl Directory for SqlDirectory {
    fn record_login<'a>(&'a self, login: &'a IdentityLogin<'a>) -> Later<'a, Recorded> {
        checked!(login.identity);
        on!(self, LIMIT, |held| logins::record_login(&mut held, login))
    }

    fn link_login<'a>(
        &'a self,
        login: &'a IdentityLogin<'a>,
        user_id: &'a str,
        only_match: bool,
        by: &'a LinkedBy,
    ) -> Later<'a, UserLogin> {
        checked!(login.identity);
        on!(self, LIMIT, |held| links::link_login(&mut held, login, user_id, only_match, by))
    }

    fn user_of<'a>(&'a self, connection: &'a str, subject: &'a str) -> Later<'a, Option<User>> {
        on!(self, LIMIT, |held| users::user_of(&mut held, connection, subject))
    }

    fn users_by_email<'a>(&'a self, email: &'a str, limit: usize) -> Later<'a, Vec<User>> {
        on!(self, LIMIT, |held| users::by_email(&mut held, email, limit))
    }

    fn create_user<'a>(&'a self, user: &'a NewUser, now: Timestamp) -> Later<'a, bool> {
        checked!(&user.identity);
        on!(self, LIMIT, |held| users::create(&mut held, user, now))
    }

    fn update_user<'a>(&'a self, user_id: &'a str, seen: Timestamp, change: &'a UserChange, now: Timestamp) -> Later<'a, Option<()>> {
        on!(self, LIMIT, |held| users::update(&mut held, user_id, seen, change, now))
    }

    fn forget_profile<'a>(&'a self, user_id: &'a str, now: Timestamp) -> Later<'a, bool> {
        on!(self, LIMIT, |held| users::forget_profile(&mut held, user_id, now))
    }

    fn set_allows_login<'a>(&'a self, connection: &'a str, subject: &'a str, allows: bool, now: Timestamp) -> Later<'a, bool> {
        on!(self, LIMIT, |held| users::set_allows_login(&mut held, (connection, subject), allows, now))
    }

    fn link_users<'a>(&'a self, user_id: &'a str, other: &'a str, by: &'a LinkedBy, now: Timestamp) -> Later<'a, LinkEntry> {
        on!(self, LIMIT, |held| links::link_users(&mut held, user_id, other, by, now))
    }

    fn unlink<'a>(&'a self, user_id: &'a str, connection: &'a str, subject: &'a str, now: Timestamp) -> Later<'a, Option<User>> {
        on!(self, LIMIT, |held| links::unlink(&mut held, user_id, (connection, subject), now))
    }

    fn undo_link<'a>(&'a self, link_id: &'a str, now: Timestamp) -> Later<'a, Option<User>> {
        on!(self, LIMIT, |held| links::undo_link(&mut held, link_id, now))
    }

    fn links<'a>(&'a self, user_id: &'a str) -> Later<'a, Vec<LinkEntry>> {
        on!(self, LIMIT, |held| journal::of_user(&mut held, user_id))
    }

    fn record_conflict<'a>(&'a self, conflict: &'a ConflictRecord) -> Later<'a, ()> {
        checked!(&conflict.connection, "", &conflict.subject);
        on!(self, LIMIT, |held| conflicts::record(&mut held, conflict))
    }

    fn conflicts(&self, limit: i64) -> Later<'_, Vec<ConflictRecord>> {
        on!(self, LIMIT, |held| conflicts::newest(&mut held, limit))
    }

    fn user<'a>(&'a self, user_id: &'a str) -> Later<'a, Option<User>> {
        on!(self, LIMIT, |held| users::user(&mut held, user_id))
    }

    fn user_state<'a>(&'a self, user_id: &'a str, connection: &'a str, subject: &'a str) -> Later<'a, Option<UserState>> {
        on!(self, LIMIT, |held| users::state(&mut held, user_id, (connection, subject)))
    }

    fn delete_user<'a>(&'a self, user_id: &'a str) -> Later<'a, bool> {
        on!(self, LIMIT, |held| users::delete(&mut held, user_id))
    }

    fn set_blocked<'a>(&'a self, user_id: &'a str, blocked: bool) -> Later<'a, bool> {
        let now = Timestamp::now();
        on!(self, LIMIT, |held| users::set_blocked(&mut held, user_id, blocked, now))
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

    fn use_family<'a>(
        &'a self,
        grant_id: &'a str,
        client_id: &'a str,
        generation: i64,
        now: Timestamp,
    ) -> Later<'a, Option<RefreshFamily>> {
        let token = families::Presented { grant_id, client_id, generation };
        on!(self, LIMIT, |held| families::used(&mut held, token, now))
    }

    fn families<'a>(&'a self, filter: &'a FamilyFilter, now: Timestamp) -> Later<'a, FoundFamilies> {
        on!(self, LIMIT, |held| families::found(&mut held, filter, now))
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

    fn write_objects<'a>(&'a self, writes: &'a [ObjectWrite<'a>], now: Timestamp) -> Later<'a, i64> {
        on!(self, LIMIT, |held| objects::write(&mut held, writes, now))
    }

    fn object<'a>(&'a self, kind: &'a str, id: &'a str) -> Later<'a, Option<StoredObject>> {
        on!(self, LIMIT, |held| objects::one(&mut held, kind, id))
    }

    fn objects<'a>(&'a self, kind: &'a str, after: Option<&'a str>, limit: usize) -> Later<'a, Vec<StoredObject>> {
        on!(self, LIMIT, |held| objects::page(&mut held, kind, after, limit))
    }

    fn objects_since(&self, version: i64, limit: usize) -> Later<'_, Vec<ObjectChange>> {
        on!(self, LIMIT, |held| objects::since(&mut held, version, limit))
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
            if let Some(searches) = &self.searches {
                let _ = timeout(LIMIT, searches.close()).await;
            }
            Ok(())
        })
    }

    fn begin_job<'a>(&'a self, job: &'a NewJob, at_once: i64) -> Later<'a, bool> {
        on!(self, LIMIT, |held| jobs::begin(&mut held, job, at_once))
    }

    fn receive_part<'a>(&'a self, job_id: &'a str, part: i64, users: i64, body: &'a str, lease_until: Timestamp) -> Later<'a, bool> {
        on!(self, LIMIT, |held| jobs::receive_part(&mut held, (job_id, part), users, body, lease_until))
    }

    fn job_received<'a>(&'a self, job_id: &'a str) -> Later<'a, bool> {
        on!(self, LIMIT, |held| jobs::received(&mut held, job_id))
    }

    fn delete_job<'a>(&'a self, job_id: &'a str) -> Later<'a, bool> {
        on!(self, LIMIT, |held| jobs::delete(&mut held, job_id))
    }

    fn job<'a>(&'a self, job_id: &'a str) -> Later<'a, Option<Job>> {
        on!(self, LIMIT, |held| jobs::one(&mut held, job_id))
    }

    fn claim_job<'a>(&'a self, owner: &'a str, now: Timestamp, lease_until: Timestamp) -> Later<'a, Option<Job>> {
        on!(self, LIMIT, |held| jobs::claim(&mut held, owner, now, lease_until))
    }

    fn keep_job<'a>(&'a self, job_id: &'a str, owner: &'a str, lease_until: Timestamp) -> Later<'a, bool> {
        on!(self, LIMIT, |held| jobs::keep(&mut held, job_id, owner, lease_until))
    }

    fn set_job_total<'a>(&'a self, job_id: &'a str, owner: &'a str, total: i64) -> Later<'a, bool> {
        on!(self, LIMIT, |held| jobs::set_total(&mut held, job_id, owner, total))
    }

    fn end_job<'a>(
        &'a self,
        job_id: &'a str,
        owner: &'a str,
        status: JobStatus,
        details: Option<&'a str>,
        now: Timestamp,
    ) -> Later<'a, bool> {
        on!(self, LIMIT, |held| jobs::end(&mut held, (job_id, owner), status, details, now))
    }

    fn job_part<'a>(&'a self, job_id: &'a str, part: i64) -> Later<'a, Option<String>> {
        on!(self, LIMIT, |held| jobs::part(&mut held, job_id, part))
    }

    fn job_errors<'a>(&'a self, job_id: &'a str, after: i64, limit: usize) -> Later<'a, Vec<(i64, String)>> {
        on!(self, LIMIT, |held| jobs::errors(&mut held, job_id, after, limit))
    }

    fn sweep_jobs(&self, ages: JobAges, now: Timestamp) -> Later<'_, ()> {
        on!(self, LONG_LIMIT, |held| jobs::sweep(&mut held, ages, now))
    }

    fn import_known<'a>(&'a self, names: &'a ImportNames<'a>) -> Later<'a, ImportKnown> {
        on!(self, LONG_LIMIT, |held| import::known(&mut held, names))
    }

    fn import_part<'a>(&'a self, step: &'a ImportStep<'a>) -> Later<'a, bool> {
        if let Err(refusal) = import::checked(step) {
            return Box::pin(std::future::ready(Err(refusal)));
        }
        on!(self, LONG_LIMIT, |held| import::part(&mut held, step))
    }

    fn export_page<'a>(&'a self, connection: Option<&'a str>, after: Option<&'a str>, limit: usize) -> Later<'a, Vec<User>> {
        on!(self, LIMIT, |held| import::page(&mut held, connection, after, limit))
    }

    fn count_users<'a>(&'a self, connection: Option<&'a str>) -> Later<'a, i64> {
        on!(self, LONG_LIMIT, |held| import::count(&mut held, connection))
    }

    fn export_part<'a>(&'a self, step: &'a ExportStep<'a>) -> Later<'a, bool> {
        on!(self, LIMIT, |held| jobs::export_part(&mut held, step))
    }

    fn put_credential<'a>(
        &'a self,
        connection: &'a str,
        subject: &'a str,
        kind: CredentialKind,
        sealed: &'a str,
        now: Timestamp,
    ) -> Later<'a, bool> {
        on!(self, LIMIT, |held| import::put_credential(&mut held, (connection, subject), kind, sealed, now))
    }

    fn change_credential<'a>(
        &'a self,
        connection: &'a str,
        subject: &'a str,
        kind: CredentialKind,
        change: (Option<&'a str>, Option<&'a str>),
        now: Timestamp,
    ) -> Later<'a, bool> {
        on!(self, LIMIT, |held| import::change_credential(&mut held, (connection, subject), kind, change, now))
    }

    fn credential<'a>(&'a self, connection: &'a str, subject: &'a str, kind: CredentialKind) -> Later<'a, Option<String>> {
        on!(self, LIMIT, |held| import::credential(&mut held, (connection, subject), kind))
    }

    fn insert_log_events<'a>(&'a self, events: &'a [LogEvent]) -> Later<'a, ()> {
        on!(self, LIMIT, |held| log::insert(&mut held, events))
    }

    fn log_event<'a>(&'a self, log_id: &'a str) -> Later<'a, Option<LogEvent>> {
        on!(self, LIMIT, |held| log::one(&mut held, log_id))
    }

    fn log_events<'a>(&'a self, filter: &'a LogFilter, page: &'a LogPage, limit: usize) -> Later<'a, Vec<LogEvent>> {
        on!(self, LIMIT, |held| log::events(&mut held, filter, page, limit))
    }

    fn log_days(&self, from: Timestamp, to: Timestamp) -> Later<'_, Vec<LogDay>> {
        on!(self, LIMIT, |held| log::days(&mut held, from, to))
    }

    fn active_users(&self, since: Timestamp) -> Later<'_, i64> {
        on!(self, LIMIT, |held| log::active_users(&mut held, since))
    }

    fn forget_log_events(&self, before: Timestamp, limit: i64) -> Later<'_, i64> {
        on!(self, LIMIT, |held| log::forget(&mut held, before, limit))
    }

    fn queue_messages<'a>(&'a self, messages: &'a [QueuedMessage]) -> Later<'a, ()> {
        on!(self, LIMIT, |held| queue::put(&mut held, messages))
    }

    fn claim_message(&self, now: Timestamp, lease_until: Timestamp) -> Later<'_, Option<QueuedMessage>> {
        on!(self, LIMIT, |held| queue::claim(&mut held, now, lease_until))
    }

    fn put_off_message<'a>(&'a self, id: &'a str, attempts: i64, due_at: Timestamp) -> Later<'a, bool> {
        on!(self, LIMIT, |held| queue::put_off(&mut held, id, attempts, due_at))
    }

    fn end_message<'a>(&'a self, id: &'a str) -> Later<'a, bool> {
        on!(self, LIMIT, |held| queue::end(&mut held, id))
    }

    fn put_consent<'a>(&'a self, consent: &'a ConsentRecord) -> Later<'a, ()> {
        on!(self, LIMIT, |held| consents::put(&mut held, consent))
    }

    fn consent<'a>(&'a self, user_id: &'a str, client_id: &'a str, audience: &'a str) -> Later<'a, Option<ConsentRecord>> {
        on!(self, LIMIT, |held| consents::one(&mut held, user_id, client_id, audience))
    }

    fn consents<'a>(&'a self, filter: &'a ConsentFilter) -> Later<'a, FoundConsents> {
        on!(self, LIMIT, |held| consents::found(&mut held, filter))
    }

    fn end_consent<'a>(&'a self, consent_id: &'a str) -> Later<'a, bool> {
        on!(self, LIMIT, |held| consents::end(&mut held, consent_id))
    }

    fn find_users<'a>(&'a self, query: &'a UserQuery) -> Later<'a, FoundUsers> {
        if let Err(refusal) = search::checked(query) {
            return Box::pin(std::future::ready(Err(refusal)));
        }
        searching!(self, |held| search::find(&mut held, self.backend, query))
    }

    fn users_after<'a>(&'a self, after: Option<&'a str>, connection: Option<&'a str>, limit: usize) -> Later<'a, Vec<User>> {
        searching!(self, |held| search::after(&mut held, self.backend, after, connection, limit))
    }
}

/// Why statements did not give an answer.
enum Trouble {
    Sql(sqlx::Error),
    /// The connection broke while a transaction was being committed. It may have happened, so it is not tried again.
    Unanswered(sqlx::Error),
    /// Somebody else changed what the statements had looked at. Nothing was done; they may run again.
    Overtaken,
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

/// A text that PostgreSQL takes.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

#[cfg(test)]
mod tests;
