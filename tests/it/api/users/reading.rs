//! Reading, listing and searching.

use super::super::{Api, good, refused};
use super::{at, made, people, world};
use crate::harness::gateway::{Gateway, Setup};
use crate::profile::person;
use serde_json::{Value, json};

fn ids(users: &Value) -> Vec<&str> {
    users.as_array().expect("a list").iter().map(|user| user["user_id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn s0_14_s4_15_a_user_is_read_with_everything_and_in_three_forms() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let jane = world.user("acme", &person("jane", "jane@acme.example", true)).await;
    let patch = json!({"custom_fields": {"Foo": {"foo": "bar"}}, "user_metadata": {"hobby": "chess"}, "app_metadata": {"plan": "gold"}});
    good(&api.patch(&at(&jane), &patch).await, 200);
    let page = api.get(&at(&jane)).await;
    let user = good(&page, 200);
    assert_eq!((&user["user_id"], &user["email"], &user["name"]), (&json!(jane), &json!("jane@acme.example"), &json!("The jane")));
    assert_eq!(user["custom_fields"], json!({"Foo": {"foo": "bar"}}));
    assert_eq!((&user["user_metadata"]["hobby"], &user["app_metadata"]["plan"]), (&json!("chess"), &json!("gold")));
    assert_eq!(user["identities"], json!([{"connection": "acme", "user_id": "jane", "provider": "samlp", "isSocial": false}]));
    assert_eq!((&user["logins_count"], user.get("blocked")), (&json!(1), None));
    assert!(!page.header("etag").is_empty());
    assert!(page.header("x-ratelimit-remaining").parse::<u32>().expect("a number") < 1000);
    // Fields, and everything but.
    assert_eq!(api.read(&format!("{}?fields=user_id,email", at(&jane))).await, json!({"user_id": jane, "email": "jane@acme.example"}));
    let without = api.read(&format!("{}?fields=identities&include_fields=false", at(&jane))).await;
    assert!(without.get("identities").is_none() && without["user_id"] == json!(jane));
    // Other forms.
    let gigya = api.read(&format!("{}?dialect=gigya&includeAllIdentities=true", at(&jane))).await;
    assert_eq!((&gigya["UID"], gigya["identities"].as_array().map(Vec::len)), (&json!(jane), Some(1)));
    assert_eq!(gigya["data"], json!({"Foo": {"foo": "bar"}}));
    let logto = api.read(&format!("{}?dialect=logto", at(&jane))).await;
    assert_eq!(logto["custom_fields"], json!({"Foo": {"foo": "bar"}}));
    assert_eq!(refused(&api.get(&format!("{}?dialect=okta", at(&jane))).await, 400, "invalid_query_string"), ["/dialect"]);
    refused(&api.get(&at("samlp|acme|nobody")).await, 404, "inexistent_user");
}

#[tokio::test]
async fn s4_15_users_are_searched_sorted_and_paged() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    people(&api).await;
    for (number, name) in ["ann", "ben", "cid", "dee"].into_iter().enumerate() {
        let more = json!({"name": format!("The {name}"), "app_metadata": {"seats": number}, "user_metadata": {"theme": "dark"}});
        made(&api, name, &format!("{name}@example.org"), more).await;
    }
    let search = async |q: &str| {
        let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
        let found = api.read(&format!("/users?search_engine=v3&q={q}")).await;
        ids(&found).iter().map(|id| id.trim_start_matches("auth0|").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(search("email:\"ANN@example.org\"").await, ["ann"]);
    assert_eq!(search("name:the* AND app_metadata.seats:[2 TO *]").await, ["cid", "dee"]);
    assert_eq!(search("identities.connection:\"people\" NOT email:ben@example.org").await, ["ann", "cid", "dee"]);
    assert_eq!(search("_exists_:user_metadata.theme AND email.domain:\"example.org\"").await.len(), 4);
    let sorted = api.read("/users?sort=email:-1&per_page=2&page=0&include_totals=true&connection=people").await;
    assert_eq!(ids(&sorted["users"]), ["auth0|dee", "auth0|cid"]);
    assert_eq!((&sorted["total"], &sorted["start"], &sorted["limit"], &sorted["length"]), (&json!(4), &json!(0), &json!(2), &json!(2)));
    assert_eq!(api.read("/users?connection=nowhere").await, json!([]));
    // From one to the next, through all there are.
    let (mut all, mut from) = (Vec::new(), String::new());
    loop {
        let page = api.read(&format!("/users?take=3&fields=user_id&from={from}")).await;
        all.extend(ids(&page["users"]).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        from = next.to_owned();
    }
    assert_eq!(all, ["auth0|ann", "auth0|ben", "auth0|cid", "auth0|dee"]);
    // What is wrong is said.
    let wrong = api.get("/users?q=emial:x").await;
    refused(&wrong, 400, "invalid_query_string");
    assert!(wrong.body.contains("q, character 0"), "{}", wrong.body);
    refused(&api.get("/users?sort=user_metadata.theme:1").await, 400, "invalid_query_string");
    refused(&api.get("/users?page=11&per_page=100").await, 400, "invalid_query_string");
    refused(&api.get("/users?take=3&q=name:x").await, 400, "invalid_query_string");
    refused(&api.get("/users?from=%2A&take=3").await, 400, "invalid_query_string");
    refused(&api.get(&format!("/users?q={}", "a".repeat(5000))).await, 414, "invalid_query_string");
    assert_eq!(ids(&api.read("/users-by-email?email=ANN@example.org").await), ["auth0|ann"]);
    assert_eq!(api.read("/users-by-email?email=zed@example.org").await, json!([]));
    refused(&api.get("/users-by-email").await, 400, "invalid_query_string");
}

#[tokio::test]
async fn lists_of_what_there_is_not_are_empty() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    people(&api).await;
    made(&api, "ann", "ann@example.org", json!({})).await;
    for name in ["roles", "permissions", "organizations"] {
        assert_eq!(api.read(&format!("/users/auth0%7Cann/{name}")).await, json!([]));
        let totals = api.read(&format!("/users/auth0%7Cann/{name}?include_totals=true")).await;
        assert_eq!((&totals[name], &totals["total"]), (&json!([]), &json!(0)));
        refused(&api.get(&format!("/users/nobody/{name}")).await, 404, "inexistent_user");
    }
    assert_eq!(api.read("/users/auth0%7Cann/enrollments").await, json!([]));
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_no_more() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    people(&api).await;
    made(&api, "ann", "ann@example.org", json!({})).await;
    let reader = Api::with(&gateway, &["read:users", "update:users_app_metadata"]).await;
    let ann = at("auth0|ann");
    assert_eq!(reader.get(&ann).await.status, 200);
    refused(&reader.post("/users", &json!({"connection": "people", "email": "b@example.org"})).await, 403, "insufficient_scope");
    refused(&reader.delete(&ann).await, 403, "insufficient_scope");
    refused(&reader.get(&format!("{ann}/sessions")).await, 403, "insufficient_scope");
    refused(&reader.get("/logs").await, 403, "insufficient_scope");
    refused(&reader.patch(&ann, &json!({"user_metadata": {"a": 1}, "app_metadata": {"a": 1}})).await, 403, "insufficient_scope");
    assert_eq!(good(&reader.patch(&ann, &json!({"app_metadata": {"a": 1}})).await, 200)["app_metadata"], json!({"a": 1}));
}
