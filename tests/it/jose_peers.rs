//! joserfc judges what we sign and encrypt, and makes what we verify and decrypt.

use crate::harness::app::{App, Tokens, userinfo};
use crate::harness::browser::Browser;
use crate::harness::idp::Person;
use crate::harness::peers::{Peer, jose};
use crate::harness::scene::Scene;
use isthmus::keys::Keyring;
use isthmus::oidc::{ClientJwks, ClientSigningAlg, ContentEncryption, Encryption, KeyManagementAlg, OidcKeys, SigningAlg, verify_mac};
use isthmus::secret::Secret;
use serde_json::{Map, Value, json};

fn claims() -> Map<String, Value> {
    json!({"iss": "https://login.example.org", "sub": "jane", "n": 1}).as_object().cloned().expect("claims")
}

fn every_encryption() -> Vec<Encryption> {
    let all = |alg: &KeyManagementAlg| ContentEncryption::ALL.iter().map(|enc| Encryption { alg: *alg, enc: *enc }).collect::<Vec<_>>();
    KeyManagementAlg::ALL.iter().flat_map(all).collect()
}

fn our_keys() -> (tempfile::TempDir, OidcKeys, Value) {
    let place = tempfile::tempdir().unwrap();
    let keys = OidcKeys::new(&Keyring::open_or_create(&place.path().join("keys")).expect("keys")).expect("prepared");
    let jwks = serde_json::from_str(keys.public().jwks_json()).expect("JSON");
    (place, keys, jwks)
}

fn their_keys(peer: &mut Peer) -> ClientJwks {
    ClientJwks::parse(&peer.ask(&json!({"do": "keys"}))["jwks"]).expect("a set")
}

#[test]
fn joserfc_verifies_what_we_sign() {
    let ((_place, keys, jwks), mut peer) = (our_keys(), jose());
    for alg in SigningAlg::ALL {
        let signer = keys.signer(*alg).expect("a key");
        let token = signer.sign(&claims()).expect("signed");
        let read = peer.ask(&json!({"do": "verify", "token": token, "jwks": jwks, "alg": alg.as_str()}));
        assert_eq!((&read["claims"], &read["header"]["kid"]), (&json!(claims()), &json!(signer.key_id())), "{alg:?}");
        let cut = &token[..token.len() - 8];
        assert!(peer.try_ask(&json!({"do": "verify", "token": cut, "jwks": jwks, "alg": alg.as_str()})).get("error").is_some());
    }
}

#[test]
fn we_verify_what_joserfc_signs() {
    let mut peer = jose();
    let keys = their_keys(&mut peer);
    let secret = "a secret that is long enough for every MAC: sixty-four octets or more";
    for alg in ClientSigningAlg::ALL.iter().filter(|alg| **alg != ClientSigningAlg::None) {
        let made = peer.ask(&json!({"do": "sign", "alg": alg.as_str(), "claims": claims(), "secret": secret}));
        let token = made["token"].as_str().expect("a token");
        let verify = |allowed: &[ClientSigningAlg]| match alg.is_asymmetric() {
            true => keys.verify(token, allowed).ok(),
            false => verify_mac(&Secret::new(secret.to_owned()), token, allowed).ok(),
        };
        assert_eq!(verify(&[*alg]).unwrap_or_else(|| panic!("{alg:?}")).claims, claims());
        let others: Vec<_> = ClientSigningAlg::ALL.iter().copied().filter(|other| other != alg).collect();
        assert!(verify(&others).is_none(), "{alg:?}");
    }
}

#[test]
fn joserfc_decrypts_what_we_encrypt_and_we_what_it_does() {
    let ((_place, ours, jwks), mut peer) = (our_keys(), jose());
    let theirs = their_keys(&mut peer);
    for how in every_encryption() {
        let (alg, enc) = (how.alg.as_str(), how.enc.as_str());
        let token = theirs.encrypt(how, Some("JWT"), b"a text for them").expect("encrypted");
        let read = peer.ask(&json!({"do": "decrypt", "token": token, "alg": alg, "enc": enc}));
        assert_eq!((&read["text"], &read["header"]["cty"]), (&json!("a text for them"), &json!("JWT")), "{alg} {enc}");
        let kty = if alg.starts_with("RSA") { "RSA" } else { "EC" };
        let published = jwks["keys"].as_array().unwrap().iter().find(|key| key["use"] == "enc" && key["kty"] == kty).expect("published");
        let made = peer.ask(&json!({"do": "encrypt", "alg": alg, "enc": enc, "jwk": published, "text": "a text for us"}));
        let token = made["token"].as_str().expect("a token");
        assert_eq!(ours.decrypt(token).unwrap_or_else(|error| panic!("{alg} {enc}: {error}")), b"a text for us");
    }
}

