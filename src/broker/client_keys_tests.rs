use super::*;
use crate::keys::{Digest, KeyKind, PrivateKey, SignatureScheme};
use crate::oidc::SelfRegistered;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A client that publishes its keys: what it answers now, and how often it was asked.
struct Publisher {
    url: Url,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    async fn new(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = Url::parse(&format!("http://{}/keys", listener.local_addr().expect("an address"))).expect("a URL");
        let publisher = Self { url, answer: Arc::new(Mutex::new(answer)), asked: Arc::default() };
        let (answer, asked) = (Arc::clone(&publisher.answer), Arc::clone(&publisher.asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = answer.lock().expect("alone").clone();
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        publisher
    }

    fn says(&self, answer: String) {
        *self.answer.lock().expect("alone") = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn published(keys: &[Value]) -> String {
    http("200 OK", "cache-control: max-age=600\r\n", &json!({ "keys": keys }).to_string())
}

/// An ES256 key, and its JWK.
fn key(kid: &str) -> (PrivateKey, Value) {
    let key = PrivateKey::generate(KeyKind::EcP256).expect("a key");
    let der = key.public_der().expect("DER");
    // SubjectPublicKeyInfo ends with the uncompressed point.
    let (x, y) = der[der.len() - 64..].split_at(32);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y), "kid": kid});
    (key, jwk)
}

fn jwt(key: &PrivateKey, kid: &str) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(json!({"alg": "ES256", "kid": kid})), part(json!({"sub": "robot"})));
    let signature = key.sign(SignatureScheme::Ecdsa(Digest::Sha256), message.as_bytes()).expect("signed");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn gateway_and_client(publisher: &Publisher) -> (Gateway, ClientFacts) {
    let client = ClientFacts { keys: ClientKeys::Uri(publisher.url.clone()), ..ClientFacts::public("robot") };
    (crate::broker::tests::gateway().await, client)
}

const ES256: &[ClientSigningAlg] = &[ClientSigningAlg::ES256];

#[tokio::test]
async fn published_keys_are_fetched_once_and_again_for_an_unknown_one() {
    let ((one, one_jwk), (two, two_jwk), now) = (key("one"), key("two"), Timestamp::now());
    let publisher = Publisher::new(published(std::slice::from_ref(&one_jwk))).await;
    let (gateway, client) = gateway_and_client(&publisher).await;
    for seconds in [0, 30, 599] {
        let verified = gateway.verify_client_jwt(&client, &jwt(&one, "one"), ES256, now.plus_seconds(seconds)).await.expect("theirs");
        assert_eq!(verified.claims["sub"], "robot");
    }
    assert_eq!(publisher.asked(), 1, "kept as long as its server says");
    // A new key is found at once where the last look was a minute ago, and not before.
    publisher.says(published(&[one_jwk, two_jwk]));
    let again = now.plus_seconds(30);
    assert!(gateway.verify_client_jwt(&client, &jwt(&two, "two"), ES256, again).await.is_err());
    assert_eq!(publisher.asked(), 1, "once a minute");
    assert!(gateway.verify_client_jwt(&client, &jwt(&two, "two"), ES256, now.plus_seconds(60)).await.is_ok());
    for _ in 0..20 {
        assert!(gateway.verify_client_jwt(&client, &jwt(&two, "three"), ES256, now.plus_seconds(70)).await.is_err());
    }
    assert_eq!(publisher.asked(), 2, "nobody makes us ask more often");
}

#[tokio::test]
async fn a_server_that_fails_is_not_waited_for_and_old_keys_serve_a_day() {
    let ((one, jwk), now) = (key("one"), Timestamp::now());
    let publisher = Publisher::new(published(std::slice::from_ref(&jwk))).await;
    let (gateway, client) = gateway_and_client(&publisher).await;
    let token = jwt(&one, "one");
    assert!(gateway.verify_client_jwt(&client, &token, ES256, now).await.is_ok());
    publisher.says(http("500 Internal Server Error", "", ""));
    assert!(gateway.verify_client_jwt(&client, &token, ES256, now.plus_seconds(700)).await.is_ok(), "in need");
    assert_eq!(publisher.asked(), 2);
    assert!(gateway.verify_client_jwt(&client, &token, ES256, now.plus_seconds(86_399)).await.is_ok());
    assert!(gateway.verify_client_jwt(&client, &token, ES256, now.plus_seconds(86_401)).await.is_err(), "not for ever");
    publisher.says(published(&[jwk]));
    assert!(gateway.verify_client_jwt(&client, &token, ES256, now.plus_seconds(86_500)).await.is_ok());
}

