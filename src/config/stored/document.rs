//! An object in the words of the configuration file, and where in the object each word comes from.

use super::fault;
use crate::broker::live::Fault;
use crate::toml_file::{Problem, Section, TomlFile};
use serde_json::{Map, Value};

/// A table of the file that is being written.
pub struct Document {
    root: toml::Table,
    /// Path in the table, pointer into the object.
    places: Vec<(&'static str, &'static str)>,
    /// The inner table where everything of `isthmus` goes that is not of the outer one.
    inner: &'static str,
}

/// The member with our own settings, in the file's words.
pub const OWN: &str = "isthmus";

/// Members of it that are ours to say.
pub const TOLD: [&str; 2] = ["source", "warnings"];

impl Document {
    /// `places` are all words that Auth0 has another name for, used or not: what is missing is named by them too.
    pub fn new(inner: &'static str, places: &[(&'static str, &'static str)]) -> Self {
        let mut root = toml::Table::new();
        root.insert(inner.to_owned(), toml::Table::new().into());
        Self { root, places: places.to_vec(), inner }
    }

    /// Another word that came from a place of its own.
    pub fn place(&mut self, path: &'static str, pointer: &'static str) {
        self.places.push((path, pointer));
    }

    /// Sets a key, by its path of one or two names.
    pub fn set(&mut self, path: &str, value: impl Into<toml::Value>) {
        let (table, key) = match path.split_once('.') {
            Some((table, key)) => (self.root.entry(table).or_insert_with(|| toml::Table::new().into()).as_table_mut(), key),
            None => (Some(&mut self.root), path),
        };
        if let Some(table) = table {
            table.insert(key.to_owned(), value.into());
        }
    }

    /// Takes a member over as it is, if it is there.
    pub fn take(&mut self, path: &str, value: Option<&Value>) {
        if let Some(value) = value.and_then(to_toml) {
            self.set(path, value);
        }
    }

    /// Everything of the member `isthmus`: `outer` names are keys of the outer table, the others of the inner one.
    pub fn own(&mut self, body: &Map<String, Value>, outer: &[&str]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (name, value) in body.get(OWN).and_then(Value::as_object).into_iter().flatten() {
            if TOLD.contains(&name.as_str()) {
                continue;
            }
            let path = if outer.contains(&name.as_str()) { name.clone() } else { format!("{}.{name}", self.inner) };
            match self.places.iter().find(|(place, pointer)| *place == path && !pointer.starts_with("/isthmus/")) {
                Some((_, pointer)) => {
                    let here = format!("/{OWN}/{}", escaped(name));
                    faults.push(fault(&here, "cannot be set here", format!("set {pointer}")));
                }
                None => self.take(&path, Some(value)),
            }
        }
        faults
    }

    /// Reads it as the file is read. All that is wrong with it, or the value and what is weak in it.
    pub fn read<T>(&self, read: impl FnOnce(&Section<'_>) -> Option<T>) -> Result<(T, Vec<Fault>), Vec<Fault>> {
        let text = toml::to_string(&self.root).map_err(|error| vec![fault("", format!("cannot be read: {error}"), "")])?;
        let file = TomlFile::new("", &text);
        let table = file.parse();
        let root = file.root(&table);
        let value = read(&root);
        root.finish();
        let findings = file.into_findings();
        let told = |problems: Vec<Problem>| {
            let mut faults: Vec<Fault> = Vec::new();
            for problem in problems {
                let fault = self.told(&problem);
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
            faults
        };
        let (problems, warnings) = (told(findings.problems), told(findings.warnings));
        match value {
            Some(value) if problems.is_empty() => Ok((value, warnings)),
            _ if problems.is_empty() => Err(vec![fault("", "cannot be used", "")]),
            _ => Err(problems),
        }
    }

    fn told(&self, problem: &Problem) -> Fault {
        fault(&self.pointer(&problem.path), self.renamed(&problem.message), self.renamed(&problem.help))
    }

    /// The place of a path of the table in the object.
    fn pointer(&self, path: &str) -> String {
        let rest_of = |place: &str| path.strip_prefix(place).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let best = self.places.iter().filter_map(|(place, pointer)| Some((place.len(), *pointer, rest_of(place)?))).max();
        if let Some((_, pointer, rest)) = best {
            return format!("{pointer}{}", steps(rest));
        }
        let inner = path.strip_prefix(self.inner).filter(|rest| rest.starts_with('.'));
        match inner.unwrap_or(path) {
            "" => String::new(),
            path if path == self.inner => String::new(),
            path => format!("/{OWN}{}", steps(&format!(".{}", path.trim_start_matches('.')))),
        }
    }

    /// A sentence about the file, in the object's words.
    fn renamed(&self, text: &str) -> String {
        self.places.iter().fold(text.to_owned(), |text, (place, pointer)| {
            let (word, name) = (last(place, '.'), last(pointer, '/'));
            text.replace(&format!("`{word}`"), &format!("`{name}`")).replace(&format!("`{word} = "), &format!("`{name} = "))
        })
    }
}

/// `.certificates[0]` as `/certificates/0`.
fn steps(path: &str) -> String {
    let parts = path.split(['.', '[']).filter(|part| !part.is_empty());
    parts.map(|part| format!("/{}", escaped(part.trim_end_matches(']')))).collect()
}

pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn last(path: &str, separator: char) -> &str {
    path.rsplit(separator).next().unwrap_or(path)
}

/// What TOML can say of it; it has no null.
fn to_toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().filter_map(to_toml).collect::<Vec<_>>().into(),
        Value::Object(members) => {
            let members = members.iter().filter_map(|(name, value)| Some((name.clone(), to_toml(value)?)));
            toml::Value::Table(members.collect())
        }
    })
}
