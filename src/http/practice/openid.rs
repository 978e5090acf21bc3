//! Practice providers that hand out codes for tokens: one by OpenID Connect, and one that speaks OAuth 2.0 alone and answers
//! as GitHub does. Their people need no password.

use super::people::{ChoosePage, PEOPLE, Person};
use crate::clock::Timestamp;
use crate::connection::outbound::asker::basic;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{KeyKind, PrivateKey};
use crate::oidc::{IdTokenSigner, PublicKeys, SigningAlg};
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION};
use actix_web::web::{self, Data, Form, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use url::Url;

/// As whom the gateway is registered at both.
pub const CLIENT_ID: &str = "gateway";

/// Codes and tokens that are remembered at most; who floods a practice provider starts again.
const REMEMBERED: usize = 1000;

const ALG: SigningAlg = SigningAlg::ES256;

/// Seconds.
const ID_TOKEN: i64 = 300;

/// What both have.
struct Provider {
    title: &'static str,
    /// The only address where answers are sent.
    redirect_uri: String,
    client_secret: String,
    codes: Mutex<HashMap<String, Grant>>,
    tokens: Mutex<HashMap<String, &'static Person>>,
}

/// What a code is good for.
struct Grant {
    person: &'static Person,
    nonce: String,
    challenge: String,
}

/// The provider by OpenID Connect.
pub struct OpenIdProvider {
    issuer: String,
    signer: IdTokenSigner,
    jwks: String,
    provider: Provider,
}

/// The stand-in for GitHub.
pub struct GitHub(Provider);

type Fields = HashMap<String, String>;

impl OpenIdProvider {
    /// With a key of its own, made anew at every start.
    pub fn new(own_url: &str, redirect_uri: String, client_secret: String) -> Result<Self> {
        let key = PrivateKey::generate(KeyKind::EcP256)?;
        let provider = Provider::new("Practice OpenID provider", redirect_uri, client_secret);
        let jwks = PublicKeys::new([(&key, ALG)])?.jwks_json().to_owned();
        Ok(Self { issuer: format!("{own_url}/openid"), signer: IdTokenSigner::new(&key, ALG)?, jwks, provider })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALG.as_str()],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn token(&self, asked: &Fields, authorization: Option<&str>, now: Timestamp) -> Result<Value> {
        let (grant, access_token) = self.provider.redeem(asked, authorization)?;
        let claims = json!({
            "iss": self.issuer, "aud": CLIENT_ID, "sub": grant.person.id, "nonce": grant.nonce, "iat": now.seconds(),
            "exp": now.seconds() + ID_TOKEN, "auth_time": now.seconds(), "at_hash": self.signer.half_hash(&access_token),
        });
        let claims = claims.as_object().cloned().unwrap_or_default();
        Ok(json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": ID_TOKEN, "id_token": self.signer.sign(&claims)? }))
    }
}

impl GitHub {
    pub fn new(redirect_uri: String, client_secret: String) -> Self {
        Self(Provider::new("Practice GitHub", redirect_uri, client_secret))
    }
}

impl Provider {
    fn new(title: &'static str, redirect_uri: String, client_secret: String) -> Self {
        Self { title, redirect_uri, client_secret, codes: Mutex::default(), tokens: Mutex::default() }
    }

    /// The page with the people; what was asked travels in it.
    fn page(&self, asked: &Fields, action: &'static str) -> Result<String> {
        let is = |name: &str, expected: &str| asked.get(name).is_some_and(|value| value == expected);
        if !is("client_id", CLIENT_ID) || !is("redirect_uri", &self.redirect_uri) || !is("response_type", "code") {
            return Err(refuse("this client, address or response type is not registered"));
        }
        let hidden = ["state", "nonce", "code_challenge"].map(|name| (name, asked.get(name).cloned().unwrap_or_default()));
        ChoosePage { title: self.title, action, hidden: hidden.into(), people: &PEOPLE }
            .render()
            .map_err(|error| Error::new(ErrorKind::Internal, "the page cannot be made").because(error))
    }

    /// The answer to the gateway, once somebody was chosen. `iss`: RFC 9207.
    fn answer(&self, chosen: &Fields, iss: Option<&str>) -> Result<Url> {
        let field = |name: &str| chosen.get(name).cloned().unwrap_or_default();
        let person = Person::by_id(&field("person")).ok_or_else(|| refuse("there is no such person"))?;
        let code = id::random_token();
        remember(&self.codes, code.clone(), Grant { person, nonce: field("nonce"), challenge: field("code_challenge") });
        let mut answer = Url::parse(&self.redirect_uri).map_err(|_| refuse("the registered address is none"))?;
        answer.query_pairs_mut().append_pair("code", &code).append_pair("state", &field("state"));
        if let Some(iss) = iss {
            answer.query_pairs_mut().append_pair("iss", iss);
        }
        Ok(answer)
    }

    /// A code for an access token, once.
    fn redeem(&self, asked: &Fields, authorization: Option<&str>) -> Result<(Grant, String)> {
        let field = |name: &str| asked.get(name).map_or("", String::as_str);
        let by_header = authorization == Some(basic(CLIENT_ID, &self.client_secret).expose());
        if !by_header && (field("client_id"), field("client_secret")) != (CLIENT_ID, &self.client_secret) {
            return Err(refuse("the client is not proven"));
        }
        let grant = self.codes.lock().ok().and_then(|mut codes| codes.remove(field("code")));
        let challenge = URL_SAFE_NO_PAD.encode(id::sha256(field("code_verifier").as_bytes()));
        let grant = grant.filter(|grant| grant.challenge == challenge && field("redirect_uri") == self.redirect_uri);
        let grant = grant.ok_or_else(|| refuse("this code is not good, or not any more"))?;
        let access_token = id::random_token();
        remember(&self.tokens, access_token.clone(), grant.person);
        Ok((grant, access_token))
    }

    /// Whose access token a request brings.
    fn person(&self, request: &HttpRequest) -> Result<&'static Person> {
        let token = authorization(request).and_then(|value| value.split_once(' ')).map(|(_, token)| token).unwrap_or_default();
        let person = self.tokens.lock().ok().and_then(|tokens| tokens.get(token).copied());
        person.ok_or_else(|| refuse("this token is not good"))
    }
}

fn remember<V>(all: &Mutex<HashMap<String, V>>, key: String, value: V) {
    if let Ok(mut all) = all.lock() {
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(key, value);
    }
}

pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/openid/.well-known/openid-configuration", web::get().to(async |idp: Data<OpenIdProvider>| json_of(Ok(idp.metadata()))))
        .route("/openid/jwks", web::get().to(jwks))
        .route("/openid/authorize", web::get().to(authorize))
        .route("/openid/choose", web::post().to(choose))
        .route("/openid/token", web::post().to(token))
        .route("/openid/userinfo", web::get().to(userinfo))
        .route("/github/login/oauth/authorize", web::get().to(github_authorize))
        .route("/github/choose", web::post().to(github_choose))
        .route("/github/login/oauth/access_token", web::post().to(github_token))
        .route("/github/user", web::get().to(github_user))
        .route("/github/user/emails", web::get().to(github_emails));
}

