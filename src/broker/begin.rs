//! A login begins: the application's request, and the person's choice of an identity provider.

use super::choose::{Choosing, Pick};
use super::next::{Decision, Situation, Step, next_step};
use super::{Answer, Browser, CookieChange, Gateway, Outcome, REMAINS, Reply, encode};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Asked, Hint, LoginTransaction, ReplyTo, Restart, Session, Stage, Stored};
use crate::oidc::request_object::Proven;
use crate::oidc::{self, AuthorizationRequest, CheckedRedirect, ClientFacts, Params, Prompt};
use crate::saml::Comparison;
use crate::store::Op;
use std::sync::Arc;

/// How the authorization request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    Get,
    Post,
}

/// An authorization request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Of the query or of the form.
    pub raw: &'a [u8],
    pub arrival: Arrival,
    /// The operator takes requests only that clients have pushed before.
    pub pushed_only: bool,
}

impl Gateway {
    /// The authorization endpoint (OpenID Connect Core 3.1.2).
    pub async fn authorize(&self, incoming: Incoming<'_>, browser: &Browser, correlation_id: &str, now: Timestamp) -> Outcome {
        let outcome = match self.authorize_inner(incoming, browser, correlation_id, now).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        };
        outcome.in_login(correlation_id)
    }

    async fn authorize_inner(&self, incoming: Incoming<'_>, browser: &Browser, correlation_id: &str, now: Timestamp) -> Result<Outcome> {
        let Incoming { raw, arrival, pushed_only } = incoming;
        // What is asked is kept for as long as a login may take: nobody needs more than this.
        if raw.len() > REQUEST_LIMIT {
            return Err(Error::new(ErrorKind::PayloadTooLarge, format!("the request has more than {REQUEST_LIMIT} bytes")));
        }
        let outer = Params::parse_noting_repeats(raw)?;
        let application = self.application(oidc::authorization::client_id(&outer)?);
        let client = application.and_then(|application| application.oidc.as_ref().map(|client| (application, client)));
        // Before the redirect URI is proven, errors stay on our page.
        let Some((application, client)) = client else {
            return Err(not_registered(Error::new(ErrorKind::InvalidClient, "this client is not registered")));
        };
        // A cross-site POST comes without the session cookie, which is SameSite=Lax; the same as GET has it.
        let see_self = arrival == Arrival::Post && browser.session.is_none();
        let carried = outer.get("request").is_some() || outer.get("request_uri").is_some();
        if see_self && carried {
            return Ok(Outcome::of(Answer::SeeSelf));
        }
        let requested = match self.requested(&outer, client, now).await {
            Ok(requested) => requested,
            Err(error) => return self.refuse_carried(&outer, (application, client), error, correlation_id, now).await,
        };
        let params = &requested.params;
        let redirect = CheckedRedirect::identify(params, Some(client)).map_err(not_registered)?;
        if see_self {
            return Ok(Outcome::of(Answer::SeeSelf));
        }
        let reply_to = ReplyTo::Oidc(redirect.clone());
        let query = restart_query(params);
        // What counts once cannot begin the same login again.
        let path = if requested.once.is_empty() { format!("/authorize?{}", restart_query(&outer)) } else { String::new() };
        let begun = Begun { application, reply_to: &reply_to, path: &path, query: query.as_bytes(), browser, correlation_id, now };
        let mut trace = Trace::default();
        let parameters = recordable(params, requested.proven);
        trace.note(now, Note::RequestIn { application: application.client_id.clone(), parameters });
        let asked = requested.proven.check(client, pushed_only);
        let asked = asked.and_then(|()| AuthorizationRequest::parse(params, client, &redirect));
        let asked = asked.and_then(|request| self.asked(request, application));
        let asked = asked.map(|asked| Asked { once: requested.once, ..self.with_place(asked, application, now) });
        let asked = asked.map(|asked| self.with_idp_hint(asked, requested.params.get("aarc_idp_hint"), application, now));
        let begin = async { Box::pin(self.begin_login(&begun, asked?, trace)).await };
        match begin.await {
            Ok(outcome) => Ok(outcome),
            Err(error) => self.refuse_beginning(&begun, error).await,
        }
    }

    /// A request object or a reference is refused: to the application, where the parameters beside it have a proven address.
    async fn refuse_carried(
        &self,
        outer: &Params,
        (application, client): (&Arc<Application>, &ClientFacts),
        error: Error,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<Outcome> {
        let redirect = CheckedRedirect::identify(outer, Some(client));
        let (Ok(redirect), false) = (redirect, error.kind == ErrorKind::StoreUnavailable) else { return Err(error) };
        log_refusal(&error, application, correlation_id);
        Ok(self.reply_error(&application.client_id, &ReplyTo::Oidc(redirect), &error, correlation_id, now).await)
    }

    /// An identity provider that the application names without the connection behind which it is.
    pub(super) fn with_place(&self, mut asked: Asked, application: &Application, now: Timestamp) -> Asked {
        if asked.connection.is_none()
            && let Some(place) = asked.idp.as_deref().and_then(|idp| self.pick_of(idp, application, now))
        {
            (asked.connection, asked.idp) = (Some(place.connection), place.idp);
        }
        asked
    }

    /// AARC-G061: an identity provider by its entity ID. One that is not known here is no reason to refuse.
    pub(super) fn with_idp_hint(&self, mut asked: Asked, hint: Option<&str>, application: &Application, now: Timestamp) -> Asked {
        // The guideline lets a hint carry hints for proxies behind it.
        let hint = hint.map(|hint| hint.split_once('?').map_or(hint, |(own, _)| own));
        if let Some(place) = hint.and_then(|hint| self.pick_of(hint, application, now))
            && asked.connection.as_ref().is_none_or(|asked| *asked == place.connection)
        {
            (asked.connection, asked.idp) = (Some(place.connection), place.idp);
        }
        asked
    }

    /// What goes wrong before a login is under way is told to the application.
    pub(super) async fn refuse_beginning(&self, begun: &Begun<'_>, error: Error) -> Result<Outcome> {
        if error.kind == ErrorKind::StoreUnavailable {
            return Err(error);
        }
        log_refusal(&error, begun.application, begun.correlation_id);
        Ok(self.reply_error(&begun.application.client_id, begun.reply_to, &error, begun.correlation_id, begun.now).await)
    }

    /// Whatever the protocol: from what is asked to the first step.
    pub(super) async fn begin_login(&self, begun: &Begun<'_>, asked: Asked, mut trace: Trace) -> Result<Outcome> {
        let Begun { application, now, .. } = *begun;
        let mut session = self.session(begun.browser, now).await?;
        let usable = self.fitting(self.usable_connections(application), &asked);
        let by_hint = asked.login_hint.as_deref().and_then(|hint| self.connections.for_email(hint));
        let by_hint = by_hint.map(|connection| connection.config().name.as_str());
        let may_probe = |name: &&String| self.connections.enabled(name).is_some_and(|known| known.config().allows_passive_probe());
        let probes: Vec<String> = if asked.passive { usable.iter().filter(may_probe).cloned().collect() } else { Vec::new() };
        let subject = session.as_ref().map(|session| self.subject_for(application, &session.user_id)).transpose()?;
        let subject = subject.map(std::borrow::Cow::into_owned);
        let decide = |session: Option<&Session>, profile_age: Option<i64>| {
            let subject = subject.as_deref().filter(|_| session.is_some());
            let asked = &asked;
            let lacks_factor = session.is_some_and(|session| self.lacks_factor(session));
            let situation =
                Situation { asked, application, session, subject, profile_age, usable: &usable, by_hint, lacks_factor, probes: &probes };
            next_step(&situation, now)
        };
        let mut decision = decide(session.as_ref(), None);
        let mut profile = None;
        if matches!(decision.step, Step::Issue) {
            let standing = self.standing(session.as_ref().ok_or_else(no_session)?).await?;
            let age = standing.as_ref().map(|standing| now.seconds_since(standing.asked_at));
            session = session.filter(|_| standing.is_some());
            decision = decide(session.as_ref(), age);
            profile = standing.map(|standing| standing.profile);
        }
        note_decision(&mut trace, &decision, now);
        match decision.step {
            Step::Refuse(kind) => {
                self.save_trace(begun.correlation_id, Part::Begin, &trace).await?;
                Err(Error::new(kind, decision.why))
            }
            // Whether the person has agreed is asked there.
            Step::Issue | Step::Consent => {
                let (session, profile) = session.zip(profile).ok_or_else(no_session)?;
                self.finish_from_session(begun, &asked, &session, &profile, trace).await
            }
            step => {
                let mut asked = asked;
                // Whoever must prove themselves again does so where they came from, also where a connection has many.
                if let (Step::SendToIdp { connection, .. }, Some(session)) = (&step, &session)
                    && session.identity.connection == *connection
                    && !asked.choose
                {
                    asked.idp = asked.idp.or_else(|| session.upstream.idp.clone());
                }
                self.open_transaction(begun, asked, step, trace).await
            }
        }
    }

    async fn open_transaction(&self, begun: &Begun<'_>, asked: Asked, step: Step, mut trace: Trace) -> Result<Outcome> {
        let now = begun.now;
        let (transaction, change) = self.new_transaction(begun, asked);
        let choosing = Choosing { language: begun.browser.language(), remembered: &begun.browser.remembered, ..Choosing::default() };
        let (answer, transaction) = match step {
            Step::SendToIdp { connection, force } => {
                let to = Pick { connection, idp: None };
                match self.send_to_idp(transaction, (&to, choosing), force, now, &mut trace).await {
                    Ok(sent) => sent,
                    Err(error) => {
                        self.save_refusal((begun.correlation_id, Part::Begin), &mut trace, &error, now).await;
                        return Err(error);
                    }
                }
            }
            _ => (Answer::Choose(self.chooser(&transaction, choosing, now)), transaction),
        };
        let key = LoginTransaction::key(&transaction.id);
        let put = Op::Put { key, value: encode(&Stored::Running(Box::new(transaction)))?, ttl: self.lifetimes.transaction + REMAINS };
        self.sessions.commit(vec![put, trace_op(begun.correlation_id, Part::Begin, &trace)?]).await?;
        Ok(Outcome { answer, binding: change, session: CookieChange::Keep, correlation_id: None })
    }

    /// A transaction of this browser, and what becomes of its cookie.
    pub(super) fn new_transaction(&self, begun: &Begun<'_>, asked: Asked) -> (LoginTransaction, CookieChange) {
        let now = begun.now;
        let (binding, change) = binding_of(begun.browser);
        let transaction = LoginTransaction {
            id: id::random_id(),
            correlation_id: begun.correlation_id.to_owned(),
            created_at: now,
            expires_at: now.plus_seconds(self.lifetimes.transaction.cast_signed()),
            browser: id::digest(&binding),
            client_id: begun.application.client_id.clone(),
            asked,
            reply_to: begun.reply_to.clone(),
            restart: Restart { application: begun.application.name.clone(), path: begun.path.to_owned(), query: restart_only(begun) },
            previous_session: begun.browser.session.as_deref().map(Session::key),
            stage: Stage::ChoosingConnection,
        };
        (transaction, change)
    }

    /// Is this an enabled connection that the application may use?
    pub(super) fn accepts(&self, application: &Application, connection: &str) -> bool {
        let allowed = application.connections.as_ref().is_none_or(|allowed| allowed.iter().any(|name| name == connection));
        allowed && self.connections.enabled(connection).is_some_and(|known| known.config().serves(&application.client_id))
    }

    /// Enabled connections that the application may use.
    pub(super) fn usable_connections(&self, application: &Application) -> Vec<String> {
        match &application.connections {
            Some(allowed) => allowed.iter().filter(|name| self.accepts(application, name)).cloned().collect(),
            None => {
                let mut all = self.connections.all_enabled();
                all.retain(|connection| connection.config().serves(&application.client_id));
                all.into_iter().map(|connection| connection.config().name.clone()).collect()
            }
        }
    }

    /// Those of them by which a login that is asked so can end well: a recent sign-in is not looked for where nobody can say
    /// when it was, unless the application names the connection or there is no other.
    pub(super) fn fitting(&self, mut usable: Vec<String>, asked: &Asked) -> Vec<String> {
        let wants_recent = asked.fresh_login || asked.max_age.is_some();
        if wants_recent && asked.connection.is_none() && usable.iter().any(|name| self.asks_afresh(name)) {
            usable.retain(|name| self.asks_afresh(name));
        }
        usable
    }

    pub(super) fn asked(&self, request: AuthorizationRequest, application: &Application) -> Result<Asked> {
        let hint = request.id_token_hint.as_ref().map(|hint| self.keys.public().verify_hint(hint.expose(), &self.issuer)).transpose()?;
        if hint.as_ref().is_some_and(|hint| hint.client_id() != application.client_id) {
            return Err(Error::new(ErrorKind::InvalidRequest, "id_token_hint was issued to another client"));
        }
        let mut scopes = request.scopes;
        if let Some(audience) = &request.audience {
            // What people may do with their account is not for programs that made themselves known.
            if application.is_self_registered() && audience.identifier == self.management_audience() {
                return Err(audience.unknown());
            }
            let found = self.scopes_for_audience(&audience.identifier, &request.asked_scopes);
            scopes.extend(&found.map_err(|_| audience.unknown())?);
        }
        Ok(Asked {
            audience: request.audience.map(|audience| audience.identifier),
            response_type: request.response_type,
            claims: request.claims,
            acr_essential: request.acr_essential,
            consent: request.prompts.contains(Prompt::Consent),
            ui_locales: request.ui_locales,
            display: request.display,
            dpop_jkt: request.dpop_jkt,
            passive: request.prompts.is_none(),
            fresh_login: request.prompts.contains(Prompt::Login),
            choose: request.prompts.contains(Prompt::SelectAccount),
            max_age: request.max_age,
            acr_values: request.acr_values,
            // Core 5.5.1.1: what is essential must be one of the values; nothing else will do.
            acr_comparison: request.acr_essential.then_some(Comparison::Exact),
            login_hint: request.login_hint,
            connection: request.connection,
            idp: request.idp,
            expected_user: hint.map(|hint| hint.subject().to_owned()),
            id_token_hint: request.id_token_hint.map(|hint| Hint::new(hint.expose().clone())),
            scopes,
            nonce: request.nonce,
            code_challenge: request.code_challenge,
            once: Vec::new(),
            // OpenID Connect has neither.
            proxy_count: None,
            requester_ids: Vec::new(),
        })
    }

    /// The application is told that there is no login.
    pub(super) async fn reply_error(
        &self,
        client_id: &str,
        reply_to: &ReplyTo,
        error: &Error,
        correlation_id: &str,
        now: Timestamp,
    ) -> Outcome {
        let wire = error.kind.wire();
        // What a rule says is said as it is.
        let told = match error.kind {
            ErrorKind::RuleDenied => error.detail.clone(),
            _ => format!("{} {} ({correlation_id})", wire.code, error.detail),
        };
        let told = Error::new(error.kind, told);
        match reply_to {
            ReplyTo::Oidc(redirect) => {
                let response = redirect.error(&self.issuer, &told);
                Outcome::of(Answer::Reply(Reply::Oidc { client_id: redirect.client_id().to_owned(), response }))
            }
            ReplyTo::Saml(reply) => self.refuse_by_saml(client_id, reply, &told, now).await,
            ReplyTo::Device(reply) => self.refuse_device(reply, error, now).await,
        }
    }

    /// A login that cannot begin: its trace says why. The person is told why even where that cannot be kept.
    pub(super) async fn save_refusal(&self, (correlation_id, part): (&str, Part), trace: &mut Trace, error: &Error, now: Timestamp) {
        let wire = error.kind.wire();
        trace.note(now, Note::Refused { code: wire.code.to_owned(), reason: wire.problem.to_owned(), detail: error.detail.clone() });
        if let Err(failed) = self.save_trace(correlation_id, part, trace).await {
            tracing::warn!(correlation_id, detail = failed.detail, "the trace of a login that cannot begin cannot be kept");
        }
    }

    pub(super) async fn save_trace(&self, correlation_id: &str, part: Part, trace: &Trace) -> Result<()> {
        self.sessions.commit(vec![trace_op(correlation_id, part, trace)?]).await.map(drop)
    }
}

