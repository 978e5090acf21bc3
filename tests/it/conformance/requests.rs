//! Modules about request objects, by value and by reference, in the plans of Core; and refreshes, which several plans have.

use super::suite::{Client, KINDS, Key, MODES, Run, Suite, part, registration, unsigned};
use crate::harness::web::{Reply, Site};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// A refresh token by a login that asks for one, used once; gives its successor.
pub async fn refreshed(suite: &Suite, client: &Client, kind: &str, mode: &'static str) -> String {
    let run = suite.run_of(client, kind, mode);
    let first = run.whole(&[("scope", "openid offline_access"), ("prompt", "consent")]).await;
    let token = first.refresh_token.clone().expect("a refresh token");
    assert!(token.len() >= 22 && token.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "{token}");
    // So that the times of both ID tokens differ.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("scope", "openid offline_access")];
    let told = Suite::good(&suite.token(client, &form).await);
    let text = |name: &str| told[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
    assert_ne!(Some(text("access_token")), first.access_token);
    let (before, after) = (first.claims(), suite.check_id_token(client, None, &text("id_token")).await);
    for name in ["iss", "sub", "aud", "auth_time", "azp"] {
        assert_eq!(before.get(name), after.get(name), "{name}");
    }
    assert!(after["iat"].as_i64() > before["iat"].as_i64(), "{before} {after}");
    assert_eq!(run.userinfo(&text("access_token")).await["sub"], after["sub"]);
    text("refresh_token")
}

/// The request as claims of an object, with what stands beside it as the suite has it.
fn claims(run: &Run<'_>) -> Value {
    let pairs = run.parameters(&[]).into_iter().map(|(name, value)| (name, Value::from(value)));
    Value::Object(pairs.collect())
}

fn beside(run: &Run<'_>, how: (&str, &str), redirect_uri: &str) -> Url {
    let mut url = run.suite.gateway.url("/authorize");
    url.query_pairs_mut()
        .extend_pairs([("client_id", run.client.client_id.as_str()), ("response_type", &run.kind), ("scope", "openid")])
        .extend_pairs([("redirect_uri", redirect_uri), how]);
    url
}

/// Clients that are registered so by an operator, and clients that registered without a word about it.
async fn by_value(redirect_uri: Option<&str>) {
    let registered = Suite::with("unsigned_request_objects = true", |setup| setup).await;
    let mut itself = Suite::open().await;
    let members = json!({ "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["authorization_code", "implicit"],
                          "response_types": KINDS });
    itself.client = itself.register(&members).await;
    for suite in [registered, itself] {
        let discovery = suite.discovery().await;
        assert_eq!(discovery["request_parameter_supported"], true);
        assert!(discovery["request_object_signing_alg_values_supported"].as_array().expect("algorithms").contains(&json!("none")));
        for (kind, mode) in KINDS.into_iter().flat_map(|kind| MODES.map(|mode| (kind, mode))) {
            let run = suite.run(kind, mode);
            let object = unsigned(&claims(&run));
            let answer = run.visit(&beside(&run, ("request", &object), redirect_uri.unwrap_or(&run.client.callback))).await;
            // State and nonce stood in the object only, and are checked.
            run.finish(&answer).await;
        }
    }
}

#[tokio::test]
async fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported() {
    by_value(None).await;
}

/// The address in the object counts, not the wrong one beside it.
#[tokio::test]
async fn oidcc_ensure_request_object_with_redirect_uri() {
    by_value(Some("https://suite.example/test/a/isthmus/callback/wrong")).await;
}

/// What the suite serves at the address that its client has registered.
pub struct Served {
    pub site: Site,
    content: Arc<Mutex<String>>,
}

impl Served {
    pub async fn new(content_type: &'static str) -> Self {
        let content = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&content);
        let site = Site::answering(0, move |_| Reply { content_type, ..Reply::page(shown.lock().unwrap().clone()) }).await;
        Self { site, content }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/requests/1", self.site.port)
    }

    pub fn show(&self, text: String) {
        *self.content.lock().unwrap() = text;
    }
}

/// A client that registers an address for request objects, with `members`, and logs in by each type.
async fn by_reference(members: Value, object: impl Fn(&Run<'_>, &Key) -> String) {
    let (served, key) = (Served::new("application/jose").await, Key::new());
    let suite = Suite::open().await;
    assert_eq!(suite.discovery().await["request_uri_parameter_supported"], true);
    let mut body = json!({ "token_endpoint_auth_method": "client_secret_basic", "request_uris": [served.address()],
                           "grant_types": ["authorization_code", "implicit"], "response_types": KINDS });
    body.as_object_mut().expect("an object").extend(members.as_object().expect("members").clone());
    let told = suite.try_register(&registration(&key, &body)).await;
    assert_eq!(told.status, 201, "{}", told.body);
    let client = Client::told(&told.json(), key.clone());
    for (kind, mode) in KINDS.into_iter().flat_map(|kind| MODES.map(|mode| (kind, mode))) {
        let run = suite.run_of(&client, kind, mode);
        served.show(object(&run, &key));
        let answer = run.visit(&beside(&run, ("request_uri", &served.address()), &run.client.callback)).await;
        run.finish(&answer).await;
    }
}

#[tokio::test]
async fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported() {
    by_reference(json!({}), |run, _| unsigned(&claims(run))).await;
}

/// As the one before; the plan Dynamic does not let it be skipped.
#[tokio::test]
async fn oidcc_request_uri_unsigned() {
    by_reference(json!({ "token_endpoint_auth_method": "private_key_jwt" }), |run, _| unsigned(&claims(run))).await;
}

/// Without `exp`, and without a `typ`, as the suite makes it.
#[tokio::test]
async fn oidcc_request_uri_signed_rs256() {
    let signed = |run: &Run<'_>, key: &Key| {
        let mut claims = claims(run);
        claims["iss"] = run.client.client_id.as_str().into();
        claims["aud"] = run.suite.gateway.issuer().into();
        let object = key.sign(&claims);
        assert_eq!(part(&object, 0), json!({ "alg": "RS256" }));
        object
    };
    by_reference(json!({ "request_object_signing_alg": "RS256" }), signed).await;
}
