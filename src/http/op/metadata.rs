//! Discovery, from bytes that were prepared once, and keys, from those that are prepared whenever they change.

use crate::http::state::State;
use actix_web::HttpResponse;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};

pub async fn discovery(state: Data<State>) -> HttpResponse {
    document(state.discovery.clone(), "application/json")
}

pub async fn jwks(state: Data<State>) -> HttpResponse {
    document(Bytes::from(state.gateway().keys.public().jwks_json().to_owned()), "application/jwk-set+json")
}

fn document(bytes: Bytes, content_type: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .body(bytes)
}
