//! Writing responses and assertions (SAML Core 2.3 and 3.3). The writer is told where an answer goes.

use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::id;
use crate::saml::assertion::{Attribute, AttributeValue, NameId};
use crate::saml::binding::{MessageKind, Outgoing, encode_post};
use crate::saml::encryption::{ContentCipher, KeyTransport, encrypt_assertion, encrypt_name_id};
use crate::saml::names;
use crate::saml::signature::{self, Signer};
use crate::saml::xml::Writer;
use openssl::x509::X509;
use url::Url;

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
        Self { recipient, cipher: ContentCipher::Aes256Gcm, transport: KeyTransport::OAEP }
    }
}

/// One answer. Every value goes through the escaping writer.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    pub response_id: String,
    pub assertion_id: String,
    pub issuer: &'a str,
    pub destination: &'a str,
    /// Recipient of the bearer confirmation, if it is not the destination.
    pub recipient: Option<&'a str>,
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
    /// How long before now the assertion begins to be valid, for clocks that are behind ours.
    pub backdate_seconds: i64,
    pub sign: Sign,
    pub encrypt: Option<Encrypt<'a>>,
    /// Encrypt the NameID too, or alone.
    pub encrypt_name_id: Option<Encrypt<'a>>,
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
            recipient: None,
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
            backdate_seconds: 0,
            sign: Sign::Assertion,
            encrypt: None,
            encrypt_name_id: None,
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
    let mut assertion = write_assertion(answer, now)?;
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
fn write_assertion(answer: &Answer<'_>, now: Timestamp) -> CrateResult<String> {
    let until = now.plus_seconds(answer.lifetime_seconds).to_string();
    let mut writer = Writer::new();
    writer.start("saml:Assertion").attribute("xmlns:saml", names::SAML);
    writer.attribute("ID", &answer.assertion_id).attribute("Version", "2.0").attribute("IssueInstant", &now.to_string());
    writer.leaf("saml:Issuer", answer.issuer);
    writer.start("saml:Subject");
    match answer.encrypt_name_id {
        Some(encrypt) => writer.written(&encrypted_name_id(&answer.name_id, encrypt)?),
        None => write_name_id(&mut writer, &answer.name_id),
    };
    writer.start("saml:SubjectConfirmation").attribute("Method", names::CM_BEARER);
    writer.start("saml:SubjectConfirmationData").optional("InResponseTo", answer.in_response_to);
    writer.attribute("NotOnOrAfter", &until).attribute("Recipient", answer.recipient.unwrap_or(answer.destination)).end().end().end();
    let from = now.plus_seconds(answer.backdate_seconds.saturating_neg()).to_string();
    writer.start("saml:Conditions").attribute("NotBefore", &from).attribute("NotOnOrAfter", &until);
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
    Ok(writer.finish())
}

/// An EncryptedID.
pub(in crate::saml) fn encrypted_name_id(name_id: &NameId, encrypt: Encrypt<'_>) -> CrateResult<String> {
    let mut writer = Writer::new();
    writer.start("saml:NameID").attribute("xmlns:saml", names::SAML);
    name_id_content(&mut writer, name_id).end();
    encrypt_name_id(&writer.finish(), encrypt.recipient, encrypt.cipher, encrypt.transport)
}

pub(in crate::saml) fn write_name_id<'w>(writer: &'w mut Writer, name_id: &NameId) -> &'w mut Writer {
    writer.start("saml:NameID");
    name_id_content(writer, name_id).end()
}

fn name_id_content<'w>(writer: &'w mut Writer, name_id: &NameId) -> &'w mut Writer {
    writer.optional("Format", name_id.format.as_deref());
    writer.optional("NameQualifier", name_id.name_qualifier.as_deref());
    writer.optional("SPNameQualifier", name_id.sp_name_qualifier.as_deref());
    writer.optional("SPProvidedID", name_id.sp_provided_id.as_deref());
    writer.text(&name_id.value)
}

fn write_attribute(writer: &mut Writer, attribute: &Attribute) {
    writer.start("saml:Attribute").attribute("Name", &attribute.name);
    writer.optional("NameFormat", attribute.name_format.as_deref());
    writer.optional("FriendlyName", attribute.friendly_name.as_deref());
    // Declared once here: with a thousand values, a declaration on each would be most of the message.
    let typed = attribute.values.iter().any(|value| matches!(value, AttributeValue::Text { xsi_type: Some(_), .. }));
    let nil = attribute.values.contains(&AttributeValue::Nil);
    if typed {
        writer.attribute("xmlns:xs", names::XS);
    }
    if typed || nil {
        writer.attribute("xmlns:xsi", names::XSI);
    }
    for value in &attribute.values {
        writer.start("saml:AttributeValue");
        match value {
            AttributeValue::Text { value, xsi_type } => {
                if let Some(xsi_type) = xsi_type {
                    writer.attribute("xsi:type", &format!("xs:{xsi_type}"));
                }
                writer.text(value);
            }
            AttributeValue::NameId(name_id) => {
                write_name_id(writer, name_id);
            }
            AttributeValue::Structured { text } => {
                writer.text(text);
            }
            AttributeValue::Nil => {
                writer.attribute("xsi:nil", "true");
            }
        }
        writer.end();
    }
    writer.end();
}
