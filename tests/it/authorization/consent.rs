//! What people are asked before third parties' applications and devices get anything of them, over HTTP.

use crate::api::Api;
use crate::harness::app::{App, Auth, Tokens, assert_oauth_error, userinfo};
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, Person};
use crate::harness::scene::Scene;
use serde_json::{Value, json};

const THIRD: &str =
    "first_party = false\npolicy_uri = \"https://notes.example/privacy\"\nlogo_uri = \"https://cdn.notes.example/logo.png\"";
const DEVICE: &str = "grant_types = [\"authorization_code\", \"refresh_token\", \"urn:ietf:params:oauth:grant-type:device_code\"]";

async fn scene(auth: Auth, oidc: &str) -> Scene {
    let (idp, app) = (Idp::new("acme"), App::new("notes").by(auth));
    let setup = Setup::new().connection(&idp.toml("", "")).application(&app.toml("", oidc));
    Scene::of(setup, idp, app).await
}

/// Up to the question.
async fn asked(scene: &Scene, changes: &[(&str, &str)]) -> Page {
    let request = scene.ask(changes).await;
    scene.answer(&scene.idp.respond(&request, &Person::jane())).await.here()
}

#[tokio::test]
async fn a_third_party_gets_what_the_person_agrees_to_until_it_is_withdrawn() {
    let scene = scene(Auth::Basic, THIRD).await;
    let api = Api::of(&scene.gateway).await;
    let offline = [("scope", "openid email offline_access"), ("prompt", "consent")];
    let page = asked(&scene, &offline).await;
    assert!(page.contains("https://notes.example/privacy") && page.contains("Your e-mail address"), "{}", page.body);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("img-src https://cdn.notes.example;") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(api.read("/grants").await, json!([]));
    let answer = scene.browser.press(&page, "Allow").await.away();
    let tokens = Tokens::of(&scene.app.redeem(&scene.gateway, &scene.app.code(&scene.gateway, &answer), &[]).await);

    let quiet = [("scope", "openid email"), ("prompt", "none")];
    scene.app.code(&scene.gateway, &scene.again(&quiet).await);
    let more = scene.again(&[("scope", "openid phone"), ("prompt", "none")]).await;
    assert_eq!(scene.app.error(&scene.gateway, &more).0, "consent_required");

    let user_id: String = url::form_urlencoded::byte_serialize(tokens.claims()["sub"].as_str().unwrap().as_bytes()).collect();
    let grants = api.read(&format!("/grants?user_id={user_id}&include_totals=true")).await;
    let grant = &grants["grants"][0];
    assert_eq!((&grants["total"], &grant["clientID"]), (&json!(2), &json!("notes")), "what was agreed to, and a refresh token: {grants}");
    assert_eq!(grant["scope"], json!(["openid", "email", "offline_access"]));
    let one = format!("/grants/{}", grant["id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(api.delete(&one).await.status, 204);
    }
    assert_eq!(api.read("/grants").await, json!([]));
    assert_eq!(userinfo(&scene.gateway, tokens.access_token()).await.status, 401);
    assert_oauth_error(&scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
    assert_eq!(scene.app.error(&scene.gateway, &scene.again(&quiet).await).0, "consent_required");
}

#[tokio::test]
async fn who_refuses_sends_the_application_away_and_stays_signed_in() {
    let scene = scene(Auth::Basic, THIRD).await;
    let page = asked(&scene, &[]).await;
    let answer = scene.browser.press(&page, "Do not allow").await.away();
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "access_denied");
    // The session is there, so only the question is asked again.
    let page = scene.browser.open(scene.app.authorize(&scene.gateway, &[]).as_str()).await.here();
    assert!(page.contains("Jane.Doe@acme.example"), "{}", page.body);
    // The page of another site has no form of ours.
    let forged: Vec<(String, String)> =
        page.form().fields.into_iter().map(|(name, value)| if name == "csrf" { (name, "0".repeat(64)) } else { (name, value) }).collect();
    let forged = [forged, vec![("answer".to_owned(), "allow".to_owned())]].concat();
    scene.browser.post(&page.url, &scene.gateway.url("/login/consent"), &forged).await.here();
    let answer = scene.browser.press(&page, "Allow").await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn a_device_is_connected_from_a_browser_elsewhere() {
    let scene = scene(Auth::None, DEVICE).await;
    let post = async |path: &str, form: &[(&str, &str)]| {
        let url = scene.gateway.url(path);
        Page::read(scene.gateway.client().post(url.clone()).form(form).send().await.expect("the gateway answers"), &url).await
    };
    let started = post("/oauth/device/code", &[("client_id", "notes"), ("scope", "openid email")]).await;
    assert_eq!((started.status, started.header("cache-control")), (200, "no-store"), "{}", started.body);
    let started: Value = started.json();
    let text = |name: &str| started[name].as_str().unwrap().to_owned();
    assert_eq!(text("verification_uri"), scene.gateway.url("/activate").to_string());
    let code = text("device_code");
    let poll = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("client_id", "notes"), ("device_code", &code)];
    assert_oauth_error(&post("/oauth/token", &poll).await, 400, "authorization_pending");

    let browser = Browser::new();
    let page = browser.open(&text("verification_uri_complete")).await.here();
    assert!(page.contains(&text("user_code")) && page.header("content-security-policy").contains("frame-ancestors 'none'"));
    let away = browser.press(&page, "Continue").await.away();
    let answer = scene.idp.respond(&scene.idp.read(&away), &Person::jane());
    let page = browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    assert!(page.contains(&text("user_code")) && page.contains("Notes") && page.contains("do not go on"), "{}", page.body);
    let done = browser.press(&page, "Connect the device").await.here();
    assert!(done.contains("Go back to your device"), "{}", done.body);
    // Once the time has passed that the device must wait.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let tokens = Tokens::of(&post("/oauth/token", &poll).await);
    assert_eq!(userinfo(&scene.gateway, tokens.access_token()).await.status, 200);
}
