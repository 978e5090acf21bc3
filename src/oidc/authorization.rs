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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::{self, CALLBACK, ISSUER, client, params, request};

    fn identify(changes: &[(&str, &str)], client: &ClientFacts) -> Result<CheckedRedirect> {
        CheckedRedirect::identify(&request(changes), Some(client))
    }

    fn parse_for(changes: &[(&str, &str)], client: &ClientFacts) -> Result<AuthorizationRequest> {
        AuthorizationRequest::parse(&request(changes), client, &identify(changes, client).expect("identified"))
    }

    fn parse(changes: &[(&str, &str)]) -> Result<AuthorizationRequest> {
        parse_for(changes, &client())
    }

    fn refused(changes: &[(&str, &str)]) -> ErrorKind {
        parse(changes).expect_err("refused").kind
    }

    fn answer(location: &str, separator: char) -> Vec<(String, String)> {
        let (_, answer) = location.split_once(separator).expect("an answer");
        form_urlencoded::parse(answer.as_bytes()).into_owned().collect()
    }

    #[test]
    fn reads_a_request_that_is_in_order() {
        let request = parse(&[
            ("nonce", "n"),
            ("prompt", "login consent"),
            ("max_age", "0"),
            ("acr_values", "a  b"),
            ("ui_locales", "de en"),
            ("display", "popup"),
            ("login_hint", "jane@acme.example"),
            ("id_token_hint", "e.e.e"),
            ("claims", r#"{"userinfo":{"email":{"essential":true}},"other":1}"#),
            ("connection", "acme"),
            ("unknown", "ignored"),
        ])
        .expect("in order");
        assert!(request.wants_id_token());
        assert_eq!(request.scopes.to_string(), "openid profile");
        assert_eq!((request.nonce.as_deref(), request.max_age, request.display), (Some("n"), Some(0), Some(Display::Popup)));
        assert_eq!((request.acr_values.len(), request.ui_locales.len()), (2, 2));
        assert!(request.claims.userinfo.contains_key("email") && request.claims.id_token.is_empty());
        assert_eq!(request.connection.as_deref(), Some("acme"));
        assert!(request.code_challenge.is_some());
        let stored = serde_json::to_string(&request).expect("stored");
        assert!(!stored.contains("e.e.e"), "a hint is never stored");
        let read: AuthorizationRequest = serde_json::from_str(&stored).expect("read back");
        assert_eq!(read.redirect, request.redirect);
    }

    #[test]
    fn a_redirect_uri_matches_by_exact_string_only() {
        let mut client = client();
        client.redirect_uris.push("https://notes.example/other?x=1".to_owned());
        for uri in [CALLBACK, "https://notes.example/other?x=1"] {
            assert_eq!(identify(&[("redirect_uri", uri)], &client).expect(uri).redirect_uri(), uri);
        }
        for uri in [
            "https://notes.example/callback/",
            "https://notes.example/Callback",
            "https://NOTES.example/callback",
            "HTTPS://notes.example/callback",
            "https://notes.example/callback?x=1",
            "https://notes.example/callback#",
            "https://notes.example/callback#x",
            "https://notes.example/callback%2f",
            "https://notes.example//callback",
            "https://notes.example/a/../callback",
            "https://notes.example:443/callback",
            "https://user@notes.example/callback",
            "https://notes.example/callback@evil.example",
            "https://notes.example.evil.example/callback",
            "http://notes.example/callback",
            " https://notes.example/callback",
            "https://notes.example/other",
            "https://notes.example/other?x=1&y=2",
            "https://evil.example/",
            "javascript:alert(1)",
        ] {
            assert_eq!(identify(&[("redirect_uri", uri)], &client).expect_err(uri).kind, ErrorKind::InvalidRedirectUri, "{uri}");
        }
    }

    #[test]
    fn a_registered_fragment_is_never_used() {
        let mut client = client();
        client.redirect_uris = vec!["https://notes.example/#/callback".to_owned()];
        let error = identify(&[("redirect_uri", "https://notes.example/#/callback")], &client).expect_err("fragment");
        assert_eq!(error.kind, ErrorKind::InvalidRedirectUri);
    }

    #[test]
    fn the_redirect_uri_is_required_even_if_one_is_registered() {
        for changes in [&[("redirect_uri", "")][..], &[("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)]] {
            assert_eq!(identify(changes, &client()).expect_err("required").kind, ErrorKind::InvalidRequest);
        }
    }

    #[test]
    fn only_the_port_of_a_native_loopback_address_is_free() {
        let mut native = client();
        native.application_type = ApplicationType::Native;
        native.redirect_uris = [
            "http://127.0.0.1/cb",
            "http://[::1]:80/cb",
            "http://localhost/cb",
            "https://127.0.0.1/tls",
            "http://127.0.0.1.notes.example/cb",
        ]
        .map(str::to_owned)
        .to_vec();
        for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:8080/cb", "http://127.0.0.1:65535/cb", "http://[::1]:9/cb", "http://[::1]/cb"]
        {
            assert!(identify(&[("redirect_uri", uri)], &native).is_ok(), "{uri}");
        }
        for uri in [
            "http://127.0.0.1:8080/other",
            "http://127.0.0.1:8080/cb?x=1",
            "http://127.0.0.1:8080/cb#x",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:80a/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://127.0.0.1@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1:80.notes.example/cb",
            "http://127.0.0.1:+80/cb",
            "http://127.0.0.2:80/cb",
            "http://127.1:80/cb",
            "http://localhost:8080/cb",
            "https://127.0.0.1:8080/tls",
            "http://[::2]:80/cb",
        ] {
            assert!(identify(&[("redirect_uri", uri)], &native).is_err(), "{uri}");
        }
        native.application_type = ApplicationType::Web;
        assert!(identify(&[("redirect_uri", "http://127.0.0.1:8080/cb")], &native).is_err());
    }

    #[test]
    fn an_unknown_client_gets_our_page() {
        assert_eq!(CheckedRedirect::identify(&request(&[]), None).expect_err("unknown").kind, ErrorKind::InvalidClient);
        let other = ClientFacts { client_id: "other".to_owned(), ..client() };
        assert_eq!(identify(&[], &other).expect_err("not this one").kind, ErrorKind::InvalidClient);
        assert_eq!(client_id(&params(&[])).expect_err("none named").kind, ErrorKind::InvalidRequest);
    }

    #[test]
    fn a_repeated_parameter_is_refused_by_redirect() {
        assert_eq!(refused(&[("nonce", "a"), ("nonce", "b")]), ErrorKind::InvalidRequest);
        let changes = [("state", "a"), ("state", "b")];
        assert_eq!(identify(&changes, &client()).expect("proven").state(), None);
        assert_eq!(refused(&changes), ErrorKind::InvalidRequest);
    }

    #[test]
    fn what_is_not_supported_says_so() {
        assert_eq!(refused(&[("request", "e.e.")]), ErrorKind::RequestNotSupported);
        assert_eq!(refused(&[("request_uri", "https://notes.example/r")]), ErrorKind::RequestUriNotSupported);
        assert_eq!(refused(&[("registration", "{}")]), ErrorKind::RegistrationNotSupported);
        for text in ["token", "id_token", "code id_token", "none", "Code", "code code"] {
            assert_eq!(refused(&[("response_type", text)]), ErrorKind::UnsupportedResponseType, "{text}");
        }
        assert_eq!(refused(&[("response_type", "")]), ErrorKind::InvalidRequest);
        for mode in ["jwt", "query.jwt", "web_message", "Query"] {
            assert_eq!(refused(&[("response_mode", mode)]), ErrorKind::InvalidRequest, "{mode}");
        }
    }

    #[test]
    fn a_client_without_the_code_grant_is_refused() {
        let mut client = client();
        client.grant_types.clear();
        assert_eq!(parse_for(&[], &client).expect_err("grant").kind, ErrorKind::UnauthorizedClient);
        let mut client = testing::client();
        client.response_types.clear();
        assert_eq!(parse_for(&[], &client).expect_err("type").kind, ErrorKind::UnauthorizedClient);
    }

    #[test]
    fn pkce_is_required_and_plain_is_refused() {
        let without = [("code_challenge", ""), ("code_challenge_method", "")];
        assert_eq!(refused(&without), ErrorKind::InvalidRequest);
        assert_eq!(refused(&[("code_challenge_method", "plain")]), ErrorKind::InvalidRequest);
        assert_eq!(refused(&[("code_challenge_method", "")]), ErrorKind::InvalidRequest);
        let excused = ClientFacts { require_pkce: false, ..client() };
        assert!(parse_for(&without, &excused).expect("excused").code_challenge.is_none());
        let public = ClientFacts { redirect_uris: vec![CALLBACK.to_owned()], require_pkce: false, ..ClientFacts::public("notes") };
        assert_eq!(parse_for(&without, &public).expect_err("public").kind, ErrorKind::InvalidRequest);
    }

    #[test]
    fn malformed_values_are_refused() {
        for (name, value) in [
            ("prompt", "none login"),
            ("max_age", "-1"),
            ("max_age", "+1"),
            ("max_age", "1.5"),
            ("max_age", "x"),
            ("claims", "[]"),
            ("claims", "null"),
            ("claims", "{"),
            ("claims", r#"{"id_token":[]}"#),
            ("claims", r#"{"id_token":{},"id_token":{}}"#),
        ] {
            assert_eq!(refused(&[(name, value)]), ErrorKind::InvalidRequest, "{name}={value}");
        }
        assert_eq!(parse(&[("max_age", "99999999999999999999")]).expect("long").max_age, Some(u32::MAX));
        assert_eq!(refused(&[("scope", "open\"id")]), ErrorKind::InvalidScope);
    }

    #[test]
    fn without_openid_there_is_no_id_token() {
        assert!(!parse(&[("scope", "profile")]).expect("plain OAuth").wants_id_token());
        assert!(parse(&[("scope", "")]).expect("plain OAuth").scopes.is_empty());
    }

    #[test]
    fn state_and_iss_are_in_success_and_in_error() {
        let code = AuthorizationCode::issue(&crate::id::random_id(), false).expect("a code");
        for (mode, separator) in [("", '?'), ("query", '?'), ("fragment", '#')] {
            let redirect = identify(&[("state", "a b&c=ä"), ("response_mode", mode)], &client()).expect("identified");
            let AuthorizationResponse::Redirect(success) = redirect.success(ISSUER, &code) else { panic!("a redirect") };
            assert!(success.starts_with(&format!("{CALLBACK}{separator}")), "{success}");
            let expected = [("code", code.expose()), ("state", "a b&c=ä"), ("iss", ISSUER)];
            assert_eq!(answer(&success, separator), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
            let AuthorizationResponse::Redirect(error) = redirect.error(ISSUER, &Error::new(ErrorKind::LoginRequired, "sign in first"))
            else {
                panic!("a redirect")
            };
            let expected = [("error", "login_required"), ("error_description", "sign in first"), ("state", "a b&c=ä"), ("iss", ISSUER)];
            assert_eq!(answer(&error, separator), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }

    #[test]
    fn form_post_gives_fields_and_no_state_is_invented() {
        let redirect = identify(&[("response_mode", "form_post"), ("state", "")], &client()).expect("identified");
        let code = AuthorizationCode::issue(&crate::id::random_id(), false).expect("a code");
        let AuthorizationResponse::FormPost { action, fields } = redirect.success(ISSUER, &code) else { panic!("a form") };
        assert_eq!(action, CALLBACK);
        assert_eq!(fields, [("code", code.expose().to_owned()), ("iss", ISSUER.to_owned())]);
    }

    #[test]
    fn errors_of_unserved_response_types_travel_in_their_own_mode() {
        let mode = |changes: &[(&str, &str)]| identify(changes, &client()).expect("identified").mode();
        assert_eq!(mode(&[("response_type", "id_token")]), ResponseMode::Fragment);
        assert_eq!(mode(&[("response_type", "id_token"), ("response_mode", "query")]), ResponseMode::Fragment);
        assert_eq!(mode(&[("response_mode", "nonsense")]), ResponseMode::Query);
    }

    #[test]
    fn the_query_of_a_redirect_uri_is_kept() {
        for (uri, expected) in [
            ("https://a.example/cb?x=%7e", "https://a.example/cb?x=%7e&iss=i"),
            ("https://a.example/cb?", "https://a.example/cb?iss=i"),
            ("https://a.example/cb?x&", "https://a.example/cb?x&iss=i"),
            ("org.example.app:/cb", "org.example.app:/cb?iss=i"),
        ] {
            let response = authorization_response(uri, ResponseMode::Query, vec![("iss", "i".to_owned())]);
            assert_eq!(response, AuthorizationResponse::Redirect(expected.to_owned()));
        }
    }

    #[test]
    fn error_descriptions_have_the_characters_of_the_grammar() {
        let text = description("a\"b\\c\r\nd\u{e4}\u{7f}e!~ ");
        assert_eq!(text, "a'b/c??d??e!~ ");
        assert!(text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
    }

    #[test]
    fn answers_do_not_print() {
        let redirect = identify(&[], &client()).expect("identified");
        let code = AuthorizationCode::issue(&crate::id::random_id(), false).expect("a code");
        assert_eq!(format!("{:?}", redirect.success(ISSUER, &code)), "Redirect(..)");
    }

    #[test]
    fn hostile_octets_never_panic() {
        let mut client = client();
        client.application_type = ApplicationType::Native;
        client.redirect_uris.push("http://127.0.0.1/cb".to_owned());
        for octets in testing::hostile(10_000) {
            let text: String = String::from_utf8_lossy(&octets).chars().filter(|c| !c.is_control()).collect();
            let changes = [("claims", text.as_str()), ("prompt", &text), ("max_age", &text), ("scope", &text), ("code_challenge", &text)];
            for change in changes {
                let _ = parse_for(&[change], &client);
            }
            let loopback = format!("http://127.0.0.1{text}");
            let _ = identify(&[("redirect_uri", &loopback), ("response_type", &text), ("response_mode", &text)], &client);
            let _ = description(&text);
        }
    }
}
