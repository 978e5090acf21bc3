//! Passwords that operators set (S4-14). They are hashed, sealed, and never given out again.

use super::{Admin, By};
use crate::broker::jobs::seal_credential;
use crate::clock::Timestamp;
use crate::connection::database::{PasswordPolicy, Weakness, hashed_password};
use crate::connection::password::PASSWORD;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::store::CredentialKind;
use crate::user::{DATABASE, StoredIdentity, User};
use serde_json::{Value, json};

impl Admin {
    /// Sets the password of a user at the connection of ours by which the user signs in.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where the user has no identity that a password is for;
    /// those of [`Self::check_password`].
    pub async fn set_password(&self, user_id: &str, password: &Secret<String>, by: By<'_>, now: Timestamp) -> Result<()> {
        let user = self.existing(user_id).await?;
        let Some(stored) = user.identities.iter().find(|stored| stored.identity.provider == DATABASE) else {
            return Err(Error::new(ErrorKind::Conflict, "The user signs in elsewhere and has no password here."));
        };
        let (connection, subject) = (&stored.identity.connection, &stored.identity.user_id);
        self.check_password(connection, password, about(stored))?;
        let plain = hashed_password(password.clone()).await.map_err(|_| {
            let told = "Too many passwords are being looked at; try again.";
            Error::new(ErrorKind::StoreUnavailable, told).again_in(1)
        })?;
        let sealed = seal_credential(self.sealer(), connection, subject, CredentialKind::Password, &plain)?;
        if !self.directory.put_credential(connection, subject, CredentialKind::Password, &sealed, now).await? {
            return Err(super::no_such_user());
        }
        self.note_password_set(user_id, connection, by, now).await;
        Ok(())
    }

    /// An operator has set a password, wherever it is kept.
    pub(in crate::broker) async fn note_password_set(&self, user_id: &str, connection: &str, by: By<'_>, now: Timestamp) {
        self.audit("user.password_set", json!({ "user_id": user_id, "connection": connection }), by, now).await;
    }

    /// Does a password keep the rules for this user?
    ///
    /// # Errors
    /// As [`Self::check_password`].
    pub fn check_password_of(&self, user: &User, password: &Secret<String>) -> Result<()> {
        let stored = user.identities.iter().find(|stored| stored.identity.provider == DATABASE);
        stored.map_or(Ok(()), |stored| self.check_password(&stored.identity.connection, password, about(stored)))
    }

    /// Does a password keep the rules of a connection? `about`: what is known of whose it will be.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUserData`] says which rule it breaks.
    pub fn check_password<'a>(&self, connection: &str, password: &Secret<String>, about: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let usual = PasswordPolicy::default();
        let policy = self.policies.get(connection).unwrap_or(&usual);
        policy.check(password.expose(), about).map_err(|weakness| Error::new(ErrorKind::InvalidUserData, told(weakness)))
    }
}

/// What of somebody their password must not be made of.
pub(in crate::broker) fn about(stored: &StoredIdentity) -> impl Iterator<Item = &str> {
    let of = |members| ["email", "username", "name", "given_name", "family_name", "nickname"].map(|name| text(members, name));
    of(&stored.profile).into_iter().chain(of(&stored.root)).flatten()
}

fn text<'m>(members: &'m serde_json::Map<String, Value>, name: &str) -> Option<&'m str> {
    members.get(name).and_then(Value::as_str)
}

/// For programs.
pub fn told(weakness: Weakness) -> String {
    let why = match weakness {
        Weakness::Short(least) => format!("it has fewer than {least} characters"),
        Weakness::Long(_) => format!("it has more than {PASSWORD} octets, or control characters"),
        Weakness::Uniform(kinds) => format!("it has fewer than {kinds} of lower case, upper case, digits and others"),
        Weakness::Common => "it is among those that are tried first".to_owned(),
        Weakness::Personal => "it is made of the person's name or address".to_owned(),
        Weakness::Unsuitable => "whoever keeps the account does not take it".to_owned(),
    };
    format!("PasswordStrengthError: the password is too weak: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::jobs::open_credential;
    use crate::keys::Keyring;
    use crate::store::{NewUser, OwnProfile, open_directory};
    use crate::user::Identity;
    use serde_json::Map;
    use std::sync::Arc;

    const BY: By<'static> = By { actor: "cli:root", correlation_id: "abcdefghjkmnpqrs" };

    #[tokio::test]
    async fn s4_14_a_password_is_set_and_never_shown() {
        let certs = tempfile::tempdir().expect("a directory");
        let keyring = Arc::new(Keyring::open_or_create(certs.path()).expect("keys"));
        let directory = open_directory("sqlite::memory:").await.expect("a directory");
        let admin = Admin::new(Arc::clone(&directory), keyring, [], Vec::new());
        let now = Timestamp::from_seconds(1_800_000_000);
        for provider in ["auth0", "samlp"] {
            let identity = Identity { connection: "c".into(), provider: provider.into(), user_id: provider.into(), is_social: false };
            let [user_metadata, app_metadata, custom_fields] = [Map::new(), Map::new(), Map::new()];
            let profile = Map::from_iter([("email".to_owned(), json!("jane.doe@acme.example"))]);
            let own = (provider == "auth0").then(|| OwnProfile { profile, ..OwnProfile::default() });
            let new = NewUser { user_metadata, app_metadata, custom_fields, own, ..NewUser::bare(identity) };
            assert!(directory.create_user(&new, now).await.expect("made"));
        }
        let set = async |user: &str, password: &str| admin.set_password(user, &Secret::new(password.to_owned()), BY, now).await;
        set("auth0|auth0", "correct horse").await.expect("set");
        let sealed = directory.credential("c", "auth0", CredentialKind::Password).await.expect("read").expect("kept");
        let plain = open_credential(admin.sealer(), "c", "auth0", CredentialKind::Password, &sealed).expect("opens");
        assert!(plain.expose().starts_with("{\"argon2id\":\"$argon2id$v=19$"));
        set("auth0|auth0", "another horse").await.expect("set again");
        assert_ne!(directory.credential("c", "auth0", CredentialKind::Password).await.expect("read").expect("kept"), sealed);
        let user = format!("{:?}", admin.existing("auth0|auth0").await.expect("a user"));
        let audit = format!("{:?}", directory.audit_events(10).await.expect("read"));
        for text in [&user, &audit] {
            assert!(!text.contains("horse") && !text.contains("argon2"), "{text}");
        }
        assert!(audit.contains("user.password_set"));
        for (user, password, kind) in [
            ("nobody", "correct horse", ErrorKind::NotFound),
            ("samlp|c|samlp", "correct horse", ErrorKind::Conflict),
            ("auth0|auth0", "", ErrorKind::InvalidUserData),
            ("auth0|auth0", "Password1!", ErrorKind::InvalidUserData),
            ("auth0|auth0", "jane.doe.1984", ErrorKind::InvalidUserData),
            ("auth0|auth0", &"x7#kTq9v".repeat(129), ErrorKind::InvalidUserData),
        ] {
            let error = set(user, password).await.expect_err("refused");
            assert_eq!(error.kind, kind);
            assert!(password.is_empty() || !error.detail.contains(password), "{}", error.detail);
        }
    }
}
