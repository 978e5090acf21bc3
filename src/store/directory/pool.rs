//! A few connections, given out one user at a time.
//!
//! Smaller than the pool of sqlx, which asks the server whether a connection still works each time that it is given
//! back, and so nearly doubles the work of a login. Here a connection that broke is not given back, and one that broke
//! while idle is replaced by whoever finds it so.

use super::connect::{Backend, Target};
use sqlx::{AnyConnection, Connection as _};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(super) struct Pool {
    target: Target,
    idle: Mutex<Vec<AnyConnection>>,
    permits: Semaphore,
}

impl Pool {
    pub(super) fn new(target: Target) -> Self {
        let permits = Semaphore::new(target.connections);
        Self { target, idle: Mutex::default(), permits }
    }

    /// An idle connection or else a new one; waits while all are in use.
    pub(super) async fn acquire(&self) -> Result<Held<'_>, sqlx::Error> {
        let permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.target.connect().await?,
        };
        Ok(Held { connection: Some(connection), pool: self, outcome: Use::Unfinished, _permit: permit })
    }

    /// Waits for the users, lets nobody in any more and closes the connections.
    pub(super) async fn close(&self) {
        let everybody = u32::try_from(self.target.connections).unwrap_or(u32::MAX);
        let all = self.permits.acquire_many(everybody).await;
        self.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // Nobody is left to whom a failure would matter.
            let _ = connection.close().await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<AnyConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use.
pub(super) struct Held<'p> {
    connection: Option<AnyConnection>,
    pool: &'p Pool,
    outcome: Use,
    /// Given back after the connection, so that whoever waits for it finds an idle one.
    _permit: SemaphorePermit<'p>,
}

/// How the use of a connection went.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The caller ran out of time, or went away, in the middle of an answer.
    Unfinished,
    Finished,
    Broke,
}

impl Held<'_> {
    pub(super) fn ended(&mut self, how: Use) {
        self.outcome = how;
    }
}

impl Deref for Held<'_> {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        self.connection.as_ref().expect("present until dropped")
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("present until dropped")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // After an unfinished answer the next user would wait for its rest, or for a dead server. SQLite has no
        // server, its statements end by themselves, and an in-memory database lives no longer than its connection.
        let keep = match self.outcome {
            Use::Finished => true,
            Use::Unfinished => self.pool.target.backend == Backend::Sqlite,
            Use::Broke => false,
        };
        if keep {
            self.pool.idle().push(connection);
        }
    }
}
