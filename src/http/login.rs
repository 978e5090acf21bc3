//! Pages on the way: the chooser, the end of a session.

pub mod account;
pub mod factor;
pub mod password;

use super::pages::{self, BOUNCED, STYLE};
use super::reply::Again;
use super::state::State;
use super::{body, caller, cookies, headers, reply};
use crate::broker::choose::{Choosing, Pick};
use crate::broker::consent::ConsentChoice;
use crate::broker::discovery::Discovered;
use crate::broker::link::LinkChoice;
use crate::broker::rules::Return;
use crate::broker::{Answer, Browser};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::oidc::Params;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

/// Somebody typed our address.
pub async fn home(request: HttpRequest) -> HttpResponse {
    pages::notice(&request, |words| (words.home_title.to_string(), words.home_text.to_string()))
}

/// The chooser again: another search, or back from another page.
pub async fn chooser(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    match Params::parse(query.as_bytes()) {
        Ok(params) => choose_inner(&request, &state, &params, None).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

pub async fn choose(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let form = body::form(&request, &mut payload, state.settings.body_limit).await;
    match form.and_then(|form| Params::parse(&form)) {
        Ok(params) => {
            let pick = params.text("connection").map(|text| Pick::parse(&text));
            choose_inner(&request, &state, &params, pick.as_ref()).await
        }
        Err(error) => pages::error(&request, &error, None),
    }
}

/// Back from a discovery service, for a connection that has many identity providers.
pub async fn discovered(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    match Params::parse(query.as_bytes()) {
        Ok(params) => {
            // Without an entityID the person has found nothing there: they may look here.
            let pick = params.text("entityID").map(|idp| Pick { connection: name.into_inner(), idp: Some(idp) });
            choose_inner(&request, &state, &params, pick.as_ref()).await
        }
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn choose_inner(request: &HttpRequest, state: &State, params: &Params, pick: Option<&Pick>) -> HttpResponse {
    let transaction = match params.require("login") {
        Ok(transaction) => transaction,
        Err(error) => return pages::error(request, &error, None),
    };
    let secure = state.settings.secure;
    let forgets = forgets(params, pick);
    let browser = browser_of(request, secure, forgets);
    let choosing = Choosing { pick, search: params.get("q"), language: browser.language(), remembered: &browser.remembered };
    let outcome = Box::pin(state.gateway().choose(transaction, choosing, &browser, Timestamp::now())).await;
    let picked = pick.filter(|_| matches!(outcome.answer, Answer::Upstream(_)));
    let mut response = reply::outcome(request, state, outcome, None);
    if let Some(pick) = picked {
        cookies::remember(response.headers_mut(), secure, pick, &browser.remembered);
    }
    if forgets {
        cookies::forget(response.headers_mut(), secure);
    }
    response
}

/// The person wants nothing to be remembered of what was picked before.
fn forgets(params: &Params, pick: Option<&Pick>) -> bool {
    pick.is_none() && params.get("forget").is_some()
}

fn browser_of(request: &HttpRequest, secure: bool, forgets: bool) -> Browser {
    let mut browser = cookies::read(request, secure);
    if forgets {
        browser.remembered.clear();
    }
    browser
}

/// The discovery service for applications: asked, searched and answered by GET, as its protocol says.
pub async fn discovery(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    match Params::parse(query.as_bytes()).and_then(|params| discover(&request, &state, &params)) {
        Ok(response) => response,
        Err(error) => pages::error(&request, &error, None),
    }
}

fn discover(request: &HttpRequest, state: &State, params: &Params) -> Result<HttpResponse> {
    let secure = state.settings.secure;
    let pick = params.text("connection").map(|text| Pick::parse(&text));
    let forgets = forgets(params, pick.as_ref());
    let browser = browser_of(request, secure, forgets);
    let choosing = Choosing { pick: pick.as_ref(), search: params.get("q"), language: browser.language(), remembered: &browser.remembered };
    let mut response = match state.gateway().discover(params, choosing, Timestamp::now())? {
        Discovered::Page(chooser) => pages::chooser(request, &chooser),
        Discovered::Return(address) => reply::see_other(&address),
    };
    if let Some(pick) = &pick {
        cookies::remember(response.headers_mut(), secure, pick, &browser.remembered);
    }
    if forgets {
        cookies::forget(response.headers_mut(), secure);
    }
    Ok(response)
}

/// The question whether a known account is the person's.
pub async fn link_question(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    answer_link(&request, &state, query.as_bytes()).await
}

pub async fn link(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => answer_link(&request, &state, &form).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

/// The fields of a page on the way, and the login that it belongs to.
fn of_login(raw: &[u8]) -> Result<(Params, String)> {
    let params = Params::parse(raw)?;
    let transaction = params.require("login")?.to_owned();
    Ok((params, transaction))
}

async fn answer_link(request: &HttpRequest, state: &State, raw: &[u8]) -> HttpResponse {
    let (params, transaction) = match of_login(raw) {
        Ok(asked) => asked,
        Err(error) => return pages::error(request, &error, None),
    };
    // A link that somebody follows answers nothing.
    let choice = match (request.method() == Method::POST, params.get("connection"), params.get("separate")) {
        (true, Some(connection), _) => LinkChoice::Prove(connection),
        (true, None, Some(_)) => LinkChoice::Separate,
        _ => LinkChoice::Look,
    };
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let outcome = Box::pin(state.gateway().link_choice(&transaction, choice, params.get("csrf"), &browser, Timestamp::now())).await;
    reply::outcome(request, state, outcome, None)
}

/// The question whether an application may have what it asks.
pub async fn consent_question(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    answer_consent(&request, &state, query.as_bytes()).await
}

pub async fn consent(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => answer_consent(&request, &state, &form).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn answer_consent(request: &HttpRequest, state: &State, raw: &[u8]) -> HttpResponse {
    let (params, transaction) = match of_login(raw) {
        Ok(asked) => asked,
        Err(error) => return pages::error(request, &error, None),
    };
    // A link that somebody follows answers nothing.
    let choice = match (request.method() == Method::POST, params.get("answer")) {
        (true, Some("allow")) => ConsentChoice::Allow,
        (true, Some("deny")) => ConsentChoice::Deny,
        _ => ConsentChoice::Look,
    };
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let outcome = Box::pin(state.gateway().consent_choice(&transaction, choice, params.get("csrf"), &browser, Timestamp::now())).await;
    reply::outcome(request, state, outcome, None)
}

/// The return from a page to which a rule or an action had sent the person.
pub async fn resume(request: HttpRequest, state: Data<State>) -> HttpResponse {
    resume_inner(&request, &state, None).await
}

pub async fn resume_by_form(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => resume_inner(&request, &state, Some(&form)).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn resume_inner(request: &HttpRequest, state: &State, form: Option<&[u8]>) -> HttpResponse {
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(form.unwrap_or_default()).into_owned().collect();
    let bounced = fields.iter().any(|(name, _)| name == BOUNCED);
    let back = Return { query: request.query_string().as_bytes(), form, bounced };
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let outcome = Box::pin(state.gateway().continue_login(back, &browser, Timestamp::now())).await;
    let mut again: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    again.push((BOUNCED, "1"));
    reply::outcome(request, state, outcome, Some(Again { see: None, fields: again }))
}

pub async fn logged_out(request: HttpRequest) -> HttpResponse {
    pages::notice(&request, |words| (words.logout_done.to_string(), format!("{} {}", words.logout_ended, words.logout_applications)))
}

/// Browsers ask for an icon; there is none.
pub async fn no_icon() -> HttpResponse {
    HttpResponse::NoContent().insert_header((CACHE_CONTROL, "public, max-age=86400")).finish()
}

/// What an operator has for the pages. It never changes under its address. An SVG image must not run scripts where somebody
/// opens it by itself.
pub async fn asset(request: HttpRequest, state: Data<State>) -> HttpResponse {
    match state.settings.look.asset(request.path()) {
        Some(asset) => HttpResponse::Ok()
            .content_type(asset.media_type)
            .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"))
            .body(asset.bytes.clone()),
        None => headers::nothing_here(request).await,
    }
}

pub async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").insert_header((CACHE_CONTROL, "public, max-age=3600")).body(STYLE)
}
