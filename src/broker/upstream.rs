//! The identity provider's answer: whose login it is, whether it may be believed, and what becomes of it.

use super::begin::trace_op;
use super::finish::Issue;
use super::traces::{RecentLogin, SUCCESS, recent_op};
use super::{Answer, Browser, CookieChange, Gateway, Outcome, REMAINS, encode, remains};
use crate::clock::Timestamp;
use crate::connection::{Authentication, Callback, Refused};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{LoginTransaction, PendingAuthn, Session, Stage};
use crate::profile::Written;
use crate::saml;
use crate::store::{AuditEvent, Op};

/// Form values that came to an assertion consumer service.
#[derive(Clone, Copy, Debug)]
pub struct SamlPost<'a> {
    pub connection: &'a str,
    pub saml_response: &'a str,
    pub relay_state: Option<&'a str>,
    /// Our own page has sent the form again already.
    pub bounced: bool,
}

impl Gateway {
    /// The assertion consumer service (SAML Profiles 4.1.4): takes a Response by HTTP-POST.
    pub async fn assertion_consumer(&self, post: SamlPost<'_>, browser: &Browser, now: Timestamp) -> Outcome {
        match self.assertion_consumer_inner(post, browser, now).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn assertion_consumer_inner(&self, post: SamlPost<'_>, browser: &Browser, now: Timestamp) -> Result<Outcome> {
        if self.connections.enabled(post.connection).is_none() {
            return Err(Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."));
        }
        // Unverified, and only used to find the login; the verified InResponseTo must name it again.
        let Some(transaction_id) = transaction_of(&post) else {
            self.events.login(post.connection, ErrorKind::UnsolicitedResponse.wire().code);
            return Err(Error::new(
                ErrorKind::UnsolicitedResponse,
                "The answer belongs to no sign-in that was started here, and this connection does not allow that.",
            ));
        };
        // SameSite=Lax cookies are absent from a cross-site POST: have our own page send it again.
        if browser.binding.is_none() {
            if !post.bounced {
                return Ok(Outcome::of(Answer::Bounce));
            }
            return Err(Error::new(
                ErrorKind::CookiesBlocked,
                "The cookie that was set when the sign-in began did not come back: cookies are blocked, or the sign-in was started in another browser.",
            ));
        }
        let transaction = match self.login_of(&transaction_id, browser, now).await? {
            Ok(transaction) => transaction,
            Err(outcome) => return Ok(*outcome),
        };
        let (key, correlation_id) = (LoginTransaction::key(&transaction.id), transaction.correlation_id.clone());
        let pending = match &transaction.stage {
            Stage::AwaitingIdp { connection, pending } if connection == post.connection => pending.clone(),
            // An answer from another identity provider than the one that was asked (mix-up).
            _ => {
                let error = Error::new(ErrorKind::IdpResponseInvalid, "The answer came by another connection than the one that was asked.");
                return Ok(Outcome::refused(error, Some(transaction.restart)).in_login(&correlation_id));
            }
        };
        let outcome = self.answer_of_idp(post, transaction, pending, &key, now).await?;
        Ok(outcome.in_login(&correlation_id))
    }

    /// From here on the login ends, well or not.
    async fn answer_of_idp(
        &self,
        post: SamlPost<'_>,
        transaction: LoginTransaction,
        pending: PendingAuthn,
        key: &str,
        now: Timestamp,
    ) -> Result<Outcome> {
        let mut trace = Trace::default();
        let answer = Received { post, transaction: &transaction, pending: &pending, key, now };
        let result = self.accept_answer(&answer, &mut trace).await;
        match result {
            Ok(outcome) => {
                self.events.login(post.connection, "success");
                Ok(outcome)
            }
            Err(refused) => self.refuse_answer(post, &transaction, refused, key, now, trace).await,
        }
    }

    async fn accept_answer(&self, received: &Received<'_>, trace: &mut Trace) -> Result<Outcome, Refused> {
        let Received { post, transaction, pending, key, now } = *received;
        let connection = self.connections.enabled(post.connection).ok_or_else(|| plain(Error::new(ErrorKind::UnknownConnection, "")))?;
        let application = self
            .application(&transaction.client_id)
            .ok_or_else(|| plain(Error::new(ErrorKind::UnauthorizedClient, "The application is not enabled any more.")))?;
        let callback = Callback::SamlResponse { response: post.saml_response };
        let authentication = connection.complete(callback, pending, now, trace)?;
        let claims = self.claims(transaction, &authentication, now);
        let (profile, user) = self.identify(connection.as_ref(), &authentication, now, trace).await.map_err(plain)?;
        if transaction.asked.expected_user.as_ref().is_some_and(|expected| *expected != user.user_id) {
            return Err(plain(Error::new(ErrorKind::LoginRequired, "Another user signed in than the application asked for.")));
        }
        let cookie = id::random_token();
        let session = self.new_session(transaction, authentication, user.user_id, profile, now);
        let issue = Issue {
            application,
            reply_to: &transaction.reply_to,
            asked: &transaction.asked,
            session: &session,
            correlation_id: &transaction.correlation_id,
            now,
        };
        let (answer, code) = self.issue_code(&issue, trace).map_err(plain)?;
        let ttl = u64::try_from(session.expires_at.seconds_since(now)).unwrap_or(0).max(1);
        let writes = (|| {
            let used = remains(&transaction.browser, &transaction.correlation_id, &transaction.restart)?;
            let mut writes = vec![
                Op::Put { key: Session::key(&cookie), value: encode(&session)?, ttl },
                code,
                Op::Put { key: key.to_owned(), value: used, ttl: REMAINS },
                trace_op(&transaction.correlation_id, Part::Login, trace)?,
                recent_op(&recent(transaction, post.connection, Some(&session.user_id), SUCCESS, now))?,
            ];
            // The session that this browser had before is over.
            writes.extend(transaction.previous_session.iter().map(|old| Op::Delete { key: old.clone() }));
            Ok(writes)
        })();
        self.commit_once(claims, writes.map_err(plain)?).await.map_err(plain)?;
        // A fresh cookie value at every login: a session that somebody planted before is worth nothing.
        Ok(Outcome { answer, binding: CookieChange::Keep, session: CookieChange::Set(cookie), correlation_id: None })
    }

    /// The marks that make this login and every id of this answer usable once.
    fn claims(&self, transaction: &LoginTransaction, authentication: &Authentication, now: Timestamp) -> Vec<Op> {
        // A login that has expired is refused anyway; the rest is for nodes whose clocks differ.
        let login = Op::Claim { key: format!("login-used:{}", transaction.id), ttl: self.lifetimes.transaction + 600 };
        let ids = authentication.once.iter().map(|(name, until)| Op::Claim {
            key: format!("once:{}", id::digest(name)),
            ttl: u64::try_from(until.seconds_since(now)).unwrap_or(0) + 1,
        });
        std::iter::once(login).chain(ids).collect()
    }

    /// Claims and writes in one round trip. Where a claim was not ours, what was written is taken back: nobody
    /// has learned its keys.
    async fn commit_once(&self, claims: Vec<Op>, writes: Vec<Op>) -> Result<()> {
        let count = claims.len();
        let secrets: Vec<Op> = writes
            .iter()
            .take(2)
            .filter_map(|write| match write {
                Op::Put { key, .. } => Some(Op::Delete { key: key.clone() }),
                _ => None,
            })
            .collect();
        let answers = self.sessions.commit(claims.into_iter().chain(writes).collect()).await?;
        if answers.len() >= count && answers.iter().take(count).all(|ours| *ours) {
            return Ok(());
        }
        self.sessions.commit(secrets).await?;
        Err(Error::new(ErrorKind::IdpResponseReplayed, "This answer was used before."))
    }

    fn new_session(
        &self,
        transaction: &LoginTransaction,
        authentication: Authentication,
        user_id: String,
        profile: Written,
        now: Timestamp,
    ) -> Session {
        let own_end = now.plus_seconds(self.lifetimes.session.cast_signed());
        let expires_at = authentication.upstream.not_on_or_after.map_or(own_end, |end| end.min(own_end));
        Session {
            sid: id::random_id(),
            user_id,
            identity: authentication.identity,
            profile,
            auth_time: authentication.auth_time,
            acr: authentication.acr,
            created_at: now,
            expires_at,
            upstream: authentication.upstream,
            correlation_id: transaction.correlation_id.clone(),
        }
    }

    async fn refuse_answer(
        &self,
        post: SamlPost<'_>,
        transaction: &LoginTransaction,
        refused: Refused,
        key: &str,
        now: Timestamp,
        mut trace: Trace,
    ) -> Result<Outcome> {
        let wire = refused.error.kind.wire();
        self.events.login(post.connection, wire.code);
        tracing::warn!(
            correlation_id = transaction.correlation_id,
            connection = post.connection,
            code = wire.code,
            reason = refused.reason,
            detail = refused.error.detail,
            source = refused.error.source.as_ref().map(tracing::field::display),
            "login refused"
        );
        // A store that does not answer cannot remember that the login is over: the person tries again.
        if refused.error.kind == ErrorKind::StoreUnavailable {
            return Ok(Outcome::refused(refused.error, Some(transaction.restart.clone())));
        }
        // Of two posts at once the one that came first has the login, and its trace.
        if refused.error.kind == ErrorKind::IdpResponseReplayed {
            return Ok(Outcome::refused(refused.error, Some(transaction.restart.clone())));
        }
        trace.note(now, Note::Refused { code: wire.code.to_owned(), reason: refused.reason.clone(), detail: refused.error.detail.clone() });
        if refused.alarm {
            self.raise_alarm(post.connection, transaction, &refused, now).await?;
        }
        let used = remains(&transaction.browser, &transaction.correlation_id, &transaction.restart)?;
        self.sessions
            .commit(vec![
                Op::Put { key: key.to_owned(), value: used, ttl: REMAINS },
                trace_op(&transaction.correlation_id, Part::Login, &trace)?,
                recent_op(&recent(transaction, post.connection, None, wire.code, now))?,
            ])
            .await?;
        // The application may know the outcome; what exactly was wrong is for the trace.
        Ok(self.reply_error(&transaction.reply_to, &Error::new(refused.error.kind, wire.title), &transaction.correlation_id))
    }

    async fn raise_alarm(&self, connection: &str, transaction: &LoginTransaction, refused: &Refused, now: Timestamp) -> Result<()> {
        tracing::error!(correlation_id = transaction.correlation_id, connection, "two signature engines disagree about one message");
        let detail = serde_json::json!({ "connection": connection, "reason": refused.reason, "detail": refused.error.detail });
        let event = AuditEvent {
            at: now,
            kind: "saml.second_opinion_differs".to_owned(),
            correlation_id: transaction.correlation_id.clone(),
            detail: detail.to_string(),
        };
        self.directory.audit(&event).await
    }
}

/// An answer that belongs to a login of this browser.
#[derive(Clone, Copy)]
struct Received<'a> {
    post: SamlPost<'a>,
    transaction: &'a LoginTransaction,
    pending: &'a PendingAuthn,
    /// Store key of the transaction.
    key: &'a str,
    now: Timestamp,
}

fn plain(error: Error) -> Refused {
    Refused { reason: error.kind.wire().problem.to_owned(), error, alarm: false }
}

/// How a login ended, for the list of recent ones.
fn recent(transaction: &LoginTransaction, connection: &str, user_id: Option<&str>, outcome: &str, now: Timestamp) -> RecentLogin {
    RecentLogin {
        correlation_id: transaction.correlation_id.clone(),
        at: now,
        connection: connection.to_owned(),
        application: transaction.client_id.clone(),
        user_id: user_id.map(str::to_owned),
        outcome: outcome.to_owned(),
    }
}

/// The id of the login: the RelayState that we sent, else the InResponseTo that names our request.
fn transaction_of(post: &SamlPost<'_>) -> Option<String> {
    let looks_like_id = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(id) = post.relay_state.filter(|text| looks_like_id(text)) {
        return Some(id.to_owned());
    }
    let request_id = saml::peek_in_response_to(post.saml_response)?;
    request_id.strip_prefix('_')?.get(..32).filter(|text| looks_like_id(text)).map(str::to_owned)
}
