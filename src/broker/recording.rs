//! What of a login is recorded: the trace has neither free data nor what is not to be kept (`non_persistent_attrs`).

use crate::clock::Timestamp;
use crate::error::Result;
use crate::login::remove_paths;
use crate::login::trace::{NOT_RECORDED, Step as Note, Trace, Word};
use crate::profile::{Fact, Outcome, Profile, RawAttribute, RawAttributes, RowNote, Written};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;

/// What the connection said, without what is not to be kept: attributes of those names, those that fed such a field, and
/// those that say the same. Where an expression made such a field, which may have read any of them, it is all of them.
pub(super) fn recordable<'a>(
    names: &[String],
    attributes: &'a RawAttributes,
    rows: &[RowNote],
    transient: &[String],
    mapped: Option<&Profile>,
) -> Cow<'a, RawAttributes> {
    if transient.is_empty() {
        return Cow::Borrowed(attributes);
    }
    let by_expression = rows.iter().any(|row| row.source.as_deref() == Some("cel") && names.contains(&row.field));
    let fed = rows.iter().filter(|row| transient.contains(&row.field)).filter_map(|row| row.source.as_deref());
    let names: Vec<&str> = names.iter().map(String::as_str).chain(fed).collect();
    // A list as long as the attributes must not be walked for each of them.
    let values = mapped.into_iter().flat_map(|profile| transient.iter().filter_map(|path| profile.get(path)));
    let values = values.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let kept_out: HashSet<Cow<'_, str>> = values.map(comparable).collect();
    let says = |value: &Value| kept_out.contains(&comparable(value));
    let hidden = |attribute: &RawAttribute| {
        let named = |name: &str| names.contains(&name);
        by_expression
            || named(&attribute.name)
            || attribute.friendly_name.as_deref().is_some_and(named)
            || attribute.values.iter().any(says)
    };
    Cow::Owned(attributes.without(hidden, |fact: Fact| names.iter().any(|name| name.strip_prefix('$') == Some(fact.name()))))
}

/// A value as a text that no other value has; the list is that of its elements.
fn comparable(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(format!("\0{other}")),
    }
}

const METADATA: [&str; 3] = ["user_metadata", "app_metadata", "custom_fields"];

/// What is recorded of a profile: not the metadata, which are no connection's, and nothing that is not to be kept.
pub(super) fn note_profile(trace: &mut Trace, lasting: &Written, now: Timestamp) -> Result<()> {
    // Read again only where there may be something to leave out.
    let has_metadata = METADATA.iter().any(|name| lasting.as_raw().get().contains(name));
    let shown = match if has_metadata { lasting.value() } else { Value::Null } {
        Value::Object(mut members) => {
            remove_paths(&mut members, &METADATA.map(str::to_owned));
            Written::object(&members)?
        }
        _ => lasting.clone(),
    };
    trace.note(now, Note::Profile { profile: shown });
    Ok(())
}

/// `transient`: paths whose values are not recorded.
pub(super) fn note_rows(trace: &mut Trace, direction: &'static str, rows: Vec<RowNote>, transient: &[String], now: Timestamp) {
    let hidden = |row: &RowNote| {
        let read = if direction == "to_profile" { Some(row.field.as_str()) } else { row.source.as_deref() };
        let below = |path: &str, root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'));
        let path = read.unwrap_or_default().trim_end_matches(".*");
        transient.iter().any(|kept_out| below(path, kept_out) || below(kept_out, path))
    };
    // An expression may have read anything, and says so when it fails.
    let by_expression = |row: &RowNote| {
        !transient.is_empty() && row.source.as_deref() == Some("cel") && (direction == "from_profile" || row.value.is_none())
    };
    for row in rows {
        let says_something = row.value.is_some() || row.detail.is_some();
        let hide = by_expression(&row) || (row.value.is_some() && hidden(&row));
        let (value, detail) = if says_something && hide { (None, Some(NOT_RECORDED.to_owned())) } else { (row.value, row.detail) };
        let outcome = outcome(row.outcome, detail);
        trace.note(now, Note::Mapping { direction: direction.into(), field: row.field, source: row.source, value, outcome });
    }
}

/// Fields whose value could not be kept in the profile's form, and why.
pub(super) fn note_dropped(trace: &mut Trace, dropped: Vec<(&'static str, &'static str)>, now: Timestamp) {
    for (field, why) in dropped {
        let outcome = outcome(Outcome::Unusable, Some(why.to_owned()));
        trace.note(now, Note::Mapping { direction: "to_profile".into(), field: field.into(), source: None, value: None, outcome });
    }
}

