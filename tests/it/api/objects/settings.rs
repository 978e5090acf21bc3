//! Signing keys, the gateway's settings, and those against attacks.

use super::super::{Api, good, refused};
use super::connections::by_metadata;
use super::living;
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::Idp;
use crate::harness::servers::Server;
use reqwest::Method;
use serde_json::{Value, json};

async fn jwks(gateway: &Gateway) -> Vec<String> {
    let answer = gateway.client().get(gateway.url("/.well-known/jwks.json")).send().await.expect("an answer");
    let jwks: Value = answer.json().await.expect("JSON");
    jwks["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

#[tokio::test]
async fn signing_keys_rotate_without_a_restart_and_only_those_of_the_past_are_revoked() {
    let mut gateway = Gateway::start(Setup::new()).await;
    let first_kid;
    {
        let api = Api::of(&gateway).await;
        let (idp, app) = (Idp::new("acme"), living::client(&api).await);
        api.make("/connections", &by_metadata(&idp, &[&app.client_id])).await;
        let first = living::tokens(&gateway, &app, &idp).await;
        let keys = api.read("/keys/signing").await;
        first_kid = keys[0]["kid"].as_str().expect("a kid").to_owned();
        assert_eq!((first.header()["kid"].as_str(), keys.as_array().map(Vec::len)), (Some(first_kid.as_str()), Some(1)));
        assert_eq!(
            (&keys[0]["current"], &keys[0]["next"], &keys[0]["previous"], &keys[0]["revoked"]),
            (&json!(true), &json!(false), &json!(false), &json!(false))
        );
        assert_eq!(keys[0]["thumbprint"].as_str().map(str::len), Some(40));
        assert_eq!(api.read(&format!("/keys/signing/{first_kid}")).await, keys[0]);
        refused(&api.get("/keys/signing/nothing").await, 404, "inexistent_signing_key");
        // Published first; until it signs, nobody rotates again.
        let rotated = good(&api.call(Method::POST, "/keys/signing/rotate", None, &[]).await, 201);
        let second = rotated["kid"].as_str().expect("a kid").to_owned();
        assert!(rotated["cert"].as_str().is_some_and(|cert| cert.starts_with("-----BEGIN CERTIFICATE-----")));
        assert!(jwks(&gateway).await.contains(&second));
        assert_eq!(living::tokens(&gateway, &app, &idp).await.header()["kid"], first_kid);
        assert_eq!(api.call(Method::POST, "/keys/signing/rotate", None, &[]).await.status, 409);
        assert_eq!(api.call(Method::PUT, &format!("/keys/signing/{first_kid}/revoke"), None, &[]).await.status, 409);
        // At once.
        assert_eq!(good(&api.post("/keys/signing/rotate", &json!({"at_once": true})).await, 201)["kid"], json!(second));
        let token = living::tokens(&gateway, &app, &idp).await;
        assert_eq!(token.header()["kid"], json!(second));
        assert!(jwks(&gateway).await.contains(&first_kid));
        // What the first key has signed is good until that key is revoked.
        let hint = |token: &str| app.authorize(&gateway, &[("prompt", "none"), ("id_token_hint", token)]);
        let asked = async |token: &str| {
            let answer = crate::harness::app::begin(&Browser::new(), &hint(token)).await;
            app.error(&gateway, &answer).0
        };
        assert_eq!(asked(first.id_token()).await, "login_required");
        let revoked = good(&api.call(Method::PUT, &format!("/keys/signing/{first_kid}/revoke"), None, &[]).await, 200);
        assert_eq!(revoked["kid"], json!(first_kid));
        assert!(!jwks(&gateway).await.contains(&first_kid));
        assert_eq!(asked(first.id_token()).await, "invalid_request");
        assert_eq!(api.read(&format!("/keys/signing/{first_kid}")).await["revoked"], true);
        refused(&api.call(Method::PUT, "/keys/signing/nothing/revoke", None, &[]).await, 404, "not-found");
        assert!(!api.get("/keys/signing").await.body.contains("PRIVATE"));
    }
    // It lasts, and nothing of it lies open.
    gateway.stop();
    let database = std::fs::read(gateway.place().join("isthmus.db")).expect("the directory");
    assert!(!database.windows(11).any(|window| window == b"PRIVATE KEY"));
    gateway.start_again(|_| ()).await;
    assert!(!jwks(&gateway).await.contains(&first_kid));
}

#[tokio::test]
async fn the_lifetime_of_sessions_has_effect_and_the_rest_is_told_to_have_none() {
    let redis = Server::redis(&[]);
    let mut setup = Setup::new();
    setup.sessions = redis.redis_url();
    let gateway = Gateway::start(setup).await;
    let api = Api::of(&gateway).await;
    let usual = api.read("/tenants/settings").await;
    assert_eq!((&usual["session_lifetime"], &usual["isthmus"]["source"]), (&json!(8), &json!("file")));
    let page = api.patch("/tenants/settings", &json!({"session_lifetime": 2, "friendly_name": "Ours", "flags": {"x": true}})).await;
    let changed = good(&page, 200);
    assert_eq!(
        (&changed["session_lifetime"], &changed["friendly_name"], &changed["isthmus"]["source"]),
        (&json!(2), &json!("Ours"), &json!("api"))
    );
    let pointers: Vec<&Value> = changed["isthmus"]["warnings"].as_array().expect("warnings").iter().map(|one| &one["pointer"]).collect();
    assert_eq!(pointers, ["/friendly_name", "/flags"]);
    let (idp, app) = (Idp::new("acme"), living::client(&api).await);
    api.make("/connections", &by_metadata(&idp, &[&app.client_id])).await;
    living::tokens(&gateway, &app, &idp).await;
    let keys = redis.ask_redis("KEYS *session*");
    let lives: Vec<i64> = keys
        .lines()
        .filter(|line| line.contains("session"))
        .map(|key| {
            let answer = redis.ask_redis(&format!("TTL {key}"));
            answer.trim().trim_start_matches(':').parse().expect("seconds")
        })
        .collect();
    assert!(lives.iter().any(|seconds| (7100..=7200).contains(seconds)), "{keys} {lives:?}");
    let etag = page.header("etag").to_owned();
    good(&api.patch("/tenants/settings", &json!({"session_lifetime": null})).await, 200);
    assert_eq!(api.read("/tenants/settings").await["session_lifetime"], 8);
    let late = api.call(Method::PATCH, "/tenants/settings", Some(&json!({})), &[("if-match", &etag)]).await;
    refused(&late, 412, "precondition_failed");
    assert_eq!(
        refused(&api.patch("/tenants/settings", &json!({"session_lifetime": 0, "x": 1})).await, 400, "invalid_body"),
        ["/session_lifetime", "/x"]
    );
}

#[tokio::test]
async fn settings_against_attacks_are_kept_and_told_to_have_no_effect() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    for (name, change, wrong) in [
        ("brute-force-protection", json!({"max_attempts": 7}), json!({"max_attempts": 0})),
        ("suspicious-ip-throttling", json!({"allowlist": ["192.0.2.1"]}), json!({"allowlist": "192.0.2.1"})),
        ("breached-password-detection", json!({"method": "enhanced"}), json!({"method": "magic"})),
    ] {
        let path = format!("/attack-protection/{name}");
        let usual = api.read(&path).await;
        assert_eq!(usual["enabled"], false);
        let changed = good(&api.patch(&path, &change).await, 200);
        let (member, value) = change.as_object().and_then(|members| members.iter().next()).expect("a member");
        assert_eq!((&changed[member], &changed["enabled"]), (value, &json!(false)));
        assert!(changed["isthmus"]["warnings"][0]["message"].as_str().is_some_and(|text| text.contains("without effect")), "{changed}");
        assert_eq!(api.read(&path).await, changed);
        // Back and forth, with what only the gateway says in it.
        good(&api.patch(&path, &changed).await, 200);
        refused(&api.patch(&path, &wrong).await, 400, "invalid_body");
    }
}
