//! The one HTTP client: time-outs, no redirects, no proxies, bounded bodies.

pub mod asker;
pub mod download;
pub mod soap;

use crate::error::{Error, ErrorKind, Result};
use crate::rules::{Fetch, FetchAnswer, FetchRequest};
use native_tls::{Protocol, TlsConnector};
use reqwest::redirect::Policy;
use reqwest::tls::Version;
use reqwest::{Client, ClientBuilder, Method, Response};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;
use url::{Host, Url};

/// Bytes of an answer at most.
const LIMIT: usize = 4 * 1024 * 1024;

/// What every client has: it follows nothing, uses no proxy, whatever the environment says, and speaks TLS 1.2 at least.
fn builder() -> ClientBuilder {
    /// The certificates of the system are read once, and not for each of a thousand providers.
    static TLS: LazyLock<native_tls::Result<TlsConnector>> =
        LazyLock::new(|| TlsConnector::builder().min_protocol_version(Some(Protocol::Tlsv12)).request_alpns(&["http/1.1"]).build());
    let builder = builder_apart();
    match TLS.as_ref() {
        Ok(tls) => builder.tls_backend_preconfigured(tls.clone()),
        // Its own attempt fails, too, and says why.
        Err(_) => builder,
    }
}

/// The same for a client with settings of its own for TLS.
fn builder_apart() -> ClientBuilder {
    Client::builder().redirect(Policy::none()).no_proxy().tls_version_min(Version::TLS_1_2)
}

/// A client with our limits.
pub fn client() -> Result<Client> {
    builder()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| Error::new(ErrorKind::Internal, "an HTTP client cannot be made").because(error))
}

/// The body as text, at most four mebibytes of it.
pub async fn text(mut response: Response) -> Result<String> {
    let unreadable = || Error::new(ErrorKind::Internal, "an answer cannot be read");
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreadable().because(error))? {
        if body.len() + chunk.len() > LIMIT {
            return Err(Error::new(ErrorKind::Internal, "an answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|error| unreadable().because(error))
}

/// Why there is no answer, in short where it is the time.
fn why(error: reqwest::Error) -> String {
    if error.is_timeout() { "it does not answer in time".to_owned() } else { chain(error) }
}

/// The chain says what happened; the address stands in the trace or in the configuration already.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        why = format!("{why}: {inner}");
        source = inner.source();
    }
    why
}

/// Nobody is asked: for programs that run no scripts.
pub struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _request: FetchRequest) -> Pin<Box<dyn Future<Output = Result<FetchAnswer>> + Send + '_>> {
        Box::pin(std::future::ready(Err(Error::new(ErrorKind::AccessDenied, "no host may be asked"))))
    }
}

/// `fetch` of rules and actions: only hosts that the script lists, https (http for a loopback host that is listed), no
/// redirects. Every name is resolved here and its addresses looked at, and the request goes to no other address.
///
/// Private, loopback and link-local addresses are not reached, unless the list says so itself: by the address, or by
/// `localhost`.
pub struct GuardedFetch;

/// Octets of an answer's body at most.
const FETCH_LIMIT: usize = 1024 * 1024;

impl Fetch for GuardedFetch {
    fn fetch(&self, request: FetchRequest) -> Pin<Box<dyn Future<Output = Result<FetchAnswer>> + Send + '_>> {
        let time = Duration::from_millis(request.time.max(1));
        Box::pin(async move {
            let late = || Error::new(ErrorKind::AccessDenied, "the time is over");
            tokio::time::timeout(time, fetch(request, time)).await.map_err(|_| late())?
        })
    }
}

