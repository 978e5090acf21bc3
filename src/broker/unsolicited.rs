//! Answers of identity providers to no question of ours (SAML Profiles 4.1.5), where a connection takes them.
//!
//! Every one is verified completely and counts once. After that it is a hint, and a login begins; or, where the connection
//! says so, it is the login.

use super::begin::{Begun, binding_of, trace_op};
use super::happened::Ended;
use super::traces::{RecentLogin, recent_op};
use super::upstream::{IdpAnswer, IdpPost, once};
use super::{Answer, Browser, CookieChange, Gateway, Outcome};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::connection::unsolicited::{ApplicationProtocol, Unsolicited, UnsolicitedMode};
use crate::connection::{BrowserStep, Callback, Refused, UpstreamRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Asked, PendingAuthn, ReplyTo, SamlReply};
use crate::oidc::request_object::Proven;
use crate::oidc::{AuthorizationRequest, CheckedRedirect, ClientFacts, Params};
use crate::saml;
use crate::saml::Rejection;
use crate::saml::idp::SamlReplyTo;
use crate::store::Op;
use std::sync::Arc;
use url::Url;
use url::form_urlencoded::Serializer;

/// Seconds in which another hint in the same browser is taken for the answer to the question that the first one led to.
const HINTED: u64 = 120;

/// Characters of a RelayState that are shown.
const SHOWN: usize = 100;

