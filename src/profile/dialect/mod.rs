//! Dialects: how other products would show a person. An application that was written against one of them asks for its
//! dialect, by request or by registration; nothing in the core speaks one.
//!
//! [`Person`] and [`IdentityView`] are what a dialect needs to know, whoever keeps it. Rendering is a pure function of
//! them: it never invents a value, and what is absent stays absent (S1-7).

pub mod auth0;
pub mod gigya;
pub mod logto;

pub use gigya::GigyaSigner;

use super::{Profile, ProviderTokens, is_nothing};
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Whose manner of speaking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// The user object of Auth0's Management API.
    #[default]
    Auth0,
    /// The account and Identity objects of SAP Customer Data Cloud, formerly Gigya.
    Gigya,
    /// The user of Logto, with its social identities and custom fields.
    Logto,
}

impl Dialect {
    pub const ALL: [Self; 3] = [Self::Auth0, Self::Gigya, Self::Logto];

    /// Reads the name that stands in a configuration or a request.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth0 => "auth0",
            Self::Gigya => "gigya",
            Self::Logto => "logto",
        }
    }
}

/// A user, as far as a dialect shows one.
#[derive(Clone, Debug)]
pub struct Person<'a> {
    pub user_id: &'a str,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_login: Option<Timestamp>,
    /// Only where it is known.
    pub last_ip: Option<&'a str>,
    pub logins_count: i64,
    pub blocked: bool,
    /// The root attributes: those of the primary identity, with what was edited here.
    pub profile: &'a Profile,
    pub user_metadata: &'a Map<String, Value>,
    pub app_metadata: &'a Map<String, Value>,
    pub custom_fields: &'a Map<String, Value>,
    /// The first is the primary (S4-8, S4-27).
    pub identities: Vec<IdentityView<'a>>,
}

/// One identity of a user.
#[derive(Clone, Debug)]
pub struct IdentityView<'a> {
    /// Name of the connection.
    pub connection: &'a str,
    /// Strategy of the connection: `samlp`, `oidc`, a social preset, `ldap`, `database`.
    pub provider: &'a str,
    /// Unique and unchanging at this connection; of any length (S2-3).
    pub subject: &'a str,
    pub is_social: bool,
    /// False for an identity that is linked only (S2-8).
    pub allows_login: bool,
    /// Whether the session in question began with it. Outside a session no identity is (S2-6).
    pub is_login_identity: bool,
    pub last_login: Timestamp,
    pub last_updated: Timestamp,
    /// Whether the session at the provider is known to have ended.
    pub expired_session: bool,
    /// What that connection said, normalized.
    pub profile: &'a Profile,
    /// What the provider gave to be asked with, where its connection keeps that.
    pub provider_tokens: Option<&'a ProviderTokens>,
}

/// Where an identity stands in its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first, whose attributes are the user's own.
    Primary,
    Linked,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct DialectOptions<'a> {
    /// Gigya's `includeAllIdentities`: every identity, and whether its session has expired.
    pub include_all_identities: bool,
    /// Shows the providers' tokens. Never unasked.
    pub map_identities: bool,
    /// Gigya's `signIDs`.
    pub sign_ids: Option<&'a GigyaSigner>,
    pub now: Timestamp,
}

impl DialectOptions<'_> {
    /// Nothing beyond what is always shown.
    pub const fn new(now: Timestamp) -> Self {
        Self { include_all_identities: false, map_identities: false, sign_ids: None, now }
    }
}

/// The user object in a dialect.
pub fn render(dialect: Dialect, person: &Person<'_>, options: &DialectOptions<'_>) -> Map<String, Value> {
    match dialect {
        Dialect::Auth0 => auth0::user(person, options),
        Dialect::Gigya => gigya::account(person, options),
        Dialect::Logto => logto::user(person),
    }
}

/// One identity in a dialect.
pub fn render_identity(dialect: Dialect, identity: &IdentityView<'_>, place: Place, options: &DialectOptions<'_>) -> Map<String, Value> {
    match dialect {
        Dialect::Auth0 => auth0::identity(identity, place, options),
        Dialect::Gigya => gigya::identity(identity, options),
        Dialect::Logto => logto::identity(identity),
    }
}

/// The strategy of accounts that the gateway keeps itself.
const DATABASE: &str = "database";

/// Adds a member, unless there is nothing in it.
fn show(object: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let value = value.into();
    if !is_nothing(&value) {
        object.insert(name.to_owned(), value);
    }
}

/// ISO 8601 in UTC, always with milliseconds: `2026-11-21T02:42:00.000Z`.
fn iso_8601(time: Timestamp) -> String {
    let text = time.to_string();
    match text.strip_suffix('Z') {
        Some(whole) if !whole.contains('.') => format!("{whole}.000Z"),
        _ => text,
    }
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod golden;

#[cfg(test)]
#[path = "property_tests.rs"]
mod properties;

#[cfg(test)]
#[path = "random_for_tests.rs"]
mod random;

#[cfg(test)]
#[path = "samples_for_tests.rs"]
mod samples;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::parse(dialect.name()), Some(dialect));
            assert_eq!(serde_json::to_value(dialect).expect("serializes"), dialect.name());
        }
        for name in ["", "Auth0", "okta"] {
            assert_eq!(Dialect::parse(name), None, "{name}");
        }
    }

    #[test]
    fn times_have_their_milliseconds() {
        assert_eq!(iso_8601(Timestamp::from_millis(1_763_000_000_000)), "2025-11-13T02:13:20.000Z");
        assert_eq!(iso_8601(Timestamp::from_millis(1_763_000_000_007)), "2025-11-13T02:13:20.007Z");
        for extreme in [i64::MIN, i64::MAX] {
            assert!(iso_8601(Timestamp::from_millis(extreme)).ends_with('Z'));
        }
    }
}
