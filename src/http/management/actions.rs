//! Actions: made, deployed, and bound to what triggers them.
//!
//! Three facts of an action are members of its object that callers do not set: `deployed` is the text that runs, with its
//! secrets, and `binding` is the trigger with the place in its order.

use super::call::{Call, Reply, bounds};
use super::problem::Refusal;
use super::rules::{own_of, scripts_of_file};
use super::shape::{Kind, Member, Shape, fault, may, must};
use super::stored::{self, OWN_MEMBER};
use super::{Answer, Body, Operation};
use crate::broker::admin::objects::{self, Object, ObjectKind};
use crate::broker::live::Fault;
use crate::id;
use crate::rules::{Kind as ScriptKind, Script, Trigger};
use crate::store::Expect;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// An action; no two have one name.
pub const ACTION: ObjectKind =
    ObjectKind { name: "action", secrets: &["/secrets/*/value", "/deployed/secrets/*/value"], unique: Some("name") };

const LONGEST: usize = 256 * 1024;

const TRIGGER_REF: Shape = Shape {
    name: "ActionTriggerRef",
    members: &[
        must("id", Kind::Text(1, 100), "post-login, credentials-exchange or pre-user-registration"),
        may("version", Kind::Text(1, 20), ""),
        may("status", Kind::Text(1, 50), ""),
    ],
    open: false,
    example: r#"{"id": "post-login", "version": "v3"}"#,
};

const SECRET: Shape = Shape {
    name: "ActionSecret",
    members: &[
        must("name", Kind::Text(1, 200), ""),
        may("value", Kind::Text(1, 10_000), "Never given out again; left out, the one that is there stays"),
        may("updated_at", Kind::Text(1, 40), "Said by the gateway"),
    ],
    open: false,
    example: r#"{"name": "API_KEY", "value": "a-secret"}"#,
};

macro_rules! settings {
    ($name:expr, $triggers:expr) => {
        &[
            $name,
            $triggers,
            may("code", Kind::Text(1, LONGEST), "JavaScript that exports the trigger's function"),
            may("dependencies", Kind::List(&Kind::Object, 0), "Packages are not available"),
            may("runtime", Kind::Text(1, 50), "Kept, without effect"),
            may("secrets", Kind::List(&Kind::Record(&SECRET), 50), "All of them: those that are left out are deleted"),
            OWN_MEMBER,
        ]
    };
}

const CREATE: Shape = Shape {
    name: "ActionCreate",
    members: settings!(must("name", Kind::Text(1, 255), ""), must("supported_triggers", Kind::List(&Kind::Record(&TRIGGER_REF), 1), "")),
    open: false,
    example: r#"{"name": "add-tier", "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": "exports.onExecutePostLogin = async (event, api) => {};"}"#,
};

const CHANGE: Shape = Shape {
    name: "ActionChange",
    members: settings!(may("name", Kind::Text(1, 255), ""), may("supported_triggers", Kind::List(&Kind::Record(&TRIGGER_REF), 1), "")),
    open: false,
    example: r#"{"code": "exports.onExecutePostLogin = async (event, api) => {};"}"#,
};

const VERSION: Shape = Shape {
    name: "ActionVersion",
    members: &[
        must("id", Kind::Text(1, 100), ""),
        must("action_id", Kind::Text(1, 300), ""),
        must("code", Kind::Text(0, LONGEST), ""),
        must("number", Kind::Integer(1, i64::MAX), ""),
        must("deployed", Kind::Boolean, ""),
        must("status", Kind::Text(1, 20), "built"),
        must("built_at", Kind::Text(1, 40), ""),
    ],
    open: true,
    example: r#"{"id": "0123456789abcdef", "action_id": "act_0123456789abcdef", "code": "exports.onExecutePostLogin = async (event, api) => {};", "number": 1, "deployed": true, "status": "built", "built_at": "2026-01-01T00:00:00.000Z"}"#,
};

