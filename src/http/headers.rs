//! What every answer carries: a correlation id, security headers, a log line.

use super::state::State;
use super::{pages, reply, routes};
use crate::broker::events::Caller;
use crate::error::{Error, ErrorKind};
use crate::id;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    USER_AGENT, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

/// The header that names the login in every answer.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// The id under which everything about a request is found. It begins as the request's own; a request that
/// turns out to belong to a login takes over the login's.
#[derive(Clone)]
pub struct Correlation(Rc<RefCell<String>>);

impl Correlation {
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(Self::new)
    }

    fn new() -> Self {
        Self(Rc::new(RefCell::new(id::correlation_id())))
    }

    pub fn get(&self) -> String {
        self.0.borrow().clone()
    }

    pub fn join(&self, login: Option<&str>) {
        if let Some(login) = login {
            login.clone_into(&mut self.0.borrow_mut());
        }
    }
}

/// The outermost layer of both listeners.
pub async fn wrap<B: MessageBody>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let started = Instant::now();
    let correlation = Correlation::new();
    request.extensions_mut().insert(correlation.clone());
    let method = request.method().clone();
    let client = client_address(request.request(), &state);
    let mut response = caller(&request, client).during(next.call(request)).await?;
    let route = response.request().match_pattern().unwrap_or_else(|| "(none)".to_owned());
    let status = response.status().as_u16();
    let correlation_id = correlation.get();
    let secure = state.settings.secure;
    decorate(response.headers_mut(), &correlation_id, secure);
    state.metrics.requests.with_label_values(&[route.as_str(), status_text(status)]).inc();
    tracing::info!(
        correlation_id,
        method = method.as_str(),
        route,
        status,
        client = client.map(tracing::field::display),
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "answered"
    );
    Ok(response)
}

/// Who asks, for the log.
fn caller(request: &ServiceRequest, client: Option<IpAddr>) -> Caller {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Caller { ip: client.map(|address| address.to_string()), user_agent: header(USER_AGENT), hostname: header(HOST) }
}

/// `2xx` and so on: few label values, whatever is asked.
const fn status_text(status: u16) -> &'static str {
    match status {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

fn decorate(headers: &mut HeaderMap, correlation_id: &str, secure: bool) {
    let mut add = |name: HeaderName, value: HeaderValue| {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    };
    if let Ok(value) = HeaderValue::from_str(correlation_id) {
        add(CORRELATION_ID, value);
    }
    add(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    add(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    add(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Pages that need more say so themselves.
    add(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    add(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if secure {
        add(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    }
}

/// The client's address: the peer's, or behind a trusted proxy the last address that no trusted proxy has.
pub fn client_address(request: &HttpRequest, state: &State) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let trusted = |address: &IpAddr| state.settings.trusted_proxies.iter().any(|network| network.contains(address));
    if !trusted(&peer) {
        return Some(peer);
    }
    // A proxy may append to the header, or add one of its own after the client's: all of them are one list.
    let all: Vec<&str> = request.headers().get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or_default()).collect();
    let mut addresses = all.iter().rev().flat_map(|header| header.rsplit(',')).map_while(|part| part.trim().parse().ok());
    addresses.find(|address| !trusted(address)).or(Some(peer))
}

/// Nothing is at this path, or not by this method. Programs' endpoints answer programs.
pub async fn nothing_here(request: HttpRequest) -> HttpResponse {
    let known = request.resource_map().has_resource(request.path());
    let error = if known {
        Error::new(ErrorKind::MethodNotAllowed, "this address does not take this method")
    } else {
        Error::new(ErrorKind::NotFound, "there is nothing at this address")
    };
    let for_programs = request.path().starts_with("/oauth/") || request.path() == "/userinfo";
    let mut response = if for_programs { reply::oauth_error(&request, &error) } else { pages::error(&request, &error, None) };
    if known {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(routes::allowed(request.path())));
    }
    response
}
