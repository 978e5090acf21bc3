//! What an export writes of a user, as lines of JSON or of CSV.

use super::csv;
use crate::error::{Error, ErrorKind, Result};
use crate::user::effective::effective_of_user;
use crate::user::metadata::Part;
use crate::user::{ProfileSync, User, sealing};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::io::Write as _;

/// The form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// One object on each line.
    Json,
    Csv,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportField {
    /// A member, or a leaf: `user_metadata.consent.date`, `identities[0].connection`.
    pub name: String,
    /// Its heading; without, the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_as: Option<String>,
}

impl ExportField {
    fn heading(&self) -> &str {
        self.export_as.as_deref().unwrap_or(&self.name)
    }
}

const MAX_FIELDS: usize = 30;

/// Characters of a name or a heading.
const MAX_NAME: usize = 200;

/// The columns of CSV where none are asked for.
const USUAL: [&str; 17] = [
    "user_id",
    "email",
    "email_verified",
    "username",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
    "phone_number",
    "phone_verified",
    "blocked",
    "created_at",
    "updated_at",
    "last_login",
    "logins_count",
    "identities[0].connection",
];

/// Can these fields be written?
pub(super) fn check(format: ExportFormat, fields: &[ExportField]) -> Result<()> {
    let refused = |problem: String| Err(Error::new(ErrorKind::InvalidRequest, problem));
    if fields.len() > MAX_FIELDS {
        return refused(format!("fields has more than {MAX_FIELDS} items."));
    }
    let mut headings = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        for (what, text) in [("name", field.name.as_str()), ("export_as", field.heading())] {
            if text.trim().is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
                return refused(format!("fields[{index}].{what} has not 1 to {MAX_NAME} characters, or control characters among them."));
            }
        }
        if headings.contains(&field.heading()) {
            return refused(format!("fields[{index}] has the heading of another field."));
        }
        headings.push(field.heading());
        let is_whole = Part::parse(&field.name).is_some() || field.name == "identities";
        if format == ExportFormat::Csv && is_whole {
            return refused(format!("fields[{index}] is a whole object; a CSV file has its members one by one, as in {}.x.", field.name));
        }
    }
    Ok(())
}

/// The beginning of the file.
pub(super) fn head(format: ExportFormat, fields: &[ExportField]) -> String {
    match format {
        ExportFormat::Json => String::new(),
        ExportFormat::Csv => {
            let headings: Vec<Value> = if fields.is_empty() {
                USUAL.iter().map(|name| Value::from(*name)).collect()
            } else {
                fields.iter().map(|field| Value::from(field.heading())).collect()
            };
            csv::line(headings.iter().map(Some))
        }
    }
}

/// The line of a user, with its end.
pub(super) fn line(format: ExportFormat, fields: &[ExportField], user: &User, sync: ProfileSync) -> String {
    let record = record(user, sync);
    match format {
        ExportFormat::Json if fields.is_empty() => format!("{}\n", Value::Object(record)),
        ExportFormat::Json => {
            let found = fields.iter().filter_map(|field| Some((field.heading().to_owned(), find(&record, &field.name)?.clone())));
            format!("{}\n", Value::Object(found.collect()))
        }
        ExportFormat::Csv if fields.is_empty() => csv::line(USUAL.iter().map(|name| find(&record, name))),
        ExportFormat::Csv => csv::line(fields.iter().map(|field| find(&record, &field.name))),
    }
}

/// A gzip file of its own; several of them in a row are one again.
pub(super) fn zipped(text: &str) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let done = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    done.map_err(|error| Error::new(ErrorKind::Internal, "an export cannot be compressed").because(error))
}

/// The user as operators see it, without what is sealed.
fn record(user: &User, sync: ProfileSync) -> Map<String, Value> {
    let mut record = Map::from_iter([("user_id".to_owned(), Value::from(user.user_id.as_str()))]);
    match effective_of_user(user, sync) {
        Ok(Some(profile)) => record.extend(profile.into_map()),
        Ok(None) => {}
        // The rest can still be exported.
        Err(error) => tracing::warn!(%error, user_id = user.user_id, "a stored profile breaks a limit"),
    }
    if let Some(verified) = record.shift_remove("phone_number_verified") {
        record.insert("phone_verified".to_owned(), verified);
    }
    for part in Part::ALL {
        let object = part.of(user);
        if !object.is_empty() {
            record.insert(part.name().to_owned(), Value::Object(object.clone()));
        }
    }
    sealing::strip(&mut record);
    let last_login = user.identities.iter().filter_map(|stored| stored.last_login).max();
    let identities: Vec<_> = user.identities.iter().map(|stored| &stored.identity).collect();
    record.insert("blocked".to_owned(), user.blocked.into());
    record.insert("created_at".to_owned(), user.created_at.to_string().into());
    record.insert("updated_at".to_owned(), user.changed_at().to_string().into());
    record.extend(last_login.map(|at| ("last_login".to_owned(), Value::from(at.to_string()))));
    record.insert("logins_count".to_owned(), user.identities.iter().map(|stored| stored.logins_count).sum::<i64>().into());
    record.insert("identities".to_owned(), json!(identities));
    record
}

/// `a.b[0].c`; a name that is there as it is written comes first.
fn find<'r>(record: &'r Map<String, Value>, name: &str) -> Option<&'r Value> {
    if let Some(value) = record.get(name) {
        return Some(value);
    }
    let mut steps = name.split('.').flat_map(|step| step.split('[').map(|step| step.trim_end_matches(']')));
    let mut value = record.get(steps.next()?)?;
    for step in steps {
        value = match value {
            Value::Object(members) => members.get(step)?,
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}
