//! `/authorize`.

use crate::broker::Browser;
use crate::broker::begin::{Arrival, Incoming};
use crate::clock::Timestamp;
use crate::http::headers::Correlation;
use crate::http::reply::{self, Again};
use crate::http::state::State;
use crate::http::{body, caller, cookies, look, pages};
use crate::oidc::params;
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    answer(&request, &state, request.query_string().as_bytes(), Arrival::Get).await
}

pub async fn post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => answer(&request, &state, &form, Arrival::Post).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn answer(request: &HttpRequest, state: &State, raw: &[u8], arrival: Arrival) -> HttpResponse {
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let correlation_id = Correlation::of(request).get();
    let language = look::asked_in(raw);
    if let Some(language) = language {
        request.extensions_mut().insert(language);
    }
    let incoming = Incoming { raw, arrival, pushed_only: state.settings.require_pushed_authorization_requests };
    let outcome = Box::pin(state.gateway().authorize(incoming, &browser, &correlation_id, Timestamp::now())).await;
    let see = format!("/authorize?{}", params::as_query(raw));
    let mut response = reply::outcome(request, state, outcome, Some(Again { see: Some(see), fields: Vec::new() }));
    if let Some(language) = language {
        cookies::write_language(response.headers_mut(), state.settings.secure, language);
    }
    response
}
