//! A browser as far as redirects, forms and cookies go. It keeps the rules of SameSite as current browsers do, so
//! that what works here works there; that it does is proven again in Chromium.

use super::html::{self, Form};
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, redirect};
use std::sync::Mutex;
use std::time::Duration;
use url::Url;

/// One person's browser.
pub struct Browser {
    client: Client,
    jar: Mutex<Vec<Cookie>>,
    /// The person has switched cookies off.
    pub refuses_cookies: bool,
}

#[derive(Clone, Debug)]
pub struct Cookie {
    pub host: String,
    pub name: String,
    pub value: String,
    pub secure: bool,
    pub http_only: bool,
    pub same_site: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// Where the browser is told to go.
#[derive(Clone, Debug)]
pub struct Departure {
    pub url: Url,
    /// The fields of a form that posts itself; none for a redirect.
    pub form: Option<Vec<(String, String)>>,
    /// The page that sent us.
    pub from: Url,
}

/// Where a walk ends.
#[derive(Clone, Debug)]
pub enum Landed {
    /// On a page that waits for the person.
    Here(Page),
    /// On the way to another host, which is not visited.
    Away(Departure),
}

impl Browser {
    pub fn new() -> Self {
        Self::with(client())
    }

    /// One that trusts a certificate of a test.
    pub fn trusting(certificate_pem: &str) -> Self {
        Self::with(trusting(certificate_pem))
    }

    fn with(client: Client) -> Self {
        Self { client, jar: Mutex::new(Vec::new()), refuses_cookies: false }
    }

    /// An address typed by the person, followed to where it leads.
    pub async fn open(&self, url: &str) -> Landed {
        let url = Url::parse(url).expect("an address");
        let page = self.exchange(Method::GET, &url, None, None).await;
        self.follow(page).await
    }

    /// A link of a page, followed to where it leads.
    pub async fn click(&self, page: &Page, href: &str) -> Landed {
        let url = page.url.join(href).expect("a link");
        let answer = self.exchange(Method::GET, &url, None, Some(&page.url)).await;
        self.follow(answer).await
    }

    /// A form posted from the page at `from`, followed to where it leads.
    pub async fn post(&self, from: &Url, to: &Url, fields: &[(String, String)]) -> Landed {
        let page = self.exchange(Method::POST, to, Some(fields), Some(from)).await;
        self.follow(page).await
    }

    /// The button of a page's form whose text is `button`.
    pub async fn press(&self, page: &Page, button: &str) -> Landed {
        let form = page.form();
        let (name, value, _) =
            form.buttons.iter().find(|(_, _, text)| text == button).unwrap_or_else(|| panic!("no button {button}: {}", page.body));
        let mut fields = form.fields.clone();
        if !name.is_empty() {
            fields.push((name.clone(), value.clone()));
        }
        let to = page.url.join(&form.action).expect("an action");
        self.post(&page.url, &to, &fields).await
    }

    /// Follows redirects and forms that post themselves, as long as they stay at one host.
    pub async fn follow(&self, mut page: Page) -> Landed {
        for _ in 0..10 {
            let Some(departure) = page.departure() else { return Landed::Here(page) };
            if departure.url.origin() != page.url.origin() {
                return Landed::Away(departure);
            }
            let method = if departure.form.is_some() { Method::POST } else { Method::GET };
            page = self.exchange(method, &departure.url, departure.form.as_deref(), Some(&departure.from)).await;
        }
        panic!("the browser goes round in circles at {}", page.url);
    }

    /// One request and its answer, with the cookies that a browser would send and keep.
    pub async fn exchange(&self, method: Method, url: &Url, fields: Option<&[(String, String)]>, from: Option<&Url>) -> Page {
        let page = self.elsewhere(method, url, fields, from).await;
        page.keeps_promises();
        page
    }

    /// The same at somebody else's server, which has promised nothing.
    pub async fn elsewhere(&self, method: Method, url: &Url, fields: Option<&[(String, String)]>, from: Option<&Url>) -> Page {
        let mut request = self.client.request(method.clone(), url.clone()).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let cookies = self.cookies_for(&method, url, from);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        if let Some(fields) = fields {
            request = request.form(fields);
        }
        let page = Page::take(request.send().await.unwrap_or_else(|error| panic!("{url} does not answer: {error:?}")), url).await;
        if !self.refuses_cookies {
            self.keep_cookies(url, &page.headers);
        }
        page
    }

