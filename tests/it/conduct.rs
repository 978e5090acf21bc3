//! Rules of conduct (docs/openid-conformance.md) that no other test has for its subject.

use crate::harness::app::{App, Tokens};
use crate::harness::browser::{Page, client};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, Person, unique_id};
use crate::harness::keys::Pair;
use crate::harness::scene::Scene;
use crate::harness::web::{Reply, Site};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use isthmus::clock::Timestamp;
use openssl::ecdsa::EcdsaSig;
use openssl::sha::sha256;
use serde_json::{Value, json};

/// A JWT whose header says where its key is.
fn lure(pair: &Pair, typ: &str, at: &str, claims: &Value) -> String {
    let header = json!({ "alg": "ES256", "typ": typ, "kid": "k", "jku": format!("{at}/jwks"), "x5u": format!("{at}/chain.pem") });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&header), encode(claims));
    let signature = EcdsaSig::sign(&sha256(message.as_bytes()), &pair.key.ec_key().expect("a key")).expect("signed");
    let half = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).expect("32 octets");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode([half(signature.r()), half(signature.s())].concat()))
}

#[tokio::test]
async fn a_key_is_never_fetched_from_where_a_header_says_it_is() {
    let site = Site::answering(0, |_| Reply::status(200)).await;
    let (idp, app, pair) = (Idp::new("acme"), App::new("notes"), Pair::ec("notes"));
    let robot = "client_id = \"robot\"\n[application.oidc]\ngrant_types = [\"client_credentials\"]\n\
                 token_endpoint_auth_method = \"private_key_jwt\"\njwks = { keys = [] }\n";
    let setup = Setup::new().connection(&idp.toml("", "")).application(&app.toml("", "")).application(robot);
    let scene = Scene::of(setup, idp, app).await;
    let (at, now, issuer) = (format!("http://127.0.0.1:{}", site.port), Timestamp::now().seconds(), scene.gateway.issuer());
    let lure = |typ: &str, claims: Value| lure(&pair, typ, &at, &claims);

    let assertion = lure("JWT", json!({ "iss": "robot", "sub": "robot", "aud": issuer, "exp": now + 60, "jti": unique_id() }));
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let form = [("grant_type", "client_credentials"), ("client_assertion_type", kind), ("client_assertion", &assertion)];
    let url = scene.gateway.url("/oauth/token");
    let page = Page::read(client().post(url.clone()).form(&form).send().await.expect("an answer"), &url).await;
    assert_eq!(page.status, 401, "{}", page.body);

    let object = lure("oauth-authz-req+jwt", json!({ "iss": "notes", "aud": issuer, "client_id": "notes", "exp": now + 60 }));
    let answer = scene.again(&[("request", &object)]).await;
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "invalid_request_object");

    let hint = lure("JWT", json!({ "iss": issuer, "aud": "notes", "sub": "samlp|acme|jane-1", "iat": now, "exp": now + 60 }));
    assert!(scene.again(&[("id_token_hint", &hint)]).await.parameter("error").is_some());

    let tokens = scene.tokens(&Person::jane(), &[]).await;
    let proof = lure("dpop+jwt", json!({ "htm": "GET", "htu": scene.gateway.url("/userinfo").as_str(), "iat": now, "jti": unique_id() }));
    let url = scene.gateway.url("/userinfo");
    let request = client().get(url.clone()).header("authorization", format!("DPoP {}", tokens.access_token())).header("DPoP", proof);
    assert_eq!(Page::read(request.send().await.expect("an answer"), &url).await.status, 401);

    assert!(site.seen().is_empty(), "{:?}", site.seen());
}

#[tokio::test]
async fn each_login_has_a_session_of_its_own_and_the_one_before_is_over() {
    let scene = Scene::new().await;
    let session = || scene.browser.cookie("isthmus-session").expect("a session").value;
    scene.sign_in(&Person::jane(), &[]).await;
    let before = session();
    scene.sign_in(&Person::jane(), &[("prompt", "login")]).await;
    assert_ne!(session(), before);
    for (value, good) in [(before, false), (session(), true)] {
        let url = scene.app.authorize(&scene.gateway, &[("prompt", "none")]);
        let answer = client().get(url).header("cookie", format!("isthmus-session={value}")).send().await.expect("an answer");
        assert_eq!(answer.headers()["location"].to_str().expect("text").contains("code="), good);
    }
}

/// Whoever keeps an address has no credential by it: those in a query are not read, and none is put into one.
#[tokio::test]
async fn credentials_in_a_query_are_none() {
    let scene = Scene::new().await;
    let answer = scene.sign_in(&Person::jane(), &[]).await;
    let code = scene.app.code(&scene.gateway, &answer);
    let mut url = scene.gateway.url("/oauth/token");
    url.query_pairs_mut().extend_pairs([("client_id", "notes"), ("client_secret", crate::harness::app::SECRET)]);
    let verifier = crate::harness::app::VERIFIER;
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &scene.app.callback), ("code_verifier", verifier)];
    let page = Page::read(client().post(url.clone()).form(&form).send().await.expect("an answer"), &url).await;
    assert_eq!(page.status, 401, "{}", page.body);
    let told = Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    for path in ["/oauth/revoke", "/oauth/introspect"] {
        let mut url = scene.gateway.url(path);
        url.query_pairs_mut().append_pair("token", told.access_token());
        let request = client().post(url.clone()).basic_auth("notes", Some(crate::harness::app::SECRET)).form(&[("x", "y")]);
        assert_eq!(Page::read(request.send().await.expect("an answer"), &url).await.status, 400, "{path}");
    }
    let mut url = scene.gateway.url("/userinfo");
    url.query_pairs_mut().append_pair("access_token", told.access_token());
    assert_eq!(Page::read(client().get(url.clone()).send().await.expect("an answer"), &url).await.status, 400);
}
