//! The token endpoint and UserInfo: single use, rotation, revocation, and who may ask.

use crate::harness::app::{App, Auth, SECRET, Tokens, assert_oauth_error, basic, userinfo};
use crate::harness::browser::{Page, client};
use crate::harness::gateway::Setup;
use crate::harness::idp::Person;
use crate::harness::scene::Scene;
use serde_json::json;

const OFFLINE: &[(&str, &str)] = &[("scope", "openid profile offline_access")];

#[tokio::test]
async fn a_code_used_twice_takes_back_what_it_gave() {
    let scene = Scene::new().await;
    let answer = scene.sign_in(&Person::jane(), OFFLINE).await;
    let code = scene.app.code(&scene.gateway, &answer);
    let tokens = Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    assert_eq!(userinfo(&scene.gateway, tokens.access_token()).await.status, 200);
    assert_oauth_error(&scene.app.redeem(&scene.gateway, &code, &[]).await, 400, "invalid_grant");
    let told = userinfo(&scene.gateway, tokens.access_token()).await;
    assert_eq!(told.status, 401);
    assert!(told.header("www-authenticate").contains("error=\"invalid_token\""), "{:?}", told.headers);
    assert_oauth_error(&scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_reused_one_ends_the_family() {
    let scene = Scene::new().await;
    let first = scene.tokens(&Person::jane(), OFFLINE).await;
    let second = Tokens::of(&scene.app.refresh(&scene.gateway, first.refresh_token(), &[]).await);
    assert_ne!(first.refresh_token(), second.refresh_token());
    for name in ["sub", "aud", "iss", "auth_time", "sid"] {
        assert_eq!(first.claims()[name], second.claims()[name], "{name}");
    }
    // OpenID Connect Core 12.2: no nonce of the first login.
    assert_eq!(second.claims().get("nonce"), None);
    // The answer was lost: the same token again within the grace period gives the same successor.
    let repeated = Tokens::of(&scene.app.refresh(&scene.gateway, first.refresh_token(), &[]).await);
    assert_eq!(repeated.refresh_token(), second.refresh_token());
    let third = Tokens::of(&scene.app.refresh(&scene.gateway, second.refresh_token(), &[]).await);
    // Now the first one is two generations old.
    assert_oauth_error(&scene.app.refresh(&scene.gateway, first.refresh_token(), &[]).await, 400, "invalid_grant");
    assert_oauth_error(&scene.app.refresh(&scene.gateway, third.refresh_token(), &[]).await, 400, "invalid_grant");
    for tokens in [&first, &second, &third] {
        assert_eq!(userinfo(&scene.gateway, tokens.access_token()).await.status, 401);
    }
}

#[tokio::test]
async fn a_refresh_may_narrow_and_never_widen() {
    let scene = Scene::new().await;
    let tokens = scene.tokens(&Person::jane(), OFFLINE).await;
    let wider = scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[("scope", "openid email")]).await;
    assert_oauth_error(&wider, 400, "invalid_scope");
    let tokens = scene.tokens(&Person::jane(), &[("scope", "openid profile offline_access"), ("prompt", "login")]).await;
    let narrower = Tokens::of(&scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[("scope", "openid")]).await);
    assert_eq!(narrower.claims().get("name"), None);
}

#[tokio::test]
async fn without_the_scope_there_is_no_refresh_token() {
    let scene = Scene::new().await;
    let tokens = scene.tokens(&Person::jane(), &[]).await;
    assert_eq!(tokens.answer.get("refresh_token"), None);
}

#[tokio::test]
async fn a_code_works_only_as_it_was_asked_for() {
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki") };
    let scene = Scene::with(|setup| setup.application(&wiki.toml("", ""))).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let wrong_verifier = "another-code-verifier-that-is-long-enough-for-the-grammar-of-rfc";
    let cases = [
        ("another verifier", ("code_verifier", wrong_verifier), "invalid_grant"),
        ("no verifier", ("code_verifier", ""), "invalid_grant"),
        ("another redirect_uri", ("redirect_uri", "https://notes.example/callback2"), "invalid_grant"),
        ("no redirect_uri", ("redirect_uri", ""), "invalid_request"),
        ("another grant type", ("grant_type", "password"), "unsupported_grant_type"),
        ("a made-up code", ("code", "made-up"), "invalid_grant"),
    ];
    for (what, change, error) in cases {
        let answer = scene.again(&[]).await;
        let code = scene.app.code(&scene.gateway, &answer);
        let page = scene.app.redeem(&scene.gateway, &code, &[change]).await;
        assert_eq!(page.json()["error"], error, "{what}: {}", page.body);
        assert_oauth_error(&page, 400, error);
    }
    // Another client, which proves who it is, but the code is not its own.
    let answer = scene.again(&[]).await;
    let code = scene.app.code(&scene.gateway, &answer);
    assert_oauth_error(&wiki.redeem(&scene.gateway, &code, &[("redirect_uri", &scene.app.callback)]).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_verifier_without_a_challenge_is_refused() {
    let scene = Scene::with(|mut setup| {
        setup.applications = vec![App::new("notes").toml("", "require_pkce = false")];
        setup
    })
    .await;
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let answer = scene.sign_in(&Person::jane(), &without).await;
    let code = scene.app.code(&scene.gateway, &answer);
    assert_oauth_error(&scene.app.redeem(&scene.gateway, &code, &[]).await, 400, "invalid_grant");
    let answer = scene.again(&without).await;
    let code = scene.app.code(&scene.gateway, &answer);
    Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[("code_verifier", "")]).await);
}

