//! Logins by an OpenID provider, to applications of both protocols.

use crate::harness::app::{App, Tokens, userinfo};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::Op;
use crate::harness::web::Reply;
use serde_json::json;

/// A gateway whose only connection is this provider, with more lines of `[connection.oidc]`.
pub async fn gateway_of(op: &Op, oidc: &str) -> (Gateway, App) {
    let app = App::new("notes");
    (Gateway::start(Setup::new().connection(&op.toml("acme", oidc)).application(&app.toml("", ""))).await, app)
}

#[tokio::test]
async fn a_login_by_openid_connect() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "").await;
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let asked = |name: &str| departure.parameter(name);
    assert_eq!(asked("scope").as_deref(), Some("openid profile email"));
    assert_eq!(asked("redirect_uri"), Some(gateway.url("/connections/acme/callback").to_string()));
    assert_eq!(asked("code_challenge_method").as_deref(), Some("S256"));
    assert!(asked("nonce").is_some_and(|nonce| nonce.len() >= 32) && asked("prompt").is_none() && asked("max_age").is_none());
    let answer = op.sign_in(&browser, &departure).await.away();
    let tokens = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &answer), &[]).await);
    let claims = tokens.claims();
    assert_eq!((&claims["sub"], &claims["acr"]), (&json!("oidc|acme|jane"), &json!("urn:example:good")), "{claims}");
    let told = userinfo(&gateway, tokens.access_token()).await.json();
    assert_eq!((&told["name"], &told["email"], &told["groups"]), (&json!("Jane Doe"), &json!("jane@acme.example"), &json!(["a", "b"])));
    let token_requests: Vec<_> = op.site.seen().into_iter().filter(|asked| asked.path() == "/token").collect();
    assert_eq!(token_requests.len(), 1);
    assert!(token_requests[0].parameters()["code_verifier"].len() >= 43 && !token_requests[0].body.contains("secret"));
    // Whoever changes there is who they are here at the next login.
    op.person(&json!({ "name": "Jane Roe" }));
    let elsewhere = Browser::new();
    let departure = elsewhere.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let answer = op.sign_in(&elsewhere, &departure).await.away();
    let tokens = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &answer), &[]).await);
    assert_eq!(tokens.claims()["name"], "Jane Roe");
    // The session here answers the next one.
    let again = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    app.code(&gateway, &again);
}

#[tokio::test]
async fn what_the_application_asks_is_asked_there() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(
        &op,
        "allow_passive_probe = true\nparameters = { hd = \"acme.example\" }\n[connection.oidc.acr]\ngold = \"urn:example:good\"\n",
    )
    .await;
    for (changes, name, expected) in [
        (("prompt", "login"), "prompt", "login"),
        (("prompt", "login"), "max_age", "0"),
        (("prompt", "none"), "prompt", "none"),
        (("prompt", ""), "hd", "acme.example"),
        (("max_age", "600"), "max_age", "600"),
        (("acr_values", "gold urn:x:other"), "acr_values", "urn:example:good urn:x:other"),
        (("ui_locales", "de-AT en"), "ui_locales", "de-AT en"),
        (("login_hint", "jane@acme.example"), "login_hint", "jane@acme.example"),
    ] {
        let departure = Browser::new().open(app.authorize(&gateway, &[changes]).as_str()).await.away();
        assert_eq!(departure.parameter(name).as_deref(), Some(expected), "{changes:?}");
    }
}

#[tokio::test]
async fn the_provider_may_change_its_keys() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "").await;
    for round in 0..3 {
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
        let answer = op.sign_in(&browser, &departure).await.away();
        // Because of a token that names another key, they are fetched again at most once a minute.
        match round {
            0 | 1 => drop(app.code(&gateway, &answer)),
            _ => assert_eq!(app.error(&gateway, &answer).0, "server_error"),
        }
        op.rotate();
    }
    assert_eq!(op.site.seen().iter().filter(|asked| asked.path() == "/jwks").count(), 2);
}

#[tokio::test]
async fn a_provider_that_fails_again_and_again_is_left_alone_while_others_go_on() {
    let (op, other) = (Op::start().await, Op::start().await);
    let app = App::new("notes");
    let setup = Setup::new().connection(&op.toml("acme", "")).connection(&other.toml("globex", ""));
    let gateway = Gateway::start(setup.application(&app.toml("", ""))).await;
    op.lies(|lies| drop(lies.instead.insert("/token", Reply::status(503))));
    let at_acme = app.authorize(&gateway, &[("connection", "acme")]);
    // This one is on its way while the others fail.
    let late = Browser::new();
    let waiting = late.open(at_acme.as_str()).await.away();
    for _ in 0..5 {
        let browser = Browser::new();
        let departure = browser.open(at_acme.as_str()).await.away();
        let answer = op.sign_in(&browser, &departure).await.away();
        assert_eq!(app.error(&gateway, &answer).0, "temporarily_unavailable");
    }
    let asked = || op.site.seen().iter().filter(|asked| asked.path() == "/token").count();
    assert_eq!(asked(), 5);
    // Nobody is sent there any more, and who comes back waits for nothing.
    let answer = Browser::new().open(at_acme.as_str()).await.away();
    assert_eq!(app.error(&gateway, &answer).0, "temporarily_unavailable");
    let answer = op.sign_in(&late, &waiting).await.away();
    assert_eq!(app.error(&gateway, &answer).0, "temporarily_unavailable");
    assert_eq!(asked(), 5);
    // The other provider is another matter.
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[("connection", "globex")]).as_str()).await.away();
    app.code(&gateway, &other.sign_in(&browser, &departure).await.away());
}
