//! Secrets of connections: what keeps them, what does not, and what they may be.

use super::super::{Api, good, refused};
use super::provider_connections::{body, hub};
use crate::federation::rows;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::keys::Pair;
use serde_json::{Value, json};

const SECRET: &str = "what-only-the-provider-and-we-know";

fn connection(name: &str, strategy: &str, options: &Value, own: &Value) -> Value {
    let mut made = body(name, strategy, options.clone(), own.clone());
    made["enabled_clients"] = json!([]);
    made
}

fn client(changes: &Value) -> Value {
    let mut options = json!({ "client_id": "gateway", "client_secret": SECRET });
    options.as_object_mut().expect("an object").extend(changes.as_object().cloned().expect("an object"));
    options
}

/// Connections of every kind that keeps a secret, and where that stands.
fn connections() -> Vec<(Value, &'static str)> {
    let described = client(&json!({ "discovery_url": "https://op.example/.well-known/openid-configuration" }));
    let pinned = client(&json!({
        "issuer": "https://op.example", "authorization_endpoint": "https://op.example/authorize", "token_endpoint": "https://op.example/token",
        "jwks_uri": "https://op.example/keys",
    }));
    let apple = json!({ "client_id": "gateway", "team_id": "TEAM", "kid": "KEY", "app_secret": Pair::ec("apple").key_pem() });
    let directory = json!({ "servers": ["ldaps://dc.acme.example"], "bind_dn": "cn=gateway,dc=acme", "user_base": "dc=acme" });
    let mut by_oauth = hub(&json!({}), &json!({ "more": { "mail": "https://api.hub.example/mail" } }));
    by_oauth["enabled_clients"] = json!([]);
    vec![
        (connection("described", "oidc", &described, &json!({})), "/options/client_secret"),
        (connection("pinned", "oidc", &pinned, &json!({})), "/options/client_secret"),
        (by_oauth, "/options/client_secret"),
        (connection("octo", "github", &client(&json!({})), &json!({})), "/options/client_secret"),
        (connection("okta", "okta", &client(&json!({ "domain": "acme.okta.com" })), &json!({})), "/options/client_secret"),
        (connection("entra", "waad", &client(&json!({ "tenantId": "8eaef023" })), &json!({})), "/options/client_secret"),
        (connection("apple", "apple", &apple, &json!({})), "/options/app_secret"),
        (connection("staff", "ad", &json!({ "bind_password": SECRET }), &directory), "/options/bind_password"),
    ]
}

/// Of each connection above by its name: what has its secret sent elsewhere, and what does not.
fn changes() -> Vec<(&'static str, Value, bool)> {
    let described = "https://evil.example/.well-known/openid-configuration";
    let own = |members: Value| json!({ "isthmus": members });
    let options = |members: Value| json!({ "options": members });
    vec![
        ("described", options(json!({ "discovery_url": described })), true),
        ("described", options(json!({ "discovery_url": "https://op.example:8443/.well-known/openid-configuration" })), true),
        ("described", options(json!({ "discovery_url": "https://op.example/~eve/.well-known/openid-configuration" })), true),
        ("described", options(json!({ "discovery_url": null, "issuer": "https://evil.example" })), true),
        ("described", options(json!({ "token_endpoint": "https://evil.example/token" })), true),
        ("described", options(json!({ "userinfo_endpoint": "https://evil.example/me" })), true),
        ("described", own(json!({ "pushed_authorization_request_endpoint": "https://evil.example/par" })), true),
        ("described", options(json!({ "token_endpoint": "https://OP.example:443/token" })), false),
        ("described", options(json!({ "discovery_url": null, "issuer": "https://op.example" })), false),
        ("described", options(json!({ "scope": "openid" })), false),
        ("pinned", options(json!({ "token_endpoint": "https://op.example.evil/token" })), true),
        ("pinned", options(json!({ "jwks_uri": null })), true),
        ("pinned", options(json!({ "token_endpoint": "https://op.example/oauth/token" })), false),
        ("hub", options(json!({ "tokenURL": "https://evil.example/token" })), true),
        ("hub", own(json!({ "userinfo_endpoint": "https://evil.example/me" })), true),
        ("hub", own(json!({ "more": { "mail": "https://evil.example/mail" } })), true),
        ("hub", own(json!({ "more": { "teams": "https://hub.example/teams" } })), false),
        ("octo", own(json!({ "token_endpoint": "https://evil.example/token" })), true),
        ("octo", own(json!({ "token_endpoint": "https://github.com/other" })), false),
        ("okta", options(json!({ "domain": "evil.okta.com" })), true),
        ("okta", own(json!({ "token_endpoint": "https://evil.example/token" })), true),
        ("entra", options(json!({ "tenantId": "9188040d" })), true),
        ("apple", own(json!({ "token_endpoint": "https://evil.example/token" })), true),
        ("staff", own(json!({ "servers": ["ldaps://dc.evil.example"] })), true),
        ("staff", own(json!({ "servers": ["ldaps://dc.acme.example", "ldaps://dc.evil.example"] })), true),
        ("staff", own(json!({ "servers": ["ldaps://dc.acme.example:3269"] })), true),
        ("staff", own(json!({ "servers": ["ldap://dc.acme.example"], "start_tls": true })), true),
        ("staff", own(json!({ "servers": ["ldaps://DC.acme.example:636"], "timeout": 9 })), false),
    ]
}

