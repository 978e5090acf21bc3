//! A user as the dialects want to see one.

use super::{Identity, User};
use crate::profile::dialect::{IdentityView, Person};
use crate::profile::{Profile, ProviderTokens, normalize};

/// What a [`Person`] borrows from.
#[derive(Clone, Debug)]
pub struct PersonView<'a> {
    user: &'a User,
    /// The effective profile.
    profile: Profile,
    /// What each connection said, normalized; in the order of the identities.
    identities: Vec<Profile>,
    login: Option<&'a Identity>,
    /// In the order of the identities; empty where nobody asked for them.
    tokens: Vec<Option<ProviderTokens>>,
}

impl<'a> PersonView<'a> {
    /// `profile` is the user's effective one; `login` the identity of the session in question, if there is one.
    pub fn new(user: &'a User, profile: Profile, login: Option<&'a Identity>) -> Self {
        let normalized = |stored: &super::StoredIdentity| {
            let mut profile = Profile::from_map(stored.profile.clone());
            // What was stored was within the limits; if they have changed since, it is shown as it is.
            let _ = normalize(&mut profile, &user.user_id, &stored.identity.user_id);
            profile
        };
        Self { user, profile, identities: user.identities.iter().map(normalized).collect(), login, tokens: Vec::new() }
    }

    /// With what providers gave to be asked with, in the order of the identities.
    #[must_use]
    pub fn with_tokens(self, tokens: Vec<Option<ProviderTokens>>) -> Self {
        Self { tokens, ..self }
    }

    pub fn person(&self) -> Person<'_> {
        let user = self.user;
        let tokens = self.tokens.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        let identities = user.identities.iter().zip(&self.identities).zip(tokens).map(|((stored, profile), tokens)| IdentityView {
            connection: &stored.identity.connection,
            provider: &stored.identity.provider,
            subject: &stored.identity.user_id,
            is_social: stored.identity.is_social,
            allows_login: stored.allows_login,
            is_login_identity: self.login.is_some_and(|login| login.is(&stored.identity.connection, &stored.identity.user_id)),
            last_login: stored.last_login.unwrap_or(stored.created_at),
            last_updated: stored.last_login.unwrap_or(stored.created_at),
            expired_session: false,
            profile,
            provider_tokens: tokens,
        });
        Person {
            user_id: &user.user_id,
            created_at: user.created_at,
            updated_at: user.changed_at(),
            last_login: user.identities.iter().filter_map(|stored| stored.last_login).max(),
            last_ip: None,
            logins_count: user.identities.iter().map(|stored| stored.logins_count).sum(),
            blocked: user.blocked,
            profile: &self.profile,
            user_metadata: &user.user_metadata,
            app_metadata: &user.app_metadata,
            custom_fields: &user.custom_fields,
            identities: identities.collect(),
        }
    }
}
