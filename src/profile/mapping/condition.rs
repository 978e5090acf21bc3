//! `when`: what must be so for a row to count.

use super::row::Source;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;

/// One condition of a row, on the values of one source.
#[derive(Clone, Debug)]
pub struct Condition {
    pub source: Source,
    pub test: Test,
}

/// Listed values are compared exactly; a flag or a number as it is written.
#[derive(Clone, Debug)]
pub enum Test {
    /// At least one of these came.
    Any(HashSet<String>),
    /// Every one of these came.
    All(HashSet<String>),
    /// None of these came. Holds where nothing came at all.
    None(HashSet<String>),
    /// Something came, or nothing did.
    Present(bool),
}

impl Condition {
    pub fn holds<'v>(&self, mut values: impl Iterator<Item = &'v Value>) -> bool {
        match &self.test {
            Test::Any(listed) => values.any(|value| listed.contains(written(value).as_ref())),
            Test::None(listed) => !values.any(|value| listed.contains(written(value).as_ref())),
            Test::All(listed) => {
                let mut missing: HashSet<&str> = listed.iter().map(String::as_str).collect();
                values.any(|value| {
                    missing.remove(written(value).as_ref());
                    missing.is_empty()
                })
            }
            Test::Present(wanted) => values.next().is_some() == *wanted,
        }
    }

    /// Why the row does not count, without the values.
    pub fn unmet(&self) -> String {
        let why = match &self.test {
            Test::Any(_) => "has none of the values that the row is for",
            Test::All(_) => "does not have all the values that the row is for",
            Test::None(_) => "has a value that the row is not for",
            Test::Present(true) => "is absent",
            Test::Present(false) => "is present",
        };
        format!("{} {why}", self.source.text())
    }
}

fn written(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}