const SHOWN: Shape = Shape {
    name: "Action",
    members: &[
        must("id", Kind::Text(1, 300), ""),
        must("name", Kind::Text(1, 255), ""),
        must("supported_triggers", Kind::List(&Kind::Record(&TRIGGER_REF), 10), ""),
        must("code", Kind::Text(0, LONGEST), "The text as it was written last; what runs is that of deployed_version"),
        must("dependencies", Kind::List(&Kind::Object, 0), ""),
        must("secrets", Kind::List(&Kind::Record(&SECRET), 50), "Names, never values"),
        must("status", Kind::Text(1, 20), "built"),
        must("all_changes_deployed", Kind::Boolean, ""),
        may("deployed_version", Kind::Record(&VERSION), ""),
        may(stored::OWN, Kind::Object, "source: file or api; on_error, hosts, time_limit; warnings"),
    ],
    open: true,
    example: r#"{"id": "act_0123456789abcdef", "name": "add-tier", "supported_triggers": [{"id": "post-login", "version": "v3"}], "code": "exports.onExecutePostLogin = async (event, api) => {};", "dependencies": [], "secrets": [], "status": "built", "all_changes_deployed": false}"#,
};

const LIST: Shape = Shape {
    name: "ActionList",
    members: &[
        must("actions", Kind::List(&Kind::Record(&SHOWN), 100), ""),
        must("total", Kind::Integer(0, i64::MAX), ""),
        must("page", Kind::Integer(0, 1_000_000), ""),
        must("per_page", Kind::Integer(1, 100), ""),
    ],
    open: false,
    example: r#"{"actions": [], "total": 0, "page": 0, "per_page": 50}"#,
};

const TRIGGERS: Shape = Shape {
    name: "ActionTriggers",
    members: &[must("triggers", Kind::List(&Kind::Object, 10), "")],
    open: false,
    example: r#"{"triggers": [{"id": "post-login", "version": "v3", "status": "CURRENT"}]}"#,
};

const REFERENCE: Shape = Shape {
    name: "ActionReference",
    members: &[must("type", Kind::OneOf(&["binding_id", "action_id", "action_name"]), ""), must("value", Kind::Text(1, 300), "")],
    open: false,
    example: r#"{"type": "action_name", "value": "add-tier"}"#,
};

const BINDING: Shape = Shape {
    name: "ActionBindingChange",
    members: &[must("ref", Kind::Record(&REFERENCE), ""), may("display_name", Kind::Text(1, 255), "")],
    open: false,
    example: r#"{"ref": {"type": "action_name", "value": "add-tier"}, "display_name": "Add the tier"}"#,
};

const BIND: Shape = Shape {
    name: "ActionBindingsChange",
    members: &[must("bindings", Kind::List(&Kind::Record(&BINDING), 100), "All of them, in the order in which they run")],
    open: false,
    example: r#"{"bindings": [{"ref": {"type": "action_name", "value": "add-tier"}}]}"#,
};

const BINDINGS: Shape = Shape {
    name: "ActionBindings",
    members: &[
        must("bindings", Kind::List(&Kind::Object, 1000), "Each with id, trigger_id, display_name and action"),
        may("total", Kind::Integer(0, i64::MAX), ""),
        may("page", Kind::Integer(0, 1_000_000), ""),
        may("per_page", Kind::Integer(1, 100), ""),
    ],
    open: false,
    example: r#"{"bindings": [], "total": 0, "page": 0, "per_page": 50}"#,
};

const PAGE: &[Member] = &[
    may("page", Kind::Integer(0, 1_000_000), "Number of the page, from 0"),
    may("per_page", Kind::Integer(1, 100), "Items of a page; 50 if it is not said"),
];

const FILTERS: &[Member] = &[
    may("triggerId", Kind::Text(1, 100), "Only of this trigger"),
    may("actionName", Kind::Text(1, 255), "Only of this name"),
    may("deployed", Kind::Boolean, "Only those that are, or are not"),
    may("installed", Kind::Boolean, "true: none, for actions of a marketplace are not available"),
];

