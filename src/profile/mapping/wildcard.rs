//! Rows with `*`: what no other row takes, and the members of objects.

use super::gather::{Found, Gathered};
use super::release::{Release, Releases};
use super::row::{Input, Row, Shaped, Source, Target};
use super::{MappingError, Outcome, RowNote};
use crate::profile::{Field, Profile, RawAttribute, is_nothing};
use serde_json::map::Entry;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// What the other rows of a `from_profile` table read and release: a row with `*` leaves that to them, whether or not they
/// gave anything.
#[derive(Debug, Default)]
pub struct Explicit {
    /// Members of the profile, and paths inside them.
    read: HashSet<String>,
    paths: HashSet<String>,
    released: HashSet<String>,
}

impl Explicit {
    pub fn of_rows<'t>(rows: impl Iterator<Item = &'t Row>) -> Self {
        let mut explicit = Self::default();
        for row in rows {
            match &row.input {
                Input::From(sources) => sources.iter().for_each(|source| match source {
                    Source::Named(path) | Source::Rest(path) => {
                        explicit.read.insert(first_part(path).to_owned());
                        explicit.paths.insert(path.clone());
                    }
                    Source::Fact(_) => {}
                }),
                Input::Cel(expression) => explicit.read.extend(expression.members().iter().cloned()),
                Input::Nothing => {}
            }
            if let Target::Release(release) = &row.target {
                explicit.released.insert(release.given_name().to_owned());
            }
        }
        explicit
    }

    /// Whether `*` passes a member of the profile on. What the gateway keeps for itself, and what holds free data, is only
    /// released by a row that names it.
    fn leaves(&self, member: &str) -> bool {
        !self.read.contains(member) && !NEVER_PASSED.contains(&member) && Field::parse(member).is_none_or(|field| !field.own)
    }
}

const NEVER_PASSED: &[&str] = &["identities", "user_metadata", "app_metadata", "custom_fields", "saml_data", "custom"];

impl Row {
    /// `saml_data.*` from `*`: what no row takes, under its friendly name or else its name, always as lists (S2-21, S2-22).
    pub fn collect_rest(&self, name: &str, root: &Field, gathered: &Gathered<'_>, profile: &mut Profile) -> RowNote {
        let mut note = RowNote::of(name);
        let Input::From(sources) = &self.input else { return note };
        let mut members: Map<String, Value> = Map::new();
        for attribute in gathered.rest().iter().filter(|attribute| self.wants(sources, attribute)) {
            let values = attribute.values.iter().filter(|value| !is_nothing(value)).cloned().collect();
            // A row like this has no table, so nothing is refused.
            let mut values = self.shape_all(name, values).unwrap_or_default();
            if values.is_empty() {
                continue;
            }
            let key = attribute.friendly_name.as_deref().unwrap_or(&attribute.name);
            match members.entry(key) {
                Entry::Occupied(mut same) => same.get_mut().as_array_mut().map_or((), |list| list.append(&mut values)),
                Entry::Vacant(new) => {
                    new.insert(Value::Array(values));
                }
            }
        }
        if members.is_empty() {
            return note;
        }
        note.source = sources.first().map(Source::text);
        note.value = Some(Value::Object(members.clone()));
        note.outcome = Outcome::Taken;
        if let Some(Value::Object(explicit)) = profile.get(root.root) {
            members.extend(explicit.clone());
        }
        if let Err(reason) = profile.set(root, Value::Object(members)) {
            note.outcome = Outcome::Unusable;
            note.detail = Some(reason.0.to_owned());
        }
        note
    }

    fn wants(&self, sources: &[Source], attribute: &RawAttribute) -> bool {
        let named = sources.iter().any(|source| matches!(source, Source::Rest(prefix) if attribute.name.starts_with(prefix.as_str())));
        let excepted = |name: &String| self.except.contains(name);
        named && !excepted(&attribute.name) && !attribute.friendly_name.as_ref().is_some_and(excepted)
    }

    /// `release = "prefix*"` from `custom.*`: every member of an object. From `*`: what the profile has and no row reads; what
    /// is named beside it (`from = ["*", "custom.*"]`) leaves out what other rows read, too.
    pub fn release_members(
        &self,
        release: &Release,
        sources: &[Source],
        profile: &Profile,
        explicit: &Explicit,
        releases: &mut Releases,
    ) -> Result<RowNote, MappingError> {
        let mut note = RowNote::of(&release.name);
        let passes_on = sources.iter().any(|source| matches!(source, Source::Rest(object) if object.is_empty()));
        let mut given = Map::new();
        for source in sources {
            let Source::Rest(object) = source else { continue };
            let wanted = |key: &str| match object.as_str() {
                "" => explicit.leaves(key),
                object => !passes_on || !explicit.paths.contains(&format!("{object}{key}")),
            };
            for (key, value) in members(profile, object) {
                let name = release.name.replacen('*', key, 1);
                if self.except.contains(key) || !wanted(key) || explicit.released.contains(&name) || given.contains_key(key) {
                    continue;
                }
                let found = Found::of(value.clone());
                if let Shaped::Value(value) = self.shape(&release.name, found.values, found.plural)? {
                    releases.push(release, name, value.clone());
                    given.insert(key.clone(), value);
                }
            }
        }
        if !given.is_empty() {
            note.source = Some(sources.iter().map(Source::text).collect::<Vec<_>>().join(", "));
            note.value = Some(Value::Object(given));
            note.outcome = Outcome::Taken;
        }
        Ok(note)
    }
}

/// Of `custom.`, or of the profile.
fn members<'p>(profile: &'p Profile, object: &str) -> impl Iterator<Item = (&'p String, &'p Value)> {
    let members = match object.strip_suffix('.') {
        Some(object) => profile.get(object).and_then(Value::as_object),
        None => Some(profile.as_map()),
    };
    members.into_iter().flatten()
}

fn first_part(path: &str) -> &str {
    path.split_once('.').map_or(path, |(first, _)| first)
}
