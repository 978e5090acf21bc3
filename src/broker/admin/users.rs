//! Users one by one: read, update, block, forget, delete.

use super::{Admin, By, FactorMethod, no_such_user};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::profile::Profile;
use crate::user::effective::effective_of_user;
use crate::user::metadata::{Part, Update};
use crate::user::own::OwnPatch;
use crate::user::patch::{Sealing, UserPatch};
use crate::user::sealing;
use crate::user::{User, folded};
use serde_json::{Map, Value, json};

/// A user, and what applications would see of it.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRecord {
    /// Its free data show sealed values as the reader asked.
    pub user: User,
    /// The effective profile, free data included; `None` while nobody has come, or after it was forgotten.
    pub profile: Option<Profile>,
    /// Where one user is looked at.
    pub factors: Vec<FactorMethod>,
}

/// An update of a user.
#[derive(Clone, Debug)]
pub struct UserEdit {
    pub patch: UserPatch,
    pub own: OwnPatch,
    pub how: Update,
    /// Only if it is still as it was then (`updated_at`).
    pub seen: Option<Timestamp>,
}

/// What a reader of users sees in place of sealed values.
#[derive(Clone, Copy, Debug)]
pub enum SealedValues<'a> {
    /// Nothing.
    Absent,
    /// That there is something.
    Marked,
    /// The values themselves; who reads them is noted in the audit log.
    Opened { by: By<'a>, now: Timestamp },
}

