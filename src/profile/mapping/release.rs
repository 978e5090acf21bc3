//! What a row releases, and all that a table releases.

use super::Released;
use crate::profile::{is_nothing, put_member, walk};
use serde_json::{Map, Value};

/// What a `from_profile` row writes.
#[derive(Clone, Debug)]
pub struct Release {
    /// May contain one `*`.
    pub name: String,
    /// `address.locality` is the member of an object, not a name with a dot.
    pub nested: bool,
    pub scope: Option<String>,
    /// Entity categories of SAML applications; with one of them it is released.
    pub categories: Vec<String>,
    pub name_format: Option<String>,
    pub friendly_name: Option<String>,
}

impl Release {
    /// What the application sees first: `address` of a nested `address.locality`.
    pub fn given_name(&self) -> &str {
        self.path().map_or(&self.name, |(object, _)| object)
    }

    fn path(&self) -> Option<(&str, &str)> {
        if self.nested { self.name.split_once('.') } else { None }
    }
}

/// What one run of a table has released so far.
#[derive(Debug, Default)]
pub struct Releases(Vec<Released>);

impl Releases {
    pub fn with_capacity(rows: usize) -> Self {
        Self(Vec::with_capacity(rows))
    }

    /// What earlier rows gave under the same name.
    pub fn get(&self, release: &Release) -> Option<&Value> {
        let given = &self.0.iter().rfind(|given| is_same(given, release))?.value;
        match release.path() {
            Some((_, member)) => walk(given, member),
            None => Some(given),
        }
    }

    /// Adds a value, or puts it in the place of what an earlier row for the same name gave.
    pub fn put(&mut self, release: &Release, value: Value) -> Result<(), &'static str> {
        if is_nothing(&value) {
            return Ok(());
        }
        let same = self.0.iter_mut().rfind(|given| is_same(given, release));
        match (same, release.path()) {
            (Some(given), None) => given.value = value,
            (Some(given), Some((_, member))) if given.value.is_object() => put_member(&mut given.value, member, value),
            (Some(_), Some(_)) => return Err("is a member of a release that is no object"),
            (None, None) => self.push(release, release.name.clone(), value),
            (None, Some((object, member))) => {
                let mut members = Value::Object(Map::new());
                put_member(&mut members, member, value);
                self.push(release, object.to_owned(), members);
            }
        }
        Ok(())
    }

    pub fn push(&mut self, release: &Release, name: String, value: Value) {
        self.0.push(Released {
            name,
            value,
            scope: release.scope.clone(),
            categories: release.categories.clone(),
            name_format: release.name_format.clone(),
            friendly_name: release.friendly_name.clone(),
        });
    }

    pub fn into_released(self) -> Vec<Released> {
        self.0
    }
}

/// What needs different scopes or categories are different releases: one must not open the other.
fn is_same(given: &Released, release: &Release) -> bool {
    given.name == release.given_name() && given.scope == release.scope && given.categories == release.categories
}
