//! Reading AuthnRequests (SAML Core 3.4.1). What is read here is only what somebody says.

use crate::clock::Timestamp;
use crate::saml::assertion::read_date;
use crate::saml::binding::{MessageKind, RedirectMessage, decode_post, decode_redirect};
use crate::saml::names;
use crate::saml::rejection::{Check, Checks, Part, Rejection};
use crate::saml::signature::{self, Allowed, SignedXml, TrustedKeys};
use crate::saml::trust::Verification;
use crate::saml::xml::{Element, Limits, is_ncname, parse};

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
        id: root.attribute("ID").filter(|id| is_ncname(id)).ok_or(Rejection::IdMissing { on: Part::Request })?.to_owned(),
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
