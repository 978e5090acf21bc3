//! Clients that registered and never came: they are forgotten after a while. Who comes for the first time is written down.

use super::{Body, Gateway, delete, initial, object};
use crate::broker::admin::By;
use crate::broker::admin::kinds::{self, CLIENT};
use crate::broker::admin::objects;
use crate::broker::live::Live;
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Result};
use crate::store::{Expect, ObjectWrite};
use serde_json::Value;

/// How often the first use is written again when the client is being changed.
const ATTEMPTS: usize = 3;

impl Gateway {
    /// Somebody has signed in to this client, or it got tokens: it is not forgotten any more.
    pub(in crate::broker) fn note_use(&self, client_id: &str, now: Timestamp) {
        let facts = self.applications.get(client_id).and_then(|application| application.oidc.as_ref());
        let new = facts.and_then(|facts| facts.self_registered).is_some_and(|registered| !registered.used);
        if new && self.registration.first_seen(client_id) {
            let (gateway, client_id) = (self.clone(), client_id.to_owned());
            tokio::spawn(async move {
                if let Err(error) = gateway.write_use(&client_id, now).await {
                    tracing::warn!(client_id, %error, "the first use of a client cannot be written down");
                    gateway.registration.not_seen(&client_id);
                }
            });
        }
    }

    async fn write_use(&self, client_id: &str, now: Timestamp) -> Result<()> {
        for attempt in 1..=ATTEMPTS {
            let Some(found) = objects::read(self, &CLIENT, client_id).await? else { return Ok(()) };
            let mut body = found.body;
            let mut own = object::own(&body);
            own.insert("used".to_owned(), Value::Bool(true));
            body.insert(kinds::REGISTRATION.to_owned(), own.into());
            let (text, expect) = (Value::Object(body).to_string(), Expect::Version(found.version));
            let write = ObjectWrite { kind: CLIENT.name, id: client_id, name: None, body: Some(&text), expect };
            match self.directory.write_objects(&[write], now).await {
                Err(error) if error.kind == ErrorKind::Conflict && attempt < ATTEMPTS => {}
                written => return written.map(drop),
            }
        }
        Ok(())
    }
}

/// Deletes clients that nobody has used for as long as the policy says, and initial access tokens that are over.
///
/// # Errors
/// Those of the directory.
pub async fn forget(live: &Live, now: Timestamp) -> Result<()> {
    let gateway = live.gateway();
    initial::forget(live, now).await?;
    let Some(limit) = gateway.registration.policy.unused_after else { return Ok(()) };
    let old = |at: Timestamp| now.seconds_since(at) > i64::try_from(limit).unwrap_or(i64::MAX);
    let unused = gateway.applications.values().filter(|application| {
        let registered = application.oidc.as_ref().and_then(|facts| facts.self_registered);
        registered.is_some_and(|registered| !registered.used && old(registered.at))
    });
    for application in unused {
        let Some(found) = objects::read(&gateway, &CLIENT, &application.client_id).await? else { continue };
        if is_used(&object::own(&found.body)) {
            continue;
        }
        let by = By { actor: "registration", correlation_id: "" };
        match delete(live, &found, by, now).await {
            Ok(()) => tracing::info!(client_id = found.id, "a client that registered and was never used is deleted"),
            // It is in use since, or another node was faster.
            Err(error) if error.kind == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_used(own: &Body) -> bool {
    own.get("used") == Some(&Value::Bool(true))
}
