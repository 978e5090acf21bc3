//! Reads TOML files so that every fault is reported, not only the first, each with file, line, column and path.
//!
//! A [`Section`] is one table. Its accessors note a problem and answer `None` where a value has the wrong type, and
//! remember which keys were asked for; [`Section::finish`] reports the others as unknown. The configuration and the
//! mapping tables are read with it. What the values mean is the business of those modules.

use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub file: String,
    /// From 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// `connection[1].saml.metadata_file`
    pub path: String,
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// The line itself, unless it may hold a secret.
    #[serde(skip)]
    pub excerpt: Option<String>,
    /// Characters to underline.
    #[serde(skip)]
    pub width: usize,
}

/// What a check found. Problems stop the program; warnings do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// What an operator may want to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

impl Findings {
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    pub fn extend(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.warnings.extend(other.warnings);
        self.notes.extend(other.notes);
    }

    /// In the order of the lines, without repetitions.
    pub fn sort(&mut self) {
        for list in [&mut self.problems, &mut self.warnings, &mut self.notes] {
            list.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
            list.dedup();
        }
    }
}

/// A file's text, and what was found in it so far.
#[derive(Debug)]
pub struct TomlFile<'a> {
    name: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    findings: RefCell<Findings>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    pub value: T,
    pub span: Range<usize>,
    /// `row[3].from`
    pub path: String,
}

impl<T> At<T> {
    pub fn with<U>(&self, value: U) -> At<U> {
        At { value, span: self.span.clone(), path: self.path.clone() }
    }
}

impl<'a> TomlFile<'a> {
    /// `name` is what problems call the file.
    pub fn new(name: &'a str, text: &'a str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, text, line_starts, findings: RefCell::default() }
    }

    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The file's table, as far as it can be read; syntax errors are noted.
    pub fn parse(&self) -> Spanned<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.problem(error.span().unwrap_or(0..0), "", error.message(), "correct the TOML syntax");
        }
        table
    }

    /// The root as a section.
    pub fn root<'t>(&'t self, table: &'t Spanned<DeTable<'a>>) -> Section<'t> {
        Section { file: self, path: String::new(), span: 0..0, table: table.get_ref(), usual: None, read: RefCell::default() }
    }

    pub fn problem(&self, span: Range<usize>, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let problem = self.describe(span, path, message.into(), help.into());
        self.findings.borrow_mut().problems.push(problem);
    }

    pub fn warning(&self, span: Range<usize>, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let warning = self.describe(span, path, message.into(), help.into());
        self.findings.borrow_mut().warnings.push(warning);
    }

    pub fn note(&self, span: Range<usize>, path: &str, message: impl Into<String>) {
        let note = self.describe(span, path, message.into(), String::new());
        self.findings.borrow_mut().notes.push(note);
    }

    pub fn has_problems(&self) -> bool {
        !self.findings.borrow().problems.is_empty()
    }

    pub fn into_findings(self) -> Findings {
        self.findings.into_inner()
    }

    /// A problem that is not noted yet.
    pub fn describe(&self, span: Range<usize>, path: &str, message: String, help: String) -> Problem {
        let start = span.start.min(self.text.len());
        let row = self.line_starts.partition_point(|&at| at <= start).saturating_sub(1);
        let line_start = self.line_starts.get(row).copied().unwrap_or(0);
        let line = self.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let before = self.text.get(line_start..start).unwrap_or_default();
        let marked = self.text.get(start..span.end).and_then(|marked| marked.lines().next()).unwrap_or_default();
        let secret = ["secret", "password", "private", "-----BEGIN"].iter().any(|word| line.contains(word))
            || line.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
        Problem {
            file: self.name.to_owned(),
            line: row + 1,
            column: before.chars().count() + 1,
            path: path.to_owned(),
            message,
            help,
            excerpt: (!secret).then(|| line.to_owned()),
            width: marked.chars().count().max(1),
        }
    }
}

/// One table of a file.
#[derive(Debug)]
pub struct Section<'t> {
    file: &'t TomlFile<'t>,
    path: String,
    span: Range<usize>,
    table: &'t DeTable<'t>,
    /// What a key says that is not in the table.
    usual: Option<&'t DeTable<'t>>,
    read: RefCell<BTreeSet<&'static str>>,
}