const FORCE: &[Member] = &[may("force", Kind::Boolean, "Also if it is bound")];

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Actions", GET "/actions/actions" "get_actions" "List actions",
        &["read:actions"], &[PAGE, FILTERS], Body::Nothing, (200, Answer::One(&LIST)), &[], list),
    operation!("Actions", POST "/actions/actions" "post_action" "Make an action",
        &["create:actions"], &[], Body::Json(&CREATE), (201, Answer::One(&SHOWN)), &[409], create),
    operation!("Actions", GET "/actions/actions/{id}" "get_action" "Read an action",
        &["read:actions"], &[], Body::Nothing, (200, Answer::One(&SHOWN)), &[404], get),
    operation!("Actions", PATCH "/actions/actions/{id}" "patch_action" "Change an action; what runs changes when it is deployed",
        &["update:actions"], &[], Body::Json(&CHANGE), (200, Answer::One(&SHOWN)), &[404, 409, 412], change),
    operation!("Actions", DELETE "/actions/actions/{id}" "delete_action" "Delete an action",
        &["delete:actions"], &[FORCE], Body::Nothing, (204, Answer::Nothing), &[404, 409, 412], delete),
    operation!("Actions", POST "/actions/actions/{id}/deploy" "post_deploy_action" "Deploy an action as it is now",
        &["create:actions"], &[], Body::Nothing, (202, Answer::One(&VERSION)), &[404, 409], deploy),
    operation!("Actions", GET "/actions/triggers" "get_triggers" "List what can trigger actions",
        &["read:actions"], &[], Body::Nothing, (200, Answer::One(&TRIGGERS)), &[], triggers),
    operation!("Actions", GET "/actions/triggers/{trigger}/bindings" "get_bindings" "List the actions of a trigger, in their order",
        &["read:actions"], &[PAGE], Body::Nothing, (200, Answer::One(&BINDINGS)), &[404], bindings),
    operation!("Actions", PATCH "/actions/triggers/{trigger}/bindings" "patch_bindings" "Say which actions a trigger has, and in which order",
        &["update:actions"], &[], Body::Json(&BIND), (200, Answer::One(&BINDINGS)), &[404, 409], bind),
];

async fn list(call: Call) -> Result<Reply, Refusal> {
    let mut actions: Vec<Map<String, Value>> = of_file(&call).map(|script| of_script(&script)).collect();
    actions.extend(stored::all(&call.gateway, &ACTION).await?.into_iter().map(view));
    actions.retain(|action| {
        let trigger = action.get("supported_triggers").and_then(|triggers| triggers.pointer("/0/id"));
        call.text("triggerId").is_none_or(|wanted| trigger.and_then(Value::as_str) == Some(wanted))
            && call.text("actionName").is_none_or(|wanted| action.get("name").and_then(Value::as_str) == Some(wanted))
            && call.flag("deployed").is_none_or(|wanted| action.contains_key("deployed_version") == wanted)
            && call.flag("installed") != Some(true)
    });
    let total = actions.len();
    let (start, limit) = bounds(&call);
    let page: Vec<Value> = actions.into_iter().skip(start).take(limit).map(Value::Object).collect();
    Ok(Reply::ok(json!({ "actions": page, "total": total, "page": call.number("page").unwrap_or(0), "per_page": limit })))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    if let Some(script) = of_file(&call).find(|script| script.id == call.name("id")) {
        return Ok(Reply::ok(of_script(&script).into()));
    }
    let object = existing(&call).await?;
    let version = object.version;
    Ok(Reply::versioned(200, view(object).into(), version))
}

async fn create(call: Call) -> Result<Reply, Refusal> {
    let mut body = stored::body_of(&call);
    named(&call, &body)?;
    let id = format!("act_{}", id::random_id().get(..16).unwrap_or_default());
    let trigger = body.get("supported_triggers").and_then(|triggers| triggers.pointer("/0/id")).and_then(Value::as_str);
    let function = trigger.and_then(Trigger::parse).unwrap_or(Trigger::PostLogin).function();
    body.entry("code").or_insert_with(|| format!("exports.{function} = async (event, api) => {{\n}};\n").into());
    let secrets = secrets(&call, &Map::new(), body.get("secrets"))?;
    body.insert("secrets".to_owned(), secrets);
    let written = objects::write(&call.state.live, &ACTION, &id, body, Expect::Nothing, call.by(), call.now).await?;
    Ok(answered(201, written.0, &written.1))
}

