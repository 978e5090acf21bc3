//! Who asks, for rules and actions: read only where there are any.

use super::headers::client_address;
use super::state::State;
use crate::broker::rules::Caller;
use crate::rules::Trigger;
use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use std::sync::Arc;

/// Characters of a header that a script gets to see at most.
const LONGEST: usize = 500;

/// The request as scripts see it; `None` where there is no script.
pub fn read(request: &HttpRequest, state: &State) -> Option<Arc<Caller>> {
    let scripts = Arc::clone(&state.gateway().scripts);
    if !scripts.has_login() && scripts.actions(Trigger::CredentialsExchange).is_empty() {
        return None;
    }
    let header = |name: &str| {
        let value = request.headers().get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.chars().take(LONGEST).collect::<String>())
    };
    // Anybody can send the header; only a proxy that is trusted says where people are.
    let trusted = request.peer_addr().is_some_and(|peer| state.settings.trusted_proxies.iter().any(|network| network.contains(&peer.ip())));
    let country = state.settings.country_header.as_deref().filter(|_| trusted).and_then(header);
    Some(Arc::new(Caller {
        ip: client_address(request, state),
        user_agent: header(USER_AGENT.as_str()),
        language: header(ACCEPT_LANGUAGE.as_str()),
        method: request.method().to_string(),
        country: country
            .filter(|code| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()))
            .map(|code| code.to_ascii_uppercase()),
    }))
}
