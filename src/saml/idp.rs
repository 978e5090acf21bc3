//! A minimal identity provider: reads an AuthnRequest and answers it. It serves practice sign-ins, the load generator
//! and tests, and is the seed of the identity provider role.

use super::assertion::{Attribute, AttributeValue, NameId, read_date};
use super::binding::{MessageKind, Outgoing, RedirectMessage, decode_post, decode_redirect, encode_post};
use super::encryption::{ContentCipher, KeyTransport, encrypt_assertion};
use super::names;
use super::rejection::{Check, Checks, Part, Rejection};
use super::signature::{self, Allowed, SignedXml, Signer, TrustedKeys};
use super::trust::Verification;
use super::xml::{Element, Limits, Writer, parse};
use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::id;
use crate::keys::Digest;
use openssl::x509::X509;
use url::Url;

/// What an AuthnRequest says. Whether to believe it is the caller's business: its ACS URL must be a registered one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthnRequest {
    pub id: String,
    pub issuer: String,
    pub destination: Option<String>,
    pub issue_instant: Option<Timestamp>,
    pub acs_url: Option<String>,
    pub acs_index: Option<u16>,
    pub protocol_binding: Option<String>,
    pub force_authn: bool,
    pub is_passive: bool,
    pub name_id_format: Option<String>,
    pub allow_create: Option<bool>,
    pub requested_authn_context: Vec<String>,
    pub requester_ids: Vec<String>,
    pub proxy_count: Option<u32>,
    pub subject_hint: Option<String>,
    pub relay_state: Option<String>,
    /// A signature was verified.
    pub signed: bool,
}

/// Reads a request from the raw query of a redirect; with `keys` its signature is demanded.
///
/// # Errors
/// When it is no AuthnRequest or not signed as demanded.
pub fn receive_redirect(raw_query: &str, keys: Option<&TrustedKeys>, checks: &mut Vec<Check>) -> Result<AuthnRequest, Rejection> {
    let message: RedirectMessage = decode_redirect(raw_query)?;
    if message.kind != MessageKind::Request {
        return Err(Rejection::MessageMissing { parameter: "SAMLRequest" });
    }
    if let Some(keys) = keys {
        message.verify(keys, Allowed::default(), checks)?;
    }
    let document = parse(&message.xml, Limits::MESSAGE)?;
    let request = read_request(document.root())?;
    Ok(AuthnRequest { relay_state: message.relay_state, signed: keys.is_some(), ..request })
}

/// Reads a request from a POST form value; with `keys` its signature is demanded, and only what it covers is read.
///
/// # Errors
/// As [`receive_redirect`].
pub fn receive_post(
    saml_request: &str,
    relay_state: Option<&str>,
    keys: Option<&TrustedKeys>,
    checks: &mut Vec<Check>,
) -> Result<AuthnRequest, Rejection> {
    let mut checks = Checks(checks);
    let xml = decode_post(saml_request)?;
    let document = parse(&xml, Limits::MESSAGE)?;
    signature::check_document(&document, &[document.root()], &mut checks)?;
    let request = match keys {
        Some(keys) => {
            let how = Verification { keys, allowed: Allowed::default(), evidence: false };
            let signed = SignedXml::verify(document.root(), Part::Request, how, &mut checks)?;
            read_request(signed.document()?.root())?
        }
        None => read_request(document.root())?,
    };
    Ok(AuthnRequest { relay_state: relay_state.map(str::to_owned), signed: keys.is_some(), ..request })
}

