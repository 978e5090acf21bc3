//! Pages for people. Every page is a struct with a `sample()`, rendered in a test with a hostile value in each field.

use super::headers::Correlation;
use super::look::{Look, Setting};
use super::reply;
use super::traces::TracePage;
use super::traces::list::RecentPage;
use super::words::{Language, Words, fill};
use crate::broker::{AskedScope, Chooser, ConsentQuestion, DevicePage, LinkQuestion};
use crate::error::{Error, ErrorKind};
use crate::id;
use crate::login::Restart;
use actix_web::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::json;
use std::sync::Arc;
use url::Url;

/// The style sheet of all pages.
pub const STYLE: &str = include_str!("../../templates/page.css");

/// Marks a form that our own page has sent again.
pub const BOUNCED: &str = "isthmus_again";

/// Of operators' pages.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Of people's pages: `more` are further directives. What leads on to other sites must do without form-action, which some
/// browsers apply to the answer too.
pub fn policy(look: &Look, images: &str, more: &str) -> String {
    format!("default-src 'none'; style-src 'self'; {}{more}base-uri 'none'; frame-ancestors 'none'", look.images(images))
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    detail: String,
    /// Details are written for protocol messages: one that a script chose may be in any language.
    detail_is_english: bool,
    advice: String,
    code: String,
    correlation_id: String,
    /// Label and address.
    restart: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    text: String,
}

#[derive(Template)]
#[template(path = "chooser.html")]
struct ChooserPage {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    /// How many were found.
    found: String,
    chooser: Chooser,
    /// `get` or `post`.
    method: &'static str,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    w: Arc<Words>,
    look: Arc<Look>,
    transaction_id: String,
    csrf: String,
    first: String,
    ways: Vec<(String, String)>,
    may_decline: bool,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    /// Before somebody gives access to a device that is not theirs.
    warning: Option<String>,
    first: String,
    lines: Vec<ConsentLine>,
    server: Option<String>,
    logo: Option<Url>,
    /// Label and address.
    links: Vec<(String, Url)>,
    transaction_id: String,
    csrf: String,
    allow: String,
    deny: String,
}

/// Something that an application gets.
struct ConsentLine {
    text: String,
    /// Not a sentence for people: nobody has said what it means.
    is_name: bool,
}

#[derive(Template)]
#[template(path = "device.html")]
struct DeviceCodePage {
    w: Arc<Words>,
    look: Arc<Look>,
    page: DevicePage,
}

#[derive(Template)]
#[template(path = "confirm_logout.html")]
struct ConfirmLogoutPage {
    w: Arc<Words>,
    look: Arc<Look>,
    parameters: Vec<(String, String)>,
}

/// A page whose form sends itself, with a button for where scripts do not run.
#[derive(Template)]
#[template(path = "auto_post.html")]
struct AutoPostPage {
    w: Arc<Words>,
    look: Arc<Look>,
    title: String,
    action: String,
    fields: Vec<(String, String)>,
    nonce: String,
}

/// A form that sends itself, and why.
pub struct AutoPost {
    title: fn(&Words) -> &str,
    action: String,
    fields: Vec<(String, String)>,
}

impl AutoPost {
    pub fn to_idp(action: String, fields: Vec<(String, String)>) -> Self {
        Self { title: |words| &words.to_identity_provider, action, fields }
    }

    pub fn to_application(action: String, fields: Vec<(String, String)>) -> Self {
        Self { title: |words| &words.to_application, action, fields }
    }

    /// The same form again, from our own page and to ourselves.
    pub fn bounce(action: String, fields: Vec<(&str, &str)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { title: |words| &words.signing_in, action, fields }
    }

    /// The same for a logout.
    pub fn bounce_logout(action: String, fields: Vec<(&str, &str)>) -> Self {
        Self { title: |words| &words.signing_out, ..Self::bounce(action, fields) }
    }

