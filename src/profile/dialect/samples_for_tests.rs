//! A person for tests, who owns what [`super::Person`] borrows. Profiles are normalized, as they are at a login.

use super::{DialectOptions, IdentityView, Person};
use crate::clock::Timestamp;
use crate::profile::{Profile, ProviderTokens, normalize};
use crate::secret::Secret;
use serde_json::{Map, Value};

/// 2025-11-13T02:13:20Z.
pub const NOW: Timestamp = Timestamp::from_seconds(1_763_000_000);

pub fn options() -> DialectOptions<'static> {
    DialectOptions::new(NOW)
}

pub struct Sample {
    pub user_id: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_login: Option<Timestamp>,
    pub last_ip: Option<String>,
    pub logins_count: i64,
    pub blocked: bool,
    /// The root attributes, where they are not the first identity's.
    pub root: Option<Profile>,
    pub user_metadata: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
    pub custom_fields: Map<String, Value>,
    pub identities: Vec<SampleIdentity>,
}

pub struct SampleIdentity {
    pub connection: String,
    pub provider: String,
    pub subject: String,
    pub is_social: bool,
    pub allows_login: bool,
    pub is_login_identity: bool,
    pub last_login: Timestamp,
    pub last_updated: Timestamp,
    pub expired_session: bool,
    pub profile: Profile,
    pub tokens: Option<ProviderTokens>,
}

impl Sample {
    /// Jane of the SAML connection `acme`, of whom that sent these members.
    pub fn of(members: Value) -> Self {
        let mut sample = Self {
            user_id: "samlp|acme|jane".into(),
            created_at: NOW,
            updated_at: NOW,
            last_login: None,
            last_ip: None,
            logins_count: 1,
            blocked: false,
            root: None,
            user_metadata: Map::new(),
            app_metadata: Map::new(),
            custom_fields: Map::new(),
            identities: Vec::new(),
        };
        let identity = sample.add("samlp", "acme", "jane", false);
        identity.profile = normalized(members, "samlp|acme|jane", "jane");
        sample.root = Some(identity.profile.clone());
        sample
    }

    pub fn add(&mut self, provider: &str, connection: &str, subject: &str, is_social: bool) -> &mut SampleIdentity {
        let known = self.root.as_ref().map(|root| Value::Object(root.as_map().clone()));
        self.identities.push(SampleIdentity {
            connection: connection.into(),
            provider: provider.into(),
            subject: subject.into(),
            is_social,
            allows_login: true,
            is_login_identity: self.identities.is_empty(),
            last_login: NOW,
            last_updated: NOW,
            expired_session: false,
            profile: known.map_or_else(Profile::new, |known| normalized(known, "unused", subject)),
            tokens: None,
        });
        self.identities.last_mut().expect("just added")
    }

    pub fn with_token(mut self, token: &str) -> Self {
        for identity in &mut self.identities {
            identity.tokens = Some(ProviderTokens::bare(Secret::new(token.to_owned())));
        }
        self
    }

    /// Shows the person to `view`.
    pub fn with<T>(&self, view: impl FnOnce(&Person<'_>) -> T) -> T {
        let identities: Vec<IdentityView<'_>> = self.identities.iter().map(SampleIdentity::view).collect();
        let first = self.identities.first().map(|identity| &identity.profile);
        let nothing = Profile::new();
        view(&Person {
            user_id: &self.user_id,
            created_at: self.created_at,
            updated_at: self.updated_at,
            last_login: self.last_login,
            last_ip: self.last_ip.as_deref(),
            logins_count: self.logins_count,
            blocked: self.blocked,
            profile: self.root.as_ref().or(first).unwrap_or(&nothing),
            user_metadata: &self.user_metadata,
            app_metadata: &self.app_metadata,
            custom_fields: &self.custom_fields,
            identities,
        })
    }
}

impl SampleIdentity {
    pub fn view(&self) -> IdentityView<'_> {
        IdentityView {
            connection: &self.connection,
            provider: &self.provider,
            subject: &self.subject,
            is_social: self.is_social,
            allows_login: self.allows_login,
            is_login_identity: self.is_login_identity,
            last_login: self.last_login,
            last_updated: self.last_updated,
            expired_session: self.expired_session,
            profile: &self.profile,
            provider_tokens: self.tokens.as_ref(),
        }
    }
}

pub fn normalized(members: Value, user_id: &str, subject: &str) -> Profile {
    let Value::Object(members) = members else { panic!("a profile is an object") };
    let mut profile = Profile::from_map(members);
    normalize(&mut profile, user_id, subject).expect("within the limits");
    profile
}
