//! Clients and client grants.

use super::super::{Api, command, good, refused, token};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::scene::Scene;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_client_is_made_read_changed_listed_and_deleted() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let made = api.make("/clients", &json!({"name": "Notes", "app_type": "regular_web", "callbacks": ["https://notes.example/cb"]})).await;
    let (id, secret) = (made["client_id"].as_str().expect("an id"), made["client_secret"].as_str().expect("a secret"));
    assert_eq!((id.len(), secret.len() >= 43), (32, true));
    assert_eq!(made["token_endpoint_auth_method"], "client_secret_post");
    assert_eq!(made["grant_types"], json!(["authorization_code", "refresh_token", "client_credentials"]));
    assert_eq!(made["isthmus"], json!({"source": "api", "warnings": []}));
    let path = format!("/clients/{id}");
    let page = api.get(&path).await;
    let read = good(&page, 200);
    assert_eq!((read.get("client_secret"), read.get("secrets"), read["name"].as_str()), (None, None, Some("Notes")));
    // A merge patch: what is not named stays, null takes away.
    let changed = good(&api.patch(&path, &json!({"description": "My notes", "client_metadata": {"a": "1", "b": "2"}})).await, 200);
    assert_eq!((&changed["callbacks"], &changed["client_metadata"]), (&read["callbacks"], &json!({"a": "1", "b": "2"})));
    let changed = good(&api.patch(&path, &json!({"description": null, "client_metadata": {"a": null}})).await, 200);
    assert_eq!((changed.get("description"), &changed["client_metadata"]), (None, &json!({"b": "2"})));
    // Who read an older version is told.
    let old = page.header("etag").to_owned();
    let late = api.call(Method::PATCH, &path, Some(&json!({"name": "X"})), &[("if-match", &old)]).await;
    refused(&late, 412, "precondition_failed");
    let current = api.get(&path).await.header("etag").to_owned();
    good(&api.call(Method::PATCH, &path, Some(&json!({"name": "Y"})), &[("if-match", &current)]).await, 200);
    assert_eq!(api.call(Method::DELETE, &path, None, &[("if-match", &current)]).await.status, 412);
    assert_eq!(api.read(&format!("{path}/credentials")).await, json!([]));
    assert_eq!(api.delete(&path).await.status, 204);
    refused(&api.get(&path).await, 404, "inexistent_client");
    refused(&api.patch(&path, &json!({"name": "Z"})).await, 404, "inexistent_client");
    refused(&api.delete(&path).await, 404, "inexistent_client");
    refused(&api.post(&format!("{path}/rotate-secret"), &json!({})).await, 404, "inexistent_client");
    refused(&api.get(&format!("{path}/credentials")).await, 404, "inexistent_client");
}

#[tokio::test]
async fn what_is_wrong_with_a_client_is_said_with_its_place() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    for (body, pointers) in [
        (json!({}), vec!["/name"]),
        (json!({"name": "N", "colour": "red"}), vec!["/colour"]),
        (json!({"name": "N", "app_type": "robot"}), vec!["/app_type"]),
        (json!({"name": "N", "callbacks": ["https://a.example/cb", "http://a.example/cb"]}), vec!["/callbacks/1"]),
        (json!({"name": "N", "allowed_logout_urls": ["javascript:alert(1)"]}), vec!["/allowed_logout_urls/0"]),
        (json!({"name": "N", "grant_types": ["authorization_code", "password"]}), vec!["/grant_types/1"]),
        (json!({"name": "N", "jwt_configuration": {"alg": "HS256"}}), vec!["/jwt_configuration/alg", "/jwt_configuration/alg"]),
        (json!({"name": "N", "oidc_conformant": false}), vec!["/oidc_conformant"]),
        (json!({"name": "N", "client_metadata": {"a/b": 1}}), vec!["/client_metadata/a~1b"]),
        (json!({"name": "N", "client_secret": "short"}), vec!["/client_secret"]),
        (json!({"name": "N", "app_type": "spa", "grant_types": ["client_credentials"]}), vec!["/grant_types"]),
        (json!({"name": "N", "app_type": "spa", "isthmus": {"require_pkce": false}}), vec!["/isthmus/require_pkce"]),
        (json!({"name": "N", "isthmus": {"mappin": "oidc"}}), vec!["/isthmus/mappin"]),
        (json!({"name": "N", "isthmus": {"mapping": "nowhere"}}), vec!["/isthmus/mapping"]),
        (json!({"name": "N", "isthmus": {"connections": ["nowhere"]}}), vec!["/isthmus/connections/0"]),
        (json!({"name": "N", "isthmus": {"dialect": "auth0"}}), vec!["/isthmus/dialect"]),
        // Nothing of ours is set by another name, and no file of the machine is read.
        (json!({"name": "N", "isthmus": {"redirect_uris": ["https://a.example/"]}}), vec!["/isthmus/redirect_uris"]),
        (json!({"name": "N", "isthmus": {"client_secret": {"file": "isthmus.toml"}}}), vec!["/isthmus/client_secret"]),
    ] {
        assert_eq!(refused(&api.post("/clients", &body).await, 400, "invalid_body"), pointers, "{body}");
    }
    refused(&api.get("/clients?colour=red").await, 400, "invalid_query_string");
    // What is kept without meaning is said.
    let made = api.make("/clients", &json!({"name": "N", "web_origins": ["https://a.example"], "addons": {"wsfed": {}}})).await;
    let warned: Vec<&str> = made["isthmus"]["warnings"]
        .as_array()
        .expect("warnings")
        .iter()
        .map(|warning| warning["pointer"].as_str().expect("a pointer"))
        .collect();
    assert_eq!(warned, ["/callbacks", "/web_origins", "/addons/wsfed"]);
    let read = api.read(&format!("/clients/{}", made["client_id"].as_str().expect("an id"))).await;
    assert_eq!(read["isthmus"], made["isthmus"]);
    // Read, changed and sent back, with what only the gateway says in it.
    let mut back = json!({"isthmus": read["isthmus"]});
    back["isthmus"]["legacy_profile"] = true.into();
    let changed = good(&api.patch(&format!("/clients/{}", made["client_id"].as_str().expect("an id")), &back).await, 200);
    assert_eq!((&changed["isthmus"]["legacy_profile"], &changed["isthmus"]["source"]), (&json!(true), &json!("api")));
}

