//! The trace of a login, as a page for operators and as JSON for programs; [`list`] has the recent logins.

pub mod list;

use super::pages;
use super::state::State;
use crate::broker::explain::origin::{Origin, RowOrigin, origins};
use crate::error::{Error, ErrorKind};
use crate::login::trace::{Entry, ScriptChange, ScriptFailure, Step, Trace, Word};
use crate::profile::{Fact, RawAttributes};
use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

#[derive(Template)]
#[template(path = "trace.html")]
pub struct TracePage {
    correlation_id: String,
    verdict: String,
    verdict_class: &'static str,
    events: Vec<EventRow>,
    checks: Vec<CheckRow>,
    attributes: Vec<AttributeRow>,
    /// Names of attributes that are not recorded whole.
    cut: String,
    tables: Vec<MappingRows>,
    origins: Vec<Origin>,
    documents: Vec<(String, String)>,
}

struct EventRow {
    at: String,
    what: &'static str,
    detail: String,
}

struct CheckRow {
    name: Word,
    passed: bool,
    expected: String,
    found: String,
}

struct AttributeRow {
    name: String,
    friendly_name: String,
    values: Vec<String>,
}

struct MappingRows {
    title: &'static str,
    rows: Vec<MappingRow>,
}

struct MappingRow {
    field: String,
    source: String,
    value: String,
    outcome: Word,
}

/// `/traces/{correlation_id}` on the operations listener.
pub async fn show(request: HttpRequest, correlation_id: Path<String>, state: Data<State>) -> HttpResponse {
    match state.gateway().trace(&correlation_id).await {
        Ok(Some(trace)) if wants_json(&request) => {
            let body = serde_json::to_value(&trace).map(|trace| pretty(&trace)).unwrap_or_default();
            HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(body)
        }
        Ok(Some(trace)) => pages::trace(&request, &TracePage::new(&correlation_id, trace)),
        Ok(None) => pages::error(
            &request,
            &Error::new(ErrorKind::NotFound, "Nothing is recorded of such a login, or it is more than seven days ago."),
            None,
        ),
        Err(error) => pages::error(&request, &error, None),
    }
}

fn wants_json(request: &HttpRequest) -> bool {
    request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("application/json"))
}

impl TracePage {
    fn new(correlation_id: &str, trace: Trace) -> Self {
        let mut page = Self {
            correlation_id: correlation_id.to_owned(),
            verdict: "The browser has not come back from the identity provider yet.".to_owned(),
            verdict_class: "soft",
            events: Vec::new(),
            checks: Vec::new(),
            attributes: Vec::new(),
            cut: String::new(),
            tables: Vec::new(),
            origins: origins_of(&trace),
            documents: Vec::new(),
        };
        let (mut inward, mut outward) = (Vec::new(), Vec::new());
        for entry in trace.entries {
            page.add(entry, &mut inward, &mut outward);
        }
        for (title, rows) in [("From attributes to the profile", inward), ("From the profile to claims", outward)] {
            if !rows.is_empty() {
                page.tables.push(MappingRows { title, rows });
            }
        }
        page
    }

    fn add(&mut self, entry: Entry, inward: &mut Vec<MappingRow>, outward: &mut Vec<MappingRow>) {
        let at = entry.at.to_string();
        let pairs =
            |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
        let (what, detail) = match entry.event {
            Step::Check { name, passed, expected, found } => return self.checks.push(CheckRow { name, passed, expected, found }),
            Step::Script { script, kind, took, status, changes, log, error } => {
                ("script", script_text((&script, &kind), took, &status, &changes, &log, error.as_ref()))
            }
            Step::Mapping { direction, field, source, value, outcome } => {
                let value = value.as_ref().map(shown).unwrap_or_default();
                let rows = if direction == "to_profile" { inward } else { outward };
                return rows.push(MappingRow { field, source: source.unwrap_or_default(), value, outcome });
            }
            Step::Received { connection, attributes, cut } => {
                self.attributes.extend(attribute_rows(&attributes));
                self.cut = cut.join(", ");
                ("received", format!("from {connection}: {} attributes", attributes.attributes().len()))
            }
            Step::Profile { profile } => return self.documents.push(("The profile".to_owned(), pretty(&profile.value()))),
            Step::RequestIn { application, parameters } => ("request of the application", format!("{application}: {}", pairs(parameters))),
            Step::Decision { what, why } => ("decision", format!("{what}: {why}")),
            Step::RequestOut { connection, binding, destination, request_id, facts } => {
                ("request to the identity provider", format!("{connection}, {binding} to {destination}, id {request_id}; {}", pairs(facts)))
            }
            Step::User { user_id, created, why } => (if created { "user made" } else { "user found" }, format!("{user_id}: {why}")),
            Step::Released { application, to, claims } => {
                self.documents.push((format!("Released to {application}"), pretty(&claims.value())));
                ("claims released", format!("to {application} at {to}"))
            }
            Step::Finished { reply } => {
                self.verdict = "The login succeeded.".to_owned();
                self.verdict_class = "good";
                ("finished", reply)
            }
            Step::Refused { code, reason, detail } => {
                self.verdict = format!("The login was refused: {code}, {reason}. {detail}");
                self.verdict_class = "bad";
                ("refused", format!("{code} {reason}: {detail}"))
            }
        };
        self.events.push(EventRow { at, what, detail });
    }