#[tokio::test]
async fn a_client_proves_itself_in_its_registered_way_only() {
    let public = App { callback: "https://spa.example/cb".to_owned(), ..App::new("spa").by(Auth::None) };
    let posting = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki").by(Auth::Post) };
    let scene = Scene::with(|setup| setup.application(&public.toml("", "")).application(&posting.toml("", ""))).await;
    scene.sign_in(&Person::jane(), &[]).await;
    for app in [&scene.app, &public, &posting] {
        let answer = scene.browser.open(app.authorize(&scene.gateway, &[]).as_str()).await.away();
        let code = app.code(&scene.gateway, &answer);
        for other in [Auth::Basic, Auth::Post, Auth::None] {
            if other != app.auth {
                let page = app.clone().by(other).redeem(&scene.gateway, &code, &[]).await;
                assert_oauth_error(&page, 401, "invalid_client");
                assert_eq!(page.header("www-authenticate").starts_with("Basic"), other == Auth::Basic, "{:?}", page.headers);
            }
        }
        // None of that has touched the code.
        Tokens::of(&app.redeem(&scene.gateway, &code, &[]).await);
    }
}

#[tokio::test]
async fn unknown_clients_and_wrong_secrets_look_alike() {
    let scene = Scene::new().await;
    let form = [("grant_type", "authorization_code"), ("code", "x"), ("redirect_uri", "https://notes.example/callback")];
    let mut told = Vec::new();
    for (client_id, secret) in [("notes", "wrong"), ("nobody", SECRET), ("nobody", "wrong"), ("notes", "")] {
        let url = scene.gateway.url("/oauth/token");
        let answer = client().post(url.clone()).form(&form).header("authorization", basic(client_id, secret)).send().await.unwrap();
        let page = Page::read(answer, &url).await;
        assert_oauth_error(&page, 401, "invalid_client");
        told.push(page.json()["error_description"].as_str().unwrap().replace(page.correlation_id(), ""));
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
}

#[tokio::test]
async fn userinfo_takes_the_token_from_header_or_form_and_from_nowhere_else() {
    let scene = Scene::new().await;
    let tokens = scene.tokens(&Person::jane(), &[]).await;
    let (url, token) = (scene.gateway.url("/userinfo"), tokens.access_token());
    let read = async |request: reqwest::RequestBuilder| Page::read(request.send().await.unwrap(), &url).await;
    let by_get = read(client().get(url.clone()).bearer_auth(token)).await;
    let by_post = read(client().post(url.clone()).bearer_auth(token)).await;
    let by_form = read(client().post(url.clone()).form(&[("access_token", token)])).await;
    assert_eq!(by_get.status, 200);
    assert_eq!(by_get.header("cache-control"), "no-store");
    assert_eq!((&by_get.body, &by_get.body), (&by_post.body, &by_form.body));
    assert_eq!(by_get.json()["sub"], "samlp|acme|jane-1");
    let mut in_url = url.clone();
    in_url.query_pairs_mut().append_pair("access_token", token);
    let refused = read(client().get(in_url)).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let twice = read(client().post(url.clone()).bearer_auth(token).form(&[("access_token", token)])).await;
    assert_eq!(twice.status, 400, "{}", twice.body);
    // RFC 6750 3.1: without a token there is a challenge, and no error code.
    let without = read(client().get(url.clone())).await;
    assert_eq!(without.status, 401);
    assert!(without.header("www-authenticate").starts_with("Bearer") && !without.header("www-authenticate").contains("error"));
    for wrong in ["x", tokens.id_token(), &format!("{token}x"), &token[..token.len() - 1]] {
        let refused = read(client().get(url.clone()).bearer_auth(wrong)).await;
        assert_eq!(refused.status, 401, "{wrong}: {}", refused.body);
        assert!(refused.header("www-authenticate").contains("invalid_token"), "{:?}", refused.headers);
    }
}

#[tokio::test]
async fn an_access_token_without_openid_tells_nothing() {
    let scene = Scene::new().await;
    let tokens = scene.tokens(&Person::jane(), &[("scope", "profile")]).await;
    assert_eq!(tokens.answer.get("id_token"), None);
    let refused = userinfo(&scene.gateway, tokens.access_token()).await;
    assert_eq!(refused.status, 403);
    assert!(refused.header("www-authenticate").contains("insufficient_scope"), "{:?}", refused.headers);
}

#[tokio::test]
async fn id_tokens_are_signed_as_the_application_wants() {
    let apps: Vec<App> = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
        .iter()
        .map(|alg| App { callback: format!("https://{}.example/cb", alg.to_lowercase()), ..App::new(alg) })
        .collect();
    let scene = Scene::with(|setup| {
        apps.iter()
            .fold(setup, |setup, app| setup.application(&app.toml("", &format!("id_token_signed_response_alg = \"{}\"", app.client_id))))
    })
    .await;
    scene.sign_in(&Person::jane(), &[]).await;
    let jwks = scene.browser.open(scene.gateway.url("/.well-known/jwks.json").as_str()).await.here().json();
    for app in &apps {
        let answer = scene.browser.open(app.authorize(&scene.gateway, &[]).as_str()).await.away();
        let code = app.code(&scene.gateway, &answer);
        let tokens = Tokens::of(&app.redeem(&scene.gateway, &code, &[]).await);
        let header = tokens.header();
        assert_eq!(header["alg"], json!(app.client_id));
        let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).expect("its key is published");
        assert_eq!(key["use"], "sig");
        assert_eq!(key.get("d"), None);
        assert!(tokens.claims()["at_hash"].is_string());
    }
}

