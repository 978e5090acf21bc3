//! What a gateway asks of others, seen from there: by TLS to the right machine only, past no proxy, and of no machine of our
//! own where that is not wanted, on each path.

use super::login::gateway_of;
use super::oauth2::back;
use crate::harness::app::App;
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::keys::Pair;
use crate::harness::op::Op;
use crate::harness::web::Site;
use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Somebody who speaks TLS at this address of loopback, and describes a provider to whoever comes so far.
struct Tls {
    issuer: String,
    heard: Arc<AtomicUsize>,
}

impl Tls {
    /// `host`: as it stands in the address. At most this version of TLS.
    fn start(pair: &Pair, host: &str, version: Option<SslVersion>) -> Self {
        let listener = TcpListener::bind((if host == "localhost" { "127.0.0.1" } else { host }, 0)).unwrap();
        let issuer = format!("https://{host}:{}", listener.local_addr().unwrap().port());
        let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).unwrap();
        acceptor.set_private_key(&pair.key).unwrap();
        acceptor.set_certificate(&pair.certificate).unwrap();
        if version.is_some() {
            acceptor.clear_options(openssl::ssl::SslOptions::NO_TLSV1_1 | openssl::ssl::SslOptions::NO_TLSV1);
            acceptor.set_min_proto_version(None).unwrap();
            acceptor.set_max_proto_version(version).unwrap();
            acceptor.set_cipher_list("DEFAULT@SECLEVEL=0").unwrap();
        }
        let (acceptor, heard, issuer_told) = (acceptor.build(), Arc::new(AtomicUsize::new(0)), issuer.clone());
        let count = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(mut stream) = acceptor.accept(stream) else { continue };
                let _ = stream.read(&mut [0; 4096]);
                count.fetch_add(1, Ordering::SeqCst);
                let metadata = serde_json::json!({
                    "issuer": issuer_told, "authorization_endpoint": format!("{issuer_told}/authorize"),
                    "token_endpoint": format!("{issuer_told}/token"), "jwks_uri": format!("{issuer_told}/jwks"),
                })
                .to_string();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", metadata.len());
                let _ = stream.write_all((head + &metadata).as_bytes());
                let _ = stream.shutdown();
            }
        });
        Self { issuer, heard }
    }

    fn toml(&self, name: &str) -> String {
        format!(
            "name = \"{name}\"\n[connection.oidc]\nissuer = \"{}\"\nclient_id = \"gateway\"\nclient_secret = {{ env = \"TEST_SECRET\" }}\n",
            self.issuer
        )
    }
}

#[tokio::test]
async fn providers_are_asked_by_tls_of_the_right_machine_only() {
    let (trusted, expired, stranger) = (Pair::rsa("an authority"), Pair::expired("an authority of yesterday"), Pair::rsa("nobody's"));
    let servers = [
        ("good", Tls::start(&trusted, "localhost", None)),
        ("name", Tls::start(&trusted, "127.0.0.2", None)),
        ("expired", Tls::start(&expired, "localhost", None)),
        ("stranger", Tls::start(&stranger, "localhost", None)),
        ("old", Tls::start(&trusted, "localhost", Some(SslVersion::TLS1_1))),
    ];
    let app = App::new("notes");
    let mut setup = Setup::new().application(&app.toml("", ""));
    for (name, server) in &servers {
        setup = setup.connection(&server.toml(name));
    }
    let authorities = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authorities.path(), trusted.certificate_pem() + &expired.certificate_pem()).unwrap();
    setup.environment.push(("SSL_CERT_FILE".to_owned(), authorities.path().display().to_string()));
    // What this machine's own configuration of OpenSSL forbids shall not be the reason.
    setup.environment.push(("OPENSSL_CONF".to_owned(), "/dev/null".to_owned()));
    let gateway = Gateway::start(setup).await;
    for (name, server) in &servers {
        let answer = Browser::new().open(app.authorize(&gateway, &[("connection", name)]).as_str()).await.away();
        if *name == "good" {
            assert!(answer.url.as_str().starts_with(&format!("{}/authorize?", server.issuer)), "{}", answer.url);
            assert_eq!(server.heard.load(Ordering::SeqCst), 1);
        } else {
            assert_eq!(app.error(&gateway, &answer).0, "temporarily_unavailable", "{name}");
            assert_eq!(server.heard.load(Ordering::SeqCst), 0, "{name}: nothing was said to it");
        }
    }
}

#[tokio::test]
async fn no_proxy_of_the_environment_is_used() {
    let (op, proxy) = (Op::start().await, Site::start(|_| "a proxy".to_owned()).await);
    let app = App::new("notes");
    let mut setup = Setup::new().connection(&op.toml("acme", "")).application(&app.toml("", ""));
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        setup.environment.push((name.to_owned(), format!("http://127.0.0.1:{}", proxy.port)));
    }
    setup.environment.push(("NO_PROXY".to_owned(), String::new()));
    let gateway = Gateway::start(setup).await;
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    app.code(&gateway, &op.sign_in(&browser, &departure).await.away());
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
}

