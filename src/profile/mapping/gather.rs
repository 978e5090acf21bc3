//! Where the values of a row come from: attributes by slot, facts, fields of the profile.

use super::row::{Input, Row, Source};
use super::{MappingTable, Outcome, RowNote};
use crate::profile::{Field, Profile, RawAttribute, RawAttributes, is_nothing, walk};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Where a source's values are gathered: under its whole name, or below the first part of a dotted one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slots {
    whole: usize,
    parent: Option<usize>,
}

impl MappingTable {
    /// One pass over the attributes: which slot each one fills.
    pub fn gather<'r>(&self, raw: &'r RawAttributes) -> Gathered<'r> {
        let mut gathered =
            Gathered { named: vec![Vec::new(); self.slots.len()], friendly: vec![Vec::new(); self.slots.len()], rest: Vec::new() };
        for attribute in raw.attributes() {
            let by_name = self.slots.get(&attribute.name);
            let by_friendly_name = attribute.friendly_name.as_ref().and_then(|name| self.slots.get(name));
            if let Some(slot) = by_name {
                gathered.named[*slot].push(attribute);
            }
            if let Some(slot) = by_friendly_name {
                gathered.friendly[*slot].push(attribute);
            }
            if by_name.is_none() && by_friendly_name.is_none() {
                gathered.rest.push(attribute);
            }
        }
        gathered
    }
}

/// The attributes of a login, by slot.
pub struct Gathered<'r> {
    named: Vec<Vec<&'r RawAttribute>>,
    friendly: Vec<Vec<&'r RawAttribute>>,
    /// Those that no row names.
    rest: Vec<&'r RawAttribute>,
}

impl<'r> Gathered<'r> {
    /// By name, else by friendly name.
    fn at(&self, slot: usize) -> impl Iterator<Item = &'r Value> {
        let named = &self.named[slot];
        let chosen = if named.is_empty() { &self.friendly[slot] } else { named };
        chosen.iter().flat_map(|attribute| &attribute.values)
    }
}

/// What a row's sources gave.
#[derive(Default)]
pub struct Found {
    pub source: Option<String>,
    pub values: Vec<Value>,
    /// The source holds a list by nature, even of one.
    pub plural: bool,
}

impl Found {
    pub fn of_expression(value: Value) -> Self {
        Self { source: Some("cel".to_owned()), ..Self::of(value) }
    }

    pub fn of(value: Value) -> Self {
        match value {
            Value::Array(values) => Self { source: None, values: values.into_iter().filter(|v| !is_nothing(v)).collect(), plural: true },
            other if is_nothing(&other) => Self::default(),
            other => Self { source: None, values: vec![other], plural: false },
        }
    }
}

pub fn first_present(sources: &[Source], slots: &[Slots], raw: &RawAttributes, gathered: &Gathered<'_>) -> Result<Found, String> {
    for (source, slots) in sources.iter().zip(slots) {
        let values: Vec<Value> = match source {
            Source::Fact(fact) => raw.fact(*fact).map(Value::from).into_iter().collect(),
            Source::Named(name) => named_values(name, *slots, gathered),
            Source::Rest(_) => Vec::new(),
        };
        if !values.is_empty() {
            return Ok(Found { source: Some(source.text()), plural: values.len() > 1, values });
        }
    }
    Ok(Found::default())
}

fn named_values(name: &str, slots: Slots, gathered: &Gathered<'_>) -> Vec<Value> {
    let whole: Vec<Value> = gathered.at(slots.whole).filter(|value| !is_nothing(value)).cloned().collect();
    let (true, Some(parent)) = (whole.is_empty(), slots.parent) else { return whole };
    let Some((_, below)) = name.split_once('.') else { return whole };
    let nested = gathered.at(parent).filter_map(|value| walk(value, below));
    nested
        .flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice))
        .filter(|v| !is_nothing(v))
        .cloned()
        .collect()
}

pub fn first_field(sources: &[Source], profile: &Profile) -> Found {
    for source in sources {
        let Source::Named(name) = source else { continue };
        if let Some(value) = profile.get(name) {
            let found = Found::of(value.clone());
            if !found.values.is_empty() {
                return Found { source: Some(name.clone()), ..found };
            }
        }
    }
    Found::default()
}

impl Row {
    /// `saml_data.*` from `*`: what no row names, under its friendly name or else its name, always as lists (S2-21, S2-22).
    pub fn collect_rest(&self, name: &str, root: &Field, gathered: &Gathered<'_>, profile: &mut Profile) -> RowNote {
        let mut note = RowNote { field: name.to_owned(), source: None, value: None, outcome: Outcome::Absent, detail: None };
        let Input::From(sources) = &self.input else { return note };
        let mut members: Map<String, Value> = Map::new();
        let wanted = |attribute: &RawAttribute| {
            sources.iter().any(|source| matches!(source, Source::Rest(prefix) if attribute.name.starts_with(prefix.as_str())))
        };
        for attribute in gathered.rest.iter().filter(|attribute| wanted(attribute)) {
            let mut values = Vec::with_capacity(attribute.values.len());
            for value in attribute.values.iter().filter(|value| !is_nothing(value)) {
                // A row like this has no table, so nothing is refused.
                let _ = self.shape_one(name, value.clone(), &mut values);
            }
            if values.is_empty() {
                continue;
            }
            let key = attribute.friendly_name.as_deref().unwrap_or(&attribute.name);
            if let Value::Array(list) = members.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
                list.append(&mut values);
            }
        }
        if members.is_empty() {
            return note;
        }
        note.source = sources.first().map(Source::text);
        note.value = Some(Value::Object(members.clone()));
        note.outcome = Outcome::Taken;
        if let Some(Value::Object(explicit)) = profile.get(root.root) {
            members.extend(explicit.clone());
        }
        if let Err(reason) = profile.set(root, Value::Object(members)) {
            note.outcome = Outcome::Unusable;
            note.detail = Some(reason.0.to_owned());
        }
        note
    }
}

pub fn row_slots(row: &Row, slots: &mut HashMap<String, usize>) -> Vec<Slots> {
    let Input::From(sources) = &row.input else { return Vec::new() };
    let mut slot = |name: &str| {
        let next = slots.len();
        *slots.entry(name.to_owned()).or_insert(next)
    };
    sources
        .iter()
        .map(|source| match source {
            Source::Named(name) => Slots { whole: slot(name), parent: dotted(name).map(&mut slot) },
            Source::Fact(_) | Source::Rest(_) => Slots::default(),
        })
        .collect()
}

/// `realm_access` of `realm_access.roles`; a URI is not taken apart.
fn dotted(name: &str) -> Option<&str> {
    if name.contains([':', '/']) { None } else { name.split_once('.').map(|(parent, _)| parent) }
}