#[tokio::test]
async fn lists_come_in_pages_by_checkpoints_and_with_some_members() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    for number in 0..4 {
        api.make("/clients", &json!({"name": format!("N{number}"), "app_type": if number < 3 { "spa" } else { "native" }})).await;
    }
    let all = api.read("/clients").await;
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|client| client["client_id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&all).len(), 5);
    let page = api.read("/clients?page=1&per_page=2&include_totals=true").await;
    assert_eq!((&page["start"], &page["limit"], &page["length"], &page["total"]), (&json!(2), &json!(2), &json!(2), &json!(5)));
    assert_eq!(ids(&page["clients"]), ids(&all)[2..4]);
    assert_eq!(api.read("/clients?page=9").await, json!([]));
    let first = api.read("/clients?take=3").await;
    assert_eq!(ids(&first["clients"]), ids(&all)[..3]);
    let rest = api.read(&format!("/clients?take=3&from={}", first["next"].as_str().expect("a checkpoint"))).await;
    assert_eq!((ids(&rest["clients"]), rest.get("next")), (ids(&all)[3..].to_vec(), None));
    let some = api.read("/clients?fields=client_id,name&app_type=spa").await;
    assert_eq!(some.as_array().expect("a list").len(), 3);
    assert_eq!(some[0].as_object().expect("an object").keys().collect::<Vec<_>>(), ["name", "client_id"]);
    assert_eq!(api.read("/clients?is_global=true").await, json!([]));
    assert_eq!(api.read("/clients?is_first_party=false").await, json!([]));
}

#[tokio::test]
async fn a_secret_is_told_once_and_the_one_before_is_accepted_for_a_while() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let made = api.make("/clients", &json!({"name": "Robot", "app_type": "non_interactive"})).await;
    let (id, first) = (made["client_id"].as_str().expect("an id").to_owned(), made["client_secret"].as_str().expect("a secret").to_owned());
    let audience = format!("{}/api/v2/", gateway.issuer());
    api.make("/client-grants", &json!({"client_id": id, "audience": audience, "scope": ["read:clients"]})).await;
    assert_eq!(token(&gateway, &id, &first).await.status, 200);
    let rotate = format!("/clients/{id}/rotate-secret");
    let second = good(&api.post(&rotate, &json!({"grace_seconds": 2})).await, 200)["client_secret"].as_str().expect("a secret").to_owned();
    assert_ne!(first, second);
    for secret in [&first, &second] {
        assert_eq!(token(&gateway, &id, secret).await.status, 200);
    }
    crate::harness::eventually("the end of the first secret", async || (token(&gateway, &id, &first).await.status == 401).then_some(()))
        .await;
    assert_eq!(token(&gateway, &id, &second).await.status, 200);
    // Without a body, as Auth0's SDKs ask; and at once, where there is to be no grace.
    let third = good(&api.call(Method::POST, &rotate, None, &[]).await, 200)["client_secret"].as_str().expect("a secret").to_owned();
    assert_eq!(token(&gateway, &id, &second).await.status, 200);
    let fourth = good(&api.post(&rotate, &json!({"grace_seconds": 0})).await, 200)["client_secret"].as_str().expect("a secret").to_owned();
    for (secret, status) in [(&second, 401), (&third, 401), (&fourth, 200)] {
        assert_eq!(token(&gateway, &id, secret).await.status, status);
    }
    // The caller's own.
    let own = "a secret of the caller's own choice";
    assert!(good(&api.patch(&format!("/clients/{id}"), &json!({"client_secret": own})).await, 200).get("client_secret").is_none());
    assert_eq!((token(&gateway, &id, own).await.status, token(&gateway, &id, &fourth).await.status), (200, 401));
    // Whoever may change clients may not act as one of them.
    let limited = Api::with(&gateway, &["read:clients", "update:clients"]).await;
    let path = format!("/clients/{}", api.client_id);
    refused(&limited.patch(&path, &json!({"client_secret": "a secret of somebody else's choice"})).await, 403, "insufficient_scope");
    refused(&limited.post(&format!("{path}/rotate-secret"), &json!({})).await, 403, "insufficient_scope");
    good(&limited.patch(&path, &json!({"description": "The first"})).await, 200);
    // Nothing at rest could be used.
    let database = std::fs::read(gateway.place().join("isthmus.db")).expect("the directory");
    let log = std::fs::read(gateway.place().join("isthmus.db-wal")).unwrap_or_default();
    for secret in [&first, &second, &third, &fourth, &own.to_owned()] {
        for bytes in [&database, &log, &gateway.log().into_bytes()] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "a secret is kept");
        }
    }
}

