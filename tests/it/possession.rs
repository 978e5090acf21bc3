//! Certificates of clients and DPoP proofs over HTTP: by our own TLS listener, and behind a proxy.

use crate::harness::browser::{Page, client};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::keys::Pair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ecdsa::EcdsaSig;
use openssl::sha::sha256;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

/// A program whose certificate is registered, and to which its tokens are bound.
fn robot(pair: &Pair) -> (String, String) {
    let keys = json!({ "keys": [{ "kty": "EC", "x5c": [pair.certificate_base64()] }] });
    let toml = "client_id = \"robot\"\n[application.oidc]\ngrant_types = [\"client_credentials\"]\n\
                token_endpoint_auth_method = \"self_signed_tls_client_auth\"\njwks_file = \"robot.json\"\n\
                tls_client_certificate_bound_access_tokens = true\n[application.api]\nscopes = [\"read:users\"]";
    (toml.to_owned(), keys.to_string())
}

async fn send(request: RequestBuilder) -> Page {
    let response = request.send().await.expect("an answer");
    let url = response.url().clone();
    Page::read(response, &url).await
}

fn ask(client: &Client, gateway: &Gateway) -> RequestBuilder {
    let audience = format!("{}/api/v2/", gateway.issuer());
    let form = [("grant_type", "client_credentials"), ("client_id", "robot"), ("audience", audience.as_str())];
    client.post(gateway.url("/oauth/token")).form(&form)
}

fn users(client: &Client, gateway: &Gateway, token: &str) -> RequestBuilder {
    client.get(gateway.url("/api/v2/users")).bearer_auth(token)
}

fn with_certificate(gateway_pair: &Pair, pair: &Pair) -> Client {
    let identity = reqwest::Identity::from_pkcs8_pem(pair.certificate_pem().as_bytes(), pair.key_pem().as_bytes()).expect("an identity");
    let root = reqwest::Certificate::from_pem(gateway_pair.certificate_pem().as_bytes()).expect("a certificate");
    Client::builder().no_proxy().add_root_certificate(root).identity(identity).build().expect("a client")
}

#[tokio::test]
async fn a_certificate_is_asked_for_by_our_own_listener() {
    let (tls, own, other) = (Pair::rsa("localhost"), Pair::ec("robot"), Pair::ec("robot"));
    let (toml, keys) = robot(&own);
    let setup = Setup { top_tables: "[client_certificates]".to_owned(), ..Setup::new().secure(&tls) };
    let gateway = Gateway::start(setup.application(&toml).file("robot.json", &keys)).await;
    let (robot, stranger, nobody) = (with_certificate(&tls, &own), with_certificate(&tls, &other), gateway.client());
    let page = send(ask(&robot, &gateway)).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let token = page.json()["access_token"].as_str().expect("a token").to_owned();
    for refused in [&stranger, &nobody] {
        assert_eq!(send(ask(refused, &gateway)).await.json()["error"], "invalid_client");
    }
    assert_eq!(send(users(&robot, &gateway, &token)).await.status, 200);
    for refused in [&stranger, &nobody] {
        assert_eq!(send(users(refused, &gateway, &token)).await.status, 401, "the token is bound to the certificate");
    }
    let metadata = send(nobody.get(gateway.url("/.well-known/openid-configuration"))).await.json();
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
}

#[tokio::test]
async fn a_certificate_in_a_header_is_believed_of_trusted_proxies_only() {
    let own = Pair::ec("robot");
    let (toml, keys) = robot(&own);
    for (proxies, trusted) in [("127.0.0.0/8", true), ("192.0.2.0/24", false)] {
        let setup = Setup {
            top: format!("trusted_proxies = [\"{proxies}\"]"),
            top_tables: "[client_certificates]\nheader = \"Client-Cert\"".to_owned(),
            ..Setup::new()
        };
        let gateway = Gateway::start(setup.application(&toml).file("robot.json", &keys)).await;
        let header = format!(":{}:", STANDARD.encode(own.certificate.to_der().expect("DER")));
        let page = send(ask(&client(), &gateway).header("Client-Cert", &header)).await;
        assert_eq!(page.status == 200, trusted, "{proxies}: {}", page.body);
        assert_eq!(send(ask(&client(), &gateway)).await.json()["error"], "invalid_client");
        assert_eq!(send(ask(&client(), &gateway).header("Client-Cert", ":x:")).await.status == 401, !trusted, "unreadable");
        let twice = ask(&client(), &gateway).header("Client-Cert", &header).header("Client-Cert", &header);
        assert_ne!(send(twice).await.status, 200, "a proxy replaces what clients send");
    }
}

