//! What a verified assertion says of a person, as facts and attributes that mapping rows take.

use crate::connection::scope::ScopeFilter;
use crate::profile::{Fact, RawAttribute, RawAttributes};
use crate::saml::{AttributeValue, Check, Said};
use serde_json::Value;

/// Facts and attributes. Values whose scope the identity provider may not use are left out, as the metadata say
/// (Shibboleth Metadata Extensions, `shibmd:Scope`).
pub(in crate::connection) fn raw_attributes(said: &Said<'_>, scopes: &ScopeFilter, checks: &mut Vec<Check>) -> RawAttributes {
    let mut raw = facts(said);
    for attribute in said.attributes {
        let mut values: Vec<&str> = attribute.values.iter().filter_map(AttributeValue::text).collect();
        if let Some(form) = scopes.concern(&attribute.name, attribute.friendly_name.as_deref()) {
            let before = values.len();
            values.retain(|value| scopes.allow(form, value));
            let dropped = before - values.len();
            let found =
                if dropped == 0 { "all of them".to_owned() } else { format!("{dropped} of {before} have another scope and are left out") };
            let expected = format!("values of {} in the scopes of the metadata", attribute.name);
            checks.push(Check { name: "attribute-scope", passed: dropped == 0, expected, found });
        }
        raw.push(RawAttribute {
            name: attribute.name.clone(),
            name_format: attribute.name_format.clone(),
            friendly_name: attribute.friendly_name.clone(),
            values: values.into_iter().map(Value::from).collect(),
        });
    }
    raw
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
