//! Searching users: the query language, as typed filters.
//!
//! The language is the part of Lucene's that Auth0 documents as "User Search Query Syntax v3". [`parse`] reads it,
//! [`Filter`] is what it says, and the store answers it; no text of a query is ever part of a statement.
//!
//! - `field:value`, `field:"a phrase"`: the whole text of the field, which is not cut into words.
//! - `field:jo*`, `field:jane*smith`, `field:*smith`: a `*` is any text. Begins it with one, three characters must follow
//!   somewhere. Never for `user_metadata`.
//! - `field:[a TO b]`, `{a TO b}`, `[a TO *]`: ranges, square with the bound and curly without it. Never for `user_metadata`.
//! - `_exists_:field`, `field:*`: there is something in it.
//! - `AND`, `OR`, `NOT` (also `&&`, `||`, `!`, `+`, `-`) and parentheses, also as `field:(a OR b)`. `NOT` binds first, then
//!   `AND`. Terms with nothing between them are alternatives, as in Lucene; one with `+` must hold, and one with `-` or `NOT`
//!   must not.
//! - A backslash takes the next character for itself.
//!
//! A term without a field is looked for in `user_id`, `email`, `name`, `given_name`, `family_name`, `nickname` and
//! `username`. A field that is not known is an error: a misspelt name that finds nobody helps nobody.
//!
//! Case matters, but not in [`TextField::ignores_case`]. Texts are compared by code points. Of a text, the first
//! [`LONGEST_TEXT`] characters count.
//!
//! # What is searched
//!
//! What the directory keeps: the primary identity's profile, and over it the root attributes in force; not the defaults
//! that are filled in when a user is shown, such as a `name` made from the e-mail address. `logins_count` is the sum of all
//! identities, `last_login` their latest, and `updated_at` the later of the last change and the last login, as they are shown.
//! Below `user_metadata`, `app_metadata` and `custom_fields` a path leads to members; arrays on the way do not count.

mod date;
#[cfg(test)]
pub mod evaluate;
mod field;
mod parser;
mod sort;
#[cfg(test)]
mod tests;

pub use field::{FlagField, IdentityField, MetadataPath, TextField, TimeField};
pub use parser::parse;
pub use sort::{Order, Sort, SortField};

use super::metadata::Part;
use super::{User, folded};
use serde_json::Value;
use std::ops::Bound;

/// In bytes. A longer query is answered with [`Fault::TooLong`].
pub const LONGEST_QUERY: usize = 4096;

/// Terms of one query.
pub const MOST_TERMS: usize = 100;

/// How deep parentheses and negations may be nested.
pub const DEEPEST: usize = 20;

/// In characters: what is compared of a text. What comes after is as if it were not there.
pub const LONGEST_TEXT: usize = 400;

/// In characters: what lies under a longer path in metadata is not found.
pub const LONGEST_PATH: usize = 128;

/// Which users are wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of them hold; with none, everybody.
    All(Vec<Self>),
    /// One of them holds; with none, nobody.
    Any(Vec<Self>),
    Not(Box<Self>),
    /// A text of the user. For a field that ignores case the texts of the test are [`folded`].
    Text(TextField, Test<String>),
    Flag(FlagField, bool),
    /// Moments in milliseconds since 1970.
    Time(TimeField, Range<i64>),
    LoginsCount(Range<i64>),
    /// Some identity, not necessarily the same as that of another term.
    Identity(IdentityField, Test<String>),
    /// Some identity is (or is not) of a social connection.
    IsSocial(bool),
    Metadata(MetadataPath, ValueTest),
    /// Any field that a term without a field means ([`TextField::WITHOUT_NAME`]). Not folded.
    Anywhere(Test<String>),
}

/// What is asked of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Test<T> {
    Is(T),
    Like(Pattern),
    Within(Range<T>),
    Exists,
}

/// What is asked of the values at a path. A value is a text, a number or a boolean; others are not there.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueTest {
    /// Has this text, or is this number: `5`, `5.0` and `"5"` are all found by `5`.
    Is(String),
    Like(Pattern),
    /// Of numbers.
    Numbers(Range<f64>),
    /// Of what is not a number.
    Texts(Range<String>),
    /// There is a value, here or below.
    Exists,
}

/// Between two bounds, of which one or both may be open.
#[derive(Clone, Debug, PartialEq)]
pub struct Range<T> {
    pub from: Bound<T>,
    pub to: Bound<T>,
}

impl<T: PartialOrd> Range<T> {
    /// Everything that there is.
    pub const ALL: Self = Self { from: Bound::Unbounded, to: Bound::Unbounded };

    pub fn contains(&self, value: &T) -> bool {
        std::ops::RangeBounds::contains(&(self.from.as_ref(), self.to.as_ref()), value)
    }
}

/// A text with gaps: literals, with any text between two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// At least two; the first and the last may be empty, those between are not.
    literals: Vec<String>,
}

impl Pattern {
    /// What stands between the gaps: `a*b*` is `["a", "b", ""]`. Never fewer than two.
    pub fn literals(&self) -> &[String] {
        &self.literals
    }

    /// The text before the first gap.
    pub fn prefix(&self) -> &str {
        self.literals.first().map_or("", String::as_str)
    }

    /// `a*`, and nothing else?
    pub fn is_prefix(&self) -> bool {
        self.literals.len() == 2 && self.literals.last().is_some_and(String::is_empty)
    }

    #[must_use]
    pub fn folded(&self) -> Self {
        Self { literals: self.literals.iter().map(|literal| folded(literal)).collect() }
    }
}

/// Why a query cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchError {
    /// In characters, from 0.
    pub position: usize,
    /// A sentence for who wrote the query. It repeats parts of it.
    pub message: String,
    pub fault: Fault,
}

/// What kind of answer a [`SearchError`] deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More than [`LONGEST_QUERY`] bytes: 414 in HTTP.
    TooLong,
    /// 400 in HTTP.
    Wrong,
}

impl SearchError {
    fn at(position: usize, message: impl Into<String>) -> Self {
        Self { position, message: message.into(), fault: Fault::Wrong }
    }
}

impl std::fmt::Display for SearchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (at character {})", self.message, self.position)
    }
}

impl std::error::Error for SearchError {}

/// What is compared of a text.
pub fn counting(text: &str) -> &str {
    text.char_indices().nth(LONGEST_TEXT).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// A value in metadata, as a search sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// With the name of the object: `app_metadata.plan`.
    pub path: String,
    pub text: String,
    pub number: Option<f64>,
}

/// Everything in a user's metadata that a search sees.
pub fn leaves(user: &User) -> Vec<Leaf> {
    Part::ALL.iter().flat_map(|which| leaves_of(*which, which.of(user))).collect()
}

/// Of one object.
pub fn leaves_of(which: Part, object: &serde_json::Map<String, Value>) -> Vec<Leaf> {
    let mut found = Vec::new();
    for (name, value) in object {
        collect(format!("{}.{name}", which.name()), value, &mut found);
    }
    found
}

/// What is stored is nested less deeply than the JSON reader allows.
fn collect(path: String, value: &Value, found: &mut Vec<Leaf>) {
    let text = match value {
        Value::Null => return,
        Value::Array(items) => return items.iter().for_each(|item| collect(path.clone(), item, found)),
        Value::Object(members) => return members.iter().for_each(|(name, value)| collect(format!("{path}.{name}"), value, found)),
        Value::String(text) => storable(counting(text)),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    if path.chars().nth(LONGEST_PATH).is_none() {
        found.push(Leaf { path: storable(&path), text, number: value.as_f64() });
    }
}

/// As the directory can keep it, which has no NUL characters.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
