//! Documents that may be large and are fetched again and again: conditional, bounded, and nowhere but where they were asked for.

use super::{chain, is_public};
use crate::error::{Error, ErrorKind, Result as CrateResult};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CACHE_CONTROL, ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION};
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use url::{Host, Url};

/// Which machines may be asked. Names are resolved here, and their addresses looked at, so that no name leads elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public Internet.
    #[default]
    Public,
    /// Those of our own network too, but not this one.
    Network,
    /// All, this one too: for development.
    Everything,
}

impl Reach {
    /// A client that goes nowhere else by a name, follows nothing and uses no proxy. Addresses it must not be given unasked:
    /// see [`Self::allows_literal`].
    pub fn client(self) -> ClientBuilder {
        self.client_by(look_up)
    }

    /// The same for one with settings of its own for TLS.
    pub(super) fn client_apart(self) -> ClientBuilder {
        super::builder_apart().dns_resolver(Arc::new(Guard { reach: self, look_up }))
    }

    /// The same where names are looked up so.
    pub(super) fn client_by(self, look_up: LookUp) -> ClientBuilder {
        super::builder().dns_resolver(Arc::new(Guard { reach: self, look_up }))
    }

    /// May this host be asked, if it is written as an address? Resolvers are not asked for those.
    pub fn allows_literal(self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(address)) => self.allows(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.allows(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => true,
        }
    }

    /// A connection for another protocol than HTTP: to an address that was looked at here, and to nothing else, whatever
    /// the name says to who looks it up again.
    ///
    /// # Errors
    /// When there is no address, none that may be asked, or nobody answers there.
    pub(in crate::connection) async fn connect_by(self, look_up: LookUp, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut found = look_up(host.to_owned()).await?;
        found.retain(|address| self.allows(address.ip()));
        if found.is_empty() {
            return Err(io::Error::other(INSIDE));
        }
        found.iter_mut().for_each(|address| address.set_port(port));
        TcpStream::connect(found.as_slice()).await
    }

    pub(super) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Network => is_public(address) || is_private(address),
            Self::Everything => true,
        }
    }
}

/// Addresses that organizations give their own machines; not those of this machine, of its link, or of nobody.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        // Unique local addresses (RFC 4193).
        IpAddr::V6(address) => address.segments()[0] & 0xfe00 == 0xfc00 && !METADATA_SERVICES.contains(&address),
    }
}

/// Where machines of Amazon and of Google are told their credentials: unique local addresses that nobody has given a provider.
const METADATA_SERVICES: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// How long a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// For all of it.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { idle: Duration::from_secs(20), total: Duration::from_secs(300) }
    }
}

/// What a server said of the copy that we have, to be told to it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// A good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downloaded {
    /// The copy that the validators belong to is the newest one.
    NotModified,
    /// The body is in the sink.
    Body { validators: Validators, max_age_seconds: Option<u64> },
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadError {
    /// 404 or 410.
    Missing,
    Status(u16),
    TooLarge {
        limit: u64,
    },
    /// A redirect that is not followed.
    Redirect {
        to: String,
    },
    /// No connection, no answer in time, an answer that breaks off.
    Network(String),
    /// The body could not be kept.
    Sink(String),
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the server has no such document"),
            Self::Status(status) => write!(f, "the server answered with status {status}"),
            Self::TooLarge { limit } => write!(f, "the document has more than {limit} bytes"),
            Self::Redirect { to } => write!(f, "the server redirects to {to}, which is not https on the same host"),
            Self::Network(why) => write!(f, "the server was not reached: {why}"),
            Self::Sink(why) => write!(f, "the document could not be kept: {why}"),
        }
    }
}

impl std::error::Error for DownloadError {}

/// A client for downloads; keep it, it holds its connections.
#[derive(Clone, Debug)]
pub struct Downloader {
    client: Client,
    reach: Reach,
    accept: &'static str,
}

impl Downloader {
    pub fn new(patience: Patience, reach: Reach) -> CrateResult<Self> {
        let client = reach.client().connect_timeout(patience.idle.min(Duration::from_secs(5))).read_timeout(patience.idle);
        let client = client.timeout(patience.total).build();
        client
            .map(|client| Self { client, reach, accept: SAML_METADATA })
            .map_err(|error| Error::new(ErrorKind::Internal, "an HTTP client cannot be made").because(error))
    }

    /// The same for documents of other media types.
    #[must_use]
    pub const fn accepting(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// Fetches a document into `sink`, at most `limit` bytes of it. What is in the sink means something only after success.
    ///
    /// # Errors
    /// A [`DownloadError`].
    pub async fn fetch(
        &self,
        url: &Url,
        validators: &Validators,
        limit: u64,
        sink: &mut (impl Write + Send),
    ) -> Result<Downloaded, DownloadError> {
        let mut url = url.clone();
        let mut answer = self.ask(&url, validators).await?;
        for _ in 0..REDIRECTS {
            if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
                break;
            }
            url = redirect_target(&url, header(answer.headers(), LOCATION.as_str()).unwrap_or_default().as_str())?;
            answer = self.ask(&url, validators).await?;
        }
        match answer.status() {
            StatusCode::NOT_MODIFIED if *validators != Validators::default() => return Ok(Downloaded::NotModified),
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(DownloadError::Missing),
            status => return Err(DownloadError::Status(status.as_u16())),
        }
        let validators =
            Validators { etag: header(answer.headers(), ETAG.as_str()), last_modified: header(answer.headers(), LAST_MODIFIED.as_str()) };
        let max_age_seconds = header(answer.headers(), CACHE_CONTROL.as_str()).and_then(|text| max_age(&text));
        body(answer, limit, sink).await?;
        Ok(Downloaded::Body { validators, max_age_seconds })
    }