    /// A message of a logout, to whom it is for.
    pub fn logout(action: String, fields: Vec<(String, String)>) -> Self {
        Self { title: |words| &words.signing_out, action, fields }
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
    reply::retry_after(&mut builder, wire.status, error.retry_after);
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
    let Setting { words, look } = Setting::of(request);
    let label = if error.kind == ErrorKind::LoginAlreadyFinished { &words.continue_to } else { &words.start_again_at };
    let page = ErrorPage {
        title: words.title_of(error.kind).to_owned(),
        detail: sentence(&error.detail),
        detail_is_english: words.language != Language::English && error.kind != ErrorKind::RuleDenied,
        advice: words.advice(error.kind, restart.is_some()).to_owned(),
        code: wire.code.to_owned(),
        correlation_id,
        restart: restart.map(|restart| (words.put(label, "name", &restart.application), restart.path.clone())),
        look: Arc::clone(&look),
        w: words,
    };
    html(builder, &page, &policy(&look, "", "form-action 'self'; "))
}

/// A detail as a sentence: details are written for protocol messages, without capital and full stop.
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    let Some(first) = letters.next() else { return String::new() };
    let stop = if detail.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{stop}", first.to_uppercase(), letters.as_str())
}

fn wants_json(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("json") && !accept.contains("text/html")
}

/// A heading and a sentence.
pub fn notice(request: &HttpRequest, says: impl FnOnce(&Words) -> (String, String)) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let (title, text) = says(&words);
    let policy = policy(&look, "", "form-action 'self'; ");
    html(reply::status(200), &NoticePage { w: words, look, title, text }, &policy)
}

pub fn chooser(request: &HttpRequest, chooser: &Chooser) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    // Logos stand where their owners have them.
    let policy = policy(&look, "https:", "");
    html(reply::status(200), &ChooserPage::new(words, look, chooser.clone()), &policy)
}

impl ChooserPage {
    fn new(w: Arc<Words>, look: Arc<Look>, chooser: Chooser) -> Self {
        let found = match (chooser.offers.len(), chooser.more) {
            (0, _) => &w.found_nothing,
            (1, false) => &w.found_one,
            (_, false) => &w.found_some,
            (_, true) => &w.found_more,
        };
        let (looked_for, count) = (chooser.search.as_deref().unwrap_or_default(), chooser.offers.len().to_string());
        Self {
            title: w.put(&w.choose_title, "application", &chooser.application),
            found: fill(found, &[("words", looked_for), ("count", &count)]),
            // What a login goes on with changes something here; what a discovery service answers does not.
            method: if chooser.action == "/login" { "post" } else { "get" },
            chooser,
            w,
            look,
        }
    }
}

pub fn link(request: &HttpRequest, question: &LinkQuestion) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let policy = policy(&look, "", "");
    let page = LinkPage {
        transaction_id: question.transaction_id.clone(),
        csrf: question.csrf.clone(),
        first: fill(&words.link_first, &[("application", &question.application), ("connection", &question.came_by)]),
        ways: question.ways.clone(),
        may_decline: question.may_decline,
        w: words,
        look,
    };
    html(reply::status(200), &page, &policy)
}

pub fn consent(request: &HttpRequest, question: &ConsentQuestion) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let page = ConsentPage::new(words, Arc::clone(&look), question);
    // The logo stands where its owner has it.
    let logo = page.logo.as_ref().map(|logo| logo.origin().ascii_serialization()).unwrap_or_default();
    html(reply::status(200), &page, &policy(&look, &logo, ""))
}

