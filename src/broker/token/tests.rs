//! Tokens over embedded stores: what binds them, what they are exchanged for, how they end.

use super::*;
use crate::application::{ClientGrant, ResourceServer, TokenFormat};
use crate::broker::encode;
use crate::broker::introspect::Introspection;
use crate::broker::possession::PossessionSettings;
use crate::broker::tests::{CALLBACK, call, gateway, jane, second_client, with_client};
use crate::id;
use crate::login::{CodeGrant, DeviceDecision, DeviceGrant};
use crate::oidc::bearer::{PresentedToken, Scheme};
use crate::oidc::testing::{Device, params};
use crate::oidc::token::TokenResponse;
use crate::oidc::{CodeBinding, DeviceCode, GrantType, JwtDialect, Scopes, SigningAlg, TokenEndpointAuthMethod, TokenExchange};
use crate::store::Rotation;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const API: &str = "https://api.example/";
const TOKEN_URL: &str = "https://login.example.org/oauth/token";
const USERINFO_URL: &str = "https://login.example.org/userinfo";
const SECRET: &str = "s3cret";

async fn a_grant(gateway: &Gateway, scopes: &str) -> CodeGrant<Map<String, Value>> {
    let (user_id, identity) = jane(gateway).await;
    let now = Timestamp::now();
    let binding = CodeBinding { client_id: "notes".to_owned(), redirect_uri: CALLBACK.to_owned(), code_challenge: None, dpop_jkt: None };
    CodeGrant {
        binding,
        nonce: None,
        claims: oidc::ClaimsRequest::default(),
        scopes: Scopes::parse(scopes).expect("scopes"),
        unscripted_scopes: None,
        audience: None,
        user_id,
        identity,
        sid: "s".to_owned(),
        auth_time: now,
        acr: None,
        amr: Vec::new(),
        profile: Map::new(),
        transient: Vec::new(),
        scripted: None,
        correlation_id: "c".to_owned(),
        expires_at: now.plus_seconds(60),
    }
}

async fn code_of(gateway: &Gateway, grant: &CodeGrant<Map<String, Value>>) -> String {
    let grant_id = id::random_id();
    let code = AuthorizationCode::issue(&grant_id, grant.scopes.contains("offline_access")).expect("a code");
    let key = CodeGrant::key(&grant_id, &code.digest());
    gateway.sessions.commit(vec![Op::Put { key, value: encode(grant).expect("JSON"), ttl: 60 }]).await.expect("written");
    code.expose().to_owned()
}

fn shown(dpop: Option<String>) -> Shown {
    Shown { dpop, certificate: None, method: "POST".to_owned(), path: "/oauth/token".to_owned(), address: None }
}

async fn post(gateway: &Gateway, body: &[(&str, &str)], shown: &Shown) -> Result<Tokens, TokenRefusal> {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(body).finish();
    gateway.token(call(form.as_bytes(), shown), Timestamp::now()).await
}

fn kind(answer: Result<Tokens, TokenRefusal>) -> ErrorKind {
    answer.expect_err("refused").error.kind
}

async fn by_code(gateway: &Gateway, code: &str, dpop: Option<String>) -> Result<Tokens, TokenRefusal> {
    let body = [("grant_type", "authorization_code"), ("client_id", "notes"), ("code", code), ("redirect_uri", CALLBACK)];
    post(gateway, &body, &shown(dpop)).await
}

async fn tokens(gateway: &Gateway, scopes: &str) -> TokenResponse {
    let code = code_of(gateway, &a_grant(gateway, scopes).await).await;
    by_code(gateway, &code, None).await.expect("tokens").response
}

fn server(gateway: &mut Gateway, tokens: TokenFormat) {
    let scopes = ["read", "write"].map(|scope| (scope.to_owned(), String::new())).to_vec();
    let (id, identifier, name) = ("rs_1".to_owned(), API.to_owned(), "API".to_owned());
    let server = ResourceServer { id, identifier, name, scopes, token_lifetime: 7200, allow_offline_access: false, tokens };
    gateway.resource_servers.insert(API.to_owned(), Arc::new(server));
}

const JWT: TokenFormat = TokenFormat::Jwt { dialect: JwtDialect::Rfc9068, alg: SigningAlg::ES256 };

/// Changes the one client so that it has the secret, and these.
fn confidential(gateway: &mut Gateway, change: impl FnOnce(&mut ClientFacts)) {
    with_client(gateway, |client| {
        client.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretPost;
        client.secret_digests = vec![id::digest(SECRET)];
        change(client);
    });
}

