//! One file's table as it is written, and how the rows of its parents are added.

use super::row::{RowReader, Seen, facts_help};
use crate::profile::Fact;
use crate::profile::mapping::{Direction, MappingTable, MappingTest, Row};
use crate::toml_file::{At, Problem, Section, to_json};
use serde_json::Map;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    BuiltIn,
    Operator,
}

pub type Written = BTreeMap<(String, Direction, Origin), WrittenTable>;

/// A file's table before its parents are added.
#[derive(Debug)]
pub struct WrittenTable {
    pub direction: Direction,
    pub extends: Option<Place>,
    pub rows: Vec<Arc<Row>>,
    /// Targets of inherited rows to leave out.
    pub omitted: Vec<String>,
    pub tests: Vec<MappingTest>,
}

/// The parent's name, and where it is written, for a later problem.
#[derive(Debug)]
pub struct Place {
    name: String,
    missing: Problem,
    circular: Problem,
}

/// Adds the parents' rows. An error is the problem to report; `None` where the parent's own problems are reported.
pub fn assemble(name: &str, direction: Direction, written: &Written) -> Result<MappingTable, Option<Box<Problem>>> {
    let mut chain: Vec<(&WrittenTable, Origin)> = Vec::new();
    let mut next = Some((name, newest(name, direction, written)));
    let mut visited = HashSet::new();
    let mut place: Option<&Place> = None;
    while let Some((parent, found)) = next {
        let Some((table, origin)) = found else {
            return Err(place.map(|place| Box::new(place.missing.clone())));
        };
        if !visited.insert((parent, origin)) {
            return Err(place.map(|place| Box::new(place.circular.clone())));
        }
        chain.push((table, origin));
        place = table.extends.as_ref();
        next = place.map(|place| {
            // A file that extends its own name means the built-in table which it replaces.
            let own = place.name == parent && origin == Origin::Operator;
            let found = if own { built_in(parent, direction, written) } else { newest(&place.name, direction, written) };
            (place.name.as_str(), found)
        });
    }
    let mut rows: Vec<Arc<Row>> = Vec::new();
    for (table, _) in chain.iter().rev() {
        let replaced: HashSet<&str> =
            table.rows.iter().map(|row| row.target.name()).chain(table.omitted.iter().map(String::as_str)).collect();
        rows.retain(|row| !replaced.contains(row.target.name()));
        rows.extend(table.rows.iter().cloned());
    }
    let tests = chain.first().map(|(table, _)| table.tests.clone()).unwrap_or_default();
    Ok(MappingTable::new(name.to_owned(), direction, rows, tests))
}

fn newest<'w>(name: &str, direction: Direction, written: &'w Written) -> Option<(&'w WrittenTable, Origin)> {
    let operators = written.get(&(name.to_owned(), direction, Origin::Operator)).map(|table| (table, Origin::Operator));
    operators.or_else(|| built_in(name, direction, written))
}

fn built_in<'w>(name: &str, direction: Direction, written: &'w Written) -> Option<(&'w WrittenTable, Origin)> {
    written.get(&(name.to_owned(), direction, Origin::BuiltIn)).map(|table| (table, Origin::BuiltIn))
}

pub fn read_table(root: &Section<'_>, name: &str, suffix: Option<Direction>) -> Option<WrittenTable> {
    let _ = root.string("description");
    let directions = [("to_profile", Direction::ToProfile), ("from_profile", Direction::FromProfile)];
    if !root.has("direction") {
        root.problem(
            "direction",
            "`direction` is missing",
            "write direction = \"to_profile\" for connections, \"from_profile\" for applications",
        );
    }
    let direction = root.choice("direction", &directions);
    if let (Some(direction), Some(suffix)) = (direction, suffix)
        && direction != suffix
    {
        root.problem("direction", format!("the file's name says {}", suffix.name()), "rename the file or change the direction");
    }
    let extends = root.string("extends").map(|parent| place(root, &parent, direction));
    let sections = root.sections("row");
    let mut table = WrittenTable {
        direction: direction.unwrap_or(Direction::ToProfile),
        extends,
        rows: Vec::with_capacity(sections.len()),
        omitted: Vec::new(),
        tests: root.sections("test").into_iter().filter_map(read_test).collect(),
    };
    let mut seen = Seen::new();
    for (index, section) in sections.into_iter().enumerate() {
        let reader = RowReader { section, direction: table.direction, table: name, number: index + 1 };
        reader.read(&mut table, &mut seen);
    }
    root.finish();
    direction.map(|_| table)
}

fn place(root: &Section<'_>, parent: &At<&str>, direction: Option<Direction>) -> Place {
    let direction = direction.map_or("this", Direction::name);
    let missing = format!("there is no usable mapping table `{}` for direction {direction}", parent.value);
    let circular = format!("`{}` leads back to this table", parent.value);
    Place {
        name: parent.value.to_owned(),
        missing: root.file().describe(parent.span.clone(), &parent.path, missing, "name a built-in table or a file beside this one".into()),
        circular: root.file().describe(parent.span.clone(), &parent.path, circular, "remove one `extends`".into()),
    }
}

fn read_test(section: Section<'_>) -> Option<MappingTest> {
    let line = section.line();
    let name = section.required("name").map(|name| name.value.to_owned());
    let object = |key| match section.section(key) {
        Some(inner) => inner.entries().map(|(name, value)| (name.to_owned(), to_json(value.value))).collect(),
        None => Map::new(),
    };
    let (given, expect) = (object("given"), object("expect"));
    for source in given.keys().filter(|name| name.starts_with('$') && Fact::parse(name).is_none()) {
        section.problem("given", format!("`{source}` is no protocol fact"), facts_help());
    }
    let absent = section.strings("absent").unwrap_or_default().into_iter().map(|name| name.value.to_owned()).collect();
    let refused = section.bool("refused").unwrap_or(false);
    section.finish();
    Some(MappingTest { name: name?, file: section.file().name().to_owned(), line, given, expect, absent, refused })
}
