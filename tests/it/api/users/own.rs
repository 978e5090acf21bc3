//! What a person may do with a token of their own.

use super::super::{Api, good, refused};
use super::{at, own_token, with_token, world};
use crate::profile::person;
use reqwest::Method;
use serde_json::json;

const ALL: &str = "read:current_user update:current_user_metadata";

#[tokio::test]
async fn s3_1_a_person_reads_and_changes_the_own_metadata_and_nobody_else_s() {
    let world = world().await;
    let program = Api::of(&world.gateway).await;
    let jane = person("jane", "jane@acme.example", true);
    let bob = world.user("acme", &person("bob", "bob@acme.example", true)).await;
    let tokens = own_token(&world, "acme", &jane, ALL).await;
    let (own, api) = (at("samlp|acme|jane"), with_token(&program, tokens.access_token()));
    assert_eq!(good(&api.get(&own).await, 200)["email"], "jane@acme.example");
    let changed = good(&api.patch(&own, &json!({"user_metadata": {"theme": "dark"}})).await, 200);
    assert_eq!(changed["user_metadata"], json!({"theme": "dark"}));
    let put = api.call(Method::PUT, &format!("{own}/user_metadata"), Some(&json!({"theme": "light"})), &[]).await;
    assert_eq!(good(&put, 200)["user_metadata"], json!({"theme": "light"}));
    // Somebody else, there or not: the same answer.
    for other in [at(&bob), at("samlp|acme|nobody")] {
        refused(&api.get(&other).await, 403, "insufficient_scope");
        refused(&api.patch(&other, &json!({"user_metadata": {"theme": "dark"}})).await, 403, "insufficient_scope");
    }
    // And nothing that is for programs.
    for path in ["/users", "/users-by-email?email=bob@acme.example", "/logs", "/conflicts"] {
        refused(&api.get(path).await, 403, "insufficient_scope");
    }
    refused(&api.get(&format!("{own}/sessions")).await, 403, "insufficient_scope");
    refused(&api.delete(&own).await, 403, "insufficient_scope");
    refused(&api.call(Method::PUT, &format!("{own}/app_metadata"), Some(&json!({})), &[]).await, 403, "insufficient_scope");
    // Not while the user is blocked.
    good(&program.patch(&own, &json!({"blocked": true})).await, 200);
    refused(&api.get(&own).await, 401, "invalid_token");
}

#[tokio::test]
async fn s3_2_a_person_never_changes_app_metadata_or_anything_else() {
    let world = world().await;
    let program = Api::of(&world.gateway).await;
    let tokens = own_token(&world, "globex", &person("jane", "jane@globex.example", true), ALL).await;
    let (own, api) = (at("samlp|globex|jane"), with_token(&program, tokens.access_token()));
    good(&program.patch(&own, &json!({"app_metadata": {"plan": "free"}})).await, 200);
    let before = program.get(&own).await.body;
    for patch in [
        json!({"app_metadata": {"plan": "gold"}}),
        json!({"app_metadata": {"plan": "gold"}, "user_metadata": {"theme": "dark"}}),
        json!({"blocked": false}),
        json!({"groups": ["admin"]}),
        json!({"name": "Queen"}),
        json!({"custom_fields": {}}),
    ] {
        refused(&api.patch(&own, &patch).await, 403, "insufficient_scope");
    }
    for patch in [json!({"email": "x@globex.example"}), json!({"identities": []}), json!({"password": "correct horse"})] {
        let status = api.patch(&own, &patch).await.status;
        assert!([400, 403].contains(&status), "{patch}: {status}");
    }
    assert_eq!(program.get(&own).await.body, before);
}

#[tokio::test]
async fn s3_1_narrower_scopes_only_add_or_only_delete() {
    let world = world().await;
    let program = Api::of(&world.gateway).await;
    let (jane, own) = (person("jane", "jane@acme.example", true), at("samlp|acme|jane"));
    let creates = with_token(&program, own_token(&world, "acme", &jane, "create:current_user_metadata").await.access_token());
    let deletes = with_token(&program, own_token(&world, "acme", &jane, "delete:current_user_metadata").await.access_token());
    let metadata = |value| json!({"user_metadata": value});
    assert_eq!(creates.patch(&own, &metadata(json!({"theme": "dark"}))).await.status, 200);
    refused(&creates.get(&own).await, 403, "insufficient_scope");
    for (api, value) in [
        (&creates, json!({"theme": "light"})),
        (&creates, json!({"theme": null})),
        (&creates, json!({})),
        (&deletes, json!({"theme": "light"})),
        (&deletes, json!({"other": 1})),
    ] {
        refused(&api.patch(&own, &metadata(value)).await, 403, "insufficient_scope");
    }
    assert_eq!(good(&deletes.patch(&own, &metadata(json!({"theme": null}))).await, 200).get("user_metadata"), None);
}
