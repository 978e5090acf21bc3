//! Logins with programs that others wrote on one side or on both.

use crate::harness::app::{App, Auth, SECRET};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person, ZOE};
use crate::harness::peers::{Peer, Pysaml2, Registration, authlib, openid_client};
use crate::harness::process::{run, text};
use crate::harness::scene::Scene;
use serde_json::{Value, json};

const REDIRECT: &str = "http://127.0.0.1:9/callback";

/// pysaml2 in front of a gateway, with the settings of one connection.
async fn with_pysaml2(saml: &str) -> (Pysaml2, Gateway, App) {
    let (idp, app) = (Pysaml2::start(), App::new("notes"));
    let setup = Setup::new().connection(&idp.toml("acme", saml)).application(&app.toml("", ""));
    let gateway = Gateway::start(setup).await;
    let loaded = idp.control(&json!({"sp_metadata_url": gateway.url("/connections/acme/metadata").as_str()})).await;
    assert_eq!(loaded["service_providers"], json!([gateway.url("/connections/acme/metadata").as_str()]), "it reads our metadata");
    (idp, gateway, app)
}

fn person(attributes: &Value) -> Value {
    json!({"person": {"name_id": "p-1", "attributes": attributes}})
}

#[tokio::test]
async fn pysaml2_reads_our_requests_by_both_bindings_signed_and_not() {
    for binding in ["redirect", "post"] {
        for signs in [true, false] {
            let (idp, gateway, app) = with_pysaml2(&format!("request_binding = \"{binding}\"\nsign_requests = {signs}")).await;
            // With this, pysaml2 refuses what is not signed, or signed by another key than our metadata's.
            idp.control(&json!({"require_signed": signs})).await;
            let browser = Browser::new();
            let departure = browser.open(app.authorize(&gateway, &[("prompt", "login")]).as_str()).await.away();
            let answer = idp.sign_in(&browser, &departure).await.away();
            app.code(&gateway, &answer);
            let seen = idp.seen().await;
            assert_eq!((&seen["signed"], &seen["force_authn"]), (&json!(signs), &json!("true")), "{seen}");
            assert_eq!(seen["binding"], if binding == "post" { "HTTP-POST" } else { "HTTP-Redirect" });
            assert_eq!(seen["issuer"], json!(gateway.url("/connections/acme/metadata").as_str()));
        }
    }
}

#[tokio::test]
async fn a_request_of_another_key_is_not_ours_to_pysaml2() {
    let (idp, mut gateway, app) = with_pysaml2("sign_requests = true").await;
    idp.control(&json!({"require_signed": true})).await;
    // New keys, while pysaml2 still knows the old ones: the control that its check is a check.
    gateway.stop();
    std::fs::remove_dir_all(gateway.place().join("certs")).unwrap();
    gateway.start_again(|_| {}).await;
    let departure = Browser::new().open(app.authorize(&gateway, &[]).as_str()).await.away();
    let refused = crate::harness::browser::client().get(departure.url).send().await.unwrap();
    assert_eq!(refused.status(), 400, "{}", refused.text().await.unwrap());
}

#[tokio::test]
async fn what_pysaml2_signs_and_encrypts_is_read() {
    let (idp, gateway, app) = with_pysaml2("").await;
    let attributes = json!({
        "mail": ["zoe@acme.example"], "displayName": [ZOE], "givenName": ["Zoë"], "sn": ["Nuñez-Øberg"],
        "isMemberOf": (0..200).map(|number| format!("group-{number}")).collect::<Vec<_>>(),
    });
    idp.control(&person(&attributes)).await;
    for sign in ["assertion", "response", "both"] {
        for encrypt in [false, true] {
            idp.control(&json!({"sign": sign, "encrypt": encrypt})).await;
            let browser = Browser::new();
            let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
            let answer = idp.sign_in(&browser, &departure).await.away();
            assert_eq!(answer.parameter("error_description"), None, "{sign} {encrypt}: {}", gateway.log());
            let code = app.code(&gateway, &answer);
            let claims = crate::harness::app::Tokens::of(&app.redeem(&gateway, &code, &[]).await).claims();
            assert_eq!((&claims["name"], &claims["sub"]), (&json!(ZOE), &json!("samlp|acme|p-1")), "{sign} {encrypt}");
            assert_eq!(claims["groups"].as_array().map(Vec::len), Some(200));
        }
    }
    // Somebody without an address, and a failure.
    idp.control(&person(&json!({"displayName": ["Nora"]}))).await;
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    app.code(&gateway, &idp.sign_in(&browser, &departure).await.away());
    idp.control(&json!({"status": ["Responder", "AuthnFailed"]})).await;
    let departure = browser.open(app.authorize(&gateway, &[("prompt", "login")]).as_str()).await.away();
    let (error, _) = app.error(&gateway, &idp.sign_in(&browser, &departure).await.away());
    assert_eq!(error, "access_denied");
}

/// The algorithms and ways of authentication with which each library is tried.
const COMBINATIONS: [(Auth, &str); 3] = [(Auth::Basic, "RS256"), (Auth::Post, "ES256"), (Auth::Basic, "EdDSA")];

fn application(auth: Auth, alg: &str) -> (App, String) {
    let app = App { callback: REDIRECT.to_owned(), ..App::new("notes").by(auth) };
    let toml = app.toml("", &format!("id_token_signed_response_alg = \"{alg}\"\npost_logout_redirect_uris = [\"http://127.0.0.1:9/bye\"]"));
    (app, toml)
}

