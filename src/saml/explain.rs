//! Reading messages in order to explain them to an operator, also those that a login refuses.
//!
//! Nothing here is for logins: what comes out is an [`ExplainedAssertion`], from which no verified type can be made. The
//! reader and its limits are those of a login, except that comments are skipped where it only matters what was meant.

use super::assertion::{Attribute, AuthnStatement, NameId, Said, read_date};
use super::conditions::{Judge, subject_attribute};
use super::encryption::decrypt_element;
use super::metadata::text;
use super::names;
use super::receive::encrypted::Keys;
use super::receive::{Received, Receiver};
use super::rejection::{Check, Checks, Rejection};
use super::sp::{Expected, IdpTrust, ResponsePolicy, SpSettings};
use super::xml::{Element, Limits, parse, parse_in_context};
use crate::clock::Timestamp;
use crate::keys::CertifiedKey;

/// What a message says of itself; nobody has verified it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageHead {
    /// An assertion without a response around it.
    pub is_assertion: bool,
    /// The assertion is encrypted.
    pub is_encrypted: bool,
    /// Who says it is theirs.
    pub issuer: Option<String>,
    pub issue_instant: Option<Timestamp>,
    /// Of the response, or of the assertion's confirmation where there is no response.
    pub in_response_to: Option<String>,
}

/// Looks at a message from outside. `None` for what is no XML, or XML of another kind.
pub fn message_head(xml: &str) -> Option<MessageHead> {
    let document = parse(xml, LENIENT).ok()?;
    let root = document.root();
    let issuer = root.child(names::SAML, "Issuer").map(text).filter(|issuer| !issuer.is_empty());
    let issue_instant = root.attribute("IssueInstant").and_then(read_date);
    if root.is(names::SAMLP, "Response") {
        return Some(MessageHead {
            is_assertion: false,
            is_encrypted: root.child(names::SAML, "EncryptedAssertion").is_some(),
            issuer,
            issue_instant,
            in_response_to: root.attribute("InResponseTo").map(str::to_owned),
        });
    }
    root.is(names::SAML, "Assertion").then(|| MessageHead {
        is_assertion: true,
        is_encrypted: false,
        issuer,
        issue_instant,
        in_response_to: root.child(names::SAML, "Subject").and_then(confirmed_request).map(str::to_owned),
    })
}

/// What an assertion says, whether or not it is true. For explanations only.
#[derive(Clone, Debug)]
pub struct ExplainedAssertion {
    issuer: Option<String>,
    subject: Option<String>,
    name_id: Option<NameId>,
    attributes: Vec<Attribute>,
    statement: Option<AuthnStatement>,
}

impl ExplainedAssertion {
    pub fn said(&self) -> Said<'_> {
        let statement = self.statement.as_ref();
        Said {
            issuer: self.issuer.as_deref(),
            subject: self.subject.as_deref(),
            name_id: self.name_id.as_ref(),
            attributes: &self.attributes,
            authn_instant: statement.map(|statement| statement.authn_instant),
            authn_context_class_ref: statement.and_then(|statement| statement.context_class_ref.as_deref()),
            session_index: statement.and_then(|statement| statement.session_index.as_deref()),
            authenticating_authorities: statement.map_or(&[], |statement| &statement.authenticating_authorities),
        }
    }
}

/// Reads the first assertion of a message without verifying anything: neither signature nor issuer nor validity.
///
/// # Errors
/// When the message cannot be read at all, has no assertion, or one that our keys do not open.
pub fn unverified_attributes_for_explanation(
    xml: &str,
    decryption_keys: &[&CertifiedKey],
    policy: &ResponsePolicy,
) -> Result<ExplainedAssertion, Rejection> {
    let document = parse(xml, LENIENT)?;
    let root = document.root();
    if root.is(names::SAML, "Assertion") {
        return Ok(read_leniently(root, decryption_keys, policy));
    }
    if let Some(assertion) = root.child(names::SAML, "Assertion") {
        return Ok(read_leniently(assertion, decryption_keys, policy));
    }
    let encrypted = root.child(names::SAML, "EncryptedAssertion").ok_or(Rejection::AssertionMissing)?;
    let text = decrypt_element(encrypted, decryption_keys, policy.allow_cbc)?;
    // AES-CBC has no integrity: how its plain text is broken is told nowhere.
    let document = parse_in_context(&text, LENIENT, &encrypted.namespace_context()).map_err(|_| Rejection::DecryptionFailed)?;
    if !document.root().is(names::SAML, "Assertion") {
        return Err(Rejection::DecryptionFailed);
    }
    Ok(read_leniently(document.root(), decryption_keys, policy))
}

/// Verifies an assertion that has no response around it, by the same functions as a login. No login accepts one.
///
/// # Errors
/// The [`Rejection`] of the first check that fails; every check is noted.
pub fn examine_assertion_alone(
    xml: &str,
    sp: &SpSettings,
    idp: &IdpTrust,
    decryption_keys: &[&CertifiedKey],
    policy: &ResponsePolicy,
    expected: &Expected<'_>,
    checks: &mut Vec<Check>,
) -> Result<ExplainedAssertion, Rejection> {
    let judge = Judge { our_entity_id: &sp.entity_id, acs_url: sp.acs_url.as_str(), idp_entity_id: &idp.entity_id, policy, expected };
    let received = Receiver { judge, keys: &idp.keys, decryption_keys }.receive_assertion_alone(xml, &mut Checks(checks))?;
    let Received { content, subject, .. } = received;
    Ok(ExplainedAssertion {
        issuer: content.issuer.map(|issuer| issuer.value),
        subject: Some(subject),
        name_id: content.name_id,
        attributes: content.attributes,
        statement: content.authn_statements.into_iter().next(),
    })
}

const LENIENT: Limits = Limits { skip_comments: true, ..Limits::MESSAGE };

/// Takes what is there; what is missing, repeated or no date is left out.
fn read_leniently(assertion: Element<'_>, decryption_keys: &[&CertifiedKey], policy: &ResponsePolicy) -> ExplainedAssertion {
    let (opening, mut unnoted) = (Keys { keys: decryption_keys, allow_cbc: policy.allow_cbc }, Vec::new());
    let plain = assertion.child(names::SAML, "Subject").and_then(|subject| subject.child(names::SAML, "NameID")).map(NameId::read);
    let name_id = plain.or_else(|| opening.name_id(assertion, &mut Checks(&mut unnoted)).ok().flatten());
    let mut attributes = Attribute::read_all(assertion);
    attributes.extend(opening.attributes(assertion, &mut Checks(&mut unnoted)).unwrap_or_default());
    let subject = match &policy.subject_attribute {
        Some(name) => subject_attribute(&attributes, name),
        None => name_id.as_ref().map(|name_id| name_id.value.as_str()).filter(|value| !value.is_empty()),
    };
    ExplainedAssertion {
        issuer: assertion.child(names::SAML, "Issuer").map(|issuer| issuer.deep_text().trim().to_owned()),
        subject: subject.map(str::to_owned),
        statement: assertion.child(names::SAML, "AuthnStatement").and_then(|statement| AuthnStatement::read(statement).ok()),
        name_id,
        attributes,
    }
}

fn confirmed_request(subject: Element<'_>) -> Option<&str> {
    subject
        .children_named(names::SAML, "SubjectConfirmation")
        .filter_map(|confirmation| confirmation.child(names::SAML, "SubjectConfirmationData"))
        .find_map(|data| data.attribute("InResponseTo"))
}
