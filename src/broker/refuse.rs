//! A login that ends badly: what is kept of it, what operators read, and what the application may know.

use super::begin::trace_op;
use super::happened::Ended;
use super::traces::{RecentLogin, recent_op};
use super::{Gateway, Outcome, REMAINS, idp, remains};
use crate::clock::Timestamp;
use crate::connection::Refused;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{LoginTransaction, ReplyTo};
use crate::saml::idp::Refusal;
use crate::store::{AuditEvent, Op};

/// A login that ends badly.
#[derive(Clone, Copy)]
pub(super) struct Refusing<'a> {
    pub connection: &'a str,
    pub transaction: &'a LoginTransaction,
    /// Store key of the transaction.
    pub key: &'a str,
    /// Of the trace.
    pub part: Part,
    pub now: Timestamp,
}

impl Gateway {
    /// The login ends here: its remains, its trace, and what the application may know.
    pub(super) async fn refuse_login(&self, refusing: &Refusing<'_>, refused: Refused, mut trace: Trace) -> Result<Outcome> {
        let Refusing { connection, transaction, key, part, now } = *refusing;
        let wire = refused.error.kind.wire();
        self.events.login(connection, wire.code);
        tracing::warn!(
            correlation_id = transaction.correlation_id,
            connection,
            code = wire.code,
            reason = refused.reason,
            detail = refused.error.detail,
            source = refused.error.source.as_ref().map(tracing::field::display),
            "login refused"
        );
        let ended = Ended { client_id: &transaction.client_id, connection, correlation_id: &transaction.correlation_id, now };
        self.note_failed_login(ended, &refused.error, &refused.reason);
        // A store that does not answer cannot remember that the login is over: the person tries again.
        if refused.error.kind == ErrorKind::StoreUnavailable {
            return Ok(Outcome::refused(refused.error, Some(transaction.restart.clone())));
        }
        // Of two posts at once the one that came first has the login, and its trace.
        if refused.error.kind == ErrorKind::LoginAlreadyFinished {
            return Ok(Outcome::refused(refused.error, Some(transaction.restart.clone())));
        }
        // It may have come as far as the code, which nobody has learned.
        trace.entries.retain(|entry| !matches!(entry.event, Note::Finished { .. }));
        trace.note(now, Note::Refused { code: wire.code.to_owned(), reason: refused.reason.clone(), detail: refused.error.detail.clone() });
        if refused.alarm {
            self.raise_alarm(connection, &transaction.correlation_id, &refused, now).await?;
        }
        let used = remains(&transaction.browser, &transaction.correlation_id, &transaction.restart)?;
        self.sessions
            .commit(vec![
                Op::Put { key: key.to_owned(), value: used, ttl: REMAINS },
                trace_op(&transaction.correlation_id, part, &trace)?,
                recent_op(&recent(transaction, connection, None, wire.code, now))?,
            ])
            .await?;
        // Whose account it is only the person can settle, here; and nobody is sent on by an answer that was used before.
        let here = [ErrorKind::AccountConflict, ErrorKind::LinkOnlyIdentity, ErrorKind::IdpResponseReplayed];
        let settled_here = here.contains(&refused.error.kind);
        // Where nobody may be asked anything, nobody is shown anything either.
        if settled_here && !(transaction.asked.passive && refused.error.kind != ErrorKind::IdpResponseReplayed) {
            return Ok(Outcome::refused(refused.error, Some(transaction.restart.clone())));
        }
        // The application may know the outcome, and what a rule says; what exactly was wrong is for the trace.
        let told = if refused.error.kind == ErrorKind::RuleDenied { refused.error.detail.as_str() } else { wire.title };
        let told = Error::new(refused.error.kind, told);
        if let (ReplyTo::Saml(reply), Some(second)) = (&transaction.reply_to, refused.status) {
            let message = idp::message(&told, &transaction.correlation_id);
            let refusal = Refusal { top: "Responder", second, message: Some(&message) };
            return Ok(self.answer_by_saml(&transaction.client_id, reply, refusal, now).await);
        }
        Ok(self.reply_error(&transaction.client_id, &transaction.reply_to, &told, &transaction.correlation_id, now).await)
    }

    pub(super) async fn raise_alarm(&self, connection: &str, correlation_id: &str, refused: &Refused, now: Timestamp) -> Result<()> {
        tracing::error!(correlation_id, connection, "two signature engines disagree about one message");
        let detail = serde_json::json!({ "connection": connection, "reason": refused.reason, "detail": refused.error.detail });
        let event = AuditEvent {
            at: now,
            kind: "saml.second_opinion_differs".to_owned(),
            correlation_id: correlation_id.to_owned(),
            detail: detail.to_string(),
        };
        self.directory.audit(&event).await
    }
}

/// Without more than the error says.
pub(super) fn plain(error: Error) -> Refused {
    Refused { reason: error.kind.wire().problem.to_owned(), error, alarm: false, status: None }
}

/// How a login ended, for the list of recent ones.
pub(super) fn recent(
    transaction: &LoginTransaction,
    connection: &str,
    user_id: Option<&str>,
    outcome: &str,
    now: Timestamp,
) -> RecentLogin {
    RecentLogin {
        correlation_id: transaction.correlation_id.clone(),
        at: now,
        connection: connection.to_owned(),
        application: transaction.client_id.clone(),
        user_id: user_id.map(str::to_owned),
        outcome: outcome.to_owned(),
    }
}