fn read_request(root: Element<'_>) -> Result<AuthnRequest, Rejection> {
    if !root.is(names::SAMLP, "AuthnRequest") {
        return Err(Rejection::WrongRoot { expected: "samlp:AuthnRequest", found: root.local_name().to_owned() });
    }
    let version = root.attribute("Version").unwrap_or_default();
    if version != "2.0" {
        return Err(Rejection::WrongVersion { on: Part::Request, found: version.to_owned() });
    }
    let owned = |name| root.attribute(name).map(str::to_owned);
    let text = |element: Element<'_>| element.text().trim().to_owned();
    let truth = |name| matches!(root.attribute(name).map(str::trim), Some("true" | "1"));
    let issuer = root.child(names::SAML, "Issuer").map(text).filter(|issuer| !issuer.is_empty());
    let policy = root.child(names::SAMLP, "NameIDPolicy");
    let scoping = root.child(names::SAMLP, "Scoping");
    Ok(AuthnRequest {
        id: root.attribute("ID").filter(|id| super::xml::is_ncname(id)).ok_or(Rejection::IdMissing { on: Part::Request })?.to_owned(),
        issuer: issuer.ok_or(Rejection::IssuerMissing { on: Part::Request, expected: "an application".to_owned() })?,
        destination: owned("Destination"),
        issue_instant: root.attribute("IssueInstant").and_then(read_date),
        acs_url: owned("AssertionConsumerServiceURL"),
        acs_index: root.attribute("AssertionConsumerServiceIndex").and_then(|index| index.trim().parse().ok()),
        protocol_binding: owned("ProtocolBinding"),
        force_authn: truth("ForceAuthn"),
        is_passive: truth("IsPassive"),
        name_id_format: policy.and_then(|policy| policy.attribute("Format")).map(str::to_owned),
        allow_create: policy.and_then(|policy| policy.attribute("AllowCreate")).map(|value| matches!(value.trim(), "true" | "1")),
        requested_authn_context: root
            .child(names::SAMLP, "RequestedAuthnContext")
            .into_iter()
            .flat_map(|context| context.children_named(names::SAML, "AuthnContextClassRef"))
            .map(text)
            .collect(),
        requester_ids: scoping.into_iter().flat_map(|scoping| scoping.children_named(names::SAMLP, "RequesterID")).map(text).collect(),
        proxy_count: scoping.and_then(|scoping| scoping.attribute("ProxyCount")).and_then(|count| count.trim().parse().ok()),
        subject_hint: root.child(names::SAML, "Subject").and_then(|subject| subject.child(names::SAML, "NameID")).map(text),
        relay_state: None,
        signed: false,
    })
}

/// Which parts of the response are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Assertion,
    Response,
    Both,
    /// For tests of the other side.
    Nothing,
}

/// For whom and how the assertion is encrypted.
#[derive(Clone, Copy, Debug)]
pub struct Encrypt<'a> {
    pub recipient: &'a X509,
    pub cipher: ContentCipher,
    pub transport: KeyTransport,
}

impl<'a> Encrypt<'a> {
    /// AES-256-GCM, RSA-OAEP with SHA-256.
    pub const fn to(recipient: &'a X509) -> Self {
        let transport = KeyTransport::Oaep { digest: Digest::Sha256, mgf1: Digest::Sha256 };
        Self { recipient, cipher: ContentCipher::Aes256Gcm, transport }
    }
}

/// One answer. Every value goes through the escaping writer.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    pub response_id: String,
    pub assertion_id: String,
    pub issuer: &'a str,
    pub destination: &'a str,
    pub audience: &'a str,
    pub in_response_to: Option<&'a str>,
    pub name_id: NameId,
    pub attributes: Vec<Attribute>,
    pub authn_instant: Timestamp,
    pub authn_context_class_ref: &'a str,
    pub authenticating_authorities: Vec<String>,
    pub session_index: Option<String>,
    pub session_not_on_or_after: Option<Timestamp>,
    pub lifetime_seconds: i64,
    pub sign: Sign,
    pub encrypt: Option<Encrypt<'a>>,
}

