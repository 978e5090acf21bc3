//! Request objects by value and by reference.

use super::{Signer, object_of, scene_of};
use crate::harness::app::{SECRET, Tokens, assert_oauth_error, basic};
use crate::harness::browser::{Browser, Departure, Landed, Page};
use crate::harness::idp::Person;
use crate::harness::peers::{Peer, jose};
use crate::harness::scene::Scene;
use crate::harness::web::{Reply, Site};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use url::Url;

const JAR: Option<&str> = Some("oauth-authz-req+jwt");

/// A request that has the object and what must stand beside it.
fn by_value(scene: &Scene, object: &str, beside: &[(&str, &str)]) -> Url {
    carried(scene, ("request", object), beside)
}

fn carried(scene: &Scene, how: (&str, &str), beside: &[(&str, &str)]) -> Url {
    let mut url = scene.gateway.url("/authorize");
    url.query_pairs_mut().append_pair("client_id", "notes").append_pair(how.0, how.1).extend_pairs(beside);
    url
}

async fn open(scene: &Scene, url: &Url) -> Landed {
    scene.browser.open(url.as_str()).await
}

/// What the application hears of a refused object; its address must stand beside the object for that.
async fn refused(scene: &Scene, object: &str) -> String {
    let beside = [("redirect_uri", scene.app.callback.as_str()), ("response_type", "code"), ("state", "a state & more")];
    scene.app.error(&scene.gateway, &open(scene, &by_value(scene, object, &beside)).await.away()).0
}

#[tokio::test]
async fn a_signed_object_is_the_request() {
    let signer = Signer::new();
    let scene = scene_of(&signer.toml()).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let object = signer.sign(JAR, &object_of(&scene, &json!({})));
    // Only what is in it counts (RFC 9101 6.3).
    let url = by_value(&scene, &object, &[("state", "outside"), ("response_type", "code"), ("unknown", "x")]);
    let answer = open(&scene, &url).await.away();
    let code = scene.app.code(&scene.gateway, &answer);
    assert_eq!(scene.app.redeem(&scene.gateway, &code, &[]).await.status, 200);
    // By Core, what stands beside it completes it.
    let object = signer.sign(None, &object_of(&scene, &json!({"state": null, "aud": null, "iss": null})));
    let url = by_value(&scene, &object, &[("state", "outside"), ("response_type", "code"), ("scope", "openid")]);
    let answer = open(&scene, &url).await.away();
    assert_eq!((answer.parameter("state").as_deref(), answer.parameter("code").is_some()), (Some("outside"), true));
    // And it may come by POST, from another site, without a session.
    let object = signer.sign(JAR, &object_of(&scene, &json!({"response_mode": "form_post"})));
    let fields = [("client_id", "notes"), ("request", object.as_str())].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let from = Url::parse("https://notes.example/").unwrap();
    let answer = scene.browser.post(&from, &scene.gateway.url("/authorize"), &fields).await.away();
    assert!(answer.form.is_some());
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn what_an_object_may_not_be_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let scene = scene_of(&signer.toml()).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let good = object_of(&scene, &json!({}));
    let with = |changes: Value| signer.sign(JAR, &object_of(&scene, &changes));
    let unsigned = {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&good))
    };
    for (what, object) in [
        ("not a JWT", "nonsense".to_owned()),
        ("not signed", unsigned),
        ("signed by somebody else", stranger.sign(JAR, &good)),
        ("of another kind", signer.sign(Some("at+jwt"), &good)),
        ("for somebody else", with(json!({"aud": "https://other.example"}))),
        ("of another client", with(json!({"iss": "other"}))),
        ("naming another client", with(json!({"client_id": "other"}))),
        ("of another type", with(json!({"response_type": "id_token"}))),
        ("a client assertion", with(json!({"sub": "notes"}))),
        ("expired", with(json!({"exp": 1000}))),
        ("of the future", with(json!({"nbf": 9_999_999_999_i64}))),
        ("a reference", with(json!({"request_uri": "https://notes.example/r"}))),
    ] {
        assert_eq!(refused(&scene, &object).await, "invalid_request_object", "{what}");
    }
    // Where nobody has proven an address, our own page says it.
    let page = open(&scene, &by_value(&scene, "nonsense", &[])).await.here();
    page.assert_refused(400, "ISTH-1021");
    let evil = with(json!({"redirect_uri": "https://evil.example/"}));
    open(&scene, &by_value(&scene, &evil, &[])).await.here().assert_refused(400, "ISTH-1008");
}