async fn change(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    let mut patch = stored::patch_of(&call);
    named(&call, &patch)?;
    let bound = object.body.contains_key("binding");
    if bound && patch.get("supported_triggers").is_some_and(|triggers| trigger_of(triggers) != trigger_of_body(&object.body)) {
        return Err(stored::conflict("The action is bound to a trigger: unbind it before its trigger changes."));
    }
    let given = patch.remove("secrets");
    let mut body = object.body;
    if given.is_some() {
        let secrets = secrets(&call, &body, given.as_ref())?;
        body.insert("secrets".to_owned(), secrets);
    }
    stored::merge(&mut body, &patch);
    let written = objects::write(&call.state.live, &ACTION, &object.id, body, expect, call.by(), call.now).await?;
    Ok(answered(200, written.0, &written.1))
}

async fn delete(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    if object.body.contains_key("binding") && call.flag("force") != Some(true) {
        return Err(stored::conflict("The action is bound to a trigger: unbind it, or say force=true."));
    }
    objects::delete(&call.state.live, &ACTION, &object.id, expect, call.by(), call.now).await?;
    Ok(Reply::Empty(204))
}

async fn deploy(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let number = object.body.get("deployed").and_then(|deployed| deployed.get("number")).and_then(Value::as_i64).unwrap_or(0);
    let mut body = object.body;
    let taken = |name: &str| body.get(name).cloned();
    let deployed = json!({
        "id": id::random_id(), "number": number.saturating_add(1), "built_at": call.now.to_string(),
        "code": taken("code"), "secrets": taken("secrets").unwrap_or_else(|| json!([])), "runtime": taken("runtime"),
    });
    body.insert("deployed".to_owned(), deployed);
    let expect = Expect::Version(object.version);
    let (object, _) = objects::write(&call.state.live, &ACTION, &object.id, body, expect, call.by(), call.now).await?;
    let version = view(object).remove("deployed_version").unwrap_or_default();
    Ok(Reply::Json { status: 202, body: version, version: None })
}

async fn triggers(_call: Call) -> Result<Reply, Refusal> {
    let one = |trigger: &Trigger| {
        json!({
            "id": trigger.name(), "version": version_of(*trigger), "status": "CURRENT", "runtimes": ["node22"], "default_runtime": "node22",
            "compatible_triggers": [], "binding_policy": "trigger-bound",
        })
    };
    Ok(Reply::ok(json!({ "triggers": Trigger::ALL.iter().map(one).collect::<Vec<_>>() })))
}

async fn bindings(call: Call) -> Result<Reply, Refusal> {
    let trigger = trigger(&call)?;
    let bound = bound(&call, trigger).await?;
    let total = bound.len();
    let (start, limit) = bounds(&call);
    let page: Vec<Value> = bound.into_iter().skip(start).take(limit).collect();
    Ok(Reply::ok(json!({ "bindings": page, "total": total, "page": call.number("page").unwrap_or(0), "per_page": limit })))
}

