//! The second factors of users, as operators see and remove them. Their secrets nobody sees.

use super::{Admin, By};
use crate::broker::jobs::{open_credential, seal_credential};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::store::CredentialKind;
use crate::user::factors::{Factor, FactorKind, Factors};
use crate::user::{Identity, User};
use serde_json::json;

/// A factor of one of a user's identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorMethod {
    /// As in `totp|5f0c1c0a3e0b4f0d`; another one as soon as the factor is.
    pub id: String,
    pub kind: FactorKind,
    /// Of the identity.
    pub connection: String,
    /// Of one that came from another product, when its user was made.
    pub created_at: Timestamp,
    /// Recovery codes that are left.
    pub left: Option<usize>,
}

/// Which factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichFactors<'a> {
    All,
    /// By [`FactorMethod::id`].
    One(&'a str),
}

/// How often a change is tried again where somebody else is faster.
const ATTEMPTS: usize = 5;

impl Admin {
    /// The factors of all identities.
    pub async fn factors(&self, user: &User) -> Result<Vec<FactorMethod>> {
        let mut methods = Vec::new();
        for stored in &user.identities {
            if let Some((_, factors)) = self.factors_of(&stored.identity).await? {
                methods.extend(factors.list().into_iter().map(|factor| method(&stored.identity, factor, user.created_at)));
            }
        }
        Ok(methods)
    }

    /// Removes factors of a user; the answer is what was removed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such user, or no such factor; [`ErrorKind::Conflict`] where others keep
    /// changing them.
    pub async fn remove_factors(&self, user_id: &str, which: WhichFactors<'_>, by: By<'_>, now: Timestamp) -> Result<Vec<FactorMethod>> {
        let user = self.existing(user_id).await?;
        let mut removed = Vec::new();
        for stored in &user.identities {
            // What the next identity brings hides no removal of this one.
            for method in self.remove_of(&stored.identity, which, user.created_at, now).await? {
                let detail = json!({ "user_id": user_id, "connection": method.connection, "type": method.kind.name(), "id": method.id });
                self.audit("user.factor_removed", detail, by, now).await;
                removed.push(method);
            }
        }
        if removed.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "The user has no such second factor."));
        }
        Ok(removed)
    }

    async fn remove_of(
        &self,
        identity: &Identity,
        which: WhichFactors<'_>,
        user_made: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<FactorMethod>> {
        let (connection, subject) = (&identity.connection, &identity.user_id);
        for _ in 0..ATTEMPTS {
            let Some((sealed, mut factors)) = self.factors_of(identity).await? else { return Ok(Vec::new()) };
            let before: Vec<FactorMethod> = factors.list().into_iter().map(|factor| method(identity, factor, user_made)).collect();
            for method in &before {
                if which == WhichFactors::All || which == WhichFactors::One(&method.id) {
                    factors.remove(method.kind);
                }
            }
            let left = factors.list();
            let removed: Vec<FactorMethod> =
                before.into_iter().filter(|method| !left.iter().any(|factor| factor.kind == method.kind)).collect();
            if removed.is_empty() {
                return Ok(removed);
            }
            let after = match factors.is_empty() {
                true => None,
                false => Some(seal_credential(self.sealer(), connection, subject, CredentialKind::Factors, &factors.record())?),
            };
            let change = (Some(sealed.as_str()), after.as_deref());
            if self.directory.change_credential(connection, subject, CredentialKind::Factors, change, now).await? {
                return Ok(removed);
            }
        }
        Err(Error::new(ErrorKind::Conflict, "Others keep changing the factors of this user."))
    }

    /// As stored, and what it says.
    async fn factors_of(&self, identity: &Identity) -> Result<Option<(String, Factors)>> {
        let Identity { connection, user_id: subject, .. } = identity;
        let Some(sealed) = self.directory.credential(connection, subject, CredentialKind::Factors).await? else { return Ok(None) };
        let record = open_credential(self.sealer(), connection, subject, CredentialKind::Factors, &sealed)?;
        let unreadable = || Error::new(ErrorKind::Internal, "the second factors of an identity are unreadable");
        Ok(Some((sealed, Factors::parse(&record).ok_or_else(unreadable)?)))
    }
}

