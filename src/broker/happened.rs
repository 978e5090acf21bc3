//! What logins, tokens and logouts tell the log ([`super::events`]).

use super::Gateway;
use super::token::{TokenRefusal, Tokens};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::store::{LogEvent, LogType};
use crate::user::Identity;
use serde_json::json;

/// Of a login that has ended.
#[derive(Clone, Copy)]
pub(super) struct Ended<'a> {
    pub client_id: &'a str,
    pub connection: &'a str,
    pub correlation_id: &'a str,
    pub now: Timestamp,
}

impl Gateway {
    pub(super) fn note_login(&self, kind: LogType, of: Ended<'_>, user_id: &str) {
        let event = self.login_event(kind, of);
        self.note_use(of.client_id, of.now);
        self.log.record(LogEvent {
            user_id: Some(user_id.to_owned()),
            details: Some(json!({ "correlation_id": of.correlation_id })),
            ..event
        });
    }

    pub(super) fn note_failed_login(&self, of: Ended<'_>, error: &Error, reason: &str) {
        let details = json!({ "correlation_id": of.correlation_id, "diagnostic": error.kind.wire().code, "reason": reason });
        let event = self.login_event(LogType::FailedLogin, of);
        self.log.record(LogEvent { description: Some(error.detail.clone()), details: Some(details), ..event });
    }

    /// Somebody has typed a name and a password that let nobody in.
    pub(super) fn note_wrong_password(&self, of: Ended<'_>, reason: &str) {
        let details = json!({ "correlation_id": of.correlation_id, "reason": reason });
        let event = self.login_event(LogType::FailedLoginPassword, of);
        self.log.record(LogEvent { description: Some(reason.to_owned()), details: Some(details), ..event });
    }

    /// Something about a second factor, of which it is not said yet whose login it is.
    pub(super) fn note_factor(&self, kind: LogType, of: Ended<'_>, what: &str) {
        let details = json!({ "correlation_id": of.correlation_id });
        let event = self.login_event(kind, of);
        self.log.record(LogEvent { description: Some(what.to_owned()), details: Some(details), ..event });
    }

    /// Somebody has come for the first time.
    pub(super) fn note_signup(&self, user_id: &str, identity: &Identity, now: Timestamp) {
        let connection = Some(identity.connection.clone());
        self.log.record(LogEvent { user_id: Some(user_id.to_owned()), connection, ..LogEvent::new(LogType::Signup, now) });
    }

    /// An identity that was new has joined a user.
    pub(super) fn note_linked(&self, user_id: &str, identity: &Identity, how: &str, now: Timestamp) {
        let (connection, details) = (Some(identity.connection.clone()), Some(json!({ "how": how })));
        self.log.record(LogEvent { user_id: Some(user_id.to_owned()), connection, details, ..LogEvent::new(LogType::Linked, now) });
    }

    /// What the token endpoint answered to a client that proved who it is.
    pub(super) fn note_exchange(&self, kinds: (LogType, LogType), client_id: &str, answer: Result<&Tokens, &TokenRefusal>, now: Timestamp) {
        let event = |kind, correlation_id: Option<&str>| LogEvent {
            client_id: Some(client_id.to_owned()),
            client_name: self.application(client_id).map(|application| application.name.clone()),
            details: correlation_id.map(|id| json!({ "correlation_id": id })),
            ..LogEvent::new(kind, now)
        };
        if answer.is_ok() {
            self.note_use(client_id, now);
        }
        self.log.record(match answer {
            Ok(tokens) => LogEvent {
                user_id: tokens.user_id.clone(),
                audience: tokens.audience.clone(),
                scope: Some(tokens.response.scopes.to_string()),
                ..event(kinds.0, Some(&tokens.correlation_id))
            },
            Err(refusal) => {
                LogEvent { description: Some(refusal.error.detail.clone()), ..event(kinds.1, refusal.correlation_id.as_deref()) }
            }
        });
    }

    /// A session has ended. By an application, if it is named, and in a logout with a trace of its own.
    pub(super) fn note_logout(&self, user_id: &str, client_id: Option<&str>, correlation_id: Option<&str>, now: Timestamp) {
        let event = LogEvent { user_id: Some(user_id.to_owned()), ..LogEvent::new(LogType::Logout, now) };
        let details = correlation_id.map(|id| json!({ "correlation_id": id }));
        self.log.record(LogEvent { client_id: client_id.map(str::to_owned), details, ..event });
    }

    /// A logout that was refused, or that not everybody has confirmed.
    pub(super) fn note_failed_logout(&self, why: String, client_id: Option<&str>, correlation_id: &str, now: Timestamp) {
        let details = Some(json!({ "correlation_id": correlation_id }));
        let event = LogEvent { client_id: client_id.map(str::to_owned), details, ..LogEvent::new(LogType::FailedLogout, now) };
        self.log.record(LogEvent { description: Some(why), ..event });
    }

    fn login_event(&self, kind: LogType, of: Ended<'_>) -> LogEvent {
        LogEvent {
            client_id: Some(of.client_id.to_owned()),
            client_name: self.application(of.client_id).map(|application| application.name.clone()),
            connection: Some(of.connection.to_owned()),
            ..LogEvent::new(kind, of.now)
        }
    }
}
