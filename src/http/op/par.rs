//! `/oauth/par` (RFC 9126).

use super::for_clients;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::state::State;
use crate::http::{possession, reply};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn post(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let response = match push(&request, payload, &state).await {
        Ok(response) => response,
        Err(error) => reply::oauth_error(&request, &error),
    };
    let proves = request.headers().contains_key("dpop");
    let response = if proves { possession::with_nonce(response, &state, Timestamp::now()) } else { response };
    super::readable_by_scripts(response)
}

async fn push(request: &HttpRequest, payload: Payload, state: &State) -> Result<HttpResponse> {
    let read = for_clients::read(request, payload, state).await?;
    let pushed = Box::pin(state.gateway().push_request(read.proof(), &read.shown, Timestamp::now())).await?;
    // RFC 9126 2.2.
    Ok(HttpResponse::Created().insert_header((CONTENT_TYPE, "application/json")).body(pushed.to_json()))
}
