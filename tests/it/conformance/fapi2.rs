//! Modules of the plan FAPI 2.0 Security Profile Final, for `plain_fapi`, `private_key_jwt`, DPoP, OpenID Connect and requests
//! that are pushed plainly. Their names have the plan's prefix `fapi2-security-profile-final-`.

use super::fapi2_client::{Client, Fapi, bound, refusal, request_uri, text, thumbprint};
use super::suite::{PROFILE, part, person};
use crate::harness::app::{assert_oauth_error, challenge};
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::Setup;
use crate::harness::idp::Sign;
use crate::harness::keys::Pair;
use isthmus::clock::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// An access token, by a whole login.
async fn token(fapi: &Fapi, client: &Client) -> Value {
    let code = fapi.code(client, &[]).await;
    bound(&fapi.redeem(client, &code, &[]).await)
}

async fn at_resource(fapi: &Fapi, client: &Client, token: &str) -> Page {
    fapi.resource("DPoP", token, Some(&fapi.resource_proof(&client.dpop, token, &json!({})))).await
}

#[tokio::test]
async fn fapi2_security_profile_final_discovery_end_point_verification() {
    let fapi = Fapi::new().await;
    let page = Browser::new().open(fapi.gateway.url("/.well-known/openid-configuration").as_str()).await.here();
    let discovery = page.json();
    let has = |name: &str, value: &str| discovery[name].as_array().is_some_and(|values| values.contains(&json!(value)));
    assert!(
        discovery["pushed_authorization_request_endpoint"].is_string()
            && discovery["authorization_response_iss_parameter_supported"] == true
    );
    for (name, value) in [
        ("response_types_supported", "code"),
        ("grant_types_supported", "authorization_code"),
        ("token_endpoint_auth_methods_supported", "private_key_jwt"),
        ("token_endpoint_auth_signing_alg_values_supported", "PS256"),
        ("token_endpoint_auth_signing_alg_values_supported", "ES256"),
        ("id_token_signing_alg_values_supported", "ES256"),
        ("dpop_signing_alg_values_supported", "ES256"),
        ("code_challenge_methods_supported", "S256"),
        ("scopes_supported", "openid"),
    ] {
        assert!(has(name, value), "{name}: {discovery}");
    }
    assert!(!has("code_challenge_methods_supported", "plain"));
}

/// Both clients; and what was given to one is worth nothing with the other's key, or with none.
#[tokio::test]
async fn fapi2_security_profile_final_happy_flow() {
    let fapi = Fapi::new().await;
    for (client, other) in [(&fapi.first, &fapi.second), (&fapi.second, &fapi.first)] {
        let told = token(&fapi, client).await;
        let (access_token, id_token) = (text(&told, "access_token"), text(&told, "id_token"));
        assert_eq!(part(&id_token, 0)["alg"], "ES256");
        let claims = part(&id_token, 1);
        assert_eq!((&claims["nonce"], &claims["aud"]), (&json!("a-nonce"), &json!(client.client_id)));
        assert_eq!(at_resource(&fapi, client, &access_token).await.json()["sub"], claims["sub"]);
        assert_eq!(at_resource(&fapi, other, &access_token).await.status, 401);
        assert_eq!(fapi.resource("Bearer", &access_token, None).await.status, 401);
    }
}

#[tokio::test]
async fn fapi2_security_profile_final_user_rejects_authentication() {
    let fapi = Fapi::new().await;
    for client in [&fapi.first, &fapi.second] {
        let page = fapi.push(client, &[], None).await;
        let browser = Browser::new();
        let away = browser.open(fapi.taken_up(client, &request_uri(&page), &[]).as_str()).await.away();
        let answer = fapi.idp.respond_with(&fapi.idp.read(&away), &person(), |response| {
            response.status = vec!["Responder", "AuthnFailed"];
            response.sign = Sign::Response;
        });
        let answer = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
        let found = ["error", "state", "iss"].map(|name| answer.parameter(name).unwrap_or_default());
        assert_eq!(found, ["access_denied".to_owned(), "a-state".to_owned(), fapi.gateway.issuer()]);
    }
}