#[tokio::test]
async fn who_has_a_secret_sent_elsewhere_brings_it_along() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let all = connections();
    for (body, place) in &all {
        let path = format!("/connections/{}", api.make("/connections", body).await["id"].as_str().expect("an id"));
        let before = api.read(&path).await;
        let of_it: Vec<_> = changes().into_iter().filter(|(name, ..)| body["name"] == *name).collect();
        let (elsewhere, same): (Vec<_>, Vec<_>) = of_it.iter().partition(|(.., is_elsewhere)| *is_elsewhere);
        for (name, change, _) in &elsewhere {
            let answer = api.patch(&path, change).await;
            assert_eq!(refused(&answer, 400, "invalid_body"), [*place], "{name} {change}: {}", answer.body);
            assert!(answer.json()["faults"][0]["help"].as_str().is_some_and(|help| help.contains("send it again")), "{}", answer.body);
        }
        assert_eq!(api.read(&path).await, before);
        for (_, change, _) in same {
            good(&api.patch(&path, change).await, 200);
        }
        // Whoever knows it may.
        let mut with = elsewhere.first().expect("a change").1.clone();
        with["options"][place.trim_start_matches("/options/")] = body.pointer(place).expect("a secret").clone();
        good(&api.patch(&path, &with).await, 200);
        assert_eq!(api.delete(&path).await.status, 204);
    }
    // A secret that is taken away is sent nowhere.
    let (body, _) = all.iter().find(|(body, _)| body["name"] == "pinned").expect("a connection");
    let path = format!("/connections/{}", api.make("/connections", body).await["id"].as_str().expect("an id"));
    let public = json!({ "options": { "token_endpoint": "https://other.example/token", "client_secret": null } });
    good(&api.patch(&path, &public).await, 200);
    assert!(!rows(&gateway, "SELECT body FROM objects").contains(SECRET) && !gateway.log().contains(SECRET));
}

#[tokio::test]
async fn secrets_are_texts_and_name_nothing_of_this_machine() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let others =
        [json!({ "env": "PATH" }), json!({ "file": "isthmus.toml" }), json!({ "$sealed": "AAAA" }), json!({ "x": 1 }), json!([]), json!(7)];
    for (mut body, place) in connections() {
        let id = api.make("/connections", &body).await["id"].as_str().expect("an id").to_owned();
        let path = format!("/connections/{id}");
        let option = place.trim_start_matches("/options/");
        body["name"] = json!("another");
        for other in others.iter().chain([&json!({})]) {
            let mut with = body.clone();
            with["options"][option] = other.clone();
            assert_eq!(refused(&api.post("/connections", &with).await, 400, "invalid_body"), [place], "{other}");
            let change = json!({ "options": { option: other } });
            assert_eq!(refused(&api.patch(&path, &change).await, 400, "invalid_body"), [place], "{other}");
        }
        // The words of the file are no way around it.
        for key in ["client_secret", "private_key", "bind_password", "client_key"] {
            let own = json!({ "isthmus": { key: { "env": "PATH" } } });
            let answer = api.patch(&path, &own).await;
            assert!(answer.status == 400 && !answer.body.contains("/usr/"), "{key}: {}", answer.body);
        }
        // It is still the one that was made.
        good(&api.patch(&path, &json!({ "display_name": "As it was" })).await, 200);
    }
}
