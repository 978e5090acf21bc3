//! Rules, their settings, and actions.
//!
//! An action runs when it is deployed and bound to a trigger: what runs is the text as it was deployed, and both facts stand
//! in the object itself (`deployed`, `binding`), which the operations write.

use super::{checked, fault, text};
use crate::broker::admin::objects;
use crate::broker::live::{Checked, Fault, Known, Made};
use crate::config::scripts::host_name;
use crate::rules::{self, Kind, Limits, OnError, Script, Trigger};
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn make(kind: &str, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    match kind {
        "rule" => rule(id, body, known),
        "rule_config" => configuration(id, body, known),
        _ => action(id, body, known),
    }
}

fn rule(id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let mut faults = Vec::new();
    name(body, &mut faults);
    let mut script = script(id, Kind::Rule, body, text(body, "script").unwrap_or_default(), &mut faults);
    script.enabled = body.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    script.order = body.get("order").and_then(Value::as_i64).unwrap_or_default();
    syntax(&script, "/script", known, &mut faults);
    let stage = text(body, "stage").unwrap_or("login_success");
    if stage != "login_success" {
        faults.push(fault("/stage", format!("the stage {stage} is not available"), "leave it out: rules run at login_success"));
    }
    done(faults, Made::Script(Arc::new(script)), Vec::new())
}

fn configuration(id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let good = !id.is_empty() && id.len() <= 127 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !good {
        return Err(vec![fault("/key", "is no name of a setting", "use letters, digits, _ and -")]);
    }
    let value = body.get("value").cloned().unwrap_or_default();
    let value = objects::open("rule_config", id, &value, known.gateway.admin.sealer());
    let value = value.map_err(|error| vec![fault("/value", error.detail, "set it again")])?;
    Ok(checked(Made::RuleConfiguration { name: id.to_owned(), value }, Vec::new()))
}

fn action(id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let mut faults = Vec::new();
    name(body, &mut faults);
    let trigger = trigger(body, &mut faults).unwrap_or(Trigger::PostLogin);
    if body.get("dependencies").and_then(Value::as_array).is_some_and(|packages| !packages.is_empty()) {
        faults.push(fault("/dependencies", "packages are not available to actions", "write what is needed into the action itself"));
    }
    let draft = script(id, Kind::Action(trigger), body, text(body, "code").unwrap_or_default(), &mut faults);
    syntax(&draft, "/code", known, &mut faults);
    let warnings = super::without_effect(body, "", KEPT);
    let deployed = body.get("deployed").and_then(Value::as_object);
    let binding = body.get("binding").and_then(Value::as_object);
    let (Some(deployed), Some(binding)) = (deployed, binding) else { return done(faults, Made::Nothing, warnings) };
    let mut secrets = BTreeMap::new();
    for (index, secret) in deployed.get("secrets").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let (Some(name), Some(value)) = (secret.get("name").and_then(Value::as_str), secret.get("value")) else { continue };
        match objects::open("action", id, value, known.gateway.admin.sealer()) {
            Ok(value) => drop(secrets.insert(name.to_owned(), value)),
            Err(error) => faults.push(fault(&format!("/secrets/{index}/value"), error.detail, "set it again")),
        }
    }
    let made = Script {
        code: text(deployed, "code").unwrap_or_default().to_owned(),
        order: binding.get("order").and_then(Value::as_i64).unwrap_or_default(),
        secrets: secrets as BTreeMap<String, Secret<String>>,
        ..draft
    };
    done(faults, Made::Script(Arc::new(made)), warnings)
}

/// Members that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[("runtime", "there is one engine for all scripts")];

fn done(faults: Vec<Fault>, made: Made, warnings: Vec<Fault>) -> Result<Checked, Vec<Fault>> {
    if faults.is_empty() { Ok(checked(made, warnings)) } else { Err(faults) }
}

fn name(body: &Map<String, Value>, faults: &mut Vec<Fault>) {
    let name = text(body, "name").unwrap_or_default();
    let edge = |c: char| c == ' ' || c == '-';
    let good = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
    if name.is_empty() || !name.chars().all(good) || name.starts_with(edge) || name.ends_with(edge) {
        faults.push(fault("/name", "is no name of a script", "use letters, digits, blanks and -, the last two not at its ends"));
    }
}

fn trigger(body: &Map<String, Value>, faults: &mut Vec<Fault>) -> Option<Trigger> {
    let triggers = body.get("supported_triggers").and_then(Value::as_array).cloned().unwrap_or_default();
    let ids: Vec<&str> = triggers.iter().filter_map(|trigger| trigger.get("id").and_then(Value::as_str)).collect();
    let [id] = ids.as_slice() else {
        faults.push(fault("/supported_triggers", "needs one trigger", "write [{\"id\": \"post-login\", \"version\": \"v3\"}]"));
        return None;
    };
    let known = Trigger::parse(id);
    if known.is_none() {
        let names: Vec<&str> = Trigger::ALL.iter().map(|trigger| trigger.name()).collect();
        faults.push(fault(
            "/supported_triggers/0/id",
            format!("the trigger {id} is not available"),
            &*format!("use one of: {}", names.join(", ")),
        ));
    }
    known
}

/// With our own settings, in the words of the file.
fn script(id: &str, kind: Kind, body: &Map<String, Value>, code: &str, faults: &mut Vec<Fault>) -> Script {
    let mut script = Script {
        id: id.to_owned(),
        name: text(body, "name").unwrap_or_default().to_owned(),
        kind,
        enabled: true,
        order: 0,
        code: code.to_owned(),
        secrets: BTreeMap::new(),
        hosts: Vec::new(),
        on_error: OnError::Fail,
        limits: Limits::default(),
    };
    let own = body.get("isthmus").and_then(Value::as_object).cloned().unwrap_or_default();
    for (member, value) in &own {
        let here = format!("/isthmus/{member}");
        match (member.as_str(), value) {
            ("on_error", Value::String(word)) if word == "fail" => script.on_error = OnError::Fail,
            ("on_error", Value::String(word)) if word == "continue" => script.on_error = OnError::Continue,
            ("on_error", _) => faults.push(fault(&here, "is no choice", "use \"fail\" or \"continue\"")),
            ("time_limit", value) => match value.as_u64().filter(|time| (1..=20_000).contains(time)) {
                Some(time) => script.limits.time = time,
                None => faults.push(fault(&here, "is out of range", "use milliseconds from 1 to 20000")),
            },
            ("hosts", Value::Array(hosts)) => {
                for (index, host) in hosts.iter().enumerate() {
                    match host.as_str().and_then(host_name) {
                        Some(host) => script.hosts.push(host),
                        None => faults.push(fault(
                            &format!("{here}/{index}"),
                            "is no host",
                            "write a name or an address without scheme and port, as in api.example.org",
                        )),
                    }
                }
            }
            ("hosts", _) => faults.push(fault(&here, "is no list", "write a list of hosts")),
            _ => faults.push(fault(&here, "is no setting of a script", "use on_error, hosts and time_limit")),
        }
    }
    script
}

/// Can it be read as JavaScript? What was good when it was stored is not read once more.
fn syntax(script: &Script, pointer: &str, known: Known<'_>, faults: &mut Vec<Fault>) {
    if known.again {
        return;
    }
    if let Err(error) = rules::check(script) {
        let place = match (error.line, error.column) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: "),
            (Some(line), None) => format!("line {line}: "),
            _ => String::new(),
        };
        faults.push(fault(pointer, format!("{place}{}", error.message), "correct the script"));
    }
}
