//! `[connection.saml]`: what can be said of requests beyond single values.

use super::described;
use crate::connection::config::AttributeSet;
use crate::saml::metadata::about::{Requested, RequestedSet};
use crate::toml_file::Section;
use std::collections::BTreeMap;

/// Parameters of the bindings themselves.
const PARAMETERS: &[&str] = &["SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding"];

/// A parameter beside those of the protocol.
pub(super) fn login_hint_parameter(section: &Section<'_>) -> Option<String> {
    let at = section.string("login_hint_parameter")?;
    let well_formed =
        (1..=64).contains(&at.value.len()) && at.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !well_formed || PARAMETERS.contains(&at.value) {
        let message = format!("`{}` cannot be a parameter of the identity provider's address", at.value);
        section.problem("login_hint_parameter", message, "write what it calls it, such as `login_hint` or `username`");
    }
    Some(at.value.to_owned())
}

/// Sets of attributes by index.
pub(super) fn attribute_sets(section: &Section<'_>) -> Vec<AttributeSet> {
    let mut sets: Vec<AttributeSet> = Vec::new();
    for table in section.sections("attribute_set") {
        let scopes = table.strings("scopes").unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect();
        if !table.has("index") {
            table.problem("index", "`index` is missing", "give each set a number of its own");
        }
        let index = table.integer("index", 0..=65_535).and_then(|at| u16::try_from(at.value).ok()).unwrap_or_default();
        if sets.iter().any(|set| set.requested.index == index) {
            table.problem("index", format!("another set has the index {index} already"), "give each set a number of its own");
        }
        let requested = RequestedSet { index, names: described::localized(&table, "name"), attributes: requested(&table) };
        let from_mapping = table.bool("from_mapping").unwrap_or(false);
        if requested.attributes.is_empty() && !from_mapping {
            table.problem("attributes", "the set asks for nothing", "list `attributes`, or say `from_mapping = true`");
        }
        sets.push(AttributeSet { scopes, requested, from_mapping });
        table.finish();
    }
    sets
}

/// `attributes`: each a table.
fn requested(table: &Section<'_>) -> Vec<Requested> {
    let tables = table.sections("attributes");
    let read = |attribute: &Section<'_>| {
        let friendly_name = attribute.string("friendly_name").map(|at| at.value.to_owned());
        let required = attribute.bool("required").unwrap_or(false);
        let name = attribute.required("name").map(|at| at.value.to_owned());
        attribute.finish();
        Some(Requested { name: name?, friendly_name, required })
    };
    tables.iter().filter_map(read).collect()
}

/// Context classes by strength, and that every class which can be asked for is among them.
pub(super) fn ranking(section: &Section<'_>, acr: &BTreeMap<String, String>) -> Vec<String> {
    let ranking: Vec<String> =
        section.strings("authn_context_ranking").unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect();
    if ranking.is_empty() {
        return ranking;
    }
    let asked: Vec<String> = section.strings("authn_context").unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect();
    for class in asked.iter().chain(acr.values()) {
        if !ranking.contains(class) {
            let message = format!("`{class}` can be asked for and has no rank, so no answer could ever satisfy it");
            section.problem("authn_context_ranking", message, "list every class, from the weakest to the strongest");
        }
    }
    ranking
}
