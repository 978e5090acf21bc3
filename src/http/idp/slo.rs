//! Single logout services toward applications: `/saml/slo`, `/samlp/{client_id}/logout`, and those of mirrors.

use super::MirrorPlace;
use crate::broker::idp::IdpEndpoint;
use crate::broker::logout::LogoutReceiver;
use crate::http::logout::{by_post, by_redirect};
use crate::http::pages;
use crate::http::state::State;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn shared_get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    by_redirect(&request, &state, LogoutReceiver::Application(&IdpEndpoint::Shared)).await
}

pub async fn shared_post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    by_post(&request, &state, LogoutReceiver::Application(&IdpEndpoint::Shared), &mut payload).await
}

pub async fn of_application_get(request: HttpRequest, client_id: Path<String>, state: Data<State>) -> HttpResponse {
    let endpoint = IdpEndpoint::Application(client_id.into_inner());
    by_redirect(&request, &state, LogoutReceiver::Application(&endpoint)).await
}

pub async fn of_application_post(request: HttpRequest, client_id: Path<String>, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let endpoint = IdpEndpoint::Application(client_id.into_inner());
    by_post(&request, &state, LogoutReceiver::Application(&endpoint), &mut payload).await
}

pub async fn of_mirror_get(request: HttpRequest, place: Path<MirrorPlace>, state: Data<State>) -> HttpResponse {
    match place.into_inner().endpoint() {
        Ok(endpoint) => by_redirect(&request, &state, LogoutReceiver::Application(&endpoint)).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

pub async fn of_mirror_post(request: HttpRequest, place: Path<MirrorPlace>, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match place.into_inner().endpoint() {
        Ok(endpoint) => by_post(&request, &state, LogoutReceiver::Application(&endpoint), &mut payload).await,
        Err(error) => pages::error(&request, &error, None),
    }
}
