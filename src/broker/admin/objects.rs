//! Connections, applications, rules and the like, as the management API makes and changes them: checked by the same code
//! as the configuration file, their secrets sealed, every change in the audit log.

use super::{By, kept};
use crate::broker::Gateway;
use crate::broker::live::{Fault, Known, Live};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Sealer;
use crate::secret::Secret;
use crate::store::{AuditEvent, Expect, ObjectWrite, StoredObject};
use crate::user::metadata;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// A kind of object.
#[derive(Debug)]
pub struct ObjectKind {
    /// In the directory.
    pub name: &'static str,
    /// Places of secrets as JSON pointers, `*` for any member or item: sealed at rest, and never given out.
    pub secrets: &'static [&'static str],
    /// A member whose value no two objects of the kind share.
    pub unique: Option<&'static str>,
}

/// An object and its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub id: String,
    /// Secrets are sealed in it.
    pub body: Map<String, Value>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Why an object was not written.
#[derive(Debug)]
pub enum NotWritten {
    Faults(Vec<Fault>),
    Error(Error),
}

impl From<Error> for NotWritten {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

type Body = Map<String, Value>;

/// A sealed value is an object with this one member.
const SEALED: &str = "$sealed";

/// Reads one object.
pub async fn read(gateway: &Gateway, kind: &ObjectKind, id: &str) -> Result<Option<Object>> {
    gateway.directory.object(kind.name, id).await?.map(decoded).transpose()
}

/// Objects of a kind by id, those after `after`.
pub async fn page(gateway: &Gateway, kind: &ObjectKind, after: Option<&str>, limit: usize) -> Result<Vec<Object>> {
    gateway.directory.objects(kind.name, after, limit).await?.into_iter().map(decoded).collect()
}

/// All objects of a kind, at most `limit`.
pub async fn all(gateway: &Gateway, kind: &ObjectKind, limit: usize) -> Result<Vec<Object>> {
    page(gateway, kind, None, limit).await
}

/// Writes an object that is good; its secrets may be in the clear (they are sealed here) or sealed already. The node that
/// writes uses it at once, the others within two seconds. The answer has the warnings that the check gave.
pub async fn write(
    live: &Live,
    kind: &ObjectKind,
    id: &str,
    body: Map<String, Value>,
    expect: Expect,
    by: By<'_>,
    now: Timestamp,
) -> Result<(Object, Vec<Fault>), NotWritten> {
    write_with(live, (kind, id, body, expect), &[], by, now).await
}

/// Writes an object together with other changes, all or none of them.
pub async fn write_with(
    live: &Live,
    (kind, id, mut body, expect): (&ObjectKind, &str, Map<String, Value>, Expect),
    others: &[ObjectWrite<'_>],
    by: By<'_>,
    now: Timestamp,
) -> Result<(Object, Vec<Fault>), NotWritten> {
    let gateway = live.gateway();
    seal(kind, id, &mut body, gateway.admin.sealer())?;
    let known = Known { gateway: &gateway, now, again: false };
    let checked = live.maker().make(kind.name, id, &body, known).map_err(NotWritten::Faults)?;
    let before = read(&gateway, kind, id).await?;
    if let Some(before) = before.as_ref().map(|object| &object.body) {
        let again = || live.maker().make(kind.name, id, before, Known { again: true, ..known }).ok().map(|checked| checked.made);
        let faults = kept::faults(kind, (before, &body), &checked.made, again);
        if !faults.is_empty() {
            return Err(NotWritten::Faults(faults));
        }
    }
    let text = Value::Object(body).to_string();
    let body: Map<String, Value> = parsed(&text)?;
    let name = kind.unique.and_then(|member| body.get(member)).and_then(Value::as_str);
    let write = ObjectWrite { kind: kind.name, id, name, body: Some(&text), expect };
    let writes: Vec<_> = others.iter().copied().chain([write]).collect();
    gateway.directory.write_objects(&writes, now).await?;
    audit(&gateway, kind, id, (before.as_ref().map(|object| &object.body), Some(&body)), by, now).await;
    live.refresh(now).await?;
    let object = read(&gateway, kind, id).await?.ok_or_else(|| Error::new(ErrorKind::Conflict, "It was deleted meanwhile."))?;
    Ok((object, checked.warnings))
}

/// Deletes an object; false when there was none.
pub async fn delete(live: &Live, kind: &ObjectKind, id: &str, expect: Expect, by: By<'_>, now: Timestamp) -> Result<bool> {
    delete_with(live, (kind, id, expect), &[], by, now).await
}

/// Deletes an object together with those that mean nothing without it; false when there was none.
pub async fn delete_with(
    live: &Live,
    (kind, id, expect): (&ObjectKind, &str, Expect),
    dependents: &[(&ObjectKind, Object)],
    by: By<'_>,
    now: Timestamp,
) -> Result<bool> {
    let gateway = live.gateway();
    let Some(before) = read(&gateway, kind, id).await? else { return Ok(false) };
    let deletion = |kind: &ObjectKind, id, expect| ObjectWrite { kind: kind.name, id, name: None, body: None, expect };
    let mut writes: Vec<_> = dependents.iter().map(|(kind, object)| deletion(kind, object.id.as_str(), Expect::Any)).collect();
    writes.push(deletion(kind, id, expect));
    gateway.directory.write_objects(&writes, now).await?;
    for (kind, object) in dependents {
        audit(&gateway, kind, &object.id, (Some(&object.body), None), by, now).await;
    }
    audit(&gateway, kind, id, (Some(&before.body), None), by, now).await;
    live.refresh(now).await?;
    Ok(true)
}

/// A secret as it stands in an object.
pub fn sealed(kind: &str, id: &str, text: &Secret<String>, sealer: &Sealer) -> Result<Value> {
    Ok(json!({ SEALED: STANDARD.encode(sealer.seal(&context(kind, id), text.expose().as_bytes())?) }))
}

/// Opens a sealed secret of an object; a text that is not sealed is answered as it is.
pub fn open(kind: &str, id: &str, value: &Value, sealer: &Sealer) -> Result<Secret<String>> {
    let unreadable = || Error::new(ErrorKind::Internal, "a stored secret cannot be opened");
    if let Value::String(text) = value {
        return Ok(Secret::new(text.clone()));
    }
    let sealed = value.get(SEALED).and_then(Value::as_str).ok_or_else(unreadable)?;
    let sealed = STANDARD.decode(sealed).map_err(|error| unreadable().because(error))?;
    let opened = sealer.open(&context(kind, id), &sealed)?;
    String::from_utf8(opened).map(Secret::new).map_err(|_| unreadable())
}

/// The object for readers: without what is sealed.
pub fn public(mut body: Map<String, Value>) -> Map<String, Value> {
    strip(&mut body);
    body
}

fn strip(members: &mut Map<String, Value>) {
    members.retain(|_, value| !is_sealed(value));
    for value in members.values_mut() {
        match value {
            Value::Object(inner) => strip(inner),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(strip),
            _ => {}
        }
    }
}

fn is_sealed(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.len() == 1 && members.contains_key(SEALED))
}

fn seal(kind: &ObjectKind, id: &str, body: &mut Map<String, Value>, sealer: &Sealer) -> Result<()> {
    let mut whole = Value::Object(std::mem::take(body));
    for place in kind.secrets {
        let steps: Vec<&str> = place.split('/').skip(1).collect();
        seal_at(&mut whole, &steps, &context(kind.name, id), sealer)?;
    }
    if let Value::Object(members) = whole {
        *body = members;
    }
    Ok(())
}

fn seal_at(value: &mut Value, steps: &[&str], context: &str, sealer: &Sealer) -> Result<()> {
    let Some((step, rest)) = steps.split_first() else {
        if let Value::String(text) = value {
            let sealed = STANDARD.encode(sealer.seal(context, text.as_bytes())?);
            *value = json!({ SEALED: sealed });
        }
        return Ok(());
    };
    match value {
        Value::Object(members) if *step == "*" => members.values_mut().try_for_each(|value| seal_at(value, rest, context, sealer)),
        Value::Array(items) if *step == "*" => items.iter_mut().try_for_each(|value| seal_at(value, rest, context, sealer)),
        Value::Object(members) => members.get_mut(*step).map_or(Ok(()), |value| seal_at(value, rest, context, sealer)),
        _ => Ok(()),
    }
}

fn context(kind: &str, id: &str) -> String {
    format!("object {kind} {id}")
}

fn decoded(object: StoredObject) -> Result<Object> {
    let StoredObject { id, body, version, created_at, updated_at, .. } = object;
    Ok(Object { id, body: parsed(&body)?, version, created_at, updated_at })
}

fn parsed(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|error| Error::new(ErrorKind::Internal, "a stored object cannot be read").because(error))
}

