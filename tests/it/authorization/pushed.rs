//! Pushed authorization requests (RFC 9126).

use super::{Signer, object_of, scene_of};
use crate::harness::app::{App, Auth, SECRET, Tokens, assert_oauth_error, basic};
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, Person};
use crate::harness::scene::Scene;
use serde_json::json;
use url::Url;

/// Pushes the usual request of an application, with changes; an empty value takes a parameter away.
async fn push(scene: &Scene, app: &App, changes: &[(&str, &str)]) -> Page {
    let mut form: Vec<(String, String)> = app.authorize(&scene.gateway, changes).query_pairs().into_owned().collect();
    if app.auth == Auth::Post {
        form.push(("client_secret".to_owned(), SECRET.to_owned()));
    }
    post(scene, app, &form).await
}

async fn post(scene: &Scene, app: &App, form: &[(String, String)]) -> Page {
    let url = scene.gateway.url("/oauth/par");
    let mut request = scene.gateway.client().post(url.clone()).form(form);
    if app.auth == Auth::Basic {
        request = request.header("authorization", basic(&app.client_id, SECRET));
    }
    Page::read(request.send().await.expect("an answer"), &url).await
}

#[track_caller]
fn pushed(page: &Page) -> String {
    assert_eq!(page.status, 201, "{}", page.body);
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.json()["expires_in"], 90);
    let request_uri = page.json()["request_uri"].as_str().unwrap().to_owned();
    assert!(request_uri.starts_with("urn:ietf:params:oauth:request_uri:") && request_uri.len() > 70, "{request_uri}");
    request_uri
}

fn taken_up(scene: &Scene, client_id: &str, request_uri: &str) -> Url {
    let mut url = scene.gateway.url("/authorize");
    url.query_pairs_mut().append_pair("client_id", client_id).append_pair("request_uri", request_uri);
    url
}

#[tokio::test]
async fn a_pushed_request_is_answered_once() {
    let scene = scene_of("").await;
    let request_uri = pushed(&push(&scene, &scene.app, &[]).await);
    let mut url = taken_up(&scene, "notes", &request_uri);
    // What stands beside it does not count.
    url.query_pairs_mut()
        .append_pair("state", "outside")
        .append_pair("scope", "openid groups")
        .append_pair("redirect_uri", "https://evil.example/");
    // Loaded twice, in two browsers even: only an answer uses it up.
    scene.browser.open(url.as_str()).await.away();
    Browser::new().open(url.as_str()).await.away();
    let request = scene.idp.read(&scene.browser.open(url.as_str()).await.away());
    let late = scene.idp.read(&scene.browser.open(url.as_str()).await.away());
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    let code = scene.app.code(&scene.gateway, &answer);
    Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    // Another login that was under way gets nothing for it, and nobody begins one any more.
    scene.answer(&scene.idp.respond(&late, &Person::jane())).await.here().assert_refused(409, "ISTH-2003");
    scene.browser.open(taken_up(&scene, "notes", &request_uri).as_str()).await.here().assert_refused(400, "ISTH-1022");
}

#[tokio::test]
async fn a_pushed_request_belongs_to_its_client() {
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki") };
    let scene = Scene::with(|setup| setup.application(&wiki.toml("", ""))).await;
    let request_uri = pushed(&push(&scene, &scene.app, &[]).await);
    scene.browser.open(taken_up(&scene, "wiki", &request_uri).as_str()).await.here().assert_refused(400, "ISTH-1022");
    let unknown = format!("{request_uri}x");
    scene.browser.open(taken_up(&scene, "notes", &unknown).as_str()).await.here().assert_refused(400, "ISTH-1022");
    scene.browser.open(taken_up(&scene, "notes", &request_uri).as_str()).await.away();
}

