//! Pages for people. Every page is a struct with a `sample()`, rendered in a test with a hostile value in each field.

use super::headers::Correlation;
use super::reply;
use super::traces::TracePage;
use super::traces::list::RecentPage;
use crate::broker::{Chooser, ConsentQuestion, LinkQuestion};
use crate::error::{Actor, Error, ErrorKind};
use crate::id;
use crate::login::Restart;
use actix_web::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::json;
use url::Url;

/// The style sheet of all pages.
pub const STYLE: &str = include_str!("../../templates/page.css");

/// Marks a form that our own page has sent again.
pub const BOUNCED: &str = "isthmus_again";

const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: String,
    detail: String,
    advice: String,
    code: String,
    correlation_id: String,
    restart: Option<Restart>,
    restart_label: &'static str,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    title: String,
    text: String,
}

#[derive(Template)]
#[template(path = "chooser.html")]
struct ChooserPage {
    chooser: Chooser,
    /// `get` or `post`.
    method: &'static str,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    transaction_id: String,
    csrf: String,
    application: String,
    came_by: String,
    ways: Vec<(String, String)>,
    may_decline: bool,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    question: ConsentQuestion,
    logo: Option<Url>,
    policy: Option<Url>,
    terms: Option<Url>,
}

#[derive(Template)]
#[template(path = "confirm_logout.html")]
struct ConfirmLogoutPage {
    parameters: Vec<(String, String)>,
}

/// A page whose form sends itself, with a button for where scripts do not run.
#[derive(Template)]
#[template(path = "auto_post.html")]
pub struct AutoPost {
    title: &'static str,
    action: String,
    fields: Vec<(String, String)>,
    nonce: String,
}

impl AutoPost {
    pub fn to_idp(action: String, fields: Vec<(String, String)>) -> Self {
        Self::new("You are going on to sign in", action, fields)
    }

    pub fn to_application(action: String, fields: Vec<(String, String)>) -> Self {
        Self::new("You are going back to the application", action, fields)
    }