impl Gateway {
    /// A response that names no login of ours.
    pub(super) async fn unsolicited(&self, post: IdpPost<'_>, browser: &Browser, now: Timestamp) -> Outcome {
        let correlation_id = id::correlation_id();
        let outcome = match Box::pin(self.unsolicited_inner(post, browser, &correlation_id, now)).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.events.login(post.connection, error.kind.wire().code);
                Outcome::refused(error, None)
            }
        };
        outcome.in_login(&correlation_id)
    }

    async fn unsolicited_inner(&self, post: IdpPost<'_>, browser: &Browser, correlation_id: &str, now: Timestamp) -> Result<Outcome> {
        let connection = self.connections.enabled(post.connection);
        let connection = connection.ok_or_else(|| Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."))?;
        let rules = connection.config().unsolicited().ok_or_else(|| not_switched_on(post.connection))?;
        let relay_state = rules.relay_state(post.relay_state).map_err(|found| unknown_relay_state(post.connection, found))?;
        let application = self.application(&rules.application).filter(|application| self.accepts(application, post.connection));
        let application = application.ok_or_else(|| {
            let told = "The application for which such sign-ins are meant is not available, or does not accept this connection.";
            let why = format!("[connection.saml.unsolicited] of {} names the application {}", post.connection, rules.application);
            Error::new(ErrorKind::UnauthorizedClient, told).because(why)
        })?;
        let way = Way::of(rules, application, relay_state)?;
        // An artifact would have us ask for what nobody asked for.
        let IdpAnswer::Response(response) = post.answer else {
            let told = "An artifact belongs to no sign-in that was started here; only whole responses are taken unasked.";
            return Err(Error::new(ErrorKind::UnsolicitedResponse, told));
        };
        // The cookies of this browser, as for any other answer.
        if browser.binding.is_none() && !post.bounced {
            return Ok(Outcome::of(Answer::Bounce));
        }
        // Of many identity providers the one that it says it is of: its keys and no others decide whether that is so.
        let idp = if connection.has_many() { Some(saml::peek_issuer(response).ok_or_else(unknown_issuer)?) } else { None };
        connection.prepare(idp.as_deref(), now).await;
        let way = Way { idp: idp.as_deref(), ..way };
        let arriving = Arriving { post, response, application, correlation_id, now };
        // What it must sign or push nobody can ask in its place.
        let mode = if way.only_itself_asks(post.pushed_only)? { UnsolicitedMode::Hint } else { rules.mode };
        match mode {
            UnsolicitedMode::Hint => Box::pin(self.take_hint(arriving, &way, browser)).await,
            UnsolicitedMode::AcceptDirectly => Box::pin(self.accept_directly(arriving, &way, browser)).await,
        }
    }

    /// The answer is used up, and a login begins at the same identity provider.
    async fn take_hint(&self, arriving: Arriving<'_>, way: &Way<'_>, browser: &Browser) -> Result<Outcome> {
        let Arriving { post, response, application, correlation_id, now } = arriving;
        let connection = self.connections.enabled(post.connection);
        let connection = connection.ok_or_else(|| Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."))?;
        let requester = application.client_id.clone();
        let asked = UpstreamRequest { requester, idp: way.idp.map(str::to_owned), ..UpstreamRequest::default() };
        let mut trace = Trace::default();
        let callback = Callback::SamlResponse { response };
        let authentication = match connection.unsolicited(callback, &asked, now, &mut trace) {
            Ok(authentication) => authentication,
            Err(refused) => return Err(self.refuse_unsolicited(&arriving, refused, trace).await?),
        };
        let (binding, change) = binding_of(browser);
        // Nothing was asked that could be answered twice; only the answer itself is used up.
        let mut claims = once(&authentication, now);
        let count = claims.len();
        claims.push(Op::Claim { key: hint_key(&id::digest(&binding), post.connection), ttl: HINTED });
        let what = format!("a sign-in to {} begins at the same identity provider", application.client_id);
        let mut begun = trace.clone();
        begun.note(now, Note::Decision { what, why: "an answer to no question is a hint at this connection".into() });
        let writes = std::iter::once(trace_op(correlation_id, Part::Login, &begun)?);
        let ours = self.sessions.commit(claims.into_iter().chain(writes).collect()).await?;
        let is_first = ours.get(count) == Some(&true);
        if ours.len() <= count || !ours.iter().take(count).all(|ours| *ours) {
            // A copy leads nobody anywhere, and must not stop the next one.
            if is_first {
                self.forget_hint(&id::digest(&binding), post.connection).await?;
            }
            return Err(Error::new(ErrorKind::IdpResponseReplayed, "This answer was used before."));
        }
        if !is_first {
            return Err(self.stop_circling(&arriving, &binding, trace).await?);
        }
        let to = way.begin(&self.issuer, post.connection)?;
        Ok(Outcome { binding: change, ..Outcome::of(Answer::Upstream(BrowserStep::Redirect(to))) })
    }

    /// A hint that has led to nothing but another one: the identity provider does not answer questions, and going on would
    /// lead round in circles. Whoever tries again may.
    async fn stop_circling(&self, arriving: &Arriving<'_>, binding: &str, trace: Trace) -> Result<Error> {
        let forget = Op::Delete { key: hint_key(&id::digest(binding), arriving.post.connection) };
        self.sessions.commit(vec![forget]).await?;
        let rejection = Rejection::UnsolicitedAgain;
        let error = Error::new(ErrorKind::UnsolicitedResponse, rejection.to_string());
        let refused = Refused { error, reason: rejection.name().to_owned(), alarm: false, status: None };
        let error = self.refuse_unsolicited(arriving, refused, trace).await?;
        let told =
            "Your organisation's sign-in service was asked to sign you in, and has sent you here again without an answer to that question.";
        Ok(Error::new(error.kind, told))
    }

    /// The browser's login has come further than to another hint.
    pub(super) async fn forget_hint(&self, browser: &str, connection: &str) -> Result<()> {
        let known = self.connections.enabled(connection);
        let takes_hints = known.and_then(|known| known.config().unsolicited()).is_some_and(|rules| rules.mode == UnsolicitedMode::Hint);
        if takes_hints {
            self.sessions.commit(vec![Op::Delete { key: hint_key(browser, connection) }]).await?;
        }
        Ok(())
    }

    /// The answer is the login, for what the application is taken to ask.
    async fn accept_directly(&self, arriving: Arriving<'_>, way: &Way<'_>, browser: &Browser) -> Result<Outcome> {
        let Arriving { post, response, application, correlation_id, now } = arriving;
        let (reply_to, asked, path) = self.taken_to_ask(application, way, post.connection)?;
        if asked.passive || asked.fresh_login {
            return Err(Error::new(ErrorKind::Misconfigured, "What nobody asked for cannot be asked for anew."));
        }
        let query = path.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let begun = Begun { application, reply_to: &reply_to, path: &path, query: query.as_bytes(), browser, correlation_id, now };
        let upstream = UpstreamRequest {
            max_age: asked.max_age,
            acr_values: asked.acr_values.clone(),
            acr_comparison: asked.acr_comparison,
            idp: way.idp.map(str::to_owned),
            requester: application.client_id.clone(),
            ..UpstreamRequest::default()
        };
        let mut trace = Trace::default();
        let connection = self.connections.enabled(post.connection);
        let connection = connection.ok_or_else(|| Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."))?;
        let callback = Callback::SamlResponse { response };
        let authentication = match connection.unsolicited(callback, &upstream, now, &mut trace) {
            Ok(authentication) => authentication,
            Err(refused) => return Err(self.refuse_unsolicited(&arriving, refused, trace).await?),
        };
        let why = "the connection accepts answers to no question";
        trace.note(now, Note::Decision { what: format!("taken as a sign-in to {}", application.client_id), why: why.into() });
        let (transaction, change) = self.new_transaction(&begun, asked);
        let transaction = transaction.sent_to(post.connection.to_owned(), nothing_asked(way.idp, now));
        let outcome = Box::pin(self.accept_unsolicited(post, &transaction, authentication, browser, now, trace)).await?;
        // Whatever the login does next belongs to this browser.
        let binding = if outcome.binding == CookieChange::Keep { change } else { outcome.binding };
        Ok(Outcome { binding, ..outcome })
    }

    /// What stands in for the application's request: where the answer goes, what is asked, and how to begin again.
    fn taken_to_ask(&self, application: &Arc<Application>, way: &Way<'_>, connection: &str) -> Result<(ReplyTo, Asked, String)> {
        match way.service {
            Service::Oidc { client, .. } => {
                let query = way.authorization_query(connection);
                let params = Params::parse(query.as_bytes())?;
                let redirect = CheckedRedirect::identify(&params, Some(client))?;
                let request = AuthorizationRequest::parse(&params, client, &redirect)?;
                let asked = self.asked(request, application)?;
                Ok((ReplyTo::Oidc(redirect), asked, format!("/authorize?{query}")))
            }
            Service::Saml { .. } => {
                let saml = application.saml.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "another protocol"))?;
                let to = SamlReplyTo::unsolicited(saml.sp.trust(), saml.sp.allow_unsolicited(), way.relay_state)
                    .map_err(|rejection| Error::new(ErrorKind::UnsolicitedResponse, rejection.to_string()))?;
                let asked = Asked { connection: Some(connection.to_owned()), idp: way.idp.map(str::to_owned), ..Asked::default() };
                Ok((ReplyTo::Saml(Box::new(SamlReply { to, mirror: None })), asked, way.saml_path(connection)))
            }
        }
    }

    /// Notes why an answer is refused. The error is what our page says: nobody knows where it should go.
    async fn refuse_unsolicited(&self, arriving: &Arriving<'_>, refused: Refused, mut trace: Trace) -> Result<Error> {
        let Arriving { post, application, correlation_id, now, .. } = *arriving;
        let wire = refused.error.kind.wire();
        tracing::warn!(
            correlation_id,
            connection = post.connection,
            code = wire.code,
            reason = refused.reason,
            detail = refused.error.detail,
            "unsolicited answer refused"
        );
        self.note_failed_login(
            Ended { client_id: &application.client_id, connection: post.connection, correlation_id, now },
            &refused.error,
            &refused.reason,
        );
        trace.note(now, Note::Refused { code: wire.code.to_owned(), reason: refused.reason.clone(), detail: refused.error.detail.clone() });
        if refused.alarm {
            self.raise_alarm(post.connection, correlation_id, &refused, now).await?;
        }
        let recent = RecentLogin {
            correlation_id: correlation_id.to_owned(),
            at: now,
            connection: post.connection.to_owned(),
            application: application.client_id.clone(),
            user_id: None,
            outcome: wire.code.to_owned(),
        };
        self.sessions.commit(vec![trace_op(correlation_id, Part::Login, &trace)?, recent_op(&recent)?]).await?;
        Ok(Error::new(refused.error.kind, wire.title))
    }
}

