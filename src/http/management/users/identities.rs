//! Linking and unlinking (details C), the link journal, and conflicts.

use super::read::{existing, shown};
use super::{Caller, refusal};
use crate::broker::admin::{OtherMetadata, SealedValues};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::http::management::call::{Call, Reply, connection_name, cut, paged};
use crate::http::management::problem::Refusal;
use crate::http::management::shape::fault;
use crate::store::{ConflictRecord, LinkEntry, LogType, UserQuery};
use crate::user::User;
use crate::user::search::{Filter, IdentityField, Test};
use serde_json::{Value, json};

/// Seconds that an ID token proves who somebody is, for linking.
const FRESH: i64 = 600;

/// Conflicts that are listed.
const CONFLICTS: i64 = 10_000;

pub async fn link(call: Call) -> Result<Reply, Refusal> {
    let caller = Caller::of(&call, &["update:users"]).await?;
    let text = |name: &str| call.body.get(name).and_then(Value::as_str);
    let other = match (caller, text("link_with"), text("provider"), text("user_id")) {
        (Caller::Person, Some(token), None, None) => proven(&call, token).await?,
        (Caller::Person, ..) => return Err(wrong("/link_with", "is needed, and nothing else: an ID token of the user to be linked")),
        (Caller::Program, None, Some(provider), Some(user_id)) => named(&call, provider, user_id, text("connection_id")).await?,
        (Caller::Program, Some(_), ..) => return Err(wrong("/link_with", "is for people; programs name provider and user_id")),
        (Caller::Program, None, None, _) => return Err(wrong("/provider", "is missing")),
        (Caller::Program, None, _, None) => return Err(wrong("/user_id", "is missing")),
    };
    call.gateway.admin.link(call.name("id"), &other, OtherMetadata::Drop, call.by(), call.now).await.map_err(refusal)?;
    super::note(&call, LogType::Linked, call.name("id"), Some(json!({ "former_user_id": other })));
    identities_of(&call, 201).await
}

pub async fn unlink(call: Call) -> Result<Reply, Refusal> {
    Caller::of(&call, &["update:users"]).await?;
    let user = existing(&call, call.name("id")).await?;
    let (provider, subject) = (call.name("provider"), call.name("user_id"));
    let is_meant = |stored: &&crate::user::StoredIdentity| {
        let identity = &stored.identity;
        let same = identity.user_id == subject || format!("{}|{}", identity.connection, identity.user_id) == subject;
        identity.provider == provider && same && call.text("connection").is_none_or(|name| name == identity.connection)
    };
    let mut meant = user.identities.iter().filter(is_meant);
    let Some(identity) = meant.next().map(|stored| &stored.identity) else {
        return Err(Refusal::new(ErrorKind::NotFound, "The user has no such identity.").with_code("inexistent_identity"));
    };
    if meant.next().is_some() {
        let message = "Several connections have this subject: say which by the parameter connection.";
        return Err(Refusal::new(ErrorKind::Conflict, message).with_code("ambiguous_identity"));
    }
    call.gateway.admin.unlink(&user.user_id, &identity.connection, &identity.user_id, call.by(), call.now).await.map_err(refusal)?;
    super::note(&call, LogType::Unlinked, &user.user_id, Some(json!({ "connection": identity.connection })));
    identities_of(&call, 200).await
}

pub async fn links(call: Call) -> Result<Reply, Refusal> {
    let entries = call.gateway.admin.links(call.name("id")).await.map_err(refusal)?;
    let (page, total) = cut(&call, entries.iter().map(link_shown));
    Ok(Reply::ok(paged(&call, "links", page, total)))
}

pub async fn undo(call: Call) -> Result<Reply, Refusal> {
    let (user_id, link_id) = (call.name("id"), call.name("link_id"));
    let entries = call.gateway.admin.links(user_id).await.map_err(refusal)?;
    if !entries.iter().any(|entry| entry.by.link_id == link_id) {
        return Err(Refusal::new(ErrorKind::NotFound, "The user has no such link.").with_code("inexistent_link"));
    }
    let user = call.gateway.admin.undo_link(link_id, call.by(), call.now).await.map_err(refusal)?;
    let record = call.gateway.admin.user_record(&user.user_id, SealedValues::Absent).await.map_err(refusal)?;
    Ok(Reply::ok(shown(&call, &record)))
}

pub async fn conflicts(call: Call) -> Result<Reply, Refusal> {
    let found = call.gateway.admin.conflicts(CONFLICTS).await?;
    let (page, total) = cut(&call, found.into_iter().map(conflict_shown));
    Ok(Reply::ok(paged(&call, "conflicts", page, total)))
}

