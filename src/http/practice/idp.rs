//! The practice identity provider: SAML 2.0 by HTTP-Redirect and HTTP-POST, with people instead of passwords.

use super::people::{ChoosePage, PEOPLE, Person};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::pages::{self, AutoPost, STYLE};
use crate::keys::{CertifiedKey, KeyKind, PrivateKey};
use crate::saml::idp::{Answer, AuthnRequest, receive_redirect, respond};
use crate::saml::{Outgoing, Signer};
use actix_web::web::{self, Bytes, Data, Form, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// The identity provider's own state.
pub struct Idp {
    pub own_url: String,
    /// Entity ID of the service provider that it knows, and the only address where it sends answers.
    pub sp_entity_id: String,
    pub acs_url: String,
    key: CertifiedKey,
}

/// The form of the page.
#[derive(Deserialize)]
struct Choice {
    acs: String,
    request: String,
    relay_state: String,
    person: String,
}

impl Idp {
    /// With a key of its own, made anew at every start.
    pub fn new(own_url: String, sp_entity_id: String, acs_url: String) -> Result<Self> {
        let key = CertifiedKey::self_signed(PrivateKey::generate(KeyKind::EcP256)?, "Practice identity provider")?;
        Ok(Self { own_url, sp_entity_id, acs_url, key })
    }

    pub fn entity_id(&self) -> String {
        format!("{}/metadata", self.own_url)
    }

    /// The metadata that the gateway is configured with.
    pub fn metadata(&self) -> String {
        let certificate = STANDARD.encode(self.key.certificate_der());
        let (entity_id, sso) = (self.entity_id(), format!("{}/sso", self.own_url));
        format!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{entity_id}"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{sso}"/></md:IDPSSODescriptor></md:EntityDescriptor>"#
        )
    }

    fn answer(&self, choice: &Choice, now: Timestamp) -> Result<Outgoing> {
        let refuse = |why: &str| Error::new(ErrorKind::InvalidRequest, why.to_owned());
        let person = Person::by_id(&choice.person).ok_or_else(|| refuse("there is no such person"))?;
        if choice.acs != self.acs_url {
            return Err(refuse("this address is not the one that is registered"));
        }
        let entity_id = self.entity_id();
        let mut answer = Answer::new(&entity_id, &self.sp_entity_id, &self.acs_url, Some(&choice.request), person.id, now)
            .with_attribute("urn:oid:2.5.4.42", Some("givenName"), &[person.given_name])
            .with_attribute("urn:oid:2.5.4.4", Some("sn"), &[person.family_name])
            .with_attribute("urn:oid:2.16.840.1.113730.3.1.241", Some("displayName"), &[person.display_name]);
        if let Some(email) = person.email {
            answer = answer.with_attribute("urn:oid:0.9.2342.19200300.100.1.3", Some("mail"), &[email]);
        }
        let groups = person.groups();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        answer = answer.with_attribute("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", Some("isMemberOf"), &groups);
        let xml = respond(&answer, Signer::new(&self.key), now)?;
        let acs_url = self.acs_url.parse().map_err(|_| refuse("the registered address is none"))?;
        let relay_state = Some(choice.relay_state.as_str()).filter(|text| !text.is_empty());
        Ok(crate::saml::idp::post_response(&xml, &acs_url, relay_state))
    }
}

pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/metadata", web::get().to(metadata))
        .route("/sso", web::get().to(sso))
        .route("/choose", web::post().to(choose))
        .route("/favicon.ico", web::get().to(crate::http::login::no_icon))
        .route("/assets/page.css", web::get().to(async || HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)));
}

async fn metadata(idp: Data<Idp>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/samlmetadata+xml").body(Bytes::from(idp.metadata()))
}

async fn sso(request: HttpRequest, idp: Data<Idp>) -> HttpResponse {
    match receive_redirect(request.query_string(), None, &mut Vec::new()) {
        Ok(AuthnRequest { id, relay_state, .. }) => {
            let hidden = vec![("acs", idp.acs_url.clone()), ("request", id), ("relay_state", relay_state.unwrap_or_default())];
            let page = ChoosePage { title: "Practice identity provider", action: "/choose", hidden, people: &PEOPLE };
            HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page.render().unwrap_or_default())
        }
        Err(rejection) => HttpResponse::BadRequest().content_type("text/plain; charset=utf-8").body(format!("{rejection}\n")),
    }
}

async fn choose(request: HttpRequest, idp: Data<Idp>, choice: Form<Choice>) -> HttpResponse {
    match idp.answer(&choice, Timestamp::now()) {
        Ok(Outgoing::PostForm { action, fields }) => pages::auto_post(&request, &AutoPost::to_application(action.to_string(), fields)),
        Ok(Outgoing::Redirect(_)) => HttpResponse::InternalServerError().finish(),
        Err(error) => HttpResponse::BadRequest().content_type("text/plain; charset=utf-8").body(format!("{}\n", error.detail)),
    }
}