#[tokio::test]
async fn a_client_grant_is_what_the_client_may_have_and_goes_with_its_client() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let made = api.make("/clients", &json!({"name": "Robot", "app_type": "non_interactive"})).await;
    let (id, secret) = (made["client_id"].as_str().expect("an id"), made["client_secret"].as_str().expect("a secret"));
    let audience = format!("{}/api/v2/", gateway.issuer());
    let body = json!({"client_id": id, "audience": audience, "scope": ["read:clients"]});
    assert_eq!(token(&gateway, id, secret).await.status, 400);
    let grant = api.make("/client-grants", &body).await;
    let path = format!("/client-grants/{}", grant["id"].as_str().expect("an id"));
    assert_eq!(api.read(&path).await, grant);
    assert_eq!((&grant["scope"], grant.get("key")), (&json!(["read:clients"]), None));
    let held = token(&gateway, id, secret).await.json()["access_token"].as_str().expect("a token").to_owned();
    let robot = Api { gateway: &gateway, client_id: id.to_owned(), client_secret: secret.to_owned(), token: held };
    robot.read("/clients").await;
    refused(&robot.get("/connections").await, 403, "insufficient_scope");
    // What is taken away is gone at once, from tokens that are out too.
    good(&api.patch(&path, &json!({"scope": ["read:connections"]})).await, 200);
    refused(&robot.get("/clients").await, 403, "insufficient_scope");
    // Twice, unknown things, unknown scopes.
    refused(&api.post("/client-grants", &body).await, 409, "conflict");
    refused(&api.post("/client-grants", &json!({"client_id": "x", "audience": audience, "scope": []})).await, 404, "inexistent_client");
    let unknown = json!({"client_id": id, "audience": "https://nowhere.example/", "scope": []});
    assert_eq!(refused(&api.post("/client-grants", &unknown).await, 400, "invalid_body"), ["/audience"]);
    let wrong = json!({"scope": ["read:clients", "read:everything", "read:current_user"]});
    assert_eq!(refused(&api.patch(&path, &wrong).await, 400, "invalid_body"), ["/scope/1", "/scope/2"]);
    // Lists.
    let of_robot = api.read(&format!("/client-grants?client_id={id}&audience={audience}")).await;
    assert_eq!(of_robot.as_array().expect("a list").len(), 1);
    assert_eq!(api.read("/client-grants?audience=nothing").await, json!([]));
    assert_eq!(api.read("/client-grants?take=50").await["client_grants"].as_array().expect("a list").len(), 2);
    // With the client.
    assert_eq!(api.delete(&format!("/clients/{id}")).await.status, 204);
    refused(&api.get(&path).await, 404, "inexistent_client_grant");
    refused(&robot.get("/connections").await, 401, "invalid_token");
    assert_eq!(token(&gateway, id, secret).await.status, 401);
    // By itself.
    let other = api.make("/clients", &json!({"name": "Other", "app_type": "non_interactive"})).await;
    let grant = api.make("/client-grants", &json!({"client_id": other["client_id"], "audience": audience, "scope": []})).await;
    let path = format!("/client-grants/{}", grant["id"].as_str().expect("an id"));
    assert_eq!(api.delete(&path).await.status, 204);
    refused(&api.delete(&path).await, 404, "inexistent_client_grant");
    refused(&api.patch(&path, &json!({"scope": []})).await, 404, "inexistent_client_grant");
}

