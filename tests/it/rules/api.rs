//! Rules, their settings and actions by the management API.

use super::{Script, ruled, runs};
use crate::api::{Api, good, refused};
use crate::harness::gateway::Setup;
use crate::harness::idp::Person;
use crate::harness::keys::Pair;
use crate::harness::peers::{auth0_of_npm, auth0_of_python};
use crate::harness::scene::Scene;
use reqwest::Method;
use serde_json::{Value, json};

/// A rule that sets a claim to a value.
fn claiming(name: &str, order: u32, value: &str) -> Value {
    json!({
        "name": name, "order": order,
        "script": format!("function (user, context, callback) {{\n  context.idToken['https://acme.example/{name}'] = {value};\n  callback(null, user, context);\n}}"),
    })
}

async fn claims(scene: &Scene) -> Value {
    scene.tokens(&Person::jane(), &[("scope", "openid profile email"), ("prompt", "login")]).await.claims()
}

#[tokio::test]
async fn rules_are_made_changed_and_deleted_and_take_effect_at_once() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let made = api.make("/rules", &claiming("one", 5, "user.email")).await;
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["enabled"], &made["stage"], &made["isthmus"]["source"]), (&json!(true), &json!("login_success"), &json!("api")));
    assert_eq!(claims(&scene).await["https://acme.example/one"], "Jane.Doe@acme.example");
    // The next order is free; one that is taken is refused.
    let second = api
        .make("/rules", &json!({"name": "two", "script": "function (user, context, callback) { callback(null, user, context); }"}))
        .await;
    assert_eq!(second["order"], 6);
    refused(&api.post("/rules", &claiming("three", 6, "1")).await, 409, "conflict");
    refused(&api.post("/rules", &claiming("two", 7, "1")).await, 409, "conflict");
    let url = format!("/rules/{id}");
    refused(&api.patch(&url, &json!({"order": 6})).await, 409, "conflict");
    let changed = good(&api.patch(&url, &json!({"script": claiming("one", 0, "2")["script"]})).await, 200);
    assert_eq!((&changed["order"], &changed["name"]), (&json!(5), &json!("one")), "a patch leaves the rest");
    assert_eq!(claims(&scene).await["https://acme.example/one"], 2);
    good(&api.patch(&url, &json!({"enabled": false})).await, 200);
    assert_eq!(claims(&scene).await.get("https://acme.example/one"), None);
    let names = |list: &Value| list.as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&api.read("/rules").await), ["one", "two"]);
    assert_eq!(names(&api.read("/rules?enabled=true").await), ["two"]);
    let page = api.read("/rules?fields=id,name&page=1&per_page=1&include_totals=true").await;
    assert_eq!((&page["total"], &page["rules"]), (&json!(2), &json!([{"id": second["id"], "name": "two"}])));
    assert_eq!(api.delete(&url).await.status, 204);
    refused(&api.get(&url).await, 404, "inexistent_rule");
    let stale = api
        .call(Method::PATCH, &format!("/rules/{}", second["id"].as_str().unwrap()), Some(&json!({"order": 9})), &[("if-match", "\"1\"")])
        .await;
    refused(&stale, 412, "precondition_failed");
}

#[tokio::test]
async fn a_script_that_cannot_be_read_is_refused_at_its_place() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let page = api.post("/rules", &json!({"name": "bad", "script": "function (user, context, callback) {\n  user.x = ;\n}"})).await;
    assert_eq!(refused(&page, 400, "invalid_body"), ["/script"]);
    assert!(page.json()["message"].as_str().unwrap().contains("line 2, column 12"), "{}", page.body);
    let trigger = json!([{"id": "post-login", "version": "v3"}]);
    let page = api.post("/actions/actions", &json!({"name": "bad", "supported_triggers": trigger, "code": "exports.x = (\n"})).await;
    assert_eq!(refused(&page, 400, "invalid_body"), ["/code"]);
    let wrong = json!({
        "name": "-bad-", "script": "function (user, context, callback) { callback(null, user, context); }",
        "isthmus": {"on_error": "never", "hosts": ["https://x"], "time_limit": 0, "colour": 1}, "stage": "user_registration",
    });
    let mut pointers = refused(&api.post("/rules", &wrong).await, 400, "invalid_body");
    pointers.sort();
    assert_eq!(pointers, ["/isthmus/colour", "/isthmus/hosts/0", "/isthmus/on_error", "/isthmus/time_limit", "/name", "/stage"]);
    let unknown = json!({"name": "x", "supported_triggers": [{"id": "post-user-registration", "version": "v2"}]});
    assert_eq!(refused(&api.post("/actions/actions", &unknown).await, 400, "invalid_body"), ["/supported_triggers/0/id"]);
    assert_eq!(refused(&api.post("/rules", &json!({"name": "x"})).await, 400, "invalid_body"), ["/script"]);
}

