//! Discovery, from octets that were prepared once, and keys, from those that are prepared whenever they change.

use crate::broker::admin::signing::JWKS_KEPT;
use crate::http::state::State;
use crate::oidc::Prepared;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};

pub async fn discovery(request: HttpRequest, state: Data<State>) -> HttpResponse {
    document(&request, &state.discovery(), "application/json")
}

pub async fn jwks(request: HttpRequest, state: Data<State>) -> HttpResponse {
    document(&request, state.gateway().keys.public().jwks(), "application/jwk-set+json")
}

/// Others may keep it for as long as a new key is published before it signs.
fn document(request: &HttpRequest, document: &Prepared, content_type: &'static str) -> HttpResponse {
    let known = request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).is_some_and(|tags| document.is_known(tags));
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((ETAG, document.etag()))
        .insert_header((CACHE_CONTROL, format!("public, max-age={JWKS_KEPT}")))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    match known {
        true => answer.finish(),
        false => answer.insert_header((CONTENT_TYPE, content_type)).body(Bytes::from_owner(document.octets())),
    }
}
