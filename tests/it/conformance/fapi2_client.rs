//! A client of the FAPI 2.0 Security Profile: pushed requests, `private_key_jwt`, DPoP; every message the module's to change.

use super::suite::{CALLBACK, person};
use crate::harness::app::{VERIFIER, challenge};
use crate::harness::browser::{Browser, Departure, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, unique_id};
use crate::harness::keys::Pair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use isthmus::clock::Timestamp;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ecdsa::EcdsaSig;
use openssl::sha::sha256;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

/// A gateway with two such clients.
pub struct Fapi {
    pub gateway: Gateway,
    pub idp: Idp,
    pub first: Client,
    pub second: Client,
}

/// A client, the key that it has registered, and the one by which it proves possession.
pub struct Client {
    pub client_id: String,
    pub callback: String,
    pub key: Pair,
    pub dpop: Pair,
}

impl Fapi {
    pub async fn new() -> Self {
        Self::with(|setup| setup).await
    }

    pub async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let (idp, first, second) = (Idp::new("acme"), Client::new("first", ""), Client::new("second", "?dummy1=lorem&dummy2=ipsum"));
        let setup = Setup::new().connection(&idp.toml("", "")).application(&first.toml()).application(&second.toml());
        Self { gateway: Gateway::start(change(setup)).await, idp, first, second }
    }

    /// The usual request, and its changes; an empty value takes a parameter away.
    pub fn parameters(&self, client: &Client, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let challenge = challenge(VERIFIER);
        let usual = [
            ("client_id", client.client_id.as_str()),
            ("redirect_uri", &client.callback),
            ("scope", "openid"),
            ("state", "a-state"),
            ("nonce", "a-nonce"),
            ("response_type", "code"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        with_changes(&usual, changes)
    }

    /// Pushes the usual request with its changes, and with the proof if there is one.
    pub async fn push(&self, client: &Client, changes: &[(&str, &str)], proof: Option<&str>) -> Page {
        let assertion = self.assertion(client, &json!({}));
        self.push_as(client, changes, Some(&assertion), proof).await
    }

    pub async fn push_as(&self, client: &Client, changes: &[(&str, &str)], assertion: Option<&str>, proof: Option<&str>) -> Page {
        self.post("/oauth/par", self.parameters(client, changes), assertion, proof).await
    }

    pub async fn post(&self, path: &str, mut form: Vec<(String, String)>, assertion: Option<&str>, proof: Option<&str>) -> Page {
        if let Some(assertion) = assertion {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            form.extend([("client_assertion_type", kind), ("client_assertion", assertion)].map(|(a, b)| (a.to_owned(), b.to_owned())));
        }
        let url = self.gateway.url(path);
        let request =
            proof.into_iter().fold(self.gateway.client().post(url.clone()).form(&form), |request, proof| request.header("DPoP", proof));
        Page::read(request.send().await.expect("an answer"), &url).await
    }

    /// Where the browser takes a pushed request up, with what stands beside it.
    pub fn taken_up(&self, client: &Client, request_uri: &str, beside: &[(&str, &str)]) -> Url {
        let mut url = self.gateway.url("/authorize");
        url.query_pairs_mut().extend_pairs([("client_id", client.client_id.as_str()), ("request_uri", request_uri)]).extend_pairs(beside);
        url
    }

    /// The person signs in, and the client has its answer.
    pub async fn sign_in(&self, browser: &Browser, url: &Url) -> Departure {
        match browser.open(url.as_str()).await.away() {
            away if away.url.as_str().starts_with(&self.idp.sso_url) => {
                let answer = self.idp.respond(&self.idp.read(&away), &person());
                browser.post(&answer.from, &answer.to, &answer.fields()).await.away()
            }
            away => away,
        }
    }

    /// A login up to its code, of a request with changes and what stands beside it.
    pub async fn answer(&self, client: &Client, changes: &[(&str, &str)], beside: &[(&str, &str)]) -> Departure {
        let page = self.push(client, changes, None).await;
        self.sign_in(&Browser::new(), &self.taken_up(client, &request_uri(&page), beside)).await
    }

    pub async fn code(&self, client: &Client, changes: &[(&str, &str)]) -> String {
        let answer = self.answer(client, changes, &[]).await;
        self.code_of(client, &answer)
    }

    #[track_caller]
    pub fn code_of(&self, client: &Client, answer: &Departure) -> String {
        assert!(answer.url.as_str().starts_with(&client.callback), "{}", answer.url);
        assert_eq!(answer.parameter("error"), None, "{}", answer.url);
        assert_eq!(answer.parameter("iss"), Some(self.gateway.issuer()));
        answer.parameter("code").expect("a code")
    }

    /// The token request for a code, by this client, with changes and with its usual proof.
    pub async fn redeem(&self, client: &Client, code: &str, changes: &[(&str, &str)]) -> Page {
        let proof = self.proof(&client.dpop, &Method::POST, "/oauth/token", None, &json!({}));
        self.redeem_with(client, code, changes, Some(&self.assertion(client, &json!({}))), Some(&proof)).await
    }

    pub async fn redeem_with(
        &self,
        client: &Client,
        code: &str,
        changes: &[(&str, &str)],
        assertion: Option<&str>,
        proof: Option<&str>,
    ) -> Page {
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", client.callback.as_str()),
            ("code_verifier", VERIFIER),
            ("client_id", &client.client_id),
        ];
        self.post("/oauth/token", with_changes(&usual, changes), assertion, proof).await
    }

    pub async fn refresh(&self, client: &Client, token: &str, assertion: Option<&str>, proof: Option<&str>) -> Page {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let form = with_changes(&form, &[("client_id", client.client_id.as_str())]);
        self.post("/oauth/token", form, assertion, proof).await
    }

    /// The protected resource of the plan: UserInfo.
    pub async fn resource(&self, scheme: &str, token: &str, proof: Option<&str>) -> Page {
        let url = self.gateway.url("/userinfo");
        let request = self.gateway.client().get(url.clone()).header("authorization", format!("{scheme} {token}"));
        let request = proof.into_iter().fold(request, |request, proof| request.header("DPoP", proof));
        Page::read(request.send().await.expect("an answer"), &url).await
    }

    pub fn resource_proof(&self, pair: &Pair, token: &str, changes: &Value) -> String {
        self.proof(pair, &Method::GET, "/userinfo", Some(token), changes)
    }

    /// A client assertion, and its changes; null takes a claim away.
    pub fn assertion(&self, client: &Client, changes: &Value) -> String {
        let now = Timestamp::now().seconds();
        let usual = json!({ "iss": client.client_id, "sub": client.client_id, "aud": self.gateway.issuer(), "jti": unique_id(),
                            "iat": now, "nbf": now, "exp": now + 60 });
        es256(&client.key, &json!({ "alg": "ES256" }), &merged(usual, changes))
    }

    /// A DPoP proof (RFC 9449 4.2), and its changes.
    pub fn proof(&self, pair: &Pair, method: &Method, path: &str, token: Option<&str>, changes: &Value) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(pair) });
        let mut usual = json!({ "htm": method.as_str(), "htu": self.gateway.url(path).as_str(), "jti": unique_id(),
                                "iat": Timestamp::now().seconds() });
        if let Some(token) = token {
            usual["ath"] = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())).into();
        }
        es256(pair, &header, &merged(usual, changes))
    }
}

