//! Whatever is posted to any endpoint: a clear answer with a code and a correlation id in the right protocol, bounded
//! memory, no panic, nothing stored. That no gateway panicked is checked when each one is dropped.

use crate::harness::browser::{Page, client};
use crate::harness::idp::Person;
use crate::harness::process::memory;
use crate::harness::scene::Scene;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use reqwest::Method;
use std::io::Write as _;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Which protocol an endpoint speaks, and so how it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Page,
    OAuth,
    Bearer,
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Everything that takes a body.
const POSTS: &[(&str, Speaks)] = &[
    ("/authorize", Speaks::Page),
    ("/oauth/token", Speaks::OAuth),
    ("/userinfo", Speaks::Bearer),
    ("/oidc/logout", Speaks::Page),
    ("/oidc/logout/confirm", Speaks::Page),
    ("/connections/acme/acs", Speaks::Page),
    ("/login/callback?connection=acme", Speaks::Page),
    ("/login", Speaks::Page),
];

/// Everything that takes a query.
const GETS: &[(&str, Speaks)] = &[
    ("/authorize", Speaks::Page),
    ("/userinfo", Speaks::Bearer),
    ("/oidc/logout", Speaks::Page),
    ("/login", Speaks::Page),
    ("/samlp/metadata", Speaks::Page),
    ("/connections/nowhere/metadata", Speaks::Page),
];

async fn send(scene: &Scene, method: Method, target: &str, content_type: &str, body: Vec<u8>) -> Page {
    let url = scene.gateway.url(target);
    let mut request = client().request(method.clone(), url.clone());
    if method == Method::POST {
        request = request.header("content-type", content_type).body(body);
    }
    Page::read(request.send().await.unwrap_or_else(|error| panic!("{target}: {error:?}")), &url).await
}

/// A refusal in the right protocol.
#[track_caller]
fn assert_refused(page: &Page, speaks: Speaks, what: &str) {
    let what = format!("{what} at {}: {} {:?} {}", page.url, page.status, page.headers, page.body.chars().take(600).collect::<String>());
    assert!((400..500).contains(&page.status), "{what}");
    assert!(page.body.len() < 20_000, "{what}");
    match speaks {
        Speaks::Page => {
            assert!(
                page.header("content-type").starts_with("text/html") && page.contains("ISTH-") && page.contains(page.correlation_id()),
                "{what}"
            );
            assert!(!page.contains("<script>alert"), "{what}");
        }
        Speaks::OAuth => {
            let told = page.json();
            assert!(told["error"].is_string() && told["error_description"].as_str().is_some_and(|text| text.contains("ISTH-")), "{what}");
            assert_eq!(page.header("cache-control"), "no-store", "{what}");
        }
        Speaks::Bearer => {
            let challenge = page.header("www-authenticate");
            assert!(challenge.starts_with("Bearer") || page.status == 413 || page.status == 415, "{what}");
            assert!(page.body.is_empty() || page.json()["error"].is_string(), "{what}");
        }
    }
}