#[tokio::test]
async fn a_jti_counts_once() {
    let signer = Signer::new();
    let scene = scene_of(&signer.toml()).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let object = signer.sign(JAR, &object_of(&scene, &json!({"jti": "once", "prompt": "login"})));
    let url = by_value(&scene, &object, &[]);
    // Looked at twice, answered once: a browser may load a page again.
    open(&scene, &url).await.away();
    let request = scene.idp.read(&open(&scene, &url).await.away());
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
    assert_eq!(refused(&scene, &object).await, "invalid_request_object");
    let next = signer.sign(JAR, &object_of(&scene, &json!({"jti": "twice"})));
    scene.app.code(&scene.gateway, &open(&scene, &by_value(&scene, &next, &[])).await.away());
}

#[tokio::test]
async fn a_client_that_must_sign_does_nothing_else() {
    let signer = Signer::new();
    let scene = scene_of(&format!("{}\nrequire_signed_request_object = true", signer.toml())).await;
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[]).await);
    assert_eq!(error, "invalid_request");
    let object = signer.sign(Some("JWT"), &object_of(&scene, &json!({})));
    scene.idp.read(&open(&scene, &by_value(&scene, &object, &[])).await.away());
}

#[tokio::test]
async fn an_unsigned_object_is_for_clients_that_are_registered_so() {
    let scene = scene_of("request_object_signing_alg = \"none\"").await;
    scene.sign_in(&Person::jane(), &[]).await;
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let object = format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&object_of(&scene, &json!({"nonce": "inside"}))));
    let beside = [("response_type", "code"), ("scope", "openid"), ("nonce", "outside")];
    let answer = open(&scene, &by_value(&scene, &object, &beside)).await.away();
    let code = scene.app.code(&scene.gateway, &answer);
    let tokens = Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    assert_eq!(tokens.claims()["nonce"], "inside");
}

/// A site that serves whatever it is given at `/r`.
async fn site() -> (Site, Arc<Mutex<String>>) {
    let content = Arc::new(Mutex::new(String::new()));
    let shown = Arc::clone(&content);
    let site = Site::answering(0, move |asked| match asked.path() {
        "/r" => Reply { content_type: "application/oauth-authz-req+jwt", ..Reply::page(shown.lock().unwrap().clone()) },
        "/elsewhere" => Reply::redirect("https://evil.example/"),
        _ => Reply::status(404),
    })
    .await;
    (site, content)
}

#[tokio::test]
async fn a_reference_is_followed_where_it_is_registered() {
    let ((site, content), signer) = (site().await, Signer::new());
    let base = format!("http://127.0.0.1:{}", site.port);
    let registered = ["/r", "/large", "/gone", "/elsewhere"].map(|path| format!("{base}{path}"));
    let scene = scene_of(&format!("{}\nrequest_uris = {}", signer.toml(), json!(registered))).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let ask = |reference: String| {
        let beside =
            [("redirect_uri", scene.app.callback.clone()), ("response_type", "code".to_owned()), ("state", "a state & more".to_owned())];
        let beside: Vec<(&str, &str)> = beside.iter().map(|(name, value)| (*name, value.as_str())).collect();
        carried(&scene, ("request_uri", &reference), &beside)
    };
    let answered = async |reference: String| -> Departure { open(&scene, &ask(reference)).await.away() };
    let show = |object: String| *content.lock().unwrap() = object;
    show(signer.sign(JAR, &object_of(&scene, &json!({}))));
    scene.app.code(&scene.gateway, &answered(format!("{base}/r")).await);
    let looks = site.seen().len();
    assert_eq!(looks, 1);
    // What is not registered is not even looked at.
    for reference in
        [format!("{base}/other"), format!("{base}/r?x=1"), "https://evil.example/r".to_owned(), "file:///etc/passwd".to_owned()]
    {
        let (error, _) = scene.app.error(&scene.gateway, &answered(reference).await);
        assert_eq!(error, "invalid_request_uri");
    }
    assert_eq!(site.seen().len(), looks);
    for path in ["/gone", "/elsewhere"] {
        assert_eq!(scene.app.error(&scene.gateway, &answered(format!("{base}{path}")).await).0, "invalid_request_uri", "{path}");
    }
    // Core 6.2: with the digest of the content it is fetched once, and nothing else is taken.
    let object = signer.sign(JAR, &object_of(&scene, &json!({})));
    let digest = URL_SAFE_NO_PAD.encode(openssl::sha::sha256(object.as_bytes()));
    let other = URL_SAFE_NO_PAD.encode(openssl::sha::sha256(b"other"));
    show(object);
    assert_eq!(scene.app.error(&scene.gateway, &answered(format!("{base}/r#{other}")).await).0, "invalid_request_uri");
    scene.app.code(&scene.gateway, &answered(format!("{base}/r#{digest}")).await);
    let looks = site.seen().len();
    show("something else".to_owned());
    scene.app.code(&scene.gateway, &answered(format!("{base}/r#{digest}")).await);
    assert_eq!(site.seen().len(), looks);
    assert_eq!(scene.app.error(&scene.gateway, &answered(format!("{base}/r")).await).0, "invalid_request_object");
    show("x".repeat(20_000));
    assert_eq!(scene.app.error(&scene.gateway, &answered(format!("{base}/r")).await).0, "invalid_request_uri");
}

