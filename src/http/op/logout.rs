//! `/oidc/logout`, and the button that confirms it.

use crate::broker::CookieChange;
use crate::broker::logout::LoggedOut;
use crate::clock::Timestamp;
use crate::http::pages::{AutoPost, BOUNCED};
use crate::http::state::State;
use crate::http::{body, cookies, pages, reply};
use crate::oidc::Params;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    answer(&request, &state, request.query_string().as_bytes(), false).await
}

pub async fn post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => match again(&request, &state, &form) {
            Some(page) => page,
            None => answer(&request, &state, &form, false).await,
        },
        Err(error) => pages::error(&request, &error, None),
    }
}

/// A POST from another site comes without the session cookie, which is SameSite=Lax: our own page sends it again.
/// Otherwise any site could end a session by such a form, unasked, and the session itself would live on here.
fn again(request: &HttpRequest, state: &State, form: &[u8]) -> Option<HttpResponse> {
    if cookies::read(request, state.settings.secure).session.is_some() {
        return None;
    }
    let params = Params::parse(form).ok().filter(|params| params.get(BOUNCED).is_none())?;
    let fields = params.iter().chain([(BOUNCED, "1")]).collect();
    Some(pages::auto_post(request, &AutoPost::bounce("/oidc/logout".to_owned(), fields)))
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
    let mut response = match state.gateway.logout(raw, &browser, confirmed, Timestamp::now()).await {
        Ok(LoggedOut::Confirm { parameters }) => return pages::confirm_logout(request, &parameters),
        Ok(LoggedOut::Redirect(to)) => reply::see_other(&to),
        Ok(LoggedOut::Page) => reply::see_other("/logged-out"),
        Err(error) => return pages::error(request, &error, None),
    };
    cookies::write(response.headers_mut(), state.settings.secure, &CookieChange::Keep, &CookieChange::Clear);
    response
}
