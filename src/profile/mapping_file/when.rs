//! Reads the conditions of a row.

use super::row::RowReader;
use crate::profile::mapping::{Condition, Source, Test};
use crate::toml_file::{Section, to_json};
use serde_json::Value;
use std::collections::HashSet;

const HELP: &str = "write when = [ { source = \"..\", any = [\"..\"] } ], with one of any, all, none and present in each";

impl RowReader<'_> {
    pub fn conditions(&self) -> Vec<Condition> {
        let sections = self.section.sections("when");
        if sections.is_empty() && self.section.value("when").is_some_and(|at| at.value.is_array()) {
            self.section.problem("when", "`when` has no condition", HELP);
        }
        sections.iter().filter_map(|section| self.condition(section)).collect()
    }

    fn condition(&self, section: &Section<'_>) -> Option<Condition> {
        let source = section.required("source").and_then(|name| self.source(&name));
        if matches!(source, Some(Source::Rest(_))) {
            section.problem("source", "a condition looks at one source", "name it without `*`");
        }
        let tests = [
            texts(section, "any").map(Test::Any),
            texts(section, "all").map(Test::All),
            texts(section, "none").map(Test::None),
            section.bool("present").map(Test::Present),
        ];
        let mut tests = tests.into_iter().flatten();
        let test = tests.next();
        if tests.next().is_some() || test.is_none() {
            section.problem("source", "a condition has exactly one of any, all, none and present", HELP);
        }
        section.finish();
        Some(Condition { source: source?, test: test? })
    }
}

/// One or several values; flags and numbers as they are written. `None` when the key is absent.
fn texts(section: &Section<'_>, key: &'static str) -> Option<HashSet<String>> {
    let items = match to_json(section.value(key)?.value) {
        Value::Array(items) => items,
        single => vec![single],
    };
    let mut texts = HashSet::with_capacity(items.len());
    for item in &items {
        match item {
            Value::String(text) if text.trim().is_empty() => {
                section.problem(key, "an empty value never comes", "remove it; `present = false` asks for nothing");
            }
            Value::String(text) => {
                texts.insert(text.clone());
            }
            Value::Bool(_) | Value::Number(_) => {
                texts.insert(item.to_string());
            }
            _ => section.problem(key, "expected a text or a list of texts", "put them in quotes"),
        }
    }
    if items.is_empty() {
        section.problem(key, format!("`{key}` lists nothing"), HELP);
    }
    Some(texts)
}
