//! `/oidc/logout` with the button that confirms it, and `/v2/logout`, Auth0's form of it.

use crate::broker::logout::RpLogout;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::headers::Correlation;
use crate::http::logout::{answer, is_framed};
use crate::http::pages::{AutoPost, BOUNCED};
use crate::http::state::State;
use crate::http::{body, cookies, look, pages};
use crate::oidc::Params;
use actix_web::http::header::REFERER;
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use url::Url;

pub async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    log_out(&request, &state, request.query_string().as_bytes(), false).await
}

pub async fn post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match body::form(&request, &mut payload, state.settings.body_limit).await {
        Ok(form) => match sent_again(&request, &state, &form) {
            Some(page) => page,
            None => log_out(&request, &state, &form, false).await,
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
        Ok(form) => log_out(&request, &state, &form, true).await,
        Err(error) => pages::error(&request, &error, None),
    }
}

/// `/v2/logout?client_id&returnTo`. It has no proof but the page from which the browser says it comes.
pub async fn v2(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let raw = match in_our_words(&request, &state) {
        Ok(raw) => raw,
        Err(error) => return pages::error(&request, &error, None),
    };
    let referer = request.headers().get(REFERER).and_then(|value| value.to_str().ok());
    let origin = referer.and_then(|referer| Url::parse(referer).ok()).map(|url| url.origin().ascii_serialization());
    let asked = RpLogout { raw: raw.as_bytes(), confirmed: false, origin: origin.as_deref(), framed: is_framed(&request) };
    end(&request, &state, asked).await
}

/// The parameters of RP-Initiated Logout; without `returnTo` the application's first registered address.
fn in_our_words(request: &HttpRequest, state: &State) -> Result<String> {
    let params = Params::parse(request.query_string().as_bytes())?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let client_id = params.get("client_id");
    query.extend_pairs(client_id.map(|client_id| ("client_id", client_id)));
    match params.get("returnTo") {
        Some(to) => drop(query.append_pair("post_logout_redirect_uri", to)),
        None => {
            let gateway = state.gateway();
            let client = client_id.and_then(|id| gateway.application(id)).and_then(|application| application.oidc.as_ref());
            let first = client.and_then(|client| client.post_logout_redirect_uris.first());
            query.extend_pairs(first.map(|to| ("post_logout_redirect_uri", to)));
        }
    }
    Ok(query.finish())
}

async fn log_out(request: &HttpRequest, state: &State, raw: &[u8], confirmed: bool) -> HttpResponse {
    // RP-Initiated Logout 2: ui_locales, which may come in a form.
    if let Some(language) = look::asked_in(raw) {
        request.extensions_mut().insert(language);
    }
    end(request, state, RpLogout { raw, confirmed, origin: None, framed: is_framed(request) }).await
}

async fn end(request: &HttpRequest, state: &State, asked: RpLogout<'_>) -> HttpResponse {
    let browser = cookies::read(request, state.settings.secure);
    let correlation_id = Correlation::of(request).get();
    let result = Box::pin(state.gateway().logout(asked, &browser, &correlation_id, Timestamp::now())).await;
    answer(request, state, &browser, result)
}
