//! Resource servers.

use super::super::{Api, good, refused};
use crate::harness::gateway::{Gateway, Setup};
use serde_json::{Value, json};

const NOTES: &str = "https://notes.example/api?v=1&x=ü";

#[tokio::test]
async fn a_resource_server_is_made_read_changed_and_deleted_with_its_grants() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let body =
        json!({"identifier": NOTES, "name": "Notes", "scopes": [{"value": "read:notes", "description": "Read"}], "token_lifetime": 600});
    let made = api.make("/resource-servers", &body).await;
    assert_eq!((&made["is_system"], &made["allow_offline_access"], &made["scopes"]), (&json!(false), &json!(false), &body["scopes"]));
    // By its id, and by its identifier.
    let path = format!("/resource-servers/{}", made["id"].as_str().expect("an id"));
    let encoded: String = url::form_urlencoded::byte_serialize(NOTES.as_bytes()).collect();
    assert_eq!(api.read(&path).await["identifier"], NOTES);
    assert_eq!(api.read(&format!("/resource-servers/{encoded}")).await["id"], made["id"]);
    // Somebody may have it.
    let robot = api.make("/clients", &json!({"name": "Robot", "app_type": "non_interactive"})).await;
    let grant = api.make("/client-grants", &json!({"client_id": robot["client_id"], "audience": NOTES, "scope": ["read:notes"]})).await;
    let form = json!({
        "grant_type": "client_credentials", "client_id": robot["client_id"], "client_secret": robot["client_secret"], "audience": NOTES,
    });
    let ask = async || gateway.client().post(gateway.url("/oauth/token")).form(&form).send().await.expect("an answer");
    let token: Value = ask().await.json().await.expect("JSON");
    assert_eq!((&token["expires_in"], &token["scope"]), (&json!(600), &json!("read:notes")));
    let changed = good(&api.patch(&path, &json!({"token_lifetime": 700, "token_lifetime_for_web": 5})).await, 200);
    assert_eq!((&changed["scopes"], &changed["token_lifetime"]), (&body["scopes"], &json!(700)));
    assert_eq!(changed["isthmus"]["warnings"][0]["pointer"], "/token_lifetime_for_web");
    assert_eq!(ask().await.json::<Value>().await.expect("JSON")["expires_in"], 700);
    // Together.
    assert_eq!(api.delete(&path).await.status, 204);
    refused(&api.get(&path).await, 404, "inexistent_resource_server");
    refused(&api.delete(&path).await, 404, "inexistent_resource_server");
    refused(&api.get(&format!("/client-grants/{}", grant["id"].as_str().expect("an id"))).await, 404, "inexistent_client_grant");
    assert_eq!(ask().await.status(), 400);
}

#[tokio::test]
async fn what_is_wrong_with_a_resource_server_is_said_and_the_management_api_is_there_already() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    for (body, pointers) in [
        (json!({}), vec!["/identifier"]),
        (json!({"identifier": "a b"}), vec!["/identifier"]),
        (
            json!({"identifier": "x", "scopes": [{"value": "a b"}, {"value": "c"}, {"value": "c"}]}),
            vec!["/scopes/0/value", "/scopes/2/value"],
        ),
        (json!({"identifier": "x", "scopes": [{"name": "a"}]}), vec!["/scopes/0/value", "/scopes/0/name"]),
        (json!({"identifier": "x", "signing_alg": "HS256"}), vec!["/signing_alg"]),
        (json!({"identifier": "x", "token_lifetime": 0}), vec!["/token_lifetime"]),
    ] {
        assert_eq!(refused(&api.post("/resource-servers", &body).await, 400, "invalid_body"), pointers, "{body}");
    }
    let audience = format!("{}/api/v2/", gateway.issuer());
    refused(&api.post("/resource-servers", &json!({"identifier": audience})).await, 409, "conflict");
    api.make("/resource-servers", &json!({"identifier": NOTES})).await;
    assert_eq!(api.post("/resource-servers", &json!({"identifier": NOTES})).await.status, 409);
    let encoded: String = url::form_urlencoded::byte_serialize(audience.as_bytes()).collect();
    for id in ["api", &encoded] {
        let system = api.read(&format!("/resource-servers/{id}")).await;
        assert_eq!((&system["is_system"], &system["identifier"]), (&json!(true), &json!(audience)));
        assert_eq!(api.patch(&format!("/resource-servers/{id}"), &json!({"name": "Mine"})).await.status, 409);
        assert_eq!(api.delete(&format!("/resource-servers/{id}")).await.status, 409);
    }
    let all = api.read("/resource-servers?include_totals=true").await;
    assert_eq!((&all["total"], all["resource_servers"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    assert_eq!(api.read(&format!("/resource-servers?identifiers={encoded},x")).await.as_array().map(Vec::len), Some(1));
}
