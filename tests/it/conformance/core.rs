//! Modules of the plans Basic, Implicit, Hybrid and Form Post, each for the response types of those plans, in both modes.

use super::suite::{Auth, CALLBACK, Client, KINDS, MODES, PROFILE, Run, SECRET, Suite, application, check_standard_claims, part};
use crate::harness::app::{assert_oauth_error, userinfo};
use crate::harness::browser::Page;
use crate::harness::gateway::Setup;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// The types, and the modes of each.
fn plans() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.into_iter().flat_map(|kind| MODES.map(|mode| (kind, mode)))
}

fn gives_code(kind: &str) -> bool {
    kind.starts_with("code")
}

#[tokio::test]
async fn oidcc_server() {
    let suite = Suite::new().await;
    for (kind, mode) in plans() {
        let outcome = suite.run(kind, mode).whole(&[]).await;
        for token in [&outcome.front, &outcome.back].into_iter().flatten() {
            let claims = part(token, 1);
            // No claims of people, as only `openid` was asked for; and nothing that no specification knows.
            let known = "iss sub aud exp iat auth_time nonce acr amr sid at_hash c_hash s_hash";
            let unknown: Vec<_> =
                claims.as_object().expect("claims").keys().filter(|name| !known.split(' ').any(|one| one == **name)).collect();
            assert!(unknown.is_empty(), "{kind}: {claims}");
        }
    }
}

#[tokio::test]
async fn oidcc_server_client_secret_post() {
    let client = Client { client_id: "posting".to_owned(), auth: Auth::Post(SECRET.to_owned()), callback: CALLBACK.to_owned() };
    let suite = Suite::with("", |setup| setup.application(&application(&client, ""))).await;
    assert!(
        suite.discovery().await["token_endpoint_auth_methods_supported"]
            .as_array()
            .expect("methods")
            .contains(&json!("client_secret_post"))
    );
    for (kind, mode) in plans().filter(|(kind, _)| gives_code(kind)) {
        suite.run_of(&client, kind, mode).whole(&[]).await;
    }
}

/// An error to the application, or a page that says so.
#[tokio::test]
async fn oidcc_response_type_missing() {
    let suite = Suite::new().await;
    for mode in MODES {
        let run = suite.run("code", mode);
        assert_eq!(run.error(&run.silently(&[("response_type", "")]).await), "invalid_request");
    }
}

#[tokio::test]
async fn oidcc_idtoken_signature() {
    let suite = Suite::new().await;
    let jwks = suite.jwks().await;
    assert!(jwks["keys"].as_array().expect("keys").len() > 1, "only with several keys is a name of one needed");
    for (kind, mode) in plans() {
        // [`Suite::check_id_token`] finds the key by its name alone.
        suite.run(kind, mode).whole(&[]).await;
    }
}

/// Skipped by the suite: discovery does not list `none`. Nor does registration take it.
#[tokio::test]
async fn oidcc_idtoken_unsigned() {
    let suite = Suite::open().await;
    assert!(!suite.discovery().await["id_token_signing_alg_values_supported"].as_array().expect("algorithms").contains(&json!("none")));
    let body = super::suite::registration(&super::suite::Key::new(), &json!({ "id_token_signed_response_alg": "none" }));
    assert_oauth_error(&suite.try_register(&body).await, 400, "invalid_client_metadata");
}

async fn told(suite: &Suite, request: reqwest::RequestBuilder, sub: &Value) -> Page {
    let url = suite.gateway.url("/userinfo");
    let page = Page::read(request.send().await.expect("an answer"), &url).await;
    assert_eq!((page.status, page.header("content-type")), (200, "application/json"), "{}", page.body);
    check_standard_claims(&page.json());
    assert_eq!(page.json()["sub"], *sub);
    page
}

/// An access token of each type that gives one, and the subject of its login.
async fn tokens(suite: &Suite) -> Vec<(String, Value)> {
    let mut tokens = Vec::new();
    for (kind, mode) in plans().filter(|(kind, _)| *kind != "id_token") {
        let outcome = suite.run(kind, mode).whole(&[]).await;
        let sub = outcome.claims()["sub"].clone();
        tokens.push((outcome.access_token.expect("an access token"), sub));
    }
    tokens
}

