//! Auth0's own libraries, with nothing changed but the domain.

use super::super::Api;
use super::connections::by_metadata;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::Idp;
use crate::harness::keys::Pair;
use crate::harness::peers::{Peer, auth0_of_npm, auth0_of_python};
use serde_json::{Value, json};

pub async fn secure() -> Gateway {
    let setup = Setup { host: "localhost", ..Setup::new().secure(&Pair::rsa("localhost")) };
    Gateway::start(setup).await
}

/// A refusal as a library tells it.
#[track_caller]
fn refused(peer: &mut Peer, command: &Value, status: u16, code: &str) {
    let answer = peer.try_ask(command);
    assert_eq!((&answer["status"], &answer["body"]["errorCode"]), (&json!(status), &json!(code)), "{answer}");
}

#[tokio::test]
async fn npm_auth0_manages_clients_grants_resource_servers_and_connections() {
    let gateway = secure().await;
    let api = Api::of(&gateway).await;
    let mut peer = auth0_of_npm(&gateway, &api.client_id, &api.client_secret);
    let mut call = |name: &str, arguments: Value| peer.ask(&json!({"call": name, "arguments": arguments}))["result"].clone();
    let client = call("clients.create", json!([{"name": "Notes", "app_type": "regular_web", "callbacks": ["https://notes.example/cb"]}]));
    let id = client["client_id"].clone();
    assert_eq!(call("clients.get", json!([id]))["name"], "Notes");
    assert_eq!(call("clients.update", json!([id, {"name": "Other"}]))["callbacks"], client["callbacks"]);
    assert_ne!(call("clients.rotateSecret", json!([id]))["client_secret"], client["client_secret"]);
    let listed = call("clients.list", json!([{"per_page": 1}]));
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let identifier = "https://notes.example/api";
    let server = call("resourceServers.create", json!([{"identifier": identifier, "scopes": [{"value": "read:notes"}]}]));
    assert_eq!(call("resourceServers.get", json!([identifier]))["id"], server["id"]);
    assert_eq!(call("resourceServers.update", json!([server["id"], {"token_lifetime": 60}]))["token_lifetime"], 60);
    assert_eq!(call("resourceServers.list", json!([{}])).as_array().map(Vec::len), Some(2));
    let grant = call("clientGrants.create", json!([{"client_id": id, "audience": identifier, "scope": ["read:notes"]}]));
    assert_eq!(call("clientGrants.list", json!([{"client_id": id}]))[0]["id"], grant["id"]);
    assert_eq!(call("clientGrants.update", json!([grant["id"], {"scope": []}]))["scope"], json!([]));
    call("clientGrants.delete", json!([grant["id"]]));
    let connection = call("connections.create", json!([by_metadata(&Idp::new("acme"), &[id.as_str().expect("an id")])]));
    assert_eq!(call("connections.get", json!([connection["id"]]))["strategy"], "samlp");
    let patch = json!([connection["id"], {"options": {"signSAMLRequest": true}}]);
    assert_eq!(call("connections.update", patch)["options"]["metadataXml"], connection["options"]["metadataXml"]);
    call("connections.checkStatus", json!([connection["id"]]));
    assert_eq!(call("connections.list", json!([{"take": 1, "strategy": ["samlp"]}])).as_array().map(Vec::len), Some(1));
    call("connections.users.deleteByEmail", json!([connection["id"], {"email": "jane@acme.example"}]));
    assert_eq!(call("keys.signing.list", json!([]))[0]["current"], true);
    assert_eq!(call("tenants.settings.update", json!([{"session_lifetime": 3}]))["session_lifetime"], 3);
    assert_eq!(call("attackProtection.bruteForceProtection.get", json!([]))["enabled"], false);
    for (name, gone) in [("connections.delete", &connection["id"]), ("resourceServers.delete", &server["id"]), ("clients.delete", &id)] {
        call(name, json!([gone]));
    }
    refused(&mut peer, &json!({"call": "clients.get", "arguments": [id]}), 404, "inexistent_client");
    refused(&mut peer, &json!({"call": "connections.create", "arguments": [{"name": "x", "strategy": "waad"}]}), 400, "invalid_body");
}

