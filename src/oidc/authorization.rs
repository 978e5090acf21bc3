//! The authorization endpoint's request and response, without what happens between them.
//!
//! A request is read in two stages. [`CheckedRedirect::identify`] proves the client and the redirect URI; until
//! then an error goes to our own page. [`AuthorizationRequest::parse`] reads the rest; from there on an error goes
//! to the application through the [`CheckedRedirect`], the only value from which an answer can be made.
//! Finding the client and deciding what to do with the request live elsewhere.

use super::client::ClientFacts;
use super::names::{ApplicationType, Display, GrantType, Prompts, ResponseMode, ResponseType};
use super::opaque::AuthorizationCode;
use super::params::Params;
use super::pkce::CodeChallenge;
use super::scope::{OPENID, Scopes};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::form_urlencoded;

/// The client that the request names, still unproven: for looking up its facts.
pub fn client_id(params: &Params) -> Result<&str> {
    params.require("client_id")
}

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

    /// The successful answer of the code flow.
    pub fn success(&self, issuer: &str, code: &AuthorizationCode) -> AuthorizationResponse {
        self.answer(issuer, vec![("code", code.expose().to_owned())])
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

/// What the browser is told to do with the answer.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthorizationResponse {
    Redirect(String),
    /// OAuth 2.0 Form Post Response Mode: a page that posts `fields` to `action`.
    FormPost {
        action: String,
        fields: Vec<(&'static str, String)>,
    },
}

/// Codes do not print.
impl std::fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Redirect(_) => "Redirect(..)",
            Self::FormPost { .. } => "FormPost(..)",
        })
    }
}

/// Puts response parameters where the mode wants them. The redirect URI itself is kept octet by octet.
pub fn authorization_response(redirect_uri: &str, mode: ResponseMode, params: Vec<(&'static str, String)>) -> AuthorizationResponse {
    let encoded = || form_urlencoded::Serializer::new(String::new()).extend_pairs(&params).finish();
    match mode {
        // RFC 6749 3.1.2: a query of the redirect URI is retained.
        ResponseMode::Query => {
            let separator = match redirect_uri.split_once('?') {
                None => "?",
                Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
                Some(_) => "&",
            };
            AuthorizationResponse::Redirect(format!("{redirect_uri}{separator}{}", encoded()))
        }
        ResponseMode::Fragment => AuthorizationResponse::Redirect(format!("{redirect_uri}#{}", encoded())),
        ResponseMode::FormPost => AuthorizationResponse::FormPost { action: redirect_uri.to_owned(), fields: params },
    }
}

/// A request that an application may make, with everything later steps need.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub redirect: CheckedRedirect,
    pub response_type: ResponseType,
    /// Those of the asked scopes that the client may have.
    pub scopes: Scopes,
    pub nonce: Option<String>,
    pub prompts: Prompts,
    /// Seconds.
    pub max_age: Option<u32>,
    pub login_hint: Option<String>,
    /// Still to be verified; never stored.
    #[serde(skip)]
    pub id_token_hint: Option<Secret<String>>,
    pub acr_values: Vec<String>,
    pub ui_locales: Vec<String>,
    pub display: Option<Display>,
    pub claims: ClaimsRequest,
    pub code_challenge: Option<CodeChallenge>,
    /// The connection that the application wants (not from a standard; the name is Auth0's).
    pub connection: Option<String>,
}

/// Core 5.5. Read, and not yet acted upon; discovery says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    #[serde(default)]
    pub id_token: Map<String, Value>,
    #[serde(default)]
    pub userinfo: Map<String, Value>,
}

