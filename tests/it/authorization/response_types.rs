//! What each response type gives, and where.

use super::{ALL, EMAIL, half_hash, id_token, scene_of};
use crate::harness::app::{App, Tokens, assert_oauth_error, userinfo};
use crate::harness::browser::Departure;
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, Person};
use crate::harness::scene::Scene;
use serde_json::Value;

/// Where the parameters of an answer stand.
fn place(answer: &Departure) -> &'static str {
    match (&answer.form, answer.url.query(), answer.url.fragment()) {
        (Some(_), None, None) => "form_post",
        (None, Some(_), None) => "query",
        (None, None, Some(_)) => "fragment",
        other => panic!("parameters at several places: {other:?}"),
    }
}

#[tokio::test]
async fn every_response_type_in_every_mode() {
    let scene = scene_of("").await;
    let first = scene.sign_in(&Person::jane(), &[]).await;
    scene.app.code(&scene.gateway, &first);
    for kind in ALL {
        for mode in ["", "query", "fragment", "form_post"] {
            let answer = scene.again(&[("response_type", kind), ("response_mode", mode)]).await;
            if kind != "code" && mode == "query" {
                let (error, _) = scene.app.error(&scene.gateway, &answer);
                assert_eq!((error.as_str(), place(&answer)), ("invalid_request", "fragment"), "{kind}");
                assert_eq!(answer.parameter("id_token").or(answer.parameter("access_token")), None);
                continue;
            }
            let default = if kind == "code" { "query" } else { "fragment" };
            assert_eq!(place(&answer), if mode.is_empty() { default } else { mode }, "{kind}");
            check(&scene, kind, &answer).await;
        }
    }
}

/// Everything that the type names, and nothing else.
async fn check(scene: &Scene, kind: &str, answer: &Departure) {
    let words: Vec<&str> = kind.split(' ').collect();
    let has = |name: &str| answer.parameter(name).is_some();
    assert_eq!(answer.parameter("error"), None, "{kind}: {:?}", answer.parameter("error_description"));
    assert_eq!(answer.parameter("state").as_deref(), Some("a state & more"), "{kind}");
    assert_eq!(answer.parameter("iss"), Some(scene.gateway.issuer()), "{kind}");
    assert_eq!(
        (has("code"), has("id_token"), has("access_token")),
        (words.contains(&"code"), words.contains(&"id_token"), words.contains(&"token"))
    );
    let mut subjects = Vec::new();
    if has("id_token") {
        let claims = id_token(answer);
        check_id_token(scene, kind, answer, &claims);
        subjects.push(claims["sub"].clone());
    }
    if let Some(token) = answer.parameter("access_token") {
        assert_eq!(answer.parameter("token_type").as_deref(), Some("Bearer"));
        assert_eq!(answer.parameter("expires_in").as_deref(), Some("3600"));
        assert_eq!(answer.parameter("scope").as_deref(), Some("openid profile email groups"));
        let told = userinfo(&scene.gateway, &token).await.json();
        assert_eq!(told["email"], EMAIL, "{kind}");
        subjects.push(told["sub"].clone());
    }
    if let Some(code) = answer.parameter("code") {
        let claims = Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await).claims();
        assert_eq!((claims["nonce"].as_str(), claims.get("c_hash")), (Some("a-nonce"), None), "{kind}");
        subjects.push(claims["sub"].clone());
    }
    assert!(subjects.windows(2).all(|pair| pair[0] == pair[1]), "{kind}: {subjects:?}");
}

fn check_id_token(scene: &Scene, kind: &str, answer: &Departure, claims: &Value) {
    assert_eq!(claims["iss"], scene.gateway.issuer());
    assert_eq!((claims["aud"].as_str(), claims["nonce"].as_str()), (Some("notes"), Some("a-nonce")), "{kind}");
    assert!(claims["auth_time"].is_i64() && claims["sid"].is_string());
    let hash = |name: &str| answer.parameter(name).map(|text| Value::from(half_hash(&text)));
    assert_eq!(claims.get("at_hash"), hash("access_token").as_ref(), "{kind}");
    assert_eq!(claims.get("c_hash"), hash("code").as_ref(), "{kind}");
    assert_eq!(claims.get("s_hash"), hash("state").as_ref(), "{kind}");
    // Core 5.4: what the scopes give comes from UserInfo, unless there is no access token to ask it with.
    assert_eq!(claims.get("email").is_some(), kind == "id_token", "{kind}: {claims}");
}

#[tokio::test]
async fn a_code_used_twice_ends_the_access_token_that_came_beside_it() {
    let scene = scene_of("").await;
    scene.sign_in(&Person::jane(), &[]).await;
    let answer = scene.again(&[("response_type", "code id_token token")]).await;
    let (code, beside) = (answer.parameter("code").unwrap(), answer.parameter("access_token").unwrap());
    let tokens = Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    assert_ne!(tokens.access_token(), beside);
    assert_eq!(userinfo(&scene.gateway, &beside).await.status, 200);
    assert_oauth_error(&scene.app.redeem(&scene.gateway, &code, &[]).await, 400, "invalid_grant");
    for token in [beside.as_str(), tokens.access_token()] {
        assert_eq!(userinfo(&scene.gateway, token).await.status, 401);
    }
}

#[tokio::test]
async fn what_comes_after_a_login_at_the_identity_provider_is_the_same() {
    let scene = scene_of("").await;
    for (kind, mode) in [("code id_token token", "form_post"), ("id_token token", "fragment"), ("id_token", "form_post")] {
        let answer = scene.sign_in(&Person::jane(), &[("response_type", kind), ("response_mode", mode), ("prompt", "login")]).await;
        assert_eq!(place(&answer), mode);
        check(&scene, kind, &answer).await;
    }
}

#[tokio::test]
async fn refusals_go_where_the_answers_would() {
    let scene = scene_of("").await;
    for kind in ALL {
        let silent = scene.again(&[("response_type", kind), ("prompt", "none")]).await;
        assert_eq!(scene.app.error(&scene.gateway, &silent).0, "login_required", "{kind}");
        assert_eq!(place(&silent), if kind == "code" { "query" } else { "fragment" });
        let form = scene.again(&[("response_type", kind), ("prompt", "none"), ("response_mode", "form_post")]).await;
        assert_eq!((scene.app.error(&scene.gateway, &form).0.as_str(), place(&form)), ("login_required", "form_post"), "{kind}");
    }
    // Core 3.2.2.1 and 3.3.2.11: no ID token from here without a nonce.
    for kind in ["id_token", "id_token token", "code id_token", "code id_token token"] {
        let answer = scene.again(&[("response_type", kind), ("nonce", "")]).await;
        assert_eq!(scene.app.error(&scene.gateway, &answer).0, "invalid_request", "{kind}");
    }
}

#[tokio::test]
async fn a_client_that_is_registered_for_codes_gets_codes() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let scene = Scene::of(Setup::new().connection(&idp.toml("", "")).application(&app.toml("", "")), idp, app).await;
    scene.sign_in(&Person::jane(), &[]).await;
    for kind in ALL.into_iter().skip(1) {
        let answer = scene.again(&[("response_type", kind)]).await;
        assert_eq!(scene.app.error(&scene.gateway, &answer).0, "unauthorized_client", "{kind}");
        assert_eq!(place(&answer), "fragment", "{kind}");
    }
    let answer = scene.again(&[("response_type", "token")]).await;
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "unsupported_response_type");
}