/// An answer, and the application for which it is meant.
#[derive(Clone, Copy)]
struct Arriving<'a> {
    post: IdpPost<'a>,
    response: &'a str,
    application: &'a Arc<Application>,
    correlation_id: &'a str,
    now: Timestamp,
}

/// How a login at the application begins.
#[derive(Clone, Copy)]
struct Way<'a> {
    service: Service<'a>,
    relay_state: Option<&'a str>,
    /// entityID of who has answered, at a connection that has many.
    idp: Option<&'a str>,
}

/// How the application is served.
#[derive(Clone, Copy)]
enum Service<'a> {
    Oidc { client: &'a ClientFacts, query: &'a [(String, String)] },
    Saml { client_id: &'a str },
}

impl<'a> Way<'a> {
    fn of(rules: &'a Unsolicited, application: &'a Application, relay_state: Option<&'a str>) -> Result<Self> {
        let service = match (rules.protocol, &application.oidc, &application.saml) {
            (Some(ApplicationProtocol::Oidc) | None, Some(client), _) => Service::Oidc { client, query: &rules.query },
            (Some(ApplicationProtocol::Saml) | None, _, Some(saml)) if saml.sp.allow_unsolicited() => {
                Service::Saml { client_id: &application.client_id }
            }
            (Some(ApplicationProtocol::Saml) | None, _, Some(_)) => {
                let told = "The application for which such sign-ins are meant wants them to begin with itself (allow_unsolicited of [application.saml]).";
                return Err(Error::new(ErrorKind::UnsolicitedResponse, told));
            }
            _ => {
                let told = "The application does not speak the protocol that the connection names for it.";
                return Err(Error::new(ErrorKind::Misconfigured, told));
            }
        };
        Ok(Self { service, relay_state, idp: None })
    }

