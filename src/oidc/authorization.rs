//! The authorization endpoint's request and response, without what happens between them.
//!
//! A request is read in two stages. [`CheckedRedirect::identify`] proves the client and the redirect URI; until
//! then an error goes to our own page. [`AuthorizationRequest::parse`] reads the rest; from there on an error goes
//! to the application through the [`CheckedRedirect`], the only value from which an answer can be made.
//! Finding the client and deciding what to do with the request live elsewhere.

mod redirect;
mod response;

pub use redirect::{CheckedRedirect, Success};
pub use response::{AuthorizationResponse, authorization_response, description};

use super::claims_request::ClaimsRequest;
use super::client::ClientFacts;
use super::dpop;
use super::names::{Display, GrantType, Prompts, ResponseMode, ResponseType};
use super::params::Params;
use super::pkce::CodeChallenge;
use super::scope::{OFFLINE_ACCESS, OPENID, Scopes};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

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
    /// Identifier of the resource server for which the access token shall be.
    pub audience: Option<Audience>,
    pub nonce: Option<String>,
    pub prompts: Prompts,
    /// Seconds.
    pub max_age: Option<u32>,
    pub login_hint: Option<String>,
    /// Still to be verified; never stored.
    #[serde(skip)]
    pub id_token_hint: Option<Secret<String>>,
    pub acr_values: Vec<String>,
    /// Core 5.5.1.1: a login that has none of `acr_values` has failed.
    pub acr_essential: bool,
    pub ui_locales: Vec<String>,
    pub display: Option<Display>,
    pub claims: ClaimsRequest,
    pub code_challenge: Option<CodeChallenge>,
    /// RFC 9449 10: thumbprint of the key to which the code shall be bound.
    pub dpop_jkt: Option<String>,
    /// The connection that the application wants (not from a standard; the name is Auth0's).
    pub connection: Option<String>,
    /// entityID of the identity provider that it wants, where a connection has many (not from a standard).
    pub idp: Option<String>,
}

/// A resource server that a request names: by `audience` as Auth0's SDKs do, or by `resource` (RFC 8707).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    pub identifier: String,
    pub by_resource: bool,
}

impl Audience {
    /// The error for one that is not known here.
    pub fn unknown(&self) -> Error {
        let kind = if self.by_resource { ErrorKind::InvalidTarget } else { ErrorKind::InvalidRequest };
        Error::new(kind, "the audience is not known here")
    }
}

