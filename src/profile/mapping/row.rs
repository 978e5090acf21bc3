//! One row of a table: what it writes, from where, and how values are shaped.

use super::condition::Condition;
use super::gather::Found;
use super::release::Release;
use super::transform::Transform;
use super::{MappingError, Outcome, RowNote};
use crate::profile::expression::Expression;
use crate::profile::{Fact, Field};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

#[derive(Clone, Debug)]
pub struct Row {
    /// The table that wrote it, and its place there from 1.
    pub table: String,
    pub number: usize,
    pub target: Target,
    /// All must hold.
    pub when: Vec<Condition>,
    pub input: Input,
    /// What a row with `*` leaves out.
    pub except: HashSet<String>,
    pub take: Take,
    pub transform: Vec<Transform>,
    pub lookup: Option<HashMap<String, Vec<String>>>,
    pub unlisted: Unlisted,
    pub require: bool,
    pub default: Option<Value>,
}

#[derive(Clone, Debug)]
pub enum Target {
    Field {
        name: String,
        field: Field,
    },
    /// `saml_data.*`
    Members {
        name: String,
        root: Field,
    },
    Release(Release),
}

#[derive(Clone, Debug)]
pub enum Input {
    From(Vec<Source>),
    Cel(Expression),
    /// Only the row's default.
    Nothing,
}

#[derive(Clone, Debug)]
pub enum Source {
    Fact(Fact),
    /// An attribute's name, or a profile field's.
    Named(String),
    /// `prefix*`: what no other row takes, or the members of an object of the profile.
    Rest(String),
}

impl Target {
    pub fn name(&self) -> &str {
        match self {
            Self::Field { name, .. } | Self::Members { name, .. } => name,
            Self::Release(release) => &release.name,
        }
    }
}

impl Source {
    pub fn text(&self) -> String {
        match self {
            Self::Fact(fact) => format!("${}", fact.name()),
            Self::Named(name) => name.clone(),
            Self::Rest(prefix) => format!("{prefix}*"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    First,
    All,
    /// One stays one, several stay several.
    AsIs,
    Join(String),
    Split(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    Drop,
    Keep,
    Refuse,
}

/// What the values of a row became.
pub enum Shaped {
    Value(Value),
    Nothing(Outcome),
}

impl Row {
    /// The sources of a row that releases the members of objects.
    pub fn members_of(&self) -> Option<&[Source]> {
        match &self.input {
            Input::From(sources) if matches!(sources.first(), Some(Source::Rest(_))) => Some(sources),
            Input::From(_) | Input::Cel(_) | Input::Nothing => None,
        }
    }

    /// Shapes what was found, stores it by `set`, and says what happened.
    pub fn fill(
        &self,
        name: &str,
        found: Result<Found, String>,
        set: impl FnOnce(Value) -> Result<(), &'static str>,
    ) -> Result<RowNote, MappingError> {
        let mut note = RowNote::of(name);
        let shaped = match found {
            Ok(found) => {
                note.source = found.source;
                self.shape(name, found.values, found.plural)?
            }
            Err(reason) => {
                note.source = Some("cel".to_owned());
                note.detail = Some(reason);
                Shaped::Nothing(Outcome::Unusable)
            }
        };
        let value = match shaped {
            Shaped::Value(value) => {
                note.outcome = Outcome::Taken;
                Some(value)
            }
            Shaped::Nothing(outcome) => {
                note.outcome = outcome;
                self.default.clone().inspect(|_| note.outcome = Outcome::Default)
            }
        };
        if let Some(value) = value {
            match set(value.clone()) {
                Ok(()) => note.value = Some(value),
                Err(reason) => {
                    note.outcome = Outcome::Unusable;
                    note.detail = Some(reason.to_owned());
                }
            }
        }
        if self.require && note.value.is_none() {
            return Err(self.error(name, required_but(note.outcome)));
        }
        Ok(note)
    }

    pub fn shape(&self, name: &str, values: Vec<Value>, plural: bool) -> Result<Shaped, MappingError> {
        if values.is_empty() {
            return Ok(Shaped::Nothing(Outcome::Absent));
        }
        let mut shaped = self.shape_all(name, values)?;
        if self.lookup.is_some() && shaped.len() > 1 {
            let mut seen = HashSet::new();
            shaped.retain(|value| value.as_str().is_none_or(|text| seen.insert(text.to_owned())));
        }
        if shaped.is_empty() {
            return Ok(Shaped::Nothing(if self.lookup.is_some() { Outcome::Unlisted } else { Outcome::Absent }));
        }
        Ok(Shaped::Value(match &self.take {
            Take::First => shaped.swap_remove(0),
            Take::AsIs if !plural && shaped.len() == 1 => shaped.swap_remove(0),
            Take::Join(separator) => shaped.iter().map(text_of).collect::<Vec<_>>().join(separator).into(),
            Take::All | Take::AsIs | Take::Split(_) => Value::Array(shaped),
        }))
    }

    /// Splits, transforms and looks up every value, or the first that leaves something.
    pub fn shape_all(&self, name: &str, mut values: Vec<Value>) -> Result<Vec<Value>, MappingError> {
        let first_only = self.take == Take::First;
        if self.lookup.is_none() && !matches!(self.take, Take::Split(_)) {
            let mut enough = false;
            values.retain_mut(|value| {
                let kept = !enough && self.transform_in_place(value);
                enough |= kept && first_only;
                kept
            });
            return Ok(values);
        }
        let mut shaped = Vec::with_capacity(values.len());
        for value in values {
            self.shape_one(name, value, &mut shaped)?;
            if first_only && !shaped.is_empty() {
                break;
            }
        }
        Ok(shaped)
    }

    fn shape_one(&self, name: &str, value: Value, shaped: &mut Vec<Value>) -> Result<(), MappingError> {
        match (value, &self.take) {
            (Value::String(text), Take::Split(separator)) => {
                text.split(separator.as_str()).try_for_each(|part| self.look_up(name, Value::from(part), shaped))
            }
            (value, _) => self.look_up(name, value, shaped),
        }
    }

    /// False when nothing is left.
    fn transform_in_place(&self, value: &mut Value) -> bool {
        let Value::String(text) = value else { return true };
        for transform in &self.transform {
            *text = transform.apply(std::mem::take(text));
        }
        !text.trim().is_empty()
    }

    fn look_up(&self, name: &str, mut value: Value, shaped: &mut Vec<Value>) -> Result<(), MappingError> {
        if !self.transform_in_place(&mut value) {
            return Ok(());
        }
        let Some(lookup) = &self.lookup else {
            shaped.push(value);
            return Ok(());
        };
        let listed = match &value {
            Value::String(text) => lookup.get(text),
            other => lookup.get(&other.to_string()),
        };
        match (listed, self.unlisted) {
            (Some(texts), _) => shaped.extend(texts.iter().map(|text| Value::from(text.as_str()))),
            (None, Unlisted::Keep) => shaped.push(value),
            (None, Unlisted::Drop) => {}
            (None, Unlisted::Refuse) => return Err(self.error(name, "has a value that the row's table does not list")),
        }
        Ok(())
    }

    fn error(&self, field: &str, reason: &str) -> MappingError {
        MappingError { table: self.table.clone(), row: self.number, field: field.to_owned(), reason: reason.to_owned() }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn required_but(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unlisted => "is required, and no value that came is in the row's table",
        Outcome::Unusable => "is required, and what came cannot be used",
        Outcome::Taken | Outcome::Default | Outcome::Absent | Outcome::Unmet => "is required, and nothing came for it",
    }
}
