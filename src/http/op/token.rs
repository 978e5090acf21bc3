//! `/oauth/token`.

use super::for_clients;
use crate::broker::token::TokenCall;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::headers::Correlation;
use crate::http::state::State;
use crate::http::{body, caller, possession, reply};
use actix_web::http::header::{CONTENT_TYPE, PRAGMA};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

pub async fn post(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    super::readable_by_scripts(answer(request, payload, state).await)
}

async fn answer(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let form = match read(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => form,
        Err(error) => return reply::oauth_error(&request, &error),
    };
    let shown = match possession::shown(&request, &state) {
        Ok(shown) => shown,
        Err(error) => return reply::oauth_error(&request, &error),
    };
    let authorization = for_clients::authorization(&request);
    let caller = caller::read(&request, &state);
    let correlation_id = Correlation::of(&request).get();
    let now = Timestamp::now();
    let (authorization, caller) = (authorization.as_deref(), caller.as_deref());
    let call = TokenCall { authorization, body: &form, shown: &shown, caller, correlation_id: &correlation_id };
    let response = match Box::pin(state.gateway().token(call, now)).await {
        Ok(tokens) => {
            Correlation::of(&request).join(Some(&tokens.correlation_id));
            HttpResponse::Ok()
                .insert_header((CONTENT_TYPE, "application/json"))
                .insert_header((PRAGMA, "no-cache"))
                .body(tokens.response.to_json())
        }
        Err(refusal) => {
            Correlation::of(&request).join(refusal.correlation_id.as_deref());
            reply::oauth_error(&request, &refusal.error)
        }
    };
    // Who sends no proof needs no nonce; who did gets one with every answer.
    if shown.dpop.is_some() { possession::with_nonce(response, &state, now) } else { response }
}

/// A form, as the standard has it; or a JSON object of texts, as some SDKs send it.
async fn read(request: &HttpRequest, payload: &mut Payload, limit: usize) -> Result<Bytes> {
    if !body::is_json(request) {
        return body::form(request, payload, limit).await;
    }
    let refuse = || Error::new(ErrorKind::InvalidRequest, "the body must be a JSON object of texts");
    let value = body::json(request, payload, limit).await?;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in value.as_object().ok_or_else(refuse)? {
        match value {
            Value::String(text) => drop(form.append_pair(name, text)),
            Value::Null => {}
            _ => return Err(refuse()),
        }
    }
    Ok(Bytes::from(form.finish()))
}
