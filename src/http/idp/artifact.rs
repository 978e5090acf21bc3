//! Artifact resolution services, in SOAP: `/saml/artifact`, `/samlp/{client_id}/artifact`, and those of mirrors.

use super::MirrorPlace;
use crate::broker::idp::{ArtifactAnswer, IdpEndpoint};
use crate::clock::Timestamp;
use crate::http::soap_reply::failed;
use crate::http::state::State;
use crate::http::{body, soap_reply};
use crate::saml::soap::SOAP_LIMIT;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn shared(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    answer(&request, &state, &IdpEndpoint::Shared, payload).await
}

pub async fn of_application(request: HttpRequest, client_id: Path<String>, payload: Payload, state: Data<State>) -> HttpResponse {
    answer(&request, &state, &IdpEndpoint::Application(client_id.into_inner()), payload).await
}

pub async fn of_mirror(request: HttpRequest, place: Path<MirrorPlace>, payload: Payload, state: Data<State>) -> HttpResponse {
    match place.into_inner().endpoint() {
        Ok(endpoint) => answer(&request, &state, &endpoint, payload).await,
        Err(error) => failed(&request, &error),
    }
}

async fn answer(request: &HttpRequest, state: &State, endpoint: &IdpEndpoint, mut payload: Payload) -> HttpResponse {
    let answer = match body::text(request, &mut payload, SOAP_LIMIT).await {
        Ok(envelope) => Box::pin(state.gateway().artifact_resolution(endpoint, envelope, Timestamp::now())).await,
        Err(error) => Err(error),
    };
    // SOAP 1.1 6.2: a fault comes with 500. SAML Bindings 3.2.3.3: who is not answered gets 403.
    let (status, envelope) = match answer {
        Ok(ArtifactAnswer::Response(envelope)) => (StatusCode::OK, envelope),
        Ok(ArtifactAnswer::Fault(fault)) => (StatusCode::INTERNAL_SERVER_ERROR, fault),
        Ok(ArtifactAnswer::Refused(fault)) => (StatusCode::FORBIDDEN, fault),
        Err(error) => return failed(request, &error),
    };
    soap_reply::envelope(status, envelope)
}