impl<'a> Answer<'a> {
    /// An answer to `in_response_to`: assertion signed, valid for five minutes.
    pub fn new(
        issuer: &'a str,
        audience: &'a str,
        acs_url: &'a str,
        in_response_to: Option<&'a str>,
        subject: &str,
        now: Timestamp,
    ) -> Self {
        Self {
            response_id: format!("_{}", id::random_id()),
            assertion_id: format!("_{}", id::random_id()),
            issuer,
            destination: acs_url,
            audience,
            in_response_to,
            name_id: NameId { value: subject.to_owned(), format: Some(names::NAMEID_PERSISTENT.to_owned()), ..NameId::default() },
            attributes: Vec::new(),
            authn_instant: now,
            authn_context_class_ref: names::AC_PASSWORD_PROTECTED_TRANSPORT,
            authenticating_authorities: Vec::new(),
            session_index: Some(format!("_{}", id::random_id())),
            session_not_on_or_after: None,
            lifetime_seconds: 300,
            sign: Sign::Assertion,
            encrypt: None,
        }
    }

    /// Adds an attribute with text values.
    #[must_use]
    pub fn with_attribute(mut self, name: &str, friendly_name: Option<&str>, values: &[&str]) -> Self {
        let format = if name.starts_with("urn:") || name.contains("://") { names::ATTRNAME_URI } else { names::ATTRNAME_BASIC };
        self.attributes.push(Attribute {
            name: name.to_owned(),
            name_format: Some(format.to_owned()),
            friendly_name: friendly_name.map(str::to_owned),
            values: values
                .iter()
                .map(|value| AttributeValue::Text { value: (*value).to_owned(), xsi_type: Some("string".to_owned()) })
                .collect(),
        });
        self
    }
}

/// Writes, signs and encrypts the response.
///
/// # Errors
/// When the key cannot sign or the recipient's certificate cannot encrypt.
pub fn respond(answer: &Answer<'_>, signer: Signer<'_>, now: Timestamp) -> CrateResult<String> {
    let mut assertion = write_assertion(answer, now);
    if matches!(answer.sign, Sign::Assertion | Sign::Both) {
        assertion = signature::sign(&assertion, signer)?;
    }
    if let Some(encrypt) = answer.encrypt {
        assertion = encrypt_assertion(&assertion, encrypt.recipient, encrypt.cipher, encrypt.transport)?;
    }
    let mut writer = Writer::new();
    response_head(&mut writer, &answer.response_id, answer.issuer, answer.destination, answer.in_response_to, now);
    writer.start("samlp:Status").start("samlp:StatusCode").attribute("Value", names::STATUS_SUCCESS).end().end();
    writer.written(&assertion);
    let response = writer.finish();
    if matches!(answer.sign, Sign::Response | Sign::Both) { signature::sign(&response, signer) } else { Ok(response) }
}

/// A failure to report: the two status codes without their common prefix, and a text for people.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    pub top: &'a str,
    pub second: &'a str,
    pub message: Option<&'a str>,
}

/// A signed response that reports a failure and carries no assertion.
///
/// # Errors
/// When the key cannot sign.
pub fn refuse(
    issuer: &str,
    destination: &str,
    in_response_to: Option<&str>,
    refusal: Refusal<'_>,
    signer: Signer<'_>,
    now: Timestamp,
) -> CrateResult<String> {
    let mut writer = Writer::new();
    response_head(&mut writer, &format!("_{}", id::random_id()), issuer, destination, in_response_to, now);
    writer.start("samlp:Status");
    writer.start("samlp:StatusCode").attribute("Value", &format!("{}{}", names::STATUS_PREFIX, refusal.top));
    writer.start("samlp:StatusCode").attribute("Value", &format!("{}{}", names::STATUS_PREFIX, refusal.second)).end().end();
    if let Some(message) = refusal.message {
        writer.leaf("samlp:StatusMessage", message);
    }
    signature::sign(&writer.finish(), signer)
}

/// The form that brings a response to the application.
pub fn post_response(xml: &str, acs_url: &Url, relay_state: Option<&str>) -> Outgoing {
    encode_post(MessageKind::Response, xml, acs_url, relay_state)
}

