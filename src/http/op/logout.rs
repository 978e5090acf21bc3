//! `/oidc/logout`, and the button that confirms it.

use crate::broker::CookieChange;
use crate::broker::logout::LoggedOut;
use crate::clock::Timestamp;
use crate::http::pages::{AutoPost, BOUNCED};
use crate::http::state::State;
use crate::http::{body, cookies, pages, reply};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    answer(&request, &state, request.query_string().as_bytes(), false).await
}

pub async fn post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => match sent_again(&request, &state, &form) {
            Some(page) => page,
            None => answer(&request, &state, &form, false).await,
        },
        Err(error) => pages::error(&request, &error, None),
    }
}

/// A form of the application's own page comes without our SameSite=Lax cookie: have our page send it once more, so
/// that the session is found and ended.
fn sent_again(request: &HttpRequest, state: &State, form: &[u8]) -> Option<HttpResponse> {
    let fields: Vec<_> = url::form_urlencoded::parse(form).collect();
    if cookies::read(request, state.settings.secure).session.is_some() || fields.iter().any(|(name, _)| name == BOUNCED) {
        return None;
    }
    let mut again: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    again.push((BOUNCED, "1"));
    Some(pages::auto_post(request, &AutoPost::bounce_logout(request.path().to_owned(), again)))
}

/// The button on our own page.
pub async fn confirm(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => answer(&request, &state, &form, true).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn answer(request: &HttpRequest, state: &State, raw: &[u8], confirmed: bool) -> HttpResponse {
    let browser = cookies::read(request, state.settings.secure);
    let mut response = match state.gateway().logout(raw, &browser, confirmed, Timestamp::now()).await {
        Ok(LoggedOut::Confirm { parameters }) => return pages::confirm_logout(request, &parameters),
        Ok(LoggedOut::Redirect(to)) => reply::see_other(&to),
        Ok(LoggedOut::Page) => reply::see_other("/logged-out"),
        Err(error) => return pages::error(request, &error, None),
    };
    // A request that another site made carries no session cookie, and must not take it away either.
    if browser.session.is_some() {
        cookies::write(response.headers_mut(), state.settings.secure, &CookieChange::Keep, &CookieChange::Clear);
    }
    response
}
