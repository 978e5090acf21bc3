//! The token endpoint's request and response: who the client is, what it asks, what it gets.
//!
//! [`ClientCredentials::extract`] and [`ClientCredentials::authenticate`] come first for every grant;
//! [`TokenRequest::parse`] takes the proof. Consuming the code and rotating the refresh token are the store's.

use super::client::ClientFacts;
use super::names::{GrantType, TokenEndpointAuthMethod};
use super::opaque::{AccessToken, AuthorizationCode, RefreshToken};
use super::params::{self, Params};
use super::pkce::{self, CodeChallenge};
use super::scope::Scopes;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::Sealer;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// RFC 6749 5.2: `invalid_client` carries a challenge when the client tried the `Authorization` header.
pub const CHALLENGE: &str = "Basic realm=\"token\", charset=\"UTF-8\"";

/// What a client presented, still unproven.
#[derive(Debug)]
pub struct ClientCredentials {
    client_id: String,
    method: TokenEndpointAuthMethod,
    secret: Option<Secret<String>>,
}

impl ClientCredentials {
    /// Finds the credentials in the `Authorization` header or the body.
    pub fn extract(authorization: Option<&str>, body: &Params) -> Result<Self> {
        if body.get("client_assertion").is_some() || body.get("client_assertion_type").is_some() {
            return Err(Error::new(ErrorKind::InvalidClient, "client assertions are not supported"));
        }
        let Some(authorization) = authorization else {
            return Self::from_body(body);
        };
        // RFC 6749 2.3: not more than one method in one request.
        if body.get("client_secret").is_some() {
            return Err(Error::new(ErrorKind::InvalidRequest, "the client authenticated in two ways"));
        }
        let credentials = Self::from_basic(authorization)?;
        if body.get("client_id").is_some_and(|client_id| client_id != credentials.client_id) {
            return Err(Error::new(ErrorKind::InvalidRequest, "the client_id differs from the one in the Authorization header"));
        }
        Ok(credentials)
    }

    /// RFC 6749 2.3.1: Basic, with identifier and secret form-encoded first.
    fn from_basic(authorization: &str) -> Result<Self> {
        let malformed = || Error::new(ErrorKind::InvalidClient, "the Authorization header is not readable");
        let (scheme, encoded) = authorization.split_once(' ').ok_or_else(malformed)?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return Err(malformed());
        }
        let decoded = Secret::new(STANDARD.decode(encoded.trim_matches(' ')).map_err(|_| malformed())?);
        let mut parts = decoded.expose().splitn(2, |byte| *byte == b':');
        let (Some(client_id), Some(secret)) = (parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let client_id = params::decode(client_id).map_err(|_| malformed())?;
        let secret = Secret::new(params::decode(secret).map_err(|_| malformed())?);
        if client_id.is_empty() {
            return Err(malformed());
        }
        Ok(Self { client_id, method: TokenEndpointAuthMethod::ClientSecretBasic, secret: Some(secret) })
    }

    fn from_body(body: &Params) -> Result<Self> {
        let client_id = body.text("client_id").ok_or_else(|| Error::new(ErrorKind::InvalidClient, "the client did not say who it is"))?;
        let secret = body.text("client_secret").map(Secret::new);
        let method = match secret {
            Some(_) => TokenEndpointAuthMethod::ClientSecretPost,
            None => TokenEndpointAuthMethod::None,
        };
        Ok(Self { client_id, method, secret })
    }

    /// For looking up the client's facts.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Proves the client by the one method that it is registered for. An unknown client takes the same time and
    /// gets the same answer as a wrong secret.
    pub fn authenticate<'a>(&self, client: Option<&'a ClientFacts>) -> Result<AuthenticatedClient<'a>> {
        let unknown = [id::digest("")];
        let digests = match client {
            Some(client) if !client.secret_digests.is_empty() => client.secret_digests.as_slice(),
            _ => &unknown,
        };
        let secret = self.secret.as_ref().map_or("", |secret| secret.expose().as_str());
        let presented = id::digest(secret);
        let matches = digests.iter().fold(false, |found, digest| found | id::eq_constant_time(digest.as_bytes(), presented.as_bytes()));
        let proven = |client: &&ClientFacts| {
            client.client_id == self.client_id
                && client.token_endpoint_auth_method == self.method
                && match self.method {
                    TokenEndpointAuthMethod::None => true,
                    TokenEndpointAuthMethod::ClientSecretBasic | TokenEndpointAuthMethod::ClientSecretPost => matches && !secret.is_empty(),
                }
        };
        client.filter(proven).map(AuthenticatedClient).ok_or_else(|| Error::new(ErrorKind::InvalidClient, "client authentication failed"))
    }
}