#[tokio::test]
async fn oidcc_userinfo_get() {
    let suite = Suite::new().await;
    for (token, sub) in tokens(&suite).await {
        told(&suite, suite.gateway.client().get(suite.gateway.url("/userinfo")).bearer_auth(token), &sub).await;
    }
}

#[tokio::test]
async fn oidcc_userinfo_post_header() {
    let suite = Suite::new().await;
    for (token, sub) in tokens(&suite).await {
        told(&suite, suite.gateway.client().post(suite.gateway.url("/userinfo")).bearer_auth(token), &sub).await;
    }
}

#[tokio::test]
async fn oidcc_userinfo_post_body() {
    let suite = Suite::new().await;
    for (token, sub) in tokens(&suite).await {
        told(&suite, suite.gateway.client().post(suite.gateway.url("/userinfo")).form(&[("access_token", token)]), &sub).await;
    }
}

#[tokio::test]
async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow() {
    let suite = Suite::new().await;
    for (kind, mode) in plans().filter(|(kind, _)| matches!(*kind, "code" | "code token")) {
        Run { nonce: None, ..suite.run(kind, mode) }.whole(&[]).await;
    }
}

#[tokio::test]
async fn oidcc_ensure_request_without_nonce_fails() {
    let suite = Suite::new().await;
    for (kind, mode) in plans().filter(|(kind, _)| !matches!(*kind, "code" | "code token")) {
        let run = suite.run(kind, mode);
        assert_eq!(run.error(&run.silently(&[("nonce", "")]).await), "invalid_request", "{kind}");
    }
}

/// All claims of the scopes, where the type shows them.
async fn scopes(scopes: &str, claims: &[&str]) {
    let suite = Suite::new().await;
    let known = suite.discovery().await["scopes_supported"].clone();
    assert!(scopes.split(' ').all(|scope| known.as_array().expect("scopes").contains(&json!(scope))), "{known}");
    for (kind, mode) in plans() {
        let shown = suite.run(kind, mode).whole(&[("scope", scopes)]).await.shown();
        check_standard_claims(&shown);
        let missing: Vec<_> = claims.iter().filter(|name| shown.get(**name).is_none()).collect();
        assert!(missing.is_empty(), "{kind}: {missing:?} of {shown}");
    }
}

#[tokio::test]
async fn oidcc_scope_profile() {
    scopes("openid profile", &PROFILE).await;
}

#[tokio::test]
async fn oidcc_scope_email() {
    scopes("openid email", &["email", "email_verified"]).await;
}

#[tokio::test]
async fn oidcc_scope_address() {
    scopes("openid address", &["address"]).await;
}

#[tokio::test]
async fn oidcc_scope_phone() {
    scopes("openid phone", &["phone_number", "phone_number_verified"]).await;
}

#[tokio::test]
async fn oidcc_scope_all() {
    let all = [PROFILE.as_slice(), &["email", "email_verified", "address", "phone_number", "phone_number_verified"]].concat();
    scopes("openid profile email address phone", &all).await;
}

/// Scopes backwards, and parameters too. Older versions of the suite have it as `oidcc-ensure-other-scope-order-succeeds`.
#[tokio::test]
async fn oidcc_alternate_happy_flow() {
    let suite = Suite::new().await;
    for (kind, mode) in plans() {
        let run = suite.run(kind, mode);
        let mut url = suite.gateway.url("/authorize");
        url.query_pairs_mut().extend_pairs(run.parameters(&[("scope", "email openid")]).into_iter().rev());
        let answer = run.visit(&url).await;
        let shown = run.finish(&answer).await.shown();
        assert_eq!((&shown["email"], &shown["email_verified"]), (&json!("jane@acme.example"), &json!(true)), "{kind}");
    }
}

/// A parameter that must not disturb the login.
async fn with(changes: &[(&str, &str)]) {
    let suite = Suite::new().await;
    for (kind, mode) in plans() {
        suite.run(kind, mode).whole(changes).await;
    }
}

#[tokio::test]
async fn oidcc_display_page() {
    with(&[("display", "page")]).await;
}

#[tokio::test]
async fn oidcc_display_popup() {
    with(&[("display", "popup")]).await;
}

#[tokio::test]
async fn oidcc_ui_locales() {
    with(&[("ui_locales", "se")]).await;
}