fn outcome(outcome: Outcome, detail: Option<String>) -> Word {
    let name = match outcome {
        Outcome::Taken => "taken",
        Outcome::Default => "default",
        Outcome::Absent => "absent",
        Outcome::Unlisted => "unlisted",
        Outcome::Unusable => "unusable",
        Outcome::Unmet => "unmet",
    };
    detail.map_or(Word::Borrowed(name), |detail| format!("{name}: {detail}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::transient;
    use crate::profile::{Direction, MappingLibrary};

    const TABLE: &str = r#"
direction = "to_profile"
[[row]]
field = "email"
from = ["mail", "$name_id_email"]
[[row]]
field = "roles"
from = ["realm_access.roles"]
[[row]]
field = "title"
from = ["title", "role"]
[[row]]
field = "upn"
from = ["upn"]
require = true
[[row]]
field = "employee_id"
cel = "attributes.upn[0] + '!'"
[[row]]
field = "department"
from = ["unit"]
[[row]]
field = "saml_data.*"
from = ["*"]
"#;

    fn said() -> RawAttributes {
        let mut said = RawAttributes::new();
        said.push(RawAttribute {
            name: "urn:oid:0.9.2342.19200300.100.1.3".to_owned(),
            name_format: None,
            friendly_name: Some("mail".to_owned()),
            values: vec!["jane@acme.example".into()],
        });
        said.push(RawAttribute {
            name: "realm_access".to_owned(),
            name_format: None,
            friendly_name: None,
            values: vec![serde_json::json!({"roles": ["admin"]})],
        });
        for (name, value) in [("title", "boss"), ("role", "boss"), ("upn", "jane@ad"), ("unit", "west"), ("room", "4711"), ("floor", "47")]
        {
            said.push_texts(name, [value]);
        }
        said
    }

    /// The paths beside the names themselves, and the names of what is recorded.
    fn kept_out(said: &RawAttributes, name: &str) -> (Vec<String>, Vec<String>) {
        let (library, findings) = MappingLibrary::load(vec![("t.toml".to_owned(), TABLE.to_owned())]);
        let table = library.table("t", Direction::ToProfile).unwrap_or_else(|| panic!("{findings:?}"));
        let (names, mut rows) = ([name.to_owned()], Vec::new());
        let profile = table.to_profile(said, &mut rows).expect("mapped");
        let mut paths = transient::paths(&names, &table, said, &rows);
        let recorded = recordable(&names, said, &rows, &paths, Some(&profile)).into_owned();
        assert_eq!(paths.remove(0), name);
        (paths, recorded.attributes().iter().map(|attribute| attribute.name.clone()).collect())
    }

    #[test]
    fn what_came_of_an_attribute_is_found_by_each_of_its_names() {
        for name in ["mail", "urn:oid:0.9.2342.19200300.100.1.3"] {
            let (paths, recorded) = kept_out(&said(), name);
            assert_eq!(paths, ["email"], "{name}");
            assert!(!recorded.contains(&"urn:oid:0.9.2342.19200300.100.1.3".to_owned()));
        }
        assert_eq!(kept_out(&said(), "realm_access").0, ["roles"]);
        assert_eq!(kept_out(&said(), "room"), (vec!["saml_data.room".to_owned()], names_without(&["room"])));
        // Another attribute says the same.
        assert_eq!(kept_out(&said(), "title").0, Vec::<String>::new());
        let mut by_name_id = RawAttributes::new();
        by_name_id.push_texts("upn", ["jane@ad"]);
        by_name_id.set_fact(Fact::NameId, "jane@acme.example");
        by_name_id.set_fact(Fact::NameIdFormat, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress");
        assert_eq!(kept_out(&by_name_id, "$name_id").0, ["email"]);
    }

    /// Without it the table refuses, so nobody knows what the rows behind would have given.
    #[test]
    fn what_stands_behind_a_required_row_is_not_kept_where_the_row_needs_it() {
        assert_eq!(kept_out(&said(), "upn").0, ["upn", "employee_id", "department", "saml_data"]);
    }

    #[test]
    fn a_field_that_an_expression_made_may_come_from_anywhere() {
        let (paths, recorded) = kept_out(&said(), "employee_id");
        assert_eq!((paths, recorded), (Vec::new(), Vec::<String>::new()));
        assert_eq!(kept_out(&said(), "department").1, names_without(&["unit"]));
    }

    fn names_without(some: &[&str]) -> Vec<String> {
        said().attributes().iter().map(|known| known.name.clone()).filter(|name| !some.contains(&name.as_str())).collect()
    }
}
