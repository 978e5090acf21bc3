//! What AuthnRequest, LogoutRequest and LogoutResponse have in common: how they arrive, whose signature they carry, and
//! what must hold of their first lines.
//!
//! As with responses, a message is read out of what its signature covered: the raw octets of the query (Redirect) or the
//! verified bytes of the root (POST). An unsigned one is read too, where its receiver allows that.

use super::assertion::{NameId, only, read_date};
use super::binding::{Binding, MessageKind, RELAY_STATE_LIMIT, RedirectMessage, decode_post, decode_redirect};
use super::encryption::decrypt_element;
use super::names;
use super::rejection::{Checks, Part, Rejection};
use super::signature::{self, Allowed, SignedXml, TrustedKeys};
use super::soap;
use super::trust::Verification;
use super::xml::{Document, Element, Limits, is_ncname, parse, parse_in_context};
use crate::clock::Timestamp;
use crate::keys::CertifiedKey;

/// Characters of an ID; longer ones would only fill stores.
const ID_LIMIT: usize = 256;

/// A message as the browser brought it.
#[derive(Clone, Copy, Debug)]
pub enum Incoming<'a> {
    /// The query string, not decoded in any way.
    Redirect { raw_query: &'a str },
    /// The form value of SAMLRequest or SAMLResponse, and that of RelayState.
    Post { message: &'a str, relay_state: Option<&'a str> },
}

/// The terms on which messages of a partner are taken. The default is the strict one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePolicy {
    /// How far the clocks may differ.
    pub skew_seconds: i64,
    /// How old the IssueInstant of a message may be.
    pub max_age_seconds: i64,
    pub allow_sha1: bool,
    pub allow_inclusive_c14n: bool,
    /// For an EncryptedID; AES-CBC has no integrity of its own.
    pub allow_cbc: bool,
    /// Ask libxmlsec1 too about signatures inside a message (where it is compiled in).
    pub second_opinion: bool,
}

impl Default for MessagePolicy {
    fn default() -> Self {
        Self {
            skew_seconds: 60,
            max_age_seconds: 300,
            allow_sha1: false,
            allow_inclusive_c14n: false,
            allow_cbc: false,
            second_opinion: true,
        }
    }
}

/// A decoded message of which nothing is verified yet.
#[derive(Debug)]
pub(super) struct Arrived {
    xml: String,
    pub relay_state: Option<String>,
    pub binding: Binding,
    redirect: Option<RedirectMessage>,
    /// `xml` is an envelope, with the message in it.
    pub soap: bool,
}

/// What verifies a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verifier<'a> {
    pub part: Part,
    /// The sender's keys; `None` when it has none registered.
    pub keys: Option<&'a TrustedKeys>,
    /// Refuse messages without signature.
    pub required: bool,
    pub policy: &'a MessagePolicy,
}

impl Arrived {
    pub fn decode(incoming: Incoming<'_>, kind: MessageKind) -> Result<Self, Rejection> {
        match incoming {
            Incoming::Redirect { raw_query } => {
                let mut message = decode_redirect(raw_query)?;
                if message.kind != kind {
                    return Err(Rejection::MessageMissing { parameter: kind.parameter() });
                }
                let (xml, relay_state) = (std::mem::take(&mut message.xml), message.relay_state.take());
                Ok(Self { xml, relay_state, binding: Binding::Redirect, redirect: Some(message), soap: false })
            }
            Incoming::Post { message, relay_state } => {
                if relay_state.is_some_and(|state| state.len() > RELAY_STATE_LIMIT) {
                    return Err(Rejection::TooLarge { limit: RELAY_STATE_LIMIT });
                }
                let xml = decode_post(message)?;
                Ok(Self { xml, relay_state: relay_state.map(str::to_owned), binding: Binding::Post, redirect: None, soap: false })
            }
        }
    }

    /// A message in an envelope, from partner to partner. Its signature is where that of a message by POST is.
    pub fn in_envelope(envelope: String) -> Self {
        Self { xml: envelope, relay_state: None, binding: Binding::Post, redirect: None, soap: true }
    }

