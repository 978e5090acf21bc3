//! The practice application: an OpenID Connect relying party that shows everything it is given.

use super::super::pages::STYLE;
use crate::connection::outbound;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use url::form_urlencoded::{Serializer, parse};

pub const CLIENT_ID: &str = "practice-app";

/// The application's own state: logins under way, by `state`.
pub struct App {
    pub issuer: String,
    pub own_url: String,
    /// Where traces are shown.
    pub operations_url: String,
    pub client_secret: String,
    pub client: reqwest::Client,
    pending: Mutex<HashMap<String, Pending>>,
}

struct Pending {
    verifier: String,
    nonce: String,
}

#[derive(Template)]
#[template(path = "practice_app_home.html")]
struct HomePage;

#[derive(Template)]
#[template(path = "practice_app_result.html")]
struct ResultPage {
    name: String,
    userinfo: String,
    id_token_header: String,
    id_token_claims: String,
    id_token: String,
    trace_url: String,
    logout_url: String,
}

impl App {
    pub fn new(issuer: String, own_url: String, operations_url: String, client_secret: String) -> Result<Self> {
        Ok(Self { issuer, own_url, operations_url, client_secret, client: outbound::client()?, pending: Mutex::default() })
    }

    fn callback(&self) -> String {
        format!("{}/callback", self.own_url)
    }
}

pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/", web::get().to(home))
        .route("/login", web::get().to(login))
        .route("/callback", web::get().to(callback))
        .route("/favicon.ico", web::get().to(crate::http::login::no_icon))
        .route("/assets/page.css", web::get().to(async || HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)));
}

async fn home() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(HomePage.render().unwrap_or_default())
}

async fn login(app: Data<App>) -> HttpResponse {
    let (state, pending) = (id::random_token(), Pending { verifier: id::random_token(), nonce: id::random_token() });
    let query = Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("redirect_uri", &app.callback())
        .append_pair("scope", "openid profile email groups")
        .append_pair("state", &state)
        .append_pair("nonce", &pending.nonce)
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(id::sha256(pending.verifier.as_bytes())))
        .append_pair("code_challenge_method", "S256")
        .finish();
    if let Ok(mut all) = app.pending.lock() {
        if all.len() > 1000 {
            all.clear();
        }
        all.insert(state, pending);
    }
    HttpResponse::SeeOther().insert_header((LOCATION, format!("{}/authorize?{query}", app.issuer))).finish()
}

async fn callback(request: HttpRequest, app: Data<App>) -> HttpResponse {
    match take_callback(&request, &app).await {
        Ok(response) => response,
        Err(error) => {
            HttpResponse::BadRequest().content_type("text/plain; charset=utf-8").body(format!("The login failed: {}\n", error.detail))
        }
    }
}

async fn take_callback(request: &HttpRequest, app: &App) -> Result<HttpResponse> {
    let answer: HashMap<String, String> = parse(request.query_string().as_bytes()).into_owned().collect();
    let refuse = |why: String| Error::new(ErrorKind::InvalidRequest, why);
    if let Some(error) = answer.get("error") {
        return Err(refuse(format!("{error}: {}", answer.get("error_description").map_or("", String::as_str))));
    }
    // RFC 9207 2.4: the answer must come from the issuer that was asked.
    if answer.get("iss") != Some(&app.issuer) {
        return Err(refuse("the answer names another issuer".to_owned()));
    }
    let state = answer.get("state").map_or("", String::as_str);
    let pending = app
        .pending
        .lock()
        .ok()
        .and_then(|mut all| all.remove(state))
        .ok_or_else(|| refuse("this login is not known; start again at /".to_owned()))?;
    let code = answer.get("code").ok_or_else(|| refuse("the answer has no code".to_owned()))?;
    let (tokens, correlation_id) = exchange(app, code, &pending.verifier).await?;
    let id_token = tokens["id_token"].as_str().ok_or_else(|| refuse("the token endpoint gave no ID token".to_owned()))?;
    let (header, claims) = decoded(id_token).ok_or_else(|| refuse("the ID token cannot be read".to_owned()))?;
    if claims["nonce"] != json!(pending.nonce) || claims["iss"] != json!(app.issuer) || claims["aud"] != json!(CLIENT_ID) {
        return Err(refuse("the ID token belongs to another login".to_owned()));
    }
    let userinfo = userinfo(app, tokens["access_token"].as_str().unwrap_or_default()).await?;
    let trace_url = format!("{}/traces/{correlation_id}", app.operations_url);
    if request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("application/json")) {
        let shown = json!({ "claims": userinfo, "id_token": claims, "trace_url": trace_url });
        return Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(shown.to_string()));
    }
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let logout = Serializer::new(String::new())
        .append_pair("id_token_hint", id_token)
        .append_pair("post_logout_redirect_uri", &format!("{}/", app.own_url))
        .finish();
    let page = ResultPage {
        name: userinfo["name"].as_str().unwrap_or("somebody").to_owned(),
        userinfo: pretty(&userinfo),
        id_token_header: pretty(&header),
        id_token_claims: pretty(&claims),
        id_token: id_token.to_owned(),
        trace_url,
        logout_url: format!("{}/oidc/logout?{logout}", app.issuer),
    };
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page.render().unwrap_or_default()))
}

/// The code for tokens; also the correlation id under which the login is traced.
async fn exchange(app: &App, code: &str, verifier: &str) -> Result<(Value, String)> {
    let failed = |error: reqwest::Error| Error::new(ErrorKind::Internal, "the token endpoint does not answer").because(error);
    let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &app.callback()), ("code_verifier", verifier)];
    let response = app
        .client
        .post(format!("{}/oauth/token", app.issuer))
        .basic_auth(CLIENT_ID, Some(&app.client_secret))
        .form(&form)
        .send()
        .await
        .map_err(failed)?;
    let correlation_id = response.headers().get("x-correlation-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let status = response.status();
    let body = outbound::text(response).await?;
    if !status.is_success() {
        return Err(Error::new(ErrorKind::InvalidGrant, format!("the token endpoint answered {body}")));
    }
    let tokens = serde_json::from_str(&body)
        .map_err(|error| Error::new(ErrorKind::Internal, "the token endpoint's answer is no JSON").because(error))?;
    Ok((tokens, correlation_id))
}

async fn userinfo(app: &App, access_token: &str) -> Result<Value> {
    let failed = |error: reqwest::Error| Error::new(ErrorKind::Internal, "userinfo does not answer").because(error);
    let response = app.client.get(format!("{}/userinfo", app.issuer)).bearer_auth(access_token).send().await.map_err(failed)?;
    let body = outbound::text(response).await?;
    serde_json::from_str(&body).map_err(|error| Error::new(ErrorKind::Internal, "userinfo's answer is no JSON").because(error))
}

/// Header and claims of a token that came straight from the token endpoint.
fn decoded(token: &str) -> Option<(Value, Value)> {
    let mut parts =
        token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()));
    Some((parts.next()??, parts.next()??))
}
