//! `/connections/{name}/callback`: what a provider by OpenID Connect answers, in the query (Core 3.1.2.5) or as a posted form;
//! and `/login/callback`, where connections by every protocol can be answered, as at Auth0.

use super::acs;
use crate::broker::Browser;
use crate::broker::callback::SharedAnswer;
use crate::broker::upstream::{IdpAnswer, IdpPost};
use crate::clock::Timestamp;
use crate::connection::config::CallbackAddress;
use crate::error::{Error, ErrorKind, Result};
use crate::http::pages::BOUNCED;
use crate::http::reply::{self, Again};
use crate::http::saml_form::SamlForm;
use crate::http::state::State;
use crate::http::{body, caller, cookies, pages};
use crate::oidc::Params;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

/// What our own page sends again. `user` is what Apple says at the first login.
const ANSWER: [&str; 6] = ["state", "code", "iss", "error", "error_description", "user"];

pub async fn get(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    // With a GET browsers send the cookie, if they have it.
    let answer = Params::parse_noting_repeats(request.query_string().as_bytes());
    shown(&request, consume(&request, &state, &name, answer, true).await)
}

pub async fn post(request: HttpRequest, name: Path<String>, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let answer = match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => Params::parse_noting_repeats(&form),
        Err(error) => Err(error),
    };
    let bounced = answer.as_ref().is_ok_and(|answer| answer.get(BOUNCED).is_some());
    shown(&request, consume(&request, &state, &name, answer, bounced).await)
}

fn shown(request: &HttpRequest, answer: Result<HttpResponse>) -> HttpResponse {
    answer.unwrap_or_else(|error| pages::error(request, &error, None))
}

async fn consume(request: &HttpRequest, state: &State, connection: &str, answer: Result<Params>, bounced: bool) -> Result<HttpResponse> {
    let answer = answer?;
    let post = IdpPost {
        connection,
        answer: IdpAnswer::Authorization(&answer, CallbackAddress::Own),
        relay_state: None,
        bounced,
        pushed_only: false,
    };
    let outcome = Box::pin(state.gateway().assertion_consumer(post, &browser(request, state), Timestamp::now())).await;
    Ok(reply::outcome(request, state, outcome, Some(again(&answer))))
}

/// By OpenID Connect or OAuth 2.0; `connection` is a parameter like the others.
pub async fn shared_get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let answer = Params::parse_noting_repeats(request.query_string().as_bytes());
    let taken = async {
        let answer = answer?;
        // Whom it names it must name once: it would count as none otherwise.
        if answer.is_repeated("connection") {
            return Err(Error::new(ErrorKind::InvalidRequest, "the parameter connection is repeated"));
        }
        consume_shared(&request, &state, &answer, answer.get("connection"), true).await
    };
    shown(&request, taken.await)
}

/// The same as a form; or SAML, whose form says so, and whose address names the connection.
pub async fn shared_post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    shown(&request, take_shared(&request, &state, &mut payload).await)
}

async fn take_shared(request: &HttpRequest, state: &State, payload: &mut Payload) -> Result<HttpResponse> {
    let query = Params::parse(request.query_string().as_bytes())?;
    let named = query.get("connection");
    let form = body::form(request, payload, state.settings.saml_body_limit).await?;
    let answer = Params::parse_noting_repeats(&form).ok();
    let saml = SamlForm::read(&form, "SAMLResponse")?;
    let answer = answer.filter(|_| saml.message.is_none() && saml.artifact.is_none());
    match answer.filter(|answer| ["state", "code", "error"].into_iter().any(|name| answer.get(name).is_some() || answer.is_repeated(name)))
    {
        Some(answer) => {
            let bounced = answer.get(BOUNCED).is_some();
            consume_shared(request, state, &answer, named, bounced).await
        }
        None => {
            let unnamed = || Error::new(ErrorKind::UnknownConnection, "The address names no connection.");
            acs::consume(request, state, named.ok_or_else(unnamed)?, &saml).await
        }
    }
}

async fn consume_shared(
    request: &HttpRequest,
    state: &State,
    params: &Params,
    connection: Option<&str>,
    bounced: bool,
) -> Result<HttpResponse> {
    let answer = SharedAnswer { params, connection, bounced };
    let outcome = Box::pin(state.gateway().shared_callback(answer, &browser(request, state), Timestamp::now())).await;
    Ok(reply::outcome(request, state, outcome, Some(again(params))))
}

fn browser(request: &HttpRequest, state: &State) -> Browser {
    Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) }
}

/// The answer as our own page posts it.
fn again(answer: &Params) -> Again<'_> {
    let mut fields: Vec<(&str, &str)> = ANSWER.iter().filter_map(|name| Some((*name, answer.get(name)?))).collect();
    fields.push((BOUNCED, "1"));
    Again { see: None, fields }
}
