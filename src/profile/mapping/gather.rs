//! Where the values of a row come from: attributes by slot, facts, fields of the profile.

use super::condition::Condition;
use super::row::{Input, Row, Source};
use crate::profile::{Profile, RawAttribute, RawAttributes, is_nothing, walk};
use serde_json::Value;
use std::collections::HashMap;

/// The sources of all rows of a table, so that an attribute needs two look-ups and a row none.
#[derive(Debug, Default)]
pub struct Slots {
    by_name: HashMap<String, usize>,
    /// Those below are what rows take; what only a condition reads is still left over for a row with `*`.
    taken: usize,
}

/// Ends of the names of what qualifies the values of another attribute (a NameID inside it).
const QUALIFIERS: [&str; 3] = ["#NameQualifier", "#SPNameQualifier", "#Format"];

/// Where a source's values are gathered: under its whole name, or below the first part of a dotted one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    whole: usize,
    parent: Option<usize>,
}

impl Slots {
    pub fn of_rows<'t>(&mut self, rows: impl Iterator<Item = &'t Row>) -> Vec<Vec<Slot>> {
        let slots = rows.map(|row| match &row.input {
            Input::From(sources) => sources.iter().map(|source| self.slot(source)).collect(),
            Input::Cel(_) | Input::Nothing => Vec::new(),
        });
        let slots = slots.collect();
        self.taken = self.by_name.len();
        slots
    }

    pub fn of_conditions<'t>(&mut self, rows: impl Iterator<Item = &'t Row>) -> Vec<Vec<Slot>> {
        rows.map(|row| row.when.iter().map(|condition| self.slot(&condition.source)).collect()).collect()
    }

    fn slot(&mut self, source: &Source) -> Slot {
        let mut slot = |name: &str| {
            let next = self.by_name.len();
            *self.by_name.entry(name.to_owned()).or_insert(next)
        };
        match source {
            Source::Named(name) => Slot { whole: slot(name), parent: dotted(name).map(&mut slot) },
            Source::Fact(_) | Source::Rest(_) => Slot::default(),
        }
    }

    /// One pass over the attributes: which slot each one fills.
    pub fn gather<'r>(&self, raw: &'r RawAttributes) -> Gathered<'r> {
        let (slots, attributes) = (self.by_name.len(), raw.attributes());
        let mut gathered = Gathered { raw, named: Chains::default(), friendly: Chains::default(), rest: Vec::new() };
        for (number, attribute) in attributes.iter().enumerate() {
            let by_name = self.by_name.get(&attribute.name);
            let by_friendly_name = attribute.friendly_name.as_ref().and_then(|name| self.by_name.get(name));
            if let Some(slot) = by_name {
                gathered.named.append(*slot, number, slots, attributes.len());
            }
            if let Some(slot) = by_friendly_name {
                gathered.friendly.append(*slot, number, slots, attributes.len());
            }
            // What qualifies a value is for rows that ask for it by name.
            let qualifies = QUALIFIERS.iter().any(|end| attribute.name.ends_with(end));
            if !qualifies && ![by_name, by_friendly_name].into_iter().flatten().any(|slot| *slot < self.taken) {
                gathered.rest.push(attribute);
            }
        }
        gathered
    }
}

/// The attributes of a login, by slot.
pub struct Gathered<'r> {
    raw: &'r RawAttributes,
    named: Chains,
    friendly: Chains,
    /// Those that no row takes.
    rest: Vec<&'r RawAttribute>,
}

impl<'r> Gathered<'r> {
    /// The first source that is there.
    pub fn first(&self, sources: &[Source], slots: &[Slot]) -> Found {
        for (source, slot) in sources.iter().zip(slots) {
            let values: Vec<Value> = match source {
                Source::Fact(fact) => self.raw.facts(*fact).map(Value::from).collect(),
                Source::Named(name) if self.may_have(*slot) => self.values(name, *slot).cloned().collect(),
                Source::Named(_) | Source::Rest(_) => Vec::new(),
            };
            if !values.is_empty() {
                return Found { source: Some(source.text()), plural: values.len() > 1, values };
            }
        }
        Found::default()
    }

