//! Rules, and the settings that all of them share.

use super::call::{Call, Reply};
use super::problem::Refusal;
use super::shape::{Kind, Member, Shape, may, must};
use super::stored::{self, OWN_MEMBER};
use super::{Answer, Body, FIELDS, Operation, PAGES};
use crate::broker::admin::objects::{self, Object, ObjectKind};
use crate::broker::live::{Fault, Made};
use crate::id;
use crate::rules::{Kind as ScriptKind, OnError, Script};
use crate::store::Expect;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A rule; no two have one name.
pub const RULE: ObjectKind = ObjectKind { name: "rule", secrets: &[], unique: Some("name") };

/// A setting of the rules; the id is its key.
pub const RULE_CONFIG: ObjectKind = ObjectKind { name: "rule_config", secrets: &["/value"], unique: None };

/// Octets of a script that a body may have.
const LONGEST: usize = 256 * 1024;

/// What a caller may set.
macro_rules! settings {
    ($name:expr, $script:expr) => {
        &[
            $name,
            $script,
            may("order", Kind::Integer(0, 1_000_000), "Rules run in this order; no two share one"),
            may("enabled", Kind::Boolean, "true if it is not said"),
            may("stage", Kind::Text(1, 50), "login_success"),
            OWN_MEMBER,
        ]
    };
}

const CREATE: Shape = Shape {
    name: "RuleCreate",
    members: settings!(
        must("name", Kind::Text(1, 255), ""),
        must("script", Kind::Text(1, LONGEST), "JavaScript: function (user, context, callback)")
    ),
    open: false,
    example: r#"{"name": "add-roles", "script": "function (user, context, callback) { user.roles = ['reader']; callback(null, user, context); }", "order": 1}"#,
};

const CHANGE: Shape = Shape {
    name: "RuleChange",
    members: settings!(may("name", Kind::Text(1, 255), ""), may("script", Kind::Text(1, LONGEST), "")),
    open: false,
    example: r#"{"enabled": false}"#,
};

const SHOWN: Shape = Shape {
    name: "Rule",
    members: &[
        may("id", Kind::Text(1, 300), ""),
        may("name", Kind::Text(1, 255), ""),
        may("script", Kind::Text(0, LONGEST), ""),
        may("order", Kind::Integer(i64::MIN, i64::MAX), ""),
        may("enabled", Kind::Boolean, ""),
        may("stage", Kind::Text(1, 50), ""),
        may(stored::OWN, Kind::Object, "source: file or api; on_error, hosts, time_limit; warnings"),
    ],
    open: false,
    example: r#"{"id": "rul_0123456789abcdef", "name": "add-roles", "script": "function (user, context, callback) { callback(null, user, context); }", "order": 1, "enabled": true, "stage": "login_success"}"#,
};