impl AuthorizationRequest {
    /// Stage two: everything but the client and the redirect URI.
    ///
    /// # Errors
    /// For the application, by [`CheckedRedirect::error`].
    pub fn parse(params: &Params, client: &ClientFacts, redirect: &CheckedRedirect) -> Result<Self> {
        // 1. RFC 6749 3.1: no parameter more than once.
        params.refuse_repeats()?;
        // 2. Core 6 and 7.2.1: what could replace or extend the other parameters is not supported yet.
        refuse_unsupported(params)?;
        // 3. RFC 6749 3.1.1: what is asked for.
        let response_type = response_type(params, client)?;
        // 4. Multiple Response Types 2.1: how it is to be answered.
        response_mode(params)?;
        // 5. RFC 6749 3.3.
        let scopes = Scopes::parse(params.get("scope").unwrap_or_default())?;
        // 6. RFC 7636 4.4.1.
        let code_challenge = code_challenge(params, client)?;
        // 7. Core 3.1.2.1.
        let prompts = Prompts::parse(params.get("prompt").unwrap_or_default())?;
        let max_age = params.get("max_age").map(max_age).transpose()?;
        let claims = params.get("claims").map(claims_request).transpose()?.unwrap_or_default();
        Ok(Self {
            redirect: redirect.clone(),
            response_type,
            scopes: scopes.allowed_for(client),
            nonce: params.text("nonce"),
            prompts,
            max_age,
            login_hint: params.text("login_hint"),
            id_token_hint: params.text("id_token_hint").map(Secret::new),
            acr_values: params.words("acr_values"),
            ui_locales: params.words("ui_locales"),
            // Core 3.1.2.1 names no error for a display that is not known.
            display: params.get("display").and_then(Display::from_wire),
            claims,
            code_challenge,
            connection: params.text("connection"),
        })
    }

    /// Core 3.1.2.1: without the openid scope this is plain OAuth 2.0, and there is no ID token.
    pub fn wants_id_token(&self) -> bool {
        self.scopes.contains(OPENID)
    }
}

/// A text fit for `error_description` (RFC 6749 4.1.2.1: `%x20-21 / %x23-5B / %x5D-7E`).
pub fn description(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
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
        // Multiple Response Types 3.0: no query for what carries tokens.
        Some(ResponseMode::Query) | None => default,
        Some(mode) => mode,
    }
}

fn refuse_unsupported(params: &Params) -> Result<()> {
    const UNSUPPORTED: [(&str, ErrorKind); 3] = [
        ("request", ErrorKind::RequestNotSupported),
        ("request_uri", ErrorKind::RequestUriNotSupported),
        ("registration", ErrorKind::RegistrationNotSupported),
    ];
    match UNSUPPORTED.into_iter().find(|(name, _)| params.get(name).is_some()) {
        None => Ok(()),
        Some((name, kind)) => Err(Error::new(kind, format!("the parameter {name} is not supported"))),
    }
}

fn response_type(params: &Params, client: &ClientFacts) -> Result<ResponseType> {
    let response_type = ResponseType::parse(params.require("response_type")?)
        .filter(|asked| ResponseType::SERVED.contains(asked))
        .ok_or_else(|| Error::new(ErrorKind::UnsupportedResponseType, "only the response type code is supported"))?;
    if !client.response_types.contains(&response_type) || !client.may_use(GrantType::AuthorizationCode) {
        return Err(Error::new(ErrorKind::UnauthorizedClient, "this client may not use this response type"));
    }
    Ok(response_type)
}

fn response_mode(params: &Params) -> Result<()> {
    match params.get("response_mode") {
        Some(asked) if ResponseMode::from_wire(asked).is_none() => {
            Err(Error::new(ErrorKind::InvalidRequest, "the response_mode is not supported"))
        }
        _ => Ok(()),
    }
}

fn code_challenge(params: &Params, client: &ClientFacts) -> Result<Option<CodeChallenge>> {
    let challenge = CodeChallenge::parse(params.get("code_challenge"), params.get("code_challenge_method"))?;
    if challenge.is_none() && client.needs_pkce() {
        return Err(Error::new(ErrorKind::InvalidRequest, "a code_challenge is required"));
    }
    Ok(challenge)
}

/// Saturates: no session is older than 136 years.
fn max_age(text: &str) -> Result<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::new(ErrorKind::InvalidRequest, "max_age must be a number of seconds, zero or more"));
    }
    Ok(text.parse().unwrap_or(u32::MAX))
}

fn claims_request(text: &str) -> Result<ClaimsRequest> {
    // Core 5.5: a JSON object; members other than these two are ignored.
    let refuse = |_| Error::new(ErrorKind::InvalidRequest, "claims must be a JSON object with the members id_token and userinfo");
    serde_json::from_str::<Map<String, Value>>(text).map_err(refuse)?;
    serde_json::from_str(text).map_err(refuse)
}
