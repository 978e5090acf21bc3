//! The identity provider's answer: whose login it is, whether it may be believed, and what becomes of it.

use super::begin::trace_op;
use super::ending::Ending;
use super::identify::{Identified, Of, Whose, arrive};
use super::refuse::{Refusing, plain};
use super::rules::Caller;
use super::{Answer, Browser, Gateway, Outcome, REMAINS, encode};
use crate::clock::Timestamp;
use crate::connection::config::{CallbackAddress, FACTOR_CONTEXT, SecondFactor};
use crate::connection::{Authentication, Callback, Refused};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::session;
use crate::login::trace::{Part, Trace};
use crate::login::{Arrived, LoginTransaction, PendingAuthn, PendingLink, Proof, Stage, Stored};
use crate::oidc::Params;
use crate::saml;
use crate::store::Op;
use crate::user::linking::Conflict;

/// What an identity provider answers with.
#[derive(Clone, Copy)]
pub enum IdpAnswer<'a> {
    /// SAMLResponse.
    Response(&'a str),
    /// SAMLart: a reference to the Response.
    Artifact(&'a str),
    /// The parameters of an authorization response, and where they came.
    Authorization(&'a Params, CallbackAddress),
    /// Name and password, typed into a page of ours and found good.
    Password,
}

/// Neither a person's data nor what they can be asked for with prints.
impl std::fmt::Debug for IdpAnswer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Response(_) => "Response(..)",
            Self::Artifact(_) => "Artifact(..)",
            Self::Authorization(..) => "Authorization(..)",
            Self::Password => "Password",
        })
    }
}

/// What came to an assertion consumer service, or to a callback.
#[derive(Clone, Copy, Debug)]
pub struct IdpPost<'a> {
    pub connection: &'a str,
    pub answer: IdpAnswer<'a>,
    pub relay_state: Option<&'a str>,
    /// Our own page has sent the form again already.
    pub bounced: bool,
    /// The operator takes no authorization requests but those that were pushed.
    pub pushed_only: bool,
}