async fn introspected(gateway: &Gateway, client_id: &str, token: &str) -> Value {
    let body = params(&[("client_id", client_id), ("client_secret", SECRET), ("token", token)]);
    let proof = ClientProof { authorization: None, body: &body, certificate: None, endpoint: "/oauth/introspect", address: None };
    match gateway.introspect(proof, false, Timestamp::now()).await.expect("told") {
        Introspection::Json(text) => serde_json::from_str(&text).expect("JSON"),
        Introspection::Jwt(_) => panic!("nobody asked for a JWT"),
    }
}

async fn revoked(gateway: &Gateway, client_id: &str, token: &str) {
    let body = params(&[("client_id", client_id), ("client_secret", SECRET), ("token", token), ("token_type_hint", "anything")]);
    let proof = ClientProof { authorization: None, body: &body, certificate: None, endpoint: "/oauth/revoke", address: None };
    gateway.revoke(proof, Timestamp::now()).await.expect("answered");
}

async fn userinfo(gateway: &Gateway, token: &str, scheme: Scheme, dpop: Option<String>) -> Result<(), ErrorKind> {
    let presented = PresentedToken { token: oidc::AccessToken::parse(token).expect("a token"), scheme };
    let shown = Shown { dpop, certificate: None, method: "POST".to_owned(), path: "/userinfo".to_owned(), address: None };
    gateway.userinfo(&presented, &shown, None, Timestamp::now()).await.map(drop).map_err(|error| error.kind)
}

fn proof(device: &Device, claims: Value) -> Option<String> {
    let mut claims = claims;
    claims["jti"] = id::random_id().into();
    Some(device.proof(TOKEN_URL, Timestamp::now().seconds(), json!({}), claims))
}

fn proof_for(device: &Device, token: &str) -> Option<String> {
    proof(device, json!({ "htu": USERINFO_URL, "ath": id::base64url(&id::sha256(token.as_bytes())) }))
}

fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&id::from_base64url(token.split('.').nth(1).expect("claims")).expect("base64")).expect("JSON")
}

#[tokio::test]
async fn a_client_may_ask_about_its_own_tokens_and_end_them() {
    let mut gateway = gateway().await;
    let tokens = tokens(&gateway, "openid offline_access").await;
    let (access, refresh) = (tokens.access_token.expose().to_owned(), tokens.refresh_token.expect("a refresh token"));
    confidential(&mut gateway, |_| {});
    second_client(&mut gateway, "wiki", SECRET);
    let told = introspected(&gateway, "notes", &access).await;
    assert_eq!((&told["active"], &told["client_id"], &told["token_type"]), (&json!(true), &json!("notes"), &json!("Bearer")));
    assert_eq!(
        (&told["sub"], &told["aud"], &told["scope"]),
        (&json!("samlp|acme|jane"), &json!(USERINFO_URL), &json!("openid offline_access"))
    );
    assert_eq!(introspected(&gateway, "notes", refresh.expose()).await["active"], true);
    // Of others' tokens nothing is told, and nothing is done to them.
    for token in [access.as_str(), refresh.expose(), "x", "e30.e30.x"] {
        assert_eq!(introspected(&gateway, "wiki", token).await, json!({ "active": false }));
        revoked(&gateway, "wiki", token).await;
    }
    assert_eq!(introspected(&gateway, "notes", &access).await["active"], true);
    revoked(&gateway, "notes", &access).await;
    assert_eq!(introspected(&gateway, "notes", &access).await, json!({ "active": false }));
    assert_eq!(introspected(&gateway, "notes", refresh.expose()).await["active"], true, "the access token alone was given back");
}

#[tokio::test]
async fn with_a_refresh_token_end_the_access_tokens_of_its_grant() {
    let mut gateway = gateway().await;
    let tokens = tokens(&gateway, "openid offline_access").await;
    let refresh = tokens.refresh_token.expect("a refresh token");
    confidential(&mut gateway, |_| {});
    revoked(&gateway, "notes", refresh.expose()).await;
    for token in [tokens.access_token.expose(), refresh.expose()] {
        assert_eq!(introspected(&gateway, "notes", token).await, json!({ "active": false }));
    }
}

