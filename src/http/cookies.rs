//! The two cookies: one that binds a login to the browser which began it, one that carries the session. A third one
//! remembers which identity providers the person picked.
//!
//! Over https both are `__Host-`, HttpOnly and Secure. The binding cookie is SameSite=None there, because the
//! identity provider's answer is a cross-site POST; the session cookie is Lax. On plain http (a loopback
//! address, for development) browsers refuse SameSite=None, so both are Lax, and the assertion consumer
//! service has the browser post the answer once more from our own page.

use super::words::Language;
use crate::broker::choose::{Pick, REMEMBERED};
use crate::broker::{Browser, CookieChange};
use crate::id;
use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{ACCEPT_LANGUAGE, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

/// What the browser sent. Values that cannot be ours are ignored.
pub fn read(request: &HttpRequest, secure: bool) -> Browser {
    let value = |name: &str| all(request.headers(), name).find(|value| is_ours(value)).map(str::to_owned);
    Browser {
        binding: value(binding_name(secure)),
        session: value(session_name(secure)),
        caller: None,
        remembered: all(request.headers(), choice_name(secure)).find_map(picks).unwrap_or_default(),
        language: preferred_language(request),
    }
}

/// The identity providers that this browser picked. Nothing here is believed: what is offered is looked up again.
fn picks(value: &str) -> Option<Vec<Pick>> {
    let texts = value.split('.').take(REMEMBERED).map(|text| id::from_base64url(text).and_then(|text| String::from_utf8(text).ok()));
    texts.map(|text| text.map(|text| Pick::parse(&text))).collect()
}

/// Remembers what was picked, for the next time: a convenience, worth nothing to anybody else.
pub fn remember(headers: &mut HeaderMap, secure: bool, pick: &Pick, before: &[Pick]) {
    let others = before.iter().filter(|known| *known != pick);
    let kept: Vec<String> =
        std::iter::once(pick).chain(others).take(REMEMBERED).map(|pick| id::base64url(pick.text().as_bytes())).collect();
    let value = kept.join(".");
    if value.len() > CHOICE_LIMIT {
        return;
    }
    write_choice(headers, secure, value, Duration::days(180));
}

/// The browser remembers no identity providers any more.
pub fn forget(headers: &mut HeaderMap, secure: bool) {
    write_choice(headers, secure, String::new(), Duration::ZERO);
}

fn write_choice(headers: &mut HeaderMap, secure: bool, value: String, max_age: Duration) {
    let mut cookie = Cookie::new(choice_name(secure), value);
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_secure(secure);
    cookie.set_same_site(SameSite::Lax);
    cookie.set_max_age(max_age);
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        headers.append(SET_COOKIE, value);
    }
}

/// The first language of Accept-Language (RFC 9110 12.5.4), without its region.
fn preferred_language(request: &HttpRequest) -> Option<String> {
    let header = request.headers().get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    let first = header.split([',', ';']).next()?.trim().split('-').next()?.to_ascii_lowercase();
    ((2..=3).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_lowercase())).then_some(first)
}

/// Characters of the cookie with the picked identity providers.
const CHOICE_LIMIT: usize = 3000;

/// Every value under a name. Read here, cookie by cookie: what a neighbour in the same domain sets, be it no text at
/// all, must not hide ours.
fn all<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = headers.get_all(COOKIE).flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='))
        .filter(move |(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The form of [`crate::id::random_token`].
fn is_ours(value: &str) -> bool {
    value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Writes the changes into the answer's headers.
pub fn write(headers: &mut HeaderMap, secure: bool, binding: &CookieChange, session: &CookieChange) {
    let cross_site = if secure { SameSite::None } else { SameSite::Lax };
    append(headers, binding_name(secure), binding, secure, cross_site);
    append(headers, session_name(secure), session, secure, SameSite::Lax);
}

fn append(headers: &mut HeaderMap, name: &'static str, change: &CookieChange, secure: bool, same_site: SameSite) {
    let mut cookie = match change {
        CookieChange::Keep => return,
        CookieChange::Set(value) => Cookie::new(name, value.as_str()),
        CookieChange::Clear => Cookie::build(name, "").max_age(Duration::ZERO).finish(),
    };
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_secure(secure);
    cookie.set_same_site(same_site);
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        headers.append(SET_COOKIE, value);
    }
}

/// What the frame of Session Management reads: by script, and as part of other sites' pages.
pub fn write_browser_state(headers: &mut HeaderMap, secure: bool, value: &str, seconds: u64) {
    let mut cookie = Cookie::new(browser_state_name(secure), value);
    cookie.set_path("/");
    cookie.set_secure(secure);
    cookie.set_same_site(if secure { SameSite::None } else { SameSite::Lax });
    // An empty one is that of nobody. It ends with the session.
    let seconds = if value.is_empty() { 0 } else { i64::try_from(seconds).unwrap_or(i64::MAX) };
    cookie.set_max_age(Duration::seconds(seconds));
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        headers.append(SET_COOKIE, value);
    }
}

/// The browser state that was sent.
pub fn browser_state(request: &HttpRequest, secure: bool) -> Option<String> {
    let is_ours = |value: &&str| value.len() <= 128 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    all(request.headers(), browser_state_name(secure)).find(is_ours).map(str::to_owned)
}

/// The language that an application asked for at the beginning of this login.
pub fn language(headers: &HeaderMap) -> Option<Language> {
    [true, false].into_iter().find_map(|secure| Language::of_tags(all(headers, language_name(secure))))
}

/// Remembers it for the pages to come.
pub fn write_language(headers: &mut HeaderMap, secure: bool, language: Language) {
    let mut cookie = Cookie::new(language_name(secure), language.tag());
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_secure(secure);
    cookie.set_same_site(if secure { SameSite::None } else { SameSite::Lax });
    cookie.set_max_age(Duration::minutes(15));
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        headers.append(SET_COOKIE, value);
    }
}

const fn language_name(secure: bool) -> &'static str {
    if secure { "__Host-isthmus-language" } else { "isthmus-language" }
}

pub const fn browser_state_name(secure: bool) -> &'static str {
    if secure { "__Host-isthmus-state" } else { "isthmus-state" }
}

const fn binding_name(secure: bool) -> &'static str {
    if secure { "__Host-isthmus-login" } else { "isthmus-login" }
}

const fn choice_name(secure: bool) -> &'static str {
    if secure { "__Host-isthmus-choice" } else { "isthmus-choice" }
}

const fn session_name(secure: bool) -> &'static str {
    if secure { "__Host-isthmus-session" } else { "isthmus-session" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_neighbours_cookies_do_not_hide_ours() {
        let ours = id::random_token();
        let header = [b"foo; caf\xe9=\xff; isthmus-login=short; x=%ff; isthmus-login=".as_slice(), ours.as_bytes(), b"; =; ;"].concat();
        let request = TestRequest::default().insert_header((COOKIE, HeaderValue::from_bytes(&header).expect("a header"))).to_http_request();
        assert_eq!(read(&request, false).binding.as_deref(), Some(ours.as_str()));
        assert!(read(&request, true).binding.is_none(), "the names differ");
        assert!(read(&request, false).session.is_none());
    }
}
