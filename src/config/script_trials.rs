//! Tests beside a script: `[[test]]` in its header, or in a file `NAME.test.toml` beside it.
//!
//! Each gives a user and a context, or an event, and says what must come of it. They run in the same host as logins do,
//! one by one, without a network.

use super::Findings;
use crate::connection::outbound::NoFetch;
use crate::rules::{Host, Kind, LoginInput, Outcome, Script, Scripts, Status, Trigger};
use crate::secret::Secret;
use crate::toml_file::{Section, TomlFile, to_json};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// One test.
#[derive(Clone, Debug)]
pub struct Trial {
    pub file: String,
    pub line: usize,
    pub name: String,
    pub script: Arc<Script>,
    user: Map<String, Value>,
    context: Map<String, Value>,
    event: Map<String, Value>,
    /// Instead of those of the operator, which no test sees.
    secrets: Arc<BTreeMap<String, Secret<String>>>,
    expect: Map<String, Value>,
    /// Paths that must not be there.
    absent: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrialResult {
    pub file: String,
    pub line: usize,
    pub script: String,
    pub test: String,
    /// Empty: it passes.
    pub differences: Vec<String>,
}

/// What a test may expect.
const EXPECTED: &[&str] = &[
    "denied",
    "failed",
    "redirect",
    "user",
    "id_token",
    "access_token",
    "scopes",
    "user_metadata",
    "app_metadata",
    "primary_user",
    "methods",
    "saml",
    "log",
];

/// The tests of a script: those of its header, given as TOML with the file's own lines, and those of the file beside it.
pub fn read(script: &Script, path: &Path, header: Option<&str>) -> (Vec<Trial>, Findings) {
    let (mut trials, mut findings) = (Vec::new(), Findings::default());
    let script = Arc::new(Script { enabled: true, ..script.clone() });
    if let Some(header) = header {
        let name = path.display().to_string();
        let file = TomlFile::new(&name, header);
        let table = file.parse();
        trials.extend(each(&script, &file.root(&table)));
        findings.extend(file.into_findings());
    }
    let beside = path.with_extension("test.toml");
    if let Ok(text) = std::fs::read_to_string(&beside) {
        let name = beside.display().to_string();
        let file = TomlFile::new(&name, &text);
        let table = file.parse();
        let root = file.root(&table);
        trials.extend(each(&script, &root));
        root.finish();
        findings.extend(file.into_findings());
    }
    (trials, findings)
}

fn each(script: &Arc<Script>, root: &Section<'_>) -> Vec<Trial> {
    let sections = root.sections("test");
    sections.iter().filter_map(|section| one(script, section)).collect()
}

fn one(script: &Arc<Script>, section: &Section<'_>) -> Option<Trial> {
    let object = |key: &'static str| {
        let Some(table) = section.section(key) else { return Map::new() };
        table.entries().map(|(name, at)| (name.to_owned(), to_json(at.value))).collect::<Map<_, _>>()
    };
    let name = section.required("name").map(|at| at.value.to_owned());
    let of_rule = script.kind == Kind::Rule;
    let key = if of_rule { "configuration" } else { "secrets" };
    let secrets = object(key).into_iter().filter_map(|(name, value)| Some((name, Secret::new(value.as_str()?.to_owned())))).collect();
    let expect = object("expect");
    if !section.has("expect") && !section.has("absent") {
        section.problem("expect", "the test expects nothing", "add `expect = { .. }`");
    }
    for unknown in expect.keys().filter(|name| !EXPECTED.contains(&name.as_str())) {
        section.problem("expect", format!("`{unknown}` is nothing that comes of a script"), format!("use {}", EXPECTED.join(", ")));
    }
    let trial = Trial {
        file: section.file().name().to_owned(),
        line: section.line(),
        name: name.clone().unwrap_or_default(),
        script: Arc::clone(script),
        user: object("user"),
        context: if of_rule { object("context") } else { Map::new() },
        event: if of_rule { Map::new() } else { object("event") },
        secrets: Arc::new(secrets),
        expect,
        absent: section.strings("absent").unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect(),
    };
    section.finish();
    name.map(|_| trial)
}

