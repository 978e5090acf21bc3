//! `/saml/metadata`, `/samlp/metadata/{client_id}` and those of mirrored connections.

use super::MirrorPlace;
use crate::broker::idp::IdpEndpoint;
use crate::clock::Timestamp;
use crate::http::pages;
use crate::http::state::State;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

pub async fn shared(request: HttpRequest, state: Data<State>) -> HttpResponse {
    answer(&request, &state, &IdpEndpoint::Shared)
}

pub async fn of_application(request: HttpRequest, client_id: Path<String>, state: Data<State>) -> HttpResponse {
    answer(&request, &state, &IdpEndpoint::Application(client_id.into_inner()))
}

pub async fn of_mirror(request: HttpRequest, place: Path<MirrorPlace>, state: Data<State>) -> HttpResponse {
    match place.into_inner().endpoint() {
        Ok(endpoint) => answer(&request, &state, &endpoint),
        Err(error) => pages::error(&request, &error, None),
    }
}

fn answer(request: &HttpRequest, state: &State, endpoint: &IdpEndpoint) -> HttpResponse {
    match state.gateway().idp_metadata(endpoint, Timestamp::now()) {
        Ok(document) => HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/samlmetadata+xml")).body(document),
        Err(error) => pages::error(request, &error, None),
    }
}
