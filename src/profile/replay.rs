//! What a changed table would make of logins that have happened: profiles and releases, before and after.

use super::mapping::MappingError;
use super::{MappingTable, Profile, RawAttributes, normalize};
use serde::Serialize;
use serde_json::{Map, Value};

/// The tables on one side of the comparison.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    pub to_profile: &'a MappingTable,
    /// Of the application in question.
    pub from_profile: Option<&'a MappingTable>,
}

/// What the tables make of one login.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Made {
    Profile {
        profile: Map<String, Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        released: Option<Map<String, Value>>,
    },
    /// The login would be refused, for this reason.
    Refused(String),
}

/// One member that differs. Absent is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub member: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The difference that the changed tables make for one login.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    pub profile: Vec<Change>,
    pub released: Vec<Change>,
    /// Refused before, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_before: Option<String>,
    /// Refused after, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_after: Option<String>,
}

impl Difference {
    /// Is there one? A login that is refused for the same reason on both sides does not differ.
    pub fn is_there(&self) -> bool {
        !self.profile.is_empty() || !self.released.is_empty() || self.refused_before != self.refused_after
    }
}

/// Maps as a login does, with defaults; released is everything, whatever the scope.
pub fn make(tables: Tables<'_>, raw: &RawAttributes, user_id: &str, subject: &str) -> Made {
    made(tables, raw, user_id, subject).unwrap_or_else(|error| Made::Refused(error.to_string()))
}

fn made(tables: Tables<'_>, raw: &RawAttributes, user_id: &str, subject: &str) -> Result<Made, MappingError> {
    let mut profile = tables.to_profile.to_profile(raw, &mut Vec::new())?;
    normalize(&mut profile, user_id, subject)?;
    let released = tables.from_profile.map(|table| released(table, &profile)).transpose()?;
    Ok(Made::Profile { profile: profile.into_map(), released })
}

fn released(table: &MappingTable, profile: &Profile) -> Result<Map<String, Value>, MappingError> {
    let mut members = Map::new();
    for released in table.from_profile(profile, &mut Vec::new())? {
        // Of equal names the first is told.
        members.entry(released.name).or_insert(released.value);
    }
    Ok(members)
}

/// The profile as a login's own rows made it: each field and the value that its row gave. `None` where nothing says so.
/// With the application's table of today, since a trace tells of what one request's scopes gave.
pub fn remember<'r>(
    rows: impl Iterator<Item = (&'r str, &'r Value)>,
    from_profile: Option<&MappingTable>,
    user_id: &str,
    subject: &str,
) -> Option<Made> {
    let mut members = Map::new();
    for (field, value) in rows {
        place(&mut members, field, value);
    }
    if members.is_empty() {
        return None;
    }
    let mut profile = Profile::new();
    for (field, value) in members {
        // A field that is not known any more is gone today, which is a difference worth telling.
        if profile.set_named(&field, value.clone()).is_err() {
            let mut known = profile.into_map();
            known.insert(field, value);
            profile = Profile::from_map(known);
        }
    }
    let made = |mut profile: Profile| {
        normalize(&mut profile, user_id, subject)?;
        let released = from_profile.map(|table| released(table, &profile)).transpose()?;
        Ok(Made::Profile { profile: profile.into_map(), released })
    };
    Some(made(profile).unwrap_or_else(|error: MappingError| Made::Refused(error.to_string())))
}

/// Several rows may give one field: lists are joined, of single values the first counts. `saml_data.*` gives members.
fn place(members: &mut Map<String, Value>, field: &str, value: &Value) {
    if let (Some(root), Value::Object(given)) = (field.strip_suffix(".*"), value) {
        for (name, value) in given {
            members.entry(format!("{root}.{name}")).or_insert_with(|| value.clone());
        }
        return;
    }
    match (members.get_mut(field), value) {
        (None, value) => {
            members.insert(field.to_owned(), value.clone());
        }
        (Some(Value::Array(known)), Value::Array(more)) => {
            for value in more {
                if !known.contains(value) {
                    known.push(value.clone());
                }
            }
        }
        (Some(_), _) => {}
    }
}

/// Leaves out of both what was not recorded on one side: it cannot be compared.
pub fn without(made: Made, fields: &[String]) -> Made {
    match made {
        Made::Profile { mut profile, released } => {
            for field in fields {
                profile.shift_remove(field.split('.').next().unwrap_or(field));
            }
            Made::Profile { profile, released }
        }
        refused @ Made::Refused(_) => refused,
    }
}

