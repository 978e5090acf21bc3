//! Writes a table of rows, and refuses what no table can hold.

use super::{Imported, Note};
use crate::profile::{Direction, Field};
use std::collections::HashSet;
use std::fmt::Write as _;

/// A table that grows.
pub struct Writer {
    direction: Direction,
    extends: Option<&'static str>,
    title: &'static str,
    rows: String,
    targets: HashSet<String>,
    notes: Vec<Note>,
}

/// A row to be written.
#[derive(Default)]
pub struct NewRow<'a> {
    /// Where it stands in the input.
    pub place: &'a str,
    /// The field; or the names that are released.
    pub targets: &'a [&'a str],
    pub from: Vec<String>,
    /// Instead of `from`.
    pub cel: Option<&'a str>,
    pub take: Option<&'a str>,
    pub name_format: Option<&'a str>,
    /// From the members of objects, by `*`.
    pub members: bool,
    /// `table = { .. }`, with what is not listed kept.
    pub table: &'a [(&'a str, &'a str)],
}

impl Writer {
    pub fn new(direction: Direction, extends: Option<&'static str>, title: &'static str) -> Self {
        Self { direction, extends, title, rows: String::new(), targets: HashSet::new(), notes: Vec::new() }
    }

    /// Something that is not in the table.
    pub fn lost(&mut self, place: &str, text: impl Into<String>) {
        self.notes.push(Note { place: place.to_owned(), text: text.into(), lost: true });
    }

    /// Something to know of what is in it.
    pub fn remark(&mut self, place: &str, text: impl Into<String>) {
        self.notes.push(Note { place: place.to_owned(), text: text.into(), lost: false });
    }

    /// Writes a row, without the names and sources that cannot be in one.
    pub fn row(&mut self, row: NewRow<'_>) {
        let (targets, sources) = (self.usable_targets(&row), self.usable_sources(&row));
        if targets.is_empty() || (sources.is_empty() && row.cel.is_none()) {
            return;
        }
        let key = match self.direction {
            Direction::ToProfile => "field",
            Direction::FromProfile => "release",
        };
        let mut text = format!("\n[[row]]\n{key} = {}\n", one_or_list(&targets));
        let _ = match row.cel {
            Some(cel) => writeln!(text, "cel = {}", quoted(cel)),
            None => writeln!(text, "from = {}", list(&sources)),
        };
        for (key, value) in [("take", row.take), ("name_format", row.name_format)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        }
        if !row.table.is_empty() {
            let entries: Vec<String> = row.table.iter().map(|(from, to)| format!("{} = {}", quoted(from), quoted(to))).collect();
            let _ = writeln!(text, "table = {{ {} }}\nunlisted = \"keep\"", entries.join(", "));
        }
        self.rows.push_str(&text);
    }

    fn usable_targets<'r>(&mut self, row: &NewRow<'r>) -> Vec<&'r str> {
        let mut usable = Vec::new();
        for target in row.targets.iter().copied() {
            let fault = match self.direction {
                _ if target.trim().is_empty() => Some("the name is empty".to_owned()),
                _ if target.contains('*') && !row.members => Some(format!("{target}: a name with * has another meaning here")),
                Direction::ToProfile if Field::parse(target).is_none_or(|field| field.own) => {
                    Some(format!("{target} is no field that a mapping can write"))
                }
                _ => None,
            };
            match fault {
                Some(fault) => self.lost(row.place, fault),
                None if !self.targets.insert(target.to_owned()) => self.lost(row.place, format!("{target} is written already")),
                None => usable.push(target),
            }
        }
        usable
    }

    fn usable_sources<'r>(&mut self, row: &'r NewRow<'_>) -> Vec<&'r str> {
        let mut usable = Vec::new();
        for source in &row.from {
            let fault = match self.direction {
                _ if source.trim().is_empty() => Some("a source is empty".to_owned()),
                _ if source.ends_with('*') && !row.members => Some(format!("{source}: a source that ends with * has another meaning here")),
                Direction::FromProfile if !row.members && Field::parse(source).is_none() => {
                    Some(format!("{source} is no field of a profile"))
                }
                _ => None,
            };
            match fault {
                Some(fault) => self.lost(row.place, fault),
                None => usable.push(source.as_str()),
            }
        }
        usable
    }

    /// The table, with what was noted at its top.
    pub fn finish(self) -> Imported {
        let mut toml = format!("# {}\n", self.title);
        for (heading, lost) in [("Not carried over:", true), ("To know:", false)] {
            let notes: Vec<&Note> = self.notes.iter().filter(|note| note.lost == lost).collect();
            if !notes.is_empty() {
                let _ = writeln!(toml, "#\n# {heading}");
            }
            for note in notes {
                let _ = writeln!(toml, "#   {}", note);
            }
        }
        let _ = writeln!(toml, "\ndirection = \"{}\"", self.direction.name());
        if let Some(parent) = self.extends {
            let _ = writeln!(toml, "extends = \"{parent}\"");
        }
        toml.push_str(&self.rows);
        Imported { toml, notes: self.notes }
    }
}

fn one_or_list(names: &[&str]) -> String {
    match names {
        [name] => quoted(name),
        names => list(names),
    }
}

fn list(names: &[&str]) -> String {
    format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
}

/// As a TOML string, whatever is in it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
