//! The suite itself: a client of every response type, and the conditions that hold for every answer.

use crate::harness::app::{basic, userinfo};
use crate::harness::browser::{Browser, Departure, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{DISPLAY_NAME, FAMILY_NAME, GIVEN_NAME, Idp, MAIL, PASSWORD, Person, unique_id};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use isthmus::clock::Timestamp;
use openssl::bn::{BigNum, BigNumRef};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sha::sha256;
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use serde_json::{Value, json};
use url::Url;

pub const CALLBACK: &str = "https://suite.example/test/a/isthmus/callback";
pub const SECRET: &str = "a-secret-of-the-suite-of-the-foundation";
/// Response types, and modes where they are not the usual ones: those of the plans Basic, Implicit, Hybrid, and of the
/// three with Form Post.
pub const KINDS: [&str; 6] = ["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"];
pub const MODES: [&str; 2] = ["", "form_post"];
/// The claims of each scope (Core 5.4), all of which the suite wants to see.
pub const PROFILE: [&str; 14] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "preferred_username",
];
/// What the usual tables do not read.
const TABLE: &str = "direction = \"to_profile\"\nextends = \"saml\"\n\
    [[row]]\nfield = \"profile\"\nfrom = [\"profile\"]\n\
    [[row]]\nfield = \"updated_at\"\nfrom = [\"updated_at\"]\n\
    [[row]]\nfield = \"phone_number_verified\"\nfrom = [\"phone_number_verified\"]\n";

/// A gateway, and the client of the suite.
pub struct Suite {
    pub gateway: Gateway,
    pub idp: Idp,
    pub client: Client,
}

/// A client as the suite knows it.
#[derive(Clone, Debug)]
pub struct Client {
    pub client_id: String,
    pub auth: Auth,
    pub callback: String,
}

#[derive(Clone, Debug)]
pub enum Auth {
    Basic(String),
    Post(String),
    /// `private_key_jwt`, with the `aud` of its assertions.
    Key(Key, Option<String>),
}

/// One login.
pub struct Run<'s> {
    pub suite: &'s Suite,
    pub client: Client,
    pub browser: Browser,
    pub kind: String,
    pub mode: &'static str,
    pub state: String,
    pub nonce: Option<String>,
}

/// What a login gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The ID token of the authorization endpoint, and that of the token endpoint.
    pub front: Option<String>,
    pub back: Option<String>,
    pub code: Option<String>,
    /// That of the token endpoint, or else that of the authorization endpoint.
    pub access_token: Option<String>,
    pub refresh_token: Option<String>,
    pub userinfo: Option<Value>,
}

impl Outcome {
    /// The ID token that came last.
    pub fn id_token(&self) -> &str {
        self.back.as_deref().or(self.front.as_deref()).expect("an ID token")
    }

    pub fn claims(&self) -> Value {
        part(self.id_token(), 1)
    }

    /// Where this response type shows the claims of the scopes.
    pub fn shown(&self) -> Value {
        self.userinfo.clone().unwrap_or_else(|| self.claims())
    }
}

impl Suite {
    /// With the client that an operator has registered.
    pub async fn new() -> Self {
        Self::with("", |setup| setup).await
    }

    /// With more lines of its `[application.oidc]`.
    pub async fn with(oidc: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let client = Client { client_id: "suite".to_owned(), auth: Auth::Basic(SECRET.to_owned()), callback: CALLBACK.to_owned() };
        let application = application(&client, oidc);
        Self::of(client, |setup| change(setup.application(&application))).await
    }

    /// With a registration endpoint, and the client that registers there.
    pub async fn dynamic(members: &Value) -> Self {
        let mut suite = Self::open().await;
        suite.client = suite.register(members).await;
        suite
    }

