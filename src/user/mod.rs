//! People: a [`User`] is a set of linked identities, the first of them primary.
//!
//! An [`Identity`] is one person at one connection. Subjects are compared exactly, unless the connection folds them.
//! Whether a new identity belongs to somebody who is known already is decided in [`linking`]; what applications see of
//! a user is made in [`effective`]. Free data are described in [`metadata`], kept secret in [`sealing`], and edited with a
//! [`patch`]; [`search`] is the language in which users are searched for.

pub mod effective;
pub mod factors;
pub mod import;
pub mod linking;
pub mod metadata;
pub mod own;
pub mod password_hash;
pub mod patch;
pub mod sealing;
pub mod search;
pub mod sync;
pub mod totp;
pub mod view;

pub use effective::{Sources, effective_profile};
pub use sync::{ProfileSync, ROOT_ATTRIBUTES};
pub use view::PersonView;

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Strategy of connections that keep the passwords themselves.
pub const DATABASE: &str = "auth0";

/// Strategy of databases whose accounts are behind an endpoint of the operator's.
pub const CUSTOM: &str = "custom";

/// A text for comparing without regard to case. Folded are only letters that are the upper case of their lower case: the
/// KELVIN SIGN has the lower case `k` and is no `K`, and with it somebody could take the name of another.
pub fn folded(text: &str) -> String {
    let fold = |letter: char| {
        let mut lower = letter.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(small), None) if small.to_uppercase().eq([letter]) => small,
            _ => letter,
        }
    };
    text.chars().map(fold).collect()
}

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
    /// The `user_id` that a user made for this identity gets: `provider|connection|subject`, or for connections that keep
    /// the passwords themselves `auth0|subject`, which is what people who come from there bring along.
    pub fn user_id_for_new_user(&self) -> String {
        if self.provider == DATABASE {
            return format!("{DATABASE}|{}", self.user_id);
        }
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

/// As much of a [`User`] as says whether a session of theirs still counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserState {
    pub blocked: bool,
    pub created_at: Timestamp,
    /// As [`User::changed_at`].
    pub changed_at: Timestamp,
    /// The identity that was asked about, as [`StoredIdentity`] has it.
    pub allows_login: bool,
    pub last_login: Option<Timestamp>,
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

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn only_letters_that_differ_in_nothing_but_case_are_folded() {
        for (text, expected) in [("Jane@ACME.example", "jane@acme.example"), ("ÅSA ΩΔ Žižek", "åsa ωδ žižek"), ("ß", "ß")] {
            assert_eq!(folded(text), expected);
        }
        // Kelvin, Angstrom and Ohm signs, I with a dot, capital sharp s, a titlecase digraph, i without a dot, long s.
        for other in ["\u{212a}", "\u{212b}", "\u{2126}", "\u{130}", "\u{1e9e}", "\u{1c5}", "\u{131}", "\u{17f}"] {
            assert_eq!(folded(other), other);
        }
        for text in ["ΟΔΟΣ", "ÀÉ\u{212a}\u{130}X"] {
            assert_eq!(folded(&folded(text)), folded(text));
        }
    }
}