    fn cookies_for(&self, method: &Method, url: &Url, from: Option<&Url>) -> String {
        let same_site = from.is_none_or(|from| site(from) == site(url));
        let sent = |cookie: &&Cookie| {
            let crosses = match cookie.same_site.as_str() {
                "None" => true,
                // Lax: with a top-level navigation by a safe method. All of ours are top-level.
                "Lax" => same_site || *method == Method::GET,
                "Strict" => same_site,
                other => panic!("the cookie {} has SameSite={other}", cookie.name),
            };
            cookie.host == host(url) && (!cookie.secure || url.scheme() == "https") && crosses
        };
        self.jar
            .lock()
            .unwrap()
            .iter()
            .filter(sent)
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn keep_cookies(&self, url: &Url, headers: &HeaderMap) {
        let mut jar = self.jar.lock().unwrap();
        for header in headers.get_all(SET_COOKIE) {
            let Some((cookie, gone)) = accept(url, header.to_str().expect("a cookie of text")) else { continue };
            jar.retain(|known| (&known.host, &known.name) != (&cookie.host, &cookie.name));
            if !gone {
                jar.push(cookie);
            }
        }
    }

    /// The cookie whose name ends so.
    pub fn cookie(&self, suffix: &str) -> Option<Cookie> {
        self.jar.lock().unwrap().iter().find(|cookie| cookie.name.ends_with(suffix)).cloned()
    }

    /// The person deletes all cookies.
    pub fn forget(&self) {
        self.jar.lock().unwrap().clear();
    }

    pub fn cookies(&self) -> Vec<Cookie> {
        self.jar.lock().unwrap().clone()
    }
}

/// RFC 6265bis 5.7: what is kept of a `Set-Cookie` header; nothing where a browser would refuse it.
fn accept(url: &Url, header: &str) -> Option<(Cookie, bool)> {
    let mut parts = header.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let attributes: Vec<(String, &str)> =
        parts.map(|part| part.split_once('=').unwrap_or((part, ""))).map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let find = |name: &str| attributes.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let cookie = Cookie {
        host: host(url),
        name: name.to_owned(),
        value: value.to_owned(),
        secure: find("secure").is_some(),
        http_only: find("httponly").is_some(),
        same_site: find("samesite").unwrap_or("Lax").to_owned(),
    };
    let https = url.scheme() == "https";
    let prefix_kept = !name.starts_with("__Host-") || (cookie.secure && find("path") == Some("/") && find("domain").is_none());
    let refused = (cookie.secure && !https) || (cookie.same_site == "None" && !cookie.secure) || !prefix_kept;
    let gone = find("max-age").is_some_and(|age| age.parse::<i64>().is_ok_and(|age| age <= 0))
        || find("expires").is_some_and(|date| date.ends_with("1970 00:00:00 GMT"));
    (!refused).then_some((cookie, gone))
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// Scheme and host: ports do not part sites, and loopback names have no common registrable domain.
fn site(url: &Url) -> (String, String) {
    (url.scheme().to_owned(), host(url))
}

impl Page {
    /// Reads an answer, and holds it to what every answer promises.
    pub async fn read(response: reqwest::Response, url: &Url) -> Self {
        let page = Self::take(response, url).await;
        page.keeps_promises();
        page
    }

    async fn take(response: reqwest::Response, url: &Url) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = String::from_utf8(response.bytes().await.expect("a body").to_vec()).expect("a body of UTF-8");
        Self { url: url.clone(), status, headers, body }
    }

    fn keeps_promises(&self) {
        let correlation_id = self.header("x-correlation-id");
        assert_eq!(correlation_id.len(), 16, "{} answers without a correlation id: {:?}", self.url, self.headers);
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{}", self.url);
        assert_eq!(self.header("referrer-policy"), "no-referrer", "{}", self.url);
        let policy = self.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{}: {policy}", self.url);
        assert!(!self.header("cache-control").is_empty(), "{}", self.url);
        assert!(!self.headers.contains_key("server"), "{} tells what it runs on", self.url);
    }

    /// A header's value; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }

    pub fn correlation_id(&self) -> &str {
        self.header("x-correlation-id")
    }

    pub fn form(&self) -> Form {
        html::form(&self.body).unwrap_or_else(|| panic!("no form at {}: {} {}", self.url, self.status, self.body))
    }

    /// Where this answer sends the browser by itself.
    pub fn departure(&self) -> Option<Departure> {
        if let Some(location) = self.headers.get(LOCATION) {
            // RFC 9700 4.12: 303, so that no browser posts credentials on.
            assert_eq!(self.status, 303, "a redirect from {}", self.url);
            let url = self.url.join(location.to_str().expect("a location of text")).expect("a location");
            return Some(Departure { url, form: None, from: self.url.clone() });
        }
        if html::sends_itself(&self.body) {
            let form = self.form();
            assert_eq!(form.method, "post", "{}", self.url);
            let url = self.url.join(&form.action).expect("an action");
            return Some(Departure { url, form: Some(form.fields), from: self.url.clone() });
        }
        None
    }

    /// An error page with this status and code, which names itself as the header does.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.contains(code)), (status, true), "expected {status} {code} at {}: {}", self.url, self.body);
        assert!(self.header("content-type").starts_with("text/html"), "{:?}", self.headers);
        assert!(self.contains(self.correlation_id()), "the page does not show the correlation id {}: {}", self.correlation_id(), self.body);
    }

