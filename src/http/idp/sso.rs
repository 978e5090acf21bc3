//! Single sign-on services: `/saml/sso` and `/samlp/{client_id}`, by HTTP-Redirect and HTTP-POST.

use crate::broker::Browser;
use crate::broker::idp::{IdpEndpoint, SsoRequest};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::headers::Correlation;
use crate::http::pages::BOUNCED;
use crate::http::reply::{self, Again};
use crate::http::saml_form::SamlForm;
use crate::http::state::State;
use crate::http::{body, caller, cookies, pages};
use crate::oidc::Params;
use crate::saml::Incoming;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

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

async fn by_redirect(request: &HttpRequest, state: &State, endpoint: &IdpEndpoint) -> HttpResponse {
    let raw_query = request.query_string();
    let query = match Params::parse_noting_repeats(raw_query.as_bytes()) {
        Ok(query) => query,
        Err(error) => return pages::error(request, &error, None),
    };
    let (browser, correlation_id, now) = (browser(request, state), Correlation::of(request).get(), Timestamp::now());
    let gateway = state.gateway();
    let connection = query.get("connection");
    let outcome = match endpoint {
        IdpEndpoint::Application(client_id) if query.get("SAMLRequest").is_none() => {
            Box::pin(gateway.start_at_application(client_id, query.get("RelayState"), connection, &browser, &correlation_id, now)).await
        }
        _ => {
            let message = Incoming::Redirect { raw_query };
            let arrived = SsoRequest { endpoint, message, connection, bounced: false };
            Box::pin(gateway.single_sign_on(arrived, &browser, &correlation_id, now)).await
        }
    };
    reply::outcome(request, state, outcome, None)
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
    let query = Params::parse_noting_repeats(request.query_string().as_bytes())?;
    let incoming = Incoming::Post { message, relay_state: form.relay_state.as_deref() };
    let arrived = SsoRequest { endpoint, message: incoming, connection: query.get("connection"), bounced: form.bounced };
    let (browser, correlation_id) = (browser(request, state), Correlation::of(request).get());
    let outcome = Box::pin(state.gateway().single_sign_on(arrived, &browser, &correlation_id, Timestamp::now())).await;
    let mut fields = vec![("SAMLRequest", message), (BOUNCED, "1")];
    fields.extend(form.relay_state.as_deref().map(|value| ("RelayState", value)));
    Ok(reply::outcome(request, state, outcome, Some(Again { see: None, fields })))
}

fn browser(request: &HttpRequest, state: &State) -> Browser {
    Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) }
}