impl ConsentPage {
    fn new(w: Arc<Words>, look: Arc<Look>, question: &ConsentQuestion) -> Self {
        let about = &question.about;
        let named = |text: &str| w.put(text, "application", &question.application);
        let links = [(&about.policy_uri, &w.consent_policy), (&about.tos_uri, &w.consent_terms)];
        let links = links.into_iter().filter_map(|(address, label)| Some((named(label), web(address.as_deref()?, &["https", "http"])?)));
        let code = question.device.as_deref();
        let (title, first, allow, deny) = match code {
            None => (&w.consent_title, &w.consent_first, &w.consent_allow, &w.consent_deny),
            Some(_) => (&w.device_confirm, &w.device_first, &w.device_allow, &w.device_deny),
        };
        let values = [("application", question.application.as_str()), ("person", &question.person), ("code", code.unwrap_or_default())];
        let mut lines: Vec<ConsentLine> = question.scopes.iter().map(|scope| ConsentLine::of(&w, scope)).collect();
        lines.extend(question.claims.iter().map(|claim| ConsentLine::text(w.put(&w.consent_claim, "name", claim))));
        lines.extend(question.whole_profile.then(|| ConsentLine::text(w.consent_everything.to_string())));
        Self {
            title: named(title),
            warning: code.map(|_| w.device_warning.to_string()),
            first: fill(first, &values),
            lines,
            server: question.server.as_ref().map(|server| w.put(&w.consent_server, "name", server)),
            logo: about.logo_uri.as_deref().and_then(|logo| web(logo, &["https"])),
            links: links.collect(),
            transaction_id: question.transaction_id.clone(),
            csrf: question.csrf.clone(),
            allow: allow.to_string(),
            deny: deny.to_string(),
            w,
            look,
        }
    }
}

impl ConsentLine {
    fn of(w: &Words, scope: &AskedScope) -> Self {
        let standard = match scope.name.as_str() {
            "openid" => &w.consent_openid,
            "profile" => &w.consent_profile,
            "email" => &w.consent_email,
            "address" => &w.consent_address,
            "phone" => &w.consent_phone,
            "groups" => &w.consent_groups,
            "offline_access" => &w.consent_offline,
            _ => {
                return Self {
                    text: scope.description.clone().unwrap_or_else(|| scope.name.clone()),
                    is_name: scope.description.is_none(),
                };
            }
        };
        Self::text(standard.to_string())
    }

    const fn text(text: String) -> Self {
        Self { text, is_name: false }
    }
}

/// What an application says of itself is shown where it is an address of the web, and no script for instance.
fn web(text: &str, schemes: &[&str]) -> Option<Url> {
    Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host())
}

pub fn device(request: &HttpRequest, page: DevicePage) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let policy = policy(&look, "", "");
    html(reply::status(200), &DeviceCodePage { w: words, look, page }, &policy)
}

/// The end, for a person: the device learns it by itself.
pub fn device_told(request: &HttpRequest, connected: bool) -> HttpResponse {
    notice(request, |words| match connected {
        true => (words.device_done.to_string(), words.device_done_text.to_string()),
        false => (words.device_refused.to_string(), words.device_refused_text.to_string()),
    })
}

pub fn confirm_logout(request: &HttpRequest, parameters: &[(String, String)]) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let policy = policy(&look, "", "");
    html(reply::status(200), &ConfirmLogoutPage { w: words, look, parameters: parameters.to_vec() }, &policy)
}

