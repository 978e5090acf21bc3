//! Modules of the plans Config, Dynamic and Third-Party-Initiated Login.

use super::requests::{Served, refreshed};
use super::suite::{CALLBACK, Client, KINDS, Key, Suite, part, registration, verify_rs256};
use crate::api::Api;
use crate::harness::app::assert_oauth_error;
use crate::harness::browser::Page;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// Members of provider metadata that the registry of OAuth has (IANA, "OAuth Authorization Server Metadata"), as far as a
/// provider like this one may have them. Of others the suite warns.
const KNOWN: &str = "issuer authorization_endpoint token_endpoint jwks_uri registration_endpoint scopes_supported \
    response_types_supported response_modes_supported grant_types_supported token_endpoint_auth_methods_supported \
    token_endpoint_auth_signing_alg_values_supported service_documentation ui_locales_supported op_policy_uri op_tos_uri \
    revocation_endpoint revocation_endpoint_auth_methods_supported revocation_endpoint_auth_signing_alg_values_supported \
    introspection_endpoint introspection_endpoint_auth_methods_supported introspection_endpoint_auth_signing_alg_values_supported \
    code_challenge_methods_supported device_authorization_endpoint tls_client_certificate_bound_access_tokens mtls_endpoint_aliases \
    userinfo_endpoint acr_values_supported subject_types_supported id_token_signing_alg_values_supported \
    id_token_encryption_alg_values_supported id_token_encryption_enc_values_supported userinfo_signing_alg_values_supported \
    userinfo_encryption_alg_values_supported userinfo_encryption_enc_values_supported request_object_signing_alg_values_supported \
    request_object_encryption_alg_values_supported request_object_encryption_enc_values_supported display_values_supported \
    claim_types_supported claims_supported claims_locales_supported claims_parameter_supported request_parameter_supported \
    request_uri_parameter_supported require_request_uri_registration require_signed_request_object \
    pushed_authorization_request_endpoint require_pushed_authorization_requests introspection_signing_alg_values_supported \
    introspection_encryption_alg_values_supported introspection_encryption_enc_values_supported \
    authorization_response_iss_parameter_supported check_session_iframe frontchannel_logout_supported \
    backchannel_logout_supported backchannel_logout_session_supported end_session_endpoint frontchannel_logout_session_supported \
    prompt_values_supported dpop_signing_alg_values_supported";

