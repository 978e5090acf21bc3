//! `/oauth/introspect` (RFC 7662, RFC 9701). Not for scripts in browsers: who asks has a secret to keep.

use super::for_clients;
use crate::broker::introspect::Introspection;
use crate::clock::Timestamp;
use crate::http::reply;
use crate::http::state::State;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

/// RFC 9701 4.
const SIGNED: &str = "application/token-introspection+jwt";

pub async fn post(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let read = match for_clients::read(&request, payload, &state).await {
        Ok(read) => read,
        Err(error) => return reply::oauth_error(&request, &error),
    };
    match state.gateway().introspect(read.proof(), accepts_signed(&request), Timestamp::now()).await {
        Ok(Introspection::Json(body)) => HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(body),
        Ok(Introspection::Jwt(body)) => HttpResponse::Ok().insert_header((CONTENT_TYPE, SIGNED)).body(body),
        Err(error) => reply::oauth_error(&request, &error),
    }
}

fn accepts_signed(request: &HttpRequest) -> bool {
    let accepted = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    accepted.map(|kind| kind.split(';').next().unwrap_or_default().trim()).any(|kind| kind.eq_ignore_ascii_case(SIGNED))
}