/// What differs between two results.
pub fn difference(before: &Made, after: &Made) -> Difference {
    let nothing = Map::new();
    let parts = |made: &Made| match made {
        Made::Profile { profile, released } => (profile.clone(), released.clone().unwrap_or_default(), None),
        Made::Refused(why) => (nothing.clone(), nothing.clone(), Some(why.clone())),
    };
    let ((profile_before, released_before, refused_before), (profile_after, released_after, refused_after)) = (parts(before), parts(after));
    if refused_before.is_some() || refused_after.is_some() {
        return Difference { refused_before, refused_after, ..Difference::default() };
    }
    Difference {
        profile: changes(&profile_before, &profile_after),
        released: changes(&released_before, &released_after),
        ..Difference::default()
    }
}

/// Members in the order of the first object, then those that only the second has.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Change> {
    let gone_or_changed = before.iter().filter(|(name, value)| after.get(*name) != Some(value)).map(|(name, value)| Change {
        member: name.clone(),
        before: Some(value.clone()),
        after: after.get(name).cloned(),
    });
    let new = after.iter().filter(|(name, _)| !before.contains_key(*name)).map(|(name, value)| Change {
        member: name.clone(),
        before: None,
        after: Some(value.clone()),
    });
    gone_or_changed.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Direction, MappingLibrary};
    use serde_json::json;
    use std::sync::Arc;

    fn table(rows: &str) -> Arc<MappingTable> {
        let text = format!("direction = \"to_profile\"\n{rows}");
        let (library, findings) = MappingLibrary::load(vec![("mappings/t.toml".to_owned(), text)]);
        library.table("t", Direction::ToProfile).unwrap_or_else(|| panic!("{findings:?}"))
    }

    fn login() -> RawAttributes {
        let mut raw = RawAttributes::new();
        raw.push_texts("mail", ["Jane@Acme.example"]);
        raw.push_texts("memberOf", ["staff"]);
        raw
    }

    fn compare(before: &str, after: &str) -> Difference {
        let release = MappingLibrary::built_in().table("oidc", Direction::FromProfile).expect("built in");
        let side = |rows: &str| {
            let table = table(rows);
            make(Tables { to_profile: &table, from_profile: Some(&release) }, &login(), "samlp|acme|jane", "jane")
        };
        difference(&side(before), &side(after))
    }

    const MAIL: &str = "[[row]]\nfield = \"email\"\nfrom = [\"mail\"]\n";

    #[test]
    fn the_same_table_makes_no_difference() {
        assert!(!compare(MAIL, MAIL).is_there());
    }

    #[test]
    fn changed_new_and_lost_members_are_told_for_profile_and_release() {
        let groups = "[[row]]\nfield = \"groups\"\nfrom = [\"memberOf\"]\n";
        let lower = "[[row]]\nfield = \"email\"\nfrom = [\"mail\"]\ntransform = [\"lowercase\"]\n";
        let difference = compare(&format!("{MAIL}{groups}"), lower);
        let change = |member: &str, before: Value, after: Value| Change {
            member: member.into(),
            before: Some(before).filter(|value| !value.is_null()),
            after: Some(after).filter(|value| !value.is_null()),
        };
        let email = change("email", json!("Jane@Acme.example"), json!("jane@acme.example"));
        let groups = change("groups", json!(["staff"]), Value::Null);
        assert!(difference.profile.contains(&email) && difference.profile.contains(&groups), "{difference:?}");
        assert!(difference.released.contains(&email) && difference.released.contains(&groups), "{difference:?}");
    }

    #[test]
    fn a_login_is_remembered_by_its_rows() {
        let table = table("[[row]]\nfield = \"email\"\nfrom = [\"mail\"]\n[[row]]\nfield = \"saml_data.*\"\nfrom = [\"*\"]\n");
        let mut rows = Vec::new();
        table.to_profile(&login(), &mut rows).expect("mapped");
        let rows = rows.iter().filter_map(|row| Some((row.field.as_str(), row.value.as_ref()?)));
        let remembered = remember(rows, None, "samlp|acme|jane", "jane").expect("something");
        let made = make(Tables { to_profile: &table, from_profile: None }, &login(), "samlp|acme|jane", "jane");
        assert_eq!(remembered, made);
        assert_eq!(remember(std::iter::empty(), None, "u", "s"), None);
        let hidden = without(made, &["email".to_owned()]);
        assert!(matches!(hidden, Made::Profile { ref profile, .. } if !profile.contains_key("email")), "{hidden:?}");
    }

    #[test]
    fn a_login_that_would_be_refused_is_a_difference() {
        let strict = format!("{MAIL}[[row]]\nfield = \"employee_id\"\nfrom = [\"number\"]\nrequire = true\n");
        let difference = compare(MAIL, &strict);
        assert!(difference.refused_after.as_deref().is_some_and(|why| why.contains("employee_id")), "{difference:?}");
        assert!(difference.is_there() && difference.profile.is_empty());
        assert!(!compare(&strict, &strict).is_there());
        assert!(compare(&strict, MAIL).refused_before.is_some());
    }
}
