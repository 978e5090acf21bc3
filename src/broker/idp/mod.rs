//! The identity provider role toward applications: what they ask, and the sign-ins that begin here.
//!
//! Answers are made in `answer`; everything between question and answer is the same as for any other application.

mod answer;
mod artifact;

pub use artifact::ArtifactAnswer;

use super::begin::{Begun, log_refusal};
use super::choose::Pick;
use super::{Answer, Browser, Gateway, Outcome};
use crate::application::{Application, SamlApplication};
use crate::clock::Timestamp;
use crate::connection::note_checks;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{CertifiedKey, KeySet, SamlKeys};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Asked, Mirror, ReplyTo, SamlReply};
use crate::saml::idp::{self, ArrivedRequest, CheckedRequest, IdpDescription, SamlReplyTo};
use crate::saml::logout::LogoutService;
use crate::saml::{Binding, Endpoint, Incoming, Rejection, Signer};
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
    /// Our own page has sent the form again already.
    pub bounced: bool,
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
        let (application, saml) = self.service_provider(request.endpoint, arrived.issuer())?;
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
        let reply_to = ReplyTo::Saml(Box::new(SamlReply { to: checked.reply_to().clone(), mirror: mirror_of(request.endpoint) }));
        let path = restart_path(request.endpoint, request.message);
        let query = path.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let begun = Begun { application, reply_to: &reply_to, path: &path, query: query.as_bytes(), browser, correlation_id, now };
        if let Err(refusal) = checked.proxy_count() {
            self.save_trace(correlation_id, Part::Begin, &trace).await?;
            let ReplyTo::Saml(reply) = &reply_to else { return Err(Error::new(ErrorKind::Internal, "another protocol")) };
            return Ok(self.answer_by_saml(&application.client_id, reply, refusal, now).await);
        }
        let begin = async { self.begin_login(&begun, self.asked_by_saml(&request, &checked, application, now)?, trace).await };
        match begin.await {
            Ok(outcome) => Ok(outcome),
            Err(error) => self.refuse_beginning(&begun, error).await,
        }
    }

    /// A sign-in that begins here, for an application that may be answered without having asked.
    pub async fn start_at_application(
        &self,
        client_id: &str,
        relay_state: Option<&str>,
        connection: Option<&str>,
        browser: &Browser,
        correlation_id: &str,
        now: Timestamp,
    ) -> Outcome {
        let started = async {
            let (application, saml) = self.service_provider_of(client_id)?;
            let to = SamlReplyTo::unsolicited(saml.sp.trust(), saml.sp.allow_unsolicited(), relay_state).map_err(|rejection| {
                let told = "This address needs a request of the application: for this application, sign-ins do not start here.";
                Error::new(ErrorKind::InvalidRequest, told).because(rejection.to_string())
            })?;
            let reply_to = ReplyTo::Saml(Box::new(SamlReply { to, mirror: None }));
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(connection.map(|name| ("connection", name)));
            query.extend_pairs(relay_state.map(|state| ("RelayState", state)));
            let query = query.finish();
            let path = format!("/samlp/{client_id}{}{query}", if query.is_empty() { "" } else { "?" });
            let begun = Begun { application, reply_to: &reply_to, path: &path, query: query.as_bytes(), browser, correlation_id, now };
            let mut trace = Trace::default();
            let parameters = vec![("IdP-initiated".to_owned(), "true".to_owned())];
            trace.note(now, Note::RequestIn { application: application.client_id.clone(), parameters });
            let asked = Asked { connection: connection.map(str::to_owned), ..Asked::default() };
            match self.begin_login(&begun, asked, trace).await {
                Ok(outcome) => Ok(outcome),
                Err(error) => self.refuse_beginning(&begun, error).await,
            }
        };
        started.await.unwrap_or_else(|error| Outcome::refused(error, None)).in_login(correlation_id)
    }

    /// Whose message it is. One answer for an application that is not there and for one that is not meant here.
    fn service_provider(&self, endpoint: &IdpEndpoint, issuer: &str) -> Result<(&Arc<Application>, &SamlApplication)> {
        let client_id = match endpoint {
            IdpEndpoint::Application(client_id) => client_id,
            IdpEndpoint::Shared | IdpEndpoint::Mirror(_) => match self.service_providers.get(issuer).map(Vec::as_slice) {
                Some([only]) => only,
                Some(several) => {
                    let why = format!("{} applications have the entity ID {issuer}: each has an address of its own", several.len());
                    return Err(not_registered(why));
                }
                None => return Err(not_registered(format!("no application has the entity ID {issuer}"))),
            },
        };
        self.service_provider_of(client_id)
    }

    fn service_provider_of(&self, client_id: &str) -> Result<(&Arc<Application>, &SamlApplication)> {
        let application = self.application(client_id);
        let found = application.and_then(|application| application.saml.as_ref().map(|saml| (application, saml)));
        found.ok_or_else(|| not_registered(format!("there is no enabled SAML application {client_id}")))
    }

    /// Those that sign toward this application; where none is named, toward any of them, the usual ones first.
    fn signing_sets<'k>(&self, keys: &'k SamlKeys, of: Option<&SamlApplication>) -> Result<Vec<&'k KeySet>> {
        if let Some(saml) = of {
            return Ok(vec![keys.signing(saml.sp.response().signature)?]);
        }
        let mut sets = vec![keys.signing(None)?];
        let chosen = self.applications.values().filter_map(|application| application.saml.as_ref()?.sp.response().signature);
        // An application whose key is missing is told so when it is answered.
        sets.extend(chosen.filter_map(|scheme| keys.signing(Some(scheme)).ok()));
        sets.sort_by_key(|set| set.purpose());
        sets.dedup_by_key(|set| set.purpose());
        Ok(sets)
    }

    /// Our address for requests, as it is published.
    fn sso_address(&self, endpoint: &IdpEndpoint) -> String {
        match endpoint {
            IdpEndpoint::Shared => format!("{}/saml/sso", self.issuer),
            IdpEndpoint::Application(client_id) => format!("{}/samlp/{client_id}", self.issuer),
            IdpEndpoint::Mirror(mirror) => format!("{}/sso", self.mirror_address(mirror)),
        }
    }

    /// Our address for logout messages.
    pub(super) fn slo_address(&self, endpoint: &IdpEndpoint) -> String {
        match endpoint {
            IdpEndpoint::Shared => format!("{}/saml/slo", self.issuer),
            IdpEndpoint::Application(client_id) => format!("{}/samlp/{client_id}/logout", self.issuer),
            IdpEndpoint::Mirror(mirror) => format!("{}/slo", self.mirror_address(mirror)),
        }
    }

    fn mirror_address(&self, mirror: &Mirror) -> String {
        let idp = mirror.idp.as_deref().map(|idp| format!("/{}", crate::id::base64url(idp.as_bytes()))).unwrap_or_default();
        format!("{}/saml/mirror/{}{idp}", self.issuer, mirror.connection)
    }

    /// Who we are toward an application.
    pub(super) fn idp_entity_id(&self, mirror: Option<&Mirror>) -> String {
        match mirror {
            None => format!("{}/saml/metadata", self.issuer),
            Some(mirror) => format!("{}/metadata", self.mirror_address(mirror)),
        }
    }

    /// Our metadata as an identity provider, signed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRedirectUri`] where there is no such application; when the key cannot sign.
    pub fn idp_metadata(&self, endpoint: &IdpEndpoint, now: Timestamp) -> Result<String> {
        let saml = match endpoint {
            IdpEndpoint::Application(client_id) => Some(self.service_provider_of(client_id)?.1),
            IdpEndpoint::Shared | IdpEndpoint::Mirror(_) => None,
        };
        let own = self.idp_entity_id(mirror_of(endpoint).as_ref());
        let entity_id = saml.and_then(|saml| saml.sp.response().issuer.as_deref()).unwrap_or(&own);
        let sso = both(&self.sso_address(endpoint))?.map(|(binding, location)| Endpoint { binding, location });
        let slo =
            both(&self.slo_address(endpoint))?.map(|(binding, location)| LogoutService { binding, location, response_location: None });
        let keys = self.keyring.saml();
        let sets = self.signing_sets(&keys, saml)?;
        let published: Vec<&CertifiedKey> = sets.iter().flat_map(|set| set.published()).collect();
        let signer = match (saml, sets.first()) {
            (Some(saml), _) => saml.sp.response().signer(saml.sp.signing_key(&keys)?)?,
            (None, Some(first)) => Signer::new(first.active()),
            (None, None) => return Err(Error::new(ErrorKind::Internal, "there is no signing key")),
        };
        let mut description = IdpDescription::new(entity_id, sso.to_vec(), published);
        description.logout = slo.to_vec();
        description.artifact_services = self.artifact_service(endpoint).into_iter().collect();
        description.encryption_keys = keys.encryption().published().collect();
        idp::write_idp(&description, signer, now)
    }

    /// What a request asks, in words that fit every protocol.
    fn asked_by_saml(
        &self,
        request: &SsoRequest<'_>,
        checked: &CheckedRequest,
        application: &Application,
        now: Timestamp,
    ) -> Result<Asked> {
        let said = checked.said();
        let place = match (request.endpoint, request.connection) {
            (IdpEndpoint::Mirror(mirror), _) => Some(Pick { connection: mirror.connection.clone(), idp: mirror.idp.clone() }),
            (_, Some(connection)) => Some(Pick { connection: connection.to_owned(), idp: None }),
            (_, None) => self.listed_idp(&said.idp_list, application, now)?,
        };
        let (connection, idp) = place.map_or((None, None), |place| (Some(place.connection), place.idp));
        Ok(Asked {
            passive: said.is_passive,
            fresh_login: said.force_authn,
            acr_values: said.requested_authn_context.clone(),
            acr_comparison: (!said.requested_authn_context.is_empty()).then_some(said.comparison),
            login_hint: said.subject_hint.clone(),
            connection,
            idp,
            ..Asked::default()
        })
    }

    /// The identity provider that the application names (SAML Core 3.4.1.2, IDPList): the first of its list that there
    /// is here; without a list, or where we ourselves stand on it, any.
    fn listed_idp(&self, idp_list: &[String], application: &Application, now: Timestamp) -> Result<Option<Pick>> {
        if idp_list.is_empty() || idp_list.contains(&self.idp_entity_id(None)) {
            return Ok(None);
        }
        match idp_list.iter().find_map(|entity_id| self.pick_of(entity_id, application, now)) {
            Some(first) => Ok(Some(first)),
            None => Err(Error::new(ErrorKind::UnknownConnection, "none of the identity providers that the application lists is available")),
        }
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
                Ok(self.answer_by_saml(&application.client_id, &reply, refused.status(), now).await)
            }
        }
    }
}

fn both(address: &str) -> Result<[(Binding, url::Url); 2]> {
    let url: url::Url = address.parse().map_err(|_| Error::new(ErrorKind::Misconfigured, format!("{address} is no address")))?;
    Ok([(Binding::Redirect, url.clone()), (Binding::Post, url)])
}

fn mirror_of(endpoint: &IdpEndpoint) -> Option<Mirror> {
    match endpoint {
        IdpEndpoint::Mirror(mirror) => Some(mirror.clone()),
        _ => None,
    }
}

/// A request by redirect can be made again; one by POST only the application can make.
fn restart_path(endpoint: &IdpEndpoint, message: Incoming<'_>) -> String {
    match (endpoint, message) {
        (IdpEndpoint::Shared, Incoming::Redirect { raw_query }) => format!("/saml/sso?{raw_query}"),
        (IdpEndpoint::Application(client_id), Incoming::Redirect { raw_query }) => format!("/samlp/{client_id}?{raw_query}"),
        _ => String::new(),
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
