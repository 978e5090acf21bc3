//! Mappings of other products, as tables.
//!
//! Five notations, and their directions differ: in some the key is the profile's field, in others the attribute. What comes
//! out is a table as an operator would write it, which loads without findings. What has no place in one is noted, with its
//! place in the input, and stands as a comment in the table.

mod auth0;
mod auth0_claims;
mod gigya;
#[cfg(test)]
mod tests;
mod writer;

use super::MappingLibrary;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// Octets of input. No such mapping is a tenth as long.
pub const MAX_INPUT: usize = 256 << 10;

/// Characters of a note.
const MAX_SHOWN: usize = 400;

/// How the mapping is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// `fieldsMap` of an Auth0 SAML connection: profile field to attributes, inward.
    Auth0FieldsMap,
    /// `attribute_map` of an Auth0 OpenID connection: profile field to template, inward.
    Auth0AttributeMap,
    /// Settings of Auth0's SAML2 Web App add-on: profile field to attributes, outward.
    Auth0Addon,
    /// `context.samlConfiguration.mappings` of an Auth0 rule: attribute to profile path, outward.
    Auth0Rule,
    /// Gigya (SAP Customer Data Cloud). An object is `attributeMap` of an external identity provider, attribute to field,
    /// inward; a list is `attributeMapping` of a service provider, outward.
    Gigya,
}

/// A table, and what is to be said about it.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    pub toml: String,
    pub notes: Vec<Note>,
}

/// Something that the reader of an imported table should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// In the input, as in `mappings.user_id`.
    pub place: String,
    pub text: String,
    /// It is not in the table.
    pub lost: bool,
}

impl fmt::Display for Note {
    /// On one line, without characters that a terminal or TOML would mind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}: {}", self.place, self.text);
        let shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
        // Quotes need no escape here.
        f.write_str(&shown.replace("\\\"", "\"").replace("\\'", "'"))
    }
}

/// Makes a table of a mapping in JSON.
///
/// # Errors
/// When the text is not JSON, or not of this notation.
pub fn import(notation: Notation, text: &str) -> Result<Imported, String> {
    if text.len() > MAX_INPUT {
        return Err(format!("the input is longer than {MAX_INPUT} octets"));
    }
    let json: Value = serde_json::from_str(text).map_err(|error| format!("the input is not JSON: {error}"))?;
    let writer = match notation {
        Notation::Auth0FieldsMap => auth0::fields_map(object(&json)?),
        Notation::Auth0AttributeMap => auth0_claims::attribute_map(object(&json)?),
        Notation::Auth0Addon => auth0::addon(object(&json)?),
        Notation::Auth0Rule => auth0::rule(object(&json)?),
        Notation::Gigya => gigya::mapping(&json),
    }?;
    let imported = writer.finish();
    let (_, findings) = MappingLibrary::load(vec![("imported.toml".to_owned(), imported.toml.clone())]);
    match findings.problems.first() {
        None => Ok(imported),
        Some(problem) => Err(format!("the table would not load, line {}: {}", problem.line, problem.message)),
    }
}

fn object(json: &Value) -> Result<&Map<String, Value>, String> {
    json.as_object().ok_or_else(|| "expected a JSON object".to_owned())
}

/// One name or several; `None` for anything else.
fn names(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(name) => Some(vec![name]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