#[tokio::test]
async fn id_tokens_and_userinfo_are_signed_and_encrypted_as_registered() {
    let mut peer = jose();
    let jwks = peer.ask(&json!({"do": "keys"}))["jwks"].clone();
    let registrations = [
        ("both", "PS256", Some(("ECDH-ES+A256KW", "A128CBC-HS256")), Some("ES384"), Some(("RSA-OAEP-256", "A256GCM"))),
        ("signed", "ES384", None, Some("PS256"), None),
        ("sealed", "EdDSA", Some(("RSA-OAEP", "A256CBC-HS512")), None, Some(("ECDH-ES", "A128GCM"))),
        ("plain", "RS256", None, None, None),
    ];
    let app = |name: &str| App { callback: format!("https://{name}.example/cb"), ..App::new(name) };
    let scene = Scene::with(|setup| {
        registrations.iter().fold(setup, |setup, (name, id_alg, id_enc, info_alg, info_enc)| {
            let mut lines = format!("jwks = '{jwks}'\nid_token_signed_response_alg = \"{id_alg}\"\n");
            for (what, encryption) in [("id_token", id_enc), ("userinfo", info_enc)] {
                if let Some((alg, enc)) = encryption {
                    lines += &format!("{what}_encrypted_response_alg = \"{alg}\"\n{what}_encrypted_response_enc = \"{enc}\"\n");
                }
            }
            if let Some(alg) = info_alg {
                lines += &format!("userinfo_signed_response_alg = \"{alg}\"\n");
            }
            setup.application(&app(name).toml("", &lines))
        })
    })
    .await;
    scene.sign_in(&Person::jane(), &[]).await;
    let ours = Browser::new().open(scene.gateway.url("/.well-known/jwks.json").as_str()).await.here().json();
    let mut opened = |token: &str, encryption: &Option<(&str, &str)>, nested: bool| match encryption {
        None => token.to_owned(),
        Some((alg, enc)) => {
            let read = peer.ask(&json!({"do": "decrypt", "token": token, "alg": alg, "enc": enc}));
            assert_eq!(read["header"]["cty"].as_str(), nested.then_some("JWT"));
            read["text"].as_str().expect("a text").to_owned()
        }
    };
    let mut judge = jose();
    for (name, id_alg, id_enc, info_alg, info_enc) in &registrations {
        let app = app(name);
        let answer = scene.browser.open(app.authorize(&scene.gateway, &[]).as_str()).await.away();
        let code = app.code(&scene.gateway, &answer);
        let tokens = Tokens::of(&app.redeem(&scene.gateway, &code, &[]).await);
        let inner = opened(tokens.answer["id_token"].as_str().expect("an ID token"), id_enc, true);
        let id_token = judge.ask(&json!({"do": "verify", "token": inner, "jwks": ours, "alg": id_alg}));
        assert_eq!((&id_token["claims"]["aud"], &id_token["header"]["typ"]), (&json!(name), &json!("JWT")));
        // The application gives back what was inside.
        let again = scene.browser.open(app.authorize(&scene.gateway, &[("id_token_hint", &inner), ("prompt", "none")]).as_str()).await;
        app.code(&scene.gateway, &again.away());

        let told = userinfo(&scene.gateway, tokens.access_token()).await;
        assert_eq!(told.status, 200, "{}", told.body);
        let kind = if info_alg.is_some() || info_enc.is_some() { "application/jwt" } else { "application/json" };
        assert_eq!(told.header("content-type"), kind, "{name}");
        let text = opened(&told.body, info_enc, info_alg.is_some());
        let told: Value = match info_alg {
            None => serde_json::from_str(&text).expect("JSON"),
            Some(alg) => {
                let read = judge.ask(&json!({"do": "verify", "token": text, "jwks": ours, "alg": alg}));
                assert_eq!(read["claims"]["iss"], json!(scene.gateway.issuer()));
                assert_eq!(read["claims"]["aud"], json!(name));
                // It is no ID token, and nobody can use it as one.
                let hint = app.authorize(&scene.gateway, &[("id_token_hint", &text), ("prompt", "none")]);
                assert_eq!(app.error(&scene.gateway, &scene.browser.open(hint.as_str()).await.away()).0, "invalid_request");
                read["claims"].clone()
            }
        };
        assert_eq!(told["sub"], id_token["claims"]["sub"]);
        assert_eq!(told["name"], json!("Jane Doe"), "{told}");
    }
}

#[tokio::test]
async fn documents_of_the_provider_are_asked_for_again_by_their_tag() {
    let scene = Scene::new().await;
    let client = crate::harness::browser::client();
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        let url = scene.gateway.url(path);
        let first = client.get(url.clone()).send().await.expect("an answer");
        let tag = first.headers()["etag"].to_str().expect("text").to_owned();
        assert_eq!((first.status().as_u16(), &first.headers()["cache-control"]), (200, &"public, max-age=300".parse().expect("a value")));
        let again = client.get(url.clone()).header("if-none-match", format!("\"other\", W/{tag}")).send().await.expect("an answer");
        assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str().expect("text")), (304, tag.as_str()));
        assert_eq!(again.text().await.expect("a body"), "");
        let other = client.get(url).header("if-none-match", "\"other\"").send().await.expect("an answer");
        assert_eq!((other.status().as_u16(), other.text().await.expect("a body")), (200, first.text().await.expect("a body")));
    }
}