#[tokio::test]
async fn a_public_client_may_end_tokens_and_ask_about_none() {
    let gateway = gateway().await;
    let tokens = tokens(&gateway, "openid").await;
    let body = params(&[("client_id", "notes"), ("token", tokens.access_token.expose())]);
    let proof = ClientProof { authorization: None, body: &body, certificate: None, endpoint: "/oauth/introspect", address: None };
    let refused = gateway.introspect(proof, false, Timestamp::now()).await.expect_err("public");
    assert_eq!(refused.kind, ErrorKind::UnauthorizedClient);
    userinfo(&gateway, tokens.access_token.expose(), Scheme::Bearer, None).await.expect("still there");
    gateway.revoke(proof, Timestamp::now()).await.expect("answered");
    assert_eq!(userinfo(&gateway, tokens.access_token.expose(), Scheme::Bearer, None).await, Err(ErrorKind::InvalidToken));
}

#[tokio::test]
async fn a_resource_server_asks_about_what_was_made_for_it() {
    let mut gateway = gateway().await;
    server(&mut gateway, TokenFormat::Opaque);
    let grant = CodeGrant { audience: Some(API.to_owned()), ..a_grant(&gateway, "read").await };
    let code = code_of(&gateway, &grant).await;
    let token = by_code(&gateway, &code, None).await.expect("tokens").response.access_token.expose().to_owned();
    second_client(&mut gateway, "api", SECRET);
    assert_eq!(introspected(&gateway, "api", &token).await, json!({ "active": false }));
    crate::broker::tests::with_named_client(&mut gateway, "api", |client| client.introspects = vec![API.to_owned()]);
    let told = introspected(&gateway, "api", &token).await;
    assert_eq!((&told["active"], &told["aud"], &told["client_id"]), (&json!(true), &json!(API), &json!("notes")));
}

#[tokio::test]
async fn an_answer_is_signed_where_that_is_asked() {
    let mut gateway = gateway().await;
    let token = tokens(&gateway, "openid").await.access_token;
    confidential(&mut gateway, |_| {});
    let body = params(&[("client_id", "notes"), ("client_secret", SECRET), ("token", token.expose())]);
    let proof = ClientProof { authorization: None, body: &body, certificate: None, endpoint: "/oauth/introspect", address: None };
    let Introspection::Jwt(jwt) = gateway.introspect(proof, true, Timestamp::now()).await.expect("told") else { panic!("a JWT") };
    let claims = gateway.keys.public().verify(&jwt, "token-introspection+jwt").expect("ours");
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://login.example.org"), &json!("notes")));
    assert_eq!(claims["token_introspection"]["active"], true);
}

#[tokio::test]
async fn a_resource_server_that_reads_tokens_gets_jwts_with_the_same_life() {
    let mut gateway = gateway().await;
    server(&mut gateway, JWT);
    let grant = CodeGrant { audience: Some(API.to_owned()), acr: Some("urn:mfa".to_owned()), ..a_grant(&gateway, "openid read").await };
    let code = code_of(&gateway, &grant).await;
    let token = by_code(&gateway, &code, None).await.expect("tokens").response.access_token.expose().to_owned();
    let claims = gateway.keys.public().verify(&token, "at+jwt").expect("ours");
    assert_eq!((&claims["aud"], &claims["client_id"]), (&json!([API, USERINFO_URL]), &json!("notes")));
    assert_eq!((&claims["sub"], &claims["scope"], &claims["acr"]), (&json!("samlp|acme|jane"), &json!("openid read"), &json!("urn:mfa")));
    userinfo(&gateway, &token, Scheme::Bearer, None).await.expect("it has openid");
    // What it says is not believed here: only the whole text leads to the record.
    let forged = format!("{}.{}", token.rsplit_once('.').expect("a signature").0, id::base64url(&[1; 64]));
    assert_eq!(userinfo(&gateway, &forged, Scheme::Bearer, None).await, Err(ErrorKind::InvalidToken));
    let grant = CodeGrant { audience: Some(API.to_owned()), ..a_grant(&gateway, "read").await };
    let other = by_code(&gateway, &code_of(&gateway, &grant).await, None).await.expect("tokens").response.access_token;
    assert_eq!(userinfo(&gateway, other.expose(), Scheme::Bearer, None).await, Err(ErrorKind::InsufficientScope));
    // A second use of the code ends it.
    assert_eq!(kind(by_code(&gateway, &code, None).await), ErrorKind::InvalidGrant);
    assert_eq!(userinfo(&gateway, &token, Scheme::Bearer, None).await, Err(ErrorKind::InvalidToken));
}