    /// With a registration endpoint that suits the suite, which knows neither PKCE nor what is to be said of unsigned objects.
    pub async fn open() -> Self {
        let client = Client { client_id: String::new(), auth: Auth::Basic(String::new()), callback: CALLBACK.to_owned() };
        let table = "[registration]\nmode = \"open\"\nrequire_pkce = false\nunsigned_request_objects = true\n";
        Self::of(client, |setup| Setup { top_tables: table.to_owned(), ..setup }).await
    }

    async fn of(client: Client, change: impl FnOnce(Setup) -> Setup) -> Self {
        let idp = Idp::new("acme");
        let acr = format!("[connection.saml.acr]\npwd = \"{PASSWORD}\"\n");
        let setup = Setup::new().connection(&idp.toml("mapping = \"suite\"", &acr)).file("mappings/suite.toml", TABLE);
        let setup = Setup { environment: vec![("SUITE_SECRET".to_owned(), SECRET.to_owned())], ..setup };
        Self { gateway: Gateway::start(change(setup)).await, idp, client }
    }

    /// Registers a client by the members that all modules say, and these.
    pub async fn register(&self, members: &Value) -> Client {
        let key = Key::new();
        let page = self.try_register(&registration(&key, members)).await;
        assert_eq!(page.status, 201, "{}", page.body);
        assert!(page.header("content-type").starts_with("application/json"), "{:?}", page.headers);
        Client::told(&page.json(), key)
    }

    pub async fn try_register(&self, body: &Value) -> Page {
        let url = self.gateway.url("/oidc/register");
        Page::read(self.gateway.client().post(url.clone()).json(body).send().await.expect("an answer"), &url).await
    }

    pub async fn discovery(&self) -> Value {
        let page = self.get("/.well-known/openid-configuration").await;
        assert_eq!((page.status, page.header("content-type")), (200, "application/json"), "{}", page.body);
        page.json()
    }

    pub async fn jwks(&self) -> Value {
        self.get("/.well-known/jwks.json").await.json()
    }

    pub async fn get(&self, path: &str) -> Page {
        let url = self.gateway.url(path);
        Page::read(self.gateway.client().get(url.clone()).send().await.expect("an answer"), &url).await
    }

    /// A login of this type in a browser of its own.
    pub fn run(&self, kind: &str, mode: &'static str) -> Run<'_> {
        self.run_of(&self.client, kind, mode)
    }

    pub fn run_of(&self, client: &Client, kind: &str, mode: &'static str) -> Run<'_> {
        let (state, nonce) = (unique_id(), Some(unique_id()));
        Run { suite: self, client: client.clone(), browser: Browser::new(), kind: kind.to_owned(), mode, state, nonce }
    }

    /// The token endpoint, for a client that proves who it is.
    pub async fn token(&self, client: &Client, form: &[(&str, &str)]) -> Page {
        let mut form: Vec<(String, String)> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = self.gateway.url("/oauth/token");
        let mut request = self.gateway.client().post(url.clone());
        match &client.auth {
            Auth::Basic(secret) => request = request.header("authorization", basic(&client.client_id, secret)),
            Auth::Post(secret) => form.extend([("client_id", &client.client_id), ("client_secret", secret)].map(owned)),
            Auth::Key(key, aud) => {
                let assertion = key.assertion(&client.client_id, aud.as_deref().unwrap_or(url.as_str()));
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned();
                form.extend([("client_assertion_type", &kind), ("client_assertion", &assertion)].map(owned));
            }
        }
        Page::read(request.form(&form).send().await.expect("an answer"), &url).await
    }

    pub async fn redeem(&self, client: &Client, code: &str) -> Page {
        self.token(client, &[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &client.callback)]).await
    }

    /// A good answer of the token endpoint.
    #[track_caller]
    pub fn good(page: &Page) -> Value {
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!((page.header("cache-control"), page.header("pragma")), ("no-store", "no-cache"), "{:?}", page.headers);
        assert!(page.header("content-type").starts_with("application/json"), "{:?}", page.headers);
        let answer = page.json();
        assert!(answer["token_type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")), "{answer}");
        assert!(answer["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{answer}");
        assert!(answer["access_token"].as_str().is_some_and(|token| token.len() >= 22), "{answer}");
        answer
    }

    /// What holds for each ID token; gives its claims.
    pub async fn check_id_token(&self, client: &Client, nonce: Option<&str>, token: &str) -> Value {
        let (header, claims) = (part(token, 0), part(token, 1));
        let jwks = self.jwks().await;
        let keys = jwks["keys"].as_array().expect("keys");
        let key = keys.iter().find(|key| key["kid"] == header["kid"] && header["kid"].is_string()).expect("its key, by its name");
        assert_eq!((&header["alg"], &key["kty"], &key["use"]), (&json!("RS256"), &json!("RSA"), &json!("sig")));
        verify_rs256(token, key);
        let now = Timestamp::now().seconds();
        let time = |name: &str| claims[name].as_i64().unwrap_or_else(|| panic!("{name}: {claims}"));
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(self.gateway.issuer()), &json!(client.client_id)));
        assert!(time("exp") > now && time("iat") <= now + 5 && time("iat") > now - 300, "{claims}");
        assert!(claims["sub"].as_str().is_some_and(|sub| (1..=255).contains(&sub.len())), "{claims}");
        assert_eq!(claims.get("nonce").and_then(Value::as_str), nonce, "{claims}");
        assert!(claims.get("acr").is_none_or(Value::is_string), "{claims}");
        claims
    }
}

