//! Sessions, refresh tokens, grants.

use super::super::{Api, good, refused};
use super::{at, world};
use crate::harness::app::userinfo;
use crate::harness::browser::Browser;
use crate::profile::{World, person};
use serde_json::{Value, json};

const JANE: &str = "samlp|acme|jane";

async fn come(world: &World, browser: &Browser) -> crate::harness::app::Tokens {
    let request = world.ask(browser, "acme", &[("scope", "openid profile offline_access")]).await;
    world.redeem(world.answer(browser, "acme", &request, &person("jane", "jane@acme.example", true)).await).await
}

async fn silent(world: &World, browser: &Browser) -> Result<String, String> {
    let answer = browser.open(world.app.authorize(&world.gateway, &[("prompt", "none")]).as_str()).await.away();
    answer.parameter("code").ok_or_else(|| answer.parameter("error").unwrap_or_default())
}

#[tokio::test]
async fn sessions_are_listed_and_end_with_what_was_granted_in_them() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let (here, there) = (Browser::new(), Browser::new());
    let (first, second) = (come(&world, &here).await, come(&world, &there).await);
    let list = format!("{}/sessions", at(JANE));
    let sessions = api.read(&list).await;
    let ids: Vec<&str> = sessions["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [second.claims()["sid"].as_str().unwrap(), first.claims()["sid"].as_str().unwrap()], "the newest first, by sid");
    assert_eq!(
        (&sessions["sessions"][0]["clients"], &sessions["sessions"][0]["connection"]),
        (&json!([{"client_id": "notes"}]), &json!("acme"))
    );
    assert!(!sessions.to_string().contains("token"), "{sessions}");
    let page = api.read(&format!("{list}?take=1")).await;
    assert_eq!(api.read(&format!("{list}?take=1&from={}", page["next"].as_str().unwrap())).await["sessions"][0]["id"], ids[1]);
    let one = format!("/sessions/{}", ids[1]);
    assert_eq!(api.read(&one).await["user_id"], JANE);
    assert!(silent(&world, &here).await.is_ok());
    // One ends: cookie, access tokens and refresh tokens of it, and nothing of the other.
    assert_eq!(api.delete(&one).await.status, 202);
    refused(&api.get(&one).await, 404, "inexistent_session");
    refused(&api.delete(&one).await, 404, "inexistent_session");
    assert_eq!(silent(&world, &here).await, Err("login_required".to_owned()));
    assert_eq!(userinfo(&world.gateway, first.access_token()).await.status, 401);
    assert_eq!(world.app.refresh(&world.gateway, first.refresh_token(), &[]).await.status, 400);
    assert!(silent(&world, &there).await.is_ok());
    assert_eq!(userinfo(&world.gateway, second.access_token()).await.status, 200);
    assert_eq!(api.read(&list).await["sessions"].as_array().unwrap().len(), 1);
    // All of them.
    assert_eq!(api.delete(&list).await.status, 202);
    assert_eq!(silent(&world, &there).await, Err("login_required".to_owned()));
    assert_eq!(userinfo(&world.gateway, second.access_token()).await.status, 401);
    assert_eq!(api.read(&list).await, json!({"sessions": []}));
    for path in ["/sessions/x", "/sessions/%00"] {
        refused(&api.get(path).await, 404, "inexistent_session");
    }
    refused(&api.get("/users/nobody/sessions").await, 404, "inexistent_user");
}

#[tokio::test]
async fn a_session_of_a_blocked_user_is_none() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let tokens = come(&world, &Browser::new()).await;
    good(&api.patch(&at(JANE), &json!({"blocked": true})).await, 200);
    assert_eq!(api.read(&format!("{}/sessions", at(JANE))).await, json!({"sessions": []}));
    refused(&api.get(&format!("/sessions/{}", tokens.claims()["sid"].as_str().unwrap())).await, 404, "inexistent_session");
}