    pub fn contains(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// The text of the link that starts the login again, with its address.
    pub fn restart(&self) -> Option<(String, String)> {
        html::links(&self.body).into_iter().find(|(href, _)| href.starts_with("/authorize?"))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} at {}: {} {}", self.url, self.status, self.body))
    }
}

impl Landed {
    #[track_caller]
    pub fn here(self) -> Page {
        match self {
            Self::Here(page) => page,
            Self::Away(departure) => panic!("sent away to {} instead of a page", departure.url),
        }
    }

    #[track_caller]
    pub fn away(self) -> Departure {
        match self {
            Self::Away(departure) => departure,
            Self::Here(page) => panic!("not sent away, but {} at {}: {}", page.status, page.url, page.body),
        }
    }
}

impl Departure {
    /// The parameters that travel: of the form, of the fragment, or of the query.
    pub fn parameters(&self) -> Vec<(String, String)> {
        if let Some(form) = &self.form {
            return form.clone();
        }
        let text = self.url.fragment().or(self.url.query()).unwrap_or_default();
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// A client without cookies of its own that never follows a redirect.
pub fn client() -> Client {
    builder().build().expect("a client")
}

/// The same, trusting a certificate of a test.
pub fn trusting(certificate_pem: &str) -> Client {
    let certificate = reqwest::Certificate::from_pem(certificate_pem.as_bytes()).expect("a certificate");
    builder().add_root_certificate(certificate).build().expect("a client")
}

fn builder() -> reqwest::ClientBuilder {
    // A test that waits for another program does not see that the gateway has closed an idle connection.
    let idle = Duration::from_secs(2);
    Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(Duration::from_secs(60)).pool_idle_timeout(idle)
}

#[test]
fn cookies_travel_as_in_browsers() {
    let browser = Browser::new();
    let (gateway, idp) = (Url::parse("http://localhost:1/").unwrap(), Url::parse("http://127.0.0.1:2/").unwrap());
    let keep = |url: &Url, header: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, header.parse().unwrap());
        browser.keep_cookies(url, &headers);
    };
    keep(&gateway, "a=1; SameSite=Lax; HttpOnly; Path=/");
    keep(&gateway, "b=2; SameSite=None; Path=/");
    keep(&gateway, "c=3; SameSite=None; Secure; Path=/");
    assert_eq!(browser.cookies().len(), 1, "None without Secure, and Secure without TLS, are refused");
    assert_eq!(browser.cookies_for(&Method::POST, &gateway, Some(&idp)), "");
    assert_eq!(browser.cookies_for(&Method::GET, &gateway, Some(&idp)), "a=1");
    assert_eq!(browser.cookies_for(&Method::POST, &gateway, Some(&gateway)), "a=1");
    let secure = Url::parse("https://localhost:1/").unwrap();
    keep(&secure, "__Host-d=4; SameSite=None; Secure; Path=/");
    keep(&secure, "__Host-e=5; SameSite=None; Secure");
    assert_eq!(browser.cookies_for(&Method::POST, &secure, Some(&idp)), "__Host-d=4");
    keep(&secure, "__Host-d=; SameSite=None; Secure; Path=/; Max-Age=0");
    assert!(browser.cookie("-d").is_none());
}