const SETTING: Shape =
    Shape { name: "RulesConfig", members: &[must("key", Kind::Text(1, 127), "")], open: false, example: r#"{"key": "API_KEY"}"# };

const WRITTEN: Shape = Shape {
    name: "RulesConfigWritten",
    members: &[must("key", Kind::Text(1, 127), ""), must("value", Kind::Text(1, 10_000), "As it was given; never given out again")],
    open: false,
    example: r#"{"key": "API_KEY", "value": "a-secret"}"#,
};

const VALUE: Shape = Shape {
    name: "RulesConfigValue",
    members: &[must("value", Kind::Text(1, 10_000), "Never given out again")],
    open: false,
    example: r#"{"value": "a-secret"}"#,
};

const FILTERS: &[Member] = &[may("enabled", Kind::Boolean, "Only those that are, or are not")];

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Rules", GET "/rules" "get_rules" "List rules in their order",
        &["read:rules"], &[PAGES, FIELDS, FILTERS], Body::Nothing, (200, Answer::Page(&SHOWN, "rules")), &[], list),
    operation!("Rules", POST "/rules" "post_rules" "Make a rule",
        &["create:rules"], &[], Body::Json(&CREATE), (201, Answer::One(&SHOWN)), &[409], create),
    operation!("Rules", GET "/rules/{id}" "get_rules_by_id" "Read a rule",
        &["read:rules"], &[FIELDS], Body::Nothing, (200, Answer::One(&SHOWN)), &[404], get),
    operation!("Rules", PATCH "/rules/{id}" "patch_rules_by_id" "Change a rule, by a JSON merge patch",
        &["update:rules"], &[], Body::Json(&CHANGE), (200, Answer::One(&SHOWN)), &[404, 409, 412], change),
    operation!("Rules", DELETE "/rules/{id}" "delete_rules_by_id" "Delete a rule",
        &["delete:rules"], &[], Body::Nothing, (204, Answer::Nothing), &[404, 409, 412], delete),
    operation!("Rules", GET "/rules-configs" "get_rules_configs" "List the names of the rules' settings",
        &["read:rules_configs"], &[], Body::Nothing, (200, Answer::List(&SETTING)), &[], settings_of),
    operation!("Rules", PUT "/rules-configs/{key}" "put_rules_configs_by_key" "Set a setting of the rules",
        &["update:rules_configs"], &[], Body::Json(&VALUE), (200, Answer::One(&WRITTEN)), &[409], set),
    operation!("Rules", DELETE "/rules-configs/{key}" "delete_rules_configs_by_key" "Delete a setting of the rules",
        &["delete:rules_configs"], &[], Body::Nothing, (204, Answer::Nothing), &[404, 409], unset),
];

/// A rule with what orders it.
struct Listed {
    id: String,
    order: i64,
    enabled: bool,
    body: Map<String, Value>,
}

async fn list(call: Call) -> Result<Reply, Refusal> {
    let mut rules = all(&call).await?;
    rules.sort_by(|a, b| (a.order, &a.id).cmp(&(b.order, &b.id)));
    if let Some(enabled) = call.flag("enabled") {
        rules.retain(|rule| rule.enabled == enabled);
    }
    let show = |rule: &Listed| Value::Object(rule.body.clone());
    Ok(Reply::ok(stored::listed(&call, "rules", &rules, |rule| rule.id.as_str(), show)))
}

async fn all(call: &Call) -> Result<Vec<Listed>, Refusal> {
    let mut rules: Vec<Listed> = of_file(call).map(|script| listed(&script.id, of_script(&script))).collect();
    for object in stored::all(&call.gateway, &RULE).await? {
        rules.push(listed(&object.id.clone(), view(object)));
    }
    Ok(rules)
}

fn listed(id: &str, body: Map<String, Value>) -> Listed {
    let order = body.get("order").and_then(Value::as_i64).unwrap_or_default();
    let enabled = body.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    Listed { id: id.to_owned(), order, enabled, body }
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    if let Some(script) = of_file(&call).find(|script| script.id == call.name("id")) {
        return Ok(Reply::ok(super::call::selected(&call, of_script(&script).into())));
    }
    let object = existing(&call).await?;
    let version = object.version;
    Ok(Reply::versioned(200, super::call::selected(&call, view(object).into()), version))
}

async fn create(call: Call) -> Result<Reply, Refusal> {
    let mut body = stored::body_of(&call);
    let rules = all(&call).await?;
    if !body.contains_key("order") {
        let next = rules.iter().map(|rule| rule.order).max().unwrap_or(0).saturating_add(1);
        body.insert("order".to_owned(), next.into());
    }
    unique(&rules, "", &body)?;
    let id = format!("rul_{}", id::random_id().get(..16).unwrap_or_default());
    let written = objects::write(&call.state.live, &RULE, &id, body, Expect::Nothing, call.by(), call.now).await?;
    Ok(answered(201, written.0, &written.1))
}

async fn change(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    let mut body = object.body;
    stored::merge(&mut body, &stored::patch_of(&call));
    unique(&all(&call).await?, &object.id, &body)?;
    let written = objects::write(&call.state.live, &RULE, &object.id, body, expect, call.by(), call.now).await?;
    Ok(answered(200, written.0, &written.1))
}

async fn delete(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    objects::delete(&call.state.live, &RULE, &object.id, expect, call.by(), call.now).await?;
    Ok(Reply::Empty(204))
}

