//! `/dbconnections/signup` and `/dbconnections/change_password`, in Auth0's form, for applications with pages of their own.
//!
//! They take JSON, or a form. Whoever asks for another password is told the same whoever there is.

use super::login::account::letters;
use super::state::State;
use super::{body, headers::client_address};
use crate::broker::accounts::{Asking, SignUp, SignUpProblem};
use crate::broker::admin::told;
use crate::clock::Timestamp;
use crate::connection::database::Account;
use crate::error::{Error, ErrorKind, Result};
use crate::http::reply;
use crate::oidc::Params;
use crate::secret::Secret;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

/// The root attributes that may come along.
const PROFILE: [&str; 5] = ["name", "given_name", "family_name", "nickname", "picture"];

/// What Auth0 answers, whoever there is.
const SENT: &str = "We've just sent you an email to reset your password.";

pub async fn sign_up(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    match sign_up_inner(&request, payload, &state).await {
        Ok(response) => response,
        Err(error) => refused(&request, &error),
    }
}

async fn sign_up_inner(request: &HttpRequest, payload: Payload, state: &State) -> Result<HttpResponse> {
    let mut members = read(request, payload, state).await?;
    let [client_id, connection] = ["client_id", "connection"].map(|name| text(&members, name).unwrap_or_default());
    let mut profile = Map::new();
    for name in PROFILE {
        if let Some(value) = members.remove(name).filter(|value| !value.is_null()) {
            profile.insert(name.to_owned(), value);
        }
    }
    let user_metadata = match members.remove("user_metadata") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(Error::new(ErrorKind::InvalidRequest, "user_metadata is no object")),
    };
    let new = SignUp {
        email: text(&members, "email").unwrap_or_default(),
        username: text(&members, "username"),
        password: Secret::new(text(&members, "password").unwrap_or_default()),
        profile,
        user_metadata: user_metadata.clone(),
    };
    let letters = letters(request);
    let asking =
        Asking { application: Some(&client_id), address: client_address(request, state), letters: &letters, now: Timestamp::now() };
    let made = Box::pin(state.gateway().sign_up_by_program(&client_id, &connection, &new, asking)).await?;
    Ok(match made {
        Ok(account) => json_answer(StatusCode::OK, &made_account(&account, &user_metadata)),
        Err(problem) => problem_answer(&problem),
    })
}

pub async fn change_password(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    match change_password_inner(&request, payload, &state).await {
        Ok(response) => response,
        Err(error) => refused(&request, &error),
    }
}

async fn change_password_inner(request: &HttpRequest, payload: Payload, state: &State) -> Result<HttpResponse> {
    let members = read(request, payload, state).await?;
    let [client_id, connection] = ["client_id", "connection"].map(|name| text(&members, name).unwrap_or_default());
    let name = text(&members, "email").or_else(|| text(&members, "username"));
    let name = name.filter(|name| !name.trim().is_empty()).ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "email is missing"))?;
    let letters = letters(request);
    let asking =
        Asking { application: Some(&client_id), address: client_address(request, state), letters: &letters, now: Timestamp::now() };
    Box::pin(state.gateway().reset_by_program(&client_id, &connection, &name, asking)).await?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(SENT))
}

/// JSON, or a form.
async fn read(request: &HttpRequest, mut payload: Payload, state: &State) -> Result<Map<String, Value>> {
    let limit = state.settings.body_limit;
    if body::is_json(request) {
        return match body::json(request, &mut payload, limit).await? {
            Value::Object(members) => Ok(members),
            _ => Err(Error::new(ErrorKind::InvalidRequest, "the body is no JSON object")),
        };
    }
    let form = body::form(request, &mut payload, limit).await?;
    let params = Params::parse(&form)?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
}

fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    members.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn made_account(account: &Account, user_metadata: &Map<String, Value>) -> Value {
    // Whatever else who keeps the account has said of it is not for everybody.
    let told = |name: &str| ["email", "email_verified", "username"].contains(&name) || PROFILE.contains(&name);
    let mut answer: Map<String, Value> = account.profile.clone().into_iter().filter(|(name, _)| told(name)).collect();
    answer.insert("_id".to_owned(), account.subject.as_str().into());
    if !user_metadata.is_empty() {
        answer.insert("user_metadata".to_owned(), Value::Object(user_metadata.clone()));
    }
    Value::Object(answer)
}

/// As Auth0 says it.
fn problem_answer(problem: &SignUpProblem) -> HttpResponse {
    let (status, code, description) = match problem {
        SignUpProblem::Email => (400, "invalid_signup", "email is no address that can be used".to_owned()),
        SignUpProblem::Username => (400, "invalid_signup", "username is missing, or cannot be used".to_owned()),
        SignUpProblem::UsernameTaken => (400, "username_exists", "The username provided is in use already.".to_owned()),
        SignUpProblem::Exists => (400, "invalid_signup", "Invalid sign up".to_owned()),
        SignUpProblem::Other(why) => (400, "invalid_signup", why.clone()),
        SignUpProblem::Busy => (503, "temporarily_unavailable", "too many passwords are being looked at; try again".to_owned()),
        SignUpProblem::Password(weakness) => (400, "invalid_password", told(*weakness)),
    };
    let name = if matches!(problem, SignUpProblem::Password(_)) { "PasswordStrengthError" } else { "BadRequestError" };
    let message = if name == "PasswordStrengthError" { "Password is too weak" } else { &description };
    let body = json!({ "name": name, "code": code, "description": description, "message": message, "statusCode": status });
    json_answer(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), &body)
}

fn refused(request: &HttpRequest, error: &Error) -> HttpResponse {
    reply::log_error(request, error);
    let status = StatusCode::from_u16(error.kind.wire().status).unwrap_or(StatusCode::BAD_REQUEST);
    let code = error.kind.wire().oauth;
    let body = json!({ "error": code, "code": code, "description": error.detail, "statusCode": status.as_u16() });
    let mut response = json_answer(status, &body);
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn json_answer(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "application/json")).body(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_signs_up_hears_what_they_said_and_nothing_else_of_the_account() {
        let members = json!({"email": "jane@acme.example", "email_verified": false, "username": "jane", "name": "Jane", "is_admin": true,
            "ssn": "078-05-1120", "_id": "another", "user_metadata": {"plan": "gold"}, "password": "x"});
        let Value::Object(profile) = members else { panic!("an object") };
        let account = Account { subject: "7".to_owned(), profile, app_metadata: Map::from_iter([("plan".to_owned(), json!("gold"))]) };
        let told = made_account(&account, &Map::from_iter([("theme".to_owned(), json!("dark"))]));
        let expected = json!({"email": "jane@acme.example", "email_verified": false, "username": "jane", "name": "Jane", "_id": "7",
            "user_metadata": {"theme": "dark"}});
        assert_eq!(told, expected);
    }
}
