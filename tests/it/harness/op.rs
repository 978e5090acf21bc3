//! An OpenID provider of the tests, made of `openssl` and JSON alone, with a knob for each lie.

use super::app::SECRET;
use super::browser::{Browser, Departure, Landed};
use super::web::{Asked, Reply, Site};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openssl::bn::BigNumRef;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use url::Url;

/// Does a form prove who the client is?
pub type Proof = fn(&HashMap<String, String>) -> bool;

/// What it is told to do otherwise. In each table `null` takes a member away.
#[derive(Clone, Debug, Default)]
pub struct Lies {
    pub id_token: Value,
    pub header: Value,
    /// Replaces the signature by one of another key that it does not publish.
    pub foreign_key: bool,
    /// Text that is added to the ID token at its end.
    pub tail: &'static str,
    pub userinfo: Value,
    pub metadata: Value,
    /// Of the token endpoint's answer.
    pub tokens: Value,
    /// A whole answer of an endpoint, by its path.
    pub instead: HashMap<&'static str, Reply>,
    /// Another proof of the client that it takes.
    pub proof: Option<Proof>,
    /// Of the authorization response.
    pub response: Vec<(&'static str, &'static str)>,
}

/// Listens on loopback until dropped.
pub struct Op {
    /// What it was asked.
    pub site: Site,
    pub issuer: String,
    world: Arc<Mutex<World>>,
}

struct World {
    issuer: String,
    keys: Vec<(String, PKey<Private>)>,
    person: Value,
    lies: Lies,
    /// What was asked for each code.
    codes: HashMap<String, HashMap<String, String>>,
    count: u32,
}

impl Op {
    pub async fn start() -> Self {
        let world = World {
            issuer: String::new(),
            keys: vec![("one".to_owned(), key())],
            person: json!({ "sub": "jane", "name": "Jane Doe", "email": "jane@acme.example", "email_verified": true, "groups": ["a", "b"] }),
            lies: Lies::default(),
            codes: HashMap::new(),
            count: 0,
        };
        let world = Arc::new(Mutex::new(world));
        let of_site = Arc::clone(&world);
        let site = Site::answering(0, move |asked| of_site.lock().unwrap().reply(asked)).await;
        let issuer = format!("http://127.0.0.1:{}", site.port);
        world.lock().unwrap().issuer.clone_from(&issuer);
        Self { site, issuer, world }
    }

    /// Its `[[connection]]`, with more lines of `[connection.oidc]`.
    pub fn toml(&self, name: &str, oidc: &str) -> String {
        format!(
            "name = \"{name}\"\n[connection.oidc]\nissuer = \"{}\"\nclient_id = \"gateway\"\nclient_secret = {{ env = \"TEST_SECRET\" }}\n{oidc}\n",
            self.issuer
        )
    }

    /// From now on it lies so.
    pub fn lies(&self, change: impl FnOnce(&mut Lies)) {
        let mut lies = Lies::default();
        change(&mut lies);
        self.world.lock().unwrap().lies = lies;
    }

    /// It signs with a new key from now on, and publishes only that.
    pub fn rotate(&self) {
        self.world.lock().unwrap().keys = vec![("two".to_owned(), key())];
    }

    /// Somebody else signs in from now on.
    pub fn is_now(&self, person: &Value) {
        self.world.lock().unwrap().person = person.clone();
    }

    pub fn person(&self, changes: &Value) {
        change(self.world.lock().unwrap().person.as_object_mut().unwrap(), changes);
    }

    /// The person signs in: the browser returns with the answer.
    pub async fn sign_in(&self, browser: &Browser, departure: &Departure) -> Landed {
        browser.open(self.answer(departure).as_str()).await
    }

    /// The address at which the answer arrives.
    pub fn answer(&self, departure: &Departure) -> Url {
        let asked: HashMap<String, String> = departure.parameters().into_iter().collect();
        assert!(departure.url.as_str().starts_with(&format!("{}/authorize", self.issuer)), "{}", departure.url);
        assert_eq!((asked["client_id"].as_str(), asked["response_type"].as_str()), ("gateway", "code"));
        let mut world = self.world.lock().unwrap();
        world.count += 1;
        let code = format!("code-{}", world.count);
        let mut response = vec![("code".to_owned(), code.clone()), ("state".to_owned(), asked["state"].clone())];
        for (name, value) in world.lies.response.clone() {
            response.retain(|(known, _)| known != name);
            if !value.is_empty() {
                response.push((name.to_owned(), value.to_owned()));
            }
        }
        let mut url = Url::parse(&asked["redirect_uri"]).unwrap();
        url.query_pairs_mut().extend_pairs(response);
        world.codes.insert(code, asked);
        url
    }
}

