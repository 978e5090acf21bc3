//! An application and its requests, genuine and broken.

use super::support::*;
use crate::keys::Sealer;
use crate::saml::binding::{MessageKind, decode_post, encode_redirect};
use crate::saml::idp::*;
use crate::saml::logout::LogoutService;
use crate::saml::*;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::x509::X509;
use url::Url;

pub const APP: &str = "https://app.example.org/sp";
pub const APP_ACS: &str = "https://app.example.org/acs?tenant=1&x=%2f";
pub const APP_ACS_2: &str = "https://App.example.org:443/acs2";
pub const SSO: &str = "https://gateway.example.com/samlp/app";
pub const OURS: &str = "https://gateway.example.com/saml/idp";
pub const ASKED: &str = "_asked1";

/// What is registered; the key signs requests, ENCRYPTION is encrypted to.
pub fn parts(certificates: &[&X509]) -> SpParts {
    let acs = |location, index, is_default| AssertionConsumerService::new(location, Some(index), is_default).expect("an address");
    let slo = |binding, path: &str, response: Option<&str>| LogoutService {
        binding,
        location: Url::parse(&format!("https://app.example.org/{path}")).expect("a URL"),
        response_location: response.map(|path| Url::parse(&format!("https://app.example.org/{path}")).expect("a URL")),
    };
    SpParts {
        entity_id: APP.to_owned(),
        acs: vec![acs(APP_ACS_2, 7, Some(false)), acs(APP_ACS, 3, None)],
        logout_services: vec![slo(Binding::Redirect, "slo", None), slo(Binding::Post, "slo/post", Some("slo/done"))],
        signing_certificates: certificates.iter().map(|certificate| (*certificate).clone()).collect(),
        encryption_keys: vec![EncryptionKey::new(ENCRYPTION.certificate.clone(), Vec::new()).expect("usable")],
        ..SpParts::default()
    }
}

pub fn application() -> SpTrust {
    SpTrust::new(parts(&[&RSA.certificate])).expect("usable")
}

pub fn sealer() -> Sealer {
    Sealer::new(&Secret::new(vec![7; 32])).expect("a sealer")
}

/// An AuthnRequest with these attributes and children.
pub fn request_with(attributes: &str, children: &str) -> String {
    format!(
        "<samlp:AuthnRequest xmlns:samlp=\"{}\" xmlns:saml=\"{}\" ID=\"{ASKED}\" Version=\"2.0\" IssueInstant=\"{}\" Destination=\"{SSO}\" {attributes}><saml:Issuer>{APP}</saml:Issuer>{children}</samlp:AuthnRequest>",
        names::SAMLP,
        names::SAML,
        now().plus_seconds(-5)
    )
}

/// The query that brings `xml` to us.
pub fn query(kind: MessageKind, xml: &str, relay_state: Option<&str>, signer: Option<Signer<'_>>) -> String {
    let url = encode_redirect(kind, xml, &Url::parse(SSO).expect("a URL"), relay_state, signer).expect("encoded");
    url.query().expect("a query").to_owned()
}

pub fn terms(application: &SpTrust) -> RequestTerms<'_> {
    static POLICY: std::sync::LazyLock<MessagePolicy> = std::sync::LazyLock::new(MessagePolicy::default);
    static KEYS: std::sync::LazyLock<[&crate::keys::CertifiedKey; 1]> = std::sync::LazyLock::new(|| [&OTHER_RSA.certified]);
    RequestTerms {
        application,
        require_signed: true,
        name_id_formats: &[NameIdFormat::Persistent, NameIdFormat::Transient],
        destination: SSO,
        decryption_keys: &*KEYS,
        policy: &POLICY,
        now: now(),
    }
}

/// What became of a message, and why.
pub fn received(incoming: Incoming<'_>, terms: &RequestTerms<'_>) -> Result<CheckedRequest, Box<Refused>> {
    let mut checks = Vec::new();
    let outcome = ArrivedRequest::decode(incoming).map_err(Box::<Refused>::from).and_then(|arrived| {
        let outcome = receive_authn_request(&arrived, terms, &mut checks);
        assert!(outcome.is_err() || arrived.issuer() == terms.application.entity_id());
        outcome
    });
    // The trace tells the same story as the outcome.
    assert!(outcome.is_err() || checks.iter().all(|check| check.passed), "{checks:#?}");
    outcome
}

pub fn by_redirect(xml: &str, relay_state: Option<&str>) -> Result<CheckedRequest, Box<Refused>> {
    received(Incoming::Redirect { raw_query: &query(MessageKind::Request, xml, relay_state, Some(signer())) }, &terms(&application()))
}

/// As it stands in the form.
pub fn post(xml: &str) -> String {
    STANDARD.encode(xml)
}

pub fn by_post(xml: &str) -> Result<CheckedRequest, Box<Refused>> {
    received(Incoming::Post { message: &post(xml), relay_state: None }, &terms(&application()))
}

/// The XML of a form's first field.
pub fn xml_of(outgoing: &Outgoing) -> String {
    let Outgoing::PostForm { fields, .. } = outgoing else { panic!("{outgoing:?}") };
    decode_post(&fields[0].1).expect("decoded")
}
