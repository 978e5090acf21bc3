//! Single sign-on services: `/saml/sso`, `/samlp/{client_id}` and those of mirrored connections, by HTTP-Redirect and
//! HTTP-POST.

use super::MirrorPlace;
use crate::broker::Browser;
use crate::broker::idp::{IdpEndpoint, SsoRequest, Start};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::headers::Correlation;
use crate::http::pages::BOUNCED;
use crate::http::reply::{self, Again};
use crate::http::saml_form::SamlForm;
use crate::http::state::State;
use crate::http::{body, caller, cookies, pages};
use crate::saml::Incoming;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use std::borrow::Cow;
use url::form_urlencoded;

pub async fn shared_get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    by_redirect(&request, &state, &IdpEndpoint::Shared).await
}

pub async fn shared_post(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    by_post(&request, &state, &IdpEndpoint::Shared, payload).await
}

pub async fn of_application_get(request: HttpRequest, client_id: Path<String>, state: Data<State>) -> HttpResponse {
    by_redirect(&request, &state, &IdpEndpoint::Application(client_id.into_inner())).await
}

pub async fn of_application_post(request: HttpRequest, client_id: Path<String>, payload: Payload, state: Data<State>) -> HttpResponse {
    by_post(&request, &state, &IdpEndpoint::Application(client_id.into_inner()), payload).await
}

pub async fn of_mirror_get(request: HttpRequest, place: Path<MirrorPlace>, state: Data<State>) -> HttpResponse {
    match place.into_inner().endpoint() {
        Ok(endpoint) => by_redirect(&request, &state, &endpoint).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

pub async fn of_mirror_post(request: HttpRequest, place: Path<MirrorPlace>, payload: Payload, state: Data<State>) -> HttpResponse {
    match place.into_inner().endpoint() {
        Ok(endpoint) => by_post(&request, &state, &endpoint, payload).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn by_redirect(request: &HttpRequest, state: &State, endpoint: &IdpEndpoint) -> HttpResponse {
    let raw_query = request.query_string();
    let (browser, correlation_id, now) = (browser(request, state), Correlation::of(request).get(), Timestamp::now());
    let gateway = state.gateway();
    let (connection, hint) = (parameter(raw_query, "connection"), parameter(raw_query, "aarc_idp_hint"));
    let (connection, idp_hint) = (connection.as_deref(), hint.as_deref());
    let outcome = match endpoint {
        IdpEndpoint::Application(client_id) if parameter(raw_query, "SAMLRequest").is_none() => {
            let (relay_state, idp) = (parameter(raw_query, "RelayState"), parameter(raw_query, "idp"));
            let start = Start { relay_state: relay_state.as_deref(), connection, idp: idp.as_deref(), idp_hint };
            Box::pin(gateway.start_at_application(client_id, start, &browser, &correlation_id, now)).await
        }
        _ => {
            let message = Incoming::Redirect { raw_query };
            let arrived = SsoRequest { endpoint, message, connection, idp_hint, bounced: false };
            Box::pin(gateway.single_sign_on(arrived, &browser, &correlation_id, now)).await
        }
    };
    reply::outcome(request, state, outcome, None)
}

/// A parameter of a query in which RelayState may have any character. The message itself is read from the raw octets,
/// where a parameter twice is refused.
fn parameter<'q>(raw_query: &'q str, wanted: &str) -> Option<Cow<'q, str>> {
    form_urlencoded::parse(raw_query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value)
}

async fn by_post(request: &HttpRequest, state: &State, endpoint: &IdpEndpoint, mut payload: Payload) -> HttpResponse {
    match posted(request, state, endpoint, &mut payload).await {
        Ok(response) => response,
        Err(error) => pages::error(request, &error, None),
    }
}

async fn posted(request: &HttpRequest, state: &State, endpoint: &IdpEndpoint, payload: &mut Payload) -> Result<HttpResponse> {
    let raw = body::form(request, payload, state.settings.saml_body_limit).await?;
    let form = SamlForm::read(&raw, "SAMLRequest")?;
    let message = form.message.as_deref().ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the parameter SAMLRequest is missing"))?;
    let (connection, hint) = (parameter(request.query_string(), "connection"), parameter(request.query_string(), "aarc_idp_hint"));
    let incoming = Incoming::Post { message, relay_state: form.relay_state.as_deref() };
    let (connection, idp_hint) = (connection.as_deref(), hint.as_deref());
    let arrived = SsoRequest { endpoint, message: incoming, connection, idp_hint, bounced: form.bounced };
    let (browser, correlation_id) = (browser(request, state), Correlation::of(request).get());
    let outcome = Box::pin(state.gateway().single_sign_on(arrived, &browser, &correlation_id, Timestamp::now())).await;
    let mut fields = vec![("SAMLRequest", message), (BOUNCED, "1")];
    fields.extend(form.relay_state.as_deref().map(|value| ("RelayState", value)));
    Ok(reply::outcome(request, state, outcome, Some(Again { see: None, fields })))
}

fn browser(request: &HttpRequest, state: &State) -> Browser {
    Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) }
}