/// Our published key of a kind, to encrypt to.
async fn published(scene: &Scene, kty: &str) -> Value {
    let set = Browser::new().open(scene.gateway.url("/.well-known/jwks.json").as_str()).await.here().json();
    let found = set["keys"].as_array().unwrap().iter().find(|key| key["use"] == "enc" && key["kty"] == kty).cloned();
    found.unwrap_or_else(|| panic!("no key to encrypt to: {set}"))
}

/// A text that joserfc has encrypted.
fn encrypted(peer: &mut Peer, (alg, enc): (&str, &str), key: &Value, text: &str) -> String {
    let made = peer.ask(&json!({"do": "encrypt", "alg": alg, "enc": enc, "jwk": key, "text": text, "cty": "JWT"}));
    made["token"].as_str().expect("a token").to_owned()
}

/// Pushes an object alone.
async fn push(scene: &Scene, object: &str) -> Page {
    let url = scene.gateway.url("/oauth/par");
    let form = [("client_id", "notes"), ("request", object)];
    let request = scene.gateway.client().post(url.clone()).header("authorization", basic("notes", SECRET));
    Page::read(request.form(&form).send().await.expect("an answer"), &url).await
}

#[tokio::test]
async fn an_encrypted_object_is_read_by_value_by_reference_and_pushed() {
    let ((site, content), signer, mut peer) = (site().await, Signer::new(), jose());
    let reference = format!("http://127.0.0.1:{}/r", site.port);
    let scene = scene_of(&format!("{}\nrequest_uris = {}\nrequire_signed_request_object = true", signer.toml(), json!([reference]))).await;
    let first = open(&scene, &by_value(&scene, &signer.sign(JAR, &object_of(&scene, &json!({}))), &[])).await.away();
    scene.answer(&scene.idp.respond(&scene.idp.read(&first), &Person::jane())).await.away();
    for (alg, enc) in
        [("RSA-OAEP-256", "A256GCM"), ("RSA-OAEP", "A128CBC-HS256"), ("ECDH-ES", "A128GCM"), ("ECDH-ES+A256KW", "A256CBC-HS512")]
    {
        let key = published(&scene, if alg.starts_with("RSA") { "RSA" } else { "EC" }).await;
        let mut object = |nonce: &str| {
            let signed = signer.sign(JAR, &object_of(&scene, &json!({"nonce": nonce, "jti": format!("{alg} {nonce}")})));
            encrypted(&mut peer, (alg, enc), &key, &signed)
        };
        let by_value = carried(&scene, ("request", &object("value")), &[]);
        *content.lock().unwrap() = object("reference");
        let by_reference = carried(&scene, ("request_uri", &reference), &[]);
        let pushed = push(&scene, &object("pushed")).await;
        assert_eq!(pushed.status, 201, "{alg}: {}", pushed.body);
        let pushed = carried(&scene, ("request_uri", pushed.json()["request_uri"].as_str().unwrap()), &[]);
        for (nonce, url) in [("value", by_value), ("reference", by_reference), ("pushed", pushed)] {
            let code = scene.app.code(&scene.gateway, &open(&scene, &url).await.away());
            let tokens = Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
            assert_eq!(tokens.claims()["nonce"], json!(nonce), "{alg} {enc}");
        }
    }
}