#[tokio::test]
async fn codes_and_tokens_expire() {
    let lifetimes = "code = 5\naccess_token = 60".to_owned();
    let scene = Scene::with(|setup| Setup { lifetimes, ..setup }).await;
    let answer = scene.sign_in(&Person::jane(), &[]).await;
    let code = scene.app.code(&scene.gateway, &answer);
    let tokens = scene.again(&[]).await;
    let tokens = Tokens::of(&scene.app.redeem(&scene.gateway, &scene.app.code(&scene.gateway, &tokens), &[]).await);
    assert_eq!(tokens.answer["expires_in"], 60);
    tokio::time::sleep(std::time::Duration::from_millis(5100)).await;
    assert_oauth_error(&scene.app.redeem(&scene.gateway, &code, &[]).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_return_address_must_be_registered_to_the_letter() {
    let scene = Scene::new().await;
    for uri in [
        "https://notes.example/callback/",
        "https://notes.example/callback?x=1",
        "https://notes.example/Callback",
        "https://notes.example.evil.example/callback",
        "https://notes.example/callback#x",
        "http://notes.example/callback",
        "javascript:alert(1)",
        "//notes.example/callback",
        "",
    ] {
        let page = scene.browser.open(scene.app.authorize(&scene.gateway, &[("redirect_uri", uri)]).as_str()).await.here();
        assert_eq!(page.status, 400, "{uri}: {}", page.body);
        assert!(page.contains("ISTH-1008") || (uri.is_empty() && page.contains("ISTH-1001")), "{uri}: {}", page.body);
    }
    // Errors before the address is proven never redirect, and do not tell which clients exist.
    let told = async |name: &str, value: &str| {
        let page = scene.browser.open(scene.app.authorize(&scene.gateway, &[(name, value)]).as_str()).await.here();
        page.assert_refused(400, "ISTH-1008");
        page.body.replace(page.correlation_id(), "")
    };
    assert_eq!(told("client_id", "nobody").await, told("redirect_uri", "https://evil.example/").await);
    // After it they do.
    for (changes, told) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("max_age", "x")], "invalid_request"),
        (&[("request", "eyJ")], "invalid_request_object"),
        (&[("request_uri", "https://evil.example/r")], "invalid_request_uri"),
    ] {
        let answer = scene.browser.open(scene.app.authorize(&scene.gateway, changes).as_str()).await.away();
        assert_eq!(answer.parameter("iss"), Some(scene.gateway.issuer()), "{changes:?}");
        let fragment: Vec<(String, String)> =
            url::form_urlencoded::parse(answer.url.fragment().unwrap_or_default().as_bytes()).into_owned().collect();
        let error = answer.parameter("error").or_else(|| fragment.into_iter().find(|(name, _)| name == "error").map(|(_, value)| value));
        assert_eq!(error.as_deref(), Some(told), "{changes:?}");
    }
}

#[tokio::test]
async fn discovery_tells_the_truth() {
    let scene = Scene::new().await;
    let openid = scene.browser.open(scene.gateway.url("/.well-known/openid-configuration").as_str()).await.here();
    let oauth = scene.browser.open(scene.gateway.url("/.well-known/oauth-authorization-server").as_str()).await.here();
    assert_eq!(openid.body, oauth.body);
    let metadata = openid.json();
    assert_eq!(metadata["issuer"], json!(scene.gateway.issuer()));
    for (name, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/oauth/token"),
        ("userinfo_endpoint", "/userinfo"),
        ("jwks_uri", "/.well-known/jwks.json"),
        ("end_session_endpoint", "/oidc/logout"),
    ] {
        assert_eq!(metadata[name], json!(scene.gateway.url(path).as_str()), "{name}");
    }
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
}
