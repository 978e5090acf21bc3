//! A provider that lies: each lie is refused by its own rule, and the trace says which.

use super::login::gateway_of;
use crate::harness::browser::Browser;
use crate::harness::op::{Lies, Op, answer};
use crate::harness::web::Reply;
use serde_json::json;

type Lie = (&'static str, fn(&mut Lies));

/// The name of the rule, and the lie.
const LIES: &[Lie] = &[
    ("id-token-iss", |lies| lies.id_token = json!({ "iss": "https://evil.example" })),
    ("id-token-aud", |lies| lies.id_token = json!({ "aud": "another" })),
    ("id-token-azp", |lies| lies.id_token = json!({ "aud": ["gateway", "another"] })),
    ("id-token-exp", |lies| lies.id_token = json!({ "exp": 1_700_000_000 })),
    ("id-token-iat", |lies| lies.id_token = json!({ "iat": 1_700_000_000 })),
    ("id-token-nonce", |lies| lies.id_token = json!({ "nonce": "another" })),
    ("id-token-nonce", |lies| lies.id_token = json!({ "nonce": null })),
    ("id-token-at-hash", |lies| lies.id_token = json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" })),
    ("id-token-sub", |lies| lies.id_token = json!({ "sub": "" })),
    ("id-token-sub", |lies| lies.id_token = json!({ "sub": "jane\n" })),
    ("userinfo-sub", |lies| lies.id_token = json!({ "sub": "admin" })),
    ("userinfo-sub", |lies| lies.userinfo = json!({ "sub": "admin" })),
    ("userinfo-sub", |lies| lies.userinfo = json!({ "sub": null })),
    ("id-token-signature", |lies| lies.foreign_key = true),
    ("id-token-key", |lies| lies.header = json!({ "kid": "unknown" })),
    ("id-token-alg", |lies| lies.header = json!({ "alg": "none" })),
    ("id-token-alg", |lies| lies.header = json!({ "alg": "HS256" })),
    ("id-token-typ", |lies| lies.header = json!({ "typ": "logout+jwt" })),
    ("id-token-malformed", |lies| lies.header = json!({ "crit": ["exp"] })),
    ("id-token-malformed", |lies| lies.tail = ".x"),
    ("id-token-missing", |lies| lies.tokens = json!({ "id_token": null })),
    ("token-response", |lies| lies.tokens = json!({ "access_token": null })),
    ("token-response", |lies| lies.tokens = json!({ "token_type": "mac" })),
    ("token-endpoint-error", |lies| drop(lies.instead.insert("/token", answer(400, &json!({ "error": "invalid_grant" }))))),
    ("token-response", |lies| drop(lies.instead.insert("/token", Reply::redirect("http://127.0.0.1:1/")))),
    ("provider-unreachable", |lies| drop(lies.instead.insert("/userinfo", Reply::status(500)))),
    ("userinfo", |lies| drop(lies.instead.insert("/userinfo", Reply::page("<html>".to_owned())))),
    ("response-iss", |lies| lies.response = vec![("iss", "https://evil.example")]),
    ("response-code", |lies| lies.response = vec![("code", "")]),
];

#[tokio::test]
async fn each_lie_is_refused_by_its_rule() {
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, "").await;
    for (place, (rule, lie)) in LIES.iter().enumerate() {
        op.lies(lie);
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
        let returned = op.sign_in(&browser, &departure).await.away();
        let (error, description) = app.error(&gateway, &returned);
        let expected = if *rule == "provider-unreachable" { "temporarily_unavailable" } else { "server_error" };
        assert_eq!(error, expected, "{place} {rule}");
        let trace =
            gateway.trace(description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id")).await;
        let refused = trace.to_string();
        assert!(refused.contains(&format!("\"reason\":\"{rule}\"")), "{place} {rule}: {refused}");
    }
    // And it may always tell the truth again.
    op.lies(|_| {});
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    app.code(&gateway, &op.sign_in(&browser, &departure).await.away());
}
