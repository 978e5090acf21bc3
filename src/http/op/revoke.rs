//! `/oauth/revoke` (RFC 7009).

use super::for_clients;
use crate::clock::Timestamp;
use crate::http::reply;
use crate::http::state::State;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn post(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let response = match for_clients::read(&request, payload, &state).await {
        Ok(read) => match state.gateway().revoke(read.proof(), Timestamp::now()).await {
            Ok(()) => HttpResponse::Ok().finish(),
            Err(error) => reply::oauth_error(&request, &error),
        },
        Err(error) => reply::oauth_error(&request, &error),
    };
    super::readable_by_scripts(response)
}