/// The value that binds logins to this browser, and what becomes of its cookie.
pub(super) fn binding_of(browser: &Browser) -> (String, CookieChange) {
    match &browser.binding {
        Some(value) => (value.clone(), CookieChange::Keep),
        None => {
            let value = id::random_token();
            (value.clone(), CookieChange::Set(value))
        }
    }
}

fn no_session() -> Error {
    Error::new(ErrorKind::Internal, "a decision without its session")
}

/// Bytes of an authorization request at most.
const REQUEST_LIMIT: usize = 8192;

/// One answer for a client that is not there and for an address that is not its own, so that nobody can find out which
/// clients exist. The log knows.
fn not_registered(error: Error) -> Error {
    match error.kind {
        ErrorKind::InvalidClient | ErrorKind::InvalidRedirectUri => {
            let told = "The application, or the address to which it wants you to return, is not registered here.";
            Error::new(ErrorKind::InvalidRedirectUri, told).because(error.detail)
        }
        _ => error,
    }
}

/// The parameters for scripts, where the path has none.
fn restart_only(begun: &Begun<'_>) -> String {
    if begun.path.is_empty() { String::from_utf8_lossy(begun.query).into_owned() } else { String::new() }
}

/// The parameters that begin the same login again; not the hint, which is a token.
pub(super) fn restart_query(params: &Params) -> String {
    let kept = params.iter().filter(|(name, _)| *name != "id_token_hint");
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
}

