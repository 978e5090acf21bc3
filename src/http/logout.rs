//! The pages of a logout under way, and the translation of its answers; what begins one is in `op`, `idp` and `upstream`.

use super::headers::Correlation;
use super::look::{Look, Setting};
use super::pages::{self, AutoPost};
use super::saml_form::SamlForm;
use super::state::State;
use super::words::Words;
use super::{body, cookies, reply, soap_reply};
use crate::broker::logout::{
    LoggedOut, LogoutEntry, LogoutPage, LogoutReceiver, LogoutReply, LogoutStep, PartnerFrameOf, SloMessage, SoapLogout,
};
use crate::broker::{Browser, CookieChange};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::Told;
use crate::oidc::Params;
use crate::saml::binding::MessageKind;
use crate::saml::soap::SOAP_LIMIT;
use crate::saml::{Incoming, Outgoing};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_FRAME_OPTIONS};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use std::sync::Arc;
use url::Url;

/// Milliseconds that frames may take, all of them at once, before the browser goes on.
const PATIENCE: u32 = 4000;
/// Milliseconds after which the browser goes on without a partner that it is visiting.
const VISIT: u32 = 15_000;

#[derive(Template)]
#[template(path = "logging_out.html")]
struct LoggingOutPage {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    text: String,
    id: String,
    entries: Vec<LogoutEntry>,
    frames: Vec<String>,
    partner_frames: Vec<PartnerFrameOf>,
    stuck: Option<String>,
    next: Option<String>,
    answered: bool,
    after: Option<(String, String)>,
    nonce: String,
    patience: u32,
    visit: u32,
}

/// What is left in a frame whose partner has answered; the page around it looks for that.
#[derive(Template)]
#[template(path = "told.html")]
struct ToldPage;

impl LogoutEntry {
    const fn class(&self) -> &'static str {
        match self.good {
            Some(true) => "good",
            Some(false) => "bad",
            None => "soft",
        }
    }

    fn text(&self, w: &Words) -> String {
        match &self.told {
            Told::Waiting => w.told_waiting.to_string(),
            Told::Asked { .. } => w.told_asked.to_string(),
            Told::Confirmed => w.told_confirmed.to_string(),
            Told::Shown => w.told_shown.to_string(),
            Told::Unknown => w.told_unknown.to_string(),
            Told::Failed(reason) => w.put(&w.told_failed, "reason", reason),
            Told::Skipped => w.told_skipped.to_string(),
            Told::Impossible => w.told_impossible.to_string(),
        }
    }
}

/// `/logout/{id}`.
pub async fn show(request: HttpRequest, id: Path<String>, state: Data<State>) -> HttpResponse {
    let browser = cookies::read(&request, state.settings.secure);
    let result = state.gateway().logout_page(&id).await;
    answer(&request, &state, &browser, result)
}

/// Its form.
pub async fn step(request: HttpRequest, id: Path<String>, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let browser = cookies::read(&request, state.settings.secure);
    let result = async {
        let form = body::form(&request, &mut payload, state.settings.body_limit).await?;
        let step = match Params::parse(&form)?.get("step") {
            Some("skip") => LogoutStep::Skip,
            Some("framed") => LogoutStep::Framed,
            _ => LogoutStep::Next,
        };
        Box::pin(state.gateway().logout_step(&id, step, Timestamp::now())).await
    };
    let result = result.await;
    answer(&request, &state, &browser, result)
}

/// `/logout/{id}/frame/{place}`: in a hidden frame of that page.
pub async fn frame(request: HttpRequest, place: Path<(String, usize)>, state: Data<State>) -> HttpResponse {
    let (id, place) = place.into_inner();
    let browser = cookies::read(&request, state.settings.secure);
    let result = state.gateway().logout_frame(&id, place, Timestamp::now()).await;
    let mut response = answer(&request, &state, &browser, result);
    may_be_framed(&mut response);
    response
}