/// The user whom a fresh ID token of the same application names.
async fn proven(call: &Call, token: &str) -> Result<String, Refusal> {
    let proof = call.gateway.keys.public().verify_current(token, &call.gateway.issuer, call.now);
    let proof = proof.map_err(|_| wrong("/link_with", "is no ID token of this gateway, or has expired"))?;
    if proof.client_id() != call.access.client_id {
        return Err(wrong("/link_with", "was issued to another application than the access token"));
    }
    let old = |at: Option<Timestamp>| at.is_none_or(|at| call.now.seconds_since(at) > FRESH);
    if old(proof.issued_at()) || old(proof.auth_time()) {
        return Err(wrong("/link_with", "is older than ten minutes: the person must sign in again"));
    }
    // A provider may not have said when the person signed in; the token has a time all the same, and the session knows whose.
    let session = match proof.sid() {
        Some(sid) => call.gateway.session_by_sid(sid, call.now).await?,
        None => None,
    };
    let session = session.ok_or_else(|| wrong("/link_with", "is of a session that is over: the person must sign in again"))?.session;
    if !session.auth_time_by.is_witness() {
        return Err(wrong("/link_with", "is of a sign-in whose time the identity provider does not tell: ask for a fresh one"));
    }
    Ok(proof.subject().to_owned())
}

/// The user whom an operator names: by the user id, or by who it is at its connection.
async fn named(call: &Call, provider: &str, user_id: &str, connection_id: Option<&str>) -> Result<String, Refusal> {
    let directory = &call.gateway.directory;
    let missing = || refusal(Error::new(ErrorKind::NotFound, "The user to be linked does not exist."));
    if let Some(id) = connection_id {
        let connection = connection_name(call, id).await?;
        let subject = user_id.strip_prefix(&format!("{connection}|")).unwrap_or(user_id);
        let user = directory.user_of(&connection, subject).await?;
        return user.filter(|user| has_provider(user, provider)).map(|user| user.user_id).ok_or_else(missing);
    }
    let whole = user_id.strip_prefix(&format!("{provider}|")).unwrap_or(user_id);
    if let Some(user) = directory.user(&format!("{provider}|{whole}")).await? {
        return Ok(user.user_id);
    }
    let is = |field, text: &str| Filter::Identity(field, Test::Is(text.to_owned()));
    let both = Filter::All(vec![is(IdentityField::UserId, user_id), is(IdentityField::Provider, provider)]);
    let query = UserQuery { filter: Some(both), limit: MATCHES, ..UserQuery::default() };
    let found = directory.find_users(&query).await?.users;
    // Of one identity, not of two.
    let mut found = found
        .into_iter()
        .filter(|user| user.identities.iter().any(|stored| stored.identity.provider == provider && stored.identity.user_id == user_id));
    let user = found.next().ok_or_else(missing)?;
    if found.next().is_some() {
        let message = "Several connections have this user: say which by connection_id.";
        return Err(Refusal::new(ErrorKind::Conflict, message).with_code("ambiguous_identity"));
    }
    Ok(user.user_id)
}

/// Users with one subject that are looked at.
const MATCHES: usize = 20;

fn has_provider(user: &User, provider: &str) -> bool {
    user.identities.iter().any(|stored| stored.identity.provider == provider)
}

async fn identities_of(call: &Call, status: u16) -> Result<Reply, Refusal> {
    let record = call.gateway.admin.user_record(call.name("id"), SealedValues::Absent).await.map_err(refusal)?;
    let body = shown(call, &record).get_mut("identities").map_or_else(|| json!([]), Value::take);
    Ok(Reply::Json { status, body, version: None })
}

fn link_shown(entry: &LinkEntry) -> Value {
    let LinkEntry { by, at, user_id, former_user_id, identities, undone_at, .. } = entry;
    let identities: Vec<Value> =
        identities.iter().map(|(connection, subject)| json!({ "connection": connection, "user_id": subject })).collect();
    let mut shown = json!({
        "link_id": by.link_id, "how": by.how, "actor": by.actor, "at": at.to_string(), "user_id": user_id, "identities": identities,
    });
    if let Some(members) = shown.as_object_mut() {
        members.extend(former_user_id.as_ref().map(|id| ("former_user_id".to_owned(), Value::from(id.as_str()))));
        members.extend(undone_at.map(|at| ("undone_at".to_owned(), Value::from(at.to_string()))));
    }
    shown
}

fn conflict_shown(record: ConflictRecord) -> Value {
    let mut shown = json!({
        "connection": record.connection, "user_id": record.subject, "reason": record.reason, "candidates": record.candidates,
        "correlation_id": record.correlation_id, "first_at": record.first_at.to_string(), "last_at": record.last_at.to_string(),
        "times": record.times,
    });
    if let (Some(members), Some(email)) = (shown.as_object_mut(), record.email) {
        members.insert("email".to_owned(), email.into());
    }
    shown
}

fn wrong(pointer: &str, message: &str) -> Refusal {
    vec![fault(pointer, message)].into()
}
