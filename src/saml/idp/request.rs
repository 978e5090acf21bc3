//! Reading AuthnRequests (SAML Core 3.4.1). What is read here is only what somebody says; `receive.rs` judges it.

use crate::clock::Timestamp;
use crate::saml::assertion::{only, read_date};
use crate::saml::binding::{MessageKind, RedirectMessage, decode_post, decode_redirect};
use crate::saml::message::boolean;
use crate::saml::names;
use crate::saml::rejection::{Check, Checks, Part, Rejection};
use crate::saml::signature::{self, Allowed, SignedXml, TrustedKeys};
use crate::saml::sp::Comparison;
use crate::saml::trust::Verification;
use crate::saml::xml::{Element, Limits, is_ncname, parse};
use std::str::FromStr;

/// Entries of one list in a request; the longest honest ones have a handful.
const LIST_LIMIT: usize = 100;

/// What an AuthnRequest says. Whether to believe it is the caller's business: its ACS URL must be a registered one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthnRequest {
    pub id: String,
    pub issuer: String,
    pub destination: Option<String>,
    pub issue_instant: Option<Timestamp>,
    pub acs_url: Option<String>,
    pub acs_index: Option<u16>,
    pub attribute_consuming_service_index: Option<u16>,
    pub protocol_binding: Option<String>,
    pub force_authn: bool,
    pub is_passive: bool,
    pub name_id_format: Option<String>,
    pub sp_name_qualifier: Option<String>,
    pub allow_create: Option<bool>,
    /// How the classes compare; Exact where nothing is said.
    pub comparison: Comparison,
    pub requested_authn_context: Vec<String>,
    pub requester_ids: Vec<String>,
    /// The identity providers that the application accepts (Scoping/IDPList); empty: any.
    pub idp_list: Vec<String>,
    pub proxy_count: Option<u32>,
    /// The NameID of the Subject; an encrypted one only where there are keys to open it.
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
    let request = read_alone(document.root())?;
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
            read_alone(signed.document()?.root())?
        }
        None => read_alone(document.root())?,
    };
    Ok(AuthnRequest { relay_state: relay_state.map(str::to_owned), signed: keys.is_some(), ..request })
}

fn read_alone(root: Element<'_>) -> Result<AuthnRequest, Rejection> {
    if !root.is(names::SAMLP, "AuthnRequest") {
        return Err(Rejection::WrongRoot { expected: "samlp:AuthnRequest", found: root.local_name().to_owned() });
    }
    let version = root.attribute("Version").unwrap_or_default();
    if version != "2.0" {
        return Err(Rejection::WrongVersion { on: Part::Request, found: version.to_owned() });
    }
    read_request(root)
}

/// Where an answer is wanted: the part of a request that is needed to answer at all.
#[derive(Debug)]
pub(super) struct AskedAcs<'d> {
    pub url: Option<&'d str>,
    pub index: Option<u16>,
    pub protocol_binding: Option<&'d str>,
}

impl<'d> AskedAcs<'d> {
    // SAML Core 3.4.1: an index excludes a URL and a binding.
    pub fn read(root: Element<'d>) -> Result<Self, Rejection> {
        let (url, binding) = (root.attribute("AssertionConsumerServiceURL"), root.attribute("ProtocolBinding"));
        let index = number(root, "AssertionConsumerServiceIndex")?;
        if index.is_some() && (url.is_some() || binding.is_some()) {
            return Err(structure("AssertionConsumerServiceIndex excludes AssertionConsumerServiceURL and ProtocolBinding"));
        }
        Ok(Self { url, index, protocol_binding: binding })
    }
}

