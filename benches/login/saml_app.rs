//! The application that speaks SAML: signed requests, and every assertion verified.

use crate::gateway::Gateway;
use crate::http::Connection;
use isthmus::clock::Timestamp;
use isthmus::keys::{CertifiedKey, KeyKind, PrivateKey};
use isthmus::saml::metadata::read_idp;
use isthmus::saml::{
    AttributeValue, Binding, Expected, IdpTrust, MetadataOptions, Outgoing, RequestOptions, ResponsePolicy, Signer, SpSettings,
    authn_request, receive_response,
};
use std::path::Path;

const ENTITY: &str = "https://app.example.org/saml";
const ACS: &str = "https://app.example.org/acs";
const CERTIFICATE: &str = "app.pem";

pub struct SamlApp {
    sp: SpSettings,
    gateway: IdpTrust,
    key: CertifiedKey,
}

/// A request, until its answer comes.
pub struct Asked {
    id: String,
    at: Timestamp,
}

impl SamlApp {
    /// Its key; the certificate is where the gateway's configuration says.
    pub fn make_key(place: &Path) -> Result<CertifiedKey, String> {
        let key = PrivateKey::generate(KeyKind::Rsa).and_then(|key| CertifiedKey::self_signed(key, "bench application"));
        let key = key.map_err(|error| error.to_string())?;
        let certificate = key.certificate().to_pem().map_err(|error| error.to_string())?;
        std::fs::write(place.join(CERTIFICATE), certificate).map_err(|error| error.to_string())?;
        Ok(key)
    }

    /// The application in front of a running gateway, whose metadata it reads.
    pub fn of(gateway: &Gateway, key: &CertifiedKey) -> Result<Self, String> {
        let mut connection = Connection::open(gateway.address).map_err(|error| error.to_string())?;
        let document = connection.get("/saml/metadata", &[])?.expect(200)?.text();
        let metadata = read_idp(&document, MetadataOptions::default(), Timestamp::now()).map_err(|error| error.to_string())?;
        let sp = SpSettings { entity_id: ENTITY.to_owned(), acs_url: ACS.parse().map_err(|_| format!("{ACS} is no address"))? };
        Ok(Self { sp, gateway: metadata.trust(), key: key.clone() })
    }

    /// A signed request, and the path and query that bring it.
    pub fn request(&self) -> Result<(Asked, String), String> {
        let (options, now) = (RequestOptions::new(), Timestamp::now());
        let signer = Some(Signer::new(&self.key));
        let outgoing = authn_request(&self.sp, &self.gateway, &options, Binding::Redirect, Some("state"), signer, now);
        match outgoing.map_err(|error| error.to_string())? {
            Outgoing::Redirect(url) => {
                Ok((Asked { id: options.id, at: now }, format!("{}?{}", url.path(), url.query().unwrap_or_default())))
            }
            Outgoing::PostForm { .. } => Err("a request by redirect went by POST".to_owned()),
        }
    }

    /// Whether the page posts an assertion about this person, in so many groups, that answers the request.
    pub fn check(&self, asked: &Asked, page: &str, mail: &str, groups: usize) -> Result<(), String> {
        let response = page.split_once("name=\"SAMLResponse\" value=\"").and_then(|(_, rest)| rest.split('"').next());
        // Base64 has one character that a page may write as a reference.
        let response = response.ok_or_else(|| format!("no response in {page}"))?.replace("&#43;", "+").replace("&#61;", "=");
        let expected = Expected {
            request_id: Some(&asked.id),
            requested_at: asked.at,
            now: Timestamp::now(),
            force_authn: false,
            max_age_seconds: None,
            requested_authn_context: None,
        };
        let policy = ResponsePolicy { second_opinion: false, ..ResponsePolicy::default() };
        let judged = receive_response(&response, &self.sp, &self.gateway, &[&self.key], &policy, &expected, &mut Vec::new());
        let assertion = judged.map_err(|rejection| rejection.to_string())?;
        let values = |name: &str| {
            let found = assertion.attributes().iter().find(|attribute| attribute.friendly_name.as_deref() == Some(name));
            found.map(|attribute| attribute.values.iter().filter_map(AttributeValue::text).collect::<Vec<_>>()).unwrap_or_default()
        };
        if values("mail") != [mail] || values("isMemberOf").len() != groups {
            return Err(format!("not the assertion about {mail}: {:?}", assertion.attributes()));
        }
        Ok(())
    }
}

/// Its part of the gateway's configuration.
pub fn configuration(encrypt: bool) -> String {
    let encrypt = if encrypt { "assertion" } else { "none" };
    format!(
        r#"[application.saml]
entity_id = "{ENTITY}"
acs_urls = ["{ACS}"]
certificates = ["{CERTIFICATE}"]
encryption_certificates = ["{CERTIFICATE}"]
require_signed_requests = true
encrypt = "{encrypt}"
"#
    )
}