#[tokio::test]
async fn settings_of_rules_are_written_and_never_read() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let set = api.call(Method::PUT, "/rules-configs/API_KEY", Some(&json!({"value": "s3cr3t-key-of-rules"})), &[]).await;
    assert_eq!(good(&set, 200)["key"], "API_KEY");
    assert_eq!(api.read("/rules-configs").await, json!([{"key": "API_KEY"}]));
    api.make("/rules", &claiming("key", 1, "configuration.API_KEY.length")).await;
    assert_eq!(claims(&scene).await["https://acme.example/key"], 19);
    assert_eq!(api.delete("/rules-configs/API_KEY").await.status, 204);
    assert_eq!(api.delete("/rules-configs/API_KEY").await.status, 404);
    assert_eq!(api.read("/rules-configs").await, json!([]));
    let bad = api.call(Method::PUT, "/rules-configs/a.b", Some(&json!({"value": "x"})), &[]).await;
    assert_eq!(refused(&bad, 400, "invalid_body"), ["/key"]);
    // Sealed where it is kept: not in the database, not in the audit log.
    let database = std::fs::read(scene.gateway.place().join("isthmus.db")).unwrap();
    let wal = std::fs::read(scene.gateway.place().join("isthmus.db-wal")).unwrap_or_default();
    let has = |bytes: &[u8]| bytes.windows(19).any(|window| window == b"s3cr3t-key-of-rules");
    assert!(!has(&database) && !has(&wal), "a setting stands in the database in the clear");
}

