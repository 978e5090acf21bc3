//! Tokens of providers: kept where a connection says so, read by who may, and seen by nobody else.

use super::login::gateway_of;
use crate::api::{Api, good};
use crate::federation::rows;
use crate::harness::app::{App, Tokens, userinfo};
use crate::harness::browser::Browser;
use crate::harness::gateway::Gateway;
use crate::harness::op::Op;
use serde_json::{Value, json};

const ACCESS: &str = "at-very-secret-access";
const REFRESH: &str = "rt-very-secret-refresh";
const JANE: &str = "/users/oidc%7Cacme%7Cjane";

/// Jane signs in; the answer is what the application got.
async fn signed_in(op: &Op, gateway: &Gateway, app: &App) -> Tokens {
    let browser = Browser::new();
    let departure = browser.open(app.authorize(gateway, &[("scope", "openid profile email")]).as_str()).await.away();
    let landed = op.sign_in(&browser, &departure).await;
    Tokens::of(&app.redeem(gateway, &app.code(gateway, &landed.away()), &[]).await)
}

fn gives(op: &Op, tokens: &Value) {
    op.lies(|lies| (lies.tokens, lies.id_token) = (tokens.clone(), json!({ "at_hash": null })));
}

async fn tokens_of(api: &Api<'_>) -> Value {
    let mut identity = api.read(JANE).await["identities"][0].clone();
    for known in ["connection", "provider", "user_id", "isSocial"] {
        assert!(identity.as_object_mut().expect("an identity").remove(known).is_some(), "{known}");
    }
    identity
}

#[tokio::test]
async fn s4_9_tokens_of_a_provider_are_kept_and_read_by_who_may() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "store_tokens = true").await;
    gives(&op, &json!({ "access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 300, "scope": "openid calendar" }));
    let tokens = signed_in(&op, &gateway, &app).await;
    let told = userinfo(&gateway, tokens.access_token()).await;
    let api = Api::of(&gateway).await;
    let page = api.get(JANE).await;
    let identity = good(&page, 200)["identities"][0].clone();
    assert_eq!((&identity["access_token"], &identity["refresh_token"]), (&json!(ACCESS), &json!(REFRESH)), "{identity}");
    assert!((200..=300).contains(&identity["expires_in"].as_i64().expect("seconds")), "{identity}");
    assert_eq!(identity["scope"], "openid calendar");
    // Nobody sees them by another way: without the scope, in a list, in another form, in what applications get.
    let reader = Api::with(&gateway, &["read:users"]).await;
    let mut seen = vec![told.body.clone(), tokens.claims().to_string(), gateway.log()];
    seen.push(rows(&gateway, "SELECT body FROM credentials"));
    assert!(seen.last().is_some_and(|sealed| sealed.len() > 100), "they are kept");
    let recent = gateway.ask_operations("/traces", "application/json").await.json();
    let trace = gateway.trace(recent["logins"][0]["correlation_id"].as_str().expect("a login")).await.to_string();
    assert!(trace.contains("id-token-nonce"), "{trace}");
    seen.push(trace);
    for path in [
        "",
        "?dialect=gigya&includeAllIdentities=true",
        "?dialect=logto",
        "?fields=user_id,email",
        "?fields=identities&include_fields=false",
    ] {
        let api = if path.is_empty() { &reader } else { &api };
        let page = api.get(&format!("{JANE}{path}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        seen.push(page.body);
    }
    for path in ["/users", "/users-by-email?email=jane@acme.example", "/logs", "/users/oidc%7Cacme%7Cjane/logs", "/connections"] {
        seen.push(api.get(path).await.body);
    }
    for text in &seen {
        assert!(!text.contains("very-secret"), "{text}");
    }
    // Who has read them stands in the audit log, as often as they were read, and no oftener.
    assert_eq!(audited(&gateway), 1);
    assert!(good(&api.get(&format!("{JANE}?fields=identities")).await, 200)["identities"][0].get("access_token").is_some());
    assert_eq!(audited(&gateway), 2);
}

#[tokio::test]
async fn a_login_replaces_them_and_what_ends_the_identity_ends_them() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "store_tokens = true").await;
    let api = Api::of(&gateway).await;
    gives(&op, &json!({ "access_token": ACCESS, "refresh_token": REFRESH, "expires_in": null, "scope": "a" }));
    signed_in(&op, &gateway, &app).await;
    assert_eq!(tokens_of(&api).await, json!({ "access_token": ACCESS, "refresh_token": REFRESH, "scope": "a" }));
    // Many give a refresh token once.
    gives(&op, &json!({ "access_token": "at-second", "expires_in": null }));
    signed_in(&op, &gateway, &app).await;
    assert_eq!(tokens_of(&api).await, json!({ "access_token": "at-second", "refresh_token": REFRESH }));
    gives(&op, &json!({ "access_token": "at-third", "refresh_token": "rt-third", "expires_in": null }));
    signed_in(&op, &gateway, &app).await;
    assert_eq!(tokens_of(&api).await, json!({ "access_token": "at-third", "refresh_token": "rt-third" }));
    // What the connection said is forgotten, and so is this.
    assert_eq!(api.post(&format!("{JANE}/forget-profile"), &json!(null)).await.status, 204);
    assert_eq!(tokens_of(&api).await, json!({}));
    signed_in(&op, &gateway, &app).await;
    assert_eq!(tokens_of(&api).await["access_token"], "at-third");
    // Whoever comes after a deletion is somebody new.
    assert_eq!(api.delete(JANE).await.status, 204);
    gives(&op, &json!({ "access_token": "at-fourth", "expires_in": null }));
    signed_in(&op, &gateway, &app).await;
    assert_eq!(tokens_of(&api).await, json!({ "access_token": "at-fourth" }));
}

#[tokio::test]
async fn without_the_setting_nothing_is_kept() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "").await;
    let api = Api::of(&gateway).await;
    gives(&op, &json!({ "access_token": ACCESS, "refresh_token": REFRESH }));
    signed_in(&op, &gateway, &app).await;
    assert_eq!(tokens_of(&api).await, json!({}));
    assert_eq!(audited(&gateway), 0);
}

/// How often somebody has read tokens, by the audit log.
fn audited(gateway: &Gateway) -> usize {
    rows(gateway, "SELECT kind || ' ' || detail FROM audit ORDER BY id")
        .lines()
        .filter(|line| line.starts_with("user.provider_tokens_read"))
        .count()
}
