//! Making, changing, deleting.

use super::super::{Api, good, refused};
use super::{at, made, people, world};
use crate::harness::app::userinfo;
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::profile::{person, subject};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn s4_14_users_are_made_and_a_password_is_never_given_back() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    people(&api).await;
    let body = json!({
        "connection": "people", "user_id": "auth0|ann", "email": "Ann@example.org", "email_verified": true, "username": "ann",
        "password": "correct horse", "name": "Ann", "picture": "https://example.org/a.png", "blocked": true, "phone_number": "+431",
        "user_metadata": {"theme": "dark"}, "app_metadata": {"plan": "gold"}, "custom_data": {"x": 1}, "verify_email": false,
    });
    let page = api.post("/users", &body).await;
    let ann = good(&page, 201);
    assert!(!page.body.contains("correct horse") && !page.body.contains("argon"), "{}", page.body);
    assert_eq!(ann["user_id"], "auth0|ann", "a prefix is not given twice");
    for (name, value) in
        [("email", json!("Ann@example.org")), ("email_verified", json!(true)), ("username", json!("ann")), ("name", json!("Ann"))]
    {
        assert_eq!(ann[name], value, "{name}");
    }
    assert_eq!((&ann["blocked"], &ann["phone_number"], &ann["custom_fields"]), (&json!(true), &json!("+431"), &json!({"x": 1})));
    assert_eq!(ann["identities"], json!([{"connection": "people", "user_id": "ann", "provider": "auth0", "isSocial": false}]));
    let read = api.get(&at("auth0|ann")).await;
    assert!(!read.body.contains("correct horse") && !read.body.contains("password"), "{}", read.body);
    assert!(!gateway.log().contains("correct horse"));
    // A generated id, where none is given.
    let ben = good(&api.post("/users", &json!({"connection": "people", "email": "ben@example.org"})).await, 201);
    assert!(ben["user_id"].as_str().unwrap().starts_with("auth0|"));
    // Somebody is there already: by id, address (whatever its case) and username.
    for taken in [
        json!({"connection": "people", "user_id": "ann", "email": "other@example.org"}),
        json!({"connection": "people", "email": "ANN@example.org"}),
        json!({"connection": "people", "email": "other@example.org", "username": "ANN"}),
    ] {
        refused(&api.post("/users", &taken).await, 409, "user_exists");
    }
    for (body, pointer) in [
        (json!({"email": "a@example.org"}), "/connection"),
        (json!({"connection": "nowhere", "email": "a@example.org"}), "/connection"),
        (json!({"connection": "people", "email": "no address"}), "/email"),
        (json!({"connection": "people", "email": "a@example.org", "identities": []}), "/identities"),
        (json!({"connection": "people", "email": "a@example.org", "verify_email": true}), "/verify_email"),
    ] {
        assert_eq!(refused(&api.post("/users", &body).await, 400, "invalid_body"), [pointer], "{body}");
    }
    let nameless = api.post("/users", &json!({"connection": "people"})).await;
    refused(&nameless, 400, "invalid_body");
    assert!(nameless.body.contains("/email"), "{}", nameless.body);
}

#[tokio::test]
async fn details_b_users_of_other_providers_are_made_beforehand_without_what_those_say() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let body = json!({"connection": "acme", "user_id": "jane", "app_metadata": {"plan": "gold"}, "groups": ["vip"]});
    assert_eq!(good(&api.post("/users", &body).await, 201)["user_id"], "samlp|acme|jane");
    refused(&api.post("/users", &body).await, 409, "user_exists");
    // Who comes is that user.
    assert_eq!(world.user("acme", &person("jane", "jane@acme.example", true)).await, "samlp|acme|jane");
    let jane = api.read(&at("samlp|acme|jane")).await;
    assert_eq!((&jane["app_metadata"], &jane["groups"], &jane["logins_count"]), (&json!({"plan": "gold"}), &json!(["vip"]), &json!(1)));
    for (more, named) in [
        (json!({"email": "x@acme.example"}), "/email"),
        (json!({"name": "X"}), "/name"),
        (json!({"password": "correct horse"}), "/password"),
    ] {
        let mut body = json!({"connection": "acme", "user_id": "joe"});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let page = api.post("/users", &body).await;
        refused(&page, 400, "invalid_body");
        assert!(page.body.contains(named), "{}", page.body);
    }
    refused(&api.get(&at("samlp|acme|joe")).await, 404, "inexistent_user");
    let nobody = api.post("/users", &json!({"connection": "acme"})).await;
    refused(&nobody, 400, "invalid_body");
    assert!(nobody.body.contains("/user_id"), "{}", nobody.body);
}