#[tokio::test]
async fn an_action_runs_when_it_is_deployed_and_bound_and_as_it_was_deployed() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    let code = |value: &str| {
        format!("exports.onExecutePostLogin = async (event, api) => api.idToken.setCustomClaim('https://acme.example/a', {value});")
    };
    let made = api
        .make(
            "/actions/actions",
            &json!({
                "name": "tier", "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": code("event.secrets.WORD.length"),
                "dependencies": [], "runtime": "node22", "secrets": [{"name": "WORD", "value": "s3cr3t-word"}],
            }),
        )
        .await;
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["all_changes_deployed"], made.get("deployed_version")), (&json!(false), None));
    assert_eq!((&made["secrets"][0]["name"], made["secrets"][0].get("value")), (&json!("WORD"), None));
    assert!(made["secrets"][0]["updated_at"].is_string());
    let url = format!("/actions/actions/{id}");
    let bindings = "/actions/triggers/post-login/bindings";
    let bind = json!({"bindings": [{"ref": {"type": "action_name", "value": "tier"}, "display_name": "The tier"}]});
    // Neither bound nor deployed, then not bound.
    assert_eq!(refused(&api.patch(bindings, &bind).await, 400, "invalid_body"), ["/bindings/0/ref"]);
    let version = good(&api.post(&format!("{url}/deploy"), &json!({})).await, 202);
    assert_eq!((&version["deployed"], &version["number"], &version["action_id"]), (&json!(true), &json!(1), &json!(id)));
    assert_eq!(claims(&scene).await.get("https://acme.example/a"), None);
    let bound = good(&api.patch(bindings, &bind).await, 200);
    assert_eq!((&bound["bindings"][0]["display_name"], &bound["bindings"][0]["action"]["id"]), (&json!("The tier"), &json!(id)));
    assert_eq!(claims(&scene).await["https://acme.example/a"], 11);
    // What was deployed runs until it is deployed again; the secret stays where it is not sent.
    let changed =
        good(&api.patch(&url, &json!({"code": code("'new ' + event.secrets.WORD.length"), "secrets": [{"name": "WORD"}]})).await, 200);
    assert_eq!(changed["all_changes_deployed"], false);
    assert_eq!(claims(&scene).await["https://acme.example/a"], 11);
    assert_eq!(good(&api.post(&format!("{url}/deploy"), &json!({})).await, 202)["number"], 2);
    assert_eq!(claims(&scene).await["https://acme.example/a"], "new 11");
    assert_eq!(refused(&api.patch(&url, &json!({"secrets": [{"name": "OTHER"}]})).await, 400, "invalid_body"), ["/secrets/0/value"]);
    for (query, total) in [
        ("", 1),
        ("?deployed=true", 1),
        ("?deployed=false", 0),
        ("?triggerId=post-login&actionName=tier", 1),
        ("?triggerId=credentials-exchange", 0),
    ] {
        assert_eq!(api.read(&format!("/actions/actions{query}")).await["total"], total, "{query}");
    }
    assert_eq!(api.read(bindings).await["total"], 1);
    refused(&api.delete(&url).await, 409, "conflict");
    assert_eq!(api.delete(&format!("{url}?force=true")).await.status, 204);
    assert_eq!(claims(&scene).await.get("https://acme.example/a"), None);
    let triggers = api.read("/actions/triggers").await;
    let ids: Vec<&str> = triggers["triggers"].as_array().unwrap().iter().map(|trigger| trigger["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["post-login", "credentials-exchange", "pre-user-registration"]);
    refused(&api.get("/actions/triggers/post-logout/bindings").await, 404, "inexistent_trigger");
}

#[tokio::test]
async fn actions_run_in_the_order_of_their_bindings() {
    let scene = Scene::new().await;
    let api = Api::of(&scene.gateway).await;
    for name in ["a", "b"] {
        let code = "exports.onExecutePostLogin = async () => {};";
        let made = api.make("/actions/actions", &json!({"name": name, "supported_triggers": [{"id": "post-login"}], "code": code})).await;
        good(&api.post(&format!("/actions/actions/{}/deploy", made["id"].as_str().unwrap()), &json!({})).await, 202);
    }
    for order in [["a", "b"], ["b", "a"]] {
        let bindings = order.map(|name| json!({"ref": {"type": "action_name", "value": name}}));
        good(&api.patch("/actions/triggers/post-login/bindings", &json!({"bindings": bindings})).await, 200);
        claims(&scene).await;
        let ran: Vec<Value> = runs(&scene).await.into_iter().map(|run| run["script"].clone()).collect();
        assert_eq!(ran, order);
    }
    good(&api.patch("/actions/triggers/post-login/bindings", &json!({"bindings": []})).await, 200);
    claims(&scene).await;
    assert!(runs(&scene).await.is_empty());
}

#[tokio::test]
async fn what_the_file_makes_is_shown_and_read_only() {
    let scene = ruled(&[Script("filed", "", "function (user, context, callback) { callback(null, user, context); }")]).await;
    let api = Api::of(&scene.gateway).await;
    let rule = api.read("/rules/filed").await;
    assert_eq!((&rule["name"], &rule["isthmus"]["source"], &rule["order"]), (&json!("filed"), &json!("file"), &json!(0)));
    assert_eq!(api.read("/rules").await.as_array().map(Vec::len), Some(1));
    refused(&api.patch("/rules/filed", &json!({"enabled": false})).await, 409, "file_configuration");
    refused(&api.delete("/rules/filed").await, 409, "file_configuration");
    refused(&api.post("/rules", &claiming("filed", 3, "1")).await, 409, "conflict");
    refused(&api.post("/rules", &claiming("other", 0, "1")).await, 409, "conflict");
}

#[tokio::test]
async fn each_operation_needs_its_scope() {
    let scene = Scene::new().await;
    let api = Api::with(&scene.gateway, &["read:rules"]).await;
    assert_eq!(api.get("/rules").await.status, 200);
    for page in [
        api.post("/rules", &claiming("x", 1, "1")).await,
        api.delete("/rules/x").await,
        api.get("/rules-configs").await,
        api.get("/actions/actions").await,
        api.patch("/actions/triggers/post-login/bindings", &json!({"bindings": []})).await,
    ] {
        refused(&page, 403, "insufficient_scope");
    }
}

#[tokio::test]
async fn details_j_actions_of_client_credentials_refuse_narrow_and_claim() {
    let scene = Scene::new().await;
    let api = Api::with(&scene.gateway, &["read:rules", "create:actions", "update:actions"]).await;
    let code = "exports.onExecuteCredentialsExchange = async (event, api) => {
  if (event.client.name === 'refused') api.access.deny('invalid_request', 'Not today.');
  api.accessToken.removeScope('read:rules');
  api.accessToken.addScope('read:users');
  api.accessToken.setCustomClaim('https://acme.example/who', event.client.client_id + ' ' + event.resource_server.identifier);
};";
    let made =
        api.make("/actions/actions", &json!({"name": "m2m", "supported_triggers": [{"id": "credentials-exchange"}], "code": code})).await;
    good(&api.post(&format!("/actions/actions/{}/deploy", made["id"].as_str().unwrap()), &json!({})).await, 202);
    let bindings = json!({"bindings": [{"ref": {"type": "action_id", "value": made["id"]}}]});
    good(&api.patch("/actions/triggers/credentials-exchange/bindings", &bindings).await, 200);
    let answer = good(&crate::api::token(&scene.gateway, &api.client_id, &api.client_secret).await, 200);
    assert!(!answer["scope"].as_str().unwrap().contains("read:"), "taken away, and none given that was not granted: {answer}");
    // People's logins have nothing to do with it.
    claims(&scene).await;
    let refusing = code.replace("event.client.name === 'refused'", "true");
    good(&api.patch(&format!("/actions/actions/{}", made["id"].as_str().unwrap()), &json!({"code": refusing})).await, 200);
    good(&api.post(&format!("/actions/actions/{}/deploy", made["id"].as_str().unwrap()), &json!({})).await, 202);
    let page = crate::api::token(&scene.gateway, &api.client_id, &api.client_secret).await;
    assert_eq!(
        (page.status, page.json()["error"].clone(), page.json()["error_description"].clone()),
        (403, json!("access_denied"), json!("Not today."))
    );
    claims(&scene).await;
}