/// Public keys only, each with a name of its own, in base64url without more.
#[track_caller]
fn check_jwks(jwks: &Value) -> HashSet<String> {
    let keys = jwks["keys"].as_array().expect("keys");
    for key in keys {
        assert!(["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().all(|private| key.get(*private).is_none()) && key["kty"] != "oct");
        let numbers = ["n", "e", "x", "y"].into_iter().filter_map(|name| key[name].as_str());
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        assert!(numbers.into_iter().all(plain), "{key}");
    }
    let names: HashSet<String> = keys.iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect();
    assert_eq!(names.len(), keys.len(), "{jwks}");
    names
}

#[tokio::test]
async fn oidcc_discovery_endpoint_verification() {
    let suite = Suite::open().await;
    let discovery = suite.discovery().await;
    let has = |name: &str, value: &str| discovery[name].as_array().is_some_and(|values| values.contains(&json!(value)));
    assert_eq!(discovery["issuer"], suite.gateway.issuer());
    for (name, values) in [
        ("response_types_supported", &["code", "id_token", "id_token token"][..]),
        ("grant_types_supported", &["authorization_code", "implicit"]),
        ("subject_types_supported", &["public", "pairwise"]),
        ("id_token_signing_alg_values_supported", &["RS256"]),
        ("userinfo_signing_alg_values_supported", &["RS256"]),
        ("request_object_signing_alg_values_supported", &["RS256", "none"]),
        ("scopes_supported", &["openid"]),
        ("claims_supported", &["sub", "name", "email"]),
        ("code_challenge_methods_supported", &["S256"]),
        ("ui_locales_supported", &["en"]),
    ] {
        assert!(values.iter().all(|value| has(name, value)), "{name}: {discovery}");
    }
    for name in ["request_parameter_supported", "request_uri_parameter_supported", "claims_parameter_supported"] {
        assert_eq!(discovery[name], true, "{name}");
    }
    let members = discovery.as_object().expect("an object");
    for (name, value) in members {
        assert!(KNOWN.split_whitespace().any(|known| known == name), "{name} is in no registry");
        assert!(!value.is_null() && value.as_array().is_none_or(|values| !values.is_empty()), "{name}: {value}");
    }
    // Of the gateway's own address, with its scheme: https where there is a certificate.
    let endpoints = members.iter().filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
    assert!(endpoints.clone().count() > 6);
    for (name, address) in endpoints {
        assert!(address.as_str().is_some_and(|address| address.starts_with(&suite.gateway.issuer())), "{name}: {address}");
    }
    check_jwks(&suite.jwks().await);
}

/// A client that registered by `members`, and a whole login by each type that gives codes.
async fn registered(members: Value) {
    let suite = Suite::open().await;
    let mut body = json!({ "grant_types": ["authorization_code", "implicit"], "response_types": KINDS });
    body.as_object_mut().expect("an object").extend(members.as_object().expect("members").clone());
    let client = suite.register(&body).await;
    for kind in KINDS {
        suite.run_of(&client, kind, "").whole(&[]).await;
    }
}

#[tokio::test]
async fn oidcc_idtoken_rs256() {
    registered(json!({ "id_token_signed_response_alg": "RS256" })).await;
}

#[tokio::test]
async fn oidcc_userinfo_rs256() {
    let suite = Suite::dynamic(&json!({ "userinfo_signed_response_alg": "RS256" })).await;
    let run = suite.run("code", "");
    let answer = run.go(&[]).await;
    let told = Suite::good(&suite.redeem(&suite.client, &answer.parameter("code").expect("a code")).await);
    let page = crate::harness::app::userinfo(&suite.gateway, told["access_token"].as_str().expect("a token")).await;
    assert_eq!((page.status, page.header("content-type")), (200, "application/jwt"), "{}", page.body);
    let (header, claims) = (part(&page.body, 0), part(&page.body, 1));
    let jwks = suite.jwks().await;
    let key = jwks["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]).expect("its key");
    assert_eq!(header["alg"], "RS256");
    verify_rs256(&page.body, key);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(suite.gateway.issuer()), &json!(suite.client.client_id)));
    let id_token = part(told["id_token"].as_str().expect("an ID token"), 1);
    assert_eq!((&claims["sub"], claims.get("nonce")), (&id_token["sub"], None));
}

/// Refused on a page of ours, for a client with this redirect URI.
async fn refused(registered: &str, asked: &str, code: &str) {
    let suite = Suite::dynamic(&json!({ "redirect_uris": [registered] })).await;
    let run = suite.run("code", "");
    run.browser.open(run.url(&[("redirect_uri", asked)]).as_str()).await.here().assert_refused(400, code);
}

#[tokio::test]
async fn oidcc_ensure_redirect_uri_in_authorization_request() {
    refused(CALLBACK, "", "ISTH-1001").await;
}

/// What was registered in the query is there still, beside what is answered.
#[tokio::test]
async fn oidcc_redirect_uri_query_ok() {
    let suite = Suite::dynamic(&json!({ "redirect_uris": [format!("{CALLBACK}?foo=bar")] })).await;
    let outcome = suite.run("code", "").whole(&[]).await;
    assert!(outcome.code.is_some());
}

#[tokio::test]
async fn oidcc_redirect_uri_query_added() {
    refused(CALLBACK, &format!("{CALLBACK}?foo=bar"), "ISTH-1008").await;
}

#[tokio::test]
async fn oidcc_redirect_uri_query_mismatch() {
    refused(&format!("{CALLBACK}?foo=bar"), &format!("{CALLBACK}?bar=foo"), "ISTH-1008").await;
}

/// Refused with this error, by a registration endpoint that answers in JSON.
async fn not_registered(suite: &Suite, members: &Value, error: &str) {
    assert_oauth_error(&suite.try_register(&registration(&Key::new(), members)).await, 400, error);
}

#[tokio::test]
async fn oidcc_redirect_uri_regfrag() {
    let members = json!({ "redirect_uris": [format!("{CALLBACK}#foobar")] });
    not_registered(&Suite::open().await, &members, "invalid_redirect_uri").await;
}

/// `aud` of the assertion is the issuer, and not the token endpoint as in all other modules.
#[tokio::test]
async fn oidcc_ensure_client_assertion_with_iss_aud_succeeds() {
    let suite = Suite::open().await;
    let key = Key::new();
    let told = suite.try_register(&registration(&key, &json!({}))).await.json();
    let mut client = Client::told(&told, key.clone());
    suite.run_of(&client, "code", "").whole(&[]).await;
    client.auth = super::suite::Auth::Key(key, Some(suite.gateway.issuer()));
    suite.run_of(&client, "code", "").whole(&[]).await;
}

/// People see the page that is registered: where they are asked, as the application is nobody's here.
async fn shown(member: &str, address: &str, policy: Option<&str>) {
    let suite = Suite::dynamic(&json!({ member: address })).await;
    let run = suite.run("code", "");
    let away = run.browser.open(run.url(&[]).as_str()).await.away();
    let answer = suite.idp.respond(&suite.idp.read(&away), &super::suite::person());
    let page: Page = run.browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    assert!(page.contains(address), "{}", page.body);
    let images = page.header("content-security-policy");
    assert!(policy.is_none_or(|policy| images.contains(policy)), "{images}");
}

#[tokio::test]
async fn oidcc_registration_logo_uri() {
    shown("logo_uri", "https://suite.example/logo.png", Some("img-src https://suite.example;")).await;
}

#[tokio::test]
async fn oidcc_registration_policy_uri() {
    shown("policy_uri", "https://suite.example/policy", None).await;
}

#[tokio::test]
async fn oidcc_registration_tos_uri() {
    shown("tos_uri", "https://suite.example/terms", None).await;
}

/// A client whose keys are where the suite serves them.
async fn by_jwks_uri(suite: &Suite, served: &Served, key: &Key) -> Client {
    served.show(key.jwks().to_string());
    let members = json!({ "jwks": null, "jwks_uri": served.address(), "grant_types": ["authorization_code", "refresh_token"] });
    let page = suite.try_register(&registration(key, &members)).await;
    assert_eq!(page.status, 201, "{}", page.body);
    Client::told(&page.json(), key.clone())
}

#[tokio::test]
async fn oidcc_registration_jwks_uri() {
    let (suite, served, key) = (Suite::open().await, Served::new("application/json").await, Key::named());
    let client = by_jwks_uri(&suite, &served, &key).await;
    suite.run_of(&client, "code", "").whole(&[]).await;
    assert!(!served.site.seen().is_empty());
}

/// The client's keys are others from now on. The suite waits for a minute; here the set was looked at by one login.
#[tokio::test]
async fn oidcc_refresh_token_rp_key_rotation() {
    let (suite, served, key) = (Suite::open().await, Served::new("application/json").await, Key::named());
    let mut client = by_jwks_uri(&suite, &served, &key).await;
    let token = refreshed(&suite, &client, "code", "").await;
    let next = Key::named();
    served.show(next.jwks().to_string());
    client.auth = super::suite::Auth::Key(next, None);
    // Sets are asked for again once in a minute at most.
    tokio::time::sleep(Duration::from_secs(61)).await;
    Suite::good(&suite.token(&client, &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await);
}

fn sector(served: &Served) -> Value {
    json!({ "subject_type": "pairwise", "sector_identifier_uri": served.address() })
}

#[tokio::test]
async fn oidcc_registration_sector_uri() {
    let (suite, served) = (Suite::open().await, Served::new("application/json").await);
    served.show(json!([CALLBACK]).to_string());
    let client = suite.register(&sector(&served)).await;
    let outcome = suite.run_of(&client, "code", "").whole(&[]).await;
    assert!(!outcome.claims()["sub"].as_str().expect("a subject").contains("suite-1"));
}

#[tokio::test]
async fn oidcc_registration_sector_bad() {
    let (suite, served) = (Suite::open().await, Served::new("application/json").await);
    served.show(json!(["https://suite.example/test/a/isthmus/other"]).to_string());
    not_registered(&suite, &sector(&served), "invalid_client_metadata").await;
}

/// A new key is there, and the old one too.
#[tokio::test]
async fn oidcc_server_rotate_keys() {
    let suite = Suite::open().await;
    let before = check_jwks(&suite.jwks().await);
    let api = Api::of(&suite.gateway).await;
    let rotated = api.post("/keys/signing/rotate", &json!({ "purpose": "oidc-rs256" })).await;
    assert_eq!(rotated.status, 201, "{}", rotated.body);
    let after = check_jwks(&suite.jwks().await);
    assert!(after.is_superset(&before) && after.len() > before.len(), "{before:?} {after:?}");
}

#[tokio::test]
async fn oidcc_3rd_party_init_login() {
    let suite = Suite::open().await;
    let address = "https://suite.example/test/a/isthmus/initiate_login";
    let told = suite.try_register(&registration(&Key::new(), &json!({ "initiate_login_uri": address }))).await;
    assert_eq!((told.status, &told.json()["initiate_login_uri"]), (201, &json!(address)), "{}", told.body);
    let text = |name: &str| told.json()[name].as_str().unwrap_or_default().to_owned();
    let place = text("registration_client_uri");
    let request = suite.gateway.client().get(&place).bearer_auth(text("registration_access_token"));
    let page = Page::read(request.send().await.expect("an answer"), &place.parse().expect("an address")).await;
    assert!(page.status == 200 && page.header("content-type").starts_with("application/json"), "{}", page.body);
    assert_eq!(page.json()["initiate_login_uri"], address);
}

#[tokio::test]
async fn oidcc_3rd_party_init_login_nohttps() {
    let members = json!({ "initiate_login_uri": "http://suite.example/test/a/isthmus/initiate_login" });
    not_registered(&Suite::open().await, &members, "invalid_client_metadata").await;
}
