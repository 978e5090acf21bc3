//! A device that waits until somebody signs in elsewhere (RFC 8628): what it asked, what was decided, how often it asks.
//!
//! Three records, because three parties write: the device authorization endpoint writes the request once, the pages write
//! the decision once, the token endpoint counts the polls. So no write can undo another's. All three share the hash tag
//! of their grant; the code that a person types leads to it.

use super::CodeGrant;
use crate::clock::Timestamp;
use crate::id;
use crate::oidc::Scopes;
use serde::{Deserialize, Serialize};

/// Seconds between two polls, unless the device was told to slow down (RFC 8628 3.2).
pub const INTERVAL: u32 = 5;
/// Seconds by which the interval grows when a device polls too fast (RFC 8628 3.5).
const SLOWER: u32 = 5;
/// Milliseconds by which a poll may come early: networks are not even.
const EARLY: i64 = 500;
/// Seconds for which an expired request can still be told from an unknown one.
pub const REMAINS: u64 = 600;

/// What a device asked. Put once under [`DeviceGrant::key`], with a lifetime of [`REMAINS`] beyond `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceGrant {
    pub client_id: String,
    /// As the person is to type it.
    pub user_code: String,
    /// What the application may have of what was asked.
    pub scopes: Scopes,
    /// Identifier of the resource server for which the access token shall be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    pub correlation_id: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl DeviceGrant {
    pub fn key(grant_id: &str, device_code_digest: &str) -> String {
        format!("{{{grant_id}}}device:{device_code_digest}")
    }
}

/// Where a user code leads. Put under [`DevicePointer::key`], deleted when the person has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePointer {
    pub grant_id: String,
    pub device_code_digest: String,
}

impl DevicePointer {
    /// RFC 8628 6.1: case and punctuation of what people type do not matter.
    pub fn key(user_code: &str) -> String {
        let normal: String = user_code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
        format!("device-user:{}", id::digest(&normal))
    }
}

/// What the person decided. Put once under [`DeviceDecision::key`], by whoever has claimed [`DeviceDecision::claim_key`]
/// before: the first decision counts. The token endpoint takes it.
///
/// The grant of an approval has the grant id of the device code; its binding has the client alone, an empty redirect URI
/// and no challenge, and its `expires_at` is the request's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum DeviceDecision<P> {
    Denied,
    Approved(Box<CodeGrant<P>>),
}

impl DeviceDecision<()> {
    pub fn key(grant_id: &str) -> String {
        format!("{{{grant_id}}}device-decision")
    }

    pub fn claim_key(grant_id: &str) -> String {
        format!("{{{grant_id}}}device-decided")
    }
}

/// How often the device asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePolls {
    pub last_poll: Timestamp,
    /// Seconds that have to pass between two polls.
    pub interval: u32,
}

impl DevicePolls {
    pub fn key(grant_id: &str) -> String {
        format!("{{{grant_id}}}device-polls")
    }

    /// Counts a poll; `true`: it came too early, and the interval has grown.
    #[must_use]
    pub fn poll(before: Option<Self>, now: Timestamp) -> (Self, bool) {
        let Some(Self { last_poll, interval }) = before else { return (Self { last_poll: now, interval: INTERVAL }, false) };
        let due = last_poll.millis().saturating_add(i64::from(interval).saturating_mul(1000)).saturating_sub(EARLY);
        let early = now.millis() < due;
        let interval = if early { interval.saturating_add(SLOWER) } else { interval };
        (Self { last_poll: now, interval }, early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hasty_device_waits_five_seconds_longer_each_time() {
        let at = |seconds: i64| Timestamp::from_seconds(1_000 + seconds);
        let (polls, early) = DevicePolls::poll(None, at(0));
        assert!(!early);
        let (polls, early) = DevicePolls::poll(Some(polls), at(1));
        assert_eq!((polls.interval, early), (10, true));
        let (polls, early) = DevicePolls::poll(Some(polls), at(9));
        assert_eq!((polls.interval, early), (15, true));
        let (polls, early) = DevicePolls::poll(Some(polls), at(24));
        assert_eq!((polls.interval, early), (15, false));
    }

    #[test]
    fn a_user_code_is_found_however_it_is_typed() {
        assert_eq!(DevicePointer::key("WDJB-MJHT"), DevicePointer::key(" wdjb mjht"));
        assert_ne!(DevicePointer::key("WDJB-MJHT"), DevicePointer::key("WDJB-MJHX"));
        assert!(!DevicePointer::key("WDJB-MJHT").contains("WDJB"));
    }
}