/// What both libraries make is in effect at once.
async fn assert_effect(gateway: &crate::harness::gateway::Gateway, api: &Api<'_>, script: &str) {
    let rules = api.read("/rules").await;
    assert_eq!(rules[0]["script"], script, "{rules} of {}", gateway.issuer());
    let bindings = api.read("/actions/triggers/post-login/bindings").await;
    assert_eq!((&bindings["total"], &bindings["bindings"][0]["action"]["name"]), (&json!(1), &json!("tier")), "{bindings}");
}

const RULE: &str = "function (user, context, callback) { callback(null, user, context); }";
const ACTION: &str = "exports.onExecutePostLogin = async (event, api) => {};";

#[tokio::test]
async fn npm_auth0_manages_rules_and_actions() {
    let gateway = secure().await;
    let api = Api::of(&gateway).await;
    let mut peer = auth0_of_npm(&gateway, &api.client_id, &api.client_secret);
    let mut call = |name: &str, arguments: Value| peer.ask(&json!({"call": name, "arguments": arguments}))["result"].clone();
    let rule = call("rules.create", json!([{"name": "one", "script": "function (u, c, callback) { callback(null, u, c); }", "order": 1}]));
    let id = rule["id"].clone();
    assert_eq!(call("rules.get", json!([id]))["name"], "one");
    assert_eq!(call("rules.update", json!([id, {"script": RULE}]))["order"], 1);
    assert_eq!(call("rules.list", json!([{"per_page": 1}])).as_array().map(Vec::len), Some(1));
    call("rulesConfigs.set", json!(["API_KEY", {"value": "s3cr3t"}]));
    assert_eq!(call("rulesConfigs.list", json!([])), json!([{"key": "API_KEY"}]));
    let action = json!({"name": "tier", "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": ACTION, "secrets": [{"name": "K", "value": "v"}]});
    let action = call("actions.create", json!([action]));
    assert_eq!(call("actions.get", json!([action["id"]]))["secrets"][0]["name"], "K");
    assert_eq!(call("actions.update", json!([action["id"], {"code": ACTION}]))["name"], "tier");
    assert_eq!(call("actions.deploy", json!([action["id"]]))["deployed"], true);
    let bindings = json!({"bindings": [{"ref": {"type": "action_name", "value": "tier"}, "display_name": "Tier"}]});
    assert_eq!(call("actions.triggers.bindings.updateMany", json!(["post-login", bindings]))["bindings"][0]["display_name"], "Tier");
    assert_eq!(call("actions.list", json!([{"deployed": true}])).as_array().map(Vec::len), Some(1));
    assert_eq!(call("actions.triggers.list", json!([]))["triggers"][0]["id"], "post-login");
    assert_effect(&gateway, &api, RULE).await;
    let mut call = |name: &str, arguments: Value| peer.ask(&json!({"call": name, "arguments": arguments}))["result"].clone();
    call("actions.delete", json!([action["id"], {"force": true}]));
    call("rulesConfigs.delete", json!(["API_KEY"]));
    call("rules.delete", json!([id]));
    let gone = peer.try_ask(&json!({"call": "rules.get", "arguments": [id]}));
    assert_eq!((&gone["status"], &gone["body"]["errorCode"]), (&json!(404), &json!("inexistent_rule")), "{gone}");
}