    /// The first condition that does not hold.
    pub fn unmet<'c>(&self, when: &'c [Condition], slots: &[Slot]) -> Option<&'c Condition> {
        let holds = |condition: &Condition, slot: Slot| match &condition.source {
            Source::Fact(fact) => {
                let values: Vec<Value> = self.raw.facts(*fact).map(Value::from).collect();
                condition.holds(values.iter())
            }
            Source::Named(name) => condition.holds(self.values(name, slot)),
            Source::Rest(_) => true,
        };
        when.iter().zip(slots).find(|(condition, slot)| !holds(condition, **slot)).map(|(condition, _)| condition)
    }

    /// Most sources of most rows are absent, and this tells it soon.
    fn may_have(&self, slot: Slot) -> bool {
        let has = |slot: usize| self.named.first(slot).or_else(|| self.friendly.first(slot)).is_some();
        has(slot.whole) || slot.parent.is_some_and(has)
    }

    /// What is under the whole name, else what is inside objects.
    fn values(&self, name: &str, slot: Slot) -> impl Iterator<Item = &'r Value> {
        let whole = Some(self.at(slot.whole)).filter(|found| found.clone().any(|value| !is_nothing(value)));
        let below = match (&whole, slot.parent, name.split_once('.')) {
            (None, Some(parent), Some((_, below))) => self.below(parent, below),
            _ => Vec::new(),
        };
        whole.into_iter().flatten().chain(below).filter(|value| !is_nothing(value))
    }

    fn below(&self, parent: usize, path: &str) -> Vec<&'r Value> {
        let found = self.at(parent).filter_map(|value| walk(value, path));
        found.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)).collect()
    }

    /// By name, else by friendly name.
    fn at(&self, slot: usize) -> impl Iterator<Item = &'r Value> + Clone {
        let chosen = if self.named.first(slot).is_none() { &self.friendly } else { &self.named };
        let attributes = self.raw.attributes();
        chosen.iter(slot).filter_map(|number| attributes.get(number)).flat_map(|attribute| &attribute.values)
    }

    /// Those that no row takes.
    pub fn rest(&self) -> &[&'r RawAttribute] {
        &self.rest
    }
}

/// For each slot the numbers of its attributes, in their order. A list for each slot would be an allocation for each
/// attribute of each login.
#[derive(Default)]
struct Chains {
    /// First and last of each slot. Without length until there is one.
    ends: Vec<(u32, u32)>,
    /// For each attribute, the next of its slot.
    next: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Chains {
    fn append(&mut self, slot: usize, attribute: usize, slots: usize, attributes: usize) {
        if self.ends.is_empty() {
            self.ends.resize(slots, (NONE, NONE));
            self.next.resize(attributes, NONE);
        }
        let Ok(attribute) = u32::try_from(attribute) else { return };
        let (first, last) = &mut self.ends[slot];
        match std::mem::replace(last, attribute) {
            NONE => *first = attribute,
            before => self.next[before as usize] = attribute,
        }
    }

    fn first(&self, slot: usize) -> Option<u32> {
        self.ends.get(slot).map(|(first, _)| *first).filter(|first| *first != NONE)
    }

    fn iter(&self, slot: usize) -> impl Iterator<Item = usize> + Clone {
        let next = |number: &u32| self.next.get(*number as usize).copied().filter(|next| *next != NONE);
        std::iter::successors(self.first(slot), next).map(|number| number as usize)
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
    /// The first of these fields that the profile has.
    pub fn in_profile(sources: &[Source], profile: &Profile) -> Self {
        for source in sources {
            let Source::Named(name) = source else { continue };
            if let Some(value) = profile.get(name) {
                let found = Self::of(value.clone());
                if !found.values.is_empty() {
                    return Self { source: Some(name.clone()), ..found };
                }
            }
        }
        Self::default()
    }

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

/// The first condition that a profile does not meet.
pub fn unmet_by_profile<'c>(when: &'c [Condition], profile: &Profile) -> Option<&'c Condition> {
    when.iter().find(|condition| {
        let Source::Named(name) = &condition.source else { return false };
        let values = match profile.get(name) {
            Some(Value::Array(items)) => items.as_slice(),
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        !condition.holds(values.iter().filter(|value| !is_nothing(value)))
    })
}

/// `realm_access` of `realm_access.roles`; a URI is not taken apart.
fn dotted(name: &str) -> Option<&str> {
    if name.contains([':', '/']) { None } else { name.split_once('.').map(|(parent, _)| parent) }
}