    /// Does the application have to sign its requests, or to push them (RFC 9101 10.5, RFC 9126 5 and 6, FAPI 2.0 5.3.2.2)?
    ///
    /// # Errors
    /// Where it does not begin logins for others.
    fn only_itself_asks(&self, pushed_only: bool) -> Result<bool> {
        let Service::Oidc { client, .. } = self.service else { return Ok(false) };
        match (Proven::default().check(client, pushed_only), &client.initiate_login_uri) {
            (Ok(()), _) => Ok(false),
            (Err(_), Some(_)) => Ok(true),
            (Err(why), None) => {
                let told = "The application for which such sign-ins are meant must begin them itself, and has no address for that (initiate_login_uri).";
                Err(Error::new(ErrorKind::UnsolicitedResponse, told).because(why))
            }
        }
    }

    /// Where a login begins that this identity provider will be asked about.
    fn begin(&self, issuer: &str, connection: &str) -> Result<Url> {
        let address = match self.service {
            Service::Oidc { client, .. } => match &client.initiate_login_uri {
                // OpenID Connect Core 4: the application begins, with a state and a verifier of its own.
                Some(uri) => {
                    let mut url = Url::parse(uri).map_err(|_| Error::new(ErrorKind::Misconfigured, format!("{uri} is no address")))?;
                    url.query_pairs_mut().append_pair("iss", issuer).append_pair("connection", connection);
                    url.query_pairs_mut().extend_pairs(self.idp.map(|idp| ("idp", idp)));
                    if let Some(target) = self.relay_state {
                        url.query_pairs_mut().append_pair("target_link_uri", target);
                    }
                    return Ok(url);
                }
                None => format!("{issuer}/authorize?{}", self.authorization_query(connection)),
            },
            Service::Saml { .. } => format!("{issuer}{}", self.saml_path(connection)),
        };
        address.parse().map_err(|_| Error::new(ErrorKind::Misconfigured, format!("{address} is no address")))
    }