/// Runs tests, on a thread and in a host of their own.
pub fn run(trials: Vec<Trial>) -> Vec<TrialResult> {
    if trials.is_empty() {
        return Vec::new();
    }
    let work = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
        let host = Host::new(1, Arc::new(NoFetch)).of_issuer("https://login.example.org");
        runtime.block_on(async {
            let mut results = Vec::new();
            for trial in &trials {
                results.push(trial.run(&host).await);
            }
            results
        })
    };
    std::thread::spawn(work).join().unwrap_or_default()
}

impl Trial {
    async fn run(&self, host: &Host) -> TrialResult {
        let mut scripts = Scripts::default();
        let outcome = match self.script.kind {
            Kind::Rule => {
                scripts.rules = vec![Arc::clone(&self.script)];
                scripts.configuration = Arc::clone(&self.secrets);
                host.login(&scripts, self.input()).await
            }
            Kind::Action(trigger) => {
                let script = Script { secrets: self.secrets.as_ref().clone(), ..self.script.as_ref().clone() };
                scripts.actions.insert(trigger, vec![Arc::new(script)]);
                match trigger {
                    Trigger::PostLogin => host.login(&scripts, self.input()).await,
                    Trigger::CredentialsExchange => host.credentials_exchange(&scripts, self.input().event).await,
                    Trigger::PreUserRegistration => {
                        let LoginInput { user, mut event, .. } = self.input();
                        event.insert("user".to_owned(), Value::Object(user));
                        host.pre_user_registration(&scripts, event).await
                    }
                }
            }
        };
        let differences = match outcome {
            Ok(outcome) => self.differences(&seen(&outcome)),
            Err(error) => vec![error.to_string()],
        };
        let TrialResult { file, line, script, test, .. } = self.place();
        TrialResult { file, line, script, test, differences }
    }

    fn place(&self) -> TrialResult {
        let (script, test) = (self.script.name.clone(), self.name.clone());
        TrialResult { file: self.file.clone(), line: self.line, script, test, differences: Vec::new() }
    }

    fn input(&self) -> LoginInput {
        let (user, context, event) = usual();
        LoginInput {
            user: joined(user, &self.user),
            context: joined(context, &self.context),
            event: joined(event, &self.event),
            resume: None,
            no_redirect: false,
        }
    }

    fn differences(&self, seen: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for (name, expected) in &self.expect {
            let is = seen.get(name);
            match (name.as_str(), expected) {
                ("log" | "failed", Value::String(text)) => {
                    let said = is.map(ToString::to_string).unwrap_or_default();
                    let quoted = Value::from(text.as_str()).to_string();
                    if !said.contains(quoted.trim_matches('"')) {
                        found.push(format!(
                            "{name}: expected {text:?}, found {}",
                            is.map_or_else(|| "nothing".to_owned(), Value::to_string)
                        ));
                    }
                }
                ("denied" | "failed" | "redirect", Value::Bool(expected)) => {
                    if is.is_some() != *expected {
                        let found_text = is.map_or_else(|| "nothing".to_owned(), Value::to_string);
                        found.push(format!("{name}: expected {expected}, found {found_text}"));
                    }
                }
                _ => compare(name, expected, is, &mut found),
            }
        }
        // A refusal or a failure that nobody expects is a difference, whatever else is as expected.
        for name in ["denied", "failed"] {
            if let Some(is) = seen.get(name).filter(|_| !self.expect.contains_key(name)) {
                found.push(format!("{name}: expected nothing, found {is}"));
            }
        }
        for path in &self.absent {
            if let Some(is) = at_path(seen, path) {
                found.push(format!("{path}: expected nothing, found {is}"));
            }
        }
        found
    }
}

