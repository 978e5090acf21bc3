//! An authorization request that a client has left here before it sends anybody (RFC 9126).

use super::Spent;
use crate::clock::Timestamp;
use crate::id;
use serde::{Deserialize, Serialize};

/// Seconds for which a pushed request may be taken up.
pub const LIFETIME: u32 = 90;

/// The request, as it was checked when it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushedRequest {
    pub client_id: String,
    /// Without whatever proved the client.
    pub parameters: Vec<(String, String)>,
    /// They came in a request object with the client's signature.
    pub signed: bool,
    /// What the request object itself uses up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Spent>,
    pub expires_at: Timestamp,
}

impl PushedRequest {
    /// Store key of the request behind a `request_uri`, which is worth something to whoever sends people.
    pub fn key(request_uri: &str) -> String {
        format!("pushed:{}", id::digest(request_uri))
    }

    pub fn alive(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}