/// Everything of a request but an EncryptedID.
pub(super) fn read_request(root: Element<'_>) -> Result<AuthnRequest, Rejection> {
    let on = Part::Request;
    let owned = |name| root.attribute(name).map(str::to_owned);
    let issuer = only(root, names::SAML, "Issuer", on)?.map(text).filter(|issuer| !issuer.is_empty());
    let asked = AskedAcs::read(root)?;
    let policy = only(root, names::SAMLP, "NameIDPolicy", on)?;
    let scoping = only(root, names::SAMLP, "Scoping", on)?;
    let idp_list = scoping.map(|scoping| only(scoping, names::SAMLP, "IDPList", on)).transpose()?.flatten();
    let entries = idp_list.into_iter().flat_map(|list| list.children_named(names::SAMLP, "IDPEntry"));
    let (comparison, classes) = authn_context(root)?;
    let subject = only(root, names::SAML, "Subject", on)?;
    Ok(AuthnRequest {
        id: root.attribute("ID").filter(|id| is_ncname(id)).ok_or(Rejection::IdMissing { on })?.to_owned(),
        issuer: issuer.ok_or(Rejection::IssuerMissing { on, expected: "an application".to_owned() })?,
        destination: owned("Destination"),
        issue_instant: root.attribute("IssueInstant").and_then(read_date),
        acs_url: asked.url.map(str::to_owned),
        acs_index: asked.index,
        attribute_consuming_service_index: number(root, "AttributeConsumingServiceIndex")?,
        protocol_binding: asked.protocol_binding.map(str::to_owned),
        force_authn: boolean(root, on, "ForceAuthn")?.unwrap_or(false),
        is_passive: boolean(root, on, "IsPassive")?.unwrap_or(false),
        name_id_format: policy.and_then(|policy| policy.attribute("Format")).map(str::to_owned),
        sp_name_qualifier: policy.and_then(|policy| policy.attribute("SPNameQualifier")).map(str::to_owned),
        allow_create: policy.map(|policy| boolean(policy, on, "AllowCreate")).transpose()?.flatten(),
        comparison,
        requested_authn_context: classes,
        requester_ids: list(scoping.into_iter().flat_map(|scoping| scoping.children_named(names::SAMLP, "RequesterID")).map(text))?,
        idp_list: list(entries.map(|entry| entry.attribute("ProviderID").unwrap_or_default().trim().to_owned()))?,
        proxy_count: scoping.map(|scoping| number(scoping, "ProxyCount")).transpose()?.flatten(),
        subject_hint: subject.and_then(|subject| subject.child(names::SAML, "NameID")).map(text).filter(|hint| !hint.is_empty()),
        relay_state: None,
        signed: false,
    })
}

// SAML Core 3.3.2.2.1. Declarations (AuthnContextDeclRef) are not known here; `receive.rs` refuses them by name.
fn authn_context(root: Element<'_>) -> Result<(Comparison, Vec<String>), Rejection> {
    let Some(context) = only(root, names::SAMLP, "RequestedAuthnContext", Part::Request)? else {
        return Ok((Comparison::Exact, Vec::new()));
    };
    let comparison = match context.attribute("Comparison").map(str::trim) {
        None | Some("exact") => Comparison::Exact,
        Some("minimum") => Comparison::Minimum,
        Some("maximum") => Comparison::Maximum,
        Some("better") => Comparison::Better,
        Some(_) => return Err(structure("Comparison is none of exact, minimum, maximum and better")),
    };
    Ok((comparison, list(context.children_named(names::SAML, "AuthnContextClassRef").map(text))?))
}

fn list(entries: impl Iterator<Item = String>) -> Result<Vec<String>, Rejection> {
    let entries: Vec<String> = entries.take(LIST_LIMIT + 1).collect();
    if entries.len() > LIST_LIMIT {
        return Err(Rejection::TooComplex { what: "entries in one list", limit: LIST_LIMIT });
    }
    Ok(entries)
}

fn number<N: FromStr>(element: Element<'_>, name: &'static str) -> Result<Option<N>, Rejection> {
    let Some(found) = element.attribute(name) else { return Ok(None) };
    found.trim().parse().map(Some).map_err(|_| structure(&format!("{name} is not a number as it should be")))
}

fn structure(why: &str) -> Rejection {
    Rejection::Structure { on: Part::Request, why: why.to_owned() }
}

/// The whole character data, also of elements inside: an identifier is never cut at one.
fn text(element: Element<'_>) -> String {
    element.deep_text().trim().to_owned()
}