impl Client {
    fn new(client_id: &str, query: &str) -> Self {
        let callback = format!("{CALLBACK}{query}");
        Self { client_id: client_id.to_owned(), callback, key: Pair::ec(client_id), dpop: Pair::ec(client_id) }
    }

    fn toml(&self) -> String {
        let jwk = jwk(&self.key);
        let text = |name: &str| jwk[name].as_str().expect("a text").to_owned();
        format!(
            "client_id = \"{}\"\nname = \"The {} client\"\n[application.oidc]\nsecurity_profile = \"fapi2\"\nredirect_uris = [\"{}\"]\n\
             token_endpoint_auth_method = \"private_key_jwt\"\ndpop_bound_access_tokens = true\n\
             jwks = {{ keys = [{{ kty = \"EC\", crv = \"P-256\", x = \"{}\", y = \"{}\" }}] }}\n",
            self.client_id,
            self.client_id,
            self.callback,
            text("x"),
            text("y")
        )
    }

    /// The thumbprint of the key by which it proves possession (RFC 7638).
    pub fn jkt(&self) -> String {
        thumbprint(&self.dpop)
    }
}

/// What a good push gave.
#[track_caller]
pub fn request_uri(page: &Page) -> String {
    assert_eq!((page.status, page.header("cache-control")), (201, "no-store"), "{}", page.body);
    assert!(page.json()["expires_in"].as_u64().is_some_and(|seconds| (5..600).contains(&seconds)), "{}", page.body);
    page.json()["request_uri"].as_str().expect("a request_uri").to_owned()
}

/// A token answer in order, for tokens bound by DPoP.
#[track_caller]
pub fn bound(page: &Page) -> Value {
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"), "{}", page.body);
    assert!(page.json()["token_type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP")), "{}", page.body);
    page.json()
}

pub fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}

/// An error page, or an error to the client.
#[track_caller]
pub fn refusal(landed: Landed) -> String {
    match landed {
        Landed::Here(page) => {
            assert_eq!(page.status, 400, "{}", page.body);
            "page".to_owned()
        }
        Landed::Away(away) => {
            assert_eq!(away.parameter("code"), None);
            away.parameter("error").unwrap_or_else(|| panic!("no error in {}", away.url))
        }
    }
}

pub fn thumbprint(pair: &Pair) -> String {
    let jwk = jwk(pair);
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    URL_SAFE_NO_PAD.encode(sha256(canonical.as_bytes()))
}

/// The public half.
pub fn jwk(pair: &Pair) -> Value {
    let key = pair.key.ec_key().expect("a key");
    let (mut x, mut y, mut context) = (BigNum::new().expect("x"), BigNum::new().expect("y"), BigNumContext::new().expect("a context"));
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).expect("a point");
    let half = |number: &BigNum| URL_SAFE_NO_PAD.encode(number.to_vec_padded(32).expect("32 octets"));
    json!({ "kty": "EC", "crv": "P-256", "x": half(&x), "y": half(&y) })
}

pub fn es256(pair: &Pair, header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = EcdsaSig::sign(&sha256(message.as_bytes()), &pair.key.ec_key().expect("a key")).expect("signed");
    let half = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).expect("32 octets");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode([half(signature.r()), half(signature.s())].concat()))
}

fn merged(mut usual: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("changes") {
        match value {
            Value::Null => drop(usual.as_object_mut().expect("claims").remove(name)),
            value => usual[name] = value.clone(),
        }
    }
    usual
}

fn with_changes(usual: &[(&str, &str)], changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let kept = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let all = kept.chain(changes).filter(|(_, value)| !value.is_empty());
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