    /// The same form again, from our own page and to ourselves.
    pub fn bounce(action: String, fields: Vec<(&str, &str)>) -> Self {
        Self::new("You are being signed in", action, fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The same for a logout.
    pub fn bounce_logout(action: String, fields: Vec<(&str, &str)>) -> Self {
        Self { title: "You are being signed out", ..Self::bounce(action, fields) }
    }

    /// A message of a logout, to whom it is for.
    pub fn logout(action: String, fields: Vec<(String, String)>) -> Self {
        Self::new("You are being signed out", action, fields)
    }

    fn new(title: &'static str, action: String, fields: Vec<(String, String)>) -> Self {
        Self { title, action, fields, nonce: id::random_id() }
    }
}

/// An error as a page, or as `application/problem+json` (RFC 9457) for a program that asks for JSON.
pub fn error(request: &HttpRequest, error: &Error, restart: Option<&Restart>) -> HttpResponse {
    let wire = error.kind.wire();
    let correlation_id = Correlation::of(request).get();
    // A login that only the application can begin again has no address here.
    let restart = restart.filter(|restart| !restart.path.is_empty());
    reply::log_error(request, error);
    let mut builder = reply::status(wire.status);
    reply::retry_after(&mut builder, wire.status);
    if wants_json(request) {
        let problem = json!({
            "type": format!("urn:isthmus:problem:{}", wire.problem),
            "title": wire.title,
            "status": wire.status,
            "detail": error.detail,
            "code": wire.code,
            "correlation_id": correlation_id,
        });
        return builder.insert_header((CONTENT_TYPE, "application/problem+json")).body(problem.to_string());
    }
    let page = ErrorPage {
        title: wire.title.to_owned(),
        detail: sentence(&error.detail),
        advice: advice(error.kind, restart.is_some()),
        code: wire.code.to_owned(),
        correlation_id,
        restart: restart.cloned(),
        restart_label: if error.kind == ErrorKind::LoginAlreadyFinished { "Continue to" } else { "Start again at" },
    };
    html(builder, &page, CONTENT_POLICY)
}

/// A detail as a sentence: details are written for protocol messages, without capital and full stop.
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    let Some(first) = letters.next() else { return String::new() };
    let stop = if detail.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{stop}", first.to_uppercase(), letters.as_str())
}

/// What the person can do.
fn advice(kind: ErrorKind, can_restart: bool) -> String {
    let text = match (kind, can_restart) {
        (ErrorKind::LoginExpired | ErrorKind::LoginAlreadyFinished, true) => "Use the button to go on.",
        (ErrorKind::LoginExpired | ErrorKind::LoginAlreadyFinished, false) => "Go back to the application and start again there.",
        (ErrorKind::AccountConflict | ErrorKind::LinkOnlyIdentity, _) => {
            "If that does not help, the operators of this sign-in service can settle it. Give them the code below."
        }
        (ErrorKind::OtherBrowser, _) => "Go back to the application in this browser and start again there.",
        (ErrorKind::CookiesBlocked, _) => "Allow cookies for this site, go back to the application and start again there.",
        (ErrorKind::StoreUnavailable | ErrorKind::Overloaded, _) => {
            "Wait a moment and try again. If it does not go away, give the operators of this service the code below."
        }
        (kind, _) if kind.wire().actor == Actor::User && !can_restart => "Go back to the application and try again.",
        (kind, _) => kind.wire().actor.advice(),
    };
    text.to_owned()
}

fn wants_json(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("json") && !accept.contains("text/html")
}

pub fn notice(_request: &HttpRequest, title: &str, text: &str) -> HttpResponse {
    html(reply::status(200), &NoticePage { title: title.to_owned(), text: text.to_owned() }, CONTENT_POLICY)
}

pub fn chooser(_request: &HttpRequest, chooser: &Chooser) -> HttpResponse {
    // What a login goes on with changes something here; what a discovery service answers does not.
    let method = if chooser.action == "/login" { "post" } else { "get" };
    let page = ChooserPage { chooser: chooser.clone(), method };
    // The form's answer leads on to an identity provider, which form-action would forbid in some browsers. Logos stand
    // where their owners have them.
    let policy = "default-src 'none'; style-src 'self'; img-src https:; base-uri 'none'; frame-ancestors 'none'";
    html(reply::status(200), &page, policy)
}

pub fn link(_request: &HttpRequest, question: &LinkQuestion) -> HttpResponse {
    let page = LinkPage {
        transaction_id: question.transaction_id.clone(),
        csrf: question.csrf.clone(),
        application: question.application.clone(),
        came_by: question.came_by.clone(),
        ways: question.ways.clone(),
        may_decline: question.may_decline,
    };
    // As with the chooser, the form's answer leads on to another site.
    html(reply::status(200), &page, "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
}

pub fn consent(_request: &HttpRequest, question: &ConsentQuestion) -> HttpResponse {
    let page = ConsentPage::new(question.clone());
    // As with the chooser, the form's answer leads on to another site. The logo stands where its owner has it.
    let logo = page.logo.as_ref().map(|logo| format!("img-src {}; ", logo.origin().ascii_serialization())).unwrap_or_default();
    let policy = format!("default-src 'none'; style-src 'self'; {logo}base-uri 'none'; frame-ancestors 'none'");
    html(reply::status(200), &page, &policy)
}

impl ConsentPage {
    /// What an application says of itself is shown where it is an address of the web, and no script for instance.
    fn new(question: ConsentQuestion) -> Self {
        let web = |text: &Option<String>, schemes: &[&str]| {
            let url = Url::parse(text.as_deref()?).ok()?;
            (schemes.contains(&url.scheme()) && url.has_host()).then_some(url)
        };
        let about = &question.about;
        let (logo, policy) = (web(&about.logo_uri, &["https"]), web(&about.policy_uri, &["https", "http"]));
        Self { logo, policy, terms: web(&about.tos_uri, &["https", "http"]), question }
    }
}

pub fn confirm_logout(_request: &HttpRequest, parameters: &[(String, String)]) -> HttpResponse {
    let page = ConfirmLogoutPage { parameters: parameters.to_vec() };
    html(reply::status(200), &page, "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
}

pub fn auto_post(_request: &HttpRequest, page: &AutoPost) -> HttpResponse {
    let policy =
        format!("default-src 'none'; style-src 'self'; script-src 'nonce-{}'; base-uri 'none'; frame-ancestors 'none'", page.nonce);
    html(reply::status(200), page, &policy)
}

pub fn trace(_request: &HttpRequest, page: &TracePage) -> HttpResponse {
    html(reply::status(200), page, CONTENT_POLICY)
}

pub fn recent(_request: &HttpRequest, page: &RecentPage) -> HttpResponse {
    html(reply::status(200), page, CONTENT_POLICY)
}

/// A page with a content policy of its own.
pub fn with_policy(page: &impl Template, policy: &str) -> HttpResponse {
    html(reply::status(200), page, policy)
}

fn html(mut builder: actix_web::HttpResponseBuilder, page: &impl Template, policy: &str) -> HttpResponse {
    match page.render() {
        Ok(text) => builder.content_type("text/html; charset=utf-8").insert_header((CONTENT_SECURITY_POLICY, policy)).body(text),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            HttpResponse::InternalServerError().content_type("text/plain").body("ISTH-5000 This page cannot be shown.\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{AskedScope, Offer};
    use crate::oidc::ClientAbout;

    const HOSTILE: &str = "\"><script>alert(1)</script><b a='";

    /// Every page with the hostile value in each field that can come from outside.
    fn hostile_pages() -> Vec<String> {
        let pair = || vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
        let restart = Restart { application: HOSTILE.to_owned(), path: HOSTILE.to_owned(), query: HOSTILE.to_owned() };
        let error = ErrorPage {
            title: HOSTILE.to_owned(),
            detail: HOSTILE.to_owned(),
            advice: HOSTILE.to_owned(),
            code: HOSTILE.to_owned(),
            correlation_id: HOSTILE.to_owned(),
            restart: Some(restart),
            restart_label: "Start again at",
        };
        [
            error.render(),
            NoticePage { title: HOSTILE.to_owned(), text: HOSTILE.to_owned() }.render(),
            ChooserPage { chooser: hostile_chooser(), method: "post" }.render(),
            LinkPage {
                transaction_id: HOSTILE.to_owned(),
                csrf: HOSTILE.to_owned(),
                application: HOSTILE.to_owned(),
                came_by: HOSTILE.to_owned(),
                ways: pair(),
                may_decline: true,
            }
            .render(),
            ConsentPage::new(hostile_question()).render(),
            ConfirmLogoutPage { parameters: pair() }.render(),
            AutoPost { title: "x", action: HOSTILE.to_owned(), fields: pair(), nonce: "n".to_owned() }.render(),
            TracePage::sample(HOSTILE).render(),
            RecentPage::sample(HOSTILE).render(),
        ]
        .into_iter()
        .map(|page| page.expect("renders"))
        .collect()
    }

    fn hostile_chooser() -> Chooser {
        let text = || Some(HOSTILE.to_owned());
        let offer = Offer { value: HOSTILE.to_owned(), name: HOSTILE.to_owned(), logo: text(), detail: text() };
        Chooser {
            action: "/login",
            hidden: vec![("login".to_owned(), HOSTILE.to_owned())],
            application: HOSTILE.to_owned(),
            search: text(),
            remembered: vec![offer.clone()],
            offers: vec![offer],
            more: true,
            searchable: true,
        }
    }

    fn hostile_question() -> ConsentQuestion {
        let text = || Some(HOSTILE.to_owned());
        let address = || Some(format!("https://x.example/{HOSTILE}?{HOSTILE}#{HOSTILE}"));
        ConsentQuestion {
            transaction_id: HOSTILE.to_owned(),
            csrf: HOSTILE.to_owned(),
            application: HOSTILE.to_owned(),
            about: ClientAbout { client_uri: address(), logo_uri: address(), policy_uri: address(), tos_uri: address() },
            person: HOSTILE.to_owned(),
            server: text(),
            scopes: vec![
                AskedScope { name: HOSTILE.to_owned(), description: None },
                AskedScope { name: HOSTILE.to_owned(), description: text() },
            ],
            claims: vec![HOSTILE.to_owned()],
            whole_profile: true,
        }
    }

    #[test]
    fn consent_shows_addresses_of_the_web_only_and_a_logo_from_its_own_place() {
        let request = actix_web::test::TestRequest::default().to_http_request();
        let show = |logo: &str, policy: &str| {
            let about = ClientAbout { logo_uri: Some(logo.into()), policy_uri: Some(policy.into()), ..ClientAbout::default() };
            let question = ConsentQuestion { about, ..ConsentQuestion::default() };
            let header = consent(&request, &question).headers().get(CONTENT_SECURITY_POLICY).expect("a policy").to_str().expect("text").to_owned();
            (ConsentPage::new(question).render().expect("renders"), header)
        };
        let (page, policy) = show("https://cdn.example:8443/a;b/logo.png", "https://games.example/privacy");
        assert!(page.contains("src=\"https://cdn.example:8443/a;b/logo.png\"") && page.contains("href=\"https://games.example/privacy\""));
        assert!(policy.contains(" img-src https://cdn.example:8443; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let (page, policy) = show("http://cdn.example/logo.png", "javascript:alert(1)");
        assert!(!page.contains("<img") && !page.contains("<a ") && !policy.contains("img-src"), "{page}");
    }

    #[test]
    fn hostile_values_come_out_escaped() {
        for page in hostile_pages() {
            assert!(!page.contains("<script>alert"), "{page}");
            assert!(!page.contains(HOSTILE), "{page}");
            assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"), "{page}");
        }
    }

    #[test]
    fn every_error_kind_has_advice() {
        for kind in ErrorKind::ALL {
            assert!(!advice(*kind, true).is_empty());
            assert!(!advice(*kind, false).is_empty());
        }
    }
}
