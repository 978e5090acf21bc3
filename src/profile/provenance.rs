//! Where each member of a profile came from: for a person who asks, for an operator who wonders, for an auditor.
//!
//! [`of`] puts together what the mapping rows noted and what [`super::normalize`] filled in. What neither tells of, the
//! gateway put there later, a rule for example.
//!
//! The name of an expression's source is `cel` in a row's note. An attribute that is called just so is taken for one.

use super::normalize::FilledIn;
use super::{Fact, Outcome, Profile, RowNote, walk};
use crate::clock::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// Objects of which each member has its own origin.
const BY_MEMBER: &[&str] = &["address", "saml_data", "custom"];
/// How far into them to look for rows that set something deeper.
const MAX_DEPTH: usize = 16;

/// Where one member came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The member's path: `email`, `address.country`. A dot in a member's own name stays as it is.
    pub field: String,
    pub source: Source,
    /// By which connection the person came.
    pub connection: String,
    /// When: the login that said it.
    pub at: Timestamp,
    /// Whether the provider stands for exactly this value: it was in the answer that the connection checked, as an
    /// attribute, a claim or a protocol fact. An e-mail address also needs `email_verified`, a telephone number
    /// `phone_number_verified`. What was computed, derived, a default, or the gateway's own is never verified.
    pub verified: bool,
}

/// What gave a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "from")]
pub enum Source {
    /// An attribute or a claim, by the name that the mapping table has for it.
    Attribute(String),
    Fact(Fact),
    Expression,
    /// The `default` of a mapping row.
    TableDefault,
    /// Made from these fields; `subject` is the person's identifier at the connection.
    Derived(&'static [&'static str]),
    /// The gateway's own word.
    Gateway,
}

/// One entry for every member of the root, in the profile's order. `address`, `saml_data` and `custom` are not entries
/// themselves, but each of their members is; where rows set something deeper, what they set.
///
/// `rows` are the notes of the table that made the profile, `filled_in` is what normalizing it reported.
pub fn of(profile: &Profile, rows: &[RowNote], filled_in: &[FilledIn], connection: &str, at: Timestamp) -> Vec<Provenance> {
    let mut found = Vec::with_capacity(profile.as_map().len());
    for (root, value) in profile.as_map() {
        match value {
            Value::Object(members) if BY_MEMBER.contains(&root.as_str()) => sources_of_members(root, members, rows, &mut found, 1),
            _ => found.push((root.clone(), source(root, None, rows, filled_in))),
        }
    }
    found
        .into_iter()
        .map(|(field, source)| {
            let verified = matches!(source, Source::Attribute(_) | Source::Fact(_)) && is_confirmed(&field, profile);
            Provenance { field, source, connection: connection.to_owned(), at, verified }
        })
        .collect()
}

/// One line for a terminal. Names that came over the network do not move the cursor.
impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verified = if self.verified { ", verified" } else { "" };
        write!(f, "{}: {}, {} at {}{verified}", self.field.escape_debug(), self.source, self.connection, self.at)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => write!(f, "attribute {}", name.escape_debug()),
            Self::Fact(fact) => write!(f, "${}", fact.name()),
            Self::Expression => f.write_str("expression"),
            Self::TableDefault => f.write_str("default of the mapping table"),
            Self::Derived(fields) => write!(f, "derived from {}", fields.join(" and ")),
            Self::Gateway => f.write_str("gateway"),
        }
    }
}

fn sources_of_members(path: &str, members: &Map<String, Value>, rows: &[RowNote], found: &mut Vec<(String, Source)>, depth: usize) {
    for (name, value) in members {
        let member = format!("{path}.{name}");
        let deeper = || rows.iter().any(|row| gave(row) && row.field.strip_prefix(&member).is_some_and(|rest| rest.starts_with('.')));
        match value {
            Value::Object(below) if depth < MAX_DEPTH && deeper() => sources_of_members(&member, below, rows, found, depth + 1),
            _ => {
                let source = source(&member, Some(name), rows, &[]);
                found.push((member, source));
            }
        }
    }
}

/// `name`: the member's own name, where it is one of an object.
fn source(path: &str, name: Option<&str>, rows: &[RowNote], filled_in: &[FilledIn]) -> Source {
    if let Some(filled) = filled_in.iter().find(|filled| filled.field == path) {
        return if filled.from.is_empty() { Source::Gateway } else { Source::Derived(filled.from) };
    }
    // Where several rows gave one list, what is least to be relied on speaks for all of it.
    let same: Vec<Source> = rows.iter().filter(|row| gave(row) && row.field == path).map(source_of_row).collect();
    if same.len() > 1
        && let Some(weakest) = same.into_iter().find(|source| !matches!(source, Source::Attribute(_) | Source::Fact(_)))
    {
        return weakest;
    }
    // A later row overwrites; what no row names never overwrites what one does.
    if let Some(row) = rows.iter().rev().find(|row| gave(row) && sets(row, path)) {
        return source_of_row(row);
    }
    let collected = rows.iter().filter(|row| gave(row)).any(|row| collects(row, path));
    match name {
        Some(name) if collected => Source::Attribute(name.to_owned()),
        _ => Source::Gateway,
    }
}

fn source_of_row(row: &RowNote) -> Source {
    match (row.outcome, row.source.as_deref()) {
        (Outcome::Default, _) => Source::TableDefault,
        (_, Some("cel")) => Source::Expression,
        (_, Some(name)) => Fact::parse(name).map_or_else(|| Source::Attribute(name.to_owned()), Source::Fact),
        (_, None) => Source::Gateway,
    }
}

fn gave(row: &RowNote) -> bool {
    matches!(row.outcome, Outcome::Taken | Outcome::Default)
}

/// Whether a row set this member, alone or with the object that holds it.
fn sets(row: &RowNote, path: &str) -> bool {
    let Some(rest) = path.strip_prefix(row.field.as_str()) else { return false };
    match (rest.strip_prefix('.'), &row.value) {
        _ if rest.is_empty() => true,
        (Some(below), Some(value)) => match value {
            Value::Object(_) => walk(value, below).is_some(),
            // A text that became an object: `address` of one line.
            _ => true,
        },
        _ => false,
    }
}

/// Whether a row of the kind `saml_data.*` brought this member.
fn collects(row: &RowNote, path: &str) -> bool {
    let Some(object) = row.field.strip_suffix('*') else { return false };
    let (Some(name), Some(Value::Object(members))) = (path.strip_prefix(object), &row.value) else { return false };
    members.contains_key(name)
}

fn is_confirmed(field: &str, profile: &Profile) -> bool {
    match field {
        "email" | "proxied_email" => profile.bool("email_verified") == Some(true),
        "phone_number" => profile.bool("phone_number_verified") == Some(true),
        _ => true,
    }
}

#[cfg(test)]
#[path = "provenance_tests.rs"]
mod tests;
