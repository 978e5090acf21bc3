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
                    TokenEndpointAuthMethod::ClientSecretJwt
                    | TokenEndpointAuthMethod::PrivateKeyJwt
                    | TokenEndpointAuthMethod::TlsClientAuth
                    | TokenEndpointAuthMethod::SelfSignedTlsClientAuth => false,
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
}

impl TokenRequest {
    pub fn parse(body: &Params, client: AuthenticatedClient<'_>, sealer: &Sealer) -> Result<Self> {
        let grant = GrantType::from_wire(body.require("grant_type")?)
            .filter(|grant| GrantType::SERVED.contains(grant))
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
            // RFC 6749 4.4: for confidential clients only.
            GrantType::ClientCredentials if client.facts().is_public() => {
                Err(Error::new(ErrorKind::UnauthorizedClient, "a public client has no credentials"))
            }
            GrantType::ClientCredentials => Ok(Self::ClientCredentials {
                audience: body.text("audience").or_else(|| body.text("resource")),
                scopes: body.get("scope").filter(|text| !text.is_empty()).map(Scopes::parse).transpose()?,
            }),
            GrantType::Implicit | GrantType::DeviceCode | GrantType::TokenExchange => {
                Err(Error::new(ErrorKind::UnsupportedGrantType, "this grant type is not supported"))
            }
        }
    }
}

