//! `/tokeninfo`: the profile by an ID token, for applications that were written for it (S4-17).

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::state::State;
use crate::http::{body, reply};
use crate::oidc::Params;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let params = Params::parse(request.query_string().as_bytes());
    let asked = params.and_then(|params| asked(|name| params.text(name)));
    super::readable_by_scripts(respond(&request, &state, asked).await)
}

/// A form, or a JSON object.
pub async fn post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let asked = read(&request, &mut payload, &state).await;
    super::readable_by_scripts(respond(&request, &state, asked).await)
}

/// What a request carries.
struct Asked {
    id_token: String,
    dialect: Option<String>,
}

async fn read(request: &HttpRequest, payload: &mut Payload, state: &State) -> Result<Asked> {
    if body::is_json(request) {
        let object = body::json(request, payload, state.settings.body_limit).await?;
        return asked(|name| object.get(name).and_then(Value::as_str).map(str::to_owned));
    }
    let form = body::form(request, payload, state.settings.body_limit).await?;
    let params = Params::parse(&form)?;
    asked(|name| params.text(name))
}

fn asked(member: impl Fn(&str) -> Option<String>) -> Result<Asked> {
    let id_token = member("id_token").ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the parameter id_token is missing"))?;
    Ok(Asked { id_token, dialect: member("dialect") })
}

async fn respond(request: &HttpRequest, state: &State, asked: Result<Asked>) -> HttpResponse {
    let answer = match asked {
        Ok(Asked { id_token, dialect }) => state.gateway().token_info(&id_token, dialect.as_deref(), Timestamp::now()).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(body) => HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(body),
        Err(error) => reply::oauth_error(request, &error),
    }
}