/// Like [`super::Admin`]'s: a line that cannot be written is an alarm and not a failure.
async fn audit(
    gateway: &Gateway,
    kind: &ObjectKind,
    id: &str,
    (before, after): (Option<&Body>, Option<&Body>),
    by: By<'_>,
    now: Timestamp,
) {
    let verb = match (before, after) {
        (None, _) => "created",
        (Some(_), Some(_)) => "updated",
        (Some(_), None) => "deleted",
    };
    let masked = |body: Option<&Map<String, Value>>| body.map(|body| masked(&Value::Object(body.clone())));
    let detail = json!({ "id": id, "actor": by.actor, "before": masked(before), "after": masked(after) });
    let event = AuditEvent {
        at: now,
        kind: format!("{}.{verb}", kind.name),
        correlation_id: by.correlation_id.to_owned(),
        detail: detail.to_string(),
    };
    if let Err(error) = gateway.directory.audit(&event).await {
        tracing::error!(correlation_id = by.correlation_id, actor = by.actor, kind = event.kind, %error, "a change was made and cannot be audited");
    }
}

/// Without what is sealed and what looks secret.
fn masked(value: &Value) -> Value {
    fn sealed(value: &Value) -> Value {
        match value {
            value if is_sealed(value) => Value::from("(sealed)"),
            Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), sealed(value))).collect(),
            Value::Array(items) => items.iter().map(sealed).collect(),
            other => other.clone(),
        }
    }
    metadata::masked(&sealed(value))
}
