//! The token endpoint's request and response: what a client asks that has proven who it is ([`super::client_auth`]), and
//! what it gets. Consuming the code and rotating the refresh token are the store's.

use super::client::ClientFacts;
use super::exchange::ExchangeRequest;
use super::names::GrantType;
use super::opaque::{AccessToken, AuthorizationCode, DeviceCode, RefreshToken};
use super::params::Params;
use super::pkce::{self, CodeChallenge};
use super::scope::Scopes;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Sealer;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a client asks at the token endpoint.
#[derive(Debug)]
pub enum TokenRequest {
    AuthorizationCode {
        code: AuthorizationCode,
        redirect_uri: String,
        code_verifier: Option<Secret<String>>,
    },
    RefreshToken {
        refresh_token: RefreshToken,
        scopes: Option<Scopes>,
    },
    /// `audience` names the resource server (the name is Auth0's; RFC 8707 calls it `resource`, which is read too).
    ClientCredentials {
        audience: Option<String>,
        scopes: Option<Scopes>,
    },
    DeviceCode {
        device_code: DeviceCode,
    },
    TokenExchange(Box<ExchangeRequest>),
}

impl TokenRequest {
    /// `bound`: the key that the request has shown, for refresh tokens of clients that cannot prove who they are.
    pub fn parse(body: &Params, client: &ClientFacts, bound: Option<&str>, sealer: &Sealer) -> Result<Self> {
        let grant = GrantType::from_wire(body.require("grant_type")?)
            .filter(|grant| GrantType::SERVED.contains(grant))
            .ok_or_else(|| Error::new(ErrorKind::UnsupportedGrantType, "this grant type is not supported"))?;
        if !client.may_use(grant) {
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
                refresh_token: refresh_token(body.require("refresh_token")?, bound, sealer).ok_or_else(invalid_refresh_token)?,
                scopes: body.get("scope").map(Scopes::parse).transpose()?,
            }),
            // RFC 6749 4.4, RFC 8693 2: for confidential clients only.
            GrantType::ClientCredentials | GrantType::TokenExchange if client.is_public() => {
                Err(Error::new(ErrorKind::UnauthorizedClient, "a public client has no credentials"))
            }
            GrantType::ClientCredentials => Ok(Self::ClientCredentials { audience: audience(body)?, scopes: scopes(body)? }),
            // RFC 8628 3.4.
            GrantType::DeviceCode => {
                Ok(Self::DeviceCode { device_code: DeviceCode::parse(body.require("device_code")?).ok_or_else(invalid_device_code)? })
            }
            GrantType::TokenExchange => ExchangeRequest::parse(body).map(|request| Self::TokenExchange(Box::new(request))),
            GrantType::Implicit => Err(Error::new(ErrorKind::UnsupportedGrantType, "this grant type is not supported")),
        }
    }
}

/// One bound to the key that was shown; or one of a client that showed no key when it got it.
fn refresh_token(text: &str, bound: Option<&str>, sealer: &Sealer) -> Option<RefreshToken> {
    bound.and_then(|key| RefreshToken::parse(text, Some(key), sealer)).or_else(|| RefreshToken::parse(text, None, sealer))
}

/// The one resource server that is asked for.
///
/// # Errors
/// [`ErrorKind::InvalidTarget`] for several (RFC 8707 2): a token here is for one.
pub fn audience(body: &Params) -> Result<Option<String>> {
    let mut asked = body.get_all("audience").chain(body.get_all("resource"));
    let first = asked.next();
    if asked.any(|other| Some(other) != first) {
        return Err(Error::new(ErrorKind::InvalidTarget, "a token is for one resource server"));
    }
    Ok(first.map(str::to_owned))
}

/// `scope`, where it says anything.
pub fn scopes(body: &Params) -> Result<Option<Scopes>> {
    body.get("scope").filter(|text| !text.is_empty()).map(Scopes::parse).transpose()
}

