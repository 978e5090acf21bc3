//! Mapping tables at work: attributes to profile, profile to what is released.
//!
//! Every row leaves a [`RowNote`], whether it found something or not: the login trace and `isthmus explain` show them.
//! How tables are written and read: [`super::mapping_file`].

mod condition;
mod gather;
mod release;
mod row;
mod self_test;
mod transform;
mod wildcard;

pub(super) use condition::{Condition, Test};
pub(super) use release::Release;
pub(super) use row::{Input, Row, Source, Take, Target, Unlisted};
pub(super) use self_test::MappingTest;
pub use self_test::{Difference, TestResult};
pub(super) use transform::Transform;

use super::expression::Scope;
use super::{Profile, RawAttributes};
use crate::error::{Error, ErrorKind};
use gather::{Found, Slot, Slots, unmet_by_profile};
use release::Releases;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use wildcard::Explicit;

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
    /// Released only to SAML applications of one of these entity categories; empty: to all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
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
    /// A condition of the row does not hold, or an earlier row for the same field gave the value; `detail` says which.
    Unmet,
}

impl RowNote {
    fn of(field: &str) -> Self {
        Self { field: field.to_owned(), source: None, value: None, outcome: Outcome::Absent, detail: None }
    }

    /// It was not given, and why.
    pub fn unmet(field: &str, why: String) -> Self {
        Self { outcome: Outcome::Unmet, detail: Some(why), ..Self::of(field) }
    }
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
    rows: Vec<Planned>,
    slots: Slots,
    explicit: Explicit,
    /// Fields for which there are several rows.
    groups: usize,
    tests: Vec<MappingTest>,
}

/// A row at its place in a table.
#[derive(Debug)]
struct Planned {
    row: Arc<Row>,
    /// Of each source, and of each condition.
    sources: Vec<Slot>,
    when: Vec<Slot>,
    /// Shared by the rows for one field, where there are several.
    group: Option<usize>,
}

impl MappingTable {
    pub(super) fn new(name: String, direction: Direction, rows: Vec<Arc<Row>>, tests: Vec<MappingTest>) -> Self {
        let mut slots = Slots::default();
        let sources = slots.of_rows(rows.iter().map(Arc::as_ref));
        let when = slots.of_conditions(rows.iter().map(Arc::as_ref));
        let explicit = Explicit::of_rows(rows.iter().map(Arc::as_ref));
        let (groups, group_count) = groups(&rows);
        let places = sources.into_iter().zip(when).zip(groups);
        let rows = rows.into_iter().zip(places).map(|(row, ((sources, when), group))| Planned { row, sources, when, group }).collect();
        Self { name, direction, rows, slots, explicit, groups: group_count, tests }
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

    /// The names that a `from_profile` table may release to clients, with the scopes of their rows: as clients see them first,
    /// and with the `*` that they are written with.
    pub fn released_names(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.rows.iter().filter_map(|planned| match &planned.row.target {
            // Entity categories are SAML's: a client has none.
            Target::Release(release) if release.categories.is_empty() => Some((release.given_name(), release.scope.as_deref())),
            _ => None,
        })
    }

    /// The attribute that each row of a `to_profile` table would rather have, and whether it must be there: an object
    /// identifier if the row knows one, else its first source.
    pub fn asked_names(&self) -> impl Iterator<Item = (&str, bool)> {
        let mut seen = HashSet::new();
        let best = |row: &'_ Row| -> Option<usize> {
            let Input::From(sources) = &row.input else { return None };
            let named = |source: &Source| matches!(source, Source::Named(_));
            let by_identifier = |source: &Source| matches!(source, Source::Named(name) if name.starts_with("urn:oid:"));
            sources.iter().position(by_identifier).or_else(|| sources.iter().position(named))
        };
        let names = self.rows.iter().filter_map(move |planned| {
            let Input::From(sources) = &planned.row.input else { return None };
            match sources.get(best(&planned.row)?) {
                Some(Source::Named(name)) => Some((name.as_str(), planned.row.require)),
                _ => None,
            }
        });
        names.filter(move |(name, _)| seen.insert(*name))
    }

    /// The names of attributes that rows read, whether as sources, in conditions or in expressions.
    pub fn read_names(&self) -> impl Iterator<Item = &str> {
        fn named(source: &Source) -> Option<&str> {
            match source {
                Source::Named(name) => Some(name.as_str()),
                Source::Fact(_) | Source::Rest(_) => None,
            }
        }
        self.rows.iter().flat_map(|planned| {
            let (sources, members) = match &planned.row.input {
                Input::From(sources) => (sources.as_slice(), [].as_slice()),
                Input::Cel(cel) => ([].as_slice(), cel.members()),
                Input::Nothing => ([].as_slice(), [].as_slice()),
            };
            let when = planned.row.when.iter().map(|condition| &condition.source);
            sources.iter().chain(when).filter_map(named).chain(members.iter().map(String::as_str))
        })
    }

    /// Is this a name that a row releases by itself, and not among others?
    pub fn names(&self, name: &str) -> bool {
        let names = |release: &Release| !release.name.contains('*') && release.given_name() == name;
        self.rows.iter().any(|planned| matches!(&planned.row.target, Target::Release(release) if names(release)))
    }