pub fn auto_post(request: &HttpRequest, page: &AutoPost) -> HttpResponse {
    let Setting { words, look } = Setting::of(request);
    let nonce = id::random_id();
    let policy = policy(&look, "", &format!("script-src 'nonce-{nonce}'; "));
    let title = (page.title)(&words).to_owned();
    let page = AutoPostPage { title, action: page.action.clone(), fields: page.fields.clone(), nonce, w: words, look };
    html(reply::status(200), &page, &policy)
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
    use crate::broker::PasswordProblem::TooMany;
    use crate::broker::accounts::{AccountPage, SignUpProblem};
    use crate::broker::factor::{FactorAsk, FactorPage, FactorProblem};
    use crate::broker::{Offer, PasswordPage};
    use crate::connection::database::Weakness;
    use crate::http::login::{account, factor, password};
    use crate::oidc::ClientAbout;
    use crate::secret::Secret;

    const HOSTILE: &str = "\"><script>alert(1)</script><b a='";

    /// Every page with the hostile value in each field that can come from outside.
    fn hostile_pages(language: Language) -> Vec<String> {
        let pair = || vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
        let w = Arc::new(Words::of(language));
        let look = Arc::new(Look { name: HOSTILE.to_owned(), links: pair(), ..Look::default() });
        let both = || (Arc::clone(&w), Arc::clone(&look));
        let error = ErrorPage {
            w: both().0,
            look: both().1,
            title: HOSTILE.to_owned(),
            detail: HOSTILE.to_owned(),
            detail_is_english: true,
            advice: HOSTILE.to_owned(),
            code: HOSTILE.to_owned(),
            correlation_id: HOSTILE.to_owned(),
            restart: Some((w.put(&w.start_again_at, "name", HOSTILE), HOSTILE.to_owned())),
        };
        let auto = AutoPostPage {
            w: both().0,
            look: both().1,
            title: "x".to_owned(),
            action: HOSTILE.to_owned(),
            fields: pair(),
            nonce: "n".to_owned(),
        };
        [
            error.render(),
            NoticePage { w: both().0, look: both().1, title: HOSTILE.to_owned(), text: HOSTILE.to_owned() }.render(),
            ChooserPage::new(both().0, both().1, hostile_chooser()).render(),
            LinkPage {
                w: both().0,
                look: both().1,
                transaction_id: HOSTILE.to_owned(),
                csrf: HOSTILE.to_owned(),
                first: fill(&w.link_first, &[("application", HOSTILE), ("connection", HOSTILE)]),
                ways: pair(),
                may_decline: true,
            }
            .render(),
            ConsentPage::new(both().0, both().1, &hostile_question(None)).render(),
            ConsentPage::new(both().0, both().1, &hostile_question(Some(HOSTILE.to_owned()))).render(),
            DeviceCodePage { w: both().0, look: both().1, page: hostile_device() }.render(),
            password::Page::new(both().0, both().1, hostile_password()).render(),
            factor::Page::new(both().0, both().1, hostile_factor(0)).render(),
            factor::Page::new(both().0, both().1, hostile_factor(1)).render(),
            factor::Page::new(both().0, both().1, hostile_factor(2)).render(),
            account::Page::sign_up(both().0, both().1, &hostile_account()).render(),
            account::Page::reset(both().0, both().1, &hostile_account()).render(),
            account::Page::verify(both().0, both().1, HOSTILE, hostile_proof(false)).render(),
            account::Page::verify(both().0, both().1, HOSTILE, hostile_proof(true)).render(),
            account::Page::new_password(both().0, both().1, HOSTILE, (HOSTILE, 8, Some(Weakness::Common))).render(),
            ConfirmLogoutPage { w: both().0, look: both().1, parameters: pair() }.render(),
            auto.render(),
        ]
        .into_iter()
        .map(|page| page.expect("renders"))
        .collect()
    }

    fn hostile_chooser() -> Chooser {
        let text = || Some(HOSTILE.to_owned());
        let offer = Offer { value: HOSTILE.to_owned(), name: HOSTILE.to_owned(), logo: text(), icon: None, detail: text() };
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

    fn hostile_device() -> DevicePage {
        DevicePage { csrf: HOSTILE.to_owned(), user_code: HOSTILE.to_owned(), unknown: true }
    }

    fn hostile_account() -> AccountPage {
        let text = || HOSTILE.to_owned();
        AccountPage {
            transaction_id: text(),
            csrf: text(),
            connection: text(),
            email: text(),
            username: text(),
            usernames: true,
            shortest: 8,
            problem: Some(SignUpProblem::UsernameTaken),
        }
    }

    fn hostile_proof(asks_password: bool) -> account::Proof<'static> {
        account::Proof {
            email: HOSTILE,
            connection: HOSTILE,
            asks_password,
            resets: asks_password,
            problem: asks_password.then_some(TooMany(60)),
        }
    }

    fn hostile_password() -> PasswordPage {
        let text = || HOSTILE.to_owned();
        PasswordPage {
            transaction_id: text(),
            csrf: text(),
            application: text(),
            connection: text(),
            name: text(),
            may_enrol: true,
            problem: Some(TooMany(61)),
            sign_up: true,
            reset: true,
            ..PasswordPage::default()
        }
    }

    fn hostile_factor(number: usize) -> FactorPage {
        let (text, secret) = (|| HOSTILE.to_owned(), || Secret::new(HOSTILE.to_owned()));
        let (ask, problem) = match number {
            0 => (FactorAsk::Code, FactorProblem::Wrong),
            1 => (FactorAsk::Enrol { secret: secret(), address: secret() }, FactorProblem::TooMany(61)),
            _ => (FactorAsk::Keep { codes: vec![secret()] }, FactorProblem::Used),
        };
        FactorPage { transaction_id: text(), csrf: text(), application: text(), connection: text(), ask, problem: Some(problem) }
    }

    fn hostile_question(device: Option<String>) -> ConsentQuestion {
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
            device,
        }
    }

    #[test]
    fn consent_shows_addresses_of_the_web_only_and_a_logo_from_its_own_place() {
        let request = actix_web::test::TestRequest::default().to_http_request();
        let show = |logo: &str, policy: &str| {
            let about = ClientAbout { logo_uri: Some(logo.into()), policy_uri: Some(policy.into()), ..ClientAbout::default() };
            let question = ConsentQuestion { about, ..ConsentQuestion::default() };
            let response = consent(&request, &question);
            let header = response.headers().get(CONTENT_SECURITY_POLICY).expect("a policy").to_str().expect("text").to_owned();
            let words = Arc::new(Words::of(Language::English));
            (ConsentPage::new(words, Arc::default(), &question).render().expect("renders"), header)
        };
        let (page, policy) = show("https://cdn.example:8443/a;b/logo.png", "https://games.example/privacy");
        assert!(page.contains("src=\"https://cdn.example:8443/a;b/logo.png\"") && page.contains("href=\"https://games.example/privacy\""));
        assert!(policy.contains(" img-src https://cdn.example:8443; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let (page, policy) = show("http://cdn.example/logo.png", "javascript:alert(1)");
        assert!(!page.contains("<img") && !page.contains("<a ") && !policy.contains("img-src"), "{page}");
    }

    #[test]
    fn hostile_values_come_out_escaped() {
        let operators = [TracePage::sample(HOSTILE).render(), RecentPage::sample(HOSTILE).render()];
        let operators = operators.into_iter().map(|page| page.expect("renders"));
        for page in Language::ALL.into_iter().flat_map(hostile_pages).chain(operators) {
            assert!(!page.contains("<script>alert"), "{page}");
            assert!(!page.contains(HOSTILE), "{page}");
            assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"), "{page}");
        }
    }

    #[test]
    fn pages_say_in_which_language_they_are_and_nothing_in_another() {
        for language in Language::ALL {
            for page in hostile_pages(language) {
                assert!(page.contains(&format!("<html lang=\"{}\" dir=\"{}\">", language.tag(), language.direction())), "{page}");
                assert!(!page.contains("{application}") && !page.contains("{name}") && !page.contains("{words}"), "{page}");
                let ours: Vec<String> =
                    Words::KEYS.iter().filter_map(|key| Words::of(Language::English).text(key).map(str::to_owned)).collect();
                let theirs = Words::of(language);
                let left = texts(&page)
                    .into_iter()
                    .find(|text| ours.contains(text) && !Words::KEYS.iter().any(|key| theirs.text(key) == Some(text)));
                assert!(left.is_none(), "{language:?}: {left:?}");
            }
        }
    }

    /// What stands between tags.
    fn texts(page: &str) -> Vec<String> {
        page.split('<').filter_map(|part| Some(part.split_once('>')?.1.trim().to_owned())).filter(|text| !text.is_empty()).collect()
    }
}