/// Each action that changes is written; those of the file stay where they are.
async fn bind(call: Call) -> Result<Reply, Refusal> {
    let trigger = trigger(&call)?;
    let stored_actions = stored::all(&call.gateway, &ACTION).await?;
    let wanted = call.body.get("bindings").and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut chosen, mut faults): (Vec<(&Object, Value)>, Vec<Fault>) = (Vec::new(), Vec::new());
    for (index, binding) in wanted.iter().enumerate() {
        let here = format!("/bindings/{index}/ref");
        let (by, value) = (
            binding.pointer("/ref/type").and_then(Value::as_str),
            binding.pointer("/ref/value").and_then(Value::as_str).unwrap_or_default(),
        );
        let is = |id: &str, name: Option<&str>| match by {
            Some("action_name") => name == Some(value),
            // A binding has the id of its action.
            _ => id == value,
        };
        if of_file(&call).any(|script| is(&script.id, Some(&script.name))) {
            continue;
        }
        let found = stored_actions.iter().find(|action| is(&action.id, action.body.get("name").and_then(Value::as_str)));
        match found {
            None => faults.push(fault(&here, "names no action")),
            Some(action) if trigger_of_body(&action.body) != Some(trigger) => {
                faults.push(fault(&here, "names an action of another trigger"))
            }
            Some(action) if !action.body.contains_key("deployed") => faults.push(fault(&here, "names an action that is not deployed")),
            Some(action) if chosen.iter().any(|(known, _)| known.id == action.id) => faults.push(fault(&here, "names an action twice")),
            Some(action) => {
                let name = binding.get("display_name").or_else(|| action.body.get("name")).cloned().unwrap_or_default();
                chosen.push((
                    action,
                    json!({ "trigger": trigger.name(), "order": chosen.len(), "display_name": name, "created_at": call.now.to_string() }),
                ));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    for action in &stored_actions {
        let is_bound_here =
            action.body.get("binding").and_then(|binding| binding.get("trigger")).and_then(Value::as_str) == Some(trigger.name());
        let mut body = action.body.clone();
        match chosen.iter().find(|(known, _)| known.id == action.id) {
            Some((_, binding)) => {
                let mut binding = binding.clone();
                if let (Some(members), Some(created)) =
                    (binding.as_object_mut(), action.body.get("binding").and_then(|was| was.get("created_at")))
                {
                    members.insert("created_at".to_owned(), created.clone());
                }
                body.insert("binding".to_owned(), binding);
            }
            None if is_bound_here => drop(body.remove("binding")),
            None => continue,
        }
        if body != action.body {
            let expect = Expect::Version(action.version);
            objects::write(&call.state.live, &ACTION, &action.id, body, expect, call.by(), call.now).await?;
        }
    }
    Ok(Reply::ok(json!({ "bindings": bound(&call, trigger).await? })))
}

/// The actions of a trigger in the order in which they run.
async fn bound(call: &Call, trigger: Trigger) -> Result<Vec<Value>, Refusal> {
    let mut found: Vec<(i64, String, Value)> = Vec::new();
    for script in of_file(call).filter(|script| script.kind == ScriptKind::Action(trigger) && script.enabled) {
        let action = of_script(&script);
        found.push((script.order, script.name.clone(), binding_view(&script.id, trigger, &script.name, None, action)));
    }
    for object in stored::all(&call.gateway, &ACTION).await? {
        let Some(binding) =
            object.body.get("binding").cloned().filter(|binding| binding.get("trigger").and_then(Value::as_str) == Some(trigger.name()))
        else {
            continue;
        };
        let order = binding.get("order").and_then(Value::as_i64).unwrap_or_default();
        let (id, shown_name) = (object.id.clone(), binding.get("display_name").and_then(Value::as_str).unwrap_or_default().to_owned());
        let action = view(object);
        let name = action.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        found.push((order, name, binding_view(&id, trigger, &shown_name, binding.get("created_at"), action)));
    }
    found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    Ok(found.into_iter().map(|(_, _, binding)| binding).collect())
}

fn binding_view(id: &str, trigger: Trigger, name: &str, created: Option<&Value>, action: Map<String, Value>) -> Value {
    let mut binding = json!({ "id": id, "trigger_id": trigger.name(), "display_name": name, "action": action });
    if let (Some(members), Some(created)) = (binding.as_object_mut(), created) {
        members.insert("created_at".to_owned(), created.clone());
        members.insert("updated_at".to_owned(), created.clone());
    }
    binding
}

/// The secrets as they are to be kept: those without a value keep the one that is there.
fn secrets(call: &Call, body: &Map<String, Value>, given: Option<&Value>) -> Result<Value, Refusal> {
    let known = body.get("secrets").and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut kept, mut faults): (Vec<Value>, Vec<Fault>) = (Vec::new(), Vec::new());
    for (index, secret) in given.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let name = secret.get("name").cloned().unwrap_or_default();
        if kept.iter().any(|other| other.get("name") == Some(&name)) {
            faults.push(fault(&format!("/secrets/{index}/name"), "is there twice"));
            continue;
        }
        match (secret.get("value"), known.iter().find(|known| known.get("name") == Some(&name))) {
            (Some(value), _) => kept.push(json!({ "name": name, "value": value, "updated_at": call.now.to_string() })),
            (None, Some(known)) => kept.push(known.clone()),
            (None, None) => faults.push(fault(&format!("/secrets/{index}/value"), "is missing")),
        }
    }
    if faults.is_empty() { Ok(kept.into()) } else { Err(faults.into()) }
}