    /// Maps what a connection said to a profile. Defaults such as the nickname are [`super::normalize`]'s.
    pub fn to_profile(&self, raw: &RawAttributes, notes: &mut Vec<RowNote>) -> Result<Profile, MappingError> {
        self.demand(Direction::ToProfile)?;
        let gathered = self.slots.gather(raw);
        let scope = OnceCell::new();
        let mut profile = Profile::new();
        let mut given = vec![false; self.groups];
        notes.reserve(self.rows.len());
        for Planned { row, sources: slots, when, group } in &self.rows {
            let name = row.target.name();
            if let Some(condition) = gathered.unmet(&row.when, when) {
                notes.push(RowNote::unmet(name, condition.unmet()));
                continue;
            }
            let field = match &row.target {
                Target::Field { field, .. } => field,
                Target::Members { root, .. } => {
                    notes.push(row.collect_rest(name, root, &gathered, &mut profile));
                    continue;
                }
                Target::Release(_) => continue,
            };
            let earlier = group.filter(|group| given[*group]).and_then(|_| profile.get(name));
            if earlier.is_some_and(|value| !value.is_array()) {
                notes.push(RowNote::unmet(name, EARLIER_ROW.to_owned()));
                continue;
            }
            let earlier = earlier.cloned();
            let found = match &row.input {
                Input::From(sources) => Ok(gathered.first(sources, slots)),
                Input::Cel(cel) => cel.evaluate(scope.get_or_init(|| Scope::of_attributes(raw))).map(Found::of_expression),
                Input::Nothing => Ok(Found::default()),
            };
            let note = row.fill(name, found, |value| profile.set(field, joined(earlier, value)).map_err(|error| error.0))?;
            if let Some(group) = group {
                given[*group] |= note.value.is_some();
            }
            notes.push(note);
        }
        Ok(profile)
    }

    /// Maps a profile to what an application is told. Filtering by scope is the caller's.
    pub fn from_profile(&self, profile: &Profile, notes: &mut Vec<RowNote>) -> Result<Vec<Released>, MappingError> {
        self.demand(Direction::FromProfile)?;
        let scope = OnceCell::new();
        let mut releases = Releases::with_capacity(self.rows.len());
        let mut given = vec![false; self.groups];
        notes.reserve(self.rows.len());
        for Planned { row, group, .. } in &self.rows {
            let Target::Release(release) = &row.target else { continue };
            if let Some(condition) = unmet_by_profile(&row.when, profile) {
                notes.push(RowNote::unmet(&release.name, condition.unmet()));
                continue;
            }
            let of_members = row.members_of();
            let again = group.is_some_and(|group| given[group]);
            let earlier = if again { releases.get(release) } else { None };
            if earlier.is_some_and(|value| !value.is_array()) || (again && of_members.is_some()) {
                notes.push(RowNote::unmet(&release.name, EARLIER_ROW.to_owned()));
                continue;
            }
            let earlier = earlier.cloned();
            let note = match of_members {
                Some(sources) => row.release_members(release, sources, profile, &self.explicit, &mut releases)?,
                None => {
                    let found = match &row.input {
                        Input::From(sources) => Ok(Found::in_profile(sources, profile)),
                        Input::Cel(cel) => cel.evaluate(scope.get_or_init(|| Scope::of_profile(profile))).map(Found::of_expression),
                        Input::Nothing => Ok(Found::default()),
                    };
                    row.fill(&release.name, found, |value| releases.put(release, joined(earlier, value)))?
                }
            };
            if let Some(group) = group {
                given[*group] |= note.value.is_some();
            }
            notes.push(note);
        }
        Ok(releases.into_released())
    }

    fn demand(&self, direction: Direction) -> Result<(), MappingError> {
        if self.direction == direction {
            return Ok(());
        }
        let reason = format!("cannot be mapped: the table's direction is {}", self.direction.name());
        Err(MappingError { table: self.name.clone(), row: 0, field: "profile".to_owned(), reason })
    }
}

const EARLIER_ROW: &str = "an earlier row gave the value";

/// Which rows are for the same field, and how many such fields there are.
fn groups(rows: &[Arc<Row>]) -> (Vec<Option<usize>>, usize) {
    let mut rows_of: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        *rows_of.entry(row.target.name()).or_default() += 1;
    }
    rows_of.retain(|_, count| *count > 1);
    let numbers: HashMap<&str, usize> = rows_of.keys().enumerate().map(|(number, name)| (*name, number)).collect();
    (rows.iter().map(|row| numbers.get(row.target.name()).copied()).collect(), numbers.len())
}

/// The list of an earlier row and what this one gives, without repeats.
fn joined(earlier: Option<Value>, value: Value) -> Value {
    let Some(Value::Array(mut list)) = earlier else { return value };
    let mut seen: HashSet<String> = list.iter().map(Value::to_string).collect();
    let more = match value {
        Value::Array(items) => items,
        single => vec![single],
    };
    list.extend(more.into_iter().filter(|item| seen.insert(item.to_string())));
    Value::Array(list)
}

#[cfg(test)]
mod choice_tests;
#[cfg(test)]
mod release_tests;
#[cfg(test)]
mod tests;
