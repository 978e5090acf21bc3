//! Passwords that operators set (S4-14). They are hashed here, sealed, and never given out again.

use super::{Admin, By};
use crate::broker::jobs::seal_credential;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use crate::store::CredentialKind;
use crate::user::DATABASE;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;
use tokio::sync::Semaphore;

/// Argon2id as OWASP recommends at least: 19 MiB of memory, two passes, one lane. On one core of today it takes some
/// 20 milliseconds.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Octets.
const SALT: usize = 16;
const HASH: usize = 32;

/// Octets of a password. More is no password, but work for us.
const LONGEST: usize = 1024;

/// Hashes at once in this process, so that passwords that are set take neither all processors nor much memory.
static HASHING: Semaphore = Semaphore::const_new(2);

impl Admin {
    /// Sets the password of a user at the connection of ours by which the user signs in.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where the user has no identity that a password is for;
    /// [`ErrorKind::InvalidUserData`] for one that is empty or longer than 1024 octets.
    pub async fn set_password(&self, user_id: &str, password: &Secret<String>, by: By<'_>, now: Timestamp) -> Result<()> {
        if !(1..=LONGEST).contains(&password.expose().len()) {
            return Err(Error::new(ErrorKind::InvalidUserData, format!("A password has 1 to {LONGEST} octets.")));
        }
        let user = self.existing(user_id).await?;
        let Some(stored) = user.identities.iter().find(|stored| stored.identity.provider == DATABASE) else {
            return Err(Error::new(ErrorKind::Conflict, "The user signs in elsewhere and has no password here."));
        };
        let hash = hash(password.clone()).await?;
        let plain = Secret::new(json!({ "argon2id": hash }).to_string());
        let (connection, subject) = (&stored.identity.connection, &stored.identity.user_id);
        let sealed = seal_credential(self.sealer(), connection, subject, CredentialKind::Password, &plain)?;
        if !self.directory.put_credential(connection, subject, CredentialKind::Password, &sealed, now).await? {
            return Err(super::no_such_user());
        }
        self.audit("user.password_set", json!({ "user_id": user_id, "connection": connection }), by, now).await;
        Ok(())
    }
}

/// The PHC string `$argon2id$v=19$m=..,t=..,p=..$salt$hash`, made on a thread where it keeps nobody waiting.
async fn hash(password: Secret<String>) -> Result<String> {
    let internal = |what| Error::new(ErrorKind::Internal, what);
    let _turn = HASHING.acquire().await.map_err(|error| internal("passwords cannot be hashed").because(error))?;
    let work = tokio::task::spawn_blocking(move || {
        let salt = id::random_bytes::<SALT>();
        hashed(password.expose().as_bytes(), &salt)
    });
    work.await.map_err(|error| internal("passwords cannot be hashed").because(error))?
}

fn hashed(password: &[u8], salt: &[u8]) -> Result<String> {
    let failed = |error: argon2::Error| Error::new(ErrorKind::Internal, "a password cannot be hashed").because(error.to_string());
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH)).map_err(failed)?;
    let mut hash = [0; HASH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(password, salt, &mut hash).map_err(failed)?;
    let [salt, hash] = [salt, &hash].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::jobs::open_credential;
    use crate::keys::Keyring;
    use crate::store::{NewUser, open_directory};
    use crate::user::Identity;
    use serde_json::Map;
    use std::sync::Arc;

    const BY: By<'static> = By { actor: "cli:root", correlation_id: "abcdefghjkmnpqrs" };

    #[test]
    fn a_hash_says_how_it_was_made_and_depends_on_password_and_salt() {
        let hash = hashed(b"password", b"somesaltsomesalt").expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$"), "{hash}");
        assert_eq!(hash, hashed(b"password", b"somesaltsomesalt").expect("hashed"));
        assert_ne!(hash, hashed(b"passwore", b"somesaltsomesalt").expect("hashed"));
        assert_ne!(hash, hashed(b"password", b"somesaltsomesalu").expect("hashed"));
    }

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
            let new = NewUser { user_metadata, app_metadata, custom_fields, ..NewUser::bare(identity) };
            assert!(directory.create_user(&new, now).await.expect("made"));
        }
        let set = async |user: &str, password: &str| admin.set_password(user, &Secret::new(password.to_owned()), BY, now).await;
        set("auth0|auth0", "correct horse").await.expect("set");
        let sealed = directory.credential("c", "auth0", CredentialKind::Password).await.expect("read").expect("kept");
        let plain = open_credential(admin.sealer(), "c", "auth0", CredentialKind::Password, &sealed).expect("opens");
        assert!(plain.expose().starts_with("{\"argon2id\":\"$argon2id$v=19$"));
        set("auth0|auth0", "another").await.expect("set again");
        assert_ne!(directory.credential("c", "auth0", CredentialKind::Password).await.expect("read").expect("kept"), sealed);
        let user = format!("{:?}", admin.existing("auth0|auth0").await.expect("a user"));
        let audit = format!("{:?}", directory.audit_events(10).await.expect("read"));
        for text in [&user, &audit] {
            assert!(!text.contains("horse") && !text.contains("argon2"), "{text}");
        }
        assert!(audit.contains("user.password_set"));
        for (user, password, kind) in [
            ("nobody", "x", ErrorKind::NotFound),
            ("samlp|c|samlp", "x", ErrorKind::Conflict),
            ("auth0|auth0", "", ErrorKind::InvalidUserData),
            ("auth0|auth0", &"x".repeat(1025), ErrorKind::InvalidUserData),
        ] {
            assert_eq!(set(user, password).await.expect_err("refused").kind, kind);
        }
    }
}
