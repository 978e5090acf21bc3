//! People: a [`User`] is a set of linked identities, the first of them primary.
//!
//! An [`Identity`] is one person at one connection. Subjects are compared exactly.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One person at one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the connection.
    pub connection: String,
    /// Strategy of the connection: `samlp`, `oidc`, a social preset, `ldap`, `database`.
    pub provider: String,
    /// The subject: unique and unchanging at this connection.
    pub user_id: String,
    #[serde(rename = "isSocial")]
    pub is_social: bool,
}

impl Identity {
    /// The `user_id` that a user made for this identity gets: `provider|connection|subject`.
    pub fn user_id_for_new_user(&self) -> String {
        format!("{}|{}|{}", self.provider, self.connection, self.user_id)
    }
}

/// A user as the directory keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub user_id: String,
    pub blocked: bool,
    pub created_at: Timestamp,
    /// Never empty; the first is the primary, whose profile holds the root attributes.
    pub identities: Vec<StoredIdentity>,
    pub user_metadata: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
}

/// An identity with what its connection said at the last login.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredIdentity {
    pub identity: Identity,
    /// Normalized profile as of the last login.
    pub profile: Map<String, Value>,
    pub last_login: Timestamp,
    pub logins_count: i64,
}