/// A client that proved who it is (or is public and cannot).
#[derive(Clone, Copy, Debug)]
pub struct AuthenticatedClient<'a>(&'a ClientFacts);

impl<'a> AuthenticatedClient<'a> {
    pub const fn facts(&self) -> &'a ClientFacts {
        self.0
    }
}

/// What a client asks at the token endpoint.
#[derive(Debug)]
pub enum TokenRequest {
    AuthorizationCode { code: AuthorizationCode, redirect_uri: String, code_verifier: Option<Secret<String>> },
    RefreshToken { refresh_token: RefreshToken, scopes: Option<Scopes> },
}

impl TokenRequest {
    pub fn parse(body: &Params, client: AuthenticatedClient<'_>, sealer: &Sealer) -> Result<Self> {
        let grant = GrantType::from_wire(body.require("grant_type")?)
            .ok_or_else(|| Error::new(ErrorKind::UnsupportedGrantType, "this grant type is not supported"))?;
        if !client.facts().may_use(grant) {
            return Err(Error::new(ErrorKind::UnauthorizedClient, "this client may not use this grant type"));
        }
        match grant {
            // RFC 6749 4.1.3.
            GrantType::AuthorizationCode => Ok(Self::AuthorizationCode {
                code: AuthorizationCode::parse(body.require("code")?).ok_or_else(invalid_code)?,
                redirect_uri: body.require("redirect_uri")?.to_owned(),
                code_verifier: body.text("code_verifier").map(Secret::new),
            }),
            // RFC 6749 6.
            GrantType::RefreshToken => Ok(Self::RefreshToken {
                refresh_token: RefreshToken::parse(body.require("refresh_token")?, sealer).ok_or_else(invalid_refresh_token)?,
                scopes: body.get("scope").map(Scopes::parse).transpose()?,
            }),
        }
    }
}

/// What a code was issued for, and must come back with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeBinding {
    pub client_id: String,
    pub redirect_uri: String,
    pub code_challenge: Option<CodeChallenge>,
}

impl CodeBinding {
    /// RFC 6749 4.1.3: the code was issued to this client, with this redirect URI; RFC 7636 4.6: and this verifier.
    pub fn check(&self, client: AuthenticatedClient<'_>, redirect_uri: &str, code_verifier: Option<&Secret<String>>) -> Result<()> {
        if self.client_id != client.facts().client_id {
            return Err(invalid_code());
        }
        if self.redirect_uri != redirect_uri {
            return Err(Error::new(ErrorKind::InvalidGrant, "the redirect_uri differs from the one in the authorization request"));
        }
        pkce::verify(self.code_challenge.as_ref(), code_verifier.map(|verifier| verifier.expose().as_str()))
    }
}

/// The error for a code that is malformed, unknown, used, expired or another client's: all look alike.
pub fn invalid_code() -> Error {
    Error::new(ErrorKind::InvalidGrant, "the code is not valid")
}

/// The error for a refresh token that is malformed, unknown, used, expired or another client's: all look alike.
pub fn invalid_refresh_token() -> Error {
    Error::new(ErrorKind::InvalidGrant, "the refresh token is not valid")
}

/// What the client gets (RFC 6749 5.1, Core 3.1.3.3). To be sent with `Cache-Control: no-store`.
#[derive(Debug)]
pub struct TokenResponse {
    pub access_token: AccessToken,
    /// Seconds.
    pub expires_in: u32,
    pub refresh_token: Option<RefreshToken>,
    pub id_token: Option<Secret<String>>,
    /// What was granted, which may be less than what was asked.
    pub scopes: Scopes,
}

impl TokenResponse {
    pub fn to_json(&self) -> String {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("access_token", self.access_token.expose().into());
        put("token_type", "Bearer".into());
        put("expires_in", self.expires_in.into());
        if let Some(refresh_token) = &self.refresh_token {
            put("refresh_token", refresh_token.expose().into());
        }
        if let Some(id_token) = &self.id_token {
            put("id_token", id_token.expose().as_str().into());
        }
        if !self.scopes.is_empty() {
            put("scope", self.scopes.to_string().into());
        }
        Value::Object(members).to_string()
    }
}

/// An error as the token endpoint answers it (RFC 6749 5.2).
pub fn error_json(error: &Error) -> String {
    let mut members = Map::new();
    members.insert("error".to_owned(), error.kind.wire().oauth.into());
    members.insert("error_description".to_owned(), super::authorization::description(&error.detail).into());
    Value::Object(members).to_string()
}