    /// Every field filled with one text.
    #[cfg(test)]
    pub fn sample(text: &str) -> Self {
        let row =
            || MappingRow { field: text.to_owned(), source: text.to_owned(), value: text.to_owned(), outcome: text.to_owned().into() };
        Self {
            correlation_id: text.to_owned(),
            verdict: text.to_owned(),
            verdict_class: "good",
            events: vec![EventRow { at: text.to_owned(), what: "decision", detail: text.to_owned() }],
            checks: vec![CheckRow { name: text.to_owned().into(), passed: false, expected: text.to_owned(), found: text.to_owned() }],
            attributes: vec![AttributeRow { name: text.to_owned(), friendly_name: text.to_owned(), values: vec![text.to_owned(); 30] }],
            cut: text.to_owned(),
            origins: vec![Origin { field: text.to_owned(), source: text.to_owned() }],
            tables: vec![MappingRows { title: "From attributes to the profile", rows: vec![row()] }],
            documents: vec![(text.to_owned(), text.to_owned())],
        }
    }
}

/// Facts first, as they are written in a mapping table.
fn attribute_rows(said: &RawAttributes) -> impl Iterator<Item = AttributeRow> {
    let facts = Fact::ALL.iter().filter(|(_, fact)| *fact != Fact::NameIdEmail).filter_map(|(name, fact)| {
        let values: Vec<String> = said.facts(*fact).map(str::to_owned).collect();
        (!values.is_empty()).then(|| AttributeRow { name: format!("${name}"), friendly_name: String::new(), values })
    });
    facts.chain(said.attributes().iter().map(|attribute| AttributeRow {
        name: attribute.name.clone(),
        friendly_name: attribute.friendly_name.clone().unwrap_or_default(),
        values: attribute.values.iter().map(shown).collect(),
    }))
}

fn origins_of(trace: &Trace) -> Vec<Origin> {
    let steps = || trace.entries.iter().map(|entry| &entry.event);
    let profile = steps().find_map(|step| match step {
        Step::Profile { profile } => profile.value().as_object().cloned(),
        _ => None,
    });
    let rows = steps().filter_map(|step| match step {
        Step::Mapping { direction, field, source, value, .. } if direction == "to_profile" => {
            Some(RowOrigin { field, source: source.as_deref(), gave: value.is_some() })
        }
        _ => None,
    });
    profile.map(|profile| origins(&profile, rows)).unwrap_or_default()
}

/// One run of a script in a line.
fn script_text(
    (script, kind): (&str, &str),
    took: u64,
    status: &str,
    changes: &[ScriptChange],
    log: &[String],
    error: Option<&ScriptFailure>,
) -> String {
    let mut parts = vec![format!("{kind} {script}: {status}, {took} us")];
    if let Some(error) = error {
        let place = match (error.line, error.column) {
            (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
            (Some(line), None) => format!(" (line {line})"),
            _ => String::new(),
        };
        let limit = error.limit.as_ref().map(|limit| format!(" [limit: {limit}]")).unwrap_or_default();
        parts.push(format!("{}{place}{limit}", error.message));
    }
    let side = |value: &Option<Value>| value.as_ref().map_or_else(|| "(absent)".to_owned(), shown);
    parts.extend(changes.iter().map(|change| format!("{}: {} -> {}", change.path, side(&change.before), side(&change.after))));
    parts.extend(log.iter().map(|line| format!("log: {line}")));
    parts.join("; ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
