//! Where the answer goes: an address that was matched against the client's registration, and in which form.

use super::client_id;
use super::response::{AuthorizationResponse, authorization_response, description};
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::client::ClientFacts;
use crate::oidc::names::{ApplicationType, ResponseMode, ResponseType};
use crate::oidc::opaque::{AccessToken, AuthorizationCode};
use crate::oidc::params::Params;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};

/// The right to send the browser back to an application. Exists only for a registered redirect URI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedRedirect {
    client_id: String,
    redirect_uri: String,
    mode: ResponseMode,
    state: Option<String>,
}

impl CheckedRedirect {
    /// Stage one: the client is known and the redirect URI is one of its own.
    ///
    /// # Errors
    /// For our own page; never by redirect (RFC 6749 4.1.2.1).
    pub fn identify(params: &Params, client: Option<&ClientFacts>) -> Result<Self> {
        let asked = client_id(params)?;
        // RFC 6749 3.1.2.4: an unknown client is answered on our page.
        let client = client
            .filter(|client| client.client_id == asked)
            .ok_or_else(|| Error::new(ErrorKind::InvalidClient, "this client is not registered"))?;
        // Core 3.1.2.1: redirect_uri is required, also when only one is registered.
        let redirect_uri = params.require("redirect_uri")?;
        if !is_registered_redirect(redirect_uri, client) {
            return Err(Error::new(ErrorKind::InvalidRedirectUri, "the redirect_uri is not registered for this client"));
        }
        Ok(Self {
            client_id: client.client_id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            mode: answer_mode(params),
            state: params.text("state"),
        })
    }

    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    pub const fn mode(&self) -> ResponseMode {
        self.mode
    }

    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The successful answer (RFC 6749 4.1.2 and 4.2.2, Core 3.2.2.5 and 3.3.2.5).
    pub fn success(&self, issuer: &str, given: &Success<'_>) -> AuthorizationResponse {
        let mut params = Vec::new();
        if let Some(code) = given.code {
            params.push(("code", code.expose().to_owned()));
        }
        if let Some((token, expires_in)) = given.access_token {
            params.push(("access_token", token.expose().to_owned()));
            params.push(("token_type", "Bearer".to_owned()));
            params.push(("expires_in", expires_in.to_string()));
            params.push(("scope", given.scopes.to_owned()));
        }
        if let Some(id_token) = given.id_token {
            params.push(("id_token", id_token.expose().clone()));
        }
        params.retain(|(_, value)| !value.is_empty());
        self.answer(issuer, params)
    }

    /// The answer that reports `error`.
    pub fn error(&self, issuer: &str, error: &Error) -> AuthorizationResponse {
        self.answer(issuer, vec![("error", error.kind.wire().oauth.to_owned()), ("error_description", description(&error.detail))])
    }

    fn answer(&self, issuer: &str, mut params: Vec<(&'static str, String)>) -> AuthorizationResponse {
        if let Some(state) = &self.state {
            params.push(("state", state.clone()));
        }
        // RFC 9207 2: iss in every response, errors included.
        params.push(("iss", issuer.to_owned()));
        authorization_response(&self.redirect_uri, self.mode, params)
    }
}

/// What a successful answer carries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Success<'a> {
    pub code: Option<&'a AuthorizationCode>,
    /// With the seconds that it lives.
    pub access_token: Option<(&'a AccessToken, u32)>,
    /// What was granted; told with an access token.
    pub scopes: &'a str,
    pub id_token: Option<&'a Secret<String>>,
}

/// RFC 9700 2.1: exact string comparison; only the port of a native application's loopback address is free.
fn is_registered_redirect(asked: &str, client: &ClientFacts) -> bool {
    // RFC 6749 3.1.2: no fragment.
    if asked.contains('#') {
        return false;
    }
    client.redirect_uris.iter().any(|registered| {
        registered == asked || (client.application_type == ApplicationType::Native && same_but_for_loopback_port(registered, asked))
    })
}

/// RFC 8252 7.3: the port of an `http` loopback IP address may be any.
fn same_but_for_loopback_port(registered: &str, asked: &str) -> bool {
    match (without_loopback_port(registered), without_loopback_port(asked)) {
        (Some(registered), Some(asked)) => registered == asked,
        _ => false,
    }
}

/// Splits `http://127.0.0.1:port/path` or `http://[::1]:port/path` into what stands before and after the port.
fn without_loopback_port(uri: &str) -> Option<(&'static str, &str)> {
    let (host, rest) = ["http://127.0.0.1", "http://[::1]"].into_iter().find_map(|host| Some((host, uri.strip_prefix(host)?)))?;
    let path = match rest.strip_prefix(':') {
        None => rest,
        Some(after) => {
            let path = after.trim_start_matches(|c: char| c.is_ascii_digit());
            let port = after.strip_suffix(path)?;
            port.parse::<u16>().ok().filter(|port| *port > 0)?;
            path
        }
    };
    // Nothing else may follow the authority: no user information, no longer host name.
    (path.is_empty() || path.starts_with(['/', '?'])).then_some((host, path))
}

/// The mode for answers: the asked one when it can be used, else the default of the response type.
fn answer_mode(params: &Params) -> ResponseMode {
    let response_type = params.get("response_type").and_then(ResponseType::parse);
    let default = response_type.map_or(ResponseMode::Query, ResponseType::default_mode);
    match params.get("response_mode").and_then(ResponseMode::from_wire) {
        // Multiple Response Types 3.0: no query for what carries tokens, nor for its errors.
        Some(ResponseMode::Query) | None => default,
        Some(mode) => mode,
    }
}