#[tokio::test]
async fn oidcc_claims_locales() {
    with(&[("claims_locales", "se")]).await;
}

#[tokio::test]
async fn oidcc_login_hint() {
    with(&[("login_hint", "buffy@suite.example")]).await;
}

#[tokio::test]
async fn oidcc_ensure_request_with_unknown_parameter_succeeds() {
    with(&[("extra", "foobar")]).await;
}

/// The second login asks the person again, whatever the session.
async fn again(changes: &[(&str, &str)]) {
    let suite = Suite::new().await;
    let mut runs = Vec::new();
    for (kind, mode) in plans() {
        let run = suite.run(kind, mode);
        let first = run.whole(&[]).await.claims();
        runs.push((run, first));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (run, first) in runs {
        let away = run.browser.open(run.url(changes).as_str()).await.away();
        assert!(suite.idp.read(&away).force_authn, "{}: the identity provider is to ask", run.kind);
        let second = run.whole(changes).await.claims();
        let time = |claims: &Value| claims["auth_time"].as_i64().unwrap_or_else(|| panic!("auth_time: {claims}"));
        assert!(time(&second) > time(&first), "{}: {first} {second}", run.kind);
        assert!(time(&second) > second["iat"].as_i64().expect("iat") - 60, "{}: {second}", run.kind);
        assert_eq!(first["sub"], second["sub"]);
    }
}

#[tokio::test]
async fn oidcc_prompt_login() {
    again(&[("prompt", "login")]).await;
}

#[tokio::test]
async fn oidcc_max_age_1() {
    again(&[("max_age", "1")]).await;
}

#[tokio::test]
async fn oidcc_prompt_none_not_logged_in() {
    let suite = Suite::new().await;
    for (kind, mode) in plans() {
        let run = suite.run(kind, mode);
        assert_eq!(run.error(&run.silently(&[("prompt", "none")]).await), "login_required", "{kind}");
    }
}

/// The second login asks nobody, and says the same of the person and of the first.
async fn remembered(changes: impl Fn(&str) -> Vec<(&'static str, String)>) {
    let suite = Suite::new().await;
    for (kind, mode) in plans() {
        let run = suite.run(kind, mode);
        let first = run.whole(&[]).await;
        let changes = changes(first.id_token());
        let changes: Vec<(&str, &str)> = changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = run.silently(&changes).await;
        let (first, second) = (first.claims(), run.finish(&answer).await.claims());
        for name in ["sub", "auth_time", "acr", "sid"] {
            assert_eq!(first.get(name), second.get(name), "{kind}: {name}");
        }
        assert!(second["auth_time"].is_i64(), "{kind}: {second}");
    }
}

#[tokio::test]
async fn oidcc_prompt_none_logged_in() {
    remembered(|_| vec![("prompt", "none".to_owned())]).await;
}

#[tokio::test]
async fn oidcc_max_age_10000() {
    remembered(|_| vec![("max_age", "10000".to_owned())]).await;
}

#[tokio::test]
async fn oidcc_id_token_hint() {
    remembered(|token| vec![("prompt", "none".to_owned()), ("id_token_hint", token.to_owned())]).await;
}

/// What discovery lists is asked for, and the answer says one of it.
#[tokio::test]
async fn oidcc_ensure_request_with_acr_values_succeeds() {
    let suite = Suite::new().await;
    let listed: Vec<String> = serde_json::from_value(suite.discovery().await["acr_values_supported"].clone()).expect("a list");
    for (kind, mode) in plans() {
        let claims = suite.run(kind, mode).whole(&[("acr_values", &listed.join(" "))]).await.claims();
        assert!(listed.iter().any(|acr| claims["acr"] == acr.as_str()), "{kind}: {claims}");
        // Where nothing is listed the suite asks for these, and nothing comes of it but a login.
        suite.run(kind, mode).whole(&[("acr_values", "1 2")]).await;
    }
}

#[tokio::test]
async fn oidcc_codereuse() {
    let suite = Suite::new().await;
    for (kind, mode) in plans().filter(|(kind, _)| gives_code(kind)) {
        let outcome = suite.run(kind, mode).whole(&[]).await;
        assert_oauth_error(&suite.redeem(&suite.client, outcome.code.as_deref().expect("a code")).await, 400, "invalid_grant");
    }
}

/// Later than the code would have lived; and what it gave is taken back.
#[tokio::test]
async fn oidcc_codereuse_30seconds() {
    let suite = Suite::with("", |setup: Setup| Setup { lifetimes: "code = 5".to_owned(), ..setup }).await;
    let mut given = Vec::new();
    for (kind, mode) in plans().filter(|(kind, _)| gives_code(kind)) {
        given.push(suite.run(kind, mode).whole(&[]).await);
    }
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    for outcome in given {
        let token = outcome.access_token.expect("an access token");
        assert_eq!(userinfo(&suite.gateway, &token).await.status, 200);
        assert_oauth_error(&suite.redeem(&suite.client, outcome.code.as_deref().expect("a code")).await, 400, "invalid_grant");
        assert_eq!(userinfo(&suite.gateway, &token).await.status, 401);
    }
}

#[tokio::test]
async fn oidcc_ensure_registered_redirect_uri() {
    let suite = Suite::new().await;
    for (kind, mode) in plans() {
        let run = suite.run(kind, mode);
        let url = run.url(&[("redirect_uri", &format!("{CALLBACK}/{}", run.state))]);
        run.browser.open(url.as_str()).await.here().assert_refused(400, "ISTH-1008");
    }
}

#[tokio::test]
async fn oidcc_ensure_post_request_succeeds() {
    let suite = Suite::new().await;
    for mode in MODES {
        let run = suite.run("code", mode);
        let from = Url::parse("https://suite.example/").expect("an address");
        let landed = run.browser.post(&from, &suite.gateway.url("/authorize"), &run.parameters(&[])).await;
        let answer = run.go_on(landed).await;
        run.finish(&answer).await;
    }
}

#[tokio::test]
async fn oidcc_claims_essential() {
    let suite = Suite::new().await;
    for (kind, mode) in plans() {
        let place = if kind == "id_token" { "id_token" } else { "userinfo" };
        let claims = json!({ place: { "name": { "essential": true } } }).to_string();
        let outcome = suite.run(kind, mode).whole(&[("claims", &claims)]).await;
        assert_eq!(outcome.shown()["name"], "Jane Doe", "{kind}");
        if kind != "id_token" {
            let unasked = [&outcome.front, &outcome.back].into_iter().flatten().any(|token| part(token, 1).get("name").is_some());
            assert!(!unasked, "{kind}: it was asked of UserInfo alone");
        }
    }
}

#[tokio::test]
async fn oidcc_ensure_request_with_valid_pkce_succeeds() {
    let suite = Suite::new().await;
    let verifier = "a-code-verifier-that-is-long-enough-for-the-grammar-of-rfc-7636";
    let challenge = crate::harness::app::challenge(verifier);
    for (kind, mode) in plans().filter(|(kind, _)| matches!(*kind, "code" | "code id_token")) {
        let run = suite.run(kind, mode);
        let answer = run.go(&[("code_challenge", &challenge), ("code_challenge_method", "S256")]).await;
        let code = answer.parameter("code").expect("a code");
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK), ("code_verifier", verifier)];
        Suite::good(&suite.token(&suite.client, &form).await);
    }
}

/// Two clients, by each type that gives codes.
#[tokio::test]
async fn oidcc_refresh_token() {
    let second = Client { client_id: "second".to_owned(), auth: Auth::Basic(SECRET.to_owned()), callback: CALLBACK.to_owned() };
    let suite = Suite::with("", |setup| setup.application(&application(&second, ""))).await;
    assert!(suite.discovery().await["grant_types_supported"].as_array().expect("grants").contains(&json!("refresh_token")));
    for (kind, mode) in plans().filter(|(kind, _)| gives_code(kind)) {
        super::requests::refreshed(&suite, &suite.client, kind, mode).await;
        let of_second = super::requests::refreshed(&suite, &second, kind, mode).await;
        // What was given to one is worth nothing to the other, and is still good for whom it was given to.
        let by = async |client: &Client| suite.token(client, &[("grant_type", "refresh_token"), ("refresh_token", &of_second)]).await;
        assert_oauth_error(&by(&suite.client).await, 400, "invalid_grant");
        Suite::good(&by(&second).await);
    }
}