/// What a code was issued for, and must come back with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeBinding {
    pub client_id: String,
    pub redirect_uri: String,
    pub code_challenge: Option<CodeChallenge>,
    /// Thumbprint of the key that the token request must prove (RFC 9449 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::{self, CALLBACK, CHALLENGE, VERIFIER, client, params, sealer};

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn by_header(text: &str) -> ClientCredentials {
        ClientCredentials::extract(Some(&basic(text)), &params(&[])).expect("read")
    }

    fn by_body(body: &[(&str, &str)]) -> ClientCredentials {
        ClientCredentials::extract(None, &params(body)).expect("read")
    }

    fn by_method(method: TokenEndpointAuthMethod) -> ClientFacts {
        ClientFacts { token_endpoint_auth_method: method, ..client() }
    }

    const POST: [(&str, &str); 2] = [("client_id", "notes"), ("client_secret", "s3cret")];

    #[test]
    fn the_method_is_fixed_by_the_registration() {
        use TokenEndpointAuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public};
        for registered in [ClientSecretBasic, ClientSecretPost, Public] {
            let client = by_method(registered);
            let tried = [
                (ClientSecretBasic, by_header("notes:s3cret")),
                (ClientSecretPost, by_body(&POST)),
                (Public, by_body(&[("client_id", "notes")])),
            ];
            for (method, credentials) in tried {
                let result = credentials.authenticate(Some(&client));
                assert_eq!(result.is_ok(), method == registered, "{registered:?} by {method:?}");
            }
        }
    }

    #[test]
    fn a_wrong_secret_and_an_unknown_client_look_alike() {
        let client = client();
        let wrong = by_header("notes:guess").authenticate(Some(&client)).expect_err("wrong");
        let unknown = by_header("nobody:guess").authenticate(None).expect_err("unknown");
        let other = by_header("other:s3cret").authenticate(Some(&client)).expect_err("not this client");
        for error in [&wrong, &unknown, &other] {
            assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::InvalidClient, "client authentication failed"));
        }
    }

    #[test]
    fn every_current_secret_is_good_and_an_empty_one_never() {
        let mut client = client();
        client.secret_digests.push(id::digest("next"));
        assert!(by_header("notes:next").authenticate(Some(&client)).is_ok());
        assert!(by_header("notes:s3cret").authenticate(Some(&client)).is_ok());
        client.secret_digests = vec![id::digest("")];
        assert!(by_header("notes:").authenticate(Some(&client)).is_err());
        client.secret_digests.clear();
        assert!(by_header("notes:").authenticate(Some(&client)).is_err());
    }

    #[test]
    fn two_methods_at_once_are_refused() {
        let error = ClientCredentials::extract(Some(&basic("notes:s3cret")), &params(&POST)).expect_err("two");
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        let error = ClientCredentials::extract(Some(&basic("notes:s3cret")), &params(&[("client_id", "wiki")])).expect_err("two clients");
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        assert!(ClientCredentials::extract(Some(&basic("notes:s3cret")), &params(&[("client_id", "notes")])).is_ok());
        let error =
            ClientCredentials::extract(None, &params(&[("client_id", "notes"), ("client_assertion", "e.e.e")])).expect_err("assertion");
        assert_eq!(error.kind, ErrorKind::InvalidClient);
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        let mut client = client();
        client.client_id = "a b:c".to_owned();
        client.secret_digests = vec![id::digest("p%:+ä")];
        assert!(by_header("a+b%3Ac:p%25%3A%2B%C3%A4").authenticate(Some(&client)).is_ok());
        assert!(by_header("a+b%3Ac:p%25:%2B%C3%A4").authenticate(Some(&client)).is_ok(), "the first colon separates");
    }

    #[test]
    fn an_unreadable_header_is_an_invalid_client() {
        for header in
            ["Basic", "Basic !", "Bearer x", "Digest a", &basic("nocolon"), &basic(":x"), &basic("a%:b"), &basic("a:%ff"), &basic("a:b%00")]
        {
            let error = ClientCredentials::extract(Some(header), &params(&[])).expect_err(header);
            assert_eq!(error.kind, ErrorKind::InvalidClient, "{header}");
        }
        assert_eq!(ClientCredentials::extract(None, &params(&[])).expect_err("nobody").kind, ErrorKind::InvalidClient);
    }

    fn parse(body: &[(&str, &str)], client: &ClientFacts) -> Result<TokenRequest> {
        let client = by_header("notes:s3cret").authenticate(Some(client)).expect("authenticated");
        TokenRequest::parse(&params(body), client, &sealer())
    }

    #[test]
    fn reads_both_grants() {
        let grant = id::random_id();
        let code = AuthorizationCode::issue(&grant, false).expect("a code");
        let body = [("grant_type", "authorization_code"), ("code", code.expose()), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        let Ok(TokenRequest::AuthorizationCode { code: read, .. }) = parse(&body, &client()) else { panic!("a code") };
        assert_eq!(read.grant_id(), grant);
        let refresh = RefreshToken::issue(&grant, 3, &sealer()).expect("a token");
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
        let client = by_header("notes:s3cret").authenticate(Some(&client)).expect("authenticated");
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some(pkce::METHOD)).expect("well formed");
        let binding =
            CodeBinding { client_id: "notes".to_owned(), redirect_uri: CALLBACK.to_owned(), code_challenge: challenge, dpop_jkt: None };
        let verifier = Secret::new(VERIFIER.to_owned());
        binding.check(client, CALLBACK, Some(&verifier)).expect("all as issued");
        let other_client = CodeBinding { client_id: "wiki".to_owned(), ..binding.clone() };
        let downgraded = CodeBinding { code_challenge: None, ..binding.clone() };
        for result in [
            binding.check(client, "https://notes.example/callback/", Some(&verifier)),
            binding.check(client, CALLBACK, None),
            binding.check(client, CALLBACK, Some(&Secret::new("x".repeat(43)))),
            other_client.check(client, CALLBACK, Some(&verifier)),
            downgraded.check(client, CALLBACK, Some(&verifier)),
        ] {
            assert_eq!(result.expect_err("refused").kind, ErrorKind::InvalidGrant);
        }
    }

    #[test]
    fn the_response_has_its_members_and_does_not_print_them() {
        let grant = id::random_id();
        let mut response = TokenResponse {
            access_token: AccessToken::issue(&grant).expect("a token"),
            expires_in: 300,
            refresh_token: Some(RefreshToken::issue(&grant, 0, &sealer()).expect("a token")),
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
    fn credentials_do_not_print() {
        assert!(!format!("{:?} {:?}", by_header("notes:hunter2"), by_body(&POST)).contains("hunter2"));
    }

    #[test]
    fn hostile_octets_never_panic() {
        for octets in testing::hostile(5_000) {
            let text = String::from_utf8_lossy(&octets).into_owned();
            let _ = ClientCredentials::extract(Some(&text), &params(&[]));
            let _ = ClientCredentials::extract(Some(&basic(&text)), &params(&[]));
            let _ = AuthorizationCode::parse(&text);
            let _ = RefreshToken::parse(&text, &sealer());
            let _ = Scopes::parse(&text);
        }
    }
}