    /// The application's own first address and the usual scopes, where the connection says nothing else.
    fn authorization_query(&self, connection: &str) -> String {
        let Service::Oidc { client, query } = self.service else { return String::new() };
        let redirect_uri = client.redirect_uris.first().map_or("", String::as_str);
        let usual = [("response_type", "code"), ("redirect_uri", redirect_uri), ("scope", "openid profile email")];
        let said = |name: &str| query.iter().any(|(known, _)| known == name);
        let mut written = Serializer::new(String::new());
        written.append_pair("client_id", &client.client_id).append_pair("connection", connection);
        written.extend_pairs(self.idp.map(|idp| ("idp", idp)));
        written.extend_pairs(usual.into_iter().filter(|(name, _)| !said(name)));
        written.extend_pairs(query.iter());
        written.finish()
    }

    fn saml_path(&self, connection: &str) -> String {
        let Service::Saml { client_id } = self.service else { return String::new() };
        let mut query = Serializer::new(String::new());
        query.append_pair("connection", connection);
        query.extend_pairs(self.idp.map(|idp| ("idp", idp)));
        query.extend_pairs(self.relay_state.map(|state| ("RelayState", state)));
        format!("/samlp/{client_id}?{}", query.finish())
    }
}

/// The mark that a hint has led this browser to the identity provider; `browser` is the digest of its binding cookie.
fn hint_key(browser: &str, connection: &str) -> String {
    format!("hinted:{browser}:{connection}")
}

/// What must be remembered of a question that nobody asked.
fn nothing_asked(idp: Option<&str>, now: Timestamp) -> PendingAuthn {
    PendingAuthn { idp: idp.map(str::to_owned), ..PendingAuthn::new("unsolicited".to_owned(), now) }
}

fn not_switched_on(connection: &str) -> Error {
    let told = format!(
        "The answer belongs to no sign-in that was started here. The connection {connection} does not take such answers; [connection.saml.unsolicited] switches them on."
    );
    Error::new(ErrorKind::UnsolicitedResponse, told)
}

fn unknown_issuer() -> Error {
    Error::new(ErrorKind::UnsolicitedResponse, "The answer does not say which identity provider has given it.")
}

fn unknown_relay_state(connection: &str, found: &str) -> Error {
    let found: String = found.chars().take(SHOWN).collect();
    let told = format!(
        "The RelayState \"{found}\" is not one of those that the connection {connection} takes (relay_states of [connection.saml.unsolicited])."
    );
    Error::new(ErrorKind::UnsolicitedResponse, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::RequestObjects;

    #[test]
    fn what_an_application_must_push_or_sign_it_begins_itself_or_nobody() {
        let start = Some("https://notes.example/start".to_owned());
        let of = |client: &ClientFacts, pushed_only| {
            let way = Way { service: Service::Oidc { client, query: &[] }, relay_state: None, idp: None };
            way.only_itself_asks(pushed_only).map_err(|error| error.kind)
        };
        let plain = ClientFacts::public("notes");
        assert_eq!((of(&plain, false), of(&plain, true)), (Ok(false), Err(ErrorKind::UnsolicitedResponse)));
        let begins = ClientFacts { initiate_login_uri: start.clone(), ..plain.clone() };
        assert_eq!((of(&begins, false), of(&begins, true)), (Ok(false), Ok(true)));
        let pushes = RequestObjects { pushed_required: true, ..RequestObjects::default() };
        let signs = RequestObjects { required: true, ..RequestObjects::default() };
        for (request_objects, fapi2) in [(pushes, false), (signs, false), (RequestObjects::default(), true)] {
            let client = ClientFacts { request_objects, fapi2, ..plain.clone() };
            assert_eq!(of(&client, false), Err(ErrorKind::UnsolicitedResponse));
            assert_eq!(of(&ClientFacts { initiate_login_uri: start.clone(), ..client }, false), Ok(true));
        }
    }
}
