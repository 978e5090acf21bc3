//! The identity provider role toward applications: what they ask, and the sign-ins that begin here.
//!
//! Who we are is in `entity`, what is asked in `asked`, and answers are made in `answer`; everything between question and
//! answer is the same as for any other application.

mod answer;
mod artifact;
mod asked;
mod entity;
mod tailored;

pub use artifact::ArtifactAnswer;

use super::begin::{Begun, log_refusal};
use super::choose::Pick;
use super::{Answer, Browser, Gateway, Outcome};
use crate::application::{Application, SamlApplication};
use crate::clock::Timestamp;
use crate::connection::note_checks;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Asked, Mirror, ReplyTo, SamlReply};
use crate::saml::binding::RELAY_STATE_LIMIT;
use crate::saml::idp::{self, ArrivedRequest, Refusal, SamlReplyTo};
use crate::saml::{Binding, Incoming, Rejection};
use asked::Unserved;
use entity::{restart_path, sso_path};
use std::sync::Arc;

/// Where a message of an application arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdpEndpoint {
    /// `/saml/sso`: whoever asks says so in the message.
    Shared,
    /// `/samlp/{client_id}`.
    Application(String),
    /// The endpoint of an entity that stands for one connection.
    Mirror(Mirror),
}

/// What came to a single sign-on service.
#[derive(Clone, Copy, Debug)]
pub struct SsoRequest<'a> {
    pub endpoint: &'a IdpEndpoint,
    pub message: Incoming<'a>,
    /// `connection` in the query: the connection to use.
    pub connection: Option<&'a str>,
    /// `aarc_idp_hint` in the query (AARC-G061): an identity provider by its entity ID.
    pub idp_hint: Option<&'a str>,
    /// Our own page has sent the form again already.
    pub bounced: bool,
}

/// A sign-in that begins here: where the application may want the person, and by whom they come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    pub relay_state: Option<&'a str>,
    /// Name of a connection.
    pub connection: Option<&'a str>,
    /// entityID of an identity provider, of one of many at a connection, or behind whichever connection it is.
    pub idp: Option<&'a str>,
    /// As in [`SsoRequest`].
    pub idp_hint: Option<&'a str>,
}