/// A login with these changes; gives the claims of its ID token and the state of its answer.
async fn succeeds(changes: &[(&str, &str)], beside: &[(&str, &str)]) -> (Value, Option<String>) {
    let fapi = Fapi::new().await;
    let answer = fapi.answer(&fapi.first, changes, beside).await;
    let code = fapi.code_of(&fapi.first, &answer);
    let told = bound(&fapi.redeem(&fapi.first, &code, &[]).await);
    (part(&text(&told, "id_token"), 1), answer.parameter("state"))
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_authorization_request_without_state_success() {
    assert_eq!(succeeds(&[("state", "")], &[]).await.1, None);
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_authorization_request_without_nonce_success() {
    assert_eq!(succeeds(&[("nonce", "")], &[]).await.0.get("nonce"), None);
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_authorization_request_with_64_char_nonce_success() {
    let nonce = "n".repeat(64);
    assert_eq!(succeeds(&[("nonce", &nonce)], &[]).await.0["nonce"], nonce.as_str());
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_authorization_request_with_long_nonce() {
    let nonce = "n".repeat(384);
    assert_eq!(succeeds(&[("nonce", &nonce)], &[]).await.0["nonce"], nonce.as_str());
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_authorization_request_with_long_state() {
    let state = "s".repeat(1000);
    assert_eq!(succeeds(&[("state", &state)], &[]).await.1, Some(state));
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_other_scope_order_succeeds() {
    succeeds(&[("scope", "email openid")], &[]).await;
}

/// What stands beside a pushed request does not count.
#[tokio::test]
async fn fapi2_security_profile_final_ensure_different_nonce_inside_and_outside_request_object() {
    assert_eq!(succeeds(&[], &[("nonce", "another")]).await.0["nonce"], "a-nonce");
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_different_state_inside_and_outside_request_object() {
    assert_eq!(succeeds(&[], &[("state", "another")]).await.1.as_deref(), Some("a-state"));
}

#[tokio::test]
async fn fapi2_security_profile_final_state_only_outside_request_object_not_used() {
    let (claims, state) = succeeds(&[("state", "")], &[("state", "outside")]).await;
    assert_eq!((claims.get("s_hash"), state), (None, None));
}

/// Every standard claim that the identity provider said, asked for by its name.
#[tokio::test]
async fn fapi2_security_profile_final_test_claims_parameter_identity_claims() {
    let fapi = Fapi::new().await;
    let known = [PROFILE.as_slice(), &["email", "email_verified", "address", "phone_number"]].concat();
    let said: Vec<_> = known.into_iter().filter(|name| !["profile", "updated_at"].contains(name)).collect();
    let asked: Value = Value::Object(said.iter().map(|name| ((*name).to_owned(), Value::Null)).collect());
    let claims = json!({ "id_token": asked, "userinfo": asked }).to_string();
    let code = fapi.code(&fapi.first, &[("claims", &claims)]).await;
    let told = bound(&fapi.redeem(&fapi.first, &code, &[]).await);
    let (id_token, shown) = (part(&text(&told, "id_token"), 1), at_resource(&fapi, &fapi.first, &text(&told, "access_token")).await.json());
    for name in said {
        assert!(id_token.get(name).is_some() && id_token.get(name) == shown.get(name), "{name}: {id_token} {shown}");
    }
}

#[tokio::test]
async fn fapi2_security_profile_final_access_token_type_header_case_sensitivity() {
    let fapi = Fapi::new().await;
    let access_token = text(&token(&fapi, &fapi.first).await, "access_token");
    for scheme in ["DPoP", "dpop", "DPOP", "dPoP"] {
        let proof = fapi.resource_proof(&fapi.first.dpop, &access_token, &json!({}));
        assert_eq!(fapi.resource(scheme, &access_token, Some(&proof)).await.status, 200, "{scheme}");
    }
}

/// Proofs with these claims are taken at all three endpoints.
async fn proofs(changes: impl Fn() -> Value) {
    let fapi = Fapi::new().await;
    let (client, post) = (&fapi.first, &Method::POST);
    let pushed = fapi.push(client, &[], Some(&fapi.proof(&client.dpop, post, "/oauth/par", None, &changes()))).await;
    let answer = fapi.sign_in(&Browser::new(), &fapi.taken_up(client, &request_uri(&pushed), &[])).await;
    let code = fapi.code_of(client, &answer);
    let proof = fapi.proof(&client.dpop, post, "/oauth/token", None, &changes());
    let told = bound(&fapi.redeem_with(client, &code, &[], Some(&fapi.assertion(client, &json!({}))), Some(&proof)).await);
    let access_token = text(&told, "access_token");
    let proof = fapi.resource_proof(&client.dpop, &access_token, &changes());
    assert_eq!(fapi.resource("DPoP", &access_token, Some(&proof)).await.status, 200);
}

#[tokio::test]
async fn fapi2_security_profile_final_check_dpop_proof_nbf_exp() {
    proofs(|| json!({ "nbf": Timestamp::now().seconds(), "exp": Timestamp::now().seconds() + 60 })).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_dpopproof_with_iat_10seconds_before_succeeds() {
    proofs(|| json!({ "iat": Timestamp::now().seconds() - 10 })).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_dpopproof_with_iat_10seconds_after_succeeds() {
    proofs(|| json!({ "iat": Timestamp::now().seconds() + 10 })).await;
}

/// The proof at the PAR endpoint is of another key than `dpop_jkt` names.
#[tokio::test]
async fn fapi2_security_profile_final_ensure_mismatched_dpop_jkt_fails() {
    let fapi = Fapi::new().await;
    let proof = fapi.proof(&fapi.first.dpop, &Method::POST, "/oauth/par", None, &json!({}));
    let page = fapi.push(&fapi.first, &[("dpop_jkt", &thumbprint(&Pair::ec("other")))], Some(&proof)).await;
    assert_eq!(page.status, 400, "{}", page.body);
    assert!(["invalid_request", "invalid_dpop_proof"].contains(&text(&page.json(), "error").as_str()), "{}", page.body);
}

/// A code that was bound by a proof, or by `dpop_jkt`, is worth something with that key alone.
async fn code_binding(proof_at_par: bool, jkt: bool, same_key: bool) {
    let fapi = Fapi::new().await;
    let client = &fapi.first;
    let thumbprint = client.jkt();
    let changes: &[(&str, &str)] = if jkt { &[("dpop_jkt", &thumbprint)] } else { &[] };
    let proof = proof_at_par.then(|| fapi.proof(&client.dpop, &Method::POST, "/oauth/par", None, &json!({})));
    let pushed = fapi.push(client, changes, proof.as_deref()).await;
    let answer = fapi.sign_in(&Browser::new(), &fapi.taken_up(client, &request_uri(&pushed), &[])).await;
    let code = fapi.code_of(client, &answer);
    let other = Pair::ec("other");
    let proof = fapi.proof(if same_key { &client.dpop } else { &other }, &Method::POST, "/oauth/token", None, &json!({}));
    let page = fapi.redeem_with(client, &code, &[], Some(&fapi.assertion(client, &json!({}))), Some(&proof)).await;
    if same_key {
        bound(&page);
    } else {
        assert_eq!(page.status, 400, "{}", page.body);
        assert!(["invalid_grant", "invalid_dpop_proof"].contains(&text(&page.json(), "error").as_str()), "{}", page.body);
    }
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt() {
    code_binding(true, false, false).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_token_endpoint_fails_with_mismatched_dpop_jkt() {
    code_binding(false, true, false).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_dpopproof_at_par_endpoint_binding_success() {
    code_binding(true, false, true).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_dpop_auth_code_binding_success() {
    code_binding(true, true, true).await;
}

/// Refused as it is pushed.
async fn not_pushed(changes: &[(&str, &str)], errors: &[&str]) {
    let fapi = Fapi::new().await;
    let page = fapi.push(&fapi.first, changes, None).await;
    assert_oauth_error(&page, 400, errors.iter().find(|error| page.json()["error"] == **error).expect("one of the errors"));
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_request_object_without_redirect_uri_fails() {
    not_pushed(&[("redirect_uri", "")], &["invalid_request"]).await;
}

/// The same of a plain request; the suite would also see the one registered address used.
#[tokio::test]
async fn fapi2_security_profile_final_ensure_redirect_uri_in_authorization_request() {
    not_pushed(&[("redirect_uri", "")], &["invalid_request"]).await;
}

/// RFC 9126 2.4 would allow it; here redirect URIs are registered.
#[tokio::test]
async fn fapi2_security_profile_final_plain_fapi_tolerate_unregistered_redirect_uri() {
    not_pushed(&[("redirect_uri", "https://suite.example/test/a/isthmus/callback/other")], &["invalid_request"]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_response_type_code_idtoken_fails() {
    not_pushed(&[("response_type", "code id_token")], &["unsupported_response_type", "unauthorized_client", "invalid_request"]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_response_type_token_fails() {
    not_pushed(&[("response_type", "token")], &["unsupported_response_type", "unauthorized_client", "invalid_request"]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_ensure_pkce_required() {
    not_pushed(&[("code_challenge", ""), ("code_challenge_method", "")], &["invalid_request"]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_plain_pkce_rejected() {
    not_pushed(&[("code_challenge_method", "plain")], &["invalid_request"]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_authorization_request_containing_request_uri_form_param() {
    not_pushed(&[("request_uri", "urn:ietf:params:oauth:request_uri:made-up")], &["invalid_request"]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_attempt_invalid_http_method() {
    let fapi = Fapi::new().await;
    let url = fapi.gateway.url("/oauth/par");
    let answer = fapi.gateway.client().put(url.clone()).form(&fapi.parameters(&fapi.first, &[])).send().await.expect("an answer");
    assert_eq!(Page::read(answer, &url).await.status, 405);
}

#[tokio::test]
async fn fapi2_security_profile_final_par_without_duplicate_parameters() {
    // Each of these tests takes requests up with `client_id` and `request_uri` alone.
    succeeds(&[], &[]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_unsigned_authorization_request_without_using_par_fails() {
    let fapi = Fapi::new().await;
    let mut url = fapi.gateway.url("/authorize");
    url.query_pairs_mut().extend_pairs(fapi.parameters(&fapi.first, &[]));
    assert_eq!(refusal(Browser::new().open(url.as_str()).await), "invalid_request");
}

/// The first visit signs nobody in; the second does.
#[tokio::test]
async fn fapi2_security_profile_final_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds() {
    let fapi = Fapi::new().await;
    let url = fapi.taken_up(&fapi.first, &request_uri(&fapi.push(&fapi.first, &[], None).await), &[]);
    let browser = Browser::new();
    browser.open(url.as_str()).await.away();
    let answer = fapi.sign_in(&browser, &url).await;
    fapi.code_of(&fapi.first, &answer);
}

/// Refused where it is taken up, on a page of ours: nothing else proves an address.
async fn not_taken_up(url: &Url) {
    Browser::new().open(url.as_str()).await.here().assert_refused(400, "ISTH-1022");
}

#[tokio::test]
async fn fapi2_security_profile_final_par_attempt_reuse_request_uri() {
    let fapi = Fapi::new().await;
    let url = fapi.taken_up(&fapi.first, &request_uri(&fapi.push(&fapi.first, &[], None).await), &[]);
    fapi.sign_in(&Browser::new(), &url).await;
    not_taken_up(&url).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_attempt_to_use_expired_request_uri() {
    let fapi = Fapi::new().await;
    let page = fapi.push(&fapi.first, &[], None).await;
    tokio::time::sleep(Duration::from_secs(page.json()["expires_in"].as_u64().expect("seconds") + 1)).await;
    not_taken_up(&fapi.taken_up(&fapi.first, &request_uri(&page), &[])).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_attempt_to_use_request_uri_for_different_client() {
    let fapi = Fapi::new().await;
    let uri = request_uri(&fapi.push(&fapi.first, &[], None).await);
    not_taken_up(&fapi.taken_up(&fapi.second, &uri, &[])).await;
}

/// A code with this token request is refused.
async fn not_redeemed(changes: &[(&str, &str)]) {
    let fapi = Fapi::new().await;
    let code = fapi.code(&fapi.first, &[]).await;
    assert_oauth_error(&fapi.redeem(&fapi.first, &code, changes).await, 400, "invalid_grant");
}

/// The second client's id and an assertion in its name, signed by the first client's key.
#[tokio::test]
async fn fapi2_security_profile_final_ensure_client_id_in_token_endpoint() {
    let fapi = Fapi::new().await;
    let code = fapi.code(&fapi.first, &[]).await;
    let assertion = fapi.assertion(&fapi.first, &json!({ "iss": "second", "sub": "second" }));
    let proof = fapi.proof(&fapi.first.dpop, &Method::POST, "/oauth/token", None, &json!({}));
    let page = fapi.redeem_with(&fapi.first, &code, &[("client_id", "second")], Some(&assertion), Some(&proof)).await;
    assert_oauth_error(&page, 401, "invalid_client");
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_pkce_code_verifier_required() {
    not_redeemed(&[("code_verifier", "")]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_incorrect_pkce_code_verifier_rejected() {
    not_redeemed(&[("code_verifier", &challenge("another verifier"))]).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_holder_of_key_required() {
    let fapi = Fapi::new().await;
    let code = fapi.code(&fapi.first, &[]).await;
    let page = fapi.redeem_with(&fapi.first, &code, &[], Some(&fapi.assertion(&fapi.first, &json!({}))), None).await;
    assert!([400, 401].contains(&page.status), "{}", page.body);
    assert!(["invalid_dpop_proof", "invalid_request", "invalid_grant"].contains(&text(&page.json(), "error").as_str()), "{}", page.body);
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_authorization_code_is_bound_to_client() {
    let fapi = Fapi::new().await;
    let code = fapi.code(&fapi.first, &[]).await;
    let page = fapi.redeem(&fapi.second, &code, &[("redirect_uri", &fapi.first.callback)]).await;
    assert_oauth_error(&page, 400, "invalid_grant");
}

#[tokio::test]
async fn fapi2_security_profile_final_attempt_reuse_authorization_code_after_one_second() {
    let fapi = Fapi::new().await;
    let code = fapi.code(&fapi.first, &[]).await;
    let access_token = text(&bound(&fapi.redeem(&fapi.first, &code, &[]).await), "access_token");
    assert_eq!(at_resource(&fapi, &fapi.first, &access_token).await.status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_oauth_error(&fapi.redeem(&fapi.first, &code, &[]).await, 400, "invalid_grant");
    assert_eq!(at_resource(&fapi, &fapi.first, &access_token).await.status, 401);
}

/// A code lives for a minute at most; here it lives for five seconds.
#[tokio::test]
async fn fapi2_security_profile_final_ensure_token_endpoint_fails_with_expired_auth_code() {
    let fapi = Fapi::with(|setup| Setup { lifetimes: "code = 5".to_owned(), ..setup }).await;
    let code = fapi.code(&fapi.first, &[]).await;
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    assert_oauth_error(&fapi.redeem(&fapi.first, &code, &[]).await, 400, "invalid_grant");
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_client_assertion_in_token_endpoint() {
    let fapi = Fapi::new().await;
    let code = fapi.code(&fapi.first, &[]).await;
    let proof = fapi.proof(&fapi.first.dpop, &Method::POST, "/oauth/token", None, &json!({}));
    let page = fapi.redeem_with(&fapi.first, &code, &[], None, Some(&proof)).await;
    assert_oauth_error(&page, 401, "invalid_client");
}

/// A client assertion with these claims at the PAR endpoint and at the token endpoint, where it must fail or succeed.
async fn assertion(changes: impl Fn(&Fapi) -> Value, good: bool) {
    let fapi = Fapi::new().await;
    let client = &fapi.first;
    let page = fapi.push_as(client, &[], Some(&fapi.assertion(client, &changes(&fapi))), None).await;
    let code = fapi.code(client, &[]).await;
    let proof = fapi.proof(&client.dpop, &Method::POST, "/oauth/token", None, &json!({}));
    let at_token = fapi.redeem_with(client, &code, &[], Some(&fapi.assertion(client, &changes(&fapi))), Some(&proof)).await;
    if good {
        request_uri(&page);
        bound(&at_token);
    } else {
        assert_oauth_error(&page, 401, "invalid_client");
        assert_oauth_error(&at_token, 401, "invalid_client");
    }
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails() {
    assertion(|_| json!({ "exp": Timestamp::now().seconds() - 300 }), false).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_client_assertion_with_wrong_aud_fails() {
    assertion(|_| json!({ "aud": "https://other.example" }), false).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_ensure_client_assertion_with_no_sub_fails() {
    assertion(|_| json!({ "sub": null }), false).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_ensure_jwt_client_assertions_nbf_8_seconds_in_the_future_is_accepted() {
    let soon = || Timestamp::now().seconds() + 8;
    assertion(|_| json!({ "nbf": soon(), "iat": soon() }), true).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_ensure_jwt_client_assertions_nbf_over_60_seconds_in_the_future_fails() {
    let late = || Timestamp::now().seconds() + 65;
    assertion(|_| json!({ "nbf": late(), "iat": late(), "exp": late() + 60 }), false).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_test_array_as_audience_fails() {
    assertion(|fapi| json!({ "aud": [fapi.gateway.issuer()] }), false).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_test_par_endpoint_url_as_audience_fails() {
    assertion(|fapi| json!({ "aud": fapi.gateway.url("/oauth/par").as_str() }), false).await;
}

#[tokio::test]
async fn fapi2_security_profile_final_par_test_token_endpoint_url_as_audience_fails() {
    assertion(|fapi| json!({ "aud": fapi.gateway.url("/oauth/token").as_str() }), false).await;
}

/// In one module: what single ones have, and what is missing around an assertion.
#[tokio::test]
async fn fapi2_security_profile_final_ensure_invalid_client_assertions_fail() {
    let fapi = Fapi::new().await;
    let client = &fapi.first;
    let with = |changes: Value| fapi.assertion(client, &changes);
    let (good, now) = (with(json!({})), Timestamp::now().seconds());
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let sent = |assertion: &str, kind: &str| {
        let mut form = fapi.parameters(client, &[]);
        let pairs = [("client_assertion", assertion), ("client_assertion_type", kind)].into_iter().filter(|(_, value)| !value.is_empty());
        form.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        form
    };
    for (what, form) in [
        ("none", sent("", "")),
        ("no type", sent(&good, "")),
        ("another type", sent(&good, "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")),
        ("no subject", sent(&with(json!({ "sub": null })), kind)),
        ("another subject", sent(&with(json!({ "sub": "second" })), kind)),
        ("no issuer", sent(&with(json!({ "iss": null })), kind)),
        ("another issuer", sent(&with(json!({ "iss": "second" })), kind)),
        ("no audience", sent(&with(json!({ "aud": null })), kind)),
        ("another audience", sent(&with(json!({ "aud": "https://other.example" })), kind)),
        ("this endpoint", sent(&with(json!({ "aud": fapi.gateway.url("/oauth/par").as_str() })), kind)),
        ("the token endpoint", sent(&with(json!({ "aud": fapi.gateway.url("/oauth/token").as_str() })), kind)),
        ("a list", sent(&with(json!({ "aud": [fapi.gateway.issuer(), "https://other.example"] })), kind)),
        ("expired", sent(&with(json!({ "exp": now - 300 })), kind)),
        ("of the future", sent(&with(json!({ "iat": now + 65, "nbf": now + 65, "exp": now + 120 })), kind)),
        ("no end", sent(&with(json!({ "exp": null })), kind)),
        ("no jti", sent(&with(json!({ "jti": null })), kind)),
        ("no signature", sent(&super::suite::unsigned(&part(&good, 1)), kind)),
        ("a broken signature", sent(&format!("{}AAAA", &good[..good.len() - 4]), kind)),
    ] {
        let page = fapi.post("/oauth/par", form, None, None).await;
        let error = page.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(
            [400, 401].contains(&page.status) && ["invalid_client", "invalid_request"].contains(&error.as_str()),
            "{what}: {}",
            page.body
        );
    }
    request_uri(&fapi.push_as(client, &[], Some(&with(json!({ "iat": now + 8, "nbf": now + 8 }))), None).await);
    request_uri(&fapi.push_as(client, &[], Some(&good), None).await);
}

/// The client's key is RSA, and the signature is in order: RS256 is not.
#[tokio::test]
async fn fapi2_security_profile_final_ensure_signed_client_assertion_with_rs256_fails() {
    let key = super::suite::Key::new();
    let toml = format!(
        "client_id = \"rsa\"\nname = \"The RSA client\"\n[application.oidc]\nsecurity_profile = \"fapi2\"\nredirect_uris = [\"{}\"]\n\
         token_endpoint_auth_method = \"private_key_jwt\"\ndpop_bound_access_tokens = true\njwks_file = \"rsa.json\"\n",
        super::suite::CALLBACK
    );
    // Without `alg`: the key itself would do for PS256.
    let mut jwks = key.jwks();
    jwks["keys"][0].as_object_mut().expect("a key").remove("alg");
    let fapi = Fapi::with(|setup| setup.application(&toml).file("rsa.json", &jwks.to_string())).await;
    let client =
        Client { client_id: "rsa".to_owned(), callback: super::suite::CALLBACK.to_owned(), key: Pair::ec("x"), dpop: Pair::ec("x") };
    let assertion = key.assertion("rsa", &fapi.gateway.issuer());
    assert_oauth_error(&fapi.push_as(&client, &[], Some(&assertion), None).await, 401, "invalid_client");
    let assertion = key.assertion_by_ps256("rsa", &fapi.gateway.issuer());
    request_uri(&fapi.push_as(&client, &[], Some(&assertion), None).await);
}

#[tokio::test]
async fn fapi2_security_profile_final_dpop_negative_tests() {
    let fapi = Fapi::new().await;
    let (client, other) = (&fapi.first, Pair::ec("other"));
    let access_token = text(&token(&fapi, client).await, "access_token");
    let proof = |changes: Value| fapi.resource_proof(&client.dpop, &access_token, &changes);
    let now = Timestamp::now().seconds();
    let of = |method: &Method, path: &str, token: Option<&str>| fapi.proof(&client.dpop, method, path, token, &json!({}));
    let header = |header: Value| super::fapi2_client::es256(&client.dpop, &header, &part(&proof(json!({})), 1));
    let jwk = super::fapi2_client::jwk(&client.dpop);
    let good = proof(json!({}));
    for (what, proof) in [
        ("another key", fapi.resource_proof(&other, &access_token, &json!({}))),
        ("another method", of(&Method::POST, "/userinfo", Some(&access_token))),
        ("another address", of(&Method::GET, "/oauth/token", Some(&access_token))),
        ("another token", of(&Method::GET, "/userinfo", Some("x"))),
        ("no token", of(&Method::GET, "/userinfo", None)),
        ("no method", proof(json!({ "htm": null }))),
        ("no address", proof(json!({ "htu": null }))),
        ("no jti", proof(json!({ "jti": null }))),
        ("no time", proof(json!({ "iat": null }))),
        ("long ago", proof(json!({ "iat": now - 3600 }))),
        ("of the future", proof(json!({ "iat": now + 3600 }))),
        ("another type", header(json!({ "typ": "JWT", "alg": "ES256", "jwk": jwk }))),
        ("no type", header(json!({ "alg": "ES256", "jwk": jwk }))),
        ("no key", header(json!({ "typ": "dpop+jwt", "alg": "ES256" }))),
        ("another algorithm", header(json!({ "typ": "dpop+jwt", "alg": "PS256", "jwk": jwk }))),
        ("no algorithm", header(json!({ "typ": "dpop+jwt", "alg": "none", "jwk": jwk }))),
        ("a broken signature", format!("{}AAAA", &good[..good.len() - 4])),
        ("nothing", "x".to_owned()),
    ] {
        let page = fapi.resource("DPoP", &access_token, Some(&proof)).await;
        assert!(page.status == 401 && page.header("www-authenticate").contains("invalid"), "{what}: {} {:?}", page.status, page.headers);
    }
    assert_eq!(fapi.resource("DPoP", &access_token, None).await.status, 401, "no proof");
    assert_eq!(fapi.resource("Bearer", &access_token, Some(&proof(json!({})))).await.status, 401, "as a bearer token");
    assert_eq!(fapi.resource("DPoP", &access_token, Some(&good)).await.status, 200);
    assert_eq!(fapi.resource("DPoP", &access_token, Some(&good)).await.status, 401, "the same proof once more");
}

/// A refresh needs the client and a proof, and the client may have another key by then.
#[tokio::test]
async fn fapi2_security_profile_final_refresh_token() {
    let fapi = Fapi::new().await;
    for (client, other) in [(&fapi.first, &fapi.second), (&fapi.second, &fapi.first)] {
        let code = fapi.code(client, &[("scope", "openid offline_access"), ("prompt", "consent")]).await;
        let first = bound(&fapi.redeem(client, &code, &[]).await);
        let token = text(&first, "refresh_token");
        let assertion = |client: &Client| fapi.assertion(client, &json!({}));
        let proof = |pair: &Pair| fapi.proof(pair, &Method::POST, "/oauth/token", None, &json!({}));
        assert_oauth_error(&fapi.refresh(client, &token, None, Some(&proof(&client.dpop))).await, 401, "invalid_client");
        assert_eq!(fapi.refresh(client, &token, Some(&assertion(client)), None).await.status, 400);
        let stolen = fapi.refresh(other, &token, Some(&assertion(other)), Some(&proof(&other.dpop))).await;
        assert_oauth_error(&stolen, 400, "invalid_grant");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let next = Pair::ec("next");
        let told = bound(&fapi.refresh(client, &token, Some(&assertion(client)), Some(&proof(&next))).await);
        let (before, after) = (part(&text(&first, "id_token"), 1), part(&text(&told, "id_token"), 1));
        for name in ["iss", "sub", "aud", "auth_time"] {
            assert_eq!(before[name], after[name], "{name}");
        }
        let access_token = text(&told, "access_token");
        assert_ne!(access_token, text(&first, "access_token"));
        assert_eq!(fapi.resource("DPoP", &access_token, Some(&fapi.resource_proof(&next, &access_token, &json!({})))).await.status, 200);
    }
}
