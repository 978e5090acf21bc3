//! A bank's application that keeps to FAPI 2.0, with what it says to the gateway.

use super::keys::{Key, seconds};
use super::{PAR, TOKEN};
use crate::harness::app::{CALLBACK, VERIFIER};
use crate::harness::browser::{Browser, Departure, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person, unique_id};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use serde_json::{Value, json};
use url::Url;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A bank's application, and everything around it.
pub struct Bank {
    pub gateway: Gateway,
    pub idp: Idp,
    pub browser: Browser,
    /// What it speaks to the gateway with.
    pub http: Client,
    /// By which it proves itself; none where its connection does.
    pub key: Option<Key>,
    /// To which its tokens are bound; none where they are to its certificate.
    pub dpop: Option<Key>,
}

impl Bank {
    /// It proves itself by assertions of `keys` and binds its tokens by DPoP.
    pub async fn new(keys: &[&Key], key: Key, oidc: &str) -> Self {
        let idp = Idp::new("acme");
        let set = json!({"keys": keys.iter().copied().chain([&key]).map(Key::jwk).collect::<Vec<_>>()});
        let toml = format!(
            "client_id = \"bank\"\n[application.oidc]\nsecurity_profile = \"fapi2\"\nredirect_uris = [\"{CALLBACK}\"]\n\
             token_endpoint_auth_method = \"private_key_jwt\"\njwks = '{set}'\ndpop_bound_access_tokens = true\n{oidc}\n"
        );
        let gateway = Gateway::start(Setup::new().connection(&idp.toml("", "")).application(&toml)).await;
        let http = gateway.client();
        Self { gateway, idp, browser: Browser::new(), http, key: Some(key), dpop: Some(Key::new("ES256")) }
    }

    pub async fn usual() -> Self {
        Self::new(&[], Key::new("PS256"), "").await
    }

    pub fn key(&self) -> &Key {
        self.key.as_ref().expect("a key")
    }

    pub fn dpop(&self) -> &Key {
        self.dpop.as_ref().expect("a key")
    }

    /// The claims of an assertion in good order, with changes; null takes one away.
    pub fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({"iss": "bank", "sub": "bank", "aud": self.gateway.issuer(), "iat": seconds(), "exp": seconds() + 60, "jti": unique_id()});
        let members = claims.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        claims
    }

    pub fn assertion(&self) -> String {
        self.key().sign(&json!({}), &self.claims(&json!({})))
    }

    /// A request in good order, with changes; an empty value takes a parameter away.
    pub fn request(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let challenge = URL_SAFE_NO_PAD.encode(openssl::sha::sha256(VERIFIER.as_bytes()));
        let usual = [
            ("client_id", "bank"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid email offline_access"),
            ("state", "a state & more"),
            ("nonce", "n-0S6_WzA2Mj"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let kept = usual.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let all = kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A form to an endpoint for clients, with what proves the client.
    pub async fn post(&self, path: &str, form: &[(String, String)], proof: Option<&str>) -> Page {
        let mut form = form.to_vec();
        if self.key.is_some() {
            form.extend(by_assertion(&self.assertion()));
        }
        self.post_bare(path, &form, proof, None).await
    }

    pub async fn post_bare(&self, path: &str, form: &[(String, String)], proof: Option<&str>, authorization: Option<String>) -> Page {
        let url = self.gateway.url(path);
        let mut request = self.http.post(url.clone()).form(form);
        if let Some(proof) = proof {
            request = request.header("DPoP", proof);
        }
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        Page::read(request.send().await.expect("an answer"), &url).await
    }

    pub async fn push(&self, changes: &[(&str, &str)]) -> Page {
        self.post(PAR, &self.request(changes), None).await
    }

    pub fn taken_up(&self, pushed: &Page) -> Url {
        assert_eq!(pushed.status, 201, "{}", pushed.body);
        let mut url = self.gateway.url("/authorize");
        url.query_pairs_mut().extend_pairs([("client_id", "bank"), ("request_uri", pushed.json()["request_uri"].as_str().unwrap())]);
        url
    }

    /// A person signs in; the answer to the application.
    pub async fn answered(&self, pushed: &Page) -> Departure {
        let departure = self.browser.open(self.taken_up(pushed).as_str()).await.away();
        if departure.parameter("SAMLRequest").is_none() {
            return departure;
        }
        let answer = self.idp.respond(&self.idp.read(&departure), &Person::jane());
        self.browser.post(&answer.from, &answer.to, &answer.fields()).await.away()
    }

    pub async fn code(&self) -> String {
        let answer = self.answered(&self.push(&[]).await).await;
        answer.parameter("code").unwrap_or_else(|| panic!("{}", answer.url))
    }

    pub async fn redeem(&self, code: &str, proof: Option<&str>) -> Page {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("client_id", "bank"),
        ];
        self.post(TOKEN, &form.map(|(name, value)| (name.to_owned(), value.to_owned())), proof).await
    }

    pub async fn refresh(&self, token: &str, proof: Option<&str>) -> Page {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "bank")];
        self.post(TOKEN, &form.map(|(name, value)| (name.to_owned(), value.to_owned())), proof).await
    }

    /// A proof for the token endpoint.
    pub fn at_token(&self) -> String {
        self.dpop().proof("POST", self.gateway.url(TOKEN).as_str(), None)
    }

    pub async fn userinfo(&self, scheme: &str, token: &str, proof: Option<String>) -> Page {
        let url = self.gateway.url("/userinfo");
        let request = self.http.get(url.clone()).header("authorization", format!("{scheme} {token}"));
        let request = proof.into_iter().fold(request, |request, proof| request.header("DPoP", proof));
        Page::read(request.send().await.expect("an answer"), &url).await
    }
}

pub fn by_assertion(assertion: &str) -> Vec<(String, String)> {
    [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
