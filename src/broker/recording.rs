//! What of a login is recorded: the trace has neither free data nor what is not to be kept (`non_persistent_attrs`).

use crate::clock::Timestamp;
use crate::connection::config::ConnectionConfig;
use crate::error::Result;
use crate::login::remove_paths;
use crate::login::trace::{NOT_RECORDED, Step as Note, Trace, Word};
use crate::profile::{Fact, Outcome, Profile, RawAttribute, RawAttributes, RowNote, Written};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;

/// What the connection said, without what is not to be kept: attributes of those names, those that fed such a field, and
/// those that say the same.
pub(super) fn recordable<'a>(
    config: &ConnectionConfig,
    attributes: &'a RawAttributes,
    rows: &[RowNote],
    transient: &[String],
    mapped: Option<&Profile>,
) -> Cow<'a, RawAttributes> {
    if transient.is_empty() {
        return Cow::Borrowed(attributes);
    }
    let fed = rows.iter().filter(|row| transient.contains(&row.field)).filter_map(|row| row.source.as_deref());
    let names: Vec<&str> = config.profile.non_persistent.iter().map(String::as_str).chain(fed).collect();
    // A list as long as the attributes must not be walked for each of them.
    let values = mapped.into_iter().flat_map(|profile| transient.iter().filter_map(|path| profile.get(path)));
    let values = values.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let kept_out: HashSet<Cow<'_, str>> = values.map(comparable).collect();
    let says = |value: &Value| kept_out.contains(&comparable(value));
    let hidden = |attribute: &RawAttribute| {
        let named = |name: &str| names.contains(&name);
        named(&attribute.name) || attribute.friendly_name.as_deref().is_some_and(named) || attribute.values.iter().any(says)
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
