//! The practice SAML application: a service provider that shows every attribute it is given. It stands beside the OpenID
//! Connect one on the same listener, below `/saml`, and is another application to the gateway.

use super::super::pages::AutoPost;
use crate::clock::Timestamp;
use crate::connection::outbound;
use crate::error::{Error, ErrorKind, Result};
use crate::http::pages;
use crate::keys::{CertifiedKey, KeyKind, PrivateKey};
use crate::saml::metadata::{read_idp, write_sp};
use crate::saml::{
    Attribute, AttributeValue, Binding, Check, Expected, IdpTrust, MetadataOptions, Outgoing, RequestOptions, ResponsePolicy, Signer,
    SpMetadata, SpSettings, VerifiedAssertion, authn_request, peek_in_response_to, receive_response,
};
use actix_web::http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use actix_web::web::{self, Data, Form, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Mutex;

pub const CLIENT_ID: &str = "practice-saml-app";

/// The application's own state: logins under way, by the ID of the request.
pub struct SamlApp {
    /// The gateway's address.
    issuer: String,
    /// Where traces are shown.
    operations_url: String,
    sp: SpSettings,
    key: CertifiedKey,
    client: Client,
    pending: Mutex<HashMap<String, Timestamp>>,
}

#[derive(Template)]
#[template(path = "practice_saml_result.html")]
struct ResultPage {
    name: String,
    attributes: String,
    subject: String,
    sign_in: String,
    checks: Vec<Check>,
    traces_url: String,
    /// Of the gateway, where the person confirms it.
    logout_url: String,
}

/// The form of a response.
#[derive(Deserialize)]
struct Posted {
    #[serde(rename = "SAMLResponse")]
    response: String,
}

impl SamlApp {
    /// With a key of its own, made anew at every start.
    pub fn new(issuer: String, own_url: &str, operations_url: String) -> Result<Self> {
        let acs_url = format!("{own_url}/saml/acs");
        let acs_url = acs_url.parse().map_err(|_| Error::new(ErrorKind::Internal, format!("{acs_url} is no address")))?;
        let key = CertifiedKey::self_signed(PrivateKey::generate(KeyKind::Rsa)?, "Practice SAML application")?;
        let sp = SpSettings { entity_id: format!("{own_url}/saml/metadata"), acs_url };
        Ok(Self { issuer, operations_url, sp, key, client: outbound::client()?, pending: Mutex::default() })
    }

    /// The application's own metadata.
    pub fn metadata(&self, now: Timestamp) -> Result<String> {
        write_sp(&SpMetadata::new(&self.sp, vec![&self.key], vec![&self.key]), Signer::new(&self.key), now)
    }

    /// The gateway as its metadata describe it now. A real application would pin its certificate.
    async fn gateway(&self, now: Timestamp) -> Result<IdpTrust> {
        let failed = |error: reqwest::Error| Error::new(ErrorKind::Internal, "the gateway's metadata cannot be had").because(error);
        let response = self.client.get(format!("{}/saml/metadata", self.issuer)).send().await.map_err(failed)?;
        let document = outbound::text(response).await?;
        let read = read_idp(&document, MetadataOptions::default(), now);
        read.map(|metadata| metadata.trust()).map_err(|error| Error::new(ErrorKind::Internal, format!("the gateway's metadata: {error}")))
    }

    async fn ask(&self, now: Timestamp) -> Result<Outgoing> {
        let (gateway, options) = (self.gateway(now).await?, RequestOptions::new());
        let signer = Some(Signer::new(&self.key));
        let outgoing = authn_request(&self.sp, &gateway, &options, Binding::Redirect, Some(&options.id), signer, now)?;
        if let Ok(mut all) = self.pending.lock() {
            if all.len() > 1000 {
                all.clear();
            }
            all.insert(options.id, now);
        }
        Ok(outgoing)
    }

    async fn judge(&self, response: &str, now: Timestamp) -> Result<(VerifiedAssertion, Vec<Check>)> {
        let refuse = |why: String| Error::new(ErrorKind::InvalidRequest, why);
        let request_id = peek_in_response_to(response).ok_or_else(|| refuse("nobody has asked for this answer".to_owned()))?;
        let requested_at = self.pending.lock().ok().and_then(|mut all| all.remove(&request_id));
        let requested_at = requested_at.ok_or_else(|| refuse("this login is not known; start again at /".to_owned()))?;
        let gateway = self.gateway(now).await?;
        let expected = Expected {
            request_id: Some(&request_id),
            requested_at,
            now,
            force_authn: false,
            max_age_seconds: None,
            requested_authn_context: None,
        };
        let mut checks = Vec::new();
        let policy = ResponsePolicy::default();
        let verified = receive_response(response, &self.sp, &gateway, &[&self.key], &policy, &expected, &mut checks);
        verified.map(|assertion| (assertion, checks)).map_err(|rejection| refuse(rejection.to_string()))
    }
}

pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/saml/login", web::get().to(login))
        .route("/saml/acs", web::post().to(acs))
        .route("/saml/metadata", web::get().to(metadata));
}

