//! `/oidc/session`: the frame of Session Management 1.0 (section 3.2), where the operator wants it.

use crate::error::{Error, ErrorKind};
use crate::http::state::State;
use crate::http::{cookies, pages};
use crate::id;
use actix_web::http::header::{HeaderValue, X_FRAME_OPTIONS};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

#[derive(Template)]
#[template(path = "check_session.html")]
struct CheckSessionPage {
    cookie: &'static str,
    nonce: String,
}

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    if !state.settings.session_management {
        return pages::error(&request, &Error::new(ErrorKind::NotFound, "there is nothing at this address"), None);
    }
    let page = CheckSessionPage { cookie: cookies::browser_state_name(state.settings.secure), nonce: id::random_id() };
    // Applications frame it, whoever they are: it tells nothing to who has no session_state of ours, made for its own origin.
    let policy = format!("default-src 'none'; script-src 'nonce-{}'; base-uri 'none'; frame-ancestors *", page.nonce);
    let mut response = pages::with_policy(&page, &policy);
    // No value that means anything: where there is frame-ancestors, it alone counts (CSP 3 7.7.1.1).
    response.headers_mut().insert(X_FRAME_OPTIONS, HeaderValue::from_static("ALLOWALL"));
    response
}