/// A login that begins, with all that is known of it.
#[derive(Clone, Copy)]
pub(super) struct Begun<'a> {
    pub application: &'a Arc<Application>,
    pub reply_to: &'a ReplyTo,
    /// Path and query here that begins the same login again; empty where only the application can.
    pub path: &'a str,
    /// The request's parameters, without secrets, for scripts.
    pub query: &'a [u8],
    pub browser: &'a Browser,
    pub correlation_id: &'a str,
    pub now: Timestamp,
}

pub(super) fn trace_op(correlation_id: &str, part: Part, trace: &Trace) -> Result<Op> {
    Ok(Op::Put { key: Trace::key(correlation_id, part), value: encode(trace)?, ttl: crate::login::trace::KEPT })
}

/// What is answered by redirect passes no other boundary that logs.
pub(super) fn log_refusal(error: &Error, application: &Application, correlation_id: &str) {
    let (wire, client_id) = (error.kind.wire(), application.client_id.as_str());
    let source = error.source.as_ref().map(tracing::field::display);
    if wire.status >= 500 {
        tracing::error!(correlation_id, client_id, code = wire.code, detail = error.detail, source, "authorization request failed");
    } else {
        tracing::info!(correlation_id, client_id, code = wire.code, detail = error.detail, source, "authorization request refused");
    }
}