async fn metadata(app: Data<SamlApp>) -> HttpResponse {
    match app.metadata(Timestamp::now()) {
        Ok(document) => HttpResponse::Ok().content_type("application/samlmetadata+xml").body(document),
        Err(error) => failed(&error),
    }
}

async fn login(request: HttpRequest, app: Data<SamlApp>) -> HttpResponse {
    match app.ask(Timestamp::now()).await {
        Ok(Outgoing::Redirect(url)) => HttpResponse::SeeOther().insert_header((LOCATION, url.as_str())).finish(),
        Ok(Outgoing::PostForm { action, fields }) => pages::auto_post(&request, &AutoPost::to_idp(action.to_string(), fields)),
        Err(error) => failed(&error),
    }
}

async fn acs(request: HttpRequest, app: Data<SamlApp>, posted: Form<Posted>) -> HttpResponse {
    let (assertion, checks) = match app.judge(&posted.response, Timestamp::now()).await {
        Ok(judged) => judged,
        Err(error) => return failed(&error),
    };
    let (subject, sign_in) = (subject(&assertion), sign_in(&assertion));
    if request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("application/json")) {
        let shown = json!({
            "name_id": subject,
            "attributes": attributes(assertion.attributes(), |attribute| attribute.name.clone()),
            "authn_statement": sign_in,
        });
        return HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(shown.to_string());
    }
    let named = assertion.attributes().iter().find(|attribute| attribute.friendly_name.as_deref() == Some("displayName"));
    let name = named.and_then(|attribute| attribute.values.first()).and_then(AttributeValue::text);
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let page = ResultPage {
        name: name.unwrap_or("somebody").to_owned(),
        attributes: pretty(&attributes(assertion.attributes(), readable)),
        subject: pretty(&subject),
        sign_in: pretty(&sign_in),
        checks,
        traces_url: format!("{}/traces", app.operations_url),
        logout_url: format!("{}/oidc/logout", app.issuer),
    };
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page.render().unwrap_or_default())
}

fn failed(error: &Error) -> HttpResponse {
    HttpResponse::BadRequest().content_type("text/plain; charset=utf-8").body(format!("The login failed: {}\n", error.detail))
}

/// What is there, by its name in the schema.
fn present<const N: usize>(members: [(&str, Option<String>); N]) -> Value {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect::<Map<_, _>>().into()
}

fn subject(assertion: &VerifiedAssertion) -> Value {
    let Some(name_id) = assertion.name_id() else { return json!({}) };
    present([
        ("value", Some(name_id.value.clone())),
        ("Format", name_id.format.clone()),
        ("NameQualifier", name_id.name_qualifier.clone()),
        ("SPNameQualifier", name_id.sp_name_qualifier.clone()),
    ])
}

fn sign_in(assertion: &VerifiedAssertion) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    present([
        ("Issuer", Some(assertion.issuer().to_owned())),
        ("AuthnInstant", time(assertion.authn_instant())),
        ("SessionIndex", assertion.session_index().map(str::to_owned)),
        ("SessionNotOnOrAfter", time(assertion.session_not_on_or_after())),
        ("AuthnContextClassRef", assertion.authn_context_class_ref().map(str::to_owned)),
        ("AuthenticatingAuthority", assertion.authenticating_authorities().first().cloned()),
    ])
}

/// Values by name, which is made of an attribute by `named`.
fn attributes(attributes: &[Attribute], named: fn(&Attribute) -> String) -> Value {
    let values = |attribute: &Attribute| attribute.values.iter().filter_map(AttributeValue::text).map(Value::from).collect::<Vec<_>>();
    attributes.iter().map(|attribute| (named(attribute), values(attribute).into())).collect::<Map<_, _>>().into()
}

/// For people, who know the friendly names.
fn readable(attribute: &Attribute) -> String {
    let name = &attribute.name;
    attribute.friendly_name.as_ref().map_or_else(|| name.clone(), |friendly| format!("{friendly} ({name})"))
}