/// What a code was issued for, and must come back with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeBinding {
    pub client_id: String,
    pub redirect_uri: String,
    pub code_challenge: Option<CodeChallenge>,
    /// The key whose proof must come along (RFC 9449 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<String>,
}

impl CodeBinding {
    /// RFC 6749 4.1.3: the code was issued to this client, with this redirect URI; RFC 7636 4.6: and this verifier; RFC
    /// 9449 10: and this key, whose proof came along.
    pub fn check(&self, client: &ClientFacts, redirect_uri: &str, code_verifier: Option<&Secret<String>>, jkt: Option<&str>) -> Result<()> {
        if self.client_id != client.client_id {
            return Err(invalid_code());
        }
        if self.dpop_jkt.is_some() && self.dpop_jkt.as_deref() != jkt {
            return Err(Error::new(ErrorKind::InvalidGrant, "the code is bound to another key than the DPoP proof's"));
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

/// The error for a device code that is malformed, unknown, used or another client's: all look alike.
pub fn invalid_device_code() -> Error {
    Error::new(ErrorKind::InvalidGrant, "the device code is not valid")
}

/// What the client gets (RFC 6749 5.1, Core 3.1.3.3). To be sent with `Cache-Control: no-store`.
#[derive(Debug)]
pub struct TokenResponse {
    pub access_token: AccessToken,
    /// `Bearer`, or `DPoP` where it is bound to a key.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: u32,
    /// What kind of token was exchanged for another (RFC 8693 2.2.1).
    pub issued_token_type: Option<&'static str>,
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
        put("token_type", self.token_type.into());
        put("expires_in", self.expires_in.into());
        if let Some(issued_token_type) = self.issued_token_type {
            put("issued_token_type", issued_token_type.into());
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id;
    use crate::oidc::testing::{self, CALLBACK, CHALLENGE, VERIFIER, client, params, sealer};

    fn parse(body: &[(&str, &str)], client: &ClientFacts) -> Result<TokenRequest> {
        TokenRequest::parse(&params(body), client, None, &sealer())
    }

    #[test]
    fn reads_both_grants() {
        let grant = id::random_id();
        let code = AuthorizationCode::issue(&grant, false).expect("a code");
        let body = [("grant_type", "authorization_code"), ("code", code.expose()), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        let Ok(TokenRequest::AuthorizationCode { code: read, .. }) = parse(&body, &client()) else { panic!("a code") };
        assert_eq!(read.grant_id(), grant);
        let refresh = RefreshToken::issue(&grant, 3, None, &sealer()).expect("a token");
        let body = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose()), ("scope", "openid")];
        let Ok(TokenRequest::RefreshToken { refresh_token, scopes }) = parse(&body, &client()) else { panic!("a token") };
        assert_eq!((refresh_token.generation(), scopes.map(|scopes| scopes.to_string())), (3, Some("openid".to_owned())));
    }

    #[test]
    fn each_grant_has_its_errors() {
        let kind = |body: &[(&str, &str)]| parse(body, &client()).expect_err("refused").kind;
        assert_eq!(kind(&[]), ErrorKind::InvalidRequest);
        assert_eq!(kind(&[("grant_type", "password")]), ErrorKind::UnsupportedGrantType);
        assert_eq!(kind(&[("grant_type", "authorization_code")]), ErrorKind::InvalidRequest);
        assert_eq!(kind(&[("grant_type", "authorization_code"), ("code", "x"), ("redirect_uri", CALLBACK)]), ErrorKind::InvalidGrant);
        let code = AuthorizationCode::issue(&id::random_id(), false).expect("a code");
        assert_eq!(kind(&[("grant_type", "authorization_code"), ("code", code.expose())]), ErrorKind::InvalidRequest);
        assert_eq!(kind(&[("grant_type", "refresh_token"), ("refresh_token", "x")]), ErrorKind::InvalidGrant);
        let narrow = ClientFacts { grant_types: vec![GrantType::AuthorizationCode], ..client() };
        assert_eq!(parse(&[("grant_type", "refresh_token")], &narrow).expect_err("not allowed").kind, ErrorKind::UnauthorizedClient);
    }

    #[test]
    fn a_code_is_bound_to_client_redirect_uri_and_verifier() {
        let client = client();
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some(pkce::METHOD)).expect("well formed");
        let (client_id, redirect_uri) = ("notes".to_owned(), CALLBACK.to_owned());
        let binding = CodeBinding { client_id, redirect_uri, code_challenge: challenge, dpop_jkt: None };
        let verifier = Secret::new(VERIFIER.to_owned());
        binding.check(&client, CALLBACK, Some(&verifier), None).expect("all as issued");
        let to_key = CodeBinding { dpop_jkt: Some("k1".to_owned()), ..binding.clone() };
        to_key.check(&client, CALLBACK, Some(&verifier), Some("k1")).expect("by its key");
        let other_client = CodeBinding { client_id: "wiki".to_owned(), ..binding.clone() };
        let downgraded = CodeBinding { code_challenge: None, ..binding.clone() };
        for result in [
            binding.check(&client, "https://notes.example/callback/", Some(&verifier), None),
            binding.check(&client, CALLBACK, None, None),
            binding.check(&client, CALLBACK, Some(&Secret::new("x".repeat(43))), None),
            other_client.check(&client, CALLBACK, Some(&verifier), None),
            downgraded.check(&client, CALLBACK, Some(&verifier), None),
            to_key.check(&client, CALLBACK, Some(&verifier), None),
            to_key.check(&client, CALLBACK, Some(&verifier), Some("k2")),
        ] {
            assert_eq!(result.expect_err("refused").kind, ErrorKind::InvalidGrant);
        }
    }

    #[test]
    fn the_response_has_its_members_and_does_not_print_them() {
        let grant = id::random_id();
        let mut response = TokenResponse {
            access_token: AccessToken::issue(&grant).expect("a token"),
            token_type: "Bearer",
            issued_token_type: None,
            expires_in: 300,
            refresh_token: Some(RefreshToken::issue(&grant, 0, None, &sealer()).expect("a token")),
            id_token: Some(Secret::new("e.e.e".to_owned())),
            scopes: ["openid", "email"].into_iter().collect(),
        };
        let json: Value = serde_json::from_str(&response.to_json()).expect("json");
        assert_eq!(json["token_type"], "Bearer");
        assert_eq!(json["expires_in"], 300);
        assert_eq!(json["scope"], "openid email");
        assert_eq!(json["access_token"], response.access_token.expose());
        assert_eq!(json["id_token"], "e.e.e");
        assert!(json["refresh_token"].is_string());
        let printed = format!("{response:?}");
        assert!(!printed.contains("e.e.e") && !printed.contains(response.access_token.expose()), "{printed}");
        (response.refresh_token, response.id_token, response.scopes) = (None, None, Scopes::default());
        let json: Map<String, Value> = serde_json::from_str(&response.to_json()).expect("json");
        assert_eq!(json.keys().collect::<Vec<_>>(), ["access_token", "token_type", "expires_in"]);
    }

    #[test]
    fn a_token_is_for_one_resource_server() {
        assert_eq!(audience(&params(&[("resource", "a"), ("resource", "a"), ("audience", "a")])).expect("one").as_deref(), Some("a"));
        assert_eq!(audience(&params(&[("scope", "x")])).expect("none"), None);
        for body in [vec![("resource", "a"), ("resource", "b")], vec![("resource", "a"), ("audience", "b")]] {
            assert_eq!(audience(&params(&body)).expect_err("two").kind, ErrorKind::InvalidTarget);
        }
    }

    #[test]
    fn hostile_octets_never_panic() {
        for octets in testing::hostile(5_000) {
            let text = String::from_utf8_lossy(&octets).into_owned();
            let _ = AuthorizationCode::parse(&text);
            let _ = RefreshToken::parse(&text, None, &sealer());
            let _ = Scopes::parse(&text);
        }
    }
}
