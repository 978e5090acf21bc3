//! `parameters` and `[connection.oidc.upstream_params]`: what is added to authorization requests.

use crate::connection::upstream_params::{Alias, UpstreamParam};
use crate::oidc::rp::request;
use crate::toml_file::{At, Section};
use std::collections::BTreeMap;
use toml::de::DeValue;

/// Both, by name.
pub fn read(section: &Section<'_>) -> Vec<(String, UpstreamParam)> {
    let written = texts(section, "parameters").into_iter().map(|(name, value)| (name, UpstreamParam::Value(value)));
    let mut all: BTreeMap<String, UpstreamParam> = written.collect();
    let Some(table) = section.section("upstream_params") else { return all.into_iter().collect() };
    for (name, at) in table.entries() {
        if is_own(&table, name, &at) {
            continue;
        }
        let Some(param) = param(&table, &at) else { continue };
        if all.insert(name.to_owned(), param).is_some() {
            let message = format!("`{name}` stands in `parameters`, too");
            table.file().problem(at.span.clone(), &at.path, message, "remove one of them");
        }
    }
    all.into_iter().collect()
}

/// `parameters = { hd = "acme.example" }`.
pub fn texts(section: &Section<'_>, key: &'static str) -> Vec<(String, String)> {
    let Some(table) = section.section(key) else { return Vec::new() };
    let mut parameters = BTreeMap::new();
    for (name, at) in table.entries() {
        match at.value.as_str() {
            Some(_) if is_own(&table, name, &at) => {}
            Some(value) => drop(parameters.insert(name.to_owned(), value.to_owned())),
            None => table.file().problem(at.span.clone(), &at.path, "expected a text", "put it in quotes"),
        }
    }
    parameters.into_iter().collect()
}

/// Nobody replaces what protects a login.
fn is_own(table: &Section<'_>, name: &str, at: &At<&DeValue<'_>>) -> bool {
    if !request::OWN.contains(&name) {
        return false;
    }
    let message = format!("`{name}` belongs to the protocol");
    table.file().problem(at.span.clone(), &at.path, message, "remove it; the login sets it itself");
    true
}

/// `{ value = "acme.example" }` or `{ alias = "login_hint" }`.
fn param(table: &Section<'_>, at: &At<&DeValue<'_>>) -> Option<UpstreamParam> {
    let problem = |message: String, help: String| {
        table.file().problem(at.span.clone(), &at.path, message, help);
        None
    };
    let names = || Alias::ALL.map(|(name, _)| name).join(", ");
    let members: Vec<(&str, Option<&str>)> = match at.value.as_table() {
        Some(table) => table.iter().map(|(name, value)| (name.get_ref().as_ref(), value.get_ref().as_str())).collect(),
        None => Vec::new(),
    };
    match members.as_slice() {
        [("value", Some(value))] => Some(UpstreamParam::Value((*value).to_owned())),
        [("alias", Some(alias))] => match Alias::ALL.iter().find(|(name, _)| name == alias) {
            Some((_, alias)) => Some(UpstreamParam::Alias(*alias)),
            None => problem(format!("`{alias}` is nothing that is passed on"), format!("use one of {}", names())),
        },
        _ => problem(
            "expected a value or an alias".to_owned(),
            format!("as {{ value = \"..\" }} or {{ alias = \"..\" }}, one of {}", names()),
        ),
    }
}
