//! People: a [`User`] is a set of linked identities, the first of them primary.
//!
//! An [`Identity`] is one person at one connection. Subjects are compared exactly, unless the connection folds them.
//! Whether a new identity belongs to somebody who is known already is decided in [`linking`]; what applications see of
//! a user is made in [`effective`]. Free data are described in [`metadata`], kept secret in [`sealing`], and edited with a
//! [`patch`].

pub mod effective;
pub mod linking;
pub mod metadata;
pub mod patch;
pub mod sealing;
pub mod sync;
pub mod view;

pub use effective::{Sources, effective_profile};
pub use sync::{ProfileSync, ROOT_ATTRIBUTES};
pub use view::PersonView;

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

    /// The same person at the same connection?
    pub fn is(&self, connection: &str, subject: &str) -> bool {
        self.connection == connection && self.user_id == subject
    }
}

/// A user as the directory keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub user_id: String,
    pub blocked: bool,
    pub created_at: Timestamp,
    /// When anything but a login changed it.
    pub updated_at: Timestamp,
    /// Never empty; the first is the primary, whose profile holds the root attributes.
    pub identities: Vec<StoredIdentity>,
    /// Groups that the operator gave; those that connections gave are in the profiles of the identities.
    pub groups: Vec<String>,
    pub user_metadata: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
    pub custom_fields: Map<String, Value>,
}

impl User {
    pub fn primary(&self) -> Option<&StoredIdentity> {
        self.identities.first()
    }

    pub fn identity(&self, connection: &str, subject: &str) -> Option<&StoredIdentity> {
        self.identities.iter().find(|stored| stored.identity.is(connection, subject))
    }

    /// When anything changed that an application might see.
    pub fn changed_at(&self) -> Timestamp {
        self.identities.iter().filter_map(|stored| stored.last_login).fold(self.updated_at, Timestamp::max)
    }
}

/// An identity with what its connection said at the last login.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredIdentity {
    pub identity: Identity,
    /// What the connection's mapping table made of the last login, without defaults and without what is not to be kept.
    /// Empty when it was deleted, or when nobody has logged in yet.
    pub profile: Map<String, Value>,
    /// The root attributes in force ([`ROOT_ATTRIBUTES`]), as the connection's sync mode and operators have left them.
    pub root: Map<String, Value>,
    /// May somebody sign in by it? If not, it is only linked.
    pub allows_login: bool,
    pub created_at: Timestamp,
    /// `None`: it was made beforehand, and nobody has come by it yet.
    pub last_login: Option<Timestamp>,
    pub logins_count: i64,
}
