//! A login at a SAML identity provider becomes an OpenID Connect login at an application.

use crate::harness::app::{App, Auth, CALLBACK, Tokens, userinfo};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Encryption, Idp, PASSWORD, Person, Sign, ZOE, now};
use crate::harness::keys::Pair;
use crate::harness::scene::Scene;
use crate::harness::servers::Server;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn the_claims_of_the_person_reach_the_application() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    assert!(!request.post && !request.force_authn && !request.is_passive);
    assert_eq!(request.acs_url, scene.gateway.url("/connections/acme/acs").as_str());
    let signed_in_at = now().unix_timestamp();
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    let code = scene.app.code(&scene.gateway, &answer);
    let tokens = Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    assert_eq!(tokens.answer["token_type"], "Bearer");
    let claims = tokens.claims();
    for (name, value) in [
        ("iss", json!(scene.gateway.issuer())),
        ("aud", json!("notes")),
        ("sub", json!("samlp|acme|jane-1")),
        ("nonce", json!("a-nonce")),
        ("email", json!("Jane.Doe@acme.example")),
        ("name", json!("Jane Doe")),
        ("given_name", json!("Jane")),
        ("family_name", json!("Doe")),
        ("groups", json!(["staff", "admins"])),
        ("acr", json!(PASSWORD)),
    ] {
        assert_eq!(claims[name], value, "{name} in {claims}");
    }
    let auth_time = claims["auth_time"].as_i64().expect("auth_time");
    assert!((auth_time - signed_in_at).abs() <= 5, "{auth_time} {signed_in_at}");
    let expires_in = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(expires_in, 3600);
    let told = userinfo(&scene.gateway, tokens.access_token()).await;
    assert_eq!(told.status, 200, "{}", told.body);
    for name in ["sub", "email", "name", "groups"] {
        assert_eq!(told.json()[name], claims[name], "{name}");
    }
}

#[tokio::test]
async fn groups_reach_the_id_token_two_hundred_of_them() {
    let scene = Scene::new().await;
    let claims = scene.tokens(&Person::max(), &[]).await.claims();
    let groups = claims["groups"].as_array().expect("groups");
    assert_eq!((groups.len(), &groups[0], &groups[199]), (200, &json!("group-000"), &json!("group-199")));
}

#[tokio::test]
async fn accents_and_other_scripts_arrive_unharmed() {
    let scene = Scene::new().await;
    let tokens = scene.tokens(&Person::zoe(), &[]).await;
    assert_eq!(tokens.claims()["name"], ZOE);
    assert_eq!(tokens.claims()["groups"], json!(["Ångström & <friends>", "日本語"]));
    assert_eq!(tokens.claims()["sub"], "samlp|acme|zoë-2");
    let told = userinfo(&scene.gateway, tokens.access_token()).await.json();
    assert_eq!(told["name"], ZOE);
}

#[tokio::test]
async fn somebody_without_an_address_signs_in_without_one() {
    let scene = Scene::new().await;
    let claims = scene.tokens(&Person::without_mail(), &[]).await.claims();
    assert_eq!((claims.get("email"), &claims["name"]), (None, &json!("Nora Nomail")));
}

#[tokio::test]
async fn scopes_decide_what_is_released() {
    let scene = Scene::new().await;
    let claims = scene.tokens(&Person::jane(), &[("scope", "openid")]).await.claims();
    for name in ["email", "name", "groups", "given_name"] {
        assert_eq!(claims.get(name), None, "{name} without its scope");
    }
}

#[tokio::test]
async fn redis_and_postgres_serve_a_login_as_the_embedded_stores_do() {
    let (redis, postgres) = (Server::redis(&[]), Server::postgres());
    let scene = Scene::with(|setup| Setup { directory: postgres.postgres_url(), sessions: redis.redis_url(), ..setup }).await;
    let tokens = scene.tokens(&Person::zoe(), &[("scope", "openid profile offline_access")]).await;
    assert_eq!(tokens.claims()["name"], ZOE);
    let refreshed = Tokens::of(&scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await);
    assert_eq!(refreshed.claims()["sub"], tokens.claims()["sub"]);
    assert_eq!(userinfo(&scene.gateway, refreshed.access_token()).await.status, 200);
    // A second login of the same person is the same user, at another node too.
    let other = Gateway::start(Setup {
        directory: postgres.postgres_url(),
        sessions: redis.redis_url(),
        ..Setup::new().connection(&scene.idp.toml("", "")).application(&scene.app.toml("", ""))
    })
    .await;
    assert_eq!(userinfo(&other, refreshed.access_token()).await.status, 200, "a node keeps nothing that another needs");
    assert!(redis.ask_redis("DBSIZE").starts_with(':'));
}

