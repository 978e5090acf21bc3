//! RP-initiated logout.

use crate::api::Api;
use crate::harness::app::App;
use crate::harness::idp::Person;
use crate::harness::scene::Scene;
use url::Url;

const BYE: &str = "https://notes.example/bye";

async fn scene() -> Scene {
    let app = App::new("notes");
    Scene::with(|mut setup| {
        setup.applications = vec![app.toml("", &format!("post_logout_redirect_uris = [\"{BYE}\"]"))];
        setup
    })
    .await
}

fn logout(scene: &Scene, parameters: &[(&str, &str)]) -> Url {
    let mut url = scene.gateway.url("/oidc/logout");
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

async fn signed_in(scene: &Scene) -> bool {
    scene.again(&[("prompt", "none")]).await.parameter("code").is_some()
}

#[tokio::test]
async fn with_the_application_s_proof_the_session_ends_and_the_browser_returns() {
    let scene = scene().await;
    let tokens = scene.tokens(&Person::jane(), &[]).await;
    assert!(signed_in(&scene).await);
    let url = logout(&scene, &[("id_token_hint", tokens.id_token()), ("post_logout_redirect_uri", BYE), ("state", "a b")]);
    let back = scene.browser.open(url.as_str()).await.away();
    assert_eq!(back.url.as_str(), "https://notes.example/bye?state=a+b");
    assert!(!signed_in(&scene).await);
    assert!(scene.browser.cookie("isthmus-session").is_none());
    // The cookie's value is worth nothing either, for whoever kept it.
    let url = logout(&scene, &[("id_token_hint", tokens.id_token())]);
    let page = scene.browser.open(url.as_str()).await.here();
    assert_eq!((page.status, page.contains("signed out")), (200, true), "{}", page.body);
}

#[tokio::test]
async fn without_proof_the_person_is_asked() {
    let scene = scene().await;
    scene.sign_in(&Person::jane(), &[]).await;
    let page = scene.browser.open(logout(&scene, &[("client_id", "notes"), ("post_logout_redirect_uri", BYE)]).as_str()).await.here();
    assert!(page.contains("Do you want to sign out?"), "{}", page.body);
    assert!(signed_in(&scene).await, "a link alone ends nothing");
    let back = scene.browser.press(&page, "Sign out").await.away();
    assert_eq!(back.url.as_str(), BYE);
    assert!(!signed_in(&scene).await);
}

#[tokio::test]
async fn the_confirmation_cannot_be_forged() {
    let scene = scene().await;
    scene.sign_in(&Person::jane(), &[]).await;
    let evil = Url::parse("https://evil.example/").unwrap();
    let confirm = scene.gateway.url("/oidc/logout/confirm");
    for fields in [vec![], vec![("csrf".to_owned(), "0".repeat(64))], vec![("csrf".to_owned(), String::new())]] {
        scene.browser.post(&evil, &confirm, &fields).await.here();
        assert!(signed_in(&scene).await, "{fields:?}");
        // Nor from a page of the same site.
        scene.browser.post(&confirm, &confirm, &fields).await.here();
        assert!(signed_in(&scene).await, "{fields:?}");
    }
}

#[tokio::test]
async fn the_browser_returns_only_where_the_application_registered() {
    let scene = scene().await;
    let tokens = scene.tokens(&Person::jane(), &[]).await;
    for uri in ["https://evil.example/", "https://notes.example/bye/", "//evil.example", "https://notes.example/bye#x"] {
        let url = logout(&scene, &[("id_token_hint", tokens.id_token()), ("post_logout_redirect_uri", uri)]);
        scene.browser.open(url.as_str()).await.here().assert_refused(400, "ISTH-1008");
    }
    assert!(signed_in(&scene).await);
    for hint in ["x", "a.b.c", &format!("{}x", tokens.id_token())] {
        let page = scene.browser.open(logout(&scene, &[("id_token_hint", hint)]).as_str()).await.here();
        assert!(page.contains("Do you want to sign out?"), "{}", page.body);
        // What proves nothing opens no way back either.
        let url = logout(&scene, &[("id_token_hint", hint), ("post_logout_redirect_uri", BYE)]);
        scene.browser.open(url.as_str()).await.here().assert_refused(400, "ISTH-1008");
    }
    assert!(signed_in(&scene).await);
}

#[tokio::test]
async fn the_application_may_post_its_request() {
    let scene = scene().await;
    let tokens = scene.tokens(&Person::jane(), &[]).await;
    let from = Url::parse("https://notes.example/").unwrap();
    let session = scene.browser.cookie("isthmus-session").expect("a session").value;
    let fields = vec![("id_token_hint".to_owned(), tokens.id_token().to_owned()), ("post_logout_redirect_uri".to_owned(), BYE.to_owned())];
    let back = scene.browser.post(&from, &scene.gateway.url("/oidc/logout"), &fields).await.away();
    assert_eq!(back.url.as_str(), BYE);
    assert!(scene.browser.cookie("isthmus-session").is_none());
    // A cross-site form carries no cookie, and still the session itself must end, not only the cookie.
    let url = scene.app.authorize(&scene.gateway, &[("prompt", "none")]);
    let kept = crate::harness::browser::client().get(url).header("cookie", format!("isthmus-session={session}")).send().await.unwrap();
    assert!(kept.headers()["location"].to_str().unwrap().contains("login_required"));
}

#[tokio::test]
async fn tokens_of_an_earlier_session_of_another_person_prove_nothing() {
    let scene = scene().await;
    let jane = scene.tokens(&Person::jane(), &[]).await;
    scene.sign_in(&Person::zoe(), &[("prompt", "login")]).await;
    let page = scene.browser.open(logout(&scene, &[("id_token_hint", jane.id_token())]).as_str()).await.here();
    assert!(page.contains("Do you want to sign out?"), "{}", page.body);
    assert!(signed_in(&scene).await);
}

#[tokio::test]
async fn an_id_token_whose_key_was_replaced_proves_still() {
    let scene = scene().await;
    let tokens = scene.tokens(&Person::jane(), &[]).await;
    let api = Api::of(&scene.gateway).await;
    let rotated = api.post("/keys/signing/rotate", &serde_json::json!({"purpose": "oidc-rs256", "at_once": true})).await;
    assert_eq!(rotated.status, 201, "{rotated:?}");
    assert!(signed_in(&scene).await);
    let url = logout(&scene, &[("id_token_hint", tokens.id_token()), ("post_logout_redirect_uri", BYE)]);
    assert_eq!(scene.browser.open(url.as_str()).await.away().url.as_str(), BYE);
    assert!(!signed_in(&scene).await);
}

#[tokio::test]
async fn what_is_asked_and_what_is_refused_is_the_same_by_get_and_by_post() {
    let scene = scene().await;
    let page = Url::parse("https://notes.example/").unwrap();
    for by_post in [false, true] {
        let tokens = scene.tokens(&Person::jane(), &[("prompt", "login")]).await;
        let hint = tokens.id_token().to_owned();
        let encrypted = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d";
        let ask = async |parameters: &[(&str, &str)]| {
            let fields: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            match by_post {
                true => scene.browser.post(&page, &scene.gateway.url("/oidc/logout"), &fields).await,
                false => scene.browser.open(logout(&scene, parameters).as_str()).await,
            }
        };
        let refused: [(&[(&str, &str)], &str); 4] = [
            (&[("id_token_hint", &hint), ("client_id", "wiki")], "ISTH-"),
            (&[("client_id", "nobody"), ("post_logout_redirect_uri", BYE)], "ISTH-1008"),
            (&[("id_token_hint", encrypted), ("post_logout_redirect_uri", BYE)], "ISTH-1008"),
            (&[("client_id", "notes"), ("client_id", "notes")], "ISTH-"),
        ];
        for (parameters, code) in refused {
            let answer = ask(parameters).await.here();
            assert!(answer.status == 400 && answer.contains(code), "{by_post} {parameters:?}: {} {}", answer.status, answer.body);
        }
        let asked: [&[(&str, &str)]; 5] = [
            &[],
            &[("client_id", "notes"), ("state", "s"), ("ui_locales", "de")],
            &[("id_token_hint", encrypted), ("client_id", "notes"), ("post_logout_redirect_uri", BYE)],
            &[("id_token_hint", &hint), ("logout_hint", "somebody else")],
            &[("logout_hint", "jane")],
        ];
        for parameters in asked {
            let answer = ask(parameters).await.here();
            let in_german = parameters.contains(&("ui_locales", "de"));
            let question = if in_german { "Möchten Sie sich abmelden?" } else { "Do you want to sign out?" };
            assert!(answer.contains(question), "{by_post} {parameters:?}: {}", answer.body);
            assert!(signed_in(&scene).await, "{by_post} {parameters:?}");
        }
        let fits =
            [("id_token_hint", hint.as_str()), ("logout_hint", "samlp|acme|jane-1"), ("post_logout_redirect_uri", BYE), ("state", "s")];
        assert_eq!(ask(&fits).await.away().url.as_str(), format!("{BYE}?state=s"));
        assert!(!signed_in(&scene).await);
    }
}