/// The file has no action of this name.
fn named(call: &Call, body: &Map<String, Value>) -> Result<(), Refusal> {
    let name = body.get("name").and_then(Value::as_str);
    match of_file(call).any(|script| Some(script.name.as_str()) == name) {
        true => Err(stored::conflict("The configuration file makes an action of this name.")),
        false => Ok(()),
    }
}

async fn existing(call: &Call) -> Result<Object, Refusal> {
    let id = call.name("id");
    if of_file(call).any(|script| script.id == id) {
        return Err(stored::read_only("action"));
    }
    objects::read(&call.gateway, &ACTION, id).await?.ok_or_else(|| stored::missing("action", "inexistent_action"))
}

fn trigger(call: &Call) -> Result<Trigger, Refusal> {
    Trigger::parse(call.name("trigger")).ok_or_else(|| stored::missing("trigger", "inexistent_trigger"))
}

fn trigger_of(triggers: &Value) -> Option<Trigger> {
    triggers.pointer("/0/id").and_then(Value::as_str).and_then(Trigger::parse)
}

fn trigger_of_body(body: &Map<String, Value>) -> Option<Trigger> {
    body.get("supported_triggers").and_then(trigger_of)
}

const fn version_of(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::PostLogin => "v3",
        Trigger::CredentialsExchange | Trigger::PreUserRegistration => "v2",
    }
}

fn of_file(call: &Call) -> impl Iterator<Item = Arc<Script>> {
    scripts_of_file(call).filter(|script| script.kind != ScriptKind::Rule)
}

fn answered(status: u16, object: Object, warnings: &[Fault]) -> Reply {
    let version = object.version;
    let mut body = view(object);
    stored::warned(&mut body, warnings);
    Reply::versioned(status, body.into(), version)
}

fn view(object: Object) -> Map<String, Value> {
    let (created, updated) = (object.created_at.to_string(), object.updated_at.to_string());
    let mut body = stored::shown("id", &object.id, object.body);
    body.remove("binding");
    let deployed = body.remove("deployed");
    for (member, usual) in [("secrets", json!([])), ("dependencies", json!([])), ("runtime", json!("node22")), ("code", json!(""))] {
        body.entry(member).or_insert(usual);
    }
    let same = |member: &str| deployed.as_ref().is_some_and(|deployed| deployed.get(member) == body.get(member));
    let all_deployed = same("code") && same("secrets");
    for (member, value) in [
        ("status", json!("built")),
        ("all_changes_deployed", all_deployed.into()),
        ("created_at", created.into()),
        ("updated_at", updated.into()),
    ] {
        body.insert(member.to_owned(), value);
    }
    if let Some(Value::Object(mut version)) = deployed {
        version.retain(|_, value| !value.is_null());
        for (member, value) in [
            ("action_id", Value::from(object.id.as_str())),
            ("deployed", Value::Bool(true)),
            ("status", json!("built")),
            ("dependencies", json!([])),
            ("created_at", version.get("built_at").cloned().unwrap_or_default()),
            ("updated_at", version.get("built_at").cloned().unwrap_or_default()),
        ] {
            version.insert(member.to_owned(), value);
        }
        body.insert("deployed_version".to_owned(), Value::Object(version));
    }
    body
}

fn of_script(script: &Script) -> Map<String, Value> {
    let trigger = match script.kind {
        ScriptKind::Action(trigger) => trigger,
        ScriptKind::Rule => Trigger::PostLogin,
    };
    let secrets: Vec<Value> = script.secrets.keys().map(|name| json!({ "name": name })).collect();
    let body = json!({
        "id": script.id, "name": script.name, "code": script.code, "dependencies": [], "secrets": secrets, "status": "built",
        "supported_triggers": [{ "id": trigger.name(), "version": version_of(trigger) }], "runtime": "node22",
        "all_changes_deployed": true, "isthmus": own_of(script),
    });
    stored::made_by("file", body.as_object().cloned().unwrap_or_default())
}
