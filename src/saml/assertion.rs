//! Responses and assertions as types, read out of bytes that a signature covered.
//!
//! This file only reads; what must hold is in `conditions.rs`.

use super::names;
use super::rejection::{Part, Rejection};
use super::xml::Element;
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// A NameID with its qualifiers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameId {
    /// Without white space around it; may be empty.
    pub value: String,
    pub format: Option<String>,
    pub name_qualifier: Option<String>,
    pub sp_name_qualifier: Option<String>,
    pub sp_provided_id: Option<String>,
}

/// One `Attribute` element. The same name may occur several times; all instances are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub name_format: Option<String>,
    pub friendly_name: Option<String>,
    pub values: Vec<AttributeValue>,
}

/// One `AttributeValue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Character data, with the local name of its `xsi:type` if it has one.
    Text { value: String, xsi_type: Option<String> },
    /// A NameID inside, as eduPersonTargetedID has it.
    NameId(NameId),
    /// Other elements inside: their character data, joined.
    Structured { text: String },
    /// `xsi:nil="true"`.
    Nil,
}

impl AttributeValue {
    /// The value as text; `None` for nil.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { value, .. } => Some(value),
            Self::NameId(name_id) => Some(&name_id.value),
            Self::Structured { text } => Some(text),
            Self::Nil => None,
        }
    }
}

/// What an assertion says of a person, borrowed. By itself it proves nothing: a login takes it from a [`VerifiedAssertion`],
/// an explanation from any.
///
/// [`VerifiedAssertion`]: super::VerifiedAssertion
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub issuer: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub name_id: Option<&'a NameId>,
    pub attributes: &'a [Attribute],
    pub authn_instant: Option<Timestamp>,
    pub authn_context_class_ref: Option<&'a str>,
    pub session_index: Option<&'a str>,
    pub authenticating_authorities: &'a [String],
}

/// One `SubjectConfirmation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SubjectConfirmation {
    pub method: String,
    pub recipient: Option<String>,
    pub in_response_to: Option<String>,
    pub not_before: Option<String>,
    pub not_on_or_after: Option<Timestamp>,
}

/// One `AuthnStatement`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuthnStatement {
    pub authn_instant: Timestamp,
    pub session_index: Option<String>,
    pub session_not_on_or_after: Option<Timestamp>,
    pub context_class_ref: Option<String>,
    pub authenticating_authorities: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conditions {
    pub not_before: Option<Timestamp>,
    pub not_on_or_after: Option<Timestamp>,
    /// One list per AudienceRestriction.
    pub audience_restrictions: Vec<Vec<String>>,
    /// What is neither AudienceRestriction, OneTimeUse nor ProxyRestriction.
    pub unknown: Vec<String>,
}

/// An Issuer element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issuer {
    pub value: String,
    pub format: Option<String>,
}

/// What a Response says around its assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResponseHead {
    pub id: Option<String>,
    pub version: String,
    pub issue_instant: Option<Timestamp>,
    pub destination: Option<String>,
    pub in_response_to: Option<String>,
    pub issuer: Option<Issuer>,
    pub status: Option<Status>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub top: String,
    pub second: Option<String>,
    pub message: Option<String>,
}

/// An assertion as it was read, not yet judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AssertionContent {
    pub id: String,
    pub version: String,
    pub issue_instant: Option<Timestamp>,
    pub issuer: Option<Issuer>,
    pub has_subject: bool,
    pub name_id: Option<NameId>,
    pub confirmations: Vec<SubjectConfirmation>,
    pub conditions: Option<Conditions>,
    pub authn_statements: Vec<AuthnStatement>,
    pub attributes: Vec<Attribute>,
}

