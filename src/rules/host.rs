//! Runs scripts on threads of its own: the module's front door.

use super::begin::Facts;
use super::cache::Cache;
use super::flow::Flow;
use super::pool::Pool;
use super::requests::Requests;
use super::worker::{Counters, Shared};
use super::{Fetch, LoginInput, Outcome, Scripts, Trigger};
use crate::clock::Timestamp;
use crate::error::Result;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;

/// The threads, and what they share.
pub struct Host {
    pool: Arc<Pool>,
    issuer: String,
}

/// What has happened since the program began, and what happens now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Scripts that ran, those of them that failed, and those of these that exceeded their time.
    pub runs: u64,
    pub failures: u64,
    pub timeouts: u64,
    /// Threads that are stuck in a script and were given up.
    pub abandoned: usize,
    /// Logins that are in scripts, and that wait.
    pub busy: usize,
    pub waiting: usize,
    /// Threads, without those that were given up; 0 before the first login.
    pub threads: usize,
}

impl Host {
    /// `threads` that run scripts; as many logins can be in scripts at once, and a few more wait.
    pub fn new(threads: usize, fetch: Arc<dyn Fetch>) -> Self {
        let requests = Arc::new(Requests::new(fetch));
        let shared = Shared { requests, cache: Arc::new(Cache::default()), counters: Counters::default(), epoch: Instant::now() };
        Self { pool: Pool::new(threads, shared), issuer: String::new() }
    }

    /// The gateway's own address, for `iss` of tokens that actions make, and for `auth0.domain`.
    #[must_use]
    pub fn of_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// Rules, then actions of a login.
    ///
    /// Where the person comes back from elsewhere, the outcome holds what scripts asked for before, too: what is to be
    /// stored is stored once, when an outcome comes that sends nobody away.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Overloaded`] when all threads are busy and enough logins wait already, or too many scripts
    /// do not end. What scripts do wrong is in the outcome.
    pub async fn login(&self, scripts: &Scripts, input: LoginInput) -> Result<Outcome> {
        if !scripts.has_login() && input.resume.is_none() {
            return Ok(Outcome { user: input.user, ..Outcome::default() });
        }
        self.run(Flow::login(scripts, input, self.facts())).await
    }

    /// Actions of [`Trigger::CredentialsExchange`]; `event` without `secrets`.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub async fn credentials_exchange(&self, scripts: &Scripts, event: Map<String, Value>) -> Result<Outcome> {
        self.run(Flow::actions(scripts, Trigger::CredentialsExchange, event, self.facts())).await
    }

    /// Actions of [`Trigger::PreUserRegistration`]; `event` without `secrets`.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub async fn pre_user_registration(&self, scripts: &Scripts, event: Map<String, Value>) -> Result<Outcome> {
        self.run(Flow::actions(scripts, Trigger::PreUserRegistration, event, self.facts())).await
    }

    /// For metrics.
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    async fn run(&self, mut flow: Flow) -> Result<Outcome> {
        if flow.is_over() { Ok(flow.finish()) } else { self.pool.run(flow).await }
    }

    fn facts(&self) -> Facts {
        Facts { issuer: self.issuer.clone(), now: Timestamp::now() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.pool.close();
    }
}