impl<'t> Section<'t> {
    pub fn file(&self) -> &'t TomlFile<'t> {
        self.file
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of a key of this table.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// With the values that keys have where the file says nothing. They come from a text of our own, so that no problem is
    /// ever with them.
    pub fn or(self, usual: &'t DeTable<'t>) -> Self {
        Self { usual: Some(usual), ..self }
    }

    pub fn has(&self, key: &str) -> bool {
        self.is_written(key) || self.usual.is_some_and(|usual| usual.contains_key(key))
    }

    /// Does the file itself say it?
    pub fn is_written(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A problem with a key's value, or with the table where the key is missing.
    pub fn problem(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.file.problem(self.span_of(key), &self.path_of(key), message, help);
    }

    pub fn warning(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.file.warning(self.span_of(key), &self.path_of(key), message, help);
    }

    pub fn note(&self, key: &str, message: impl Into<String>) {
        self.file.note(self.span_of(key), &self.path_of(key), message);
    }

    /// The line where the table begins.
    pub fn line(&self) -> usize {
        self.file.describe(self.span.clone(), &self.path, String::new(), String::new()).line
    }

    pub fn span_of(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or(self.span.clone(), Spanned::span)
    }

    /// The raw value of a key.
    pub fn value(&self, key: &'static str) -> Option<At<&'t DeValue<'t>>> {
        self.read.borrow_mut().insert(key);
        match (self.table.get(key), self.usual) {
            (Some(value), _) => Some(At { value: value.get_ref(), span: value.span(), path: self.path_of(key) }),
            (None, Some(usual)) => {
                usual.get(key).map(|value| At { value: value.get_ref(), span: self.span.clone(), path: self.path_of(key) })
            }
            (None, None) => None,
        }
    }

    pub fn string(&self, key: &'static str) -> Option<At<&'t str>> {
        self.typed(key, "a text in quotes", DeValue::as_str)
    }

    /// A text that must be there and not be empty.
    pub fn required(&self, key: &'static str) -> Option<At<&'t str>> {
        if !self.has(key) {
            self.read.borrow_mut().insert(key);
            self.problem(key, format!("`{key}` is missing"), format!("add `{key} = \"..\"`"));
            return None;
        }
        let text = self.string(key)?;
        if text.value.trim().is_empty() {
            self.problem(key, format!("`{key}` is empty"), "give it a value");
            return None;
        }
        Some(text)
    }

    pub fn bool(&self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", DeValue::as_bool).map(|at| at.value)
    }

    /// A whole number within a range.
    pub fn integer(&self, key: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<At<i64>> {
        let number = self.typed(key, "a whole number", |value| integer(value))?;
        if !range.contains(&number.value) {
            let message = format!("{} is out of range", number.value);
            self.problem(key, message, format!("use a number from {} to {}", range.start(), range.end()));
            return None;
        }
        Some(number)
    }

    /// A list of texts; a single text is read as a list of one. `None` when the key is absent.
    pub fn strings(&self, key: &'static str) -> Option<Vec<At<&'t str>>> {
        let value = self.value(key)?;
        if let Some(text) = value.value.as_str() {
            return Some(vec![value.with(text)]);
        }
        let Some(items) = value.value.as_array() else {
            self.wrong_type(key, "a list of texts", value.value);
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let path = format!("{}[{number}]", value.path);
            match item.get_ref().as_str() {
                Some(text) => texts.push(At { value: text, span: item.span(), path }),
                None => self.file.problem(item.span(), &path, "expected a text in quotes", "put it in quotes"),
            }
        }
        Some(texts)
    }

    /// A sub-table.
    pub fn section(&self, key: &'static str) -> Option<Section<'t>> {
        let value = self.value(key)?;
        match value.value.as_table() {
            Some(table) => Some(self.child(value.path, value.span, table)),
            None => {
                self.wrong_type(key, "a table", value.value);
                None
            }
        }
    }

    /// An array of tables; absent is empty.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'t>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = value.value.as_array() else {
            self.wrong_type(key, &format!("a list of tables, written [[{key}]]"), value.value);
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let path = format!("{}[{number}]", value.path);
            match item.get_ref().as_table() {
                Some(table) => sections.push(self.child(path, item.span(), table)),
                None => self.file.problem(item.span(), &path, "expected a table", format!("write it as [[{key}]]")),
            }
        }
        sections
    }

    /// All keys and values, for tables whose keys the operator chooses.
    pub fn entries(&self) -> impl Iterator<Item = (&'t str, At<&'t DeValue<'t>>)> + '_ {
        self.table.iter().map(|(key, value)| {
            let name: &'t str = key.get_ref();
            (name, At { value: value.get_ref(), span: value.span(), path: self.path_of(name) })
        })
    }

    /// One of the named choices.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        let found = choices.iter().find(|(name, _)| *name == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.problem(key, format!("`{}` is not a choice", text.value), format!("use one of {}", names.join(", ")));
        }
        found
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(&self) {
        let read = self.read.borrow();
        for key in self.table.keys() {
            let name: &str = <Spanned<DeString<'_>> as std::borrow::Borrow<str>>::borrow(key);
            if !read.contains(name) {
                self.file.problem(key.span(), &self.path_of(name), format!("`{name}` is not known here"), suggestion(name, &read));
            }
        }
    }

    fn child(&self, path: String, span: Range<usize>, table: &'t DeTable<'t>) -> Section<'t> {
        Section { file: self.file, path, span, table, usual: None, read: RefCell::default() }
    }

    fn typed<T>(&self, key: &'static str, expected: &str, read: impl Fn(&'t DeValue<'t>) -> Option<T>) -> Option<At<T>> {
        let value = self.value(key)?;
        let typed = read(value.value);
        if typed.is_none() {
            self.wrong_type(key, expected, value.value);
        }
        typed.map(|typed| value.with(typed))
    }

    fn wrong_type(&self, key: &str, expected: &str, found: &DeValue<'_>) {
        self.problem(key, format!("expected {expected}, found {}", found.type_str()), format!("make `{key}` {expected}"));
    }
}

/// The JSON form of a TOML value.
pub fn to_json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(_) => integer(value).map_or(Value::Null, Value::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().clone().into_owned(), to_json(value.get_ref())))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// "did you mean", or what there is.
fn suggestion(unknown: &str, known: &BTreeSet<&'static str>) -> String {
    match nearest(unknown, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("remove it; known here: {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
    }
}

/// The name that was probably meant.
pub fn nearest<'n>(unknown: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let (distance, name) = names.map(|name| (distance(unknown, name), name)).min()?;
    (distance <= 1 + name.len() / 4).then_some(name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_a_file_are_reported_with_their_places() {
        let text = "lisen = \"x\"\nnumber = \"7\"\n\n[inner]\nflag = 1\nother = true\n";
        let file = TomlFile::new("f.toml", text);
        let table = file.parse();
        let root = file.root(&table);
        assert!(root.string("listen").is_none());
        assert!(root.integer("number", 0..=9).is_none());
        let inner = root.section("inner").expect("a table");
        assert_eq!(inner.bool("flag"), None);
        inner.finish();
        root.finish();
        let mut findings = file.into_findings();
        findings.sort();
        let places: Vec<_> = findings.problems.iter().map(|p| (p.line, p.column, p.path.as_str())).collect();
        assert_eq!(places, [(1, 1, "lisen"), (2, 10, "number"), (5, 8, "inner.flag"), (6, 1, "inner.other")]);
        assert_eq!(findings.problems[0].help, "did you mean `listen`?");
    }

    #[test]
    fn what_the_file_says_counts_before_what_is_usual() {
        let usual = DeTable::parse("a = 1\nb = 2\nlist = [\"x\"]\n[more]\nc = \"3\"\n").expect("TOML");
        let file = TomlFile::new("f.toml", "a = 7\nz = 1\n");
        let table = file.parse();
        let section = file.root(&table).or(usual.get_ref());
        let number = |key| section.integer(key, 0..=9).map(|at| at.value);
        assert_eq!((number("a"), number("b")), (Some(7), Some(2)));
        assert_eq!(section.section("more").and_then(|more| more.string("c").map(|at| at.value.to_owned())).as_deref(), Some("3"));
        assert!(section.has("b") && !section.is_written("b") && section.is_written("a"));
        section.finish();
        let findings = file.into_findings();
        assert_eq!(findings.problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["z"], "nobody asked for it");
    }

    #[test]
    fn several_syntax_errors_are_all_reported() {
        let file = TomlFile::new("f.toml", "a = \nb = 1\nc = [1,\n\n[x\n");
        file.parse();
        assert!(file.into_findings().problems.len() >= 2);
    }

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_shown() {
        let file = TomlFile::new("f.toml", "client_secret = \"hunter2\"\n");
        file.problem(16..25, "client_secret", "no", "no");
        assert_eq!(file.into_findings().problems[0].excerpt, None);
        for (line, shown) in [("url = \"redis://:hunter2@host\"", false), ("issuer = \"https://login.example\"", true)] {
            let file = TomlFile::new("f.toml", line);
            file.problem(0..1, "", "no", "no");
            assert_eq!(file.into_findings().problems[0].excerpt.is_some(), shown, "{line}");
        }
    }
}
