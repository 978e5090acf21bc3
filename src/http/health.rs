//! The operations listener's answers to machines.

use super::state::State;
use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Data;

/// The process runs.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("live\n")
}

/// Logins can be served: both stores answer, and no stop is under way.
pub async fn ready(state: Data<State>) -> HttpResponse {
    if state.is_draining() {
        return HttpResponse::ServiceUnavailable().content_type("text/plain").body("stopping\n");
    }
    match state.gateway().ready().await {
        Ok(()) => HttpResponse::Ok().content_type("text/plain").body("ready\n"),
        Err(error) => HttpResponse::ServiceUnavailable().content_type("text/plain").body(format!("not ready: {error}\n")),
    }
}

pub async fn metrics(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; version=0.0.4")).body(state.metrics.render())
}