/// A whole login in which `start` makes the application.
async fn with_library(auth: Auth, alg: &str, start: fn(&Gateway, &Registration<'_>) -> Peer) -> (Scene, Peer, Value) {
    let (app, toml) = application(auth, alg);
    let idp = Idp::new("acme");
    let setup = Setup::new().connection(&idp.toml("", "")).application(&toml);
    let scene = Scene::of(setup, idp, app).await;
    let client_secret = if auth == Auth::None { "" } else { SECRET };
    let registration = Registration { client_id: "notes", client_secret, auth_method: auth.name(), alg, redirect_uri: REDIRECT };
    let mut peer = start(&scene.gateway, &registration);
    let url = peer.begin(&json!({}));
    let request = scene.idp.read(&scene.browser.open(&url).await.away());
    let answer = scene.answer(&scene.idp.respond(&request, &Person::zoe())).await.away();
    let tokens = peer.ask(&json!({"do": "callback", "url": answer.url.as_str()}));
    assert_eq!((&tokens["claims"]["name"], &tokens["claims"]["sub"]), (&json!(ZOE), &json!("samlp|acme|zoë-2")), "{tokens}");
    let told = peer.ask(&json!({"do": "userinfo"}));
    assert_eq!(told["claims"]["email"], "zoe@acme.example");
    let refreshed = peer.ask(&json!({"do": "refresh"}));
    assert_eq!(refreshed["claims"]["sub"], tokens["claims"]["sub"]);
    assert_ne!(refreshed["refresh_token"], tokens["refresh_token"]);
    (scene, peer, tokens)
}

#[tokio::test]
async fn openid_client_is_content_with_our_provider() {
    for (auth, alg) in COMBINATIONS.into_iter().chain([(Auth::None, "RS256")]) {
        let (scene, mut peer, _) = with_library(auth, alg, openid_client).await;
        // Single sign-on, and an error, as the library reads them.
        let url = peer.begin(&json!({"prompt": "none"}));
        let answer = scene.browser.open(&url).await.away();
        peer.ask(&json!({"do": "callback", "url": answer.url.as_str()}));
        let url = peer.begin(&json!({"prompt": "none", "max_age": "0"}));
        let answer = scene.browser.open(&url).await.away();
        assert_eq!(peer.try_ask(&json!({"do": "callback", "url": answer.url.as_str()}))["error"], "login_required");
        let url =
            peer.ask(&json!({"do": "end_session", "parameters": {"post_logout_redirect_uri": "http://127.0.0.1:9/bye", "state": "s"}}));
        let bye = scene.browser.open(url["url"].as_str().unwrap()).await.away();
        assert_eq!(bye.url.as_str(), "http://127.0.0.1:9/bye?state=s");
    }
}

#[tokio::test]
async fn authlib_is_content_with_our_provider() {
    for (auth, alg) in COMBINATIONS {
        let (_scene, _peer, tokens) = with_library(auth, alg, authlib).await;
        assert_eq!(tokens["alg"], alg);
    }
}

#[tokio::test]
async fn others_on_both_sides() {
    let idp = Pysaml2::start();
    let (_, toml) = application(Auth::Basic, "RS256");
    let gateway = Gateway::start(Setup::new().connection(&idp.toml("acme", "")).application(&toml)).await;
    idp.control(&json!({"sp_metadata_url": gateway.url("/connections/acme/metadata").as_str(), "sign": "both", "encrypt": true})).await;
    let registration = Registration {
        client_id: "notes",
        client_secret: SECRET,
        auth_method: "client_secret_basic",
        alg: "RS256",
        redirect_uri: REDIRECT,
    };
    let mut application = openid_client(&gateway, &registration);
    let browser = Browser::new();
    let departure = browser.open(&application.begin(&json!({}))).await.away();
    let answer = idp.sign_in(&browser, &departure).await.away();
    let tokens = application.ask(&json!({"do": "callback", "url": answer.url.as_str()}));
    assert_eq!(tokens["claims"]["email"], "jane@acme.example");
}

#[tokio::test]
async fn xmlsec1_verifies_our_metadata_and_our_posted_request() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let setup = Setup::new().connection(&idp.toml("", "request_binding = \"post\"\nsign_requests = true")).application(&app.toml("", ""));
    let scene = Scene::of(setup, idp, app).await;
    let metadata = scene.browser.open(scene.gateway.url("/connections/acme/metadata").as_str()).await.here();
    assert_eq!(metadata.header("content-type"), "application/samlmetadata+xml");
    let request = scene.ask(&[]).await;
    let certificate = scene.gateway.key_file("saml-signing.active.crt.pem");
    let id = ["urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor", "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest"];
    for (name, xml) in [("metadata.xml", &metadata.body), ("request.xml", &request.xml)] {
        let file = scene.gateway.place().join(name);
        std::fs::write(&file, xml).unwrap();
        let arguments = ["--verify", "--pubkey-cert-pem", text(&certificate), "--id-attr:ID", id[0], "--id-attr:ID", id[1], text(&file)];
        run("xmlsec1", &arguments, "xmlsec1");
        run("xmllint", &["--noout", "--nonet", text(&file)], "libxml2-utils");
    }
}