#[tokio::test]
async fn what_the_file_makes_is_shown_and_cannot_be_changed() {
    let robot = "client_id = \"robot\"\n[application.oidc]\ngrant_types = [\"client_credentials\"]\nclient_secret = { env = \"TEST_SECRET\" }\n\
                 token_endpoint_auth_method = \"client_secret_post\"\n[application.api]\nscopes = [\"read:clients\", \"update:clients\"]\n";
    let scene = Scene::with(|setup| setup.application(robot)).await;
    let api = Api::of(&scene.gateway).await;
    let notes = api.read("/clients/notes").await;
    assert_eq!((&notes["isthmus"]["source"], &notes["callbacks"]), (&json!("file"), &json!([crate::harness::app::CALLBACK])));
    assert_eq!(notes.get("client_secret"), None);
    for page in [
        api.patch("/clients/notes", &json!({"name": "X"})).await,
        api.delete("/clients/notes").await,
        api.post("/clients/notes/rotate-secret", &json!({})).await,
    ] {
        refused(&page, 409, "file_configuration");
        assert!(page.body.contains("configuration file"));
    }
    // The grant of the file works, is listed, and stays.
    let held = token(&scene.gateway, "robot", crate::harness::app::SECRET).await;
    assert_eq!(held.status, 200, "{}", held.body);
    assert_eq!(held.json()["scope"], "read:clients update:clients");
    let grants = api.read("/client-grants?client_id=robot").await;
    let path = format!("/client-grants/{}", grants[0]["id"].as_str().expect("an id"));
    assert_eq!(api.read(&path).await["isthmus"]["source"], "file");
    refused(&api.delete(&path).await, 409, "file_configuration");
    refused(&api.patch(&path, &json!({"scope": []})).await, 409, "file_configuration");
}

#[tokio::test]
async fn the_command_line_makes_lists_and_revokes_credentials() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::with(&gateway, &["read:clients", "delete:clients"]).await;
    api.read("/clients").await;
    refused(&api.get("/connections").await, 403, "insufficient_scope");
    let text =
        |output: &std::process::Output| format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let output = command(&gateway, &["keys", "api", "--scope", "read:everything"]).await;
    assert!(output.status.code() == Some(1) && text(&output).contains("read:everything"), "{}", text(&output));
    let listed: Value = serde_json::from_slice(&command(&gateway, &["keys", "api", "list", "--json"]).await.stdout).expect("JSON");
    let mine = json!({"client_id": api.client_id, "name": "Management API", "source": "api", "scope": ["read:clients", "delete:clients"]});
    assert_eq!(listed, json!([mine]));
    assert!(!text(&command(&gateway, &["keys", "api", "list"]).await).contains(&api.client_secret));
    let output = command(&gateway, &["keys", "api", "revoke", &api.client_id]).await;
    assert!(output.status.success() && text(&output).contains("is deleted"), "{}", text(&output));
    crate::harness::eventually("the end of the credential", async || (api.get("/clients").await.status == 401).then_some(())).await;
    let output = command(&gateway, &["keys", "api", "revoke", "nobody"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[tokio::test]
async fn nobody_gives_more_of_the_management_api_than_it_has() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let narrow = Api::with(&gateway, &["read:clients", "update:clients", "update:client_grants", "create:client_grants"]).await;
    let grants = api.read(&format!("/client-grants?client_id={}", narrow.client_id)).await;
    let own = format!("/client-grants/{}", grants[0]["id"].as_str().expect("an id"));
    refused(&narrow.patch(&own, &json!({"scope": ["delete:users"]})).await, 403, "insufficient_scope");
    let made = api.make("/clients", &json!({"name": "Robot", "app_type": "non_interactive"})).await;
    let id = made["client_id"].as_str().expect("an id");
    let audience = format!("{}/api/v2/", gateway.issuer());
    let grant = json!({"client_id": id, "audience": audience, "scope": ["delete:users"]});
    refused(&narrow.post("/client-grants", &grant).await, 403, "insufficient_scope");
    // Nor does it become a client that may more: by its secret, by taking the need for one away, or by what it is told.
    api.make("/client-grants", &grant).await;
    let keys = Api::with(&gateway, &["update:clients", "update:client_keys"]).await;
    refused(&keys.post(&format!("/clients/{id}/rotate-secret"), &json!({})).await, 403, "insufficient_scope");
    let given = json!({"client_secret": "a secret of sixteen letters"});
    refused(&keys.patch(&format!("/clients/{id}"), &given).await, 403, "insufficient_scope");
    for change in [json!({"token_endpoint_auth_method": "none"}), json!({"isthmus": {"reads_sealed": true}}), given] {
        refused(&narrow.patch(&format!("/clients/{id}"), &change).await, 403, "insufficient_scope");
    }
    good(&narrow.patch(&format!("/clients/{id}"), &json!({"name": "Robot 2"})).await, 200);
}
