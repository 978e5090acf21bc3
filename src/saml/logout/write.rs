//! Writing LogoutRequests and LogoutResponses; elements in the order of the schema. They are always signed.

use super::{LogoutOutcome, LogoutService};
use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::id;
use crate::saml::assertion::NameId;
use crate::saml::binding::{Binding, MessageKind, Outgoing, encode_post, encode_redirect};
use crate::saml::idp::{Encrypt, encrypted_name_id, write_name_id};
use crate::saml::names;
use crate::saml::signature::{self, Signer};
use crate::saml::soap;
use crate::saml::xml::Writer;
use url::Url;

/// What one LogoutRequest says.
#[derive(Clone, Debug)]
pub struct LogoutOrder<'a> {
    pub id: String,
    /// Our entity ID toward the partner.
    pub issuer: &'a str,
    /// The user's name at the partner, with its format and qualifiers as it was given out or received.
    pub name_id: &'a NameId,
    /// The sessions to end; none: all of this user at the partner.
    pub session_indexes: &'a [String],
    /// A URI, such as [`names::LOGOUT_USER`] and [`names::LOGOUT_ADMIN`].
    pub reason: Option<&'a str>,
    pub valid_seconds: i64,
    /// Encrypt the NameID.
    pub encrypt: Option<Encrypt<'a>>,
}

impl<'a> LogoutOrder<'a> {
    /// Of everything, with a fresh ID of 128 random bits, valid for five minutes.
    pub fn new(issuer: &'a str, name_id: &'a NameId) -> Self {
        let id = format!("_{}", id::random_id());
        Self { id, issuer, name_id, session_indexes: &[], reason: None, valid_seconds: 300, encrypt: None }
    }
}

/// The LogoutRequest, ready for the browser.
///
/// # Errors
/// When the key cannot sign or the partner's certificate cannot encrypt.
pub fn logout_request(
    order: &LogoutOrder<'_>,
    service: &LogoutService,
    relay_state: Option<&str>,
    signer: Signer<'_>,
    now: Timestamp,
) -> CrateResult<Outgoing> {
    let xml = write_request(order, &service.location, now)?;
    send(MessageKind::Request, &xml, (service.binding, &service.location), relay_state, signer)
}

/// The LogoutRequest, signed and in an envelope, for the partner's own ears.
///
/// # Errors
/// As [`logout_request`].
pub fn logout_request_in_envelope(order: &LogoutOrder<'_>, location: &Url, signer: Signer<'_>, now: Timestamp) -> CrateResult<String> {
    Ok(soap::envelope(&signature::sign(&write_request(order, location, now)?, signer)?))
}

fn write_request(order: &LogoutOrder<'_>, location: &Url, now: Timestamp) -> CrateResult<String> {
    let mut writer = Writer::new();
    writer.start("samlp:LogoutRequest");
    head(&mut writer, &order.id, Some(location), now);
    writer.attribute("NotOnOrAfter", &now.plus_seconds(order.valid_seconds).to_string()).optional("Reason", order.reason);
    writer.leaf("saml:Issuer", order.issuer);
    match order.encrypt {
        Some(encrypt) => writer.written(&encrypted_name_id(order.name_id, encrypt)?),
        None => write_name_id(&mut writer, order.name_id),
    };
    for index in order.session_indexes {
        writer.leaf("samlp:SessionIndex", index);
    }
    Ok(writer.finish())
}

/// The answer to a request; only a verified one has it.
pub(super) fn logout_response(
    (issuer, in_response_to): (&str, &str),
    service: &LogoutService,
    outcome: &LogoutOutcome,
    relay_state: Option<&str>,
    signer: Signer<'_>,
    now: Timestamp,
) -> CrateResult<Outgoing> {
    let destination = service.for_responses();
    let xml = write_response((issuer, in_response_to), Some(destination), outcome, now);
    send(MessageKind::Response, &xml, (service.binding, destination), relay_state, signer)
}

pub(super) fn logout_response_in_envelope(
    (issuer, in_response_to): (&str, &str),
    outcome: &LogoutOutcome,
    signer: Signer<'_>,
    now: Timestamp,
) -> CrateResult<String> {
    let xml = write_response((issuer, in_response_to), None, outcome, now);
    Ok(soap::envelope(&signature::sign(&xml, signer)?))
}

fn write_response((issuer, in_response_to): (&str, &str), destination: Option<&Url>, outcome: &LogoutOutcome, now: Timestamp) -> String {
    let mut writer = Writer::new();
    writer.start("samlp:LogoutResponse");
    head(&mut writer, &format!("_{}", id::random_id()), destination, now);
    writer.attribute("InResponseTo", in_response_to);
    writer.leaf("saml:Issuer", issuer);
    write_status(&mut writer, outcome);
    writer.finish()
}

fn head(writer: &mut Writer, id: &str, destination: Option<&Url>, now: Timestamp) {
    writer.attribute("xmlns:samlp", names::SAMLP).attribute("xmlns:saml", names::SAML);
    writer.attribute("ID", id).attribute("Version", "2.0").attribute("IssueInstant", &now.to_string());
    writer.optional("Destination", destination.map(Url::as_str));
}

// SAML Core 3.7.3.2: PartialLogout is a second-level code; the request itself was fulfilled.
fn write_status(writer: &mut Writer, outcome: &LogoutOutcome) {
    let full = |code: &str| format!("{}{code}", names::STATUS_PREFIX);
    let (top, second, message) = match outcome {
        LogoutOutcome::Done => (names::STATUS_SUCCESS.to_owned(), None, None),
        LogoutOutcome::Partial => (names::STATUS_SUCCESS.to_owned(), Some(names::STATUS_PARTIAL_LOGOUT.to_owned()), None),
        LogoutOutcome::Failed { top, second, message } => (full(top), second.as_deref().map(full), message.as_deref()),
    };
    writer.start("samlp:Status").start("samlp:StatusCode").attribute("Value", &top);
    if let Some(second) = second {
        writer.start("samlp:StatusCode").attribute("Value", &second).end();
    }
    writer.end();
    if let Some(message) = message {
        writer.leaf("samlp:StatusMessage", message);
    }
    writer.end();
}

// SAML Profiles 4.4.4.1, 4.4.4.2: in the front channel both messages MUST be signed.
fn send(
    kind: MessageKind,
    xml: &str,
    (binding, to): (Binding, &Url),
    relay_state: Option<&str>,
    signer: Signer<'_>,
) -> CrateResult<Outgoing> {
    match binding {
        Binding::Redirect => encode_redirect(kind, xml, to, relay_state, Some(signer)).map(Outgoing::Redirect),
        Binding::Post => Ok(encode_post(kind, &signature::sign(xml, signer)?, to, relay_state)),
    }
}