impl Admin {
    /// One user.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn user_record(&self, user_id: &str, sealed: SealedValues<'_>) -> Result<UserRecord> {
        let user = self.existing(user_id).await?;
        let factors = self.factors(&user).await.unwrap_or_else(|error| {
            // The user can still be looked at and repaired.
            tracing::warn!(user_id, %error, "the second factors of a user cannot be read");
            Vec::new()
        });
        Ok(UserRecord { factors, ..self.record(user, sealed).await? })
    }

    /// The users with this e-mail address, whatever its case; at most `limit`.
    pub async fn users_by_email(&self, email: &str, limit: usize, sealed: SealedValues<'_>) -> Result<Vec<UserRecord>> {
        let users = self.directory.users_by_email(&folded(email.trim()), limit).await?;
        let mut records = Vec::with_capacity(users.len());
        for user in users {
            records.push(self.record(user, sealed).await?);
        }
        Ok(records)
    }

    /// Updates a user; the answer is the user as it is then.
    ///
    /// # Errors
    /// Those of [`UserPatch::apply`]; [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where others keep changing it.
    pub async fn update_user(&self, user_id: &str, patch: &UserPatch, how: Update, by: By<'_>, now: Timestamp) -> Result<User> {
        let edit = UserEdit { patch: patch.clone(), own: OwnPatch::default(), how, seen: None };
        self.edit_user(user_id, &edit, by, now).await
    }

    /// Updates a user, at connections of the gateway's own address, username and telephone number too.
    ///
    /// # Errors
    /// Those of [`Self::update_user`] and [`OwnPatch::apply`]; [`ErrorKind::Conflict`] where it is not as it was seen;
    /// [`ErrorKind::AccountConflict`] where somebody else has the address or username.
    pub async fn edit_user(&self, user_id: &str, edit: &UserEdit, by: By<'_>, now: Timestamp) -> Result<User> {
        let UserEdit { patch, own, how, seen } = edit;
        for place in patch.secret_looking(&self.sealed) {
            let correlation_id = by.correlation_id;
            tracing::warn!(correlation_id, actor = by.actor, place, "a key looks like that of a secret and is not among the sealed ones");
        }
        let sealing = Sealing { paths: &self.sealed, sealer: self.sealer() };
        let change = |user: &User| {
            if seen.is_some_and(|seen| seen != user.updated_at) {
                return Err(Error::new(ErrorKind::Conflict, "The user is not as it was seen: it was changed meanwhile."));
            }
            let mut after = patch.apply(user, self.sync_of(user), *how, sealing)?;
            if let Some(primary) = after.identities.first_mut() {
                primary.profile = own.apply(primary)?;
            }
            Ok(after)
        };
        self.change("user.updated", user_id, by, now, change).await
    }

    /// Keeps a user from signing in, or ends that.
    pub async fn block(&self, user_id: &str, blocked: bool, by: By<'_>, now: Timestamp) -> Result<User> {
        let kind = if blocked { "user.blocked" } else { "user.unblocked" };
        self.change(kind, user_id, by, now, |user| Ok(User { blocked, ..user.clone() })).await
    }

    /// Deletes a user with all identities; the next login by one of them makes a new user.
    pub async fn delete_user(&self, user_id: &str, by: By<'_>, now: Timestamp) -> Result<()> {
        let user = self.existing(user_id).await?;
        if !self.directory.delete_user(user_id).await? {
            return Err(no_such_user());
        }
        self.audit("user.deleted", json!({ "user_id": user_id, "identities": names_of(&user) }), by, now).await;
        Ok(())
    }

    /// Forgets what the connections said of a user (S4-6); the next login makes it anew. Metadata, links and what the
    /// operator gave stay.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] for users of a database, of whom no login brings anything.
    pub async fn forget_profile(&self, user_id: &str, by: By<'_>, now: Timestamp) -> Result<()> {
        let user = self.existing(user_id).await?;
        if user.identities.iter().any(|stored| self.policies.contains_key(&stored.identity.connection)) {
            return Err(Error::new(ErrorKind::Conflict, "What is known of this user is kept here, and no login would bring it again."));
        }
        if !self.directory.forget_profile(user_id, now).await? {
            return Err(no_such_user());
        }
        self.audit("user.profile_forgotten", json!({ "user_id": user_id }), by, now).await;
        Ok(())
    }

    /// Lets an identity be used to sign in, or only be linked; the answer is its user.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where the connection lets nobody sign in.
    pub async fn set_allows_login(&self, connection: &str, subject: &str, allows: bool, by: By<'_>, now: Timestamp) -> Result<User> {
        let subject = self.subject(connection, subject);
        let no_such_identity = || Error::new(ErrorKind::NotFound, "There is no such identity.");
        let user = self.directory.user_of(connection, &subject).await?.ok_or_else(no_such_identity)?;
        if allows && self.connections.get(connection).is_some_and(|settings| settings.link_only) {
            return Err(Error::new(ErrorKind::Conflict, format!("Identities of {connection} are only linked (link_only).")));
        }
        if user.identity(connection, &subject).is_some_and(|stored| stored.allows_login == allows) {
            return Ok(user);
        }
        if !self.directory.set_allows_login(connection, &subject, allows, now).await? {
            return Err(no_such_identity());
        }
        let detail = json!({
            "user_id": user.user_id, "connection": connection, "subject": subject,
            "before": { "allows_login": !allows }, "after": { "allows_login": allows },
        });
        self.audit("identity.allows_login_changed", detail, by, now).await;
        self.existing(&user.user_id).await
    }

    /// What a user of the directory looks like to a reader.
    pub async fn record(&self, mut user: User, sealed: SealedValues<'_>) -> Result<UserRecord> {
        let mut parts = Map::new();
        for part in Part::ALL {
            parts.insert(part.name().to_owned(), Value::Object(std::mem::take(part.of_mut(&mut user))));
        }
        match sealed {
            SealedValues::Absent => sealing::strip(&mut parts),
            SealedValues::Marked => sealing::mark(&mut parts),
            SealedValues::Opened { by, now } => self.open(&mut parts, &user.user_id, by, now).await,
        }
        for part in Part::ALL {
            if let Some(Value::Object(object)) = parts.shift_remove(part.name()) {
                *part.of_mut(&mut user) = object;
            }
        }
        let profile = effective_of_user(&user, self.sync_of(&user)).unwrap_or_else(|error| {
            // The user can still be looked at and repaired.
            tracing::warn!(%error, "a stored profile breaks a limit");
            None
        });
        Ok(UserRecord { user, profile, factors: Vec::new() })
    }

    async fn open(&self, parts: &mut Map<String, Value>, user_id: &str, by: By<'_>, now: Timestamp) {
        if !parts.values().any(sealing::has_sealed) {
            return;
        }
        let lost = sealing::open(parts, self.sealer(), user_id);
        for place in &lost {
            tracing::error!(
                correlation_id = by.correlation_id,
                place,
                "a sealed value does not open for this user: it was moved, or the seal key is another"
            );
        }
        self.audit("user.sealed_values_read", json!({ "user_id": user_id, "not_opened": lost }), by, now).await;
    }
}

/// Connection and subject of each identity.
pub(super) fn names_of(user: &User) -> Value {
    let name =
        |stored: &crate::user::StoredIdentity| json!({ "connection": stored.identity.connection, "subject": stored.identity.user_id });
    user.identities.iter().map(name).collect()
}
