//! `/userinfo`.

use crate::broker::userinfo::UserInfo;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::headers::Correlation;
use crate::http::state::State;
use crate::http::{body, possession, reply};
use crate::oidc::Params;
use crate::oidc::bearer::{self, PresentedToken, Scheme};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let response = respond(&request, &state, None).await;
    super::readable_by_scripts(with_nonce(response, request.headers(), &state))
}

pub async fn post(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let headers = request.headers().clone();
    let response = read_and_respond(request, payload, state.clone()).await;
    super::readable_by_scripts(with_nonce(response, &headers, &state))
}

/// Whoever speaks of proofs gets the nonce for the next one.
fn with_nonce(response: HttpResponse, headers: &HeaderMap, state: &State) -> HttpResponse {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if Scheme::of(authorization) == Scheme::Dpop { possession::with_nonce(response, state, Timestamp::now()) } else { response }
}

async fn read_and_respond(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    // RFC 6750 2.2: the token may stand in a form body; without a form the header must have it.
    if !request.headers().contains_key(CONTENT_TYPE) {
        return respond(&request, &state, None).await;
    }
    let form = match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => Params::parse(&form),
        Err(error) if error.kind == ErrorKind::UnsupportedMediaType => return respond(&request, &state, None).await,
        Err(error) => Err(error),
    };
    match form {
        Ok(form) => respond(&request, &state, Some(&form)).await,
        Err(error) => refuse(&request, &error),
    }
}

async fn respond(request: &HttpRequest, state: &State, form: Option<&Params>) -> HttpResponse {
    match token(request, form) {
        Ok(Some(token)) => match answer(request, state, form, &token).await {
            Ok(answer) => {
                Correlation::of(request).join(Some(&answer.correlation_id));
                let content_type = if answer.is_jwt { "application/jwt" } else { "application/json" };
                HttpResponse::Ok().insert_header((CONTENT_TYPE, content_type)).body(answer.body)
            }
            Err(error) => refuse(request, &error),
        },
        // RFC 6750 3.1: no token, no error code.
        Ok(None) => {
            let challenge = bearer::challenge(Scheme::Bearer, None);
            HttpResponse::Unauthorized().insert_header((WWW_AUTHENTICATE, challenge)).finish()
        }
        Err(error) => refuse(request, &error),
    }
}

async fn answer(request: &HttpRequest, state: &State, form: Option<&Params>, token: &PresentedToken) -> Result<UserInfo> {
    let query = Params::parse_noting_repeats(request.query_string().as_bytes())?;
    let dialect = form.and_then(|form| form.get("dialect")).or_else(|| query.get("dialect"));
    let shown = possession::shown(request, state)?;
    state.gateway().userinfo(token, &shown, dialect, Timestamp::now()).await
}

fn token(request: &HttpRequest, form: Option<&Params>) -> Result<Option<PresentedToken>> {
    let query = Params::parse_noting_repeats(request.query_string().as_bytes())?;
    let authorization = match request.headers().get(AUTHORIZATION) {
        None => None,
        Some(value) => Some(value.to_str().map_err(|_| Error::new(ErrorKind::InvalidRequest, "the Authorization header is not text"))?),
    };
    bearer::access_token(authorization, &query, form)
}

fn refuse(request: &HttpRequest, error: &Error) -> HttpResponse {
    let mut response = reply::oauth_error(request, error);
    let scheme = Scheme::of(request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()));
    if error.kind.wire().status < 500
        && let Ok(challenge) = actix_web::http::header::HeaderValue::from_str(&bearer::challenge(scheme, Some(error)))
    {
        *response.status_mut() = StatusCode::from_u16(bearer::status(error)).unwrap_or(StatusCode::UNAUTHORIZED);
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