#[tokio::test]
async fn what_is_published_is_bounded_and_stays_where_it_is() {
    let ((one, jwk), now) = (key("one"), Timestamp::now());
    let long = json!({"keys": [jwk], "x": "x".repeat(300_000)}).to_string();
    let private = json!({"keys": [{"kty": "EC", "d": "x"}]}).to_string();
    for answer in [
        http("200 OK", "", &long),
        http("200 OK", "", "no JSON"),
        http("200 OK", "", &private),
        http("302 Found", "location: http://127.0.0.1:9/\r\n", ""),
    ] {
        let publisher = Publisher::new(answer).await;
        let (gateway, client) = gateway_and_client(&publisher).await;
        let error = gateway.verify_client_jwt(&client, &jwt(&one, "one"), ES256, now).await.expect_err("no keys");
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        assert!(error.detail.contains("jwks_uri"), "{}", error.detail);
    }
}

#[test]
fn who_has_registered_without_an_operator_leads_us_to_the_public_internet_only() {
    let (registered, by_itself) = (
        ClientFacts::public("a"),
        ClientFacts { self_registered: Some(SelfRegistered { at: Timestamp::from_seconds(0), used: false }), ..ClientFacts::public("b") },
    );
    for (reach, of_others) in [(Reach::Public, Reach::Public), (Reach::Network, Reach::Public), (Reach::Everything, Reach::Everything)] {
        let documents = Documents::new(reach).expect("a client");
        assert_eq!(
            (documents.of(&registered).reach, documents.of(&by_itself).reach, documents.of_others().reach),
            (reach, of_others, of_others)
        );
    }
}

#[tokio::test]
async fn outside_development_our_own_network_is_not_asked() {
    let publisher = Publisher::new(published(&[])).await;
    let secure = Url::parse(&publisher.url.as_str().replace("http:", "https:")).expect("a URL");
    for (reach, url) in
        [(Reach::Public, &publisher.url), (Reach::Public, &secure), (Reach::Network, &publisher.url), (Reach::Network, &secure)]
    {
        let documents = Documents::new(reach).expect("a client");
        for documents in [&documents.of_operators, &documents.of_others] {
            assert!(documents.fetch(url, 100).await.is_err(), "{reach:?} {url}");
            assert!(documents.key_set(url, Timestamp::now(), Want::Kept).await.is_err());
        }
    }
    assert_eq!(publisher.asked(), 0);
    let plain = Documents::new(Reach::Public).expect("a client");
    let refused = plain.of_operators.ask(&publisher.url, &Validators::default(), 100, &mut Vec::new()).await;
    assert!(matches!(&refused, Err(DownloadError::Network(why)) if why.contains("only https")), "{refused:?}");
    assert!(Documents::new(Reach::Everything).expect("a client").of_operators.fetch(&publisher.url, 100).await.is_ok());
}

#[tokio::test]
async fn macs_are_by_the_secret_and_only_where_they_are_allowed() {
    let gateway = crate::broker::tests::gateway().await;
    let secret = crate::secret::Secret::new("0123456789abcdef0123456789abcdef".to_owned());
    let token = jose::sign_shared(&secret, &serde_json::Map::new()).expect("signed");
    let now = Timestamp::now();
    let without = ClientFacts::public("robot");
    let client = ClientFacts { shared_secret: Some(secret), ..without.clone() };
    assert!(gateway.verify_client_jwt(&client, &token, &[ClientSigningAlg::HS256], now).await.is_ok());
    assert!(gateway.verify_client_jwt(&client, &token, ES256, now).await.is_err());
    assert!(gateway.verify_client_jwt(&without, &token, &[ClientSigningAlg::HS256], now).await.is_err());
}
