//! The tests that a table carries.

use super::{Direction, MappingTable};
use crate::profile::{Fact, Profile, RawAttributes};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// A `[[test]]` of a table.
#[derive(Clone, Debug)]
pub struct MappingTest {
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
pub struct TestResult {
    pub table: String,
    pub direction: Direction,
    /// The table's file.
    pub file: String,
    pub test: String,
    /// Of the test, in that file.
    pub line: usize,
    /// None: the test passed.
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
    /// Runs the table's own tests.
    pub fn test_results(&self) -> impl Iterator<Item = TestResult> {
        self.tests.iter().map(|test| TestResult {
            table: self.name.clone(),
            direction: self.direction,
            file: test.file.clone(),
            test: test.name.clone(),
            line: test.line,
            differences: self.differences(test),
        })
    }

    /// Those of the table's own tests that fail.
    pub fn run_tests(&self) -> Vec<TestResult> {
        self.test_results().filter(|result| !result.differences.is_empty()).collect()
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

impl Difference {
    fn refusal(error: String) -> Self {
        Self { field: String::new(), expected: None, found: None, error: Some(error) }
    }
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
