//! An application without a library: every parameter of every request is the test's to change.

use super::browser::{Browser, Departure, Page};
use super::gateway::Gateway;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use url::Url;

/// Where the applications of most tests get their answers; nothing listens there.
pub const CALLBACK: &str = "https://notes.example/callback";
pub const SECRET: &str = "a-secret-of-the-notes-application";
pub const VERIFIER: &str = "a-code-verifier-that-is-long-enough-for-the-grammar-of-rfc-7636";

/// An application as the gateway knows it.
#[derive(Clone, Debug)]
pub struct App {
    pub client_id: String,
    pub auth: Auth,
    pub callback: String,
}

/// How it proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    Basic,
    Post,
    None,
}

impl Auth {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::None => "none",
        }
    }
}

impl App {
    pub fn new(client_id: &str) -> Self {
        Self { client_id: client_id.to_owned(), auth: Auth::Basic, callback: CALLBACK.to_owned() }
    }

    #[must_use]
    pub fn by(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Its `[[application]]`; `top` and `oidc` are more lines of both tables.
    pub fn toml(&self, top: &str, oidc: &str) -> String {
        let secret = if self.auth == Auth::None { "" } else { "client_secret = { env = \"TEST_SECRET\" }\n" };
        format!(
            "client_id = \"{id}\"\nname = \"{name}\"\n{top}\n[application.oidc]\nredirect_uris = [\"{callback}\"]\n\
             token_endpoint_auth_method = \"{auth}\"\n{secret}{oidc}\n",
            id = self.client_id,
            name = title(&self.client_id),
            callback = self.callback,
            auth = self.auth.name(),
        )
    }

    /// An authorization request in good order, with `changes`; an empty value takes a parameter away.
    pub fn authorize(&self, gateway: &Gateway, changes: &[(&str, &str)]) -> Url {
        let challenge = challenge(VERIFIER);
        let mut parameters: Vec<(String, String)> = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.callback),
            ("scope", "openid profile email groups"),
            ("state", "a state & more"),
            ("nonce", "a-nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            if !value.is_empty() {
                parameters.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        let mut url = gateway.url("/authorize");
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    /// The code of a good answer; state and issuer are checked.
    #[track_caller]
    pub fn code(&self, gateway: &Gateway, answer: &Departure) -> String {
        assert_eq!(answer.parameter("error"), None, "{:?} {:?}", answer.parameter("error_description"), answer.url);
        self.assert_mine(gateway, answer);
        answer.parameter("code").expect("a code")
    }

    /// The error of an answer; state and issuer are checked.
    #[track_caller]
    pub fn error(&self, gateway: &Gateway, answer: &Departure) -> (String, String) {
        self.assert_mine(gateway, answer);
        assert_eq!(answer.parameter("code"), None);
        (
            answer.parameter("error").unwrap_or_else(|| panic!("no error in {}", answer.url)),
            answer.parameter("error_description").unwrap_or_default(),
        )
    }

    #[track_caller]
    fn assert_mine(&self, gateway: &Gateway, answer: &Departure) {
        assert!(answer.url.as_str().starts_with(&self.callback), "{}", answer.url);
        assert_eq!(answer.parameter("state").as_deref(), Some("a state & more"));
        // RFC 9207: in success and in error.
        assert_eq!(answer.parameter("iss"), Some(gateway.issuer()));
    }

    /// The token request for a code, with `changes` as in [`Self::authorize`].
    pub async fn redeem(&self, gateway: &Gateway, code: &str, changes: &[(&str, &str)]) -> Page {
        let request = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &self.callback), ("code_verifier", VERIFIER)];
        self.token(gateway, &request, changes).await
    }

    pub async fn refresh(&self, gateway: &Gateway, refresh_token: &str, changes: &[(&str, &str)]) -> Page {
        self.token(gateway, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)], changes).await
    }

    async fn token(&self, gateway: &Gateway, parameters: &[(&str, &str)], changes: &[(&str, &str)]) -> Page {
        let mut form: Vec<(&str, &str)> = parameters.to_vec();
        match self.auth {
            Auth::Basic => {}
            Auth::Post => form.extend([("client_id", self.client_id.as_str()), ("client_secret", SECRET)]),
            Auth::None => form.push(("client_id", &self.client_id)),
        }
        for (name, value) in changes {
            form.retain(|(known, _)| known != name);
            if !value.is_empty() {
                form.push((name, value));
            }
        }
        let url = gateway.url("/oauth/token");
        let mut request = gateway.client().post(url.clone()).form(&form);
        if self.auth == Auth::Basic {
            request = request.header("authorization", basic(&self.client_id, SECRET));
        }
        Page::read(request.send().await.expect("the token endpoint answers"), &url).await
    }
}

/// The code challenge of a verifier, by S256.
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(openssl::sha::sha256(verifier.as_bytes()))
}

/// An `Authorization` header of RFC 6749 2.3.1.
pub fn basic(client_id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")))
}

/// The claims of an access token.
pub async fn userinfo(gateway: &Gateway, access_token: &str) -> Page {
    let url = gateway.url("/userinfo");
    Page::read(gateway.client().get(url.clone()).bearer_auth(access_token).send().await.expect("userinfo answers"), &url).await
}

/// What the token endpoint gave.
pub struct Tokens {
    pub answer: Value,
}

impl Tokens {
    #[track_caller]
    pub fn of(page: &Page) -> Self {
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(page.header("content-type").starts_with("application/json"));
        Self { answer: page.json() }
    }

    pub fn text(&self, name: &str) -> &str {
        self.answer[name].as_str().unwrap_or_else(|| panic!("no {name} in the answer"))
    }

    pub fn access_token(&self) -> &str {
        self.text("access_token")
    }

    pub fn refresh_token(&self) -> &str {
        self.text("refresh_token")
    }

    pub fn id_token(&self) -> &str {
        self.text("id_token")
    }

    pub fn header(&self) -> Value {
        part(self.id_token(), 0)
    }

    pub fn claims(&self) -> Value {
        part(self.id_token(), 1)
    }
}

/// A decoded part of a JWT; what judges signatures are other people's libraries.
fn part(token: &str, number: usize) -> Value {
    let encoded = token.split('.').nth(number).expect("a part of a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).expect("base64url")).expect("JSON")
}

/// An OAuth error as JSON (RFC 6749 5.2).
#[track_caller]
pub fn assert_oauth_error(page: &Page, status: u16, error: &str) {
    assert_eq!((page.status, page.json()["error"].as_str()), (status, Some(error)), "{}", page.body);
    assert!(page.header("content-type").starts_with("application/json"), "{:?}", page.headers);
    assert_eq!(page.header("cache-control"), "no-store");
    let description = page.json()["error_description"].as_str().unwrap_or_default().to_owned();
    assert!(description.contains("ISTH-") && description.contains(page.correlation_id()), "{description}");
}

/// A person who opens an application, to be sent to an identity provider.
pub async fn begin(browser: &Browser, url: &Url) -> Departure {
    browser.open(url.as_str()).await.away()
}

fn title(client_id: &str) -> String {
    let (first, rest) = client_id.split_at(1);
    first.to_uppercase() + rest
}