impl AuthorizationRequest {
    /// Stage two: everything but the client and the redirect URI.
    ///
    /// # Errors
    /// For the application, by [`CheckedRedirect::error`].
    pub fn parse(params: &Params, client: &ClientFacts, redirect: &CheckedRedirect) -> Result<Self> {
        // 1. RFC 6749 3.1: no parameter more than once.
        params.refuse_repeats()?;
        // 2. Core 6 and 7.2.1: what could replace or extend the other parameters was dealt with before, or is not supported.
        refuse_unsupported(params)?;
        // 3. RFC 6749 3.1.1: what is asked for.
        let response_type = response_type(params, client)?;
        // 4. Multiple Response Types 2.1: how it is to be answered.
        response_mode(params, response_type)?;
        // 5. RFC 6749 3.3.
        let asked_scopes = Scopes::parse(params.get("scope").unwrap_or_default())?;
        let scopes = given_by(response_type, asked_scopes.allowed_for(client));
        // 6. RFC 7636 4.4.1.
        let code_challenge = code_challenge(params, client, response_type)?;
        // 7. Core 3.2.2.1, 3.3.2.11.
        let nonce = nonce(params, response_type, &scopes)?;
        // 8. Core 3.1.2.1.
        let prompts = Prompts::parse(params.get("prompt").unwrap_or_default())?;
        let max_age = params.get("max_age").map(max_age).transpose()?;
        let claims = params.get("claims").map(ClaimsRequest::parse).transpose()?.unwrap_or_default();
        let (acr_values, acr_essential) = acr(params, client, &claims);
        Ok(Self {
            redirect: redirect.clone(),
            response_type,
            scopes,
            asked_scopes,
            audience: audience(params)?,
            nonce,
            prompts,
            // Registration 2: the default of the client is overridden by the parameter.
            max_age: max_age.or(client.default_max_age),
            login_hint: params.text("login_hint"),
            id_token_hint: params.text("id_token_hint").map(Secret::new),
            acr_values,
            acr_essential,
            ui_locales: params.words("ui_locales"),
            // Core 3.1.2.1 names no error for a display that is not known.
            display: params.get("display").and_then(Display::from_wire),
            claims,
            code_challenge,
            dpop_jkt: params.get("dpop_jkt").map(dpop_jkt).transpose()?,
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
        .ok_or_else(|| Error::new(ErrorKind::UnsupportedResponseType, "this response type is not supported"))?;
    // Registration 2: hybrid types need both grants.
    let granted = (!response_type.gives_code() || client.may_use(GrantType::AuthorizationCode))
        && (!response_type.is_implicit() || client.may_use(GrantType::Implicit));
    // FAPI 2.0 5.3.2.2: codes and nothing else.
    let safe = response_type == ResponseType::Code || !client.fapi2;
    if !client.response_types.contains(&response_type) || !granted || !safe {
        return Err(Error::new(ErrorKind::UnauthorizedClient, "this client may not use this response type"));
    }
    // A token in the browser's address can be bound to no key and no certificate.
    if response_type.gives_access_token() && (client.dpop_bound_access_tokens || client.tls_client_certificate_bound_access_tokens) {
        return Err(Error::new(ErrorKind::UnauthorizedClient, "this client's access tokens come from the token endpoint only"));
    }
    Ok(response_type)
}

fn response_mode(params: &Params, response_type: ResponseType) -> Result<()> {
    let Some(asked) = params.get("response_mode") else { return Ok(()) };
    match ResponseMode::from_wire(asked) {
        None => Err(Error::new(ErrorKind::InvalidRequest, "the response_mode is not supported")),
        // Multiple Response Types 3.0: nothing that carries a token goes into a query.
        Some(ResponseMode::Query) if response_type.is_implicit() => {
            Err(Error::new(ErrorKind::InvalidRequest, "the response_mode query cannot carry what this response_type gives"))
        }
        Some(_) => Ok(()),
    }
}

fn code_challenge(params: &Params, client: &ClientFacts, response_type: ResponseType) -> Result<Option<CodeChallenge>> {
    let challenge = CodeChallenge::parse(params.get("code_challenge"), params.get("code_challenge_method"))?;
    let needed = response_type.gives_code() && (client.needs_pkce() || client.fapi2);
    if challenge.is_none() && needed {
        return Err(Error::new(ErrorKind::InvalidRequest, "a code_challenge is required"));
    }
    Ok(challenge)
}

/// Core 11: offline access is ignored where there is no code to get it by.
fn given_by(response_type: ResponseType, scopes: Scopes) -> Scopes {
    if response_type.gives_code() { scopes } else { scopes.iter().filter(|scope| *scope != OFFLINE_ACCESS).collect() }
}

/// An ID token from the authorization endpoint needs the openid scope, and a nonce that binds it to the request.
fn nonce(params: &Params, response_type: ResponseType, scopes: &Scopes) -> Result<Option<String>> {
    let nonce = params.text("nonce");
    if response_type.gives_id_token() && !scopes.contains(OPENID) {
        return Err(Error::new(ErrorKind::InvalidRequest, "this response_type needs the scope openid"));
    }
    if response_type.gives_id_token() && nonce.is_none() {
        return Err(Error::new(ErrorKind::InvalidRequest, "this response_type needs a nonce"));
    }
    Ok(nonce)
}

/// Which `acr` values are asked, and whether nothing else will do: by the `claims` parameter, by `acr_values`, or by what
/// is registered (Core 5.5.1.1, Registration 2).
fn acr(params: &Params, client: &ClientFacts, claims: &ClaimsRequest) -> (Vec<String>, bool) {
    if let Some(asked) = claims.acr() {
        return (asked.values, asked.essential);
    }
    match params.words("acr_values") {
        none if none.is_empty() => (client.default_acr_values.clone(), false),
        asked => (asked, false),
    }
}

/// RFC 8707 2: `resource` may come several times, but an access token of ours is for one resource server.
fn audience(params: &Params) -> Result<Option<Audience>> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::InvalidTarget, why));
    let named = params.get("audience").filter(|audience| !audience.is_empty());
    let mut audience = named.map(|identifier| Audience { identifier: identifier.to_owned(), by_resource: false });
    for resource in params.get_all("resource") {
        // RFC 8707 2: an absolute URI without a fragment.
        if Url::parse(resource).is_err() || resource.contains('#') {
            return refuse("resource must be an absolute URI without a fragment");
        }
        match &audience {
            Some(other) if other.identifier != resource => return refuse("an access token is for one resource, and several are named"),
            Some(_) => {}
            None => audience = Some(Audience { identifier: resource.to_owned(), by_resource: true }),
        }
    }
    Ok(audience)
}

/// RFC 9449 10: the base64url text of a SHA-256 thumbprint (RFC 7638).
fn dpop_jkt(text: &str) -> Result<String> {
    match dpop::is_thumbprint(text) {
        true => Ok(text.to_owned()),
        false => Err(Error::new(ErrorKind::InvalidRequest, "dpop_jkt is not the thumbprint of a key")),
    }
}

/// Saturates: no session is older than 136 years.
fn max_age(text: &str) -> Result<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::new(ErrorKind::InvalidRequest, "max_age must be a number of seconds, zero or more"));
    }
    Ok(text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "authorization_tests.rs"]
mod tests;