impl Gateway {
    /// The assertion consumer service (SAML Profiles 4.1.4), which takes a Response by HTTP-POST or HTTP-Artifact, and the
    /// callback of OpenID Connect (Core 3.1.2.5).
    pub async fn assertion_consumer(&self, post: IdpPost<'_>, browser: &Browser, now: Timestamp) -> Outcome {
        match Box::pin(self.assertion_consumer_inner(post, browser, now)).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn assertion_consumer_inner(&self, post: IdpPost<'_>, browser: &Browser, now: Timestamp) -> Result<Outcome> {
        if self.connections.enabled(post.connection).is_none() {
            return Err(Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."));
        }
        // Unverified, and only used to find the login; the verified InResponseTo must name it again.
        let Some(transaction_id) = transaction_of(&post) else {
            if matches!(post.answer, IdpAnswer::Authorization(..)) {
                return Err(stateless());
            }
            return Ok(Box::pin(self.unsolicited(post, browser, now)).await);
        };
        match self.answered_login(&transaction_id, post.bounced, browser, now).await? {
            Ok(transaction) => self.answer_in_login(post, transaction, browser, now).await,
            Err(outcome) => Ok(*outcome),
        }
    }

    /// The login of this browser that an answer names.
    pub(super) async fn answered_login(
        &self,
        transaction_id: &str,
        bounced: bool,
        browser: &Browser,
        now: Timestamp,
    ) -> Result<Result<LoginTransaction, Box<Outcome>>> {
        // SameSite=Lax cookies are absent from a cross-site POST: have our own page send it again.
        if browser.binding.is_none() {
            if !bounced {
                return Ok(Err(Box::new(Outcome::of(Answer::Bounce))));
            }
            return Err(Error::new(
                ErrorKind::CookiesBlocked,
                "The cookie that was set when the sign-in began did not come back: cookies are blocked, or the sign-in was started in another browser.",
            ));
        }
        self.login_of(transaction_id, browser, now).await
    }

    /// An answer that names this login.
    pub(super) async fn answer_in_login(
        &self,
        post: IdpPost<'_>,
        transaction: LoginTransaction,
        browser: &Browser,
        now: Timestamp,
    ) -> Result<Outcome> {
        let (key, correlation_id) = (LoginTransaction::key(&transaction.id), transaction.correlation_id.clone());
        // An answer from another identity provider than the one that was asked (mix-up), or to no question at all.
        let question = Question::of(&transaction, post.connection).filter(|_| self.comes_where_asked(&post));
        let Some(question) = question else { return Ok(not_asked(transaction)) };
        self.forget_hint(&transaction.browser, post.connection).await?;
        let caller = browser.caller.as_deref();
        let received = Received { post, transaction: &transaction, question: &question, key: &key, caller, factor: Factor::Unasked, now };
        let outcome = self.answer_of_idp(&received).await?;
        Ok(outcome.in_login(&correlation_id))
    }

    /// RFC 9700 4.4.2.2: an answer belongs to the redirect URI that the question had.
    fn comes_where_asked(&self, post: &IdpPost<'_>) -> bool {
        let IdpAnswer::Authorization(_, at) = post.answer else { return true };
        let asked = self.connections.enabled(post.connection).and_then(|connection| connection.config().callback());
        asked == Some(at)
    }

    /// From here on the login ends, or goes on to the question whose account it is.
    async fn answer_of_idp(&self, received: &Received<'_>) -> Result<Outcome> {
        let mut trace = Trace::default();
        let result = self.accept_answer(received, &mut trace).await;
        self.answered(received, result, trace).await
    }

    /// An answer to no question, verified, that is the login.
    pub(super) async fn accept_unsolicited(
        &self,
        post: IdpPost<'_>,
        transaction: &LoginTransaction,
        authentication: Authentication,
        browser: &Browser,
        now: Timestamp,
        mut trace: Trace,
    ) -> Result<Outcome> {
        let (key, Stage::AwaitingIdp { pending, .. }) = (LoginTransaction::key(&transaction.id), &transaction.stage) else {
            return Err(Error::new(ErrorKind::Internal, "an answer outside of its stage"));
        };
        let question = Question::Login(pending.clone());
        let caller = browser.caller.as_deref();
        let received = Received { post, transaction, question: &question, key: &key, caller, factor: Factor::Unasked, now };
        let result = self.accept_authentication(&received, authentication, &mut trace).await;
        self.answered(&received, result, trace).await
    }

    /// Somebody has typed a password into our page that the connection has found good, or so bad that the login ends.
    pub(super) async fn accept_password(
        &self,
        (transaction, enrol): (&LoginTransaction, bool),
        connection: &str,
        proven: Result<Authentication, Refused>,
        (browser, now): (&Browser, Timestamp),
        mut trace: Trace,
    ) -> Result<Outcome> {
        let question =
            Question::of(transaction, connection).ok_or_else(|| Error::new(ErrorKind::Internal, "a password without question"))?;
        let key = LoginTransaction::key(&transaction.id);
        let post = IdpPost { connection, answer: IdpAnswer::Password, relay_state: None, bounced: false, pushed_only: false };
        let factor = if enrol { Factor::Wished } else { Factor::Unasked };
        let received = Received { post, transaction, question: &question, key: &key, caller: browser.caller.as_deref(), factor, now };
        let result = match proven {
            Ok(authentication) => self.accept_authentication(&received, authentication, &mut trace).await,
            Err(refused) => Err(refused),
        };
        self.answered(&received, result, trace).await
    }

    /// Whoever has typed a password has proven a second factor, or the login ends. `transaction` is as it was before that.
    pub(super) async fn accept_factor(
        &self,
        transaction: &LoginTransaction,
        proven: Result<Arrived, Refused>,
        connection: &str,
        (browser, now): (&Browser, Timestamp),
        mut trace: Trace,
    ) -> Result<Outcome> {
        let question = Question::of(transaction, connection).ok_or_else(|| Error::new(ErrorKind::Internal, "a code without question"))?;
        let key = LoginTransaction::key(&transaction.id);
        let post = IdpPost { connection, answer: IdpAnswer::Password, relay_state: None, bounced: false, pushed_only: false };
        let caller = browser.caller.as_deref();
        let received = Received { post, transaction, question: &question, key: &key, caller, factor: Factor::Proven, now };
        let result = match proven {
            Ok(arrived) => Box::pin(self.accept_arrived(&received, arrived, Vec::new(), &mut trace)).await,
            Err(refused) => Err(refused),
        };
        self.answered(&received, result, trace).await
    }

    async fn answered(&self, received: &Received<'_>, result: Result<Outcome, Refused>, trace: Trace) -> Result<Outcome> {
        let Received { post, transaction, key, now, .. } = *received;
        match result {
            Ok(outcome) => {
                if matches!(outcome.answer, Answer::Reply(_)) {
                    self.events.login(post.connection, "success");
                }
                Ok(outcome)
            }
            Err(refused) => {
                let refusing = Refusing { connection: post.connection, transaction, key, part: received.part(), now };
                self.refuse_login(&refusing, refused, trace).await
            }
        }
    }

    async fn accept_answer(&self, received: &Received<'_>, trace: &mut Trace) -> Result<Outcome, Refused> {
        let Received { post, transaction, question, now, .. } = *received;
        let connection = self.connections.enabled(post.connection).ok_or_else(|| plain(Error::new(ErrorKind::UnknownConnection, "")))?;
        let pending = question.pending();
        connection.prepare(pending.idp.as_deref(), now).await;
        let authentication = match post.answer {
            IdpAnswer::Response(response) => connection.complete(Callback::SamlResponse { response }, pending, now, trace)?,
            IdpAnswer::Artifact(artifact) => {
                let resolved = self.resolve_artifact(connection.as_ref(), artifact, (transaction, pending), now, trace).await?;
                let (envelope, resolve_id) = (resolved.envelope.as_str(), resolved.resolve_id.as_str());
                connection.complete(Callback::SamlArtifactResponse { envelope, resolve_id }, pending, resolved.now, trace)?
            }
            IdpAnswer::Authorization(params, _) => {
                check_state(params, pending).map_err(plain)?;
                connection.redeem(&self.keys, params, pending, now, trace).await?
            }
            IdpAnswer::Password => return Err(plain(Error::new(ErrorKind::Internal, "a password is not posted here"))),
        };
        self.accept_authentication(received, authentication, trace).await
    }

    async fn accept_authentication(
        &self,
        received: &Received<'_>,
        authentication: Authentication,
        trace: &mut Trace,
    ) -> Result<Outcome, Refused> {
        let Received { post, transaction, question, now, .. } = *received;
        let connection = self.connections.enabled(post.connection).ok_or_else(|| plain(Error::new(ErrorKind::UnknownConnection, "")))?;
        let (config, pending) = (connection.config(), question.pending());
        let once = once(&authentication, now);
        let mut arrived =
            arrive(connection.as_ref(), &authentication, transaction.created_at, pending.force_authn, now, trace).map_err(plain)?;
        arrived.tokens = self.sealed_tokens(&authentication).map_err(plain)?;
        if matches!(post.answer, IdpAnswer::Password) {
            arrived.amr = vec![session::PASSWORD.to_owned()];
            let wished = received.factor == Factor::Wished;
            // Nobody types a code that cannot help.
            let helps = config.second_factor != SecondFactor::Off && pending.is_met_by(Some(FACTOR_CONTEXT));
            if !helps {
                check_context(pending, &arrived)?;
            }
            if let Some(step) = self.factor_due(config, &arrived, (transaction, wished)).await.map_err(plain)? {
                let (transaction, answer) = self.ask_factor(transaction, arrived, step, (now, trace)).await.map_err(plain)?;
                let writes = self.goes_on(received, &transaction, trace).map_err(plain)?;
                self.commit_once(Vec::new(), once, writes, &[]).await.map_err(plain)?;
                return Ok(Outcome::of(answer));
            }
        }
        Box::pin(self.accept_arrived(received, arrived, once, trace)).await
    }

    /// Somebody has proven who they are, in every way that is wanted.
    async fn accept_arrived(
        &self,
        received: &Received<'_>,
        arrived: Arrived,
        once: Vec<Op>,
        trace: &mut Trace,
    ) -> Result<Outcome, Refused> {
        let Received { post, transaction, question, now, .. } = *received;
        let connection = self.connections.enabled(post.connection).ok_or_else(|| plain(Error::new(ErrorKind::UnknownConnection, "")))?;
        let config = connection.config();
        // Of other answers the connection has said so, with its reasons.
        if matches!(post.answer, IdpAnswer::Password) {
            check_context(question.pending(), &arrived)?;
        }
        let of = Of { transaction, now };
        match question {
            Question::Login(_) => match self.identify(config, &arrived, of, trace).await.map_err(plain)? {
                Whose::Known(identified) => self.conclude(received, &arrived, identified, once, trace).await,
                // Nobody may be asked anything.
                Whose::Ask { .. } if transaction.asked.passive => {
                    Err(plain(Error::new(ErrorKind::InteractionRequired, "It must be settled whose account it is.")))
                }
                Whose::Ask { user_ids, connections } => {
                    let link = PendingLink { arrived: arrived.lasting(), user_ids, connections, proof: Proof::Asked };
                    let transaction = transaction.clone().linking(link);
                    let answer = Answer::AskLink(self.link_question(&transaction).map_err(plain)?);
                    self.go_on(received, &transaction, answer, once, trace).await
                }
            },
            Question::Again { link, then, .. } => {
                // The proof is about this subject and no other.
                if arrived.identity != link.arrived.identity {
                    return Err(plain(Error::new(ErrorKind::AccountConflict, Conflict::OtherAccountProven.advice())));
                }
                let link = PendingLink { arrived: arrived.lasting(), ..link.as_ref().clone() };
                let (answer, transaction) =
                    Box::pin(self.send_to_proof(transaction.clone(), link, then, now, trace)).await.map_err(plain)?;
                self.go_on(received, &transaction, answer, once, trace).await
            }
            Question::Known { link, .. } => {
                let first = self.connections.enabled(&link.arrived.identity.connection);
                let first =
                    first.ok_or_else(|| plain(Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available.")))?;
                let proven = (config, &arrived);
                let identified = self.join_proven(first.config(), &link.arrived, proven, &link.user_ids, of, trace).await.map_err(plain)?;
                for arrived in [&link.arrived, &arrived] {
                    self.keep_factor(arrived, now).await.map_err(plain)?;
                }
                // Nobody signs in by an identity that is only linked, not even right after linking it.
                let by = if first.config().profile.link_only { &arrived } else { &link.arrived };
                self.conclude(received, by, identified, once, trace).await
            }
        }
    }

    /// The login goes on with another page or another identity provider; the answer cannot be used again.
    async fn go_on(
        &self,
        received: &Received<'_>,
        transaction: &LoginTransaction,
        answer: Answer,
        once: Vec<Op>,
        trace: &Trace,
    ) -> Result<Outcome, Refused> {
        let writes = self.goes_on(received, transaction, trace);
        // Named by the request that was answered: a person who goes back may be asked again.
        let step = self.step_claim(received.transaction, &received.question.pending().request_id);
        self.commit_once(vec![step], once, writes.map_err(plain)?, &[]).await.map_err(plain)?;
        Ok(Outcome::of(answer))
    }

    fn goes_on(&self, received: &Received<'_>, transaction: &LoginTransaction, trace: &Trace) -> Result<Vec<Op>> {
        let running = encode(&Stored::Running(Box::new(transaction.clone())))?;
        let put = Op::Put { key: received.key.to_owned(), value: running, ttl: self.lifetimes.transaction + REMAINS };
        Ok(vec![put, trace_op(&transaction.correlation_id, received.part(), trace)?])
    }

    /// The user is known and may sign in: session and code.
    async fn conclude(
        &self,
        received: &Received<'_>,
        arrived: &Arrived,
        identified: Identified,
        once: Vec<Op>,
        trace: &mut Trace,
    ) -> Result<Outcome, Refused> {
        let part = received.part();
        let Received { transaction, key, caller, now, .. } = *received;
        let ending = Ending { transaction, key, part, now, caller, resume: None };
        self.end_login(&ending, arrived, identified, once, trace).await.map_err(plain)
    }
}

/// An answer that belongs to a login of this browser.
#[derive(Clone, Copy)]
struct Received<'a> {
    post: IdpPost<'a>,
    transaction: &'a LoginTransaction,
    question: &'a Question,
    /// Store key of the transaction.
    key: &'a str,
    caller: Option<&'a Caller>,
    factor: Factor,
    now: Timestamp,
}

impl Received<'_> {
    /// Of the trace.
    fn part(&self) -> Part {
        match (self.question.part(), self.factor) {
            (Part::Login, Factor::Proven) => Part::Factor,
            (_, Factor::Proven) => Part::LinkFactor,
            (part, _) => part,
        }
    }
}

/// Whether there is more than a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Factor {
    /// It is to be seen whether more is wanted.
    Unasked,
    /// The same, and the person wants to set it up.
    Wished,
    Proven,
}

/// What the identity provider was asked.
pub(super) enum Question {
    /// Who is it?
    Login(PendingAuthn),
    /// The same person again, freshly, before a known account is proven at `then`.
    Again { link: Box<PendingLink>, pending: PendingAuthn, then: String },
    /// The known account that the new identity may join.
    Known { link: Box<PendingLink>, pending: PendingAuthn },
}

impl Question {
    /// What this connection was asked in this login; `None` if nothing.
    fn of(transaction: &LoginTransaction, connection: &str) -> Option<Self> {
        match &transaction.stage {
            Stage::AwaitingIdp { connection: asked, pending } if asked == connection => Some(Self::Login(pending.clone())),
            Stage::AwaitingLink(link) => match &link.proof {
                Proof::Again { pending, then } if link.arrived.identity.connection == connection => {
                    Some(Self::Again { link: link.clone(), pending: pending.clone(), then: then.clone() })
                }
                Proof::Known { connection: asked, pending } if asked == connection => {
                    Some(Self::Known { link: link.clone(), pending: pending.clone() })
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The connection that is to answer now.
    pub(super) fn asked_of(transaction: &LoginTransaction) -> Option<&str> {
        match &transaction.stage {
            Stage::AwaitingIdp { connection, .. } => Some(connection),
            Stage::AwaitingLink(link) => match &link.proof {
                Proof::Again { .. } => Some(&link.arrived.identity.connection),
                Proof::Known { connection, .. } => Some(connection),
                _ => None,
            },
            _ => None,
        }
    }

    fn pending(&self) -> &PendingAuthn {
        match self {
            Self::Login(pending) | Self::Again { pending, .. } | Self::Known { pending, .. } => pending,
        }
    }

    const fn part(&self) -> Part {
        match self {
            Self::Login(_) => Part::Login,
            Self::Again { .. } => Part::LinkAgain,
            Self::Known { .. } => Part::LinkProof,
        }
    }
}

/// An answer by another connection than the one that was asked, or at another address than it was asked to.
pub(super) fn not_asked(transaction: LoginTransaction) -> Outcome {
    let error = Error::new(ErrorKind::IdpResponseInvalid, "The answer came by another connection than the one that was asked.");
    Outcome::refused(error, Some(transaction.restart)).in_login(&transaction.correlation_id)
}

/// The marks that make every id of an answer usable once.
pub(super) fn once(authentication: &Authentication, now: Timestamp) -> Vec<Op> {
    let claim = |(name, until): &(String, Timestamp)| Op::Claim {
        key: format!("once:{}", id::digest(name)),
        ttl: u64::try_from(until.seconds_since(now)).unwrap_or(0) + 1,
    };
    authentication.once.iter().map(claim).collect()
}

/// What an application asks of a login here.
fn check_context(pending: &PendingAuthn, arrived: &Arrived) -> Result<(), Refused> {
    let told = "The sign-in was not of the kind that the application asked for.";
    let met = pending.is_met_by(arrived.upstream.authn_context.as_deref());
    met.then_some(()).ok_or_else(|| plain(Error::new(ErrorKind::UnmetAuthenticationRequirements, told)))
}

/// An answer to this very question, not to an earlier one of the same login.
fn check_state(params: &Params, pending: &PendingAuthn) -> Result<()> {
    let same = params.get("state").is_some_and(|state| id::eq_constant_time(state.as_bytes(), pending.request_id.as_bytes()));
    let error = || Error::new(ErrorKind::IdpResponseInvalid, "the answer belongs to another question of this login (state)");
    same.then_some(()).ok_or_else(error)
}

/// The id of the login: the RelayState that we sent, else the InResponseTo that names our request; of an authorization
/// response the first part of its state.
fn transaction_of(post: &IdpPost<'_>) -> Option<String> {
    if let IdpAnswer::Authorization(params, _) = post.answer {
        return transaction_of_state(params);
    }
    if let Some(id) = post.relay_state.filter(|text| looks_like_id(text)) {
        return Some(id.to_owned());
    }
    // An artifact does not say what it answers: without RelayState it belongs to nothing.
    let IdpAnswer::Response(response) = post.answer else { return None };
    let request_id = saml::peek_in_response_to(response)?;
    request_id.strip_prefix('_')?.get(..32).filter(|text| looks_like_id(text)).map(str::to_owned)
}

pub(super) fn transaction_of_state(params: &Params) -> Option<String> {
    params.get("state")?.split('.').next().filter(|text| looks_like_id(text)).map(str::to_owned)
}

fn looks_like_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An answer that does not say whose it is.
pub(super) fn stateless() -> Error {
    Error::new(ErrorKind::UnsolicitedResponse, "The answer does not say to which sign-in it belongs (state).")
}
