//! What a row releases.

use super::gather::Found;
use super::row::{Row, Shaped};
use super::{MappingError, Outcome, Released, RowNote};
use crate::profile::Profile;
use serde_json::{Map, Value};

#[derive(Clone, Debug)]
pub struct Release {
    pub name: String,
    pub scope: Option<String>,
    pub name_format: Option<String>,
    pub friendly_name: Option<String>,
}

impl Release {
    pub fn with(&self, name: String, value: Value) -> Released {
        Released {
            name,
            value,
            scope: self.scope.clone(),
            name_format: self.name_format.clone(),
            friendly_name: self.friendly_name.clone(),
        }
    }
}

impl Row {
    /// `release = "prefix*"` from `custom.*`: every member of an object.
    pub fn release_members(
        &self,
        release: &Release,
        object: &str,
        profile: &Profile,
        released: &mut Vec<Released>,
    ) -> Result<RowNote, MappingError> {
        let mut note = RowNote { field: release.name.clone(), source: None, value: None, outcome: Outcome::Absent, detail: None };
        let Some(Value::Object(members)) = profile.get(object.trim_end_matches('.')) else { return Ok(note) };
        let mut given = Map::new();
        for (key, value) in members {
            let found = Found::of(value.clone());
            if let Shaped::Value(value) = self.shape(&release.name, found.values, found.plural)? {
                released.push(release.with(release.name.replacen('*', key, 1), value.clone()));
                given.insert(key.clone(), value);
            }
        }
        if !given.is_empty() {
            note.source = Some(format!("{object}*"));
            note.value = Some(Value::Object(given));
            note.outcome = Outcome::Taken;
        }
        Ok(note)
    }
}