#[tokio::test]
async fn a_programs_own_token_is_a_jwt_too() {
    let mut gateway = gateway().await;
    server(&mut gateway, JWT);
    confidential(&mut gateway, |client| client.grant_types = vec![GrantType::ClientCredentials]);
    let (client_id, audience) = ("notes".to_owned(), API.to_owned());
    let grant =
        ClientGrant { id: "cgr_1".to_owned(), client_id: client_id.clone(), audience: audience.clone(), scopes: vec!["read".to_owned()] };
    gateway.client_grants.insert((client_id, audience), grant);
    let body = [("grant_type", "client_credentials"), ("client_id", "notes"), ("client_secret", SECRET), ("resource", API)];
    let response = post(&gateway, &body, &shown(None)).await.expect("a token").response;
    let claims = gateway.keys.public().verify(response.access_token.expose(), "at+jwt").expect("ours");
    assert_eq!((&claims["sub"], &claims["aud"], &claims["scope"]), (&json!("notes"), &json!(API), &json!("read")));
    assert!(!claims.contains_key("auth_time"));
    let told = introspected(&gateway, "notes", response.access_token.expose()).await;
    assert_eq!((&told["sub"], &told["exp"]), (&claims["sub"], &claims["exp"]));
    revoked(&gateway, "notes", response.access_token.expose()).await;
    assert_eq!(introspected(&gateway, "notes", response.access_token.expose()).await, json!({ "active": false }));
}

#[tokio::test]
async fn a_bound_token_is_worth_nothing_without_its_key() {
    let (gateway, device, thief) = (gateway().await, Device::new(), Device::new());
    let code = code_of(&gateway, &a_grant(&gateway, "openid").await).await;
    let response = by_code(&gateway, &code, proof(&device, json!({}))).await.expect("tokens").response;
    assert_eq!(response.token_type, "DPoP");
    let token = response.access_token.expose();
    userinfo(&gateway, token, Scheme::Dpop, proof_for(&device, token)).await.expect("by its key");
    assert_eq!(userinfo(&gateway, token, Scheme::Bearer, None).await, Err(ErrorKind::InvalidToken));
    assert_eq!(userinfo(&gateway, token, Scheme::Bearer, proof_for(&device, token)).await, Err(ErrorKind::InvalidToken));
    assert_eq!(userinfo(&gateway, token, Scheme::Dpop, None).await, Err(ErrorKind::InvalidDpopProof));
    assert_eq!(userinfo(&gateway, token, Scheme::Dpop, proof_for(&thief, token)).await, Err(ErrorKind::InvalidToken));
    assert_eq!(userinfo(&gateway, token, Scheme::Dpop, proof_for(&device, "other")).await, Err(ErrorKind::InvalidDpopProof));
    let once = proof_for(&device, token);
    userinfo(&gateway, token, Scheme::Dpop, once.clone()).await.expect("once");
    assert_eq!(userinfo(&gateway, token, Scheme::Dpop, once).await, Err(ErrorKind::InvalidDpopProof), "a proof is used once");
    let free = tokens(&gateway, "openid").await.access_token;
    let result = userinfo(&gateway, free.expose(), Scheme::Dpop, proof_for(&device, free.expose())).await;
    assert_eq!(result, Err(ErrorKind::InvalidToken), "a bearer token is no bound one");
}

#[tokio::test]
async fn a_code_may_be_bound_to_a_key() {
    let (gateway, device) = (gateway().await, Device::new());
    let first = by_code(&gateway, &code_of(&gateway, &a_grant(&gateway, "openid").await).await, proof(&device, json!({}))).await;
    let token = first.expect("tokens").response.access_token;
    let record = gateway.token_record(&token, Timestamp::now()).await.expect("read").expect("there");
    let mut grant = a_grant(&gateway, "openid").await;
    grant.binding.dpop_jkt = record.confirmation.jkt;
    for dpop in [None, proof(&Device::new(), json!({}))] {
        let code = code_of(&gateway, &grant).await;
        assert_eq!(kind(by_code(&gateway, &code, dpop).await), ErrorKind::InvalidGrant);
    }
    by_code(&gateway, &code_of(&gateway, &grant).await, proof(&device, json!({}))).await.expect("by the key");
}

#[tokio::test]
async fn nonces_are_demanded_where_the_operator_wants_them() {
    let (mut gateway, device) = (gateway().await, Device::new());
    gateway.possession = PossessionSettings { dpop_nonce: true, ..PossessionSettings::default() };
    let nonce = gateway.dpop_nonce(Timestamp::now()).expect("a nonce");
    let code = code_of(&gateway, &a_grant(&gateway, "openid").await).await;
    for claims in [json!({}), json!({ "nonce": "made up" })] {
        assert_eq!(kind(by_code(&gateway, &code, proof(&device, claims)).await), ErrorKind::UseDpopNonce);
    }
    // The code was not touched.
    by_code(&gateway, &code, proof(&device, json!({ "nonce": nonce }))).await.expect("tokens");
}

