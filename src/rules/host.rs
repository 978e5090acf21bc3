//! Runs scripts on threads of its own.

use super::{Fetch, LoginInput, Outcome, Scripts};
use crate::error::Result;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The threads, and what they share.
pub struct Host {
    _fetch: Arc<dyn Fetch>,
}

impl Host {
    /// `threads` that run scripts; as many logins can be in scripts at once, and a few more wait.
    pub fn new(threads: usize, fetch: Arc<dyn Fetch>) -> Self {
        let _ = threads;
        Self { _fetch: fetch }
    }

    /// Rules, then actions of a login.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Overloaded`] when all threads are busy and enough logins wait already. What scripts do
    /// wrong is in the outcome.
    pub async fn login(&self, _scripts: &Scripts, input: LoginInput) -> Result<Outcome> {
        Ok(Outcome { user: input.user, ..Outcome::default() })
    }

    /// Actions of [`super::Trigger::CredentialsExchange`]; `event` without `secrets`.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub async fn credentials_exchange(&self, _scripts: &Scripts, _event: Map<String, Value>) -> Result<Outcome> {
        Ok(Outcome::default())
    }

    /// Actions of [`super::Trigger::PreUserRegistration`]; `event` without `secrets`.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub async fn pre_user_registration(&self, _scripts: &Scripts, _event: Map<String, Value>) -> Result<Outcome> {
        Ok(Outcome::default())
    }
}