impl World {
    fn reply(&mut self, asked: &Asked) -> Reply {
        if let Some(reply) = self.lies.instead.get(asked.path()) {
            return reply.clone();
        }
        match asked.path() {
            "/.well-known/openid-configuration" => {
                let issuer = &self.issuer;
                let mut metadata = json!({
                    "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
                    "userinfo_endpoint": format!("{issuer}/userinfo"), "jwks_uri": format!("{issuer}/jwks"),
                    "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
                });
                change(metadata.as_object_mut().unwrap(), &self.lies.metadata);
                answer(200, &metadata)
            }
            "/jwks" => {
                let number = |number: &BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
                let public = |(kid, key): &(String, PKey<Private>)| {
                    let rsa = key.rsa().unwrap();
                    json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": number(rsa.n()), "e": number(rsa.e()) })
                };
                answer(200, &json!({ "keys": self.keys.iter().map(public).collect::<Vec<_>>() }))
            }
            "/token" => self.token(asked),
            "/userinfo" => {
                if asked.header("authorization").is_none_or(|value| !value.starts_with("Bearer at-")) {
                    return answer(401, &json!({ "error": "invalid_token" }));
                }
                let mut told = self.person.clone();
                change(told.as_object_mut().unwrap(), &self.lies.userinfo);
                answer(200, &told)
            }
            _ => Reply::status(404),
        }
    }

    fn token(&mut self, asked: &Asked) -> Reply {
        let form = asked.parameters();
        let secret = format!("Basic {}", STANDARD.encode(format!("gateway:{SECRET}")));
        let proven = asked.header("authorization") == Some(secret.as_str())
            || (form.get("client_id").map(String::as_str), form.get("client_secret").map(String::as_str))
                == (Some("gateway"), Some(SECRET))
            || self.lies.proof.is_some_and(|proof| proof(&form));
        if !proven {
            return answer(401, &json!({ "error": "invalid_client" }));
        }
        let Some(question) = form.get("code").and_then(|code| self.codes.remove(code)) else {
            return answer(400, &json!({ "error": "invalid_grant" }));
        };
        let challenge = form.get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(openssl::sha::sha256(verifier.as_bytes())));
        if challenge.as_ref() != question.get("code_challenge") || form.get("redirect_uri") != question.get("redirect_uri") {
            return answer(400, &json!({ "error": "invalid_grant", "error_description": "another verifier" }));
        }
        let access_token = format!("at-{}", self.count);
        let now = super::idp::now().unix_timestamp();
        let half = URL_SAFE_NO_PAD.encode(&openssl::sha::sha256(access_token.as_bytes())[..16]);
        let mut claims = json!({
            "iss": self.issuer, "aud": "gateway", "sub": self.person["sub"], "iat": now, "exp": now + 300, "nonce": question["nonce"],
            "auth_time": now, "at_hash": half, "sid": "their-session", "acr": "urn:example:good",
        });
        change(claims.as_object_mut().unwrap(), &self.lies.id_token);
        let (kid, key) = self.keys.last().unwrap();
        let mut header = json!({ "alg": "RS256", "typ": "JWT", "kid": kid });
        change(header.as_object_mut().unwrap(), &self.lies.header);
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let foreign = self.lies.foreign_key.then(self::key);
        let signature = match header["alg"].as_str() {
            Some("none") => String::new(),
            Some("HS256") => {
                let mac = PKey::hmac(SECRET.as_bytes()).unwrap();
                URL_SAFE_NO_PAD.encode(Signer::new(MessageDigest::sha256(), &mac).unwrap().sign_oneshot_to_vec(message.as_bytes()).unwrap())
            }
            _ => {
                let mut signer = Signer::new(MessageDigest::sha256(), foreign.as_ref().unwrap_or(key)).unwrap();
                URL_SAFE_NO_PAD.encode(signer.sign_oneshot_to_vec(message.as_bytes()).unwrap())
            }
        };
        let mut tokens = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": 300,
            "id_token": format!("{message}.{signature}{}", self.lies.tail),
        });
        change(tokens.as_object_mut().unwrap(), &self.lies.tokens);
        answer(200, &tokens)
    }
}

pub fn answer(status: u16, body: &Value) -> Reply {
    Reply { status, content_type: "application/json", ..Reply::page(body.to_string()) }
}

fn change(members: &mut Map<String, Value>, changes: &Value) {
    for (name, value) in changes.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
}

fn key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}
