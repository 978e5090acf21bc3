//! What the management API takes for JSON.

use super::Api;
use crate::harness::browser::Page;
use crate::harness::gateway::{Gateway, Setup};
use reqwest::Method;
use serde_json::json;

/// A call with a body of this type, or of none.
async fn sent(api: &Api<'_>, (method, path): (Method, &str), media_type: Option<&str>, body: &str) -> Page {
    let url = api.gateway.url(&format!("/api/v2{path}"));
    let mut request = api.gateway.client().request(method, url.clone()).bearer_auth(&api.token).body(body.to_owned());
    if let Some(media_type) = media_type {
        request = request.header("content-type", media_type);
    }
    Page::read(request.send().await.expect("an answer"), &url).await
}

const OTHERS: [Option<&str>; 11] = [
    None,
    Some(""),
    Some("text/plain"),
    Some("text/json"),
    Some("application/x-www-form-urlencoded"),
    Some("multipart/form-data; boundary=x"),
    Some("application/jsonp"),
    Some("application/+json"),
    Some("image/svg+json"),
    Some("text/plain; application/json"),
    Some("text/plain, application/json"),
];

const JSON: [&str; 5] = [
    "application/json",
    "Application/JSON ; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/merge-patch+json",
    "application/vnd.acme+json",
];

#[tokio::test]
async fn json_of_another_media_type_is_not_read() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let settings = || (Method::PATCH, "/tenants/settings");
    let rotate =
        format!("/clients/{}/rotate-secret", api.make("/clients", &json!({ "name": "Wiki" })).await["client_id"].as_str().expect("an id"));
    let before = api.read("/tenants/settings").await;
    for media_type in OTHERS {
        let connection = json!({ "name": "people", "strategy": "auth0" }).to_string();
        for (call, body) in [
            (settings(), r#"{"session_lifetime": 1}"#),
            ((Method::POST, "/connections"), connection.as_str()),
            ((Method::POST, rotate.as_str()), r#"{"grace_seconds": 60}"#),
        ] {
            let answer = sent(&api, call.clone(), media_type, body).await;
            assert_eq!(
                (answer.status, answer.json()["errorCode"].as_str()),
                (415, Some("unsupported-media-type")),
                "{call:?} {media_type:?}: {}",
                answer.body
            );
        }
    }
    assert_eq!(api.read("/tenants/settings").await, before);
    assert_eq!(api.read("/connections").await, json!([]));
    for (hours, media_type) in (1..).zip(JSON) {
        let answer = sent(&api, settings(), Some(media_type), &json!({ "session_lifetime": hours }).to_string()).await;
        assert_eq!((answer.status, answer.json()["session_lifetime"].as_u64()), (200, Some(hours)), "{media_type}: {}", answer.body);
    }
    // A body that may be left out need have no type.
    assert_eq!(api.call(Method::POST, &rotate, None, &[]).await.status, 200);
    assert_eq!(sent(&api, (Method::POST, &rotate), Some("application/json"), r#"{"grace_seconds": 60}"#).await.status, 200);
}
