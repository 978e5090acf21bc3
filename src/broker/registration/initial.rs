//! Initial access tokens (RFC 7591 1.2): the operator's permission to register so many clients until some day. Only a digest
//! is kept, and a use is counted in the same write that makes the client.

use super::{Body, Gateway};
use crate::broker::admin::By;
use crate::broker::admin::kinds::{CLIENT, REGISTRATION_TOKEN};
use crate::broker::admin::objects::{self, NotWritten, Object};
use crate::broker::live::{Fault, Live};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use crate::store::{Expect, ObjectWrite};
use serde_json::Value;

/// How often a use is tried again when others use the same token at the same time.
const ATTEMPTS: usize = 20;

/// Tokens that are listed.
const MANY: usize = 1000;

/// A token as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialToken {
    /// The beginning of its digest.
    pub id: String,
    pub uses_left: u64,
    pub expires_at: Option<Timestamp>,
    pub note: String,
}

/// Makes a token; it is told once.
///
/// # Errors
/// Those of the directory.
pub async fn issue(
    live: &Live,
    (uses, expires_at, note): (u64, Option<Timestamp>, &str),
    by: By<'_>,
    now: Timestamp,
) -> Result<Secret<String>, NotWritten> {
    let token = Secret::new(id::random_token());
    let mut body = Body::from_iter([("uses_left".to_owned(), Value::from(uses)), ("note".to_owned(), Value::from(note))]);
    if let Some(at) = expires_at {
        body.insert("expires_at".to_owned(), at.seconds().into());
    }
    objects::write(live, &REGISTRATION_TOKEN, &id::digest(token.expose()), body, Expect::Nothing, by, now).await?;
    Ok(token)
}

/// All that can still be used.
///
/// # Errors
/// Those of the directory.
pub async fn list(gateway: &Gateway, now: Timestamp) -> Result<Vec<InitialToken>> {
    let objects = objects::all(gateway, &REGISTRATION_TOKEN, MANY).await?;
    let shown = |object: &Object| InitialToken {
        id: object.id.chars().take(12).collect(),
        uses_left: uses_left(&object.body),
        expires_at: expires_at(&object.body),
        note: object.body.get("note").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    Ok(objects.iter().filter(|object| is_good(&object.body, now)).map(shown).collect())
}

/// Takes a token out of use; `id` is as it is listed. False when there was none.
///
/// # Errors
/// Those of the directory.
pub async fn revoke(live: &Live, id: &str, by: By<'_>, now: Timestamp) -> Result<bool> {
    let objects = objects::all(&live.gateway(), &REGISTRATION_TOKEN, MANY).await?;
    let Some(object) = objects.into_iter().find(|object| id.len() >= 12 && object.id.starts_with(id)) else { return Ok(false) };
    objects::delete(live, &REGISTRATION_TOKEN, &object.id, Expect::Any, by, now).await
}

/// Deletes those that are over.
pub(super) async fn forget(live: &Live, now: Timestamp) -> Result<()> {
    let by = By { actor: "registration", correlation_id: "" };
    for object in objects::all(&live.gateway(), &REGISTRATION_TOKEN, MANY).await? {
        if !is_good(&object.body, now) {
            objects::delete(live, &REGISTRATION_TOKEN, &object.id, Expect::Any, by, now).await?;
        }
    }
    Ok(())
}

/// The token that a request presents.
pub(super) async fn find(gateway: &Gateway, token: Option<&str>, now: Timestamp) -> Result<Object> {
    let token = token.filter(|token| !token.is_empty()).ok_or_else(refused)?;
    let object = objects::read(gateway, &REGISTRATION_TOKEN, &id::digest(token)).await?;
    object.filter(|object| is_good(&object.body, now)).ok_or_else(refused)
}

/// Makes the client and counts the use, both or neither.
pub(super) async fn spend(
    live: &Live,
    mut allowed: Object,
    (client_id, body): (&str, Body),
    by: By<'_>,
    now: Timestamp,
) -> Result<(Object, Vec<Fault>), NotWritten> {
    for _ in 0..ATTEMPTS {
        let left = uses_left(&allowed.body).saturating_sub(1);
        let mut counted = allowed.body.clone();
        counted.insert("uses_left".to_owned(), left.into());
        let text = Value::Object(counted).to_string();
        let (kind, id, expect) = (REGISTRATION_TOKEN.name, allowed.id.as_str(), Expect::Version(allowed.version));
        let used = ObjectWrite { kind, id, name: None, body: (left > 0).then_some(text.as_str()), expect };
        match objects::write_with(live, (&CLIENT, client_id, body.clone(), Expect::Nothing), &[used], by, now).await {
            Err(NotWritten::Error(error)) if error.kind == ErrorKind::Conflict => {}
            written => return written,
        }
        // Somebody else has used it meanwhile.
        allowed = objects::read(&live.gateway(), &REGISTRATION_TOKEN, id)
            .await?
            .filter(|object| is_good(&object.body, now))
            .ok_or_else(refused)?;
    }
    Err(Error::new(ErrorKind::Overloaded, "too many register at the same time").into())
}

fn is_good(body: &Body, now: Timestamp) -> bool {
    uses_left(body) > 0 && expires_at(body).is_none_or(|at| now < at)
}

fn uses_left(body: &Body) -> u64 {
    body.get("uses_left").and_then(Value::as_u64).unwrap_or(0)
}

fn expires_at(body: &Body) -> Option<Timestamp> {
    body.get("expires_at").and_then(Value::as_i64).map(Timestamp::from_seconds)
}

fn refused() -> Error {
    Error::new(ErrorKind::InvalidToken, "the initial access token is not valid")
}
