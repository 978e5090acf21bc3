//! authlib and idpyoidc (PyPI) as applications: independent judges of the provider, through whole logins over HTTP.
//!
//! What they cannot judge: neither makes DPoP proofs that a conforming server takes at a resource (idpyoidc writes `ath` in
//! hexadecimal, against RFC 9449 4.2), and idpyoidc's pushed requests expect 200 where RFC 9126 2.2 demands 201.

mod authlib;
mod idpyoidc;

use crate::harness::app::SECRET;
use crate::harness::browser::{Browser, Departure, Landed};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person};
use crate::harness::keys::Pair;
use crate::harness::web::Site;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const SCOPES: [&str; 5] = ["openid", "profile", "email", "groups", "offline_access"];
const JANE: &str = "samlp|acme|jane-1";

/// An application as our gateway knows it.
#[derive(Clone)]
struct Member {
    name: &'static str,
    method: &'static str,
    alg: &'static str,
    /// More lines of `[application.oidc]`, and tables after it.
    more: String,
}

impl Member {
    fn new(name: &'static str, method: &'static str, alg: &'static str) -> Self {
        Self { name, method, alg, more: String::new() }
    }

    fn with(self, more: impl Into<String>) -> Self {
        Self { more: more.into(), ..self }
    }

    fn callback(&self) -> String {
        format!("https://{}.example/callback", self.name)
    }

    fn bye(&self) -> String {
        format!("https://{}.example/bye", self.name)
    }

    fn toml(&self, key: &Pair, mailbox: u16) -> String {
        let Self { name, method, alg, more } = self;
        let proof = match *method {
            "private_key_jwt" => format!("jwks = '{}'", jwks(key)),
            _ => "client_secret = { env = \"TEST_SECRET\" }".to_owned(),
        };
        format!(
            "client_id = \"{name}\"\n[application.oidc]\nredirect_uris = [\"{}\"]\npost_logout_redirect_uris = [\"{}\"]\n\
             token_endpoint_auth_method = \"{method}\"\n{proof}\nid_token_signed_response_alg = \"{alg}\"\n\
             backchannel_logout_uri = \"http://127.0.0.1:{mailbox}/{name}\"\n{more}\n",
            self.callback(),
            self.bye(),
        )
    }
}

/// The public half of an application's key.
fn jwks(pair: &Pair) -> Value {
    let rsa = pair.key.rsa().expect("an RSA key");
    let number = |number: &openssl::bn::BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
    json!({"keys": [{"kty": "RSA", "kid": "own", "use": "sig", "n": number(rsa.n()), "e": number(rsa.e())}]})
}

/// A gateway with its practice identity provider, the applications of a test, and a person with a browser.
struct House {
    gateway: Gateway,
    idp: Idp,
    browser: Browser,
    /// Where logout tokens go.
    mailbox: Site,
    key: Pair,
}

impl House {
    async fn of(members: &[Member], top_tables: &str) -> Self {
        let (idp, key, mailbox) = (Idp::new("acme"), Pair::rsa("own"), Site::start(|_| String::new()).await);
        let setup = Setup { top_tables: top_tables.to_owned(), ..Setup::new() }.connection(&idp.toml("", ""));
        let setup = members.iter().fold(setup, |setup, member| setup.application(&member.toml(&key, mailbox.port)));
        Self { gateway: Gateway::start(setup).await, idp, browser: Browser::new(), mailbox, key }
    }

    /// The person goes where an application sends them, signs in and agrees where they are asked; the answer to the application.
    async fn walk(&self, url: &str) -> Departure {
        let mut landed = self.browser.open(url).await;
        for _ in 0..4 {
            landed = match landed {
                Landed::Here(page) => self.browser.press(&page, "Allow").await,
                Landed::Away(departure) if departure.parameter("SAMLRequest").is_some() => {
                    let answer = self.idp.respond(&self.idp.read(&departure), &Person::jane());
                    self.browser.post(&answer.from, &answer.to, &answer.fields()).await
                }
                Landed::Away(departure) => return departure,
            };
        }
        panic!("no answer to {url}");
    }

    /// The logout token that an application was sent.
    async fn logout_token(&self, name: &str) -> String {
        let path = format!("/{name}");
        let arrived = || self.mailbox.seen().into_iter().find(|asked| asked.path() == path);
        eventually(&format!("a logout token for {name}"), async || arrived().map(|asked| asked.parameters()["logout_token"].clone())).await
    }

    /// Another key signs from now on.
    async fn rotate(&self, purpose: &str) {
        let arguments = ["keys", "rotate", "--purpose", purpose, "--at-once", "--json"];
        let output = crate::api::command(&self.gateway, &arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The key that signs first in our set.
    async fn key_ids(&self) -> Vec<String> {
        let set = Browser::new().open(self.gateway.url("/.well-known/jwks.json").as_str()).await.here().json();
        set["keys"].as_array().expect("keys").iter().filter_map(|key| key["kid"].as_str().map(str::to_owned)).collect()
    }
}

/// The parameters of an answer, as a library takes them.
fn parameters(departure: &Departure) -> Value {
    departure.parameters().into_iter().map(|(name, value)| (name, Value::from(value))).collect::<serde_json::Map<_, _>>().into()
}

/// A token of which one octet of the signature is another.
fn altered(token: &Value) -> String {
    let token = token.as_str().expect("a token");
    let at = token.len() - 10;
    let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Every way in which an application with a secret or a key proves itself, each with another signature of its ID tokens.
fn every_way() -> Vec<Member> {
    vec![
        Member::new("basic", "client_secret_basic", "RS256"),
        Member::new("post", "client_secret_post", "ES256"),
        Member::new("mac", "client_secret_jwt", "PS256"),
        Member::new("key", "private_key_jwt", "ES384"),
    ]
}

const ROBOT: &str = "grant_types = [\"client_credentials\", \"authorization_code\"]\n[application.api]\nscopes = [\"read:users\"]";
const DEVICE: &str = "grant_types = [\"authorization_code\", \"refresh_token\", \"urn:ietf:params:oauth:grant-type:device_code\"]";
const HYBRID: &str =
    "response_types = [\"code\", \"id_token\", \"id_token token\", \"code id_token\", \"code token\", \"code id_token token\"]";