#[tokio::test]
async fn redis_and_sqlite_go_together_and_so_do_memory_and_postgres() {
    let redis = Server::redis(&[]);
    let scene = Scene::with(|setup| Setup { sessions: redis.redis_url(), ..setup }).await;
    assert_eq!(scene.tokens(&Person::jane(), &[]).await.claims()["name"], "Jane Doe");
    let postgres = Server::postgres();
    let scene = Scene::with(|setup| Setup { directory: postgres.postgres_url(), ..setup }).await;
    assert_eq!(scene.tokens(&Person::jane(), &[]).await.claims()["name"], "Jane Doe");
}

#[tokio::test]
async fn every_way_to_sign_and_encrypt_is_read() {
    let scene = Scene::new().await;
    let metadata = scene.gateway.url("/connections/acme/metadata");
    let Some(certificate) = encryption_certificate(&Browser::new().open(metadata.as_str()).await.here().body) else {
        panic!("no key to encrypt to")
    };
    let gcm = || Encryption::aes256_gcm(certificate.clone());
    let gcm128 = Encryption { data: "http://www.w3.org/2009/xmlenc11#aes128-gcm", session_key: "aes-128", ..gcm() };
    let sha256 = Encryption { oaep_digest: "http://www.w3.org/2001/04/xmlenc#sha256", ..gcm() };
    for (sign, encrypt) in [
        (Sign::Assertion, None),
        (Sign::Response, None),
        (Sign::Both, None),
        (Sign::Assertion, Some(gcm())),
        (Sign::Response, Some(gcm())),
        (Sign::Both, Some(gcm())),
        (Sign::Assertion, Some(gcm128)),
        (Sign::Response, Some(sha256)),
    ] {
        let browser = Browser::new();
        let request = scene.idp.read(&browser.open(scene.app.authorize(&scene.gateway, &[]).as_str()).await.away());
        let what = format!("{sign:?} {:?}", encrypt.as_ref().map(|encryption| (encryption.data, encryption.oaep_digest)));
        let answer = scene.idp.respond_with(&request, &Person::jane(), |response| (response.sign, response.encrypt) = (sign, encrypt));
        let answer = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
        assert!(answer.parameter("code").is_some(), "{what}: {:?}\n{}", answer.parameters(), scene.gateway.log());
    }
}

#[tokio::test]
async fn an_identity_provider_may_sign_with_an_elliptic_curve() {
    let idp = Idp::signing_with("acme", Pair::ec("acme"));
    let app = App::new("notes");
    let setup = Setup::new().connection(&idp.toml("", "")).application(&app.toml("", ""));
    let scene = Scene::of(setup, idp, app).await;
    assert_eq!(scene.tokens(&Person::jane(), &[]).await.claims()["name"], "Jane Doe");
}

#[tokio::test]
async fn a_request_may_go_by_post() {
    let idp = Idp::new("acme");
    let app = App::new("notes");
    let setup = Setup::new().connection(&idp.toml("", "request_binding = \"post\"")).application(&app.toml("", ""));
    let scene = Scene::of(setup, idp, app).await;
    let request = scene.ask(&[]).await;
    assert!(request.post);
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn literal_values_replace_metadata() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let toml = format!(
        "name = \"acme\"\n[connection.saml]\nentity_id = \"{}\"\nsso_url = \"{}\"\ncertificates = [\"\"\"\n{}\"\"\"]\n",
        idp.entity_id,
        idp.sso_url,
        idp.certificate_pem()
    );
    let setup = Setup::new().connection(&toml).application(&app.toml("", ""));
    let scene = Scene::of(setup, idp, app).await;
    assert_eq!(scene.tokens(&Person::jane(), &[]).await.claims()["name"], "Jane Doe");
}

