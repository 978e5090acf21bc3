//! `/oidc/register`, and the address of each client that registered there.

use crate::broker::registration::{self, Asking};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::headers::{Correlation, client_address};
use crate::http::state::State;
use crate::http::{body, reply};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, PRAGMA, WWW_AUTHENTICATE};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr};

pub async fn post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let answer = async {
        // Nothing is read from anybody where there is nothing to do.
        registered_here(&state)?;
        let said = read(&request, &mut payload, &state).await?;
        let correlation_id = Correlation::of(&request).get();
        registration::register(&state.live, &said, asking(&request, &state, &correlation_id)).await
    };
    match answer.await {
        Ok(answer) => told(StatusCode::CREATED, answer),
        Err(error) => refuse(&request, &error),
    }
}

pub async fn get(request: HttpRequest, client_id: Path<String>, state: Data<State>) -> HttpResponse {
    let correlation_id = Correlation::of(&request).get();
    match registration::read(&state.live, &client_id, asking(&request, &state, &correlation_id)).await {
        Ok(answer) => told(StatusCode::OK, answer),
        Err(error) => refuse(&request, &error),
    }
}

pub async fn put(request: HttpRequest, client_id: Path<String>, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let answer = async {
        registered_here(&state)?;
        let said = read(&request, &mut payload, &state).await?;
        let correlation_id = Correlation::of(&request).get();
        registration::replace(&state.live, &client_id, &said, asking(&request, &state, &correlation_id)).await
    };
    match answer.await {
        Ok(answer) => told(StatusCode::OK, answer),
        Err(error) => refuse(&request, &error),
    }
}

pub async fn delete(request: HttpRequest, client_id: Path<String>, state: Data<State>) -> HttpResponse {
    let correlation_id = Correlation::of(&request).get();
    match registration::remove(&state.live, &client_id, asking(&request, &state, &correlation_id)).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => refuse(&request, &error),
    }
}

fn registered_here(state: &State) -> Result<()> {
    if state.gateway().registration.is_on() { Ok(()) } else { Err(Error::new(ErrorKind::NotFound, "clients cannot be registered here")) }
}

fn asking<'a>(request: &'a HttpRequest, state: &State, correlation_id: &'a str) -> Asking<'a> {
    let address = client_address(request, state).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
    Asking { token: token.map(|(_, token)| token.trim()), address, correlation_id, now: Timestamp::now() }
}

async fn read(request: &HttpRequest, payload: &mut Payload, state: &State) -> Result<Map<String, Value>> {
    if !body::is_json(request) {
        return Err(Error::new(ErrorKind::UnsupportedMediaType, "the body must be application/json"));
    }
    match body::json(request, payload, state.settings.body_limit).await? {
        Value::Object(said) => Ok(said),
        _ => Err(Error::new(ErrorKind::InvalidClientMetadata, "the body must be a JSON object")),
    }
}

fn told(status: StatusCode, answer: Map<String, Value>) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((PRAGMA, "no-cache"))
        .body(Value::Object(answer).to_string())
}

fn refuse(request: &HttpRequest, error: &Error) -> HttpResponse {
    let mut response = reply::oauth_error(request, error);
    if error.kind == ErrorKind::InvalidToken {
        // RFC 6750 3.
        let challenge = HeaderValue::from_static("Bearer realm=\"registration\", error=\"invalid_token\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
