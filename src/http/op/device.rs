//! `/oauth/device/code`, which devices ask (RFC 8628 3.1), and `/activate`, where people type the code that they show.

use super::for_clients;
use crate::broker::Browser;
use crate::broker::device::Typed;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::headers::{Correlation, client_address};
use crate::http::state::State;
use crate::http::{body, caller, cookies, pages, reply};
use crate::oidc::Params;
use actix_web::http::Method;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn post(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let response = match begin(&request, payload, &state).await {
        Ok(started) => HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(started),
        Err(error) => reply::oauth_error(&request, &error),
    };
    super::readable_by_scripts(response)
}

async fn begin(request: &HttpRequest, payload: Payload, state: &State) -> Result<String> {
    let read = for_clients::read(request, payload, state).await?;
    let correlation_id = Correlation::of(request).get();
    let started = Box::pin(state.gateway().begin_device(read.proof(), &correlation_id, Timestamp::now())).await?;
    Ok(started.to_json())
}

/// The page for the code, which may stand in the address (`verification_uri_complete`).
pub async fn activation(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    activate(&request, &state, query.as_bytes()).await
}

pub async fn activate_by_form(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => activate(&request, &state, &form).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn activate(request: &HttpRequest, state: &State, raw: &[u8]) -> HttpResponse {
    let params = match Params::parse(raw) {
        Ok(params) => params,
        Err(error) => return pages::error(request, &error, None),
    };
    let user_code = params.text("user_code");
    // A link that somebody follows begins nothing.
    let csrf = params.get("csrf").filter(|_| request.method() == Method::POST);
    let typed = Typed { user_code: user_code.as_deref(), csrf, address: client_address(request, state) };
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let correlation_id = Correlation::of(request).get();
    let outcome = Box::pin(state.gateway().activate(typed, &browser, &correlation_id, Timestamp::now())).await;
    reply::outcome(request, state, outcome, None)
}