/// By pages of ours only.
fn may_be_framed(response: &mut HttpResponse) {
    let headers = response.headers_mut();
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    let policy = headers.get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let policy = policy.unwrap_or("default-src 'none'; frame-ancestors 'none'").replace("frame-ancestors 'none'", "frame-ancestors 'self'");
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

/// The one translation of logouts' answers.
pub fn answer(request: &HttpRequest, state: &State, browser: &Browser, result: Result<LogoutReply>) -> HttpResponse {
    let reply = match result {
        Ok(reply) => reply,
        Err(error) => return pages::error(request, &error, None),
    };
    Correlation::of(request).join(reply.correlation_id.as_deref());
    let mut response = match reply.answer {
        LoggedOut::Redirect(to) => reply::see_other(&to),
        LoggedOut::Saml(Outgoing::Redirect(url)) => reply::see_other(url.as_str()),
        LoggedOut::Saml(Outgoing::PostForm { action, fields }) => pages::auto_post(request, &AutoPost::logout(action.into(), fields)),
        LoggedOut::Page(page) => under_way(request, page),
        LoggedOut::Confirm { parameters } => pages::confirm_logout(request, &parameters),
        LoggedOut::Framed => {
            let mut told = pages::with_policy(&ToldPage, "default-src 'none'; base-uri 'none'; frame-ancestors 'none'");
            may_be_framed(&mut told);
            told
        }
    };
    // A request that another site made carries no session cookie, and must not take it away either.
    if reply.ends_cookie && browser.session.is_some() {
        cookies::write(response.headers_mut(), state.settings.secure, &CookieChange::Keep, &CookieChange::Clear);
        if state.settings.session_management {
            cookies::write_browser_state(response.headers_mut(), state.settings.secure, "", 0);
        }
    }
    response
}

/// Whether the answer would be shown in a frame of somebody's page (Fetch Metadata, Sec-Fetch-Dest).
pub fn is_framed(request: &HttpRequest) -> bool {
    let destination = request.headers().get("sec-fetch-dest").and_then(|value| value.to_str().ok());
    matches!(destination, Some("iframe" | "frame" | "embed" | "object"))
}

/// A single logout service, by HTTP-Redirect.
pub async fn by_redirect(request: &HttpRequest, state: &State, receiver: LogoutReceiver<'_>) -> HttpResponse {
    let browser = cookies::read(request, state.settings.secure);
    let raw_query = request.query_string();
    let result = async {
        let kind = kind_of(Params::parse_noting_repeats(raw_query.as_bytes())?.get("SAMLResponse").is_some());
        let message = SloMessage { receiver, kind, message: Incoming::Redirect { raw_query }, framed: is_framed(request) };
        Box::pin(state.gateway().single_logout(message, &browser, &Correlation::of(request).get(), Timestamp::now())).await
    };
    let result = result.await;
    answer(request, state, &browser, result)
}

/// A single logout service, by HTTP-POST; or in SOAP, which is told by its media type.
pub async fn by_post(request: &HttpRequest, state: &State, receiver: LogoutReceiver<'_>, payload: &mut Payload) -> HttpResponse {
    if body::is_xml(request) {
        return by_soap(request, state, receiver, payload).await;
    }
    let browser = cookies::read(request, state.settings.secure);
    let result = async {
        let raw = body::form(request, payload, state.settings.saml_body_limit).await?;
        let mut form = SamlForm::read(&raw, "SAMLRequest")?;
        let is_response = form.message.is_none();
        if is_response {
            form = SamlForm::read(&raw, "SAMLResponse")?;
        }
        let missing = || Error::new(ErrorKind::InvalidRequest, "there is neither SAMLRequest nor SAMLResponse");
        let incoming = Incoming::Post { message: form.message.as_deref().ok_or_else(missing)?, relay_state: form.relay_state.as_deref() };
        let message = SloMessage { receiver, kind: kind_of(is_response), message: incoming, framed: is_framed(request) };
        Box::pin(state.gateway().single_logout(message, &browser, &Correlation::of(request).get(), Timestamp::now())).await
    };
    let result = result.await;
    answer(request, state, &browser, result)
}

async fn by_soap(request: &HttpRequest, state: &State, receiver: LogoutReceiver<'_>, payload: &mut Payload) -> HttpResponse {
    let correlation_id = Correlation::of(request).get();
    let answer = match body::text(request, payload, SOAP_LIMIT).await {
        Ok(envelope) => Box::pin(state.gateway().soap_logout(receiver, envelope, &correlation_id, Timestamp::now())).await,
        Err(error) => Err(error),
    };
    // SOAP 1.1 6.2: a fault comes with 500. SAML Bindings 3.2.3.3: who is not answered gets 403.
    match answer {
        Ok(SoapLogout::Response(envelope)) => soap_reply::envelope(StatusCode::OK, envelope),
        Ok(SoapLogout::Fault(fault)) => soap_reply::envelope(StatusCode::INTERNAL_SERVER_ERROR, fault),
        Ok(SoapLogout::Refused(fault)) => soap_reply::envelope(StatusCode::FORBIDDEN, fault),
        Err(error) => soap_reply::failed(request, &error),
    }
}

const fn kind_of(is_response: bool) -> MessageKind {
    if is_response { MessageKind::Response } else { MessageKind::Request }
}

fn under_way(request: &HttpRequest, page: LogoutPage) -> HttpResponse {
    let page = LoggingOutPage::of(page, Setting::of(request));
    let policy = page.policy();
    pages::with_policy(&page, &policy)
}

impl LoggingOutPage {
    fn of(page: LogoutPage, Setting { words: w, look }: Setting) -> Self {
        let all = page.entries.iter().all(|entry| entry.good != Some(false));
        let (title, text) = match (page.answered, &page.stuck, all) {
            (true, _, true) => (w.logout_done.to_string(), w.logout_ended.to_string()),
            (true, _, false) => (w.logout_partly.to_string(), format!("{} {}", w.logout_ended, w.logout_somebody)),
            (false, None, _) => (w.signing_out.to_string(), w.logout_telling.to_string()),
            (false, Some(_), _) => (w.signing_out.to_string(), w.logout_stuck.to_string()),
        };
        Self {
            w,
            look,
            title,
            text,
            id: page.id,
            entries: page.entries,
            frames: page.frames,
            partner_frames: page.partner_frames,
            stuck: page.stuck,
            next: page.next,
            answered: page.answered,
            after: page.after,
            nonce: id::random_id(),
            patience: PATIENCE,
            visit: VISIT,
        }
    }

    /// Frames of these applications and of no others.
    fn policy(&self) -> String {
        let mut origins: Vec<String> =
            self.frames.iter().filter_map(|frame| Url::parse(frame).ok()).map(|url| url.origin().ascii_serialization()).collect();
        if !self.partner_frames.is_empty() {
            // They begin at our own address, go to the partner and come back.
            origins.push("'self'".to_owned());
            origins.extend(self.partner_frames.iter().map(|frame| frame.origin.clone()));
        }
        origins.sort_unstable();
        origins.dedup();
        let frames = if origins.is_empty() { String::new() } else { format!("frame-src {}; ", origins.join(" ")) };
        let script = if self.answered { String::new() } else { format!("script-src 'nonce-{}'; ", self.nonce) };
        // The form's answer leads on to partners, which form-action would forbid in some browsers.
        pages::policy(&self.look, "", &format!("{script}{frames}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::words::Language;

    const HOSTILE: &str = "\"><script>alert(1)</script><b a='";

    fn page(frames: &[&str]) -> LogoutPage {
        LogoutPage {
            id: HOSTILE.to_owned(),
            entries: vec![LogoutEntry { name: HOSTILE.to_owned(), told: Told::Failed(HOSTILE.to_owned()), good: Some(false) }],
            frames: frames.iter().map(|frame| (*frame).to_owned()).collect(),
            partner_frames: Vec::new(),
            next: Some(HOSTILE.to_owned()),
            stuck: None,
            answered: false,
            after: Some((HOSTILE.to_owned(), HOSTILE.to_owned())),
        }
    }

    fn made(page: LogoutPage) -> LoggingOutPage {
        LoggingOutPage::of(page, Setting { words: Arc::new(Words::of(Language::English)), look: Arc::default() })
    }

    #[test]
    fn hostile_values_come_out_escaped() {
        let stuck = LogoutPage { stuck: Some(HOSTILE.to_owned()), ..page(&[HOSTILE]) };
        for page in [page(&[HOSTILE]), stuck, LogoutPage { answered: true, ..page(&[]) }] {
            let page = made(page).render().expect("renders");
            assert!(!page.contains("<script>alert") && !page.contains(HOSTILE), "{page}");
        }
    }

    #[test]
    fn frames_may_be_those_of_the_applications_only() {
        let frames = ["https://b.example/out?iss=x&sid=y", "https://a.example:8443/out", "https://b.example/other"];
        let policy = made(page(&frames)).policy();
        assert!(policy.contains("; frame-src https://a.example:8443 https://b.example; "), "{policy}");
        let partner = |origin: &str| PartnerFrameOf { address: "/logout/x/frame/0".to_owned(), origin: origin.to_owned() };
        let partners = vec![partner("https://wiki.example"), partner("https://a.example:8443")];
        let policy = made(LogoutPage { partner_frames: partners, ..page(&frames) }).policy();
        assert!(policy.contains("; frame-src 'self' https://a.example:8443 https://b.example https://wiki.example; "), "{policy}");
        let policy = made(LogoutPage { answered: true, ..page(&[]) }).policy();
        assert!(!policy.contains("frame-src") && !policy.contains("script-src"), "{policy}");
    }

    #[test]
    fn a_page_does_not_go_on_by_itself_where_somebody_has_not_answered() {
        let stuck = made(LogoutPage { stuck: Some("Wiki".to_owned()), ..page(&[]) }).render().expect("renders");
        assert!(!stuck.contains(".submit()") && stuck.contains("Go on without Wiki"), "{stuck}");
        assert!(made(page(&[])).render().expect("renders").contains(".submit()"));
    }
}
