//! Mapping tables as files.
//!
//! A file `<name>.toml` holds one table of one direction. Where the same name is wanted in the other direction too, it
//! is in `<name>.to_profile.toml` or `<name>.from_profile.toml`: a connection with `mapping = "oidc"` and an application
//! with `mapping = "oidc"` each get the one that fits. The built-in tables are in `mappings/` of the source and inside the
//! program; a file of the same name in the operator's directory takes their place, and may extend the one that it replaces.
//!
//! The rows that a table writes for a field or release take the place of the inherited ones; `omit = true` removes them. To
//! add a built-in table, put the file into `mappings/` and a line into [`BUILT_IN`].

mod built_in;
mod row;
mod table;
mod values;
mod when;

use super::mapping::{Direction, MappingTable};
use crate::toml_file::{Findings, TomlFile};
use built_in::BUILT_IN;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use table::{Origin, Written, assemble, read_table};

/// All tables that can be named: the built-in ones and the operator's.
#[derive(Clone, Debug, Default)]
pub struct MappingLibrary {
    tables: BTreeMap<(String, Direction), Arc<MappingTable>>,
    /// Files that were there but had problems, by name without direction.
    broken: HashSet<String>,
}

impl MappingLibrary {
    /// The built-in tables alone.
    pub fn built_in() -> Self {
        Self::load(Vec::new()).0
    }

    /// The built-in tables and these files (path, text). All problems of all files are reported.
    pub fn load(files: Vec<(String, String)>) -> (Self, Findings) {
        let mut findings = Findings::default();
        let mut library = Self::default();
        let mut written = BTreeMap::new();
        for (path, text) in BUILT_IN.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())) {
            library.read(&path, &text, Origin::BuiltIn, &mut written, &mut findings);
        }
        for (path, text) in files {
            library.read(&path, &text, Origin::Operator, &mut written, &mut findings);
        }
        let keys: HashSet<(String, Direction)> = written.keys().map(|(name, direction, _)| (name.clone(), *direction)).collect();
        for (name, direction) in keys {
            match assemble(&name, direction, &written) {
                Ok(table) => {
                    library.tables.insert((name, direction), Arc::new(table));
                }
                Err(problem) => {
                    library.broken.insert(name);
                    findings.problems.extend(problem.map(|problem| *problem));
                }
            }
        }
        findings.sort();
        (library, findings)
    }

    /// One table from its text, which may extend the built-in ones.
    #[cfg(test)]
    pub fn load_one(path: &str, text: &str) -> Result<Arc<MappingTable>, Findings> {
        let (library, findings) = Self::load(vec![(path.to_owned(), text.to_owned())]);
        let (name, _) = name_of(path);
        let mine = |(known, direction): &(String, Direction)| *known == name && text.contains(direction.name());
        match library.tables.iter().find(|(key, _)| mine(key)).map(|(_, table)| Arc::clone(table)) {
            Some(table) if findings.is_good() => Ok(table),
            _ => Err(findings),
        }
    }

    pub fn table(&self, name: &str, direction: Direction) -> Option<Arc<MappingTable>> {
        self.tables.get(&(name.to_owned(), direction)).cloned()
    }

    /// Whether a file of this name was there but could not be used (its problems are reported already).
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    pub fn tables(&self) -> impl Iterator<Item = &Arc<MappingTable>> {
        self.tables.values()
    }

    /// The names there are for a direction.
    pub fn names(&self, direction: Direction) -> Vec<&str> {
        self.tables.keys().filter(|(_, known)| *known == direction).map(|(name, _)| name.as_str()).collect()
    }

    fn read(&mut self, path: &str, text: &str, origin: Origin, written: &mut Written, findings: &mut Findings) {
        let (name, suffix) = name_of(path);
        let file = TomlFile::new(path, text);
        let root = file.parse();
        let table = read_table(&file.root(&root), &name, suffix);
        let good = !file.has_problems();
        if let (Some(table), true) = (table, good) {
            written.insert((name, table.direction, origin), table);
        } else {
            self.broken.insert(name);
        }
        findings.extend(file.into_findings());
    }
}

/// `acme` of `mappings/acme.toml` and of `mappings/acme.from_profile.toml`.
fn name_of(path: &str) -> (String, Option<Direction>) {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = file.strip_suffix(".toml").unwrap_or(file);
    for direction in [Direction::ToProfile, Direction::FromProfile] {
        if let Some(name) = stem.strip_suffix(direction.name()).and_then(|name| name.strip_suffix('.')) {
            return (name.to_owned(), Some(direction));
        }
    }
    (stem.to_owned(), None)
}

#[cfg(test)]
mod tests;
