//! How often one address may ask the public listener: one meter for what people's browsers do, one for what programs do.
//!
//! Everything is counted but documents that lie ready and the management API, which counts by client. The address is the one
//! that [`client_address`] finds.

use super::headers::client_address;
use super::state::State;
use super::{op, pages, reply, soap_reply};
use crate::broker::limits::{Meter, Pace, network, seconds};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, web};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// What one address may do.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// `None`: as often as it likes.
    pub people: Option<Pace>,
    pub programs: Option<Pace>,
    /// Of a client from one network.
    pub failures: Option<Pace>,
    /// Of a person's password from one network.
    pub passwords: Option<Pace>,
    /// Whose requests are not counted.
    pub exempt: Vec<IpNet>,
}

impl Default for LimitSettings {
    /// What a lecture hall or a company behind one address needs when everybody comes at once. This machine itself is not
    /// counted: a proxy on it that nobody has told us to trust would share one count among all people.
    fn default() -> Self {
        Self {
            people: Some(Pace { times: 100, seconds: 1, burst: 2000 }),
            programs: Some(Pace { times: 500, seconds: 1, burst: 5000 }),
            failures: Some(Pace { times: 100, seconds: 60, burst: 100 }),
            passwords: Some(Pace { times: 10, seconds: 600, burst: 10 }),
            exempt: ["127.0.0.0/8", "::1/128"].into_iter().filter_map(|network| network.parse().ok()).collect(),
        }
    }
}

/// Seconds between two lines of the log about it.
const TELL: i64 = 60;

/// The meters of a node.
#[derive(Debug)]
pub struct Limiter {
    people: Option<Meter>,
    programs: Option<Meter>,
    exempt: Vec<IpNet>,
    told_at: AtomicI64,
}

impl Limiter {
    pub fn new(settings: &LimitSettings) -> Self {
        Self {
            people: settings.people.map(Meter::new),
            programs: settings.programs.map(Meter::new),
            exempt: settings.exempt.clone(),
            told_at: AtomicI64::new(i64::MIN),
        }
    }

    /// How long the address has to wait, if it asks too often.
    fn refuses(&self, of: Of, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let address = address.to_canonical();
        let meter = match of {
            Of::Nobody => return None,
            Of::People => self.people.as_ref()?,
            Of::Programs => self.programs.as_ref()?,
        };
        if self.exempt.iter().any(|network| network.contains(&address)) {
            return None;
        }
        let wait = meter.take(&network(address), now).err()?;
        self.tell(address, now);
        Some(wait)
    }

    /// Once in a while: an attack must not fill the log, and a proxy that nobody has named is found soon.
    fn tell(&self, address: IpAddr, now: Timestamp) {
        let (now, told_at) = (now.seconds(), self.told_at.load(Ordering::Relaxed));
        let is_first = now.saturating_sub(told_at) >= TELL
            && self.told_at.compare_exchange(told_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_first {
            tracing::warn!(%address, "an address asks too often and is refused; if it is a proxy of yours, name it in trusted_proxies");
        }
    }
}

/// Whose meter a request is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Nobody,
    People,
    Programs,
}

/// By the path as it was sent: whoever writes one of ours in another way is counted all the same.
fn counted(method: &Method, path: &str) -> Of {
    match path {
        "/favicon.ico" | "/oidc/session" => Of::Nobody,
        _ if path.starts_with("/assets/") || path.starts_with("/.well-known/") || path.starts_with("/api/v2/") => Of::Nobody,
        _ if *method == Method::OPTIONS => Of::Nobody,
        _ if is_for_programs(path) || path.ends_with("/artifact") => Of::Programs,
        _ => Of::People,
    }
}

/// These speak JSON.
fn is_for_programs(path: &str) -> bool {
    path.starts_with("/oauth/") || path.starts_with("/oidc/register") || path == "/userinfo" || path == "/tokeninfo"
}

/// The layer of the public listener that refuses who asks too often, before anything is read.
pub async fn wrap<B: MessageBody>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let of = counted(request.method(), request.path());
    let address = if of == Of::Nobody { None } else { client_address(request.request(), &state) };
    let refused = address.and_then(|address| state.limiter.refuses(of, address, Timestamp::now()));
    match refused {
        None => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Some(wait) => {
            let response = refuse(request.request(), wait);
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

/// 429, in the words of the endpoint.
fn refuse(request: &HttpRequest, wait: Duration) -> HttpResponse {
    let error = Error::new(ErrorKind::TooManyRequests, "Too many requests have come from your network. Wait a moment, and try again.");
    let path = request.path();
    let speaks_soap = |request: &HttpRequest| {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        path.ends_with("/artifact") || kind.starts_with("text/xml")
    };
    let mut response = if is_for_programs(path) {
        op::readable_by_scripts(reply::oauth_error(request, &error))
    } else if speaks_soap(request) {
        soap_reply::failed(request, &error)
    } else {
        pages::error(request, &error, None)
    };
    // Of a fault in SOAP too.
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(wait).max(1)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_ready_is_not_counted_and_all_else_is() {
        for path in ["/favicon.ico", "/assets/page.css", "/.well-known/jwks.json", "/api/v2/users"] {
            assert_eq!(counted(&Method::GET, path), Of::Nobody, "{path}");
        }
        for path in ["/oauth/token", "/oauth/par", "/userinfo", "/oidc/register", "/oidc/register/x", "/samlp/notes/artifact"] {
            assert_eq!(counted(&Method::POST, path), Of::Programs, "{path}");
        }
        for path in ["/authorize", "/login", "/saml/sso", "/connections/acme/acs", "/oidc/logout", "/", "/nothing", "/oauth%2ftoken", "//"]
        {
            assert_eq!(counted(&Method::POST, path), Of::People, "{path}");
        }
        assert_eq!(counted(&Method::OPTIONS, "/oauth/token"), Of::Nobody);
    }

    #[test]
    fn an_address_is_counted_by_its_network_and_this_machine_not_at_all() {
        let pace = Some(Pace { times: 1, seconds: 60, burst: 1 });
        let limiter = Limiter::new(&LimitSettings { people: pace, programs: pace, ..LimitSettings::default() });
        let now = Timestamp::from_seconds(1_800_000_000);
        let refuses = |of, address: &str| limiter.refuses(of, address.parse().expect("an address"), now).is_some();
        assert_eq!([refuses(Of::People, "192.0.2.1"), refuses(Of::People, "::ffff:192.0.2.1")], [false, true]);
        assert!(!refuses(Of::Programs, "192.0.2.1"), "another meter");
        assert_eq!([refuses(Of::People, "2001:db8::1"), refuses(Of::People, "2001:db8::ffff")], [false, true]);
        assert!(!refuses(Of::People, "2001:db8:0:1::1"));
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.2"] {
            assert!((0..3).all(|_| !refuses(Of::People, here)), "{here}");
        }
    }
}
