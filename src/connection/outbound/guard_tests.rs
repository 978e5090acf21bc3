//! Every way past the guard that somebody has thought of: addresses in all spellings, names, redirects, bodies, headers.

use super::asker::{Asked, Asker};
use super::download::{DownloadError, Downloaded, Downloader, INSIDE, LookUp, Patience, Reach, Validators};
use super::{FetchRequest, GuardedFetch, is_public};
use crate::rules::Fetch as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Somebody on this machine who answers every connection with `head`, and then with `again` after each pause, without end.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Answers {
    head: Vec<u8>,
    again: Vec<u8>,
    pause: Duration,
}

impl Answers {
    fn once(head: impl Into<Vec<u8>>) -> Self {
        Self { head: head.into(), again: Vec::new(), pause: Duration::ZERO }
    }

    fn then(mut self, again: impl Into<Vec<u8>>, pause: Duration) -> Self {
        (self.again, self.pause) = (again.into(), pause);
        self
    }
}

impl Server {
    async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (port, connections) = (listener.local_addr().expect("an address").port(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, answers.clone()));
            }
        });
        Self { port, connections }
    }

    async fn good() -> Self {
        Self::start(Answers::once("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")).await
    }

    fn url(&self, host: &str) -> Url {
        format!("http://{host}:{}/", self.port).parse().expect("a URL")
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answers: Answers) {
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(&answers.head).await;
    while !answers.again.is_empty() {
        tokio::time::sleep(answers.pause).await;
        if stream.write_all(&answers.again).await.is_err() {
            return;
        }
    }
}

async fn asked(url: &Url, reach: Reach) -> Result<Asked, String> {
    Asker::new(reach).expect("a client").get(url, "application/json", None, 1000).await
}

/// What a server on this machine answers, by a client that may ask it; half a second for all.
async fn answered(answers: Answers, limit: u64) -> Result<Asked, String> {
    let server = Server::start(answers).await;
    let asker = Asker::patient(Reach::Everything, Duration::from_millis(500)).expect("a client");
    asker.get(&server.url("127.0.0.1"), "application/json", None, limit).await
}

/// This machine, in every way to write it that a URL has.
const LOOPBACK: [&str; 32] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "127.0.0.1.",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "017700000001",
    "00000177.0.0.01",
    "0",
    "0.0.0.0",
    "0x0",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "127。0。0。1",
    "127．0．0．1",
    "１２７.0.0.1",
    "①②⑦.⓪.⓪.①",
    "user:password@127.0.0.1",
    "good.example@127.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
];