#[tokio::test]
async fn the_client_hears_at_once_what_is_wrong() {
    let scene = scene_of("").await;
    for (changes, error) in [
        (("redirect_uri", "https://evil.example/"), "invalid_request"),
        (("redirect_uri", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("request_uri", "https://notes.example/r"), "invalid_request"),
        (("request", "nonsense"), "invalid_request_object"),
        (("resource", "https://unknown.example/"), "invalid_target"),
        (("scope", "\""), "invalid_scope"),
        (("prompt", "none login"), "invalid_request"),
        (("id_token_hint", "e.e.e"), "invalid_request"),
    ] {
        let page = push(&scene, &scene.app, &[changes]).await;
        assert_oauth_error(&page, 400, error);
    }
    assert_oauth_error(&push(&scene, &scene.app, &[("client_id", "other")]).await, 400, "invalid_request");
    let twice = [("client_id", "notes"), ("state", "a"), ("state", "b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_oauth_error(&post(&scene, &scene.app, &twice).await, 400, "invalid_request");
    let stranger = scene.app.clone().by(Auth::None);
    assert_oauth_error(&push(&scene, &stranger, &[]).await, 401, "invalid_client");
}

#[tokio::test]
async fn public_native_and_posting_clients_push_too() {
    let native = App { callback: "http://127.0.0.1/cb".to_owned(), ..App::new("desk").by(Auth::None) };
    let posting = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki").by(Auth::Post) };
    let scene =
        Scene::with(|setup| setup.application(&native.toml("", "application_type = \"native\"")).application(&posting.toml("", ""))).await;
    scene.sign_in(&Person::jane(), &[]).await;
    // RFC 8252 7.3: any port of the loopback interface.
    let at_port = App { callback: "http://127.0.0.1:53211/cb".to_owned(), ..native };
    for app in [&at_port, &posting] {
        let request_uri = pushed(&push(&scene, app, &[]).await);
        let answer = scene.browser.open(taken_up(&scene, &app.client_id, &request_uri).as_str()).await.away();
        let code = app.code(&scene.gateway, &answer);
        Tokens::of(&app.redeem(&scene.gateway, &code, &[]).await);
    }
}

#[tokio::test]
async fn a_signed_object_may_be_pushed_and_only_it_counts() {
    let signer = Signer::new();
    let scene = scene_of(&format!("{}\nrequire_signed_request_object = true", signer.toml())).await;
    assert_oauth_error(&push(&scene, &scene.app, &[]).await, 400, "invalid_request");
    let object = signer.sign(None, &object_of(&scene, &json!({"jti": "j"})));
    let form =
        [("client_id", "notes"), ("request", &object), ("state", "outside")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request_uri = pushed(&post(&scene, &scene.app, &form).await);
    let request = scene.idp.read(&scene.browser.open(taken_up(&scene, "notes", &request_uri).as_str()).await.away());
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
    // The object itself is used up with it.
    assert_oauth_error(&post(&scene, &scene.app, &form).await, 400, "invalid_request_object");
}

#[tokio::test]
async fn where_requests_must_be_pushed_nothing_else_is_taken() {
    let must = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki") };
    let scene = Scene::with(|setup| setup.application(&must.toml("", "require_pushed_authorization_requests = true"))).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let answer = scene.browser.open(must.authorize(&scene.gateway, &[]).as_str()).await.away();
    assert_eq!(must.error(&scene.gateway, &answer).0, "invalid_request");
    let request_uri = pushed(&push(&scene, &must, &[]).await);
    let answer = scene.browser.open(taken_up(&scene, "wiki", &request_uri).as_str()).await.away();
    must.code(&scene.gateway, &answer);
    let answer = scene.again(&[]).await;
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn the_operator_may_want_all_requests_pushed() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let setup = Setup::new().connection(&idp.toml("", "")).application(&app.toml("", ""));
    let scene = Scene::of(Setup { top: "require_pushed_authorization_requests = true".to_owned(), ..setup }, idp, app).await;
    assert_eq!(scene.app.error(&scene.gateway, &scene.again(&[]).await).0, "invalid_request");
    let request_uri = pushed(&push(&scene, &scene.app, &[]).await);
    scene.idp.read(&scene.browser.open(taken_up(&scene, "notes", &request_uri).as_str()).await.away());
    let metadata = Browser::new().open(scene.gateway.url("/.well-known/openid-configuration").as_str()).await.here().json();
    assert_eq!(metadata["require_pushed_authorization_requests"], true);
    assert_eq!(metadata["pushed_authorization_request_endpoint"], scene.gateway.url("/oauth/par").as_str());
}
