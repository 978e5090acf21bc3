//! What the operations on stored objects share: merge patches, versions, lists, and how objects are shown.

use super::call::{Call, bounds, selected};
use super::problem::Refusal;
use super::shape::{Kind, Member, may};
use crate::broker::Gateway;
use crate::broker::admin::objects::{self, Object, ObjectKind};
use crate::broker::live::Fault;
use crate::error::{ErrorKind, Result};
use crate::store::Expect;
use serde_json::{Map, Value, json};

/// Our own settings of an object, and what is to be said about it.
pub const OWN: &str = "isthmus";

/// `isthmus` of a body.
pub const OWN_MEMBER: Member = may(OWN, Kind::Object, "Settings beyond Auth0's, in the words of the configuration file");

/// Objects that are read at once.
const BATCH: usize = 500;

/// RFC 7396.
pub fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(name)),
            Value::Object(members) => {
                let slot = target.entry(name.clone()).or_insert_with(|| json!({}));
                if !slot.is_object() {
                    *slot = json!({});
                }
                if let Value::Object(inner) = slot {
                    merge(inner, members);
                }
            }
            other => drop(target.insert(name.clone(), other.clone())),
        }
    }
}

/// The body of a call as an object to keep: without nulls, and without what only we say.
pub fn body_of(call: &Call) -> Map<String, Value> {
    let mut body = Map::new();
    merge(&mut body, &patch_of(call));
    body
}

/// The body of a call as a merge patch, without what only we say: callers send back what they read.
pub fn patch_of(call: &Call) -> Map<String, Value> {
    let mut patch = call.body.as_object().cloned().unwrap_or_default();
    let mut silent = false;
    if let Some(own) = patch.get_mut(OWN).and_then(Value::as_object_mut) {
        own.remove("source");
        own.remove("warnings");
        silent = own.is_empty();
    }
    if silent {
        patch.remove(OWN);
    }
    patch
}

/// What must be there for a change: the version that was read, which is the one that `If-Match` names.
///
/// # Errors
/// 412 where it names another.
pub fn expected(call: &Call, object: &Object) -> Result<Expect, Refusal> {
    match call.expected_version()? {
        Some(version) if version != object.version => {
            Err(Refusal::new(ErrorKind::Conflict, "It was changed by somebody else.").with_status(412).with_code("precondition_failed"))
        }
        _ => Ok(Expect::Version(object.version)),
    }
}

/// All objects of a kind.
pub async fn all(gateway: &Gateway, kind: &ObjectKind) -> Result<Vec<Object>> {
    let mut found: Vec<Object> = Vec::new();
    loop {
        let page = objects::page(gateway, kind, found.last().map(|object| object.id.as_str()), BATCH).await?;
        let more = page.len() >= BATCH;
        found.extend(page);
        if !more {
            return Ok(found);
        }
    }
}

/// A list as the caller wants it: a page, an object with totals, or the next items after a checkpoint. Items are shown
/// only if they are answered.
pub fn listed<T>(call: &Call, name: &str, items: &[T], id: impl Fn(&T) -> &str, show: impl Fn(&T) -> Value) -> Value {
    let shown = |items: &[T]| -> Vec<Value> { items.iter().map(|item| selected(call, show(item))).collect() };
    if call.text("from").is_some() || call.number("take").is_some() {
        let after = call.text("from").unwrap_or_default();
        let start = if after.is_empty() { 0 } else { items.iter().position(|item| id(item) > after).unwrap_or(items.len()) };
        let rest = items.get(start..).unwrap_or_default();
        let take = call.number("take").unwrap_or(50);
        let page = rest.get(..take.min(rest.len())).unwrap_or_default();
        let mut answer = Map::new();
        answer.insert(name.to_owned(), shown(page).into());
        if let Some(last) = page.last().filter(|_| rest.len() > page.len()) {
            answer.insert("next".to_owned(), id(last).into());
        }
        return answer.into();
    }
    let (start, limit) = bounds(call);
    let rest = items.get(start.min(items.len())..).unwrap_or_default();
    let page = shown(rest.get(..limit.min(rest.len())).unwrap_or_default());
    if call.flag("include_totals") == Some(true) {
        return json!({ "start": start, "limit": limit, "length": page.len(), "total": items.len(), name: page });
    }
    page.into()
}

/// An object for readers: without secrets, with its id under `id_name`, and with who made it.
pub fn shown(id_name: &str, id: &str, body: Map<String, Value>) -> Map<String, Value> {
    let mut body = objects::public(body);
    body.insert(id_name.to_owned(), id.into());
    own(&mut body).insert("source".to_owned(), "api".into());
    body
}

/// Something that is not stored: who made it.
pub fn made_by(source: &str, mut body: Map<String, Value>) -> Map<String, Value> {
    own(&mut body).insert("source".to_owned(), source.into());
    body
}

/// Adds what is to be said about an object.
pub fn warned(body: &mut Map<String, Value>, warnings: &[Fault]) {
    let told = |fault: &Fault| {
        let mut told = Map::new();
        for (name, text) in [("pointer", &fault.pointer), ("message", &fault.message), ("help", &fault.help)] {
            if name != "help" || !text.is_empty() {
                told.insert(name.to_owned(), text.as_str().into());
            }
        }
        Value::Object(told)
    };
    own(body).insert("warnings".to_owned(), warnings.iter().map(told).collect());
}

fn own(body: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let slot = body.entry(OWN).or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("it is an object")
}

/// A change of what the file made.
pub fn read_only(what: &str) -> Refusal {
    let message = format!("The configuration file makes this {what}: it is changed there.");
    Refusal::new(ErrorKind::Conflict, message).with_code("file_configuration")
}

pub fn missing(what: &str, code: &'static str) -> Refusal {
    Refusal::new(ErrorKind::NotFound, format!("There is no such {what}.")).with_code(code)
}

/// Something of this name is there already.
pub fn conflict(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorKind::Conflict, message).with_code("conflict")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_is_that_of_the_standard() {
        // RFC 7396 appendix A, those with objects.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target.as_object().cloned().expect("an object");
            merge(&mut merged, patch.as_object().expect("an object"));
            assert_eq!(Value::Object(merged), result, "{target} {patch}");
        }
    }
}
