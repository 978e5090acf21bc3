//! `/oauth/par`.

use super::for_clients;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::state::State;
use crate::http::{possession, reply};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn post(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let sends_proof = request.headers().contains_key("dpop");
    let response = match push(&request, payload, &state).await {
        // RFC 9126 2.2.
        Ok(pushed) => HttpResponse::Created().insert_header((CONTENT_TYPE, "application/json")).body(pushed),
        Err(error) => reply::oauth_error(&request, &error),
    };
    super::readable_by_scripts(if sends_proof { possession::with_nonce(response, &state, Timestamp::now()) } else { response })
}

async fn push(request: &HttpRequest, payload: Payload, state: &State) -> Result<String> {
    let read = for_clients::read(request, payload, state).await?;
    Box::pin(state.gateway().push_request(read.proof(), &read.shown, Timestamp::now())).await.map(|pushed| pushed.to_json())
}
