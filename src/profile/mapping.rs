//! Mapping tables at work: attributes to profile, profile to what is released.
//!
//! Every row leaves a [`RowNote`], whether it found something or not: the login trace and `isthmus explain` show them.
//! How tables are written and read: [`super::mapping_file`].

use super::expression::{Expression, Scope};
use super::{Fact, Field, Profile, RawAttribute, RawAttributes, is_nothing, walk};
use crate::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
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

/// Where a source's values are gathered: under its whole name, or below the first part of a dotted one.
#[derive(Clone, Copy, Debug, Default)]
struct Slots {
    whole: usize,
    parent: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Row {
    /// The table that wrote it, and its place there from 1.
    pub table: String,
    pub number: usize,
    pub target: Target,
    pub input: Input,
    pub take: Take,
    pub transform: Vec<Transform>,
    pub lookup: Option<HashMap<String, Vec<String>>>,
    pub unlisted: Unlisted,
    pub require: bool,
    pub default: Option<Value>,
}

#[derive(Debug)]
pub(super) enum Target {
    Field {
        name: String,
        field: Field,
    },
    /// `saml_data.*`
    Members {
        name: String,
        root: Field,
    },
    /// `name` may contain one `*`.
    Release(Release),
}

#[derive(Clone, Debug)]
pub(super) struct Release {
    pub name: String,
    pub scope: Option<String>,
    pub name_format: Option<String>,
    pub friendly_name: Option<String>,
}

#[derive(Debug)]
pub(super) enum Input {
    From(Vec<Source>),
    Cel(Expression),
    /// Only the row's default.
    Nothing,
}

#[derive(Debug)]
pub(super) enum Source {
    Fact(Fact),
    /// An attribute's name, or a profile field's.
    Named(String),
    /// `prefix*`: what no other row names, or the members of an object of the profile.
    Rest(String),
}

impl Source {
    fn text(&self) -> String {
        match self {
            Self::Fact(fact) => format!("${}", fact.name()),
            Self::Named(name) => name.clone(),
            Self::Rest(prefix) => format!("{prefix}*"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Take {
    First,
    All,
    /// One stays one, several stay several.
    AsIs,
    Join(String),
    Split(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    Trim,
    Lowercase,
    Uppercase,
    /// Of an e-mail address or scoped name.
    LocalPart,
    Domain,
    /// The first part of a distinguished name.
    Cn,
    Prefix(String),
    StripPrefix(String),
    StripSuffix(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unlisted {
    Drop,
    Keep,
    Refuse,
}

/// A `[[test]]` of a table.
#[derive(Clone, Debug)]
pub(super) struct MappingTest {
    pub name: String,
    pub file: String,
    pub line: usize,
    pub given: Map<String, Value>,
    pub expect: Map<String, Value>,
    pub absent: Vec<String>,
    pub refused: bool,
}

/// What a test of a table found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestFailure {
    pub table: String,
    /// The table's file.
    pub file: String,
    pub test: String,
    /// Of the test, in that file.
    pub line: usize,
    pub differences: Vec<Difference>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub field: String,
    pub expected: Option<Value>,
    pub found: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
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

    /// Runs the table's own tests.
    pub fn run_tests(&self) -> Vec<TestFailure> {
        let failure = |test: &MappingTest| {
            let differences = self.differences(test);
            (!differences.is_empty()).then(|| TestFailure {
                table: self.name.clone(),
                file: test.file.clone(),
                test: test.name.clone(),
                line: test.line,
                differences,
            })
        };
        self.tests.iter().filter_map(failure).collect()
    }

    fn differences(&self, test: &MappingTest) -> Vec<Difference> {
        let mut notes = Vec::new();
        let result = match self.direction {
            Direction::ToProfile => self.to_profile(&raw_of_test(&test.given), &mut notes),
            Direction::FromProfile => self
                .from_profile(&Profile::from_map(test.given.clone()), &mut notes)
                .map(|released| Profile::from_map(released.into_iter().map(|released| (released.name, released.value)).collect())),
        };
        let profile = match (result, test.refused) {
            (Ok(profile), false) => profile,
            (Err(_), true) => return Vec::new(),
            (Ok(_), true) => return vec![Difference::refusal("the table was expected to refuse this, and did not".into())],
            (Err(error), false) => return vec![Difference::refusal(error.to_string())],
        };
        let expected = test.expect.iter().map(|(field, value)| (field.as_str(), Some(value)));
        let absent = test.absent.iter().map(|field| (field.as_str(), None));
        expected
            .chain(absent)
            .filter(|(field, expected)| profile.get(field) != *expected)
            .map(|(field, expected)| Difference {
                field: field.to_owned(),
                expected: expected.cloned(),
                found: profile.get(field).cloned(),
                error: None,
            })
            .collect()
    }

    fn demand(&self, direction: Direction) -> Result<(), MappingError> {
        if self.direction == direction {
            return Ok(());
        }
        let reason = format!("cannot be mapped: the table's direction is {}", self.direction.name());
        Err(MappingError { table: self.name.clone(), row: 0, field: "profile".to_owned(), reason })
    }

    /// One pass over the attributes: which slot each one fills.
    fn gather<'r>(&self, raw: &'r RawAttributes) -> Gathered<'r> {
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
struct Gathered<'r> {
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
struct Found {
    source: Option<String>,
    values: Vec<Value>,
    /// The source holds a list by nature, even of one.
    plural: bool,
}

impl Found {
    fn of_expression(value: Value) -> Self {
        Self { source: Some("cel".to_owned()), ..Self::of(value) }
    }

    fn of(value: Value) -> Self {
        match value {
            Value::Array(values) => Self { source: None, values: values.into_iter().filter(|v| !is_nothing(v)).collect(), plural: true },
            other if is_nothing(&other) => Self::default(),
            other => Self { source: None, values: vec![other], plural: false },
        }
    }
}

fn first_present(sources: &[Source], slots: &[Slots], raw: &RawAttributes, gathered: &Gathered<'_>) -> Result<Found, String> {
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

fn first_field(sources: &[Source], profile: &Profile) -> Found {
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

/// What the values of a row became.
enum Shaped {
    Value(Value),
    Nothing(Outcome),
}

impl Row {
    /// Shapes what was found, stores it by `set`, and says what happened.
    fn fill(
        &self,
        name: &str,
        found: Result<Found, String>,
        set: impl FnOnce(Value) -> Result<(), &'static str>,
    ) -> Result<RowNote, MappingError> {
        let mut note = RowNote { field: name.to_owned(), source: None, value: None, outcome: Outcome::Absent, detail: None };
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

    fn shape(&self, name: &str, values: Vec<Value>, plural: bool) -> Result<Shaped, MappingError> {
        if values.is_empty() {
            return Ok(Shaped::Nothing(Outcome::Absent));
        }
        let mut shaped = Vec::with_capacity(values.len());
        for value in values {
            self.shape_one(name, value, &mut shaped)?;
            if self.take == Take::First && !shaped.is_empty() {
                break;
            }
        }
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

    /// Splits, transforms and looks up one value.
    fn shape_one(&self, name: &str, value: Value, shaped: &mut Vec<Value>) -> Result<(), MappingError> {
        let Value::String(text) = value else {
            if self.lookup.is_some() {
                return self.look_up(name, text_of(&value), value, shaped);
            }
            shaped.push(value);
            return Ok(());
        };
        let parts: Vec<String> = match &self.take {
            Take::Split(separator) => text.split(separator.as_str()).map(str::to_owned).collect(),
            _ => vec![text],
        };
        for part in parts {
            let part = self.transform.iter().fold(part, |text, transform| transform.apply(text));
            if part.trim().is_empty() {
                continue;
            }
            if self.lookup.is_some() {
                self.look_up(name, part.clone(), Value::String(part), shaped)?;
            } else {
                shaped.push(Value::String(part));
            }
        }
        Ok(())
    }

    fn look_up(&self, name: &str, key: String, value: Value, shaped: &mut Vec<Value>) -> Result<(), MappingError> {
        match (self.lookup.as_ref().and_then(|table| table.get(&key)), self.unlisted) {
            (Some(texts), _) => shaped.extend(texts.iter().map(|text| Value::from(text.as_str()))),
            (None, Unlisted::Keep) => shaped.push(value),
            (None, Unlisted::Drop) => {}
            (None, Unlisted::Refuse) => return Err(self.error(name, "has a value that the row's table does not list")),
        }
        Ok(())
    }

    /// `saml_data.*` from `*`: what no row names, under its friendly name or else its name, always as lists (S2-21, S2-22).
    fn collect_rest(&self, name: &str, root: &Field, gathered: &Gathered<'_>, profile: &mut Profile) -> RowNote {
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

    /// `release = "prefix*"` from `custom.*`: every member of an object.
    fn release_members(
        &self,
        release: &Release,
        object: &str,
        profile: &Profile,
        released: &mut Vec<Released>,
    ) -> Result<RowNote, MappingError> {
        let mut note = RowNote { field: release.name.clone(), source: None, value: None, outcome: Outcome::Absent, detail: None };
        let Some(Value::Object(members)) = profile.get(object.trim_end_matches('.')) else { return Ok(note) };
        let mut given = Map::new();
        for (key, value) in members {
            let found = Found::of(value.clone());
            if let Shaped::Value(value) = self.shape(&release.name, found.values, found.plural)? {
                released.push(release.with(release.name.replacen('*', key, 1), value.clone()));
                given.insert(key.clone(), value);
            }
        }
        if !given.is_empty() {
            note.source = Some(format!("{object}*"));
            note.value = Some(Value::Object(given));
            note.outcome = Outcome::Taken;
        }
        Ok(note)
    }

    fn error(&self, field: &str, reason: &str) -> MappingError {
        MappingError { table: self.table.clone(), row: self.number, field: field.to_owned(), reason: reason.to_owned() }
    }
}

impl Release {
    fn with(&self, name: String, value: Value) -> Released {
        Released {
            name,
            value,
            scope: self.scope.clone(),
            name_format: self.name_format.clone(),
            friendly_name: self.friendly_name.clone(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            return f.write_str(error);
        }
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        write!(f, "{}: expected {}, found {}", self.field, shown(&self.expected), shown(&self.found))
    }
}

impl Transform {
    fn apply(&self, text: String) -> String {
        match self {
            Self::Trim => text.trim().to_owned(),
            Self::Lowercase => text.to_lowercase(),
            Self::Uppercase => text.to_uppercase(),
            Self::LocalPart => text.rsplit_once('@').map_or(text.as_str(), |(local, _)| local).to_owned(),
            Self::Domain => text.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned(),
            Self::Cn => common_name(&text),
            Self::Prefix(prefix) => format!("{prefix}{text}"),
            Self::StripPrefix(prefix) => text.strip_prefix(prefix.as_str()).unwrap_or(&text).to_owned(),
            Self::StripSuffix(suffix) => text.strip_suffix(suffix.as_str()).unwrap_or(&text).to_owned(),
        }
    }
}

impl Difference {
    fn refusal(error: String) -> Self {
        Self { field: String::new(), expected: None, found: None, error: Some(error) }
    }
}

/// `Admins` of `CN=Admins,OU=Groups`; anything else stays (RFC 4514: a backslash escapes).
fn common_name(text: &str) -> String {
    let Some(value) = text.get(3..).filter(|_| text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("cn="))) else {
        return text.to_owned();
    };
    let mut name = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' | '+' => break,
            '\\' => name.extend(characters.next()),
            other => name.push(other),
        }
    }
    name
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn required_but(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unlisted => "is required, and no value that came is in the row's table",
        Outcome::Unusable => "is required, and what came cannot be used",
        Outcome::Taken | Outcome::Default | Outcome::Absent => "is required, and nothing came for it",
    }
}

fn row_slots(row: &Row, slots: &mut HashMap<String, usize>) -> Vec<Slots> {
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

fn raw_of_test(given: &Map<String, Value>) -> RawAttributes {
    let mut raw = RawAttributes::new();
    let mut claims = given.clone();
    claims.retain(|name, value| match (Fact::parse(name), value) {
        (Some(fact), Value::String(text)) => {
            raw.set_fact(fact, text.as_str());
            false
        }
        _ => true,
    });
    for attribute in RawAttributes::from_claims(&claims).attributes() {
        raw.push(attribute.clone());
    }
    raw
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
