//! `/connections/{name}/callback`: what a provider by OpenID Connect answers, in the query (Core 3.1.2.5) or as a posted form.

use crate::broker::Browser;
use crate::broker::upstream::{IdpAnswer, IdpPost};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::pages::BOUNCED;
use crate::http::reply::{self, Again};
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
    let post = IdpPost { connection, answer: IdpAnswer::Authorization(&answer), relay_state: None, bounced, pushed_only: false };
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let outcome = Box::pin(state.gateway().assertion_consumer(post, &browser, Timestamp::now())).await;
    let mut fields: Vec<(&str, &str)> = ANSWER.iter().filter_map(|name| Some((*name, answer.get(name)?))).collect();
    fields.push((BOUNCED, "1"));
    Ok(reply::outcome(request, state, outcome, Some(Again { see: None, fields })))
}