impl Gateway {
    /// The single sign-on service (SAML Profiles 4.1.3): takes an AuthnRequest.
    pub async fn single_sign_on(&self, request: SsoRequest<'_>, browser: &Browser, correlation_id: &str, now: Timestamp) -> Outcome {
        let outcome = match Box::pin(self.single_sign_on_inner(request, browser, correlation_id, now)).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        };
        outcome.in_login(correlation_id)
    }

    async fn single_sign_on_inner(
        &self,
        request: SsoRequest<'_>,
        browser: &Browser,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<Outcome> {
        let arrived = ArrivedRequest::decode(request.message).map_err(|rejection| unreadable(&rejection))?;
        let (application, saml) = self.service_provider(request.endpoint, arrived.issuer(), now)?;
        // A cross-site POST comes without our SameSite=Lax cookies: have our own page send it again.
        if matches!(request.message, Incoming::Post { .. }) && browser.session.is_none() && !request.bounced {
            return Ok(Outcome::of(Answer::Bounce));
        }
        let mut trace = Trace::default();
        trace.note(now, Note::RequestIn { application: application.client_id.clone(), parameters: parameters(&request, &arrived) });
        let destination = self.sso_address(request.endpoint);
        let keys = self.keyring.saml();
        let keys = keys.decryption_keys();
        let mut checks = Vec::new();
        let received = idp::receive_authn_request(&arrived, &saml.sp.request_terms(&destination, &keys, now), &mut checks);
        note_checks(checks, now, &mut trace);
        let checked = match received {
            Ok(checked) => checked,
            Err(refused) => return self.refuse_request(request.endpoint, application, *refused, trace, correlation_id, now).await,
        };
        let reply = SamlReply { to: checked.reply_to().clone(), mirror: mirror_of(request.endpoint) };
        let came_by = if checked.said().idp_list.is_empty() { None } else { self.session(browser, now).await? };
        let came_by = came_by.map(|session| Pick { connection: session.identity.connection, idp: session.upstream.idp });
        let asked = match self.asked_by_saml(&request, &checked, application, came_by.as_ref(), now) {
            Ok(asked) => asked,
            Err(unserved) => return self.refuse_asked(application, &reply, unserved, trace, correlation_id, now).await,
        };
        let reply_to = ReplyTo::Saml(Box::new(reply));
        let path = Some(restart_path(request.endpoint, request.message)).filter(|path| path.len() <= RESTART_LIMIT).unwrap_or_default();
        let query = path.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let begun = Begun { application, reply_to: &reply_to, path: &path, query: query.as_bytes(), browser, correlation_id, now };
        match Box::pin(self.begin_login(&begun, asked, trace)).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => self.refuse_beginning(&begun, error).await,
        }
    }

    /// A sign-in that begins here, for an application that may be answered without having asked.
    pub async fn start_at_application(
        &self,
        client_id: &str,
        start: Start<'_>,
        browser: &Browser,
        correlation_id: &str,
        now: Timestamp,
    ) -> Outcome {
        let Start { relay_state, connection, idp, idp_hint } = start;
        let started = async {
            let (application, saml) = self.service_provider_of(client_id)?;
            if relay_state.is_some_and(|state| state.len() > RELAY_STATE_LIMIT) {
                return Err(Error::new(ErrorKind::InvalidRequest, format!("RelayState has more than {RELAY_STATE_LIMIT} bytes")));
            }
            let to = SamlReplyTo::unsolicited(saml.sp.trust(), saml.sp.allow_unsolicited(), relay_state).map_err(|rejection| {
                let told = "This address needs a request of the application: for this application, sign-ins do not start here.";
                Error::new(ErrorKind::InvalidRequest, told).because(rejection.to_string())
            })?;
            let reply_to = ReplyTo::Saml(Box::new(SamlReply { to, mirror: None }));
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(connection.map(|name| ("connection", name)));
            query.extend_pairs(idp.map(|idp| ("idp", idp)));
            query.extend_pairs(relay_state.map(|state| ("RelayState", state)));
            let query = query.finish();
            let path =
                format!("{}{}{query}", sso_path(&IdpEndpoint::Application(client_id.to_owned())), if query.is_empty() { "" } else { "?" });
            let begun = Begun { application, reply_to: &reply_to, path: &path, query: query.as_bytes(), browser, correlation_id, now };
            let mut trace = Trace::default();
            let parameters = vec![("IdP-initiated".to_owned(), "true".to_owned())];
            trace.note(now, Note::RequestIn { application: application.client_id.clone(), parameters });
            let idp = idp.filter(|idp| !idp.is_empty() && idp.len() <= ENTITY_ID_LIMIT).map(str::to_owned);
            let asked = Asked { connection: connection.map(str::to_owned), idp, ..Asked::default() };
            let asked = self.with_place(asked, application, now);
            let asked = if asked.idp.is_none() { self.with_idp_hint(asked, idp_hint, application, now) } else { asked };
            match Box::pin(self.begin_login(&begun, asked, trace)).await {
                Ok(outcome) => Ok(outcome),
                Err(error) => self.refuse_beginning(&begun, error).await,
            }
        };
        started.await.unwrap_or_else(|error| Outcome::refused(error, None)).in_login(correlation_id)
    }

    /// Whose message it is. One answer for an application that is not there and for one that is not meant here.
    pub(super) fn service_provider(
        &self,
        endpoint: &IdpEndpoint,
        issuer: &str,
        now: Timestamp,
    ) -> Result<(&Arc<Application>, &SamlApplication)> {
        let known = self.service_providers.get(issuer).map(Vec::as_slice).unwrap_or_default();
        let (application, saml) = match endpoint {
            IdpEndpoint::Application(client_id) => self.service_provider_of(client_id),
            IdpEndpoint::Shared => match known {
                [only] => self.service_provider_of(only),
                [] => Err(not_registered(format!("no application has the entity ID {issuer}"))),
                several => {
                    let why = format!("{} applications have the entity ID {issuer}: each has an address of its own", several.len());
                    Err(not_registered(why))
                }
            },
            IdpEndpoint::Mirror(mirror) => {
                let found = known.iter().filter_map(|client_id| self.service_provider_of(client_id).ok());
                let mut allowed = found.filter(|(application, _)| self.may_mirror(application, mirror, now));
                match (allowed.next(), allowed.next()) {
                    (Some(only), None) => Ok(only),
                    _ => Err(not_registered(format!("not one application {issuer} may see {} as its own", mirror.connection))),
                }
            }
        }?;
        // The snapshot of the configuration follows within a second.
        match self.unavailable(application).filter(|_| saml.is_over(now)) {
            Some(unavailable) => Err(unavailable),
            None => Ok((application, saml)),
        }
    }

    pub(in crate::broker) fn service_provider_of(&self, client_id: &str) -> Result<(&Arc<Application>, &SamlApplication)> {
        let application = self.application(client_id);
        let found = application.and_then(|application| application.saml.as_ref().map(|saml| (application, saml)));
        found.ok_or_else(|| {
            let awaited = application.and_then(|application| self.unavailable(application));
            awaited.unwrap_or_else(|| not_registered(format!("there is no enabled SAML application {client_id}")))
        })
    }

    async fn refuse_request(
        &self,
        endpoint: &IdpEndpoint,
        application: &Arc<Application>,
        refused: idp::Refused,
        mut trace: Trace,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<Outcome> {
        let error = rejected(&refused.rejection);
        let (code, reason) = (error.kind.wire().code.to_owned(), refused.rejection.name().to_owned());
        trace.note(now, Note::Refused { code, reason, detail: crate::saml::rejection::shown(refused.rejection.to_string()) });
        self.save_trace(correlation_id, Part::Begin, &trace).await?;
        log_refusal(&error, application, correlation_id);
        match refused.reply_to.clone() {
            None => Ok(Outcome::refused(error, None)),
            Some(to) => {
                let reply = SamlReply { to, mirror: mirror_of(endpoint) };
                let message = message(&error, correlation_id);
                let refusal = Refusal { message: Some(&message), ..refused.status() };
                Ok(self.answer_by_saml(&application.client_id, &reply, refusal, now).await)
            }
        }
    }

    /// The request is in good order, and nobody here can serve it.
    async fn refuse_asked(
        &self,
        application: &Arc<Application>,
        reply: &SamlReply,
        unserved: Unserved,
        mut trace: Trace,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<Outcome> {
        let error = Error::new(ErrorKind::RequestNotSupported, unserved.why);
        let code = error.kind.wire().code.to_owned();
        trace.note(now, Note::Refused { code, reason: unserved.second.to_owned(), detail: error.detail.clone() });
        self.save_trace(correlation_id, Part::Begin, &trace).await?;
        log_refusal(&error, application, correlation_id);
        let message = message(&error, correlation_id);
        Ok(self.answer_by_saml(&application.client_id, reply, unserved.refusal(&message), now).await)
    }
}

/// Bytes of an entityID (SAML Core 8.3.6).
const ENTITY_ID_LIMIT: usize = 1024;

/// Bytes of a request that is kept for beginning the login again; longer ones only their application can repeat.
const RESTART_LIMIT: usize = 8192;

/// What the application's makers are told, beside the status.
pub(super) fn message(error: &Error, correlation_id: &str) -> String {
    format!("{} {} ({correlation_id})", error.kind.wire().code, error.detail)
}

pub(super) fn mirror_of(endpoint: &IdpEndpoint) -> Option<Mirror> {
    match endpoint {
        IdpEndpoint::Mirror(mirror) => Some(mirror.clone()),
        _ => None,
    }
}

/// What the trace shows of a request beside its checks.
fn parameters(request: &SsoRequest<'_>, arrived: &ArrivedRequest) -> Vec<(String, String)> {
    let binding = if arrived.binding() == Binding::Redirect { "HTTP-Redirect" } else { "HTTP-POST" };
    let mut found = vec![("binding".to_owned(), binding.to_owned()), ("Issuer".to_owned(), arrived.issuer().chars().take(200).collect())];
    found.extend(request.connection.map(|name| ("connection".to_owned(), name.chars().take(200).collect())));
    found
}

fn unreadable(rejection: &Rejection) -> Error {
    Error::new(ErrorKind::InvalidRequest, "This is no request of an application that could be read.").because(rejection.to_string())
}

fn rejected(rejection: &Rejection) -> Error {
    let detail = format!("The application's request was refused ({}).", rejection.name());
    Error::new(ErrorKind::InvalidRequest, detail).because(rejection.to_string())
}

fn not_registered(why: String) -> Error {
    Error::new(ErrorKind::InvalidRedirectUri, "The application is not registered here.").because(why)
}