impl ResponseHead {
    pub fn read(response: Element<'_>) -> Result<Self, Rejection> {
        let owned = |name| response.attribute(name).map(str::to_owned);
        Ok(Self {
            id: owned("ID"),
            version: owned("Version").unwrap_or_default(),
            issue_instant: date(response, Part::Response, "IssueInstant")?,
            destination: owned("Destination"),
            in_response_to: owned("InResponseTo"),
            issuer: only(response, names::SAML, "Issuer", Part::Response)?.map(Issuer::read),
            status: only(response, names::SAMLP, "Status", Part::Response)?.map(Status::read),
        })
    }
}

impl Status {
    pub(super) fn read(status: Element<'_>) -> Self {
        let code = status.child(names::SAMLP, "StatusCode");
        let value = |code: Element<'_>| code.attribute("Value").unwrap_or_default().trim().to_owned();
        Self {
            top: code.map(value).unwrap_or_default(),
            second: code.and_then(|code| code.child(names::SAMLP, "StatusCode")).map(value),
            message: status.child(names::SAMLP, "StatusMessage").map(trimmed),
        }
    }
}

impl Issuer {
    fn read(issuer: Element<'_>) -> Self {
        Self { value: trimmed(issuer), format: issuer.attribute("Format").map(str::to_owned) }
    }
}

impl NameId {
    pub(super) fn read(name_id: Element<'_>) -> Self {
        let owned = |name| name_id.attribute(name).map(str::to_owned);
        Self {
            value: trimmed(name_id),
            format: owned("Format"),
            name_qualifier: owned("NameQualifier"),
            sp_name_qualifier: owned("SPNameQualifier"),
            sp_provided_id: owned("SPProvidedID"),
        }
    }
}

impl AssertionContent {
    pub fn read(assertion: Element<'_>) -> Result<Self, Rejection> {
        let part = Part::Assertion;
        let subject = only(assertion, names::SAML, "Subject", part)?;
        let name_id = subject.map(|subject| only(subject, names::SAML, "NameID", part)).transpose()?.flatten();
        Ok(Self {
            id: assertion.attribute("ID").filter(|id| !id.is_empty()).ok_or(Rejection::IdMissing { on: part })?.to_owned(),
            version: assertion.attribute("Version").unwrap_or_default().to_owned(),
            issue_instant: date(assertion, part, "IssueInstant")?,
            issuer: only(assertion, names::SAML, "Issuer", part)?.map(Issuer::read),
            has_subject: subject.is_some(),
            name_id: name_id.map(NameId::read),
            confirmations: subject
                .into_iter()
                .flat_map(|subject| subject.children_named(names::SAML, "SubjectConfirmation"))
                .map(SubjectConfirmation::read)
                .collect::<Result<_, _>>()?,
            conditions: only(assertion, names::SAML, "Conditions", part)?.map(Conditions::read).transpose()?,
            authn_statements: assertion
                .children_named(names::SAML, "AuthnStatement")
                .map(AuthnStatement::read)
                .collect::<Result<_, _>>()?,
            attributes: Attribute::read_all(assertion),
        })
    }
}

impl SubjectConfirmation {
    fn read(confirmation: Element<'_>) -> Result<Self, Rejection> {
        let data = only(confirmation, names::SAML, "SubjectConfirmationData", Part::SubjectConfirmation)?;
        let owned = |name| data.and_then(|data| data.attribute(name)).map(str::to_owned);
        Ok(Self {
            method: confirmation.attribute("Method").unwrap_or_default().to_owned(),
            recipient: owned("Recipient"),
            in_response_to: owned("InResponseTo"),
            not_before: owned("NotBefore"),
            not_on_or_after: data.map(|data| date(data, Part::SubjectConfirmation, "NotOnOrAfter")).transpose()?.flatten(),
        })
    }
}

