//! Use cases' answers become HTTP answers.

use super::cookies;
use super::headers::Correlation;
use super::login;
use super::logout::is_framed;
use super::pages::{self, AutoPost};
use super::state::State;
use crate::broker::{Answer, CookieChange, Outcome, Reply};
use crate::connection::BrowserStep;
use crate::error::{Error, ErrorKind};
use crate::oidc::AuthorizationResponse;
use crate::saml::Outgoing;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

/// What the browser posted, for sending it again from our own page.
pub struct Again<'a> {
    /// Path and query of a GET that repeats a POST.
    pub see: Option<String>,
    pub fields: Vec<(&'a str, &'a str)>,
}

/// The one translation of browser answers.
pub fn outcome(request: &HttpRequest, state: &State, outcome: Outcome, again: Option<Again<'_>>) -> HttpResponse {
    Correlation::of(request).join(outcome.correlation_id.as_deref());
    let mut response = match outcome.answer {
        Answer::Upstream(BrowserStep::Redirect(url)) => see_other(url.as_str()),
        Answer::Upstream(BrowserStep::PostForm { action, fields }) => pages::auto_post(request, &AutoPost::to_idp(action, fields)),
        Answer::Reply(Reply::Saml(Outgoing::Redirect(url))) => see_other(url.as_str()),
        Answer::Reply(Reply::Saml(Outgoing::PostForm { action, fields })) => {
            pages::auto_post(request, &AutoPost::to_application(action.to_string(), fields))
        }
        Answer::Reply(Reply::Oidc { client_id, response }) => match managed(request, state, &outcome.session, &client_id, response) {
            (AuthorizationResponse::Redirect(url), cookie) => with_browser_state(see_other(&url), state, cookie),
            (AuthorizationResponse::FormPost { action, fields }, cookie) => {
                let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                with_browser_state(pages::auto_post(request, &AutoPost::to_application(action, fields)), state, cookie)
            }
        },
        Answer::Reply(Reply::Device { connected }) => pages::device_told(request, connected),
        Answer::EnterCode(page) => pages::device(request, page),
        Answer::Choose(chooser) => pages::chooser(request, &chooser),
        Answer::AskLink(question) => pages::link(request, &question),
        Answer::AskConsent(question) => pages::consent(request, &question),
        Answer::AskPassword(page) => login::password::page(request, &page),
        Answer::AskFactor(page) => login::factor::page(request, &page),
        Answer::Elsewhere(url) => see_other(&url),
        Answer::SeeSelf => match again.and_then(|again| again.see) {
            Some(location) => see_other(&location),
            None => pages::error(request, &Error::new(ErrorKind::Internal, ""), None),
        },
        Answer::Bounce => {
            pages::auto_post(request, &AutoPost::bounce(request.uri().to_string(), again.map(|again| again.fields).unwrap_or_default()))
        }
        Answer::Refused(refusal) => pages::error(request, &refusal.error, refusal.restart.as_ref()),
    };
    cookies::write(response.headers_mut(), state.settings.secure, &outcome.binding, &outcome.session);
    response
}

/// The answer with its `session_state`, and the browser state that it was made of, where the operator wants that.
fn managed(
    request: &HttpRequest,
    state: &State,
    change: &CookieChange,
    client_id: &str,
    response: AuthorizationResponse,
) -> (AuthorizationResponse, Option<String>) {
    if !state.settings.session_management {
        return (response, None);
    }
    let sent = cookies::read(request, state.settings.secure).session;
    // In a frame of another site the session's cookie does not travel, and nothing is known of the session: what the frame of
    // Session Management sees stays as it is.
    if *change == CookieChange::Keep && sent.is_none() && is_framed(request) {
        let known = cookies::browser_state(request, state.settings.secure).unwrap_or_default();
        return (response.with_session_state(client_id, &known), None);
    }
    // The session that the browser has once this answer has arrived.
    let session = match change {
        CookieChange::Keep => sent.as_deref(),
        CookieChange::Set(cookie) => Some(cookie.as_str()),
        CookieChange::Clear => None,
    };
    match state.gateway().browser_state(session) {
        Ok(browser_state) => (response.with_session_state(client_id, &browser_state), Some(browser_state)),
        Err(error) => {
            log_error(request, &error);
            (response, None)
        }
    }
}

fn with_browser_state(mut response: HttpResponse, state: &State, browser_state: Option<String>) -> HttpResponse {
    if let Some(value) = browser_state {
        let seconds = state.gateway().lifetimes.session;
        cookies::write_browser_state(response.headers_mut(), state.settings.secure, &value, seconds);
    }
    response
}

/// 303: the browser goes on with a GET, and never re-posts (RFC 9700 4.12).
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, location)).finish()
}

/// An error as `application/problem+json`-free OAuth JSON (RFC 6749 5.2).
pub fn oauth_error(request: &HttpRequest, error: &Error) -> HttpResponse {
    let wire = error.kind.wire();
    log_error(request, error);
    let mut builder = status(wire.status);
    if error.kind == ErrorKind::InvalidClient && request.headers().contains_key("authorization") {
        builder.insert_header(("www-authenticate", crate::oidc::client_auth::CHALLENGE));
    }
    retry_after(&mut builder, wire.status, error.retry_after);
    // What a rule says is said as it is.
    let told = match error.kind {
        ErrorKind::RuleDenied => error.detail.clone(),
        _ => format!("{} {} ({})", wire.code, error.detail, Correlation::of(request).get()),
    };
    let told = Error::new(error.kind, told);
    builder.insert_header((CONTENT_TYPE, "application/json")).body(crate::oidc::token::error_json(&told))
}

pub fn status(code: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

/// `seconds`: if that is known.
pub fn retry_after(builder: &mut HttpResponseBuilder, status: u16, seconds: Option<u32>) {
    if status == 503 || status == 429 {
        builder.insert_header((RETRY_AFTER, seconds.unwrap_or(2)));
    }
}

/// Logged once, here, with the correlation id; severity by whose fault it is.
pub fn log_error(request: &HttpRequest, error: &Error) {
    let wire = error.kind.wire();
    let correlation_id = Correlation::of(request).get();
    let source = error.source.as_ref().map(tracing::field::display);
    if wire.status >= 500 {
        tracing::error!(correlation_id, code = wire.code, detail = error.detail, source, "request failed");
    } else {
        tracing::info!(correlation_id, code = wire.code, detail = error.detail, source, "request refused");
    }
}