#[tokio::test]
async fn a_login_works_over_https_with_host_bound_cookies() {
    let pair = Pair::rsa("localhost");
    let mut scene = Scene::with(|setup| Setup { host: "localhost", ..setup.secure(&pair) }).await;
    scene.browser = Browser::trusting(&pair.certificate_pem());
    // Several, because what one login leaves behind in a worker thread must not hurt the next connection there.
    for _ in 0..8 {
        let tokens = scene.tokens(&Person::jane(), &[("prompt", "login")]).await;
        assert_eq!(userinfo(&scene.gateway, tokens.access_token()).await.status, 200);
    }
    let binding = scene.browser.cookie("__Host-isthmus-login").expect("a cookie that binds the login");
    let session = scene.browser.cookie("__Host-isthmus-session").expect("a session");
    assert!(binding.secure && binding.http_only && session.secure && session.http_only);
    assert_eq!((binding.same_site.as_str(), session.same_site.as_str()), ("None", "Lax"));
}

#[tokio::test]
async fn an_authorization_request_may_be_posted_from_the_application() {
    let scene = Scene::new().await;
    let url = scene.app.authorize(&scene.gateway, &[]);
    let fields: Vec<_> = url.query_pairs().into_owned().collect();
    let from = CALLBACK.parse().unwrap();
    let to = scene.gateway.url("/authorize");
    let request = scene.idp.read(&scene.browser.post(&from, &to, &fields).await.away());
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
    // The session answers a posted request too, although its cookie does not come with a cross-site POST.
    let answer = scene.browser.post(&from, &to, &fields).await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn the_answer_travels_in_the_mode_that_was_asked_for() {
    let scene = Scene::new().await;
    scene.sign_in(&Person::jane(), &[]).await;
    let answer = scene.again(&[("response_mode", "form_post")]).await;
    assert!(answer.form.is_some() && answer.url.as_str() == CALLBACK);
    let code = scene.app.code(&scene.gateway, &answer);
    Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    let answer = scene.again(&[("response_mode", "fragment")]).await;
    assert!(answer.url.fragment().is_some_and(|fragment| fragment.contains("code=") && fragment.contains("iss=")), "{}", answer.url);
}

#[tokio::test]
async fn the_second_application_is_entered_without_the_identity_provider() {
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki").by(Auth::Post) };
    let scene = Scene::with(|setup| setup.application(&wiki.toml("", ""))).await;
    let first = scene.tokens(&Person::jane(), &[]).await.claims();
    let answer = scene.browser.open(wiki.authorize(&scene.gateway, &[]).as_str()).await.away();
    let code = wiki.code(&scene.gateway, &answer);
    let second = Tokens::of(&wiki.redeem(&scene.gateway, &code, &[]).await).claims();
    for name in ["sub", "auth_time", "sid", "acr"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    assert_eq!(second["aud"], "wiki");
    // Another browser has no session.
    let stranger = Browser::new();
    scene.idp.read(&stranger.open(wiki.authorize(&scene.gateway, &[]).as_str()).await.away());
}

#[tokio::test]
async fn the_session_ends_no_later_than_the_identity_provider_says() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let end = now() + Duration::from_secs(2);
    let answer = scene.idp.respond_with(&request, &Person::jane(), |response| response.session_not_on_or_after = Some(end));
    let answer = scene.answer(&answer).await.away();
    scene.app.code(&scene.gateway, &answer);
    crate::harness::eventually("the end of the session", async || {
        let answer = scene.again(&[("prompt", "none")]).await;
        (answer.parameter("error").as_deref() == Some("login_required")).then_some(())
    })
    .await;
}

/// The certificate of the KeyDescriptor for encryption.
fn encryption_certificate(metadata: &str) -> Option<String> {
    let (_, descriptor) = metadata.split_once("use=\"encryption\"")?;
    let (_, rest) = descriptor.split_once("X509Certificate>")?;
    let base64: String = rest.split('<').next()?.split_whitespace().collect();
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    Some(format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")))
}