#[tokio::test]
async fn a_public_clients_refresh_token_is_bound_to_its_key() {
    let (gateway, device) = (gateway().await, Device::new());
    let code = code_of(&gateway, &a_grant(&gateway, "openid offline_access").await).await;
    let response = by_code(&gateway, &code, proof(&device, json!({}))).await.expect("tokens").response;
    let refresh = response.refresh_token.expect("a refresh token");
    let body = [("grant_type", "refresh_token"), ("client_id", "notes"), ("refresh_token", refresh.expose())];
    for dpop in [None, proof(&Device::new(), json!({}))] {
        let refused = post(&gateway, &body, &shown(dpop)).await.expect_err("another key");
        assert_eq!(refused.error.detail, "the refresh token is not valid");
    }
    // Nothing was rotated: with its key it gets as far as anybody whose connection is gone.
    let refused = post(&gateway, &body, &shown(proof(&device, json!({})))).await.expect_err("no connection");
    assert!(refused.error.detail.contains("connection"), "{}", refused.error.detail);
    // And it is revoked without a key.
    let body = params(&[("client_id", "notes"), ("token", refresh.expose())]);
    let proof = ClientProof { authorization: None, body: &body, certificate: None, endpoint: "/oauth/revoke", address: None };
    gateway.revoke(proof, Timestamp::now()).await.expect("answered");
    let left = gateway.directory.rotate_family(refresh.grant_id(), "notes", 1, Timestamp::now(), 0).await.expect("answered");
    assert!(matches!(left, Rotation::Refused), "{left:?}");
}

#[tokio::test]
async fn a_refresh_token_that_lay_idle_ends_its_family() {
    let mut gateway = gateway().await;
    gateway.lifetimes.refresh_token_idle = 60;
    let refresh = tokens(&gateway, "openid offline_access").await.refresh_token.expect("a refresh token");
    let form = format!("grant_type=refresh_token&client_id=notes&refresh_token={}", refresh.expose());
    let at = async |seconds: i64| {
        let now = Timestamp::now().plus_seconds(seconds);
        gateway.token(call(form.as_bytes(), &shown(None)), now).await.expect_err("refused").error.detail
    };
    // In time it gets as far as anybody whose connection is gone, and it is not rotated for that.
    for _ in 0..2 {
        assert!(at(50).await.contains("connection"));
    }
    assert_eq!(at(70).await, "the refresh token is not valid");
    assert_eq!(at(0).await, "the refresh token is not valid", "the family has ended");
}