fn note_decision(trace: &mut Trace, decision: &Decision, now: Timestamp) {
    let what = match &decision.step {
        Step::ChooseConnection(among) => format!("the person chooses among {} connections", among.len()),
        Step::SendToIdp { connection, force: true } => format!("to the identity provider of {connection}, for a fresh login"),
        Step::SendToIdp { connection, force: false } => format!("to the identity provider of {connection}"),
        Step::Issue => "answered from the session".to_owned(),
        Step::Consent => "the person is asked for consent".to_owned(),
        Step::Refuse(kind) => format!("refused with {}", kind.wire().oauth),
    };
    trace.note(now, Note::Decision { what, why: decision.why.into() });
}

/// The request's parameters without what could be misused: hints that are tokens are only named.
fn recordable(params: &Params, proven: Proven) -> Vec<(String, String)> {
    let how = [("(signed by the application)", proven.signed), ("(pushed before)", proven.pushed)];
    let how = how.into_iter().filter(|(_, is)| *is).map(|(name, _)| (name, "true"));
    params
        .iter()
        .chain(how)
        .map(|(name, value)| {
            let shown = match name {
                "id_token_hint" | "request" | "client_secret" | "client_assertion" | "code_challenge" | "nonce" | "state" => "(present)",
                _ => value,
            };
            (name.to_owned(), shown.chars().take(200).collect())
        })
        .collect()
}