/// A DPoP proof, as RFC 9449 4.2 has it.
fn proof(pair: &Pair, method: &str, url: &str, more: Value) -> String {
    let key = pair.key.ec_key().expect("a key");
    let (mut x, mut y, mut context) = (BigNum::new().expect("x"), BigNum::new().expect("y"), BigNumContext::new().expect("a context"));
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).expect("a point");
    let half = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).expect("32 octets");
    let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": encode(&half(&x)), "y": encode(&half(&y)) });
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
    let now = crate::harness::idp::now().unix_timestamp();
    let mut claims = json!({ "htm": method, "htu": url, "iat": now, "jti": format!("{:?}", std::time::Instant::now()) });
    claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = EcdsaSig::sign(&sha256(message.as_bytes()), &key).expect("signed");
    format!("{message}.{}", encode(&[half(signature.r()), half(signature.s())].concat()))
}

#[tokio::test]
async fn nonces_of_proofs_travel_in_headers() {
    let toml = "client_id = \"robot\"\n[application.oidc]\ngrant_types = [\"client_credentials\"]\ndpop_bound_access_tokens = true\n\
                token_endpoint_auth_method = \"client_secret_post\"\nclient_secret = { env = \"TEST_SECRET\" }\n\
                [application.api]\nscopes = [\"read:users\"]";
    let gateway = Gateway::start(Setup { top: "dpop_nonce = true".to_owned(), ..Setup::new() }.application(toml)).await;
    let (pair, client, audience) = (Pair::ec("robot"), client(), format!("{}/api/v2/", gateway.issuer()));
    let token_url = gateway.url("/oauth/token");
    let ask = |proof: Option<String>| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "robot"),
            ("client_secret", crate::harness::app::SECRET),
            ("audience", audience.as_str()),
        ];
        let request = client.post(token_url.clone()).form(&form);
        send(proof.into_iter().fold(request, |request, proof| request.header("DPoP", proof)))
    };
    assert_eq!(ask(None).await.json()["error"], "invalid_dpop_proof");
    let page = ask(Some(proof(&pair, "POST", token_url.as_str(), json!({})))).await;
    assert_eq!((page.status, &page.json()["error"]), (400, &json!("use_dpop_nonce")));
    assert!(page.header("access-control-expose-headers").contains("dpop-nonce"), "{:?}", page.headers);
    let nonce = page.header("dpop-nonce").to_owned();
    let page = ask(Some(proof(&pair, "POST", token_url.as_str(), json!({ "nonce": nonce })))).await;
    assert_eq!((page.status, &page.json()["token_type"]), (200, &json!("DPoP")), "{}", page.body);
    let token = page.json()["access_token"].as_str().expect("a token").to_owned();
    let nonce = page.header("dpop-nonce").to_owned();
    let users = gateway.url("/api/v2/users");
    let ath = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()));
    let call = |scheme: &str, more: Value| {
        let request = client.get(users.clone()).header("Authorization", format!("{scheme} {token}"));
        send(request.header("DPoP", proof(&pair, "GET", users.as_str(), more)))
    };
    let page = call("DPoP", json!({ "ath": ath })).await;
    assert!(page.status == 401 && page.header("www-authenticate").starts_with("DPoP "), "{} {:?}", page.status, page.headers);
    assert!(page.header("www-authenticate").contains("error=\"use_dpop_nonce\"") && !page.header("dpop-nonce").is_empty());
    assert_eq!(call("DPoP", json!({ "ath": ath, "nonce": nonce })).await.status, 200);
    assert_eq!(call("Bearer", json!({ "ath": ath, "nonce": nonce })).await.status, 401);
    assert_eq!(call("DPoP", json!({ "ath": "x", "nonce": nonce })).await.status, 401);
}

#[tokio::test]
async fn revocation_answers_scripts_and_introspection_does_not() {
    let gateway = Gateway::start(Setup::new().application(&crate::harness::app::App::new("notes").toml("", ""))).await;
    let form = [("token", "x"), ("client_id", "notes")];
    let (id, secret) = ("notes", crate::harness::app::SECRET);
    for path in ["/oauth/revoke", "/oauth/introspect"] {
        let page = send(client().post(gateway.url(path)).basic_auth(id, Some(secret)).form(&form)).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("access-control-allow-origin") == "*", path == "/oauth/revoke", "{path}");
        let page = send(client().post(gateway.url(path)).basic_auth(id, Some("wrong")).form(&form)).await;
        assert_eq!((page.status, &page.json()["error"]), (401, &json!("invalid_client")));
        assert!(page.header("www-authenticate").starts_with("Basic "), "{:?}", page.headers);
        let missing = send(client().post(gateway.url(path)).basic_auth(id, Some(secret)).form(&[("client_id", "notes")])).await;
        assert_eq!((missing.status, &missing.json()["error"]), (400, &json!("invalid_request")));
    }
}