#[tokio::test]
async fn garbage_is_refused_by_every_endpoint_in_its_own_protocol() {
    let scene = Scene::new().await;
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("octets", (0..=255).cycle().take(5000).collect()),
        ("a NUL byte", b"client_id=notes&state=a%00b&SAMLResponse=a%00b&login=%00&grant_type=%00&access_token=%00&id_token_hint=%00".to_vec()),
        ("a raw NUL byte", b"client_id=no\0tes&SAMLResponse=\0&login=\0&grant_type=\0&access_token=\0&id_token_hint=\0".to_vec()),
        ("a bad escape", b"client_id=%zz&SAMLResponse=%zz&login=%z&access_token=%&id_token_hint=%%".to_vec()),
        ("no UTF-8", b"client_id=%ff%fe&SAMLResponse=%ff&login=%ff&access_token=%ff&id_token_hint=%c3%28".to_vec()),
        (
            "repeated parameters",
            b"client_id=notes&client_id=notes&SAMLResponse=a&SAMLResponse=a&login=a&login=a&access_token=a&access_token=a&id_token_hint=a&id_token_hint=a".to_vec(),
        ),
        ("markup", b"client_id=<script>alert(1)</script>&SAMLResponse=<script>alert(1)</script>&login=<script>alert(1)</script>&access_token=<script>alert(1)</script>&id_token_hint=<script>alert(1)</script>".to_vec()),
        ("many parameters", (0..2000).map(|number| format!("p{number}=1&")).collect::<String>().into_bytes()),
        ("JSON", br#"{"client_id":"notes"}"#.to_vec()),
    ];
    for (target, speaks) in POSTS {
        for (what, body) in &bodies {
            let page = send(&scene, Method::POST, target, FORM, body.clone()).await;
            // A logout without parameters is a logout; a posted one is sent once more from our own page.
            if target.starts_with("/oidc/logout") && page.status < 400 {
                assert!(!page.contains("<script>alert"), "{what}");
                continue;
            }
            assert_refused(&page, *speaks, what);
        }
    }
    let queries = [
        "",
        "?",
        "?%00",
        "?a=%zz",
        "?client_id=a&client_id=b",
        "?login=%ff",
        "?connection=%00",
        "?client_id=%3Cscript%3Ealert(1)%3C/script%3E",
        "?access_token=x",
    ];
    for (target, speaks) in GETS {
        for query in queries {
            let page = send(&scene, Method::GET, &format!("{target}{query}"), FORM, Vec::new()).await;
            if *target == "/oidc/logout" && page.status < 400 {
                continue;
            }
            assert_refused(&page, *speaks, query);
        }
    }
    let answer = scene.sign_in(&Person::jane(), &[]).await;
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn a_wrong_content_type_is_said() {
    let scene = Scene::new().await;
    for (target, speaks) in POSTS {
        for content_type in ["application/json", "text/xml", "multipart/form-data; boundary=x", "text/plain", "nonsense", ""] {
            let page = send(&scene, Method::POST, target, content_type, b"client_id=notes&SAMLResponse=x".to_vec()).await;
            assert_refused(&page, *speaks, content_type);
            if *speaks != Speaks::Bearer {
                // The token endpoint reads JSON too, as some SDKs send it; this is none.
                let read = *target == "/oauth/token" && content_type == "application/json";
                assert_eq!(page.status, if read { 400 } else { 415 }, "{target} {content_type}");
            }
        }
    }
}

#[tokio::test]
async fn wrong_methods_and_unknown_places_have_pages() {
    let scene = Scene::new().await;
    for target in ["/oauth/token", "/connections/acme/acs", "/oidc/logout/confirm"] {
        let page = send(&scene, Method::GET, target, FORM, Vec::new()).await;
        assert_eq!(page.status, 405, "{target}: {}", page.body);
        assert!(page.contains("ISTH-4002"), "{target}: {}", page.body);
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let page = send(&scene, method.clone(), "/authorize", FORM, Vec::new()).await;
        assert_eq!(page.status, 405, "{method}");
    }
    for target in [
        "/nowhere",
        "/authorize/",
        "//authorize",
        "/connections/acme",
        "/connections/../../etc/passwd",
        "/%00",
        "/%ff",
        "/connections/%2e%2e/acs",
    ] {
        let page = send(&scene, Method::GET, target, FORM, Vec::new()).await;
        assert!([404, 405].contains(&page.status), "{target}: {} {}", page.status, page.body);
        assert!(page.contains("ISTH-400"), "{target}: {}", page.body);
    }
    for target in ["/connections/nowhere/acs", "/connections/%00/acs", "/login/callback?connection=nowhere", "/login/callback"] {
        let page = send(&scene, Method::POST, target, FORM, b"SAMLResponse=PHg%2B".to_vec()).await;
        page.assert_refused(404, "ISTH-2001");
    }
    // A program that asks for JSON gets a problem (RFC 9457).
    let url = scene.gateway.url("/nowhere");
    let page = Page::read(client().get(url.clone()).header("accept", "application/json").send().await.unwrap(), &url).await;
    assert_eq!((page.status, page.header("content-type")), (404, "application/problem+json"));
    assert_eq!((page.json()["code"].as_str(), page.json()["status"].as_u64()), (Some("ISTH-4001"), Some(404)));
}

#[tokio::test]
async fn a_hundred_megabytes_cost_no_memory() {
    let mut scene = Scene::new().await;
    scene.sign_in(&Person::jane(), &[]).await;
    let (before, _) = memory(scene.gateway.id());
    for (target, speaks) in POSTS {
        // Announced, and not announced.
        for chunked in [false, true] {
            let (status, answer) = pour(scene.gateway.port, target, chunked).await;
            assert_eq!(status, 413, "{target}: {answer}");
            assert!(answer.to_ascii_lowercase().contains("x-correlation-id:"), "{target}: {answer}");
            if *speaks == Speaks::Page {
                assert!(answer.contains("ISTH-4003"), "{target}: {answer}");
            }
        }
    }
    assert!(scene.gateway.is_alive());
    let (_, highest) = memory(scene.gateway.id());
    assert!(highest < before + 40 * 1024, "{before} KiB before, {highest} KiB at the highest");
    let answer = scene.again(&[]).await;
    scene.app.code(&scene.gateway, &answer);
}

/// Sends up to 100 MB of a form, until the server has heard enough; status and answer.
async fn pour(port: u16, target: &str, chunked: bool) -> (u16, String) {
    const TOTAL: usize = 100 << 20;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let length = if chunked { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {TOTAL}") };
    let head = format!("POST {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {FORM}\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let block = vec![b'a'; 64 * 1024];
    let sending = async {
        for _ in 0..TOTAL / block.len() {
            let written = if chunked {
                let piece = [format!("{:x}\r\n", block.len()).as_bytes(), &block, b"\r\n"].concat();
                writer.write_all(&piece).await
            } else {
                writer.write_all(&block).await
            };
            // The server has stopped listening.
            if written.is_err() {
                return;
            }
        }
    };
    let mut answer = Vec::new();
    let reading = async {
        let mut piece = vec![0; 4096];
        while !is_whole(&answer) {
            match reader.read(&mut piece).await {
                Ok(length @ 1..) => answer.extend_from_slice(&piece[..length]),
                _ => return,
            }
        }
    };
    let answered = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::pin!(sending, reading);
        tokio::select! {
            () = &mut reading => {}
            () = &mut sending => reading.await,
        }
    });
    assert!(answered.await.is_ok(), "{target} does not answer a hundred megabytes");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    (status, answer)
}

#[tokio::test]
async fn hostile_xml_is_refused_quickly_and_costs_no_memory() {
    let scene = Scene::new().await;
    let (before, _) = memory(scene.gateway.id());
    let entities: String = (1..10).map(|level| format!("<!ENTITY e{level} \"{}\">", format!("&e{};", level - 1).repeat(10))).collect();
    let deep = |count: usize| {
        format!(
            "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\">{}{}</samlp:Response>",
            "<a>".repeat(count),
            "</a>".repeat(count)
        )
    };
    let attributes: String = (0..20_000).map(|number| format!(" a{number}=\"\"")).collect();
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("no XML", b"no XML at all".to_vec()),
        ("nothing", Vec::new()),
        ("half a document", b"<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\"".to_vec()),
        ("a billion laughs", format!("<!DOCTYPE r [<!ENTITY e0 \"x\">{entities}]><r>&e9;</r>").into_bytes()),
        ("an external entity", b"<!DOCTYPE r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><r>&e;</r>".to_vec()),
        ("an empty document type", b"<!DOCTYPE r><r/>".to_vec()),
        ("depth", deep(100_000).into_bytes()),
        ("width", format!("<r>{}</r>", "<a/>".repeat(100_000)).into_bytes()),
        ("attributes", format!("<r{attributes}/>").into_bytes()),
        ("UTF-16", "<r/>".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("NUL bytes", b"<r>\0\0\0</r>".to_vec()),
        ("two roots", b"<r/><r/>".to_vec()),
        ("an unknown entity", b"<r>&x;</r>".to_vec()),
        ("a processing instruction", b"<?xml-stylesheet href=\"http://127.0.0.1/\"?><r/>".to_vec()),
        ("deflated", deflate(&vec![b' '; 60 << 20])),
        ("another message", b"<samlp:LogoutRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_x\"/>".to_vec()),
    ];
    for (what, xml) in hostile {
        // In a login that runs, so that the message is really read.
        let request = scene.ask(&[("prompt", "login")]).await;
        let fields =
            vec![("SAMLResponse".to_owned(), STANDARD.encode(&xml)), ("RelayState".to_owned(), request.relay_state.clone().unwrap())];
        let began = Instant::now();
        let landed = scene.browser.post(&scene.idp.page(), &request.acs_url.parse().unwrap(), &fields).await;
        assert!(began.elapsed().as_secs() < 5, "{what} took {:?}", began.elapsed());
        let (error, description) = scene.app.error(&scene.gateway, &landed.away());
        assert!(
            ["server_error", "access_denied"].contains(&error.as_str()) && description.contains("ISTH-"),
            "{what}: {error} {description}"
        );
        // And in none.
        let fields = &fields[..1];
        let page = scene.browser.post(&scene.idp.page(), &request.acs_url.parse().unwrap(), fields).await.here();
        page.assert_refused(403, "ISTH-3004");
    }
    for base64 in ["!!!!", "PHg", "PHg+PC94Pg", "PH g+", "\u{e4}\u{f6}", "="] {
        let request = scene.ask(&[("prompt", "login")]).await;
        let fields = vec![("SAMLResponse".to_owned(), base64.to_owned()), ("RelayState".to_owned(), request.relay_state.clone().unwrap())];
        let landed = scene.browser.post(&scene.idp.page(), &request.acs_url.parse().unwrap(), &fields).await;
        let (error, _) = scene.app.error(&scene.gateway, &landed.away());
        assert_eq!(error, "server_error", "{base64}");
    }
    let (_, highest) = memory(scene.gateway.id());
    assert!(highest < before + 60 * 1024, "{before} KiB before, {highest} KiB at the highest");
    let answer = scene.sign_in(&Person::jane(), &[]).await;
    scene.app.code(&scene.gateway, &answer);
}

/// Has the whole answer come?
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_refused_request_stores_nothing() {
    let redis = crate::harness::servers::Server::redis(&[]);
    let scene = Scene::with(|setup| crate::harness::gateway::Setup { sessions: redis.redis_url(), ..setup }).await;
    let before = redis.ask_redis("DBSIZE");
    for (target, _) in POSTS {
        for body in [
            &b"client_id=nobody"[..],
            b"SAMLResponse=PHg%2B",
            b"grant_type=authorization_code&code=x&client_id=notes",
            b"login=x&connection=acme",
        ] {
            send(&scene, Method::POST, target, FORM, body.to_vec()).await;
        }
    }
    for (target, _) in GETS {
        send(&scene, Method::GET, target, FORM, Vec::new()).await;
    }
    assert_eq!(redis.ask_redis("DBSIZE"), before);
}

#[tokio::test]
async fn half_a_request_holds_nobody_up() {
    let scene = Scene::new().await;
    let mut idle = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", scene.gateway.port)).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\ncontent-type: application/x-www-form-urlencoded\r\n\r\na").await.unwrap();
        }
        idle.push(stream);
    }
    let began = Instant::now();
    let answer = scene.sign_in(&Person::jane(), &[]).await;
    scene.app.code(&scene.gateway, &answer);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}
