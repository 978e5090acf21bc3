//! Answers that come as a reference: asking the identity provider for the message, once.

use super::refuse::plain;
use super::{Gateway, once_op};
use crate::clock::Timestamp;
use crate::connection::{Connection, Refused, outbound, service_unreachable};
use crate::login::trace::Trace;
use crate::login::{LoginTransaction, PendingAuthn};
use std::time::Instant;

/// What the artifact resolution service has said; nothing of it is verified.
pub(super) struct Resolved {
    pub envelope: String,
    pub resolve_id: String,
    /// It took a while to ask.
    pub now: Timestamp,
}

impl Gateway {
    /// Asks for the message behind `artifact`. Whoever was first with an artifact asks: a second post of the same answer would
    /// be told that there is no message, and would end a login that goes well.
    pub(super) async fn resolve_artifact(
        &self,
        connection: &dyn Connection,
        artifact: &str,
        (transaction, pending): (&LoginTransaction, &PendingAuthn),
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Resolved, Refused> {
        let resolution = connection.resolve(artifact, pending, now, trace)?;
        let step = self.step_claim(transaction, &format!("artifact {}", resolution.digest));
        let used = once_op(&format!("artifact {}", resolution.digest), self.lifetimes.transaction + 600);
        self.commit_once(vec![step], vec![used], Vec::new(), &[]).await.map_err(plain)?;
        let asked_at = Instant::now();
        let answer = outbound::soap::ask(&resolution.url, resolution.envelope, resolution.reach).await.map_err(plain)?;
        let envelope = answer.map_err(service_unreachable)?;
        let took = i64::try_from(asked_at.elapsed().as_secs()).unwrap_or(0) + 1;
        Ok(Resolved { envelope, resolve_id: resolution.resolve_id, now: now.plus_seconds(took) })
    }
}