impl Run<'_> {
    /// The request that every module begins with, and its changes; an empty value takes a parameter away.
    pub fn parameters(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual = [
            ("client_id", self.client.client_id.as_str()),
            ("redirect_uri", &self.client.callback),
            ("scope", "openid"),
            ("state", &self.state),
            ("nonce", self.nonce.as_deref().unwrap_or_default()),
            ("response_type", &self.kind),
            ("response_mode", self.mode),
        ];
        let kept = usual.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let all = kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    pub fn url(&self, changes: &[(&str, &str)]) -> Url {
        let mut url = self.suite.gateway.url("/authorize");
        url.query_pairs_mut().extend_pairs(self.parameters(changes));
        url
    }

    /// The person does what must be done, up to the answer.
    pub async fn go(&self, changes: &[(&str, &str)]) -> Departure {
        self.visit(&self.url(changes)).await
    }

    pub async fn visit(&self, url: &Url) -> Departure {
        let landed = self.browser.open(url.as_str()).await;
        self.go_on(landed).await
    }

    pub async fn go_on(&self, mut landed: Landed) -> Departure {
        for _ in 0..3 {
            landed = match landed {
                Landed::Away(away) if away.url.as_str().starts_with("https://idp.acme.example/") => {
                    let answer = self.suite.idp.respond(&self.suite.idp.read(&away), &person());
                    self.browser.post(&answer.from, &answer.to, &answer.fields()).await
                }
                Landed::Away(away) => return away,
                Landed::Here(page) if page.status == 200 => self.browser.press(&page, "Allow").await,
                Landed::Here(page) => panic!("{} at {}: {}", page.status, page.url, page.body),
            };
        }
        landed.away()
    }

    /// No page, no identity provider: the answer to a request that asks nobody.
    pub async fn silently(&self, changes: &[(&str, &str)]) -> Departure {
        self.browser.open(self.url(changes).as_str()).await.away()
    }

    /// A whole login, held to everything.
    pub async fn whole(&self, changes: &[(&str, &str)]) -> Outcome {
        let answer = self.go(changes).await;
        self.finish(&answer).await
    }

    /// The parameters of an answer, which stand where they belong.
    #[track_caller]
    pub fn parameters_of(&self, answer: &Departure) -> Vec<(String, String)> {
        assert!(answer.url.as_str().starts_with(&self.client.callback), "{}", answer.url);
        let registered = Url::parse(&self.client.callback).expect("an address");
        let (query, fragment) = (answer.url.query(), answer.url.fragment());
        match (self.mode, self.kind.as_str()) {
            ("form_post", _) => assert_eq!((answer.form.is_some(), query, fragment), (true, registered.query(), None)),
            (_, "code") => assert!(answer.form.is_none() && fragment.is_none(), "{}", answer.url),
            _ => assert_eq!((answer.form.is_none(), query), (true, registered.query()), "{}", answer.url),
        }
        let own: Vec<_> = registered.query_pairs().into_owned().collect();
        let all = answer.parameters();
        if self.kind == "code" && self.mode.is_empty() {
            assert!(own.iter().all(|pair| all.contains(pair)), "what was registered stays: {}", answer.url);
        }
        all.into_iter().filter(|pair| !own.contains(pair)).collect()
    }

    /// The error of an answer, whose description has the characters that RFC 6749 allows.
    #[track_caller]
    pub fn error(&self, answer: &Departure) -> String {
        let parameters = self.parameters_of(answer);
        let value = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        assert_eq!(value("state").as_deref(), Some(self.state.as_str()), "{parameters:?}");
        assert_eq!(value("iss"), Some(self.suite.gateway.issuer()), "{parameters:?}");
        let known = ["error", "error_description", "error_uri", "state", "iss"];
        assert!(parameters.iter().all(|(name, _)| known.contains(&name.as_str())), "{parameters:?}");
        let plain = |text: &String| text.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        assert!(value("error_description").is_none_or(|text| plain(&text)), "{parameters:?}");
        value("error").unwrap_or_else(|| panic!("no error: {parameters:?}"))
    }

    /// Everything that the type gives, checked and used.
    pub async fn finish(&self, answer: &Departure) -> Outcome {
        let parameters = self.parameters_of(answer);
        let value = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        assert_eq!(value("error"), None, "{parameters:?}");
        assert_eq!((value("state").as_ref(), value("iss")), (Some(&self.state), Some(self.suite.gateway.issuer())), "{parameters:?}");
        let words: Vec<&str> = self.kind.split(' ').collect();
        let mut outcome =
            Outcome { front: value("id_token"), code: value("code"), access_token: value("access_token"), ..Outcome::default() };
        let given = (outcome.code.is_some(), outcome.front.is_some(), outcome.access_token.is_some());
        assert_eq!(given, (words.contains(&"code"), words.contains(&"id_token"), words.contains(&"token")), "{}", self.kind);
        let mut subjects = Vec::new();
        if let Some(token) = &outcome.front {
            let claims = self.suite.check_id_token(&self.client, self.nonce.as_deref(), token).await;
            for (name, of) in [("at_hash", &outcome.access_token), ("c_hash", &outcome.code)] {
                assert_eq!(claims.get(name), of.as_deref().map(half_hash).map(Value::from).as_ref(), "{name}: {claims}");
            }
            subjects.push(claims["sub"].clone());
        }
        if let Some(token) = &outcome.access_token {
            assert!(value("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) && value("expires_in").is_some());
            subjects.push(self.userinfo(token).await["sub"].clone());
        }
        if let Some(code) = &outcome.code {
            assert!(code.len() >= 22, "a code of 128 bits at least");
            let told = Suite::good(&self.suite.redeem(&self.client, code).await);
            let text = |name: &str| told[name].as_str().map(str::to_owned);
            (outcome.back, outcome.refresh_token) = (text("id_token"), text("refresh_token"));
            let claims =
                self.suite.check_id_token(&self.client, self.nonce.as_deref(), outcome.back.as_deref().expect("an ID token")).await;
            let token = text("access_token").expect("an access token");
            assert!(claims.get("at_hash").is_none_or(|hash| *hash == half_hash(&token)), "{claims}");
            assert!(claims.get("c_hash").is_none_or(|hash| *hash == half_hash(code)), "{claims}");
            subjects.push(claims["sub"].clone());
            outcome.access_token = Some(token);
        }
        if let Some(token) = &outcome.access_token {
            outcome.userinfo = Some(self.userinfo(token).await);
            subjects.extend(outcome.userinfo.iter().map(|told| told["sub"].clone()));
        }
        assert!(subjects.windows(2).all(|pair| pair[0] == pair[1]), "{subjects:?}");
        outcome
    }

    /// UserInfo by GET; JSON of the kinds that Core 5.1 has.
    pub async fn userinfo(&self, token: &str) -> Value {
        let page = userinfo(&self.suite.gateway, token).await;
        assert_eq!((page.status, page.header("content-type")), (200, "application/json"), "{}", page.body);
        check_standard_claims(&page.json());
        page.json()
    }
}

impl Client {
    /// What a registration answered.
    #[track_caller]
    pub fn told(told: &Value, key: Key) -> Self {
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let auth = match told["token_endpoint_auth_method"].as_str() {
            Some("private_key_jwt") => Auth::Key(key, None),
            Some("client_secret_post") => Auth::Post(text("client_secret")),
            _ => Auth::Basic(text("client_secret")),
        };
        let callback = told["redirect_uris"][0].as_str().expect("an address").to_owned();
        Self { client_id: text("client_id"), auth, callback }
    }
}

/// The `[[application]]` of a client that an operator registers for the suite.
pub fn application(client: &Client, oidc: &str) -> String {
    let method = if matches!(client.auth, Auth::Post(_)) { "client_secret_post" } else { "client_secret_basic" };
    format!(
        "client_id = \"{}\"\nname = \"Suite\"\n[application.oidc]\nredirect_uris = [\"{}\"]\ntoken_endpoint_auth_method = \"{method}\"\n\
         client_secret = {{ env = \"SUITE_SECRET\" }}\nrequire_pkce = false\nresponse_types = {}\n{oidc}\n",
        client.client_id,
        client.callback,
        json!(KINDS),
    )
}

/// What the suite says when it registers, and `members` in its place; null takes one away.
pub fn registration(key: &Key, members: &Value) -> Value {
    let mut body = json!({
        "client_name": "Suite of the Foundation",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": key.jwks(),
        "redirect_uris": [CALLBACK],
        "contacts": ["certification@oidf.example"],
    });
    for (name, value) in members.as_object().expect("members") {
        match value {
            Value::Null => drop(body.as_object_mut().expect("an object").remove(name)),
            value => body[name] = value.clone(),
        }
    }
    body
}

/// Everything of Core 5.1 that can be known of somebody.
pub fn person() -> Person {
    Person::new("suite-1")
        .with(MAIL, &["jane@acme.example"])
        .with(GIVEN_NAME, &["Jane"])
        .with(FAMILY_NAME, &["Doe"])
        .with(DISPLAY_NAME, &["Jane Doe"])
        .with(("middleName", ""), &["Ann"])
        .with(("nickname", ""), &["Janie"])
        .with(("preferred_username", ""), &["jane"])
        .with(("profile", ""), &["https://jane.example/profile"])
        .with(("picture", ""), &["https://jane.example/picture.png"])
        .with(("website", ""), &["https://jane.example/"])
        .with(("gender", ""), &["female"])
        .with(("birthdate", ""), &["1980-02-29"])
        .with(("zoneinfo", ""), &["Europe/Vienna"])
        .with(("locale", ""), &["de-AT"])
        .with(("updated_at", ""), &["1700000000"])
        .with(("email_verified", ""), &["true"])
        .with(("phone_number", ""), &["+43 1 234567"])
        .with(("phone_number_verified", ""), &["true"])
        .with(("street", ""), &["Ring 1"])
        .with(("city", ""), &["Wien"])
        .with(("c", ""), &["AT"])
}

/// The kinds of Core 5.1.
#[track_caller]
pub fn check_standard_claims(claims: &Value) {
    for (name, value) in claims.as_object().expect("an object") {
        let good = match name.as_str() {
            "email_verified" | "phone_number_verified" => value.is_boolean(),
            "updated_at" => value.as_i64().is_some_and(|at| at > 0 && at < Timestamp::now().seconds() + 60),
            "address" => value.as_object().is_some_and(|parts| !parts.is_empty() && parts.values().all(Value::is_string)),
            "birthdate" => value.as_str().is_some_and(|date| date.len() == 10 || date.len() == 4),
            name if PROFILE.contains(&name) || ["sub", "email", "phone_number"].contains(&name) => {
                value.as_str().is_some_and(|text| !text.is_empty())
            }
            _ => true,
        };
        assert!(good, "{name}: {claims}");
    }
    assert!(claims["sub"].is_string(), "{claims}");
}

/// An RSA key of the suite's.
#[derive(Clone, Debug)]
pub struct Key {
    key: PKey<Private>,
    /// Where keys come by `jwks_uri` they have names.
    pub kid: Option<String>,
}

impl Key {
    pub fn new() -> Self {
        Self { key: PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key"), kid: None }
    }

    pub fn named() -> Self {
        Self { kid: Some(unique_id()), ..Self::new() }
    }

    pub fn jwks(&self) -> Value {
        let rsa = self.key.rsa().expect("RSA");
        let number = |number: &BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
        let mut key = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "n": number(rsa.n()), "e": number(rsa.e()) });
        if let Some(kid) = &self.kid {
            key["kid"] = kid.as_str().into();
        }
        json!({ "keys": [key] })
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = json!({ "alg": "RS256" });
        if let Some(kid) = &self.kid {
            header["kid"] = kid.as_str().into();
        }
        let message = unsigned_parts(&header, claims);
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key).expect("a signer");
        let signature = signer.sign_oneshot_to_vec(message.as_bytes()).expect("signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The same with PS256, which the FAPI 2.0 Security Profile allows.
    pub fn assertion_by_ps256(&self, client_id: &str, aud: &str) -> String {
        let claims = part(&self.assertion(client_id, aud), 1);
        let message = unsigned_parts(&json!({ "alg": "PS256" }), &claims);
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key).expect("a signer");
        signer.set_rsa_padding(Padding::PKCS1_PSS).expect("PSS");
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).expect("PSS");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signer.sign_oneshot_to_vec(message.as_bytes()).expect("signed")))
    }

    pub fn assertion(&self, client_id: &str, aud: &str) -> String {
        let now = Timestamp::now().seconds();
        self.sign(&json!({ "iss": client_id, "sub": client_id, "aud": aud, "jti": unique_id(), "iat": now, "exp": now + 60 }))
    }
}

/// A JWT of `alg` `none`.
pub fn unsigned(claims: &Value) -> String {
    format!("{}.", unsigned_parts(&json!({ "alg": "none" }), claims))
}

fn unsigned_parts(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// A decoded part of a JWT.
pub fn part(token: &str, number: usize) -> Value {
    let encoded = token.split('.').nth(number).expect("a part of a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).expect("base64url")).expect("JSON")
}

/// The signature, by OpenSSL.
#[track_caller]
pub fn verify_rs256(token: &str, jwk: &Value) {
    let number = |name: &str| {
        let octets = URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("a number")).expect("base64url");
        BigNum::from_slice(&octets).expect("a number")
    };
    let key = PKey::from_rsa(Rsa::from_public_components(number("n"), number("e")).expect("a key")).expect("a key");
    let (message, signature) = token.rsplit_once('.').expect("a JWT");
    let mut verifier = Verifier::new(MessageDigest::sha256(), &key).expect("a verifier");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    assert!(verifier.verify_oneshot(&signature, message.as_bytes()).expect("verified"), "{token}");
}

fn half_hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(&sha256(text.as_bytes())[..16])
}

fn owned((name, value): (&str, &String)) -> (String, String) {
    (name.to_owned(), value.clone())
}