#[tokio::test]
async fn auth0_python_manages_rules_and_actions() {
    let gateway = secure().await;
    let api = Api::of(&gateway).await;
    let mut peer = auth0_of_python(&gateway, &api.client_id, &api.client_secret);
    let mut call = |name: &str, arguments: Value, named: Value| {
        peer.ask(&json!({"call": name, "arguments": arguments, "named": named}))["result"].clone()
    };
    let rule = call("rules.create", json!([]), json!({"name": "one", "script": RULE, "order": 1}));
    let id = rule["id"].clone();
    assert_eq!(call("rules.get", json!([id]), json!({}))["name"], "one");
    assert_eq!(call("rules.update", json!([id]), json!({"enabled": true}))["order"], 1.0);
    assert_eq!(call("rules.list", json!([]), json!({"per_page": 1})).as_array().map(Vec::len), Some(1));
    call("rules_configs.set", json!(["API_KEY"]), json!({"value": "s3cr3t"}));
    assert_eq!(call("rules_configs.list", json!([]), json!({})), json!([{"key": "API_KEY"}]));
    let named = json!({"name": "tier", "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": ACTION});
    let action = call("actions.create", json!([]), named);
    assert_eq!(call("actions.get", json!([action["id"]]), json!({}))["code"], ACTION);
    assert_eq!(call("actions.update", json!([action["id"]]), json!({"code": ACTION}))["name"], "tier");
    assert_eq!(call("actions.deploy", json!([action["id"]]), json!({}))["deployed"], true);
    let bindings = json!({"bindings": [{"ref": {"type": "action_name", "value": "tier"}, "display_name": "Tier"}]});
    assert_eq!(call("actions.triggers.bindings.update_many", json!(["post-login"]), bindings)["bindings"][0]["display_name"], "Tier");
    assert_eq!(call("actions.list", json!([]), json!({"deployed": true})).as_array().map(Vec::len), Some(1));
    assert_eq!(call("actions.triggers.list", json!([]), json!({}))["triggers"][0]["id"], "post-login");
    assert_effect(&gateway, &api, RULE).await;
    let mut call = |name: &str, arguments: Value, named: Value| {
        peer.ask(&json!({"call": name, "arguments": arguments, "named": named}))["result"].clone()
    };
    call("actions.delete", json!([action["id"]]), json!({"force": true}));
    call("rules_configs.delete", json!(["API_KEY"]), json!({}));
    call("rules.delete", json!([id]), json!({}));
    let gone = peer.try_ask(&json!({"call": "rules.get", "arguments": [id]}));
    assert_eq!((&gone["status"], &gone["body"]["errorCode"]), (&json!(404), &json!("inexistent_rule")), "{gone}");
}

/// The libraries speak https only.
async fn secure() -> crate::harness::gateway::Gateway {
    let setup = Setup { host: "localhost", ..Setup::new().secure(&Pair::rsa("localhost")) };
    crate::harness::gateway::Gateway::start(setup).await
}
