//! Connections of the strategy `oidc`.

use super::super::{Api, good, refused};
use crate::harness::app::App;
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use serde_json::{Value, json};

const SECRET: &str = "what-only-the-provider-and-we-know";

fn body(options: &Value) -> Value {
    let mut all = json!({
        "discovery_url": "https://op.example/.well-known/openid-configuration", "client_id": "gateway", "client_secret": SECRET,
        "type": "back_channel", "scope": "openid email", "authorization_endpoint": "https://op.example/authorize",
        "token_endpoint": "https://op.example/token", "jwks_uri": "https://op.example/keys",
        "upstream_params": {"hd": {"value": "acme.example"}, "app": {"alias": "client_id"}},
    });
    for (name, value) in options.as_object().expect("an object") {
        match value {
            Value::Null => drop(all.as_object_mut().expect("an object").remove(name)),
            value => all[name] = value.clone(),
        }
    }
    json!({ "name": "acme", "strategy": "oidc", "enabled_clients": ["notes"], "options": all })
}

#[tokio::test]
async fn a_provider_is_made_and_its_secret_is_never_given_back() {
    let app = App::new("notes");
    let mut gateway = Gateway::start(Setup::new().application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    let page = api.post("/connections", &body(&json!({}))).await;
    let made = good(&page, 201);
    let path = format!("/connections/{}", made["id"].as_str().expect("an id"));
    assert_eq!((&made["strategy"], &made["options"]["client_id"]), (&json!("oidc"), &json!("gateway")));
    let read = api.get(&path).await;
    let changed = api.patch(&path, &json!({"options": {"scope": "openid"}})).await;
    let list = api.get("/connections").await;
    let logs = api.get("/logs").await;
    for page in [&page, &read, &changed, &list, &logs] {
        assert!(matches!(page.status, 200 | 201), "{}", page.body);
        assert!(!page.body.contains(SECRET) && !page.body.contains("client_secret\":\""), "{}", page.body);
    }
    // It works at once, and after a new start: the secret is read again.
    for round in 0..2 {
        let departure = crate::harness::eventually("the new connection", async || {
            let landed = Browser::new().open(app.authorize(&gateway, &[]).as_str()).await.away();
            landed.url.as_str().starts_with("https://op.example/authorize").then_some(landed)
        });
        let departure = departure.await;
        assert_eq!(departure.parameter("scope").as_deref(), Some("openid"), "{round}");
        assert_eq!(departure.parameter("hd").as_deref(), Some("acme.example"));
        assert_eq!(departure.parameter("app").as_deref(), Some("notes"));
        assert_eq!(departure.parameter("redirect_uri"), Some(gateway.url("/connections/acme/callback").to_string()));
        gateway.stop();
        gateway.start_again(|_| {}).await;
    }
    assert!(!gateway.log().contains(SECRET));
}

#[tokio::test]
async fn what_is_wrong_is_named_in_the_callers_words() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    for (options, pointer) in [
        (json!({ "client_id": null }), "/options/client_id"),
        (json!({ "client_secret": null, "token_endpoint_auth_method": "client_secret_post" }), "/options/client_secret"),
        (json!({ "token_endpoint_auth_method": "tls" }), "/options/token_endpoint_auth_method"),
        (json!({ "discovery_url": null }), "/options/issuer"),
        (json!({ "issuer": "http://op.example" }), "/options/issuer"),
        (json!({ "jwks_uri": "http://127.0.0.1/keys" }), "/options/jwks_uri"),
        (json!({ "scope": "email" }), "/options/scope"),
        (json!({ "upstream_params": {"state": {"value": "mine"}} }), "/options/upstream_params"),
        (json!({ "upstream_params": {"x": {"alias": "state"}} }), "/options/upstream_params/x"),
        (json!({ "upstream_params": {"x": "y"} }), "/options/upstream_params/x"),
        (json!({ "signInEndpoint": "https://op.example" }), "/options/signInEndpoint"),
    ] {
        let mut body = body(&options);
        body["enabled_clients"] = json!([]);
        let pointers = refused(&api.post("/connections", &body).await, 400, "invalid_body");
        assert!(pointers.iter().any(|found| found.starts_with(pointer)), "{options}: {pointers:?}");
    }
    // Which machines are asked is the operator's to say.
    let mut inside = body(&json!({}));
    (inside["enabled_clients"], inside["isthmus"]) = (json!([]), json!({ "private_network": true }));
    assert_eq!(refused(&api.post("/connections", &inside).await, 400, "invalid_body"), ["/isthmus/private_network"]);
    // What means nothing here is said.
    let mut kept = body(&json!({ "type": "front_channel", "icon_url": "https://x.example/i" }));
    kept["enabled_clients"] = json!([]);
    let made = api.make("/connections", &kept).await;
    let told = made["isthmus"]["warnings"].to_string();
    for pointer in ["/options/type", "/options/icon_url"] {
        assert!(told.contains(pointer), "{pointer}: {told}");
    }
}