#[tokio::test]
async fn who_is_registered_for_bound_tokens_gets_no_others() {
    let (mut gateway, device) = (gateway().await, Device::new());
    let code = code_of(&gateway, &a_grant(&gateway, "openid").await).await;
    with_client(&mut gateway, |client| client.dpop_bound_access_tokens = true);
    assert_eq!(kind(by_code(&gateway, &code, None).await), ErrorKind::InvalidDpopProof);
    with_client(&mut gateway, |client| {
        (client.dpop_bound_access_tokens, client.tls_client_certificate_bound_access_tokens) = (false, true)
    });
    assert_eq!(kind(by_code(&gateway, &code, proof(&device, json!({}))).await), ErrorKind::InvalidRequest);
    let fapi2 = ClientFacts { fapi2: true, ..ClientFacts::public("notes") };
    let refused = gateway.confirmation(&fapi2, &shown(None), Timestamp::now()).await.expect_err("unbound");
    assert_eq!(refused.kind, ErrorKind::InvalidRequest);
    let bound = gateway.confirmation(&fapi2, &shown(proof(&device, json!({}))), Timestamp::now()).await.expect("bound");
    assert_eq!(bound.token_type(), "DPoP");
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_needs_it() {
    use crate::oidc::mtls::tests::{make, of};
    let mut gateway = gateway().await;
    let code = code_of(&gateway, &a_grant(&gateway, "openid").await).await;
    with_client(&mut gateway, |client| client.tls_client_certificate_bound_access_tokens = true);
    let certificate = Arc::new(of(&make("notes", None, false), &[]));
    let with = |certificate: Option<&Arc<oidc::ClientCertificate>>, path: &str| Shown {
        dpop: None,
        certificate: certificate.map(Arc::clone),
        method: "POST".to_owned(),
        path: path.to_owned(),
        address: None,
    };
    let body = [("grant_type", "authorization_code"), ("client_id", "notes"), ("code", &code), ("redirect_uri", CALLBACK)];
    let response = post(&gateway, &body, &with(Some(&certificate), "/oauth/token")).await.expect("tokens").response;
    assert_eq!(response.token_type, "Bearer");
    let presented = PresentedToken { token: response.access_token, scheme: Scheme::Bearer };
    let ask = async |shown: Shown| gateway.userinfo(&presented, &shown, None, Timestamp::now()).await.map_err(|error| error.kind);
    ask(with(Some(&certificate), "/userinfo")).await.expect("by its certificate");
    let other = Arc::new(of(&make("notes", None, false), &[]));
    for wrong in [None, Some(&other)] {
        assert_eq!(ask(with(wrong, "/userinfo")).await.expect_err("another"), ErrorKind::InvalidToken);
    }
}

/// A gateway whose client may exchange tokens for the API, and a token of a person for it to exchange.
async fn exchanging(scopes: &str) -> (Gateway, TokenResponse) {
    let mut gateway = gateway().await;
    server(&mut gateway, JWT);
    let tokens = tokens(&gateway, scopes).await;
    confidential(&mut gateway, |client| {
        client.grant_types = vec![GrantType::TokenExchange];
        client.token_exchange = Some(TokenExchange { audiences: vec![API.to_owned()], may_act: false });
    });
    (gateway, tokens)
}

const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

async fn exchange(gateway: &Gateway, subject: &str, more: &[(&str, &str)]) -> Result<Tokens, TokenRefusal> {
    let usual = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("client_id", "notes"),
        ("client_secret", SECRET),
        ("subject_token", subject),
        ("subject_token_type", ACCESS),
        ("audience", API),
    ];
    let kept = usual.into_iter().filter(|(name, _)| more.iter().all(|(changed, _)| changed != name));
    post(gateway, &kept.chain(more.iter().copied()).collect::<Vec<_>>(), &shown(None)).await
}

