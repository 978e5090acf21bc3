//! The cached profile: what it serves, how old it may be, and how it ends.

use super::{World, person, subject};
use crate::harness::app::{Tokens, assert_oauth_error};
use crate::harness::browser::{Browser, Landed};
use serde_json::json;
use std::time::Duration;

const EMAIL: &str = "jane@acme.example";

/// The application asks again in a browser that has signed in.
async fn again(world: &World, browser: &Browser, changes: &[(&str, &str)]) -> Landed {
    browser.open(world.app.authorize(&world.gateway, changes).as_str()).await
}

#[tokio::test]
async fn s4_5_the_session_serves_what_is_known_now_without_the_identity_provider() {
    let (world, browser) = (World::new(&[("acme", "")]).await, Browser::new());
    world.redeem(world.come(&browser, "acme", &person("jane", EMAIL, true)).await).await;
    assert_eq!(world.redeem(again(&world, &browser, &[]).await).await.claims()["email"], EMAIL);
    // Another browser's login brings news; the operator gives a group.
    world.sign_in("acme", &person("jane", "jane.new@acme.example", true)).await;
    let (status, text) = world.command(&["user", "update", "samlp|acme|jane", "--patch", r#"{"groups": ["vip"]}"#]).await;
    assert_eq!(status, 0, "{text}");
    let claims = world.redeem(again(&world, &browser, &[]).await).await.claims();
    assert_eq!((&claims["email"], &claims["groups"]), (&json!("jane.new@acme.example"), &json!(["vip"])));
}

#[tokio::test]
async fn an_application_may_want_its_profiles_younger() {
    let world = World::with(&[("acme", "")], "stale_profile_max = 1").await;
    let browser = Browser::new();
    let request = world.ask(&browser, "acme", &[("scope", "openid offline_access")]).await;
    let tokens = world.redeem(world.answer(&browser, "acme", &request, &person("jane", EMAIL, true)).await).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    // The source cannot be asked without the person: neither silently, nor for a refresh token.
    let (error, _) = world.app.error(&world.gateway, &again(&world, &browser, &[("prompt", "none")]).await.away());
    assert_eq!(error, "login_required");
    assert_oauth_error(&world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
    // With the person it is, and not as a fresh login.
    let request = world.idp("acme").read(&again(&world, &browser, &[]).await.away());
    assert!(!request.force_authn);
    let tokens = world.redeem(world.answer(&browser, "acme", &request, &person("jane", EMAIL, true)).await).await;
    assert_eq!(subject(&tokens), "samlp|acme|jane");
}

#[tokio::test]
async fn s4_6_a_deleted_profile_is_made_again_at_the_next_login() {
    let (world, browser) = (World::new(&[("acme", "")]).await, Browser::new());
    let request = world.ask(&browser, "acme", &[("scope", "openid offline_access")]).await;
    let tokens = world.redeem(world.answer(&browser, "acme", &request, &person("jane", EMAIL, true)).await).await;
    let patch = r#"{"app_metadata": {"plan": "gold"}}"#;
    assert_eq!(world.command(&["user", "update", "samlp|acme|jane", "--patch", patch]).await.0, 0);
    let (status, text) = world.command(&["user", "forget-profile", "samlp|acme|jane"]).await;
    assert_eq!(status, 0, "{text}");
    let (_, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    assert!(!shown.contains(EMAIL) && shown.contains("gold"), "{shown}");
    assert_oauth_error(&world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
    let (error, _) = world.app.error(&world.gateway, &again(&world, &browser, &[("prompt", "none")]).await.away());
    assert_eq!(error, "login_required");
    let request = world.idp("acme").read(&again(&world, &browser, &[]).await.away());
    let tokens: Tokens = world.redeem(world.answer(&browser, "acme", &request, &person("jane", EMAIL, true)).await).await;
    assert_eq!((subject(&tokens).as_str(), &tokens.claims()["email"]), ("samlp|acme|jane", &json!(EMAIL)));
    let (_, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    assert!(shown.contains(EMAIL) && shown.contains("gold"), "what the operator gave stays: {shown}");
}
