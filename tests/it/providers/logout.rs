//! Logout that a provider begins.

use super::login::gateway_of;
use crate::harness::app::App;
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::Op;
use crate::harness::web::{Reply, Site};
use serde_json::{Value, json};
use std::time::Duration;

async fn say(gateway: &Gateway, token: &str) -> Page {
    let url = gateway.url("/connections/acme/backchannel-logout");
    let answer = gateway.client().post(url.clone()).form(&[("logout_token", token)]).send().await.expect("an answer");
    Page::read(answer, &url).await
}

async fn signed_in(op: &Op, gateway: &Gateway, app: &App) -> Browser {
    let browser = Browser::new();
    let departure = browser.open(app.authorize(gateway, &[]).as_str()).await.away();
    app.code(gateway, &op.sign_in(&browser, &departure).await.away());
    assert!(is_signed_in(op, &browser, gateway, app).await);
    browser
}

async fn is_signed_in(op: &Op, browser: &Browser, gateway: &Gateway, app: &App) -> bool {
    let departure = browser.open(app.authorize(gateway, &[]).as_str()).await.away();
    !departure.url.as_str().starts_with(&op.issuer)
}

#[tokio::test]
async fn a_logout_token_ends_the_sessions_that_it_names() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "").await;
    let browser = signed_in(&op, &gateway, &app).await;
    // Of somebody else, or of another session.
    for changes in
        [json!({ "sub": "joe" }), json!({ "sid": "another" }), json!({ "sid": null, "sub": "joe" }), json!({ "sid": "x", "sub": null })]
    {
        assert_eq!(say(&gateway, &op.logout_token(&changes)).await.status, 200, "nobody is signed in, and that is good: {changes}");
        assert!(is_signed_in(&op, &browser, &gateway, &app).await, "{changes}");
    }
    for changes in [json!({}), json!({ "sub": null }), json!({ "sid": null })] {
        let browser = signed_in(&op, &gateway, &app).await;
        let answer = say(&gateway, &op.logout_token(&changes)).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{changes}");
        assert!(!is_signed_in(&op, &browser, &gateway, &app).await, "{changes}");
    }
    // The application cannot be told from here, and that is said.
    assert_eq!(gateway.metric("isthmus_logouts_total{by=\"idp\",outcome=\"partial\"}").await, 3);
}

#[tokio::test]
async fn a_logout_token_is_held_to_every_rule() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "").await;
    let browser = signed_in(&op, &gateway, &app).await;
    let refused = async |token: &str, rule: &str| {
        let answer = say(&gateway, token).await;
        assert_eq!(answer.status, 400, "{rule}: {}", answer.body);
        let said: Value = answer.json();
        assert_eq!(said["error"], "invalid_request", "{rule}");
        let trace = gateway.trace(answer.correlation_id()).await.to_string();
        assert!(trace.contains(&format!("\"reason\":\"{rule}\"")), "{rule}: {trace}");
    };
    for (changes, rule) in [
        (json!({ "iss": "https://evil.example" }), "logout-token-iss"),
        (json!({ "aud": "another" }), "logout-token-aud"),
        (json!({ "exp": 1_700_000_000 }), "logout-token-exp"),
        (json!({ "exp": null }), "logout-token-exp"),
        (json!({ "iat": 4_000_000_000_u64 }), "logout-token-iat"),
        (json!({ "sub": null, "sid": null }), "logout-token-subject"),
        (json!({ "events": {} }), "logout-token-events"),
        (json!({ "nonce": "n" }), "logout-token-nonce"),
        (json!({ "jti": null }), "logout-token-jti"),
    ] {
        refused(&op.logout_token(&changes), rule).await;
    }
    for (header, rule) in [
        (json!({ "alg": "none" }), "logout-token-alg"),
        (json!({ "alg": "HS256" }), "logout-token-alg"),
        (json!({ "typ": "at+jwt" }), "logout-token-typ"),
        (json!({ "kid": "unknown" }), "logout-token-key"),
    ] {
        op.lies(|lies| lies.header = header);
        refused(&op.logout_token(&json!({})), rule).await;
    }
    op.lies(|lies| lies.foreign_key = true);
    refused(&op.logout_token(&json!({})), "logout-token-signature").await;
    refused("x", "logout-token-malformed").await;
    op.lies(|_| {});
    assert!(is_signed_in(&op, &browser, &gateway, &app).await);
    // Once.
    let token = op.logout_token(&json!({}));
    assert_eq!(say(&gateway, &token).await.status, 200);
    assert!(!is_signed_in(&op, &browser, &gateway, &app).await);
    let browser = signed_in(&op, &gateway, &app).await;
    assert_eq!(say(&gateway, &token).await.status, 400);
    assert!(is_signed_in(&op, &browser, &gateway, &app).await);
    // And at a connection that there is.
    let url = gateway.url("/connections/nobody/backchannel-logout");
    let answer = gateway.client().post(url).form(&[("logout_token", op.logout_token(&json!({})))]).send().await.expect("an answer");
    assert!(answer.status().is_client_error());
}

#[tokio::test]
async fn applications_are_told_of_it() {
    let op = Op::start().await;
    let mailbox = Site::answering(0, |_| Reply::status(200)).await;
    let app = App::new("notes");
    let toml = app.toml("", &format!("backchannel_logout_uri = \"http://127.0.0.1:{}/logout\"", mailbox.port));
    let gateway = Gateway::start(Setup::new().connection(&op.toml("acme", "")).application(&toml)).await;
    signed_in(&op, &gateway, &app).await;
    assert_eq!(say(&gateway, &op.logout_token(&json!({}))).await.status, 200);
    for attempt in 0.. {
        if mailbox.seen().iter().any(|asked| asked.path() == "/logout" && asked.parameters().contains_key("logout_token")) {
            break;
        }
        assert!(attempt < 50, "nobody told the application");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_frame_of_the_provider_ends_the_session_that_it_names() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "").await;
    let browser = signed_in(&op, &gateway, &app).await;
    let load = async |iss: &str, sid: &str| {
        let mut url = gateway.url("/connections/acme/frontchannel-logout");
        url.query_pairs_mut().append_pair("iss", iss).append_pair("sid", sid);
        gateway.client().get(url).send().await.expect("an answer").status().as_u16()
    };
    for (iss, sid, status) in [
        ("https://evil.example", "their-session", 400),
        ("", "their-session", 400),
        (op.issuer.as_str(), "", 400),
        (op.issuer.as_str(), "another", 200),
    ] {
        assert_eq!(load(iss, sid).await, status, "{iss} {sid}");
        assert!(is_signed_in(&op, &browser, &gateway, &app).await, "{iss} {sid}");
    }
    assert_eq!(load(&op.issuer, "their-session").await, 200);
    assert!(!is_signed_in(&op, &browser, &gateway, &app).await);
}
