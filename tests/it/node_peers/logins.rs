//! Logins from discovery to logout, with keys that change in between, and with answers that were touched on their way.

use super::{Application, BYE, LIBRARIES, Library, Stage, arrival};
use crate::api::command;
use crate::harness::browser::Page;
use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The names of the keys that the gateway publishes.
async fn kids(gateway: &Gateway) -> Vec<String> {
    let url = gateway.url("/.well-known/jwks.json");
    let page = Page::read(gateway.client().get(url.clone()).send().await.expect("an answer"), &url).await;
    let body = page.json();
    body["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

fn kid(tokens: &Value) -> String {
    let header = tokens["id_token"].as_str().and_then(|token| token.split('.').next()).expect("an ID token");
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

async fn rotate(gateway: &Gateway) {
    let before = kids(gateway).await;
    let output = command(gateway, &["keys", "rotate", "--purpose", "oidc-es256", "--at-once"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eventually("other keys", async || (kids(gateway).await != before).then_some(())).await;
}

#[tokio::test]
async fn npm_libraries_sign_in_refresh_and_sign_out_while_keys_change() {
    for script in LIBRARIES {
        // One of them begins with the metadata of RFC 8414.
        let discovery = if script == LIBRARIES[0] { "oidc" } else { "oauth2" };
        let settings = json!({"alg": "ES256", "algorithm": discovery});
        let application = Application::new("client_secret_basic", "id_token_signed_response_alg = \"ES256\"").told(settings);
        let mut stage = Stage::new(Library::new(script), &[application], |_| ()).await;
        let first = stage.whole_login(json!({})).await;
        // A key that nobody has seen before it signs: the library looks again by itself, for an ID token that it cannot verify.
        rotate(&stage.gateway).await;
        let old = stage.ask("age_keys", json!({"seconds": 120}))["kids"].clone();
        let second = stage.sign_in(json!({})).await;
        assert!(!old.to_string().contains(&kid(&second)), "{script}: signed by a new key");
        assert_ne!(kid(&first), kid(&second));
        assert!(kids(&stage.gateway).await.contains(&kid(&first)), "what it has signed can still be verified");
        assert_eq!(kid(&stage.ask("refresh", json!({}))), kid(&second));
        // The next one was published before.
        rotate(&stage.gateway).await;
        let third = stage.sign_in(json!({})).await;
        assert!(kid(&third) != kid(&second) && kid(&third) != kid(&first), "{script}");

        let bye = stage.ask("end_session", json!({"parameters": {"post_logout_redirect_uri": BYE, "state": "s & t"}}));
        let bye = stage.browser.open(bye["url"].as_str().expect("an address")).await.away();
        assert_eq!(bye.url.as_str(), format!("{BYE}?state=s+%26+t"));
        let answer = stage.answer(json!({"parameters": {"prompt": "none"}})).await;
        assert!(stage.refuses("callback", arrival(&answer)).starts_with("login_required"), "{script}");
    }
}

#[tokio::test]
async fn npm_libraries_refuse_answers_that_were_altered() {
    for script in LIBRARIES {
        let mut stage = Stage::new(Library::new(script), &[Application::new("client_secret_basic", "")], |_| ()).await;
        stage.sign_in(json!({})).await;
        let arrives = |answer: &crate::harness::browser::Departure, more: Value| {
            let mut arrival = arrival(answer);
            super::merge(&mut arrival, &more);
            arrival
        };
        for (more, said) in [(json!({"nonce": "another"}), "nonce"), (json!({"state": "another"}), "state")] {
            let answer = stage.answer(json!({})).await;
            let refused = stage.refuses("callback", arrives(&answer, more));
            assert!(refused.contains(said), "{script}: {refused}");
        }
        let mut answer = stage.answer(json!({})).await;
        let query = answer.url.query().expect("a query").replace("127.0.0.1", "127.0.0.2");
        answer.url.set_query(Some(&query));
        let refused = stage.refuses("callback", arrival(&answer));
        assert!(refused.contains("iss"), "{script}: {refused}");
        // An ID token of which one octet of the signature is another.
        let answer = stage.answer(json!({})).await;
        stage.ask("alter", json!({"path": "/oauth/token", "member": "id_token"}));
        let refused = stage.refuses("callback", arrival(&answer));
        assert!(refused.contains("signature"), "{script}: {refused}");
        // UserInfo of somebody else.
        stage.sign_in(json!({})).await;
        stage.ask("alter", json!({"path": "/userinfo", "member": "sub"}));
        let refused = stage.refuses("userinfo", json!({}));
        assert!(refused.contains("sub"), "{script}: {refused}");
        stage.ask("userinfo", json!({}));
        // Discovery that is somebody else's.
        let settings = Application::new("client_secret_basic", "").settings(&stage.gateway);
        stage.ask("alter", json!({"path": "/.well-known/openid-configuration", "member": "issuer", "text": "http://127.0.0.1:9"}));
        let refused = stage.refuses("start", json!({"settings": settings}));
        assert!(refused.contains("issuer"), "{script}: {refused}");
    }
}