#[tokio::test]
async fn auth0_python_manages_clients_grants_resource_servers_and_connections() {
    let gateway = secure().await;
    let api = Api::of(&gateway).await;
    let mut peer = auth0_of_python(&gateway, &api.client_id, &api.client_secret);
    let mut call = |name: &str, arguments: Value, named: Value| {
        peer.ask(&json!({"call": name, "arguments": arguments, "named": named}))["result"].clone()
    };
    let named = json!({"name": "Notes", "app_type": "regular_web", "callbacks": ["https://notes.example/cb"]});
    let client = call("clients.create", json!([]), named);
    let id = client["client_id"].clone();
    assert_eq!(call("clients.get", json!([id]), json!({}))["name"], "Notes");
    assert_eq!(call("clients.update", json!([id]), json!({"name": "Other"}))["callbacks"], client["callbacks"]);
    assert_ne!(call("clients.rotate_secret", json!([id]), json!({}))["client_secret"], client["client_secret"]);
    assert_eq!(call("clients.list", json!([]), json!({"per_page": 1})).as_array().map(Vec::len), Some(2));
    let identifier = "https://notes.example/api";
    let server = call("resource_servers.create", json!([]), json!({"identifier": identifier, "scopes": [{"value": "read:notes"}]}));
    assert_eq!(call("resource_servers.get", json!([server["id"]]), json!({}))["identifier"], identifier);
    assert_eq!(call("resource_servers.update", json!([server["id"]]), json!({"token_lifetime": 60}))["token_lifetime"], 60);
    assert_eq!(call("resource_servers.list", json!([]), json!({})).as_array().map(Vec::len), Some(2));
    let grant = call("client_grants.create", json!([]), json!({"client_id": id, "audience": identifier, "scope": ["read:notes"]}));
    assert_eq!(call("client_grants.list", json!([]), json!({"client_id": id}))[0]["id"], grant["id"]);
    assert_eq!(call("client_grants.update", json!([grant["id"]]), json!({"scope": []}))["scope"], json!([]));
    call("client_grants.delete", json!([grant["id"]]), json!({}));
    let connection = call("connections.create", json!([]), by_metadata(&Idp::new("acme"), &[id.as_str().expect("an id")]));
    assert_eq!(call("connections.get", json!([connection["id"]]), json!({}))["strategy"], "samlp");
    let changed = call("connections.update", json!([connection["id"]]), json!({"options": {"signSAMLRequest": true}}));
    assert_eq!(changed["options"]["metadataXml"], connection["options"]["metadataXml"]);
    call("connections.check_status", json!([connection["id"]]), json!({}));
    assert_eq!(call("connections.list", json!([]), json!({"take": 1, "strategy": ["samlp"]})).as_array().map(Vec::len), Some(1));
    call("connections.users.delete_by_email", json!([connection["id"]]), json!({"email": "jane@acme.example"}));
    assert_eq!(call("keys.signing.list", json!([]), json!({}))[0]["current"], true);
    assert_eq!(call("tenants.settings.update", json!([]), json!({"session_lifetime": 3}))["session_lifetime"], 3.0);
    assert_eq!(call("attack_protection.brute_force_protection.get", json!([]), json!({}))["enabled"], false);
    for (name, gone) in [("connections.delete", &connection["id"]), ("resource_servers.delete", &server["id"]), ("clients.delete", &id)] {
        call(name, json!([gone]), json!({}));
    }
    refused(&mut peer, &json!({"call": "clients.get", "arguments": [id]}), 404, "inexistent_client");
    refused(&mut peer, &json!({"call": "connections.create", "named": {"name": "x", "strategy": "waad"}}), 400, "invalid_body");
}