async fn fetch(request: FetchRequest, time: Duration) -> Result<FetchAnswer> {
    let refuse = |why: &str| Error::new(ErrorKind::AccessDenied, why);
    let url = Url::parse(&request.url).map_err(|_| refuse("the address is no absolute URL"))?;
    let target = Target::of(&url, &request.hosts)?;
    let addresses = target.addresses().await?;
    let mut client = builder().connect_timeout(time).timeout(time).pool_max_idle_per_host(0);
    if let Host::Domain(name) = &target.host {
        client = client.resolve_to_addrs(name, &addresses);
    }
    let client = client.build().map_err(|error| Error::new(ErrorKind::Internal, "an HTTP client cannot be made").because(error))?;
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| refuse("the method is none of HTTP"))?;
    let mut asked = client.request(method, url);
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    if let Some(body) = request.body {
        asked = asked.body(body);
    }
    let failed = |error: reqwest::Error| refuse("the host does not answer").because(error.without_url());
    let mut response = asked.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > FETCH_LIMIT {
            return Err(refuse("the answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(FetchAnswer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A host that the script may ask.
struct Target {
    host: Host<String>,
    port: u16,
    /// The list itself names a place in our own network.
    inside: bool,
}

impl Target {
    fn of(url: &Url, hosts: &[String]) -> Result<Self> {
        let refuse = |why: String| Error::new(ErrorKind::AccessDenied, why);
        let host = url.host().map(|host| host.to_owned()).ok_or_else(|| refuse("the address has no host".to_owned()))?;
        let port = url.port_or_known_default().ok_or_else(|| refuse("the address has no port".to_owned()))?;
        let name = host.to_string().to_ascii_lowercase();
        if !hosts.contains(&name) {
            return Err(refuse(format!("{name} is not among the hosts that this script may ask")));
        }
        let (loopback, inside) = match &host {
            Host::Domain(domain) => (domain == "localhost", domain == "localhost"),
            Host::Ipv4(address) => (address.is_loopback(), true),
            Host::Ipv6(address) => (address.is_loopback(), true),
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return Err(refuse("only https is possible".to_owned())),
        }
        Ok(Self { host, port, inside })
    }

    /// Where it is, looked at.
    async fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let refuse = |why: &str| Error::new(ErrorKind::AccessDenied, why);
        let found: Vec<SocketAddr> = match &self.host {
            Host::Ipv4(address) => vec![SocketAddr::new(IpAddr::V4(*address), self.port)],
            Host::Ipv6(address) => vec![SocketAddr::new(IpAddr::V6(*address), self.port)],
            Host::Domain(name) => tokio::net::lookup_host((name.as_str(), self.port))
                .await
                .map_err(|error| refuse("the host is not known").because(error))?
                .collect(),
        };
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| self.inside || is_public(address.ip())).collect();
        if allowed.is_empty() {
            return Err(refuse("the host is not on the public Internet, and not listed by its address"));
        }
        Ok(allowed)
    }
}

/// Can it be somebody else's machine? Everything that the registries of special addresses set apart is not.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            let special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (18..20).contains(&b));
            !special
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            // IPv4 in disguise: mapped, translated (RFC 6052) or by 6to4.
            let within = |high: u16, low: u16| IpAddr::from([(high >> 8) as u8, high as u8, (low >> 8) as u8, low as u8]);
            match segments {
                [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return is_public(within(high, low)),
                [0x2002, high, low, ..] => return is_public(within(high, low)),
                _ => {}
            }
            // Global unicast is 2000::/3; documentation, benchmarks and Teredo stand apart.
            let apart = matches!(segments, [0x2001, 0xdb8 | 0..0x200, ..] | [0x3fff, 0..0x1000, ..]);
            segments[0] & 0xe000 == 0x2000 && !apart
        }
    }
}

#[cfg(test)]
#[path = "outbound/guard_tests.rs"]
mod guard_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, hosts: &[&str]) -> FetchRequest {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        FetchRequest { method: "GET".to_owned(), url: url.to_owned(), headers: Vec::new(), body: None, time: 2000, hosts }
    }

    async fn refused(url: &str, hosts: &[&str]) -> String {
        GuardedFetch.fetch(request(url, hosts)).await.expect_err("refused").detail
    }

    #[test]
    fn addresses_of_our_own_network_are_not_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(inside.parse().expect("an address")), "{inside}");
        }
        for outside in ["192.0.2.1".replace("192.0.2", "1.1.1"), "2606:4700::1".to_owned(), "::ffff:8.8.8.8".to_owned()] {
            assert!(is_public(outside.parse().expect("an address")), "{outside}");
        }
    }

    #[tokio::test]
    async fn only_listed_hosts_are_asked_and_only_by_https() {
        assert!(refused("https://evil.example/", &["good.example"]).await.contains("not among the hosts"));
        assert!(refused("http://good.example/", &["good.example"]).await.contains("https"));
        assert!(refused("https://good.example@evil.example/", &["good.example"]).await.contains("not among the hosts"));
        assert!(refused("file:///etc/passwd", &["good.example"]).await.contains("no host"));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_asked_unless_it_is_the_listed_loopback_name() {
        // Resolvers answer loopback for names below localhost (RFC 6761), or nothing.
        let why = refused("https://inside.localhost/", &["inside.localhost"]).await;
        assert!(why.contains("not on the public Internet") || why.contains("not known"), "{why}");
        let target = |url: &str, host: &str| Target::of(&Url::parse(url).expect("a URL"), &[host.to_owned()]).map(|target| target.inside);
        assert!(target("http://localhost:1/", "localhost").expect("listed"));
        assert!(target("https://10.0.0.1/", "10.0.0.1").expect("listed"));
        assert!(!target("https://good.example/", "good.example").expect("listed"));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_has_no_addresses() {
        let target = |inside| Target { host: Host::Domain("localhost".to_owned()), port: 1, inside };
        assert!(target(false).addresses().await.is_err_and(|error| error.detail.contains("not on the public Internet")));
        assert!(target(true).addresses().await.is_ok_and(|found| !found.is_empty()));
    }

    #[tokio::test]
    async fn redirects_are_answers_and_large_bodies_are_refused() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut read = [0_u8; 1024];
                let count = stream.read(&mut read).await.unwrap_or(0);
                let large = read.get(..count).is_some_and(|head| head.starts_with(b"GET /large"));
                let body = if large { "x".repeat(FETCH_LIMIT + 1) } else { String::new() };
                let head =
                    format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/large\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        let listed = ["127.0.0.1"];
        let answer = GuardedFetch.fetch(request(&format!("http://127.0.0.1:{port}/"), &listed)).await.expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (302, ""));
        assert_eq!(refused(&format!("http://127.0.0.1:{port}/large"), &listed).await, "the answer is too large");
    }
}