#[tokio::test]
async fn s0_6_s4_13_s4_14_what_connections_say_cannot_be_changed() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let jane = world.user("acme", &person("jane", "jane@acme.example", true)).await;
    let before = api.get(&at(&jane)).await.body;
    for (patch, named) in [
        (json!({"identities": []}), "/identities"),
        (json!({"identities": [{"connection": "acme", "user_id": "eve"}], "blocked": true}), "/identities"),
        (json!({"email": "eve@acme.example"}), "/email"),
        (json!({"email_verified": true, "user_metadata": {"a": 1}}), "/email_verified"),
        (json!({"user_id": "samlp|acme|eve"}), "/user_id"),
        (json!({"logins_count": 0}), "/logins_count"),
        (json!({"password": "correct horse"}), "/password"),
        (json!({"phone_number": "+431"}), "/phone_number"),
        (json!({"nickel": 1}), "/nickel"),
    ] {
        let page = api.patch(&at(&jane), &patch).await;
        refused(&page, 400, "invalid_body");
        assert!(page.body.contains(named), "{patch}: {}", page.body);
    }
    assert_eq!(api.get(&at(&jane)).await.body, before, "every byte is as it was");
    // S4-13: what may be changed alters nothing of the rest.
    good(&api.patch(&at(&jane), &json!({"app_metadata": {"plan": "gold"}})).await, 200);
    let (mut old, mut new): (Value, Value) = (serde_json::from_str(&before).unwrap(), api.read(&at(&jane)).await);
    for user in [&mut old, &mut new] {
        for name in ["app_metadata", "updated_at"] {
            user.as_object_mut().unwrap().shift_remove(name);
        }
    }
    assert_eq!(old, new);
}

#[tokio::test]
async fn s1_5_s1_6_s1_8_root_attributes_are_edited_where_logins_do_not_refresh_them() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let refreshed = world.user("acme", &person("jane", "jane@acme.example", true)).await;
    for name in ["name", "nickname", "given_name", "family_name", "picture"] {
        let value = if name == "picture" { "https://example.org/p.png" } else { "Changed" };
        let page = api.patch(&at(&refreshed), &json!({name: value})).await;
        refused(&page, 400, "invalid_body");
        assert!(page.body.contains(&format!("/{name}")), "{}", page.body);
    }
    let somebody = person("bob", "bob@globex.example", true);
    let kept = world.user("globex", &somebody).await;
    let changed = good(&api.patch(&at(&kept), &json!({"name": "Bobby", "given_name": "Rob", "family_name": null})).await, 200);
    assert_eq!((&changed["name"], &changed["given_name"]), (&json!("Bobby"), &json!("Rob")));
    let tokens = world.sign_in("globex", &somebody).await;
    assert_eq!(tokens.claims()["name"], "Bobby", "the next login has not undone it");
    assert_eq!(api.read(&at(&kept)).await["name"], "Bobby");
}

#[tokio::test]
async fn s0_11_s0_12_s3_7_free_data_are_merged_or_replaced_as_the_rules_say() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    people(&api).await;
    made(&api, "ann", "ann@example.org", json!({"custom_fields": {"Foo": 1, "Bar": 2}, "user_metadata": {"a": {"x": 1}, "b": 2}})).await;
    let ann = at("auth0|ann");
    let patch = async |body: Value| good(&api.patch(&ann, &body).await, 200);
    // S0-11: replaced whole, in whatever spelling (S0-12).
    assert_eq!(patch(json!({"custom_data": {"Baz": 3}})).await["custom_fields"], json!({"Baz": 3}));
    assert_eq!(patch(json!({"custom_field": {"Qux": 4}})).await["custom_fields"], json!({"Qux": 4}));
    // Metadata: merged at the first level, replaced below; null deletes, {} empties.
    assert_eq!(patch(json!({"user_metadata": {"a": {"y": 2}, "b": null, "c": 3}})).await["user_metadata"], json!({"a": {"y": 2}, "c": 3}));
    assert_eq!(patch(json!({"user_metadata": {}})).await.get("user_metadata"), None);
    for bad in [
        json!({"user_metadata": {"a.b": 1}}),
        json!({"app_metadata": {"$a": 1}}),
        json!({"app_metadata": {"email": "x"}}),
        json!({"user_metadata": 1}),
    ] {
        refused(&api.patch(&ann, &bad).await, 400, "invalid_body");
    }
    // PUT replaces.
    patch(json!({"app_metadata": {"a": 1, "b": 2}, "user_metadata": {"a": 1, "b": 2}})).await;
    for part in ["app_metadata", "user_metadata", "custom_fields"] {
        let page = api.call(Method::PUT, &format!("{ann}/{part}"), Some(&json!({"c": {"d": 3}})), &[]).await;
        assert_eq!(good(&page, 200)[part], json!({"c": {"d": 3}}), "{part}");
    }
    assert_eq!(api.read(&ann).await["app_metadata"], json!({"c": {"d": 3}}));
}