fn response_head(writer: &mut Writer, id: &str, issuer: &str, destination: &str, in_response_to: Option<&str>, now: Timestamp) {
    writer.start("samlp:Response").attribute("xmlns:samlp", names::SAMLP).attribute("xmlns:saml", names::SAML);
    writer.attribute("ID", id).attribute("Version", "2.0").attribute("IssueInstant", &now.to_string());
    writer.attribute("Destination", destination).optional("InResponseTo", in_response_to);
    writer.leaf("saml:Issuer", issuer);
}

// SAML Core 2.3.3; elements in the order of the schema.
fn write_assertion(answer: &Answer<'_>, now: Timestamp) -> String {
    let until = now.plus_seconds(answer.lifetime_seconds).to_string();
    let mut writer = Writer::new();
    writer.start("saml:Assertion").attribute("xmlns:saml", names::SAML);
    writer.attribute("ID", &answer.assertion_id).attribute("Version", "2.0").attribute("IssueInstant", &now.to_string());
    writer.leaf("saml:Issuer", answer.issuer);
    writer.start("saml:Subject");
    write_name_id(&mut writer, &answer.name_id);
    writer.start("saml:SubjectConfirmation").attribute("Method", names::CM_BEARER);
    writer.start("saml:SubjectConfirmationData").optional("InResponseTo", answer.in_response_to);
    writer.attribute("NotOnOrAfter", &until).attribute("Recipient", answer.destination).end().end().end();
    writer.start("saml:Conditions").attribute("NotBefore", &now.to_string()).attribute("NotOnOrAfter", &until);
    writer.start("saml:AudienceRestriction").leaf("saml:Audience", answer.audience).end().end();
    writer.start("saml:AuthnStatement").attribute("AuthnInstant", &answer.authn_instant.to_string());
    writer.optional("SessionIndex", answer.session_index.as_deref());
    writer.optional("SessionNotOnOrAfter", answer.session_not_on_or_after.map(|until| until.to_string()).as_deref());
    writer.start("saml:AuthnContext").leaf("saml:AuthnContextClassRef", answer.authn_context_class_ref);
    for authority in &answer.authenticating_authorities {
        writer.leaf("saml:AuthenticatingAuthority", authority);
    }
    writer.end().end();
    if !answer.attributes.is_empty() {
        writer.start("saml:AttributeStatement");
        for attribute in &answer.attributes {
            write_attribute(&mut writer, attribute);
        }
        writer.end();
    }
    writer.finish()
}

fn write_name_id(writer: &mut Writer, name_id: &NameId) {
    writer.start("saml:NameID").optional("Format", name_id.format.as_deref());
    writer.optional("NameQualifier", name_id.name_qualifier.as_deref());
    writer.optional("SPNameQualifier", name_id.sp_name_qualifier.as_deref());
    writer.optional("SPProvidedID", name_id.sp_provided_id.as_deref());
    writer.text(&name_id.value).end();
}

fn write_attribute(writer: &mut Writer, attribute: &Attribute) {
    writer.start("saml:Attribute").attribute("Name", &attribute.name);
    writer.optional("NameFormat", attribute.name_format.as_deref());
    writer.optional("FriendlyName", attribute.friendly_name.as_deref());
    for value in &attribute.values {
        writer.start("saml:AttributeValue");
        match value {
            AttributeValue::Text { value, xsi_type } => {
                if let Some(xsi_type) = xsi_type {
                    writer.attribute("xmlns:xs", names::XS).attribute("xmlns:xsi", names::XSI);
                    writer.attribute("xsi:type", &format!("xs:{xsi_type}"));
                }
                writer.text(value);
            }
            AttributeValue::NameId(name_id) => write_name_id(writer, name_id),
            AttributeValue::Structured { text } => {
                writer.text(text);
            }
            AttributeValue::Nil => {
                writer.attribute("xmlns:xsi", names::XSI).attribute("xsi:nil", "true");
            }
        }
        writer.end();
    }
    writer.end();
}
