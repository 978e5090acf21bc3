//! Providers to which we prove who we are by a certificate (RFC 8705).

use crate::harness::app::App;
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::keys::Pair;
use crate::harness::op::{Op, answer};
use crate::harness::web::{Asked, Site};
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use url::Url;

/// TLS before a provider that lets nobody through but who has this certificate.
struct Door {
    port: u16,
    passed: Arc<AtomicUsize>,
}

impl Door {
    fn before(to: u16, own: &Pair, wanted: &Pair) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("TLS");
        acceptor.set_private_key(&own.key).expect("a key");
        acceptor.set_certificate(&own.certificate).expect("a certificate");
        let wanted = wanted.certificate.to_der().expect("DER");
        acceptor.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, move |_, shown| {
            shown.current_cert().is_some_and(|certificate| certificate.to_der().is_ok_and(|der| der == wanted))
        });
        let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").expect("a port"));
        let door = Self { port: listener.local_addr().expect("an address").port(), passed: Arc::default() };
        let passed = Arc::clone(&door.passed);
        // It ends with the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(mut tls) = acceptor.accept(stream) else { continue };
                let Some(request) = whole(&mut tls) else { continue };
                passed.fetch_add(1, Ordering::SeqCst);
                let mut behind = TcpStream::connect(("127.0.0.1", to)).expect("the provider");
                behind.write_all(&request).expect("written");
                let mut reply = Vec::new();
                behind.read_to_end(&mut reply).expect("an answer");
                let _ = tls.write_all(&reply);
                let _ = tls.shutdown();
            }
        });
        door
    }

    fn at(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }
}

fn whole(stream: &mut impl std::io::Read) -> Option<Vec<u8>> {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some(all);
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            count => all.extend_from_slice(&piece[..count]),
        }
    }
}

/// Starts with these settings beside the files of our certificate, and trusts the door.
async fn start(connection: &str, app: &App, (tls, own): (&Pair, &Pair)) -> (Gateway, tempfile::TempDir) {
    let place = tempfile::tempdir().expect("a directory");
    std::fs::write(place.path().join("ca.pem"), tls.certificate_pem()).expect("a file");
    let mut setup = Setup::new().connection(connection).application(&app.toml("", ""));
    setup = setup.file("client.pem", &own.certificate_pem()).file("client.key", &own.key_pem());
    setup.environment.push(("SSL_CERT_FILE".to_owned(), place.path().join("ca.pem").to_str().expect("a path").to_owned()));
    (Gateway::start(setup).await, place)
}

const BY_TLS: &str = "client_certificate = \"client.pem\"\nclient_key = { file = \"client.key\" }";

#[tokio::test]
async fn a_provider_that_demands_a_certificate_gets_ours_at_its_other_endpoints() {
    let (tls, own, other, app) = (Pair::rsa("127.0.0.1"), Pair::ec("gateway"), Pair::ec("gateway"), App::new("notes"));
    for (method, shown, expected) in
        [("tls_client_auth", &own, true), ("self_signed_tls_client_auth", &own, true), ("tls_client_auth", &other, false)]
    {
        let op = Op::start().await;
        let door = Door::before(op.site.port, &tls, &own);
        op.lies(|lies| {
            lies.metadata =
                json!({ "mtls_endpoint_aliases": { "token_endpoint": door.at("/token"), "userinfo_endpoint": door.at("/userinfo") } });
            lies.proof = Some(|form| form.get("client_id").is_some_and(|id| id == "gateway") && !form.contains_key("client_secret"));
        });
        let connection = op.toml("acme", &format!("token_endpoint_auth_method = \"{method}\"\n{BY_TLS}"));
        let connection = connection.replace("client_secret = { env = \"TEST_SECRET\" }\n", "");
        let (gateway, _place) = start(&connection, &app, (&tls, shown)).await;
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
        let answer = op.sign_in(&browser, &departure).await.away();
        if expected {
            app.code(&gateway, &answer);
            assert_eq!(door.passed.load(Ordering::SeqCst), 2, "the token endpoint and UserInfo");
            continue;
        }
        let (error, description) = app.error(&gateway, &answer);
        assert_eq!(error, "temporarily_unavailable");
        let id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
        assert!(gateway.trace(id).await.to_string().contains("\"reason\":\"provider-unreachable\""));
        assert_eq!((door.passed.load(Ordering::SeqCst), op.site.seen().iter().any(|asked| asked.path() == "/token")), (0, false));
    }
}

#[tokio::test]
async fn a_provider_by_oauth_alone_may_demand_one_too() {
    let (tls, own, app) = (Pair::rsa("127.0.0.1"), Pair::rsa("gateway"), App::new("notes"));
    let site = Site::answering(0, |asked: &Asked| match asked.path() {
        "/token" => answer(200, &json!({ "access_token": "at-1" })),
        _ => answer(200, &json!({ "id": 7 })),
    });
    let site = site.await;
    let door = Door::before(site.port, &tls, &own);
    let connection = format!(
        "name = \"hub\"\n[connection.oauth2]\nauthorization_endpoint = \"{}\"\ntoken_endpoint = \"{}\"\nuserinfo_endpoint = \"{}\"\n\
         client_id = \"gateway\"\nsubject = \"id\"\ntoken_endpoint_auth_method = \"tls_client_auth\"\n{BY_TLS}\n",
        door.at("/authorize"),
        door.at("/token"),
        door.at("/me"),
    );
    let (gateway, _place) = start(&connection, &app, (&tls, &own)).await;
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let mut url = Url::parse(&departure.parameter("redirect_uri").expect("an address")).expect("a URL");
    url.query_pairs_mut().append_pair("state", &departure.parameter("state").expect("a state")).append_pair("code", "c");
    app.code(&gateway, &browser.open(url.as_str()).await.away());
    let form = site.seen()[0].parameters();
    assert_eq!((form["client_id"].as_str(), form.contains_key("client_secret")), ("gateway", false));
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let (own, other) = (Pair::ec("gateway"), Pair::ec("gateway"));
    let place = tempfile::tempdir().expect("a directory");
    for (name, text) in [("client.pem", own.certificate_pem()), ("client.key", own.key_pem()), ("other.key", other.key_pem())] {
        std::fs::write(place.path().join(name), text).expect("a file");
    }
    let (certificate, key) = ("client_certificate = \"client.pem\"\n", "client_key = { file = \"client.key\" }\n");
    for (lines, told) in [
        (
            "token_endpoint_auth_method = \"tls_client_auth\"\n".to_owned(),
            "`client_certificate` is missing: tls_client_auth is proven by it",
        ),
        (certificate.to_owned(), "`client_key` is missing"),
        (key.to_owned(), "`client_certificate` is missing"),
        (format!("{certificate}client_key = {{ file = \"other.key\" }}\n"), "the certificate does not belong to the private key"),
        (format!("{certificate}client_key = {{ file = \"client.pem\" }}\n"), "this is not a readable PEM private key"),
        (format!("{certificate}{key}token_endpoint_auth_method = \"tls_client_auth\"\nclient_secret = \"x\"\n"), "has no secret"),
        (format!("{certificate}{key}"), "our certificate ends on"),
    ] {
        let toml = format!(
            "issuer = \"http://127.0.0.1:8080\"\n[[connection]]\nname = \"acme\"\n[connection.oidc]\nissuer = \"https://op.example\"\n\
             client_id = \"us\"\n{lines}"
        );
        std::fs::write(place.path().join("isthmus.toml"), toml).expect("a file");
        let output = Command::new(env!("CARGO_BIN_EXE_isthmus")).arg("check").current_dir(place.path()).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(told), "{lines}: {said}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
}
