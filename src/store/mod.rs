//! The two memories, as traits named by what must be atomic.
//!
//! [`SessionStore`] is shared and forgets: transactions, sessions, codes, tokens, replay marks, traces.
//! [`Directory`] lasts: users, identities, refresh-token families, audit. One conformance suite
//! ([`conformance`]) runs over every implementation; a store is finished when it passes.
//!
//! An error of a store is [`crate::error::ErrorKind::StoreUnavailable`] where its method does not name another, or
//! `Internal` when the store holds what this program did not write. No call takes longer than two seconds, except
//! writing sessions down and reading them back.

pub mod directory;
pub mod session;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod test_servers;

pub use directory::open_directory;
pub use session::open_sessions;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::user::{Identity, User};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::future::Future;
use std::pin::Pin;

/// A future of a store's answer.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// One write of a [`SessionStore::commit`].
#[derive(Clone, Debug)]
pub enum Op {
    /// Sets a value that disappears after `ttl` seconds.
    Put {
        key: String,
        value: Vec<u8>,
        ttl: u64,
    },
    /// Marks a key as used for `ttl` seconds; answers false when it is marked already.
    Claim {
        key: String,
        ttl: u64,
    },
    Delete {
        key: String,
    },
}

/// Answer of [`SessionStore::consume`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// The value; the tombstone stands in its place now.
    Fresh(Vec<u8>),
    /// Somebody was here before and left this tombstone.
    Used(Vec<u8>),
    Absent,
}

/// Shared, expiring memory. Values are opaque bytes that never begin with a NUL byte. A key belongs to one family of
/// verbs: put, get and take, or put and consume, or claim. Claims and tombstones are not values: reading finds nothing.
/// A `ttl` of 0 counts as 1.
pub trait SessionStore: Send + Sync {
    /// Reads several keys in one round trip; keys of one call share a `{hash tag}` or are one key.
    fn get_many<'a>(&'a self, keys: &'a [String]) -> Later<'a, Vec<Option<Vec<u8>>>>;
    /// Reads and deletes in one step: of two callers one gets the value.
    fn take<'a>(&'a self, key: &'a str) -> Later<'a, Option<Vec<u8>>>;
    /// Reads and leaves `tombstone` for `ttl` seconds in one step: of two callers one gets [`Consumed::Fresh`].
    fn consume<'a>(&'a self, key: &'a str, tombstone: Vec<u8>, ttl: u64) -> Later<'a, Consumed>;
    /// All writes in one round trip; one answer for each (true, or for a claim whether it was ours).
    fn commit(&self, ops: Vec<Op>) -> Later<'_, Vec<bool>>;
    /// Is it there?
    fn ping(&self) -> Later<'_, ()>;
    /// Everything still alive, for writing down at a graceful stop; empty where the store outlives the process.
    fn export(&self) -> Vec<SavedEntry>;
    /// Takes back what [`Self::export`] gave; entries that have expired by `now` are left out.
    fn import(&self, entries: Vec<SavedEntry>, now: Timestamp);
}

/// One entry of an embedded session store, written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedEntry {
    pub key: String,
    pub value: Vec<u8>,
    pub expires_at: Timestamp,
}

/// What a login tells the directory.
#[derive(Clone, Debug)]
pub struct IdentityLogin<'a> {
    pub identity: &'a Identity,
    /// The normalized profile from the connection; replaces the one stored for this identity.
    pub profile: &'a RawValue,
    pub now: Timestamp,
}

/// What the directory knows of the user who logs in.
#[derive(Clone, Debug, PartialEq)]
pub struct UserLogin {
    pub user_id: String,
    /// This login made the user.
    pub created: bool,
    pub blocked: bool,
    /// Logins by this identity, this one included.
    pub logins_count: i64,
    pub user_metadata: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
}

/// A family of refresh tokens: what one grant of offline access gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshFamily {
    /// Grant id, 32 hex digits.
    pub grant_id: String,
    pub client_id: String,
    pub user_id: String,
    /// The number of the refresh token in force; the first is 0.
    pub generation: i64,
    pub created_at: Timestamp,
    pub rotated_at: Timestamp,
    pub expires_at: Timestamp,
    /// What tokens of this family are made from; the broker's own JSON.
    pub data: String,
}

/// Answer of [`Directory::rotate_family`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The presented token was in force; its successor (generation + 1) is now.
    Rotated(RefreshFamily),
    /// The predecessor was presented again within the grace period: the answer was lost on the way. Same successor.
    Repeated(RefreshFamily),
    /// An older token was presented: the family is revoked now.
    Reused(RefreshFamily),
    /// No such family, or another client's, or expired, or revoked before.
    Refused,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    pub at: Timestamp,
    /// Stable name, such as `saml.second_opinion_differs`.
    pub kind: String,
    pub correlation_id: String,
    /// JSON, secrets masked.
    pub detail: String,
}

/// Lasting memory.
pub trait Directory: Send + Sync {
    /// Finds or makes the user of an identity and stores the profile; for a known identity in one round trip.
    /// Concurrent first logins of one identity make one user. A blocked user's login is answered but changes nothing,
    /// neither profile nor count. A subject that cannot be kept (a NUL character, more than 2000 bytes) is refused as
    /// [`crate::error::ErrorKind::IdpResponseInvalid`].
    fn record_login<'a>(&'a self, login: &'a IdentityLogin<'a>) -> Later<'a, UserLogin>;
    fn user<'a>(&'a self, user_id: &'a str) -> Later<'a, Option<User>>;
    /// Deletes a user with its identities and refresh-token families; false when there was none.
    fn delete_user<'a>(&'a self, user_id: &'a str) -> Later<'a, bool>;
    fn set_blocked<'a>(&'a self, user_id: &'a str, blocked: bool) -> Later<'a, bool>;
    /// Stores a new family; [`crate::error::ErrorKind::InvalidGrant`] when its user was deleted meanwhile.
    fn put_family<'a>(&'a self, family: &'a RefreshFamily) -> Later<'a, ()>;
    /// Atomic rotation: `generation` is that of the presented token; `grace` in seconds.
    fn rotate_family<'a>(
        &'a self,
        grant_id: &'a str,
        client_id: &'a str,
        generation: i64,
        now: Timestamp,
        grace: i64,
    ) -> Later<'a, Rotation>;
    /// Idempotent.
    fn revoke_family<'a>(&'a self, grant_id: &'a str) -> Later<'a, ()>;
    fn audit<'a>(&'a self, event: &'a AuditEvent) -> Later<'a, ()>;
    /// Newest first.
    fn audit_events(&self, limit: i64) -> Later<'_, Vec<AuditEvent>>;
    /// Writes an embedded session store down, replacing what was there.
    fn save_sessions<'a>(&'a self, entries: &'a [SavedEntry]) -> Later<'a, ()>;
    /// Reads it back and forgets it, so that a later crash cannot revive used codes.
    fn take_sessions(&self) -> Later<'_, Vec<SavedEntry>>;
    fn ping(&self) -> Later<'_, ()>;
    /// Finishes what is under way and closes the connections.
    fn close(&self) -> Later<'_, ()>;
}
