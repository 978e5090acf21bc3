//! A database as a connection: name and password are typed into our page, and the accounts say whose they are.

use super::custom::CustomAccounts;
use super::own::OwnAccounts;
use super::settings::DatabaseSettings;
use super::{Account, AccountError, Accounts};
use crate::clock::Timestamp;
use crate::connection::config::{ConnectionConfig, ConnectionKind, PASSWORD_CONTEXT};
use crate::connection::password::{self, NotProven, Proving, Typed, Unproven};
use crate::connection::{Authentication, BrowserStep, Connection, Refused, UpstreamRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Keyring;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{PendingAuthn, TimeBy, UpstreamSession};
use crate::profile::{Fact, RawAttributes};
use crate::store::Directory;
use serde_json::Value;
use std::sync::Arc;

/// One database.
pub struct DatabaseConnection {
    config: ConnectionConfig,
    settings: Arc<DatabaseSettings>,
    issuer: String,
    accounts: Arc<dyn Accounts>,
}

impl DatabaseConnection {
    /// `issuer`: our public address, without a trailing slash.
    ///
    /// # Errors
    /// When the connection is no database, or there can be no HTTP client.
    pub fn new(config: ConnectionConfig, issuer: &str, directory: Arc<dyn Directory>, keyring: Arc<Keyring>) -> Result<Self> {
        let ConnectionKind::Database(settings) = &config.kind else {
            return Err(Error::new(ErrorKind::Internal, "the connection is no database"));
        };
        let settings = Arc::clone(settings);
        let allows_login = !config.profile.link_only;
        let name = config.name.clone();
        let accounts: Arc<dyn Accounts> = match &settings.custom {
            Some(custom) => Arc::new(CustomAccounts::new(config.clone(), custom.clone(), directory)?),
            None => Arc::new(OwnAccounts::new(name, settings.names, allows_login, directory, keyring)),
        };
        Ok(Self { config, settings, issuer: issuer.to_owned(), accounts })
    }

    async fn verify(&self, typed: Typed<'_>, now: Timestamp, trace: &mut Trace) -> Result<Authentication, NotProven> {
        let answer = self.accounts.login(typed.name(), typed.password(), now).await;
        let found = answer.as_ref().err().map_or_else(|| "right".to_owned(), AccountError::to_string);
        check(trace, now, "database-password", answer.is_ok(), "right", &found);
        let account = answer.map_err(|error| self.not_proven(&error))?;
        if self.settings.require_verified_email {
            let verified = account.profile.get("email_verified") == Some(&Value::Bool(true));
            check(trace, now, "database-email", verified, "proven", if verified { "proven" } else { "not proven" });
            if !verified {
                return Err(NotProven::again(Unproven::Unverified, "the address of the account is not proven"));
            }
        }
        Ok(self.authentication(&account, now))
    }

    fn authentication(&self, account: &Account, now: Timestamp) -> Authentication {
        let mut attributes = RawAttributes::from_claims(&account.profile);
        attributes.set_fact(Fact::Subject, account.subject.as_str());
        attributes.set_fact(Fact::AuthnContext, PASSWORD_CONTEXT);
        Authentication {
            identity: self.config.identity(&account.subject),
            attributes,
            auth_time: now,
            auth_time_by: TimeBy::Witness,
            acr: Some(self.config.acr_here(PASSWORD_CONTEXT)),
            upstream: UpstreamSession { authn_context: Some(PASSWORD_CONTEXT.to_owned()), ..UpstreamSession::default() },
            tokens: None,
            app_metadata: account.app_metadata.clone(),
            once: Vec::new(),
        }
    }

    fn not_proven(&self, error: &AccountError) -> NotProven {
        let reason = error.to_string();
        match error {
            AccountError::NoSuchUser | AccountError::WrongPassword | AccountError::Exists | AccountError::TooWeak(_) => {
                NotProven::again(Unproven::Wrong, reason)
            }
            AccountError::Busy => NotProven::again(Unproven::Busy, reason),
            AccountError::Unavailable(_) => {
                tracing::warn!(connection = self.config.name, reason, "the accounts of a database cannot be asked");
                NotProven::again(Unproven::Unavailable, reason)
            }
            AccountError::Refused(_) => {
                let error = Error::new(ErrorKind::IdpResponseInvalid, reason);
                NotProven::Refused(Box::new(Refused { error, reason: "database-account".to_owned(), alarm: false, status: None }))
            }
        }
    }
}

impl Connection for DatabaseConnection {
    fn begin(
        &self,
        transaction_id: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn)> {
        password::begin(&self.config, &self.issuer, transaction_id, asked, now, trace)
    }

    fn asks_password(&self) -> bool {
        true
    }

    fn verify_password<'a>(&'a self, typed: Typed<'a>, _pending: &'a PendingAuthn, now: Timestamp, trace: &'a mut Trace) -> Proving<'a> {
        Box::pin(self.verify(typed, now, trace))
    }

    fn accounts(&self) -> Option<(&DatabaseSettings, &dyn Accounts)> {
        Some((&self.settings, self.accounts.as_ref()))
    }

    fn metadata(&self, _now: Timestamp) -> Result<(&'static str, String)> {
        Err(Error::new(ErrorKind::NotFound, "A database needs no metadata of ours."))
    }

    fn config(&self) -> &ConnectionConfig {
        &self.config
    }
}

/// Nothing that was typed: it may be a password in the wrong field.
fn check(trace: &mut Trace, now: Timestamp, name: &'static str, passed: bool, expected: &str, found: &str) {
    trace.note(now, Note::Check { name: name.into(), passed, expected: expected.to_owned(), found: found.to_owned() });
}
