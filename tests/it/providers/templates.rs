//! Claims by where they come from: templates of `attribute_map`, and mapping tables that tell ID token and UserInfo apart.

use super::login::gateway_of;
use crate::api::{Api, good, refused};
use crate::harness::app::{App, Tokens, userinfo};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::Op;
use serde_json::{Value, json};
use std::process::Command;

/// The table that the command makes of this map.
fn imported(map: &Value) -> String {
    let place = tempfile::tempdir().expect("a directory");
    std::fs::write(place.path().join("map.json"), map.to_string()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    let output =
        command.args(["mapping", "import", "auth0-attribute-map", "map.json"]).current_dir(place.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a table")
}

/// What the application hears of Jane, and whether UserInfo was asked.
async fn told(op: &Op, map: &Value) -> (Value, bool) {
    let app = App::new("notes");
    let connection = op.toml("acme", "").replacen("name = \"acme\"", "name = \"acme\"\nmapping = \"acme\"", 1);
    let setup = Setup::new().file("mappings/acme.toml", &imported(map)).connection(&connection);
    let gateway = Gateway::start(setup.application(&app.toml("legacy_profile = true", ""))).await;
    let (browser, before) = (Browser::new(), op.site.seen().len());
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let code = app.code(&gateway, &op.sign_in(&browser, &departure).await.away());
    let tokens = Tokens::of(&app.redeem(&gateway, &code, &[]).await);
    let asked = op.site.seen().iter().skip(before).any(|asked| asked.path() == "/userinfo");
    (userinfo(&gateway, tokens.access_token()).await.json(), asked)
}

#[tokio::test]
async fn details_h_templates_say_where_a_claim_comes_from_and_whether_userinfo_is_asked() {
    let op = Op::start().await;
    op.lies(|lies| {
        lies.id_token = json!({ "email": "token@acme.example", "email_verified": true, "given_name": "T", "userinfo.email": "x@x" })
    });
    op.person(&json!({ "email": "info@acme.example", "address": { "country": "AT" } }));
    let attributes =
        json!({ "email": "${context.tokenset.email}", "name": "${context.tokenset.given_name}. of ${context.connection.strategy}" });
    let (profile, asked) = told(&op, &json!({ "mapping_mode": "use_map", "attributes": attributes })).await;
    assert_eq!((&profile["email"], &profile["name"]), (&json!("token@acme.example"), &json!("T. of oidc")), "{profile}");
    assert!(!asked && profile.get("given_name").is_none() && profile.get("groups").is_none(), "{profile}");
    let attributes = json!({ "email": "${context.userinfo.email}", "country": "${context.userinfo.address.country}" });
    let (profile, asked) = told(&op, &json!({ "mapping_mode": "bind_all", "attributes": attributes })).await;
    assert_eq!((&profile["email"], &profile["country"]), (&json!("info@acme.example"), &json!("AT")), "{profile}");
    assert!(asked && profile["given_name"] == json!("T"), "{profile}");
}

#[tokio::test]
async fn without_templates_both_are_one() {
    let op = Op::start().await;
    op.lies(|lies| lies.id_token = json!({ "given_name": "T", "name": "Token" }));
    let (gateway, app) = gateway_of(&op, "").await;
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let code = app.code(&gateway, &op.sign_in(&browser, &departure).await.away());
    let claims = Tokens::of(&app.redeem(&gateway, &code, &[]).await).claims();
    assert_eq!((&claims["name"], &claims["given_name"]), (&json!("Jane Doe"), &json!("T")));
}

#[tokio::test]
async fn details_h_an_attribute_map_of_the_management_api_is_a_table_or_refused_with_its_place() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let body = |name: &str, map: Value| {
        json!({ "name": name, "strategy": "oidc", "enabled_clients": [], "options": {
            "issuer": "https://op.example", "client_id": "gateway", "client_secret": "what-only-we-know", "scope": "openid email",
            "attribute_map": map,
        }})
    };
    let map = json!({ "mapping_mode": "use_map", "userinfo_scope": "openid profile", "attributes": {
        "email": "${context.tokenset.email}", "origin": "${context.connection.id}|${context.connection.strategy}",
    }});
    let made = good(&api.post("/connections", &body("acme", map.clone())).await, 201);
    assert_eq!(made["options"]["attribute_map"], map);
    assert!(!made["isthmus"]["warnings"].to_string().contains("attribute_map"), "{made}");
    for (map, pointer) in [
        (json!({ "attributes": { "sub": "x" } }), "/options/attribute_map/attributes/sub"),
        (json!({ "attributes": { "groups": "${context.userinfo.groups}" } }), "/options/attribute_map/attributes/groups"),
        (json!({ "attributes": { "a": "${context.secret.x}" } }), "/options/attribute_map/attributes/a"),
        (json!({ "attributes": { "app_metadata.a": "x" } }), "/options/attribute_map/attributes/app_metadata.a"),
        (json!({ "mapping_mode": "some" }), "/options/attribute_map"),
        (json!({ "mode": "use_map" }), "/options/attribute_map/mode"),
        (json!("use_map"), "/options/attribute_map"),
    ] {
        let pointers = refused(&api.post("/connections", &body("other", map.clone())).await, 400, "invalid_body");
        assert_eq!(pointers, [pointer], "{map}");
    }
}
