//! The authorization endpoint's request and response, without what happens between them.
//!
//! A request is read in two stages. [`CheckedRedirect::identify`] proves the client and the redirect URI; until
//! then an error goes to our own page. [`AuthorizationRequest::parse`] reads the rest; from there on an error goes
//! to the application through the [`CheckedRedirect`], the only value from which an answer can be made.
//! Finding the client and deciding what to do with the request live elsewhere.

mod redirect;
mod response;

pub use redirect::CheckedRedirect;
pub use response::{AuthorizationResponse, authorization_response, description};

use super::client::ClientFacts;
use super::names::{Display, GrantType, Prompts, ResponseMode, ResponseType};
use super::params::Params;
use super::pkce::CodeChallenge;
use super::scope::{OPENID, Scopes};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The client that the request names, still unproven: for looking up its facts.
pub fn client_id(params: &Params) -> Result<&str> {
    params.require("client_id")
}

/// A request that an application may make, with everything later steps need.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub redirect: CheckedRedirect,
    pub response_type: ResponseType,
    /// Those of the asked scopes that the client may have.
    pub scopes: Scopes,
    /// All that were asked: those of a resource server are not the client's.
    pub asked_scopes: Scopes,
    /// Identifier of the resource server for which the access token shall be (the name is Auth0's).
    pub audience: Option<String>,
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
    /// entityID of the identity provider that it wants, where a connection has many (not from a standard).
    pub idp: Option<String>,
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
            asked_scopes: scopes,
            audience: params.text("audience").filter(|audience| !audience.is_empty()),
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
            // SAML Core 8.3.6: an entity identifier has at most 1024 characters.
            idp: params.text("idp").filter(|idp| !idp.is_empty() && idp.chars().count() <= 1024),
        })
    }

    /// Core 3.1.2.1: without the openid scope this is plain OAuth 2.0, and there is no ID token.
    pub fn wants_id_token(&self) -> bool {
        self.scopes.contains(OPENID)
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

#[cfg(test)]
#[path = "authorization_tests.rs"]
mod tests;