async fn jwks(idp: Data<OpenIdProvider>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(idp.jwks.clone())
}

async fn authorize(idp: Data<OpenIdProvider>, asked: Query<Fields>) -> HttpResponse {
    html_of(idp.provider.page(&asked, "/openid/choose"))
}

async fn choose(idp: Data<OpenIdProvider>, chosen: Form<Fields>) -> HttpResponse {
    redirect_of(idp.provider.answer(&chosen, Some(&idp.issuer)))
}

async fn token(request: HttpRequest, idp: Data<OpenIdProvider>, asked: Form<Fields>) -> HttpResponse {
    json_of(idp.token(&asked, authorization(&request), Timestamp::now()))
}

async fn userinfo(request: HttpRequest, idp: Data<OpenIdProvider>) -> HttpResponse {
    json_of(idp.provider.person(&request).map(|person| {
        let mut claims = Map::from_iter([
            ("sub".to_owned(), json!(person.id)),
            ("name".to_owned(), json!(person.display_name)),
            ("given_name".to_owned(), json!(person.given_name)),
            ("family_name".to_owned(), json!(person.family_name)),
            ("groups".to_owned(), json!(person.groups())),
        ]);
        if let Some(email) = person.email {
            claims.extend([("email".to_owned(), json!(email)), ("email_verified".to_owned(), json!(true))]);
        }
        Value::Object(claims)
    }))
}

async fn github_authorize(idp: Data<GitHub>, asked: Query<Fields>) -> HttpResponse {
    html_of(idp.0.page(&asked, "/github/choose"))
}

async fn github_choose(idp: Data<GitHub>, chosen: Form<Fields>) -> HttpResponse {
    redirect_of(idp.0.answer(&chosen, None))
}

async fn github_token(request: HttpRequest, idp: Data<GitHub>, asked: Form<Fields>) -> HttpResponse {
    let redeemed = idp.0.redeem(&asked, authorization(&request));
    json_of(redeemed.map(|(_, token)| json!({ "access_token": token, "token_type": "bearer", "scope": "read:user,user:email" })))
}

async fn github_user(request: HttpRequest, idp: Data<GitHub>) -> HttpResponse {
    json_of(idp.0.person(&request).map(|person| {
        let number = PEOPLE.iter().position(|known| known.id == person.id).unwrap_or_default();
        // Who keeps the address private shows none here.
        json!({
            "login": person.id, "id": 1000 + number, "type": "User", "name": person.display_name, "email": null,
            "html_url": format!("https://github.com/{}", person.id),
        })
    }))
}

async fn github_emails(request: HttpRequest, idp: Data<GitHub>) -> HttpResponse {
    json_of(idp.0.person(&request).map(|person| {
        let address = |email| json!({ "email": email, "primary": true, "verified": true, "visibility": "private" });
        person.email.into_iter().map(address).collect()
    }))
}

fn authorization(request: &HttpRequest) -> Option<&str> {
    request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok())
}

fn json_of(answer: Result<Value>) -> HttpResponse {
    match answer {
        Ok(value) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(value),
        Err(error) => HttpResponse::BadRequest().json(json!({ "error": "invalid_request", "error_description": error.detail })),
    }
}

fn html_of(page: Result<String>) -> HttpResponse {
    match page {
        Ok(page) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page),
        Err(error) => refused(&error),
    }
}

fn redirect_of(target: Result<Url>) -> HttpResponse {
    match target {
        Ok(url) => HttpResponse::SeeOther().insert_header((LOCATION, url.as_str())).finish(),
        Err(error) => refused(&error),
    }
}

fn refused(error: &Error) -> HttpResponse {
    HttpResponse::BadRequest().content_type("text/plain; charset=utf-8").body(format!("{}\n", error.detail))
}

fn refuse(why: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, why.to_owned())
}
