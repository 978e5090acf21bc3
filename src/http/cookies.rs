//! The two cookies: one that binds a login to the browser which began it, one that carries the session.
//!
//! Over https both are `__Host-`, HttpOnly and Secure. The binding cookie is SameSite=None there, because the
//! identity provider's answer is a cross-site POST; the session cookie is Lax. On plain http (a loopback
//! address, for development) browsers refuse SameSite=None, so both are Lax, and the assertion consumer
//! service has the browser post the answer once more from our own page.

use crate::broker::{Browser, CookieChange};
use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{HeaderMap, HeaderValue, SET_COOKIE};

/// What the browser sent. Values that cannot be ours are ignored.
pub fn read(request: &HttpRequest, secure: bool) -> Browser {
    let value = |name: &str| {
        let cookie = request.cookie(name)?;
        let value = cookie.value();
        (value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'))
            .then(|| value.to_owned())
    };
    Browser { binding: value(binding_name(secure)), session: value(session_name(secure)) }
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

const fn binding_name(secure: bool) -> &'static str {
    if secure { "__Host-isthmus-login" } else { "isthmus-login" }
}

const fn session_name(secure: bool) -> &'static str {
    if secure { "__Host-isthmus-session" } else { "isthmus-session" }
}