fn method(identity: &Identity, factor: Factor, user_made: Timestamp) -> FactorMethod {
    let kind = factor.kind.name();
    let of = [identity.connection.as_str(), identity.user_id.as_str(), kind].map(|text| format!("{}|{text}", text.len())).concat();
    let digest = id::digest(&format!("{of}|{}", factor.created_at.map_or(0, Timestamp::millis)));
    FactorMethod {
        id: format!("{kind}|{}", digest.get(..16).unwrap_or_default()),
        kind: factor.kind,
        connection: identity.connection.clone(),
        created_at: factor.created_at.unwrap_or(user_made),
        left: factor.left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keyring;
    use crate::secret::Secret;
    use crate::store::{LinkedBy, NewUser, open_directory};
    use crate::user::factors::new_codes;
    use std::sync::Arc;

    const BY: By<'static> = By { actor: "cli:root", correlation_id: "abcdefghjkmnpqrs" };
    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[tokio::test]
    async fn factors_are_shown_without_their_secrets_and_removed_one_by_one_or_all() {
        let certs = tempfile::tempdir().expect("a directory");
        let keyring = Arc::new(Keyring::open_or_create(certs.path()).expect("keys"));
        let directory = open_directory("sqlite::memory:").await.expect("a directory");
        let admin = Admin::new(Arc::clone(&directory), keyring, [], Vec::new());
        let identity = Identity { connection: "c".into(), provider: "ad".into(), user_id: "jane".into(), is_social: false };
        assert!(directory.create_user(&NewUser::bare(identity.clone()), NOW).await.expect("made"));
        let user_id = identity.user_id_for_new_user();
        let user = admin.existing(&user_id).await.expect("a user");
        assert_eq!(admin.factors(&user).await.expect("read"), []);
        let keep = async |factors: &Factors| {
            let sealed = seal_credential(admin.sealer(), "c", "jane", CredentialKind::Factors, &factors.record()).expect("sealed");
            assert!(directory.put_credential("c", "jane", CredentialKind::Factors, &sealed, NOW).await.expect("kept"));
        };
        let mut factors = Factors::parse(&Secret::new(r#"[{"phone":{"value":"+1"}}]"#.into())).expect("a record");
        factors.enrol(&Secret::new("MZXW6".into()), &new_codes(), NOW);
        keep(&factors).await;
        let [app, codes] = admin.factors(&user).await.expect("read").try_into().expect("two");
        assert_eq!((app.kind, app.created_at, app.left, codes.left), (FactorKind::Totp, NOW, None, Some(10)));
        let remove = async |which| admin.remove_factors(&user_id, which, BY, NOW).await.map_err(|error| error.kind);
        assert_eq!(remove(WhichFactors::One("totp|0000000000000000")).await, Err(ErrorKind::NotFound));
        assert_eq!(remove(WhichFactors::One(&codes.id)).await, Ok(vec![codes.clone()]));
        assert_eq!(admin.factors(&user).await.expect("read"), std::slice::from_ref(&app));
        // A new one is another one: the old name does not remove it.
        factors.enrol(&Secret::new("MZXW6".into()), &new_codes(), NOW.plus_seconds(1));
        keep(&factors).await;
        assert_eq!(remove(WhichFactors::One(&app.id)).await, Err(ErrorKind::NotFound));
        assert_eq!(remove(WhichFactors::All).await.map(|removed| removed.len()), Ok(2));
        assert_eq!(remove(WhichFactors::All).await, Err(ErrorKind::NotFound));
        assert!(directory.credential("c", "jane", CredentialKind::Factors).await.expect("read").is_some(), "the telephone stays");
        let audit = format!("{:?}", directory.audit_events(10).await.expect("read"));
        assert!(audit.contains("user.factor_removed") && !audit.contains("MZXW6"), "{audit}");
    }

    #[tokio::test]
    async fn what_was_removed_is_told_although_the_next_identity_fails() {
        let certs = tempfile::tempdir().expect("a directory");
        let keyring = Arc::new(Keyring::open_or_create(certs.path()).expect("keys"));
        let directory = open_directory("sqlite::memory:").await.expect("a directory");
        let admin = Admin::new(Arc::clone(&directory), keyring, [], Vec::new());
        let [jane, other] = ["jane", "other"]
            .map(|name| NewUser::bare(Identity { connection: "c".into(), provider: "ad".into(), user_id: name.into(), is_social: false }));
        for new in [&jane, &other] {
            assert!(directory.create_user(new, NOW).await.expect("made"));
        }
        let [user_id, other_id] = [jane, other].map(|new| new.identity.user_id_for_new_user());
        let by = LinkedBy { link_id: "l".into(), how: "operator".into(), actor: "test".into(), correlation_id: String::new() };
        directory.link_users(&user_id, &other_id, &by, NOW).await.expect("linked");
        let mut factors = Factors::default();
        factors.enrol(&Secret::new("MZXW6".into()), &new_codes(), NOW);
        let sealed = seal_credential(admin.sealer(), "c", "jane", CredentialKind::Factors, &factors.record()).expect("sealed");
        for (subject, sealed) in [("jane", sealed.as_str()), ("other", "not sealed by us")] {
            assert!(directory.put_credential("c", subject, CredentialKind::Factors, sealed, NOW).await.expect("kept"));
        }
        admin.remove_factors(&user_id, WhichFactors::All, BY, NOW).await.expect_err("the second one is unreadable");
        assert_eq!(directory.credential("c", "jane", CredentialKind::Factors).await.expect("read"), None);
        let audit = format!("{:?}", directory.audit_events(10).await.expect("read"));
        assert_eq!(audit.matches("user.factor_removed").count(), 2, "{audit}");
    }
}
