//! Mapping tables at work: attributes to profile, profile to what is released.
//!
//! Every row leaves a [`RowNote`], whether it found something or not: the login trace and `isthmus explain` show them.
//! How tables are written and read: [`super::mapping_file`].

mod gather;
mod release;
mod row;
mod self_test;
mod transform;

pub(super) use release::Release;
pub(super) use row::{Input, Row, Source, Take, Target, Unlisted};
pub(super) use self_test::MappingTest;
pub use self_test::{Difference, TestFailure};
pub(super) use transform::Transform;

use super::expression::Scope;
use super::{Profile, RawAttributes, is_nothing};
use crate::error::{Error, ErrorKind};
use gather::{Found, Slots, first_field, first_present, row_slots};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Which way a table maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// What an identity provider sent becomes a profile.
    ToProfile,
    /// A profile becomes what an application is told.
    FromProfile,
}

impl Direction {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToProfile => "to_profile",
            Self::FromProfile => "from_profile",
        }
    }
}

/// One claim or attribute for an application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Released {
    pub name: String,
    pub value: Value,
    /// Released only to requests with this scope; `None`: to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
}

/// What one row did, for the login trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowNote {
    /// The profile field, or the name that is released.
    pub field: String,
    /// The source that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The value that the row gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Taken,
    /// Nothing came; the row's default was used.
    Default,
    /// None of the sources is there, or all are empty.
    Absent,
    /// Values came, but none is in the row's table.
    Unlisted,
    /// Something came that cannot be used; `detail` says why.
    Unusable,
}

/// Why a mapping stopped. Names the row and the field; never contains a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MappingError {
    /// Empty where no table is at fault (a limit of the profile).
    pub table: String,
    /// From 1, in the file that holds it; 0 where no row is at fault.
    pub row: usize,
    pub field: String,
    pub reason: String,
}

impl MappingError {
    pub(super) fn limit(field: &str, reason: String) -> Self {
        Self { table: String::new(), row: 0, field: field.to_owned(), reason }
    }
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.reason)?;
        if self.table.is_empty() { Ok(()) } else { write!(f, " (mapping table `{}`, row {})", self.table, self.row) }
    }
}

impl std::error::Error for MappingError {}

impl From<MappingError> for Error {
    fn from(error: MappingError) -> Self {
        Self::new(ErrorKind::ProfileIncomplete, error.to_string())
    }
}

/// A table, ready for use.
#[derive(Debug)]
pub struct MappingTable {
    name: String,
    direction: Direction,
    rows: Vec<Arc<Row>>,
    /// Every source name of every row, so that an attribute needs two look-ups and a row none.
    slots: HashMap<String, usize>,
    /// For each row and source, its slots.
    sources: Vec<Vec<Slots>>,
    tests: Vec<MappingTest>,
}

impl MappingTable {
    pub(super) fn new(name: String, direction: Direction, rows: Vec<Arc<Row>>, tests: Vec<MappingTest>) -> Self {
        let mut slots = HashMap::new();
        let sources = rows.iter().map(|row| row_slots(row, &mut slots)).collect();
        Self { name, direction, rows, slots, sources, tests }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn direction(&self) -> Direction {
        self.direction
    }

    pub fn tests(&self) -> usize {
        self.tests.len()
    }

    /// The names that a `from_profile` table releases, with their scopes: for discovery and for metadata.
    #[cfg(test)]
    pub fn released_names(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.rows.iter().filter_map(|row| match &row.target {
            Target::Release(release) if !release.name.contains('*') => Some((release.name.as_str(), release.scope.as_deref())),
            _ => None,
        })
    }

    /// Maps what a connection said to a profile. Defaults such as the nickname are [`super::normalize`]'s.
    pub fn to_profile(&self, raw: &RawAttributes, notes: &mut Vec<RowNote>) -> Result<Profile, MappingError> {
        self.demand(Direction::ToProfile)?;
        let gathered = self.gather(raw);
        let scope = OnceCell::new();
        let mut profile = Profile::new();
        notes.reserve(self.rows.len());
        for (row, slots) in self.rows.iter().zip(&self.sources) {
            match &row.target {
                Target::Field { name, field } => {
                    let found = match &row.input {
                        Input::From(sources) => first_present(sources, slots, raw, &gathered),
                        Input::Cel(cel) => cel.evaluate(scope.get_or_init(|| Scope::of_attributes(raw))).map(Found::of_expression),
                        Input::Nothing => Ok(Found::default()),
                    };
                    let note = row.fill(name, found, |value| profile.set(field, value).map_err(|error| error.0))?;
                    notes.push(note);
                }
                Target::Members { name, root } => notes.push(row.collect_rest(name, root, &gathered, &mut profile)),
                Target::Release(_) => {}
            }
        }
        Ok(profile)
    }

    /// Maps a profile to what an application is told. Filtering by scope is the caller's.
    pub fn from_profile(&self, profile: &Profile, notes: &mut Vec<RowNote>) -> Result<Vec<Released>, MappingError> {
        self.demand(Direction::FromProfile)?;
        let scope = OnceCell::new();
        let mut released = Vec::with_capacity(self.rows.len());
        notes.reserve(self.rows.len());
        for row in &self.rows {
            let Target::Release(release) = &row.target else { continue };
            let found = match &row.input {
                Input::From(sources) => match sources.as_slice() {
                    [Source::Rest(object)] => {
                        notes.push(row.release_members(release, object, profile, &mut released)?);
                        continue;
                    }
                    sources => Ok(first_field(sources, profile)),
                },
                Input::Cel(cel) => cel.evaluate(scope.get_or_init(|| Scope::of_profile(profile))).map(Found::of_expression),
                Input::Nothing => Ok(Found::default()),
            };
            let note = row.fill(&release.name, found, |value| {
                if !is_nothing(&value) {
                    released.push(release.with(release.name.clone(), value));
                }
                Ok(())
            })?;
            notes.push(note);
        }
        Ok(released)
    }

    fn demand(&self, direction: Direction) -> Result<(), MappingError> {
        if self.direction == direction {
            return Ok(());
        }
        let reason = format!("cannot be mapped: the table's direction is {}", self.direction.name());
        Err(MappingError { table: self.name.clone(), row: 0, field: "profile".to_owned(), reason })
    }
}

#[cfg(test)]
mod tests;