#[tokio::test]
async fn refresh_tokens_are_listed_without_themselves_and_revoked() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let (first, second) = (come(&world, &Browser::new()).await, come(&world, &Browser::new()).await);
    let list = format!("{}/refresh-tokens", at(JANE));
    let tokens = api.read(&list).await;
    let tokens = tokens["tokens"].as_array().unwrap().clone();
    assert_eq!(tokens.len(), 2);
    for shown in [&tokens[0].to_string(), &tokens[1].to_string()] {
        assert!(!shown.contains(first.refresh_token()) && !shown.contains(second.refresh_token()), "{shown}");
    }
    let of = |sid: &Value| tokens.iter().find(|token| token["session_id"] == *sid).unwrap()["id"].as_str().unwrap().to_owned();
    let (one, other) = (of(&first.claims()["sid"]), of(&second.claims()["sid"]));
    assert_eq!(api.read(&format!("/refresh-tokens/{one}")).await["client_id"], "notes");
    assert_eq!(api.delete(&format!("/refresh-tokens/{one}")).await.status, 202);
    refused(&api.get(&format!("/refresh-tokens/{one}")).await, 404, "inexistent_refresh_token");
    assert_eq!(world.app.refresh(&world.gateway, first.refresh_token(), &[]).await.status, 400);
    assert_eq!(userinfo(&world.gateway, first.access_token()).await.status, 401);
    assert_eq!(userinfo(&world.gateway, second.access_token()).await.status, 200);
    assert_eq!(
        api.read(&format!("/refresh-tokens/{other}")).await["resource_servers"],
        json!([{"scopes": "openid profile offline_access"}])
    );
    assert_eq!(api.delete(&list).await.status, 202);
    assert_eq!(api.read(&list).await, json!({"tokens": []}));
    assert_eq!(world.app.refresh(&world.gateway, second.refresh_token(), &[]).await.status, 400);
}

#[tokio::test]
async fn grants_are_listed_and_revoked() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(come(&world, &Browser::new()).await);
    }
    let grants = api.read("/grants?user_id=samlp%7Cacme%7Cjane&per_page=2&include_totals=true").await;
    assert_eq!((&grants["total"], &grants["length"]), (&json!(3), &json!(2)));
    let grant = &grants["grants"][0];
    assert_eq!((&grant["clientID"], &grant["scope"]), (&json!("notes"), &json!(["openid", "profile", "offline_access"])));
    for (query, count) in [("client_id=notes", 3), ("client_id=other", 0), ("user_id=nobody", 0), ("audience=x", 0)] {
        assert_eq!(api.read(&format!("/grants?{query}")).await.as_array().unwrap().len(), count, "{query}");
    }
    let one = format!("/grants/{}", grant["id"].as_str().unwrap());
    assert_eq!(api.delete(&one).await.status, 204);
    assert_eq!(api.delete(&one).await.status, 204);
    assert_eq!(api.read("/grants").await.as_array().unwrap().len(), 2);
    assert_eq!(api.delete("/grants?user_id=samlp%7Cacme%7Cjane").await.status, 204);
    assert_eq!(api.read("/grants").await, json!([]));
    assert_eq!(refused(&api.delete("/grants").await, 400, "invalid_query_string"), ["/user_id"]);
    for tokens in &all {
        assert_eq!(world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await.status, 400);
        assert_eq!(userinfo(&world.gateway, tokens.access_token()).await.status, 401);
    }
}

#[tokio::test]
async fn sessions_that_were_ended_during_a_block_do_not_come_back_after_it() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let (all, one) = (Browser::new(), Browser::new());
    let (first, second) = (come(&world, &all).await, come(&world, &one).await);
    good(&api.patch(&at(JANE), &json!({"blocked": true})).await, 200);
    assert_eq!(api.delete(&format!("/sessions/{}", second.claims()["sid"].as_str().unwrap())).await.status, 202);
    assert_eq!(api.delete(&format!("{}/sessions", at(JANE))).await.status, 202);
    good(&api.patch(&at(JANE), &json!({"blocked": false})).await, 200);
    for (browser, tokens) in [(&all, &first), (&one, &second)] {
        assert_eq!(silent(&world, browser).await, Err("login_required".to_owned()));
        assert_eq!(userinfo(&world.gateway, tokens.access_token()).await.status, 401);
        assert_eq!(world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await.status, 400);
    }
}

#[tokio::test]
async fn who_was_blocked_and_then_deleted_keeps_no_token() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let tokens = come(&world, &Browser::new()).await;
    good(&api.patch(&at(JANE), &json!({"blocked": true})).await, 200);
    assert_eq!(api.delete(&at(JANE)).await.status, 204);
    assert_eq!(userinfo(&world.gateway, tokens.access_token()).await.status, 401);
    // Whoever signs in again has the same id, and nothing of before.
    come(&world, &Browser::new()).await;
    assert_eq!(userinfo(&world.gateway, tokens.access_token()).await.status, 401);
}