#[tokio::test]
async fn people_who_are_kept_here_are_changed_here() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    people(&api).await;
    for name in ["ann", "ben"] {
        made(&api, name, &format!("{name}@example.org"), json!({"email_verified": true})).await;
    }
    let ann = at("auth0|ann");
    let changed = good(
        &api.patch(&ann, &json!({"email": "new@example.org", "username": "annie", "connection": "people", "client_id": "x"})).await,
        200,
    );
    assert_eq!(
        (&changed["email"], &changed["email_verified"], &changed["username"]),
        (&json!("new@example.org"), &json!(false), &json!("annie"))
    );
    assert_eq!(api.read("/users-by-email?email=new@example.org").await[0]["user_id"], "auth0|ann");
    assert_eq!(api.read("/users?q=username:annie").await[0]["user_id"], "auth0|ann");
    refused(&api.patch(&ann, &json!({"email": "BEN@example.org"})).await, 409, "user_exists");
    assert_eq!(good(&api.patch(&ann, &json!({"password": "another horse", "blocked": true})).await, 200)["blocked"], true);
    refused(&api.patch(&ann, &json!({"connection": "other", "email": "x@example.org"})).await, 400, "invalid_body");
    assert_eq!(api.read(&ann).await["email"], "new@example.org");
}

#[tokio::test]
async fn a_change_is_refused_when_somebody_was_faster() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    people(&api).await;
    made(&api, "ann", "ann@example.org", json!({})).await;
    let ann = at("auth0|ann");
    let seen = api.get(&ann).await.header("etag").to_owned();
    let patch =
        async |etag: &str| api.call(Method::PATCH, &ann, Some(&json!({"user_metadata": {"at": etag}})), &[("if-match", etag)]).await;
    let first = patch(&seen).await;
    assert_eq!(first.status, 200, "{}", first.body);
    refused(&patch(&seen).await, 412, "precondition_failed");
    assert_eq!(patch(first.header("etag")).await.status, 200);
    refused(&patch("\"nonsense\"").await, 412, "precondition_failed");
    assert_eq!(patch("*").await.status, 200);
}

#[tokio::test]
async fn a_deleted_user_is_gone_with_sessions_and_tokens() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let (browser, jane) = (Browser::new(), person("jane", "jane@acme.example", true));
    let tokens = world.redeem(world.come(&browser, "acme", &jane).await).await;
    let user_id = subject(&tokens);
    assert_eq!(userinfo(&world.gateway, tokens.access_token()).await.status, 200);
    assert_eq!(api.delete(&at(&user_id)).await.status, 204);
    assert_eq!(api.delete(&at(&user_id)).await.status, 204, "as good as deleted");
    refused(&api.get(&at(&user_id)).await, 404, "inexistent_user");
    assert_eq!(userinfo(&world.gateway, tokens.access_token()).await.status, 401);
    let silent = browser.open(world.app.authorize(&world.gateway, &[("prompt", "none")]).as_str()).await.away();
    assert_eq!(world.app.error(&world.gateway, &silent).0, "login_required");
}

#[tokio::test]
async fn s4_6_a_forgotten_profile_is_made_anew_by_the_next_login() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let jane = world.user("acme", &person("jane", "jane@acme.example", true)).await;
    good(&api.patch(&at(&jane), &json!({"app_metadata": {"plan": "gold"}})).await, 200);
    let path = format!("{}/forget-profile", at(&jane));
    assert_eq!(api.call(Method::POST, &path, None, &[]).await.status, 204);
    let forgotten = api.read(&at(&jane)).await;
    assert_eq!((forgotten.get("email"), &forgotten["app_metadata"]), (None, &json!({"plan": "gold"})));
    world.user("acme", &person("jane", "jane@new.example", true)).await;
    let again = api.read(&at(&jane)).await;
    assert_eq!((&again["email"], &again["app_metadata"]), (&json!("jane@new.example"), &json!({"plan": "gold"})));
    refused(&api.call(Method::POST, "/users/nobody/forget-profile", None, &[]).await, 404, "inexistent_user");
}