#[tokio::test]
async fn what_an_encrypted_object_may_not_be_is_refused() {
    let (signer, stranger, mut peer) = (Signer::new(), Signer::new(), jose());
    let registered = "request_object_encryption_alg = \"RSA-OAEP-256\"\nrequest_object_encryption_enc = \"A256GCM\"";
    let scene = scene_of(&format!("{}\n{registered}", signer.toml())).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let (rsa, ec) = (published(&scene, "RSA").await, published(&scene, "EC").await);
    let how = ("RSA-OAEP-256", "A256GCM");
    let claims = object_of(&scene, &json!({}));
    let signed = signer.sign(JAR, &claims);
    let good = encrypted(&mut peer, how, &rsa, &signed);
    scene.app.code(&scene.gateway, &open(&scene, &by_value(&scene, &good, &[])).await.away());
    let theirs = peer.ask(&json!({"do": "keys"}))["jwks"]["keys"][0].clone();
    let changed = |at: usize| {
        let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        let other = if parts[at].starts_with('A') { "B" } else { "A" };
        parts[at].replace_range(..1, other);
        parts.join(".")
    };
    let cases = [
        ("by another algorithm than is registered", encrypted(&mut peer, ("RSA-OAEP", "A256GCM"), &rsa, &signed)),
        ("by another content encryption", encrypted(&mut peer, ("RSA-OAEP-256", "A128GCM"), &rsa, &signed)),
        ("to our other key", encrypted(&mut peer, ("ECDH-ES", "A256GCM"), &ec, &signed)),
        ("to a key that is not ours", encrypted(&mut peer, how, &theirs, &signed)),
        ("not signed inside", encrypted(&mut peer, how, &rsa, &claims.to_string())),
        ("signed by somebody else", encrypted(&mut peer, how, &rsa, &stranger.sign(JAR, &claims))),
        ("encrypted twice", encrypted(&mut peer, how, &rsa, &good)),
        ("another encrypted key", changed(1)),
        ("another initialization vector", changed(2)),
        ("another ciphertext", changed(3)),
        ("another tag", changed(4)),
        ("without its tag", good[..good.rfind('.').unwrap()].to_owned()),
    ];
    for (what, object) in cases {
        assert_eq!(refused(&scene, &object).await, "invalid_request_object", "{what}");
        assert_oauth_error(&push(&scene, &object).await, 400, "invalid_request_object");
    }
}

#[tokio::test]
async fn discovery_tells_of_encryption_where_there_is_a_key_for_it() {
    let (signer, mut peer) = (Signer::new(), jose());
    let mut scene = scene_of(&signer.toml()).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let metadata =
        async |scene: &Scene| Browser::new().open(scene.gateway.url("/.well-known/openid-configuration").as_str()).await.here().json();
    let told = metadata(&scene).await;
    for alg in ["RSA-OAEP-256", "ECDH-ES"] {
        assert!(told["request_object_encryption_alg_values_supported"].as_array().unwrap().contains(&json!(alg)), "{told}");
    }
    assert!(told["request_object_encryption_enc_values_supported"].as_array().unwrap().contains(&json!("A256GCM")), "{told}");
    let key = published(&scene, "RSA").await;
    let object = encrypted(&mut peer, ("RSA-OAEP-256", "A256GCM"), &key, &signer.sign(JAR, &object_of(&scene, &json!({}))));
    scene.app.code(&scene.gateway, &open(&scene, &by_value(&scene, &object, &[])).await.away());
    // A directory of keys of an earlier version, in which no more can be made: where they would stand is a way to nowhere.
    scene.gateway.stop();
    for purpose in ["oidc-enc-rsa", "oidc-enc-ec"] {
        let file = |end: &str| scene.gateway.key_file(&format!("{purpose}.active.{end}.pem"));
        for end in ["key", "crt"] {
            std::fs::remove_file(file(end)).expect("a file");
        }
        std::os::unix::fs::symlink("/nowhere/at/all", file("key")).expect("a link");
    }
    scene.gateway.start_again(|_| {}).await;
    let told = metadata(&scene).await;
    for name in ["request_object_encryption_alg_values_supported", "request_object_encryption_enc_values_supported"] {
        assert_eq!(told.get(name), None);
    }
    let set = Browser::new().open(scene.gateway.url("/.well-known/jwks.json").as_str()).await.here().json();
    assert!(set["keys"].as_array().unwrap().iter().all(|key| key["use"] == "sig"), "{set}");
    assert_eq!(refused(&scene, &object).await, "invalid_request_object");
}