    fn document(&self) -> Result<Document<'_>, Rejection> {
        if self.soap { soap::read(&self.xml) } else { parse(&self.xml, Limits::MESSAGE).map_err(Rejection::from) }
    }

    /// The message itself.
    fn root<'d>(&self, document: &'d Document<'_>) -> Result<Element<'d>, Rejection> {
        if self.soap { soap::message(document) } else { Ok(document.root()) }
    }

    /// The Issuer, still unproven: for finding whose message it is.
    pub fn peek_issuer(&self, root: &'static str) -> Result<String, Rejection> {
        self.peek(root).map(|(issuer, _)| issuer)
    }

    /// Issuer and InResponseTo, both unproven.
    pub fn peek(&self, root: &'static str) -> Result<(String, Option<String>), Rejection> {
        let document = self.document()?;
        let message = self.root(&document)?;
        expect_root(message, root)?;
        let part = part_of(root);
        let issuer = only(message, names::SAML, "Issuer", part)?.map(|issuer| issuer.deep_text().trim().to_owned());
        let issuer = issuer.filter(|issuer| !issuer.is_empty());
        let issuer = issuer.ok_or(Rejection::IssuerMissing { on: part, expected: "a known partner".to_owned() })?;
        let answers = message.attribute("InResponseTo").filter(|id| !id.is_empty() && id.len() <= ID_LIMIT).map(str::to_owned);
        Ok((issuer, answers))
    }

    /// Verifies the message and reads it, from nothing but what was verified. `read` is told whether there was a signature.
    pub fn read<T>(
        &self,
        root: &'static str,
        by: Verifier<'_>,
        checks: &mut Checks<'_>,
        read: impl FnOnce(Element<'_>, bool, &mut Checks<'_>) -> T,
    ) -> Result<T, Rejection> {
        let document = checks.outcome("well-formed", "strict XML", self.document())?;
        let element = self.root(&document)?;
        checks.outcome("message-kind", root, expect_root(element, root))?;
        // SAML Bindings 3.4.4.1: in a redirect there is no signature but the one over the query.
        let places: &[Element<'_>] = if self.redirect.is_some() { &[] } else { &[element] };
        signature::check_document(&document, places, checks)?;
        let signed = match &self.redirect {
            Some(redirect) => redirect.is_signed(),
            None => signature::is_signed(element),
        };
        let found = if signed { "signed" } else { "unsigned" };
        let expected = if by.required { "signed" } else { "signed or not" };
        checks.require("signed", signed || !by.required, expected, found, || Rejection::Unsigned { on: by.part })?;
        if !signed {
            return Ok(read(element, false, checks));
        }
        let keys = checks.outcome("verification-key", "a registered certificate", by.keys.ok_or(missing_key(by.part)))?;
        let policy = by.policy;
        let allowed = Allowed { sha1: policy.allow_sha1, inclusive_c14n: policy.allow_inclusive_c14n };
        if let Some(redirect) = &self.redirect {
            redirect.verify(keys, allowed, checks.0)?;
            return Ok(read(element, true, checks));
        }
        let evidence = policy.second_opinion && cfg!(feature = "xmlsec");
        let signed = SignedXml::verify(element, by.part, Verification { keys, allowed, evidence }, checks)?;
        #[cfg(feature = "xmlsec")]
        if evidence {
            super::second_opinion::confirm(&signed, None, checks)?;
        }
        Ok(read(signed.document()?.root(), true, checks))
    }
}

const fn missing_key(on: Part) -> Rejection {
    Rejection::VerificationKeyMissing { on }
}

fn expect_root(element: Element<'_>, expected: &'static str) -> Result<(), Rejection> {
    let local = expected.strip_prefix("samlp:").unwrap_or(expected);
    if element.is(names::SAMLP, local) {
        return Ok(());
    }
    Err(Rejection::WrongRoot { expected, found: element.local_name().to_owned() })
}

fn part_of(root: &str) -> Part {
    match root {
        "samlp:LogoutRequest" => Part::LogoutRequest,
        "samlp:LogoutResponse" => Part::LogoutResponse,
        _ => Part::Request,
    }
}

/// Against what the first lines of a message are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadJudge<'a> {
    pub part: Part,
    /// The sender's entity ID.
    pub issuer: &'a str,
    /// Where the message was received.
    pub destination: &'a str,
    pub policy: &'a MessagePolicy,
    pub now: Timestamp,
}

/// What held.
#[derive(Debug)]
pub(super) struct Head {
    pub id: String,
    /// Until when the ID must be remembered: after it the message is too old anyway.
    pub remember_until: Timestamp,
}