async fn settings_of(call: Call) -> Result<Reply, Refusal> {
    let mut keys: Vec<String> = stored::all(&call.gateway, &RULE_CONFIG).await?.into_iter().map(|object| object.id).collect();
    keys.extend(settings_of_file(&call));
    keys.sort();
    keys.dedup();
    Ok(Reply::ok(keys.into_iter().map(|key| json!({ "key": key })).collect()))
}

async fn set(call: Call) -> Result<Reply, Refusal> {
    let key = call.name("key").to_owned();
    if settings_of_file(&call).any(|known| known == key) {
        return Err(stored::read_only("setting"));
    }
    objects::write(&call.state.live, &RULE_CONFIG, &key, stored::body_of(&call), Expect::Any, call.by(), call.now).await?;
    // Told once, to who has set it: Auth0's libraries want it back.
    Ok(Reply::ok(json!({ "key": key, "value": call.body.get("value") })))
}

async fn unset(call: Call) -> Result<Reply, Refusal> {
    let key = call.name("key");
    if settings_of_file(&call).any(|known| known == key) {
        return Err(stored::read_only("setting"));
    }
    match objects::delete(&call.state.live, &RULE_CONFIG, key, Expect::Any, call.by(), call.now).await? {
        true => Ok(Reply::Empty(204)),
        false => Err(stored::missing("setting", "inexistent_rules_config")),
    }
}

fn settings_of_file(call: &Call) -> impl Iterator<Item = String> {
    call.state.live.of_file().iter().filter_map(|made| match made {
        Made::RuleConfiguration { name, .. } => Some(name.clone()),
        _ => None,
    })
}

/// Neither name nor order is another rule's.
fn unique(rules: &[Listed], id: &str, body: &Map<String, Value>) -> Result<(), Refusal> {
    for member in ["order", "name"] {
        let taken = rules.iter().find(|rule| rule.id != id && body.contains_key(member) && rule.body.get(member) == body.get(member));
        if let Some(other) = taken {
            return Err(stored::conflict(format!("The rule {} has this {member} already.", other.id)));
        }
    }
    Ok(())
}

async fn existing(call: &Call) -> Result<Object, Refusal> {
    let id = call.name("id");
    if of_file(call).any(|script| script.id == id) {
        return Err(stored::read_only("rule"));
    }
    objects::read(&call.gateway, &RULE, id).await?.ok_or_else(|| stored::missing("rule", "inexistent_rule"))
}

fn answered(status: u16, object: Object, warnings: &[Fault]) -> Reply {
    let version = object.version;
    let mut body = view(object);
    stored::warned(&mut body, warnings);
    Reply::versioned(status, body.into(), version)
}

fn view(object: Object) -> Map<String, Value> {
    let mut body = stored::shown("id", &object.id, object.body);
    body.entry("enabled").or_insert(Value::Bool(true));
    body.entry("stage").or_insert_with(|| "login_success".into());
    body
}

fn of_file(call: &Call) -> impl Iterator<Item = Arc<Script>> {
    scripts_of_file(call).filter(|script| script.kind == ScriptKind::Rule)
}

/// Rules and actions that the configuration file makes.
pub fn scripts_of_file(call: &Call) -> impl Iterator<Item = Arc<Script>> {
    call.state.live.of_file().iter().filter_map(|made| match made {
        Made::Script(script) => Some(Arc::clone(script)),
        _ => None,
    })
}

fn of_script(script: &Script) -> Map<String, Value> {
    let body = json!({
        "id": script.id, "name": script.name, "script": script.code, "order": script.order, "enabled": script.enabled,
        "stage": "login_success", "isthmus": own_of(script),
    });
    stored::made_by("file", body.as_object().cloned().unwrap_or_default())
}

/// Our own settings of a script, in the words of the file.
pub fn own_of(script: &Script) -> Value {
    let on_error = if script.on_error == OnError::Fail { "fail" } else { "continue" };
    json!({ "on_error": on_error, "hosts": script.hosts, "time_limit": script.limits.time })
}