impl Conditions {
    fn read(conditions: Element<'_>) -> Result<Self, Rejection> {
        let mut read = Self {
            not_before: date(conditions, Part::Conditions, "NotBefore")?,
            not_on_or_after: date(conditions, Part::Conditions, "NotOnOrAfter")?,
            audience_restrictions: Vec::new(),
            unknown: Vec::new(),
        };
        for condition in conditions.children() {
            if condition.is(names::SAML, "AudienceRestriction") {
                read.audience_restrictions.push(condition.children_named(names::SAML, "Audience").map(trimmed).collect());
            } else if !condition.is(names::SAML, "OneTimeUse") && !condition.is(names::SAML, "ProxyRestriction") {
                read.unknown.push(condition.local_name().to_owned());
            }
        }
        Ok(read)
    }
}

impl AuthnStatement {
    pub(super) fn read(statement: Element<'_>) -> Result<Self, Rejection> {
        let context = statement.child(names::SAML, "AuthnContext");
        let instant = date(statement, Part::Assertion, "AuthnInstant")?;
        Ok(Self {
            authn_instant: instant.ok_or(Rejection::DateMissing { on: Part::Assertion, name: "AuthnInstant" })?,
            session_index: statement.attribute("SessionIndex").map(str::to_owned),
            session_not_on_or_after: date(statement, Part::Assertion, "SessionNotOnOrAfter")?,
            context_class_ref: context.and_then(|context| context.child(names::SAML, "AuthnContextClassRef")).map(trimmed),
            authenticating_authorities: context
                .into_iter()
                .flat_map(|context| context.children_named(names::SAML, "AuthenticatingAuthority"))
                .map(trimmed)
                .collect(),
        })
    }
}

impl Attribute {
    /// Those of all statements, in order.
    pub(super) fn read_all(assertion: Element<'_>) -> Vec<Self> {
        let statements = assertion.children_named(names::SAML, "AttributeStatement");
        statements.flat_map(|statement| statement.children_named(names::SAML, "Attribute")).map(Self::read).collect()
    }

    pub(super) fn read(attribute: Element<'_>) -> Self {
        Self {
            name: attribute.attribute("Name").unwrap_or_default().to_owned(),
            name_format: attribute.attribute("NameFormat").map(str::to_owned),
            friendly_name: attribute.attribute("FriendlyName").filter(|name| !name.trim().is_empty()).map(str::to_owned),
            values: attribute.children_named(names::SAML, "AttributeValue").map(AttributeValue::read).collect(),
        }
    }
}

impl AttributeValue {
    fn read(value: Element<'_>) -> Self {
        if matches!(value.attribute_ns(names::XSI, "nil").map(str::trim), Some("true" | "1")) {
            return Self::Nil;
        }
        if let Some(name_id) = value.child(names::SAML, "NameID") {
            return Self::NameId(NameId::read(name_id));
        }
        if value.children().next().is_some() {
            return Self::Structured { text: value.deep_text().trim().to_owned() };
        }
        let local = |name: &str| name.rsplit(':').next().unwrap_or(name).trim().to_owned();
        Self::Text { value: value.text().into_owned(), xsi_type: value.attribute_ns(names::XSI, "type").map(local) }
    }
}

/// SAML Core 1.3.3: xs:dateTime in UTC; one without zone is in UTC too.
pub(super) fn read_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")))
}

fn date(element: Element<'_>, on: Part, name: &'static str) -> Result<Option<Timestamp>, Rejection> {
    let Some(text) = element.attribute(name) else { return Ok(None) };
    read_date(text).map(Some).ok_or_else(|| Rejection::DateUnreadable { on, name, found: text.to_owned() })
}

/// A child that the schema allows once.
pub(super) fn only<'d>(
    parent: Element<'d>,
    namespace: &'static str,
    local: &'static str,
    on: Part,
) -> Result<Option<Element<'d>>, Rejection> {
    let mut children = parent.children_named(namespace, local);
    let first = children.next();
    if children.next().is_some() {
        return Err(Rejection::Structure { on, why: format!("{local} is given twice") });
    }
    Ok(first)
}

/// The whole character data, also of elements inside: an identifier is never cut at one.
fn trimmed(element: Element<'_>) -> String {
    element.deep_text().trim().to_owned()
}