impl HeadJudge<'_> {
    pub fn judge(&self, root: Element<'_>, signed: bool, checks: &mut Checks<'_>) -> Result<Head, Rejection> {
        let on = self.part;
        // 1. SAML Core 3.2.1, 3.2.2: the version MUST be "2.0".
        let version = root.attribute("Version").unwrap_or_default();
        checks.require("version", version == "2.0", "2.0", version, || Rejection::WrongVersion { on, found: version.to_owned() })?;
        // 2. SAML Core 1.3.4: an ID of type xs:ID.
        let id = root.attribute("ID").filter(|id| is_ncname(id) && id.len() <= ID_LIMIT).ok_or(Rejection::IdMissing { on });
        let id = checks.outcome("id", "an ID", id)?;
        // 3. Whose it is.
        self.issuer(root, checks)?;
        // 4. That it is for us.
        self.destination(root.attribute("Destination"), signed, checks)?;
        // 5. That it is of now.
        let issued = self.issue_instant(root, checks)?;
        let policy = self.policy;
        let remember_until = issued.plus_seconds(policy.max_age_seconds).plus_seconds(policy.skew_seconds).plus_seconds(1);
        Ok(Head { id: id.to_owned(), remember_until })
    }

    // SAML Profiles 4.1.4.1, 4.4.4.1: the Issuer is the sender's entity ID, its Format omitted or entity.
    fn issuer(&self, root: Element<'_>, checks: &mut Checks<'_>) -> Result<(), Rejection> {
        let (on, expected) = (self.part, self.issuer);
        let issuer = only(root, names::SAML, "Issuer", on)?;
        let value = issuer.map(|issuer| issuer.deep_text().trim().to_owned());
        let found = value.clone().unwrap_or_else(|| "none".to_owned());
        checks.require("issuer", value.as_deref() == Some(expected), expected, &found, || match &value {
            None => Rejection::IssuerMissing { on, expected: expected.to_owned() },
            Some(value) => Rejection::WrongIssuer { on, expected: expected.to_owned(), found: value.clone() },
        })?;
        let format = issuer.and_then(|issuer| issuer.attribute("Format")).unwrap_or(names::NAMEID_ENTITY);
        checks.require("issuer-format", format == names::NAMEID_ENTITY, names::NAMEID_ENTITY, format, || Rejection::WrongIssuerFormat {
            on,
            found: format.to_owned(),
        })
    }

    // SAML Bindings 3.4.5.2, 3.5.5.2: the Destination of a signed message MUST be there and be where it was received.
    fn destination(&self, found: Option<&str>, signed: bool, checks: &mut Checks<'_>) -> Result<(), Rejection> {
        let expected = self.destination;
        match found {
            None | Some("") => checks.require("destination-present", !signed, expected, "none", || Rejection::DestinationMissing {
                expected: expected.to_owned(),
            }),
            Some(found) => checks.require("destination", found == expected, expected, found, || Rejection::WrongDestination {
                expected: expected.to_owned(),
                found: found.to_owned(),
            }),
        }
    }

    fn issue_instant(&self, root: Element<'_>, checks: &mut Checks<'_>) -> Result<Timestamp, Rejection> {
        let (on, now, policy) = (self.part, self.now, self.policy);
        let issued = date(root, on, "IssueInstant")?.ok_or(Rejection::DateMissing { on, name: "IssueInstant" });
        let issued = checks.outcome("issue-instant", "a date", issued)?;
        let (skew_seconds, window_seconds) = (policy.skew_seconds, policy.max_age_seconds);
        let offset = format!("{issued}, {} s from {now}", issued.seconds_since(now));
        let future = issued > now.plus_seconds(skew_seconds);
        checks.require("not-issued-in-future", !future, format!("at most {skew_seconds} s ahead"), &offset, || {
            Rejection::IssuedInFuture { on, issued, now, skew_seconds }
        })?;
        let old = issued.plus_seconds(window_seconds).plus_seconds(skew_seconds) < now;
        checks.require("not-issued-too-long-ago", !old, format!("at most {window_seconds} s ago"), &offset, || {
            Rejection::IssuedTooLongAgo { on, issued, now, window_seconds }
        })?;
        Ok(issued)
    }
}

/// A date in an attribute, if it is there.
pub(super) fn date(element: Element<'_>, on: Part, name: &'static str) -> Result<Option<Timestamp>, Rejection> {
    let Some(text) = element.attribute(name) else { return Ok(None) };
    read_date(text).map(Some).ok_or_else(|| Rejection::DateUnreadable { on, name, found: text.to_owned() })
}

/// `xs:boolean`, if it is there.
pub(super) fn boolean(element: Element<'_>, on: Part, name: &'static str) -> Result<Option<bool>, Rejection> {
    match element.attribute(name).map(str::trim) {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(Rejection::Structure { on, why: format!("{name} is neither true nor false") }),
    }
}

/// The NameID of a request, opened if it is encrypted. An empty one is none.
pub(super) fn name_id(
    parent: Element<'_>,
    on: Part,
    keys: &[&CertifiedKey],
    allow_cbc: bool,
    checks: &mut Checks<'_>,
) -> Result<Option<NameId>, Rejection> {
    let plain = only(parent, names::SAML, "NameID", on)?;
    let encrypted = only(parent, names::SAML, "EncryptedID", on)?;
    let found = match (plain, encrypted) {
        (Some(_), Some(_)) => return Err(Rejection::Structure { on, why: "both NameID and EncryptedID are given".to_owned() }),
        (Some(plain), None) => Some(NameId::read(plain)),
        (None, Some(encrypted)) => {
            let opened = decrypt_element(encrypted, keys, allow_cbc).and_then(|text| read_decrypted(&text, encrypted, allow_cbc));
            Some(checks.outcome("decryption", "our key opens it", opened)?)
        }
        (None, None) => None,
    };
    Ok(found.filter(|name_id| !name_id.value.is_empty()))
}

fn read_decrypted(text: &str, encrypted: Element<'_>, allow_cbc: bool) -> Result<NameId, Rejection> {
    // AES-CBC has no integrity: how its plain text is broken must not be told.
    let told = |rejection: Rejection| if allow_cbc { Rejection::DecryptionFailed } else { rejection };
    let document = parse_in_context(text, Limits::MESSAGE, &encrypted.namespace_context()).map_err(|error| told(error.into()))?;
    let root = document.root();
    if !root.is(names::SAML, "NameID") {
        return Err(told(Rejection::WrongRoot { expected: "saml:NameID", found: root.local_name().to_owned() }));
    }
    Ok(NameId::read(root))
}