/// A login like many: what a test does not say is so.
fn usual() -> (Map<String, Value>, Map<String, Value>, Map<String, Value>) {
    let object = |value: Value| value.as_object().cloned().unwrap_or_default();
    let request = json!({ "ip": "192.0.2.1", "hostname": "login.example.org", "query": {}, "body": {}, "geoip": {} });
    let methods = json!({ "methods": [{ "name": "federated", "timestamp": "2026-01-01T00:00:00.000Z" }] });
    let user = json!({
        "user_id": "samlp|acme|jane", "email": "jane@acme.example", "email_verified": true, "name": "Jane Doe", "nickname": "jane",
        "identities": [{ "connection": "acme", "user_id": "jane", "provider": "samlp", "isSocial": false }],
        "user_metadata": {}, "app_metadata": {},
    });
    let context = json!({
        "tenant": "login.example.org", "clientID": "notes", "clientName": "Notes", "clientMetadata": {}, "connection": "acme",
        "connectionID": "acme", "connectionStrategy": "samlp", "connectionOptions": {}, "connectionMetadata": {}, "samlConfiguration": {},
        "protocol": "oidc-basic-profile", "stats": { "loginsCount": 1 }, "accessToken": { "scope": ["openid"] }, "idToken": {},
        "sessionID": "session", "request": request, "authentication": methods, "authorization": { "roles": [] },
    });
    let event = json!({
        "client": { "client_id": "notes", "name": "Notes", "metadata": {} },
        "connection": { "id": "acme", "name": "acme", "strategy": "samlp", "metadata": {} },
        "request": request, "stats": { "logins_count": 1 }, "tenant": { "id": "login.example.org" }, "authorization": { "roles": [] },
        "authentication": methods, "session": { "id": "session" },
        "transaction": { "id": "test", "protocol": "oidc-basic-profile", "requested_scopes": ["openid"], "acr_values": [], "prompt": [] },
    });
    (object(user), object(context), object(event))
}

/// Members of `given` instead of those that are there; objects are joined.
fn joined(mut usual: Map<String, Value>, given: &Map<String, Value>) -> Map<String, Value> {
    for (name, value) in given {
        let joined = match (usual.get_mut(name), value) {
            (Some(Value::Object(there)), Value::Object(given)) => Value::Object(joined(std::mem::take(there), given)),
            (_, value) => value.clone(),
        };
        usual.insert(name.clone(), joined);
    }
    usual
}

/// What came of a run, under the names of [`EXPECTED`]; what did not happen is absent.
pub fn seen(outcome: &Outcome) -> Value {
    let mut seen = Map::new();
    if let Some(denial) = &outcome.denied {
        seen.insert("denied".to_owned(), denial.message.clone().into());
    }
    let failure = outcome.ran.iter().find_map(|run| match &run.status {
        Status::Failed(error) => Some(match (error.line, error.column) {
            (Some(line), Some(column)) => format!("{line}:{column}: {}", error.message),
            _ => error.message.clone(),
        }),
        _ => None,
    });
    if let Some(failure) = failure {
        seen.insert("failed".to_owned(), failure.into());
    }
    if let Some(redirect) = &outcome.redirect {
        seen.insert("redirect".to_owned(), redirect.url.clone().into());
    }
    if let Some(primary) = &outcome.primary_user {
        seen.insert("primary_user".to_owned(), primary.clone().into());
    }
    let (mut user_metadata, mut app_metadata) = (Map::new(), Map::new());
    for change in &outcome.persist {
        user_metadata.extend(change.user_metadata.clone());
        app_metadata.extend(change.app_metadata.clone());
    }
    for (name, members) in [
        ("user", &outcome.user),
        ("id_token", &outcome.id_token_claims),
        ("access_token", &outcome.access_token_claims),
        ("saml", &outcome.saml),
        ("user_metadata", &user_metadata),
        ("app_metadata", &app_metadata),
    ] {
        seen.insert(name.to_owned(), Value::Object(members.clone()));
    }
    if let Some(scopes) = &outcome.scopes {
        seen.insert("scopes".to_owned(), json!(scopes));
    }
    seen.insert("methods".to_owned(), json!(outcome.methods));
    let log: Vec<&String> = outcome.ran.iter().flat_map(|run| &run.log).collect();
    seen.insert("log".to_owned(), json!(log));
    Value::Object(seen)
}

/// Of an object, the members that are expected; all else whole.
fn compare(path: &str, expected: &Value, found: Option<&Value>, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(members), Some(Value::Object(there))) => {
            for (name, value) in members {
                compare(&format!("{path}.{name}"), value, there.get(name), differences);
            }
        }
        (expected, Some(found)) if expected == found => {}
        (expected, found) => {
            let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
            differences.push(format!("{path}: expected {expected}, found {found}"));
        }
    }
}

/// A place by its path; names may have dots themselves.
fn at_path<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    members.get(path).or_else(|| {
        let splits = path.match_indices('.').filter_map(|(at, _)| Some((path.get(..at)?, path.get(at + 1..)?)));
        splits.filter_map(|(name, rest)| at_path(members.get(name)?, rest)).next()
    })
}

#[cfg(test)]
#[path = "script_trials_tests.rs"]
mod tests;
