//! What a verified assertion says of a person, as facts and attributes that mapping rows take.

use super::subject_id;
use crate::connection::config::SamlConnection as Settings;
use crate::connection::scope::ScopeFilter;
use crate::profile::{Fact, RawAttribute, RawAttributes};
use crate::saml::{Attribute, AttributeValue, Check, Rejection, Said};
use serde_json::Value;
use std::borrow::Cow;

/// Facts and attributes. Values whose scope the identity provider may not use are left out, as the metadata say
/// (Shibboleth Metadata Extensions, `shibmd:Scope`), and subject identifiers that are none.
///
/// Attributes go by their Name, whatever its NameFormat; all values of all instances are kept (S2-22). A value is the text
/// that stands there: an `xsi:type` is not believed, since the profile's fields have kinds of their own. A nil value is
/// none. A NameID is its text, and what qualifies it comes under the attribute's name with `#NameQualifier`,
/// `#SPNameQualifier` and `#Format` behind it.
pub(in crate::connection) fn raw_attributes(said: &Said<'_>, scopes: &ScopeFilter, checks: &mut Vec<Check>) -> RawAttributes {
    let mut raw = facts(said);
    for attribute in said.attributes {
        let mut values: Vec<Cow<'_, str>> = attribute.values.iter().filter_map(AttributeValue::text).map(Cow::from).collect();
        if let Some(form) = scopes.concern(&attribute.name, attribute.friendly_name.as_deref()) {
            let before = values.len();
            values.retain(|value| scopes.allow(form, value));
            let dropped = before - values.len();
            let found =
                if dropped == 0 { "all of them".to_owned() } else { format!("{dropped} of {before} have another scope and are left out") };
            let expected = format!("values of {} in the scopes of the metadata", attribute.name);
            checks.push(Check { name: "attribute-scope", passed: dropped == 0, expected, found });
        }
        if subject_id::ATTRIBUTES.contains(&attribute.name.as_str()) {
            values = subject_identifier(said, &attribute.name, &values, checks);
        }
        raw.push(RawAttribute {
            name: attribute.name.clone(),
            name_format: attribute.name_format.clone(),
            friendly_name: attribute.friendly_name.clone(),
            values: values.into_iter().map(|value| Value::from(value.into_owned())).collect(),
        });
        push_qualifiers(attribute, &mut raw);
    }
    raw
}

/// The person's identifier at this connection: what was verified as such, or the configured attribute as far as it is
/// believed.
///
/// # Errors
/// When nothing of the attribute is left.
pub(in crate::connection) fn subject(settings: &Settings, verified: &str, raw: &RawAttributes) -> Result<String, Rejection> {
    let Some(name) = &settings.policy.subject_attribute else { return Ok(verified.to_owned()) };
    let values = raw.attributes().iter().filter(|attribute| attribute.name == *name).flat_map(|attribute| &attribute.values);
    let found = values.filter_map(Value::as_str).map(str::trim).find(|value| !value.is_empty()).map(str::to_owned);
    found.ok_or_else(|| Rejection::SubjectAttributeMissing { attribute: name.clone() })
}

// SAML V2.0 Subject Identifier Attributes Profile 3.3, 3.4: exactly one value, of this form.
fn subject_identifier<'v>(said: &Said<'_>, name: &str, values: &[Cow<'_, str>], checks: &mut Vec<Check>) -> Vec<Cow<'v, str>> {
    let count: usize = said.attributes.iter().filter(|attribute| attribute.name == name).map(|attribute| attribute.values.len()).sum();
    let canonical = match values {
        [only] if count == 1 => subject_id::canonical(only),
        _ => None,
    };
    let found = match (&canonical, count) {
        (Some(_), _) => "as it must be".to_owned(),
        (None, 1) => "not of that form, or of another scope; left out".to_owned(),
        (None, count) => format!("{count} values; left out"),
    };
    checks.push(Check {
        name: "subject-identifier",
        passed: canonical.is_some(),
        expected: format!("one value of {name} of the form ID@SCOPE"),
        found,
    });
    canonical.map(Cow::from).into_iter().collect()
}

fn push_qualifiers(attribute: &Attribute, raw: &mut RawAttributes) {
    for value in &attribute.values {
        let AttributeValue::NameId(name_id) = value else { continue };
        for (qualifier, text) in
            [("NameQualifier", &name_id.name_qualifier), ("SPNameQualifier", &name_id.sp_name_qualifier), ("Format", &name_id.format)]
        {
            if let Some(text) = text {
                raw.push_texts(&format!("{}#{qualifier}", attribute.name), [text.as_str()]);
            }
        }
    }
}

/// What the protocol itself says.
fn facts(said: &Said<'_>) -> RawAttributes {
    let mut raw = RawAttributes::new();
    if let Some(name_id) = said.name_id {
        raw.set_fact(Fact::NameId, name_id.value.clone());
        for (fact, value) in [
            (Fact::NameIdFormat, &name_id.format),
            (Fact::NameQualifier, &name_id.name_qualifier),
            (Fact::SpNameQualifier, &name_id.sp_name_qualifier),
        ] {
            if let Some(value) = value {
                raw.set_fact(fact, value.clone());
            }
        }
    }
    let instant = said.authn_instant.map(|instant| instant.to_string());
    for (fact, value) in [
        (Fact::Issuer, said.issuer),
        (Fact::Subject, said.subject),
        (Fact::AuthnContext, said.authn_context_class_ref),
        (Fact::AuthnInstant, instant.as_deref()),
        (Fact::SessionIndex, said.session_index),
    ] {
        if let Some(value) = value {
            raw.set_fact(fact, value);
        }
    }
    for authority in said.authenticating_authorities.iter().filter(|authority| !authority.is_empty()).take(AUTHORITIES) {
        raw.push_fact(Fact::AuthenticatingAuthority, authority.clone());
    }
    raw
}

/// Authorities that are kept of one login; a chain of proxies is shorter.
pub(super) const AUTHORITIES: usize = 16;