/// Counts who connects, and says nothing.
fn silent() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let heard = Arc::clone(&count);
    thread::spawn(move || {
        listener.incoming().flatten().for_each(|_| {
            heard.fetch_add(1, Ordering::SeqCst);
        })
    });
    (port, count)
}

/// Every address that a gateway is told, on this machine: none of them is connected to where development is over.
#[tokio::test]
async fn no_path_leads_to_a_machine_of_our_own() {
    const HEAD: &str = "client_id = \"gateway\"\nclient_secret = { env = \"TEST_SECRET\" }\n";
    let (port, heard) = silent();
    let (app, mut signed) = (App::new("notes"), App::new("signed"));
    signed.callback = "https://signed.example/callback".to_owned();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let at = |path: &str| format!("https://{host}:{port}{path}");
        let endpoints = format!(
            "issuer = \"https://op.example\"\nauthorization_endpoint = \"https://op.example/authorize\"\ntoken_endpoint = \"{}\"\n\
             jwks_uri = \"{}\"\nuserinfo_endpoint = \"{}\"\npushed_authorization_request_endpoint = \"{}\"\n{HEAD}",
            at("/token"),
            at("/jwks"),
            at("/me"),
            at("/par"),
        );
        let mut setup = Setup { top: "development = false".to_owned(), ..Setup::new() }
            .connection(&format!("name = \"discovered\"\n[connection.oidc]\nissuer = \"{}\"\n{HEAD}", at("")))
            .connection(&format!("name = \"inside\"\n[connection.oidc]\nissuer = \"{}\"\nprivate_network = true\n{HEAD}", at("")))
            .connection(&format!("name = \"pushed\"\n[connection.oidc]\npushed_authorization_requests = true\n{endpoints}"))
            .connection(&format!("name = \"pinned\"\n[connection.oidc]\n{endpoints}"))
            .connection(&format!(
                "name = \"hub\"\n[connection.oauth2]\nauthorization_endpoint = \"https://hub.example/authorize\"\ntoken_endpoint = \"{}\"\n\
                 userinfo_endpoint = \"{}\"\nsubject = \"id\"\n{HEAD}",
                at("/token"),
                at("/me")
            ))
            .application(&app.toml("", ""));
        let documents =
            format!("jwks_uri = \"{}\"\nrequest_uris = [\"{}\"]\nrequest_object_signing_alg = \"RS256\"\n", at("/keys"), at("/object"));
        setup = setup.application(&signed.toml("", &documents));
        let gateway = Gateway::start(setup).await;
        for name in ["discovered", "inside", "pushed"] {
            let answer = Browser::new().open(app.authorize(&gateway, &[("connection", name)]).as_str()).await.away();
            assert_eq!(app.error(&gateway, &answer).0, "temporarily_unavailable", "{name} {host}");
        }
        for name in ["pinned", "hub"] {
            let browser = Browser::new();
            let departure = browser.open(app.authorize(&gateway, &[("connection", name)]).as_str()).await.away();
            let answer = back(&browser, &departure, &[("code", "c")]).await;
            let (error, description) = app.error(&gateway, &answer);
            assert_eq!(error, "temporarily_unavailable", "{name} {host}");
            let id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
            let trace = gateway.trace(id).await.to_string();
            assert!(trace.contains("the host is not on the public Internet"), "{name} {host}: {trace}");
        }
        // Documents of applications: a request object, by its address.
        let asked = signed.authorize(&gateway, &[("request_uri", &at("/object"))]);
        let landed = Browser::new().open(asked.as_str()).await;
        let refused = format!("{landed:?}");
        assert!(refused.contains("invalid_request_uri") || refused.contains("ISTH-1022"), "{refused}");
        // A logout token of somebody who may be anybody, and a bearer token: nobody looks for keys there.
        let page = post(&gateway, "/connections/pinned/backchannel-logout", "logout_token=eyJhbGciOiJSUzI1NiJ9.e30.AA").await;
        assert!(page.status == 400 || page.status == 502, "{}", page.body);
        assert_eq!(heard.load(Ordering::SeqCst), 0, "{host}");
    }
    // The same address in development, where it may be asked: the count can count.
    let op = Op::start().await;
    let (gateway, app) = gateway_of(&op, &format!("token_endpoint = \"http://127.0.0.1:{port}/token\"")).await;
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let answer = op.sign_in(&browser, &departure).await.away();
    assert_eq!(app.error(&gateway, &answer).0, "temporarily_unavailable");
    assert!(heard.load(Ordering::SeqCst) > 0);
}

async fn post(gateway: &Gateway, path: &str, form: &str) -> Page {
    let url = gateway.url(path);
    let request = gateway.client().post(url.clone()).header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    Page::read(request.send().await.expect("it answers"), &url).await
}