#[tokio::test]
async fn an_exchanged_token_is_never_more_than_what_was_given_for_it() {
    let (gateway, given) = exchanging("openid read").await;
    let subject = given.access_token.expose();
    let response = exchange(&gateway, subject, &[]).await.expect("exchanged").response;
    assert_eq!((response.issued_token_type, response.scopes.to_string()), (Some(ACCESS), "read".to_owned()));
    assert!(response.expires_in <= given.expires_in, "{}", response.expires_in);
    let claims = claims_of(response.access_token.expose());
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("samlp|acme|jane"), &json!(API)));
    assert_eq!(kind(exchange(&gateway, subject, &[("scope", "write")]).await), ErrorKind::InvalidScope);
    assert_eq!(kind(exchange(&gateway, subject, &[("audience", "https://other.example/")]).await), ErrorKind::InvalidTarget);
    let management = gateway.management_audience();
    assert_eq!(kind(exchange(&gateway, subject, &[("audience", &management)]).await), ErrorKind::InvalidTarget);
    assert_eq!(kind(exchange(&gateway, "x", &[]).await), ErrorKind::InvalidRequest);
    // It ends with the grant that it came from.
    gateway.revoke_grant(given.access_token.grant_id()).await.expect("revoked");
    assert_eq!(introspected(&gateway, "notes", response.access_token.expose()).await, json!({ "active": false }));
    assert_eq!(kind(exchange(&gateway, subject, &[]).await), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn tokens_are_exchanged_by_whom_they_concern_only() {
    let (mut gateway, given) = exchanging("openid read").await;
    second_client(&mut gateway, "wiki", SECRET);
    crate::broker::tests::with_named_client(&mut gateway, "wiki", |client| {
        client.grant_types = vec![GrantType::TokenExchange];
        client.token_exchange = Some(TokenExchange { audiences: vec![API.to_owned()], may_act: true });
    });
    let subject = given.access_token.expose();
    assert_eq!(kind(exchange(&gateway, subject, &[("client_id", "wiki")]).await), ErrorKind::InvalidRequest);
    // Without a policy, and without the grant, nothing.
    with_client(&mut gateway, |client| client.token_exchange = None);
    assert_eq!(kind(exchange(&gateway, subject, &[]).await), ErrorKind::UnauthorizedClient);
    with_client(&mut gateway, |client| client.grant_types = Vec::new());
    assert_eq!(kind(exchange(&gateway, subject, &[]).await), ErrorKind::UnauthorizedClient);
}

#[tokio::test]
async fn an_actor_is_named_where_that_is_allowed() {
    let (mut gateway, given) = exchanging("openid read").await;
    let (subject, id_token) = (given.access_token.expose(), given.id_token.expect("an ID token"));
    let actor = [("actor_token", id_token.expose().as_str()), ("actor_token_type", "urn:ietf:params:oauth:token-type:id_token")];
    assert_eq!(kind(exchange(&gateway, subject, &actor).await), ErrorKind::UnauthorizedClient);
    with_client(&mut gateway, |client| {
        client.token_exchange = Some(TokenExchange { audiences: vec![API.to_owned()], may_act: true });
        client.introspects = vec![API.to_owned()];
    });
    let response = exchange(&gateway, subject, &actor).await.expect("exchanged").response;
    let act = json!({ "sub": "samlp|acme|jane" });
    assert_eq!(claims_of(response.access_token.expose())["act"], act);
    assert_eq!(introspected(&gateway, "notes", response.access_token.expose()).await["act"], act);
    let again = exchange(&gateway, response.access_token.expose(), &actor).await.expect("exchanged").response;
    assert_eq!(claims_of(again.access_token.expose())["act"], json!({ "sub": "samlp|acme|jane", "act": act }));
    // An ID token allows nothing by itself.
    let by_id_token = [("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")];
    let named = exchange(&gateway, id_token.expose(), &by_id_token).await.expect("exchanged").response;
    assert!(named.scopes.is_empty());
}

#[tokio::test]
async fn an_exchanged_token_ends_no_later_than_the_token_that_was_given_for_it() {
    let (mut gateway, given) = exchanging("openid read").await;
    let (subject, id_token) = (given.access_token.expose(), given.id_token.as_ref().expect("an ID token").expose());
    let exp = |token: &str| claims_of(token)["exp"].as_i64().expect("a time");
    let ends = |seconds: u32| Timestamp::now().seconds() + i64::from(seconds);
    // The resource server's own time is two hours.
    let exchanged = exchange(&gateway, subject, &[]).await.expect("exchanged").response;
    assert!(exp(exchanged.access_token.expose()) <= ends(given.expires_in) && exchanged.expires_in <= given.expires_in);
    let by_id_token = [("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")];
    let exchanged = exchange(&gateway, id_token, &by_id_token).await.expect("exchanged").response;
    assert!(exp(exchanged.access_token.expose()) <= exp(id_token), "{} {}", exp(exchanged.access_token.expose()), exp(id_token));
    // And again for one that ends sooner.
    gateway
        .resource_servers
        .insert(API.to_owned(), Arc::new(ResourceServer { token_lifetime: 60, ..gateway.resource_servers[API].as_ref().clone() }));
    let short = exchange(&gateway, subject, &[]).await.expect("exchanged").response;
    server(&mut gateway, JWT);
    with_client(&mut gateway, |client| client.introspects = vec![API.to_owned()]);
    let again = exchange(&gateway, short.access_token.expose(), &[]).await.expect("exchanged").response;
    assert!(exp(again.access_token.expose()) <= exp(short.access_token.expose()) && again.expires_in <= 60);
}

#[tokio::test]
async fn an_actor_is_called_what_the_application_calls_them() {
    let (mut gateway, given) = exchanging("openid read").await;
    with_client(&mut gateway, |client| {
        client.token_exchange = Some(TokenExchange { audiences: vec![API.to_owned()], may_act: true });
        client.subject_type = oidc::SubjectType::Pairwise;
    });
    let subject = given.access_token.expose();
    let actor = [("actor_token", subject), ("actor_token_type", ACCESS)];
    let response = exchange(&gateway, subject, &actor).await.expect("exchanged").response;
    let claims = claims_of(response.access_token.expose());
    let called = claims["act"]["sub"].as_str().expect("a name");
    assert!(claims["sub"] == called && !called.contains("jane"), "{claims}");
}

#[tokio::test]
async fn who_is_blocked_gets_nothing_for_a_code() {
    let gateway = gateway().await;
    let grant = a_grant(&gateway, "openid offline_access").await;
    let code = code_of(&gateway, &grant).await;
    gateway.directory.set_blocked(&grant.user_id, true).await.expect("blocked");
    assert_eq!(kind(by_code(&gateway, &code, None).await), ErrorKind::InvalidGrant);
    gateway.directory.set_blocked(&grant.user_id, false).await.expect("unblocked");
    let code = code_of(&gateway, &grant).await;
    assert!(by_code(&gateway, &code, None).await.is_ok());
    gateway.directory.delete_user(&grant.user_id).await.expect("deleted");
    let code = code_of(&gateway, &grant).await;
    assert_eq!(kind(by_code(&gateway, &code, None).await), ErrorKind::InvalidGrant);
}

/// A device that waits, and what it polls with.
async fn waiting(gateway: &Gateway, expires_in: i64) -> DeviceCode {
    let grant_id = id::random_id();
    let code = DeviceCode::issue(&grant_id).expect("a code");
    let now = Timestamp::now();
    let grant = DeviceGrant {
        client_id: "notes".to_owned(),
        user_code: "WDJB-MJHT".to_owned(),
        scopes: Scopes::parse("openid").expect("scopes"),
        audience: None,
        correlation_id: "c".to_owned(),
        created_at: now,
        expires_at: now.plus_seconds(expires_in),
    };
    let key = DeviceGrant::key(&grant_id, &code.digest());
    gateway.sessions.commit(vec![Op::Put { key, value: encode(&grant).expect("JSON"), ttl: 60 }]).await.expect("written");
    code
}

async fn polled(gateway: &Gateway, code: &DeviceCode, client_id: &str, now: Timestamp) -> Result<Tokens, TokenRefusal> {
    let confirmation = KeyConfirmation::default();
    let application = gateway.application(client_id).expect("registered");
    let client = facts(application).expect("a client");
    let asking = Asking { application, client, confirmation: &confirmation, caller: None, correlation_id: "c" };
    gateway.device_grant(asking, code, now).await
}

async fn decided(gateway: &Gateway, code: &DeviceCode, decision: &DeviceDecision<Map<String, Value>>) {
    let key = DeviceDecision::key(code.grant_id());
    gateway.sessions.commit(vec![Op::Put { key, value: encode(decision).expect("JSON"), ttl: 60 }]).await.expect("written");
}

#[tokio::test]
async fn a_device_waits_until_the_person_has_decided() {
    let mut gateway = gateway().await;
    second_client(&mut gateway, "wiki", SECRET);
    let (code, now) = (waiting(&gateway, 60).await, Timestamp::now());
    assert_eq!(kind(polled(&gateway, &code, "notes", now).await), ErrorKind::AuthorizationPending);
    assert_eq!(kind(polled(&gateway, &code, "notes", now.plus_seconds(1)).await), ErrorKind::SlowDown);
    assert_eq!(kind(polled(&gateway, &code, "notes", now.plus_seconds(7)).await), ErrorKind::SlowDown, "ten seconds by now");
    assert_eq!(kind(polled(&gateway, &code, "notes", now.plus_seconds(23)).await), ErrorKind::AuthorizationPending);
    assert_eq!(kind(polled(&gateway, &code, "wiki", now.plus_seconds(40)).await), ErrorKind::InvalidGrant);
    let approved = DeviceDecision::Approved(Box::new(a_grant(&gateway, "openid offline_access").await));
    decided(&gateway, &code, &approved).await;
    assert_eq!(kind(polled(&gateway, &code, "wiki", now.plus_seconds(40)).await), ErrorKind::InvalidGrant);
    let tokens = polled(&gateway, &code, "notes", now.plus_seconds(40)).await.expect("tokens");
    assert!(tokens.response.refresh_token.is_some() && tokens.response.access_token.grant_id() == code.grant_id());
    assert_eq!(kind(polled(&gateway, &code, "notes", now.plus_seconds(50)).await), ErrorKind::InvalidGrant, "one use");
}

#[tokio::test]
async fn a_device_learns_of_a_refusal_and_of_its_time() {
    let (gateway, now) = (gateway().await, Timestamp::now());
    let code = waiting(&gateway, 60).await;
    decided(&gateway, &code, &DeviceDecision::Denied).await;
    assert_eq!(kind(polled(&gateway, &code, "notes", now).await), ErrorKind::AccessDenied);
    assert_eq!(kind(polled(&gateway, &code, "notes", now).await), ErrorKind::InvalidGrant);
    let code = waiting(&gateway, 60).await;
    assert_eq!(kind(polled(&gateway, &code, "notes", now.plus_seconds(61)).await), ErrorKind::ExpiredToken);
    assert_eq!(kind(polled(&gateway, &DeviceCode::issue(&id::random_id()).expect("a code"), "notes", now).await), ErrorKind::InvalidGrant);
}