#[tokio::test]
async fn no_spelling_of_this_machine_is_asked() {
    let server = Server::good().await;
    // Making them takes longer than the rest: they read the certificates of this machine.
    let clients = [Reach::Public, Reach::Network].map(|reach| {
        let downloader = Downloader::new(Patience::default(), reach).expect("a client");
        (reach, Asker::new(reach).expect("a client"), downloader)
    });
    for host in LOOPBACK {
        let url = server.url(host);
        for (reach, asker, downloader) in &clients {
            let answer = asker.get(&url, "application/json", None, 1000).await;
            assert_eq!(answer.map(|answer| answer.status), Err(INSIDE.to_owned()), "{host} {reach:?}: {url}");
            let downloaded = downloader.fetch(&url, &Validators::default(), 10, &mut Vec::new()).await;
            assert_eq!(downloaded, Err(DownloadError::Network(INSIDE.to_owned())), "{host} {reach:?}");
        }
        // Scripts: what is not listed letter by letter is not asked, whatever it means.
        let request = FetchRequest {
            method: "GET".to_owned(),
            url: url.to_string(),
            headers: Vec::new(),
            body: None,
            time: 1000,
            hosts: vec!["good.example".to_owned(), host.to_owned() + "x"],
        };
        assert!(GuardedFetch.fetch(request).await.is_err(), "{host}");
    }
    // Names of this machine, by the resolver.
    for host in ["localhost", "LOCALHOST", "localhost.", "a.localhost", "user@localhost", "ｌｏｃａｌｈｏｓｔ"] {
        assert!(asked(&server.url(host), Reach::Public).await.is_err(), "{host}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(asked(&server.url("127.1"), Reach::Everything).await.expect("it is there").status, 200);
    // A zone, and a host that is none, are no URLs at all.
    for url in [
        "http://[fe80::1%25eth0]/",
        "http://[::1%lo]/",
        "http://1.2.3.4.5/",
        "http://0x100.1.1.1/",
        "http://256.1.1.1/",
        "http://99999999999/",
    ] {
        assert!(Url::parse(url).is_err(), "{url}");
    }
}

#[test]
fn everything_that_registries_set_apart_is_inside() {
    for (network, addresses) in [
        ("this network, 0.0.0.0/8", vec!["0.0.0.0", "0.0.0.1", "0.255.255.255"]),
        ("private, RFC 1918", vec!["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "192.168.255.255"]),
        ("carriers, 100.64.0.0/10, with Alibaba's metadata", vec!["100.64.0.0", "100.100.100.200", "100.127.255.255"]),
        ("loopback", vec!["127.0.0.0", "127.255.255.255"]),
        ("link-local, with the metadata of clouds", vec!["169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255"]),
        ("protocol assignments, with Oracle's metadata", vec!["192.0.0.0", "192.0.0.192", "192.0.0.255"]),
        ("documentation", vec!["192.0.2.1", "198.51.100.1", "203.0.113.1"]),
        ("the relay of 6to4", vec!["192.88.99.1"]),
        ("benchmarks", vec!["198.18.0.0", "198.19.255.255"]),
        ("multicast", vec!["224.0.0.1", "239.255.255.255"]),
        ("reserved, and broadcast", vec!["240.0.0.0", "255.255.255.254", "255.255.255.255"]),
        ("unspecified and loopback", vec!["::", "::1"]),
        ("IPv4 mapped, compatible, SIIT", vec!["::ffff:10.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1", "::ffff:0:10.0.0.1"]),
        ("NAT64", vec!["64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8"]),
        (
            "6to4 and Teredo",
            vec!["2002:a00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
        ),
        ("unique local, with Amazon's and Google's metadata", vec!["fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fdff:ffff::1"]),
        ("link-local and site-local", vec!["fe80::1", "febf::1", "fec0::1"]),
        ("multicast of IPv6", vec!["ff02::1", "ff0e::1"]),
        ("documentation, benchmarks, ORCHID", vec!["2001:db8::1", "3fff::1", "3fff:fff::1", "2001:2::1", "2001:10::1", "2001:20::1"]),
        ("discard, segments", vec!["100::1", "5f00::1"]),
    ] {
        for address in addresses {
            assert!(!is_public(address.parse().expect("an address")), "{network}: {address}");
        }
    }
    for outside in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:200::1",
        "2001:db9::1",
        "3ffe::1",
        "3fff:1000::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ] {
        assert!(is_public(outside.parse().expect("an address")), "{outside}");
    }
}

#[test]
fn the_own_network_has_neither_this_machine_nor_metadata_of_clouds() {
    for (address, expected) in [
        ("10.0.0.1", true),
        ("192.168.1.1", true),
        ("fd12:3456::1", true),
        ("1.1.1.1", true),
        ("fd00:ec2::254", false),
        ("fd20:ce::254", false),
        ("169.254.169.254", false),
        ("100.100.100.200", false),
        ("192.0.0.192", false),
        ("127.0.0.1", false),
        ("::1", false),
        ("0.0.0.0", false),
        ("::ffff:127.0.0.1", false),
        ("::ffff:169.254.169.254", false),
        ("fe80::1", false),
    ] {
        let address: IpAddr = address.parse().expect("an address");
        assert_eq!((Reach::Network.allows(address), Reach::Everything.allows(address)), (expected, true), "{address}");
    }
}

/// Asks a name that is looked up so; port and path are those of the server.
async fn by_name(look_up: LookUp, reach: Reach, server: &Server) -> Result<u16, String> {
    let client = reach.client_by(look_up).timeout(Duration::from_secs(2)).build().expect("a client");
    let answer = client.get(server.url("provider.example")).send().await;
    answer.map(|answer| answer.status().as_u16()).map_err(super::why)
}

fn these(addresses: &[&str]) -> std::io::Result<Vec<SocketAddr>> {
    Ok(addresses.iter().map(|address| SocketAddr::new(address.parse().expect("an address"), 0)).collect())
}

#[tokio::test]
async fn a_name_leads_nowhere_that_its_addresses_may_not() {
    let server = Server::good().await;
    for inside in [
        (|_| Box::pin(async { these(&["127.0.0.1"]) })) as LookUp,
        |_| Box::pin(async { these(&["10.0.0.1", "127.0.0.1", "::1"]) }),
        |_| Box::pin(async { these(&["169.254.169.254"]) }),
        |_| Box::pin(async { these(&["::ffff:127.0.0.1"]) }),
        |_| Box::pin(async { these(&["0.0.0.0"]) }),
        |_| Box::pin(async { these(&[]) }),
    ] {
        let why = by_name(inside, Reach::Public, &server).await.expect_err("refused");
        assert!(why.contains(INSIDE), "{why}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(by_name(|_| Box::pin(async { these(&["127.0.0.1"]) }), Reach::Everything, &server).await, Ok(200));
    // Of several those are left that may be asked: this one is in the own network, and nobody answers there.
    let mixed: LookUp = |_| Box::pin(async { these(&["127.0.0.1", "10.255.255.1"]) });
    let began = Instant::now();
    assert!(by_name(mixed, Reach::Network, &server).await.is_err() && began.elapsed() < Duration::from_secs(5));
    assert_eq!(server.connections(), 1, "of this machine nobody was asked");
}

#[tokio::test]
async fn other_protocols_go_to_the_address_that_was_looked_at_too() {
    static TIMES: AtomicUsize = AtomicUsize::new(0);
    let server = Server::good().await;
    let by_turns: LookUp = |_| {
        Box::pin(async {
            match TIMES.fetch_add(1, Ordering::SeqCst) {
                0 => these(&["127.0.0.1"]),
                _ => these(&["10.255.255.1"]),
            }
        })
    };
    let stream = Reach::Everything.connect_by(by_turns, "directory.invalid", server.port).await.expect("connected");
    assert_eq!(stream.peer_addr().expect("an address").to_string(), format!("127.0.0.1:{}", server.port));
    assert_eq!(TIMES.load(Ordering::SeqCst), 1, "it was not looked up again");
    drop(stream);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = server.connections();
    let here: LookUp = |_| Box::pin(async { these(&["127.0.0.1", "::1", "169.254.169.254"]) });
    for (reach, host, look_up) in [
        (Reach::Network, "directory.invalid", here),
        (Reach::Public, "directory.invalid", here),
        (Reach::Network, "127.0.0.1", super::download::look_up),
        (Reach::Network, "localhost", super::download::look_up),
    ] {
        let why = reach.connect_by(look_up, host, server.port).await.expect_err("refused").to_string();
        assert!(why.contains(INSIDE), "{host}: {why}");
    }
    assert_eq!(server.connections(), before, "of this machine nobody was asked");
}

static LOOKED_UP: AtomicUsize = AtomicUsize::new(0);

/// First an address that may be asked, then, for whoever looks again, another one.
fn rebinding(_name: String) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>> {
    Box::pin(async {
        match LOOKED_UP.fetch_add(1, Ordering::SeqCst) {
            0 => these(&["10.255.255.1"]),
            _ => these(&["127.0.0.1"]),
        }
    })
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_the_address_that_was_looked_at_is_the_one_that_is_asked() {
    let server = Server::good().await;
    assert!(by_name(rebinding, Reach::Network, &server).await.is_err());
    assert_eq!((LOOKED_UP.load(Ordering::SeqCst), server.connections()), (1, 0), "it was not looked up again");
    let why = by_name(rebinding, Reach::Network, &server).await.expect_err("looked at again");
    assert!(why.contains(INSIDE) && server.connections() == 0, "{why}");
}

#[tokio::test]
async fn redirects_are_answers() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::good().await;
        for location in [elsewhere.url("127.0.0.1").to_string(), "http://169.254.169.254/latest/meta-data/".to_owned(), "/".to_owned()] {
            let head = format!("HTTP/1.1 {status} Away\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            assert_eq!(answered(Answers::once(head.clone()), 1000).await.expect("an answer").status, status);
            // Documents follow to https of the same host only, which none of these is.
            let server = Server::start(Answers::once(head)).await;
            let downloader = Downloader::new(Patience::default(), Reach::Everything).expect("a client");
            let downloaded = downloader.fetch(&server.url("127.0.0.1"), &Validators::default(), 10, &mut Vec::new()).await;
            assert!(matches!(downloaded, Err(DownloadError::Redirect { .. })), "{status} {location}: {downloaded:?}");
            assert_eq!(server.connections(), 1);
        }
        assert_eq!(elsewhere.connections(), 0);
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

#[tokio::test]
async fn bodies_are_bounded_however_they_come() {
    let began = Instant::now();
    let too_large = |result: Result<Asked, String>| result.is_err_and(|why| why == "its answer has more than 1000 bytes");
    assert!(too_large(answered(Answers::once(format!("{OK}content-length: 1001\r\n\r\n")), 1000).await), "announced");
    assert!(answered(Answers::once(format!("{OK}content-length: 18446744073709551615\r\n\r\n")), 1000).await.is_err());
    let endless = Answers::once(format!("{OK}\r\n")).then("x".repeat(8192), Duration::ZERO);
    assert!(too_large(answered(endless, 1000).await), "until the connection ends");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let chunked = Answers::once(format!("{OK}transfer-encoding: chunked\r\n\r\n")).then(chunk, Duration::ZERO);
    assert!(too_large(answered(chunked, 1000).await), "in chunks");
    assert!(began.elapsed() < Duration::from_secs(3));
    let exact = answered(Answers::once(format!("{OK}content-length: 1000\r\nconnection: close\r\n\r\n{}", "x".repeat(1000))), 1000).await;
    assert_eq!(exact.expect("just so").body.len(), 1000);
    // Both lengths at once, or a length that is none, are no answer.
    for head in ["content-length: -1\r\n", "content-length: 2\r\ncontent-length: 3\r\n", "content-length: 2, 3\r\n"] {
        assert!(answered(Answers::once(format!("{OK}{head}\r\n{{}}")), 1000).await.is_err(), "{head}");
    }
}

#[tokio::test]
async fn documents_are_bounded_and_good_or_none() {
    let downloaded = async |head: &str, again: &str, validators: &Validators| {
        let server = Server::start(Answers::once(head).then(again, Duration::ZERO)).await;
        let patience = Patience { idle: Duration::from_secs(2), total: Duration::from_secs(5) };
        let downloader = Downloader::new(patience, Reach::Everything).expect("a client");
        downloader.fetch(&server.url("127.0.0.1"), validators, 1000, &mut Vec::new()).await
    };
    let none = Validators::default();
    let too_large = Err(DownloadError::TooLarge { limit: 1000 });
    assert_eq!(downloaded(&format!("{OK}content-length: 1001\r\n\r\n"), "", &none).await, too_large, "announced");
    assert_eq!(downloaded(&format!("{OK}\r\n"), &"x".repeat(8192), &none).await, too_large, "without end");
    let empty = "content-length: 0\r\nconnection: close\r\n\r\n";
    for (status, expected) in [(404, DownloadError::Missing), (410, DownloadError::Missing), (500, DownloadError::Status(500))] {
        assert_eq!(downloaded(&format!("HTTP/1.1 {status} No\r\n{empty}"), "", &none).await, Err(expected));
    }
    // Nothing was asked that could be the same still.
    let same = "HTTP/1.1 304 Same\r\nconnection: close\r\n\r\n";
    assert_eq!(downloaded(same, "", &none).await, Err(DownloadError::Status(304)));
    let known = Validators { etag: Some("x".to_owned()), last_modified: None };
    assert_eq!(downloaded(same, "", &known).await, Ok(Downloaded::NotModified));
    // What is said again to the server is short.
    for (length, kept) in [(1024, true), (1025, false)] {
        let etag = "x".repeat(length);
        let good = downloaded(&format!("HTTP/1.1 200 OK\r\netag: {etag}\r\n{empty}"), "", &none).await;
        let Ok(Downloaded::Body { validators, .. }) = good else { panic!("{good:?}") };
        assert_eq!(validators.etag, kept.then_some(etag));
    }
}

#[tokio::test]
async fn texts_are_bounded() {
    let endless = Server::start(Answers::once(format!("{OK}\r\n")).then("x".repeat(100_000), Duration::ZERO)).await;
    let answer = super::client().expect("a client").get(endless.url("127.0.0.1")).send().await.expect("an answer");
    assert_eq!(super::text(answer).await.expect_err("too much").detail, "an answer is too large");
}

#[tokio::test]
async fn whoever_is_slow_has_the_time_of_one_answer_and_no_more() {
    let tenth = Duration::from_millis(100);
    for (what, answers) in [
        ("a body, octet by octet", Answers::once(format!("{OK}content-length: 900\r\n\r\n")).then("x", tenth)),
        ("headers, octet by octet", Answers::once("HTTP/1.1 200 OK\r\nx: ").then("x", tenth)),
        ("nothing", Answers::once("").then("", tenth)),
        ("informational answers without end", Answers::once("").then("HTTP/1.1 100 Continue\r\n\r\n", tenth)),
    ] {
        let began = Instant::now();
        let why = answered(answers, 1000).await.expect_err(what);
        assert!(began.elapsed() < Duration::from_secs(2), "{what}: {:?}", began.elapsed());
        assert!(!why.contains("127.0.0.1"), "{why}");
    }
    let patience = Patience { idle: Duration::from_millis(300), total: Duration::from_millis(600) };
    let downloader = Downloader::new(patience, Reach::Everything).expect("a client");
    let slow = Server::start(Answers::once(format!("{OK}content-length: 900\r\n\r\n")).then("x", tenth)).await;
    let began = Instant::now();
    let downloaded = downloader.fetch(&slow.url("127.0.0.1"), &Validators::default(), 1000, &mut Vec::new()).await;
    assert!(matches!(downloaded, Err(DownloadError::Network(_))) && began.elapsed() < Duration::from_secs(2), "{downloaded:?}");
}

#[tokio::test]
async fn headers_are_bounded() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 2\r\n\r\n{{}}", "x".repeat(2_000_000));
    assert!(answered(Answers::once(long), 1000).await.is_err());
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\n{{}}", "x: y\r\n".repeat(20_000));
    assert!(answered(Answers::once(many), 1000).await.is_err());
    let endless = Answers::once("HTTP/1.1 200 OK\r\n").then("x: ".to_owned() + &"y".repeat(8000) + "\r\n", Duration::ZERO);
    let began = Instant::now();
    assert!(answered(endless, 1000).await.is_err() && began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn nothing_is_inflated() {
    let zeros = vec![0; 10_000_000];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&zeros).expect("compressed");
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    deflate.write_all(&zeros).expect("compressed");
    for (encoding, body) in
        [("gzip", gzip.finish().expect("an end")), ("deflate", deflate.finish().expect("an end")), ("br", vec![0x0b; 100])]
    {
        let head = format!("{OK}content-encoding: {encoding}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let answer = answered(Answers::once([head.into_bytes(), body.clone()].concat()), 100_000).await.expect("an answer");
        assert_eq!(answer.body, body, "{encoding}: as it came");
    }
    // Nobody is invited to compress.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url: Url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
    let said = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("somebody");
        let mut said = vec![0; 4096];
        let count = stream.read(&mut said).await.expect("a question");
        String::from_utf8_lossy(said.get(..count).unwrap_or_default()).to_ascii_lowercase()
    });
    let _ = asked(&url, Reach::Everything).await;
    let said = said.await.expect("it was heard");
    assert!(said.starts_with("get / http/1.1\r\n") && !said.contains("accept-encoding") && !said.contains("cookie"), "{said}");
}

#[tokio::test]
async fn what_is_no_http_1_is_no_answer() {
    for (what, answer) in [
        ("HTTP/0.9", b"{}".to_vec()),
        ("HTTP/2 without being asked", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("HTTP/2 by its name", b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
        ("a status that is none", b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
        ("a header with a line break", b"HTTP/1.1 200 OK\r\nx\r\ny: z\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
        ("TLS", vec![0x15, 3, 3, 0, 2, 2, 40]),
    ] {
        assert!(answered(Answers::once(answer), 1000).await.is_err(), "{what}");
    }
    // Somebody who wants to speak otherwise is not followed.
    let switching = "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n";
    assert!(answered(Answers::once(switching), 1000).await.map_or(true, |answer| answer.status != 200));
}

#[tokio::test]
async fn the_media_type_is_told_as_it_came() {
    for (said, expected) in [
        ("Application/JSON; charset=utf-8", "application/json"),
        ("text/html", "text/html"),
        ("application/jwt ;x=y", "application/jwt"),
        ("", ""),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {said}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
        assert_eq!(answered(Answers::once(head), 1000).await.expect("an answer").content_type, expected);
    }
}