    async fn ask(&self, url: &Url, validators: &Validators) -> Result<Response, DownloadError> {
        if !self.reach.allows_literal(url) {
            return Err(DownloadError::Network(INSIDE.to_owned()));
        }
        let mut request = self.client.get(url.clone()).header(ACCEPT, self.accept);
        if let Some(etag) = &validators.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(date) = &validators.last_modified {
            request = request.header(IF_MODIFIED_SINCE, date);
        }
        request.send().await.map_err(network)
    }
}

/// Addresses of a name.
pub(in crate::connection) type LookUp = fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

pub(in crate::connection) fn look_up(name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
}

/// Resolves names to addresses that may be asked. The connection is made to what was looked at here, and to nothing else.
struct Guard {
    reach: Reach,
    look_up: LookUp,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, found) = (self.reach, (self.look_up)(name.as_str().to_owned()));
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = found.await?.into_iter().filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(INSIDE.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

async fn body(mut answer: Response, limit: u64, sink: &mut impl Write) -> Result<(), DownloadError> {
    let too_large = DownloadError::TooLarge { limit };
    if answer.content_length().is_some_and(|length| length > limit) {
        return Err(too_large);
    }
    let mut length = 0;
    while let Some(chunk) = answer.chunk().await.map_err(network)? {
        length += chunk.len() as u64;
        if length > limit {
            return Err(too_large);
        }
        let kept = |error: io::Error| DownloadError::Sink(error.to_string());
        sink.write_all(&chunk).map_err(kept)?;
    }
    sink.flush().map_err(|error| DownloadError::Sink(error.to_string()))
}

/// Where a redirect may lead: by https, to the host that was asked.
fn redirect_target(from: &Url, location: &str) -> Result<Url, DownloadError> {
    let refused = || DownloadError::Redirect { to: location.chars().take(200).collect() };
    let to = from.join(location).map_err(|_| refused())?;
    let same = to.host_str() == from.host_str() && !location.is_empty();
    let harmless = to.username().is_empty() && to.password().is_none();
    if same && harmless && to.scheme() == "https" { Ok(to) } else { Err(refused()) }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().filter(|text| text.len() <= 1024).map(str::to_owned)
}

fn max_age(text: &str) -> Option<u64> {
    text.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

fn network(error: reqwest::Error) -> DownloadError {
    DownloadError::Network(chain(error))
}

const REDIRECTS: usize = 3;

const SAML_METADATA: &str = "application/samlmetadata+xml, application/xml;q=0.9, */*;q=0.1";

pub const INSIDE: &str = "the host is not on the public Internet";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_nowhere_else() {
        let from: Url = "https://md.example/a/b?c".parse().expect("a URL");
        for (location, expected) in [
            ("/d", Some("https://md.example/d")),
            ("d", Some("https://md.example/a/d")),
            ("https://md.example:8443/d", Some("https://md.example:8443/d")),
            ("http://md.example/d", None),
            ("https://evil.example/d", None),
            ("//evil.example/d", None),
            ("https://md.example@evil.example/", None),
            ("https://a:b@md.example/", None),
            ("https://a@md.example/", None),
            ("https://:b@md.example/", None),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(redirect_target(&from, location).ok().map(String::from).as_deref(), expected, "{location}");
        }
        let plain: Url = "http://md.example/a".parse().expect("a URL");
        assert!(redirect_target(&plain, "https://md.example/a").is_ok() && redirect_target(&plain, "/b").is_err());
    }

    #[tokio::test]
    async fn machines_of_our_own_are_not_asked_unless_that_is_wanted() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx").await;
            }
        });
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let url: Url = format!("http://{host}:{port}/").parse().expect("a URL");
            for reach in [Reach::Public, Reach::Network] {
                let downloader = Downloader::new(Patience::default(), reach).expect("a client");
                match downloader.fetch(&url, &Validators::default(), 10, &mut Vec::new()).await {
                    Err(DownloadError::Network(why)) => assert!(why.contains(INSIDE), "{host}: {why}"),
                    other => panic!("{host}: {other:?}"),
                }
            }
        }
        let downloader = Downloader::new(Patience::default(), Reach::Everything).expect("a client");
        let url = format!("http://127.0.0.1:{port}/").parse().expect("a URL");
        assert!(downloader.fetch(&url, &Validators::default(), 10, &mut Vec::new()).await.is_ok());
    }

    #[test]
    fn our_network_is_neither_this_machine_nor_its_link() {
        for (address, expected) in [
            ("10.1.2.3", true),
            ("192.168.1.1", true),
            ("fd00::1", true),
            ("1.1.1.1", true),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("::1", false),
            ("fe80::1", false),
            ("::ffff:127.0.0.1", false),
        ] {
            assert_eq!(Reach::Network.allows(address.parse().expect("an address")), expected, "{address}");
        }
    }

    #[test]
    fn max_age_is_read_from_among_others() {
        assert_eq!(max_age("public, max-age=600"), Some(600));
        assert_eq!(max_age("no-cache"), None);
        assert_eq!(max_age("max-age=many"), None);
    }
}
