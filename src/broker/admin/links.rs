//! Linking by an operator: two users become one, and apart again (S4-27, details C).

use super::users::names_of;
use super::{Admin, By, no_such_user};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::store::{ConflictRecord, LinkEntry, LinkedBy};
use crate::user::User;
use crate::user::metadata::{self, Part};
use crate::user::patch::told;
use crate::user::sealing::{self, SealedPath};
use serde_json::{Map, Value, json};

/// What becomes of the free data of the user that is linked to another. The journal keeps them either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherMetadata {
    /// They are not carried over.
    Drop,
    /// They are joined into those of the primary user, whose own win.
    Join,
}

impl Admin {
    /// Moves the identities of `other` behind those of `user_id`; `other` ends.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] names the user that is not there, [`ErrorKind::Conflict`] says why the two cannot be
    /// linked, [`ErrorKind::InvalidUserData`] if their metadata would be too large together. Then nothing is changed.
    pub async fn link(&self, user_id: &str, other: &str, theirs: OtherMetadata, by: By<'_>, now: Timestamp) -> Result<LinkEntry> {
        if user_id == other {
            return Err(Error::new(ErrorKind::Conflict, "This is one user already."));
        }
        let (primary, second) = (self.linkable(user_id).await?, self.linkable(other).await?);
        if theirs == OtherMetadata::Join {
            self.with_joined(&primary, other, &|part| part.of(&second).clone())?;
        }
        let linked_by =
            LinkedBy { link_id: id::random_id(), how: "operator".to_owned(), actor: by.actor.to_owned(), correlation_id: String::new() };
        let entry = self.directory.link_users(user_id, other, &linked_by, now).await?;
        let detail = json!({
            "user_id": user_id, "former_user_id": other, "link_id": linked_by.link_id, "identities": names_of(&second),
            "metadata_joined": theirs == OtherMetadata::Join,
        });
        self.audit("user.linked", detail, by, now).await;
        if theirs == OtherMetadata::Join {
            self.join_kept(&entry, other, by, now).await?;
        }
        Ok(entry)
    }

    /// Makes a linked identity a user of its own again, with what it had before.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] for the primary identity.
    pub async fn unlink(&self, user_id: &str, connection: &str, subject: &str, by: By<'_>, now: Timestamp) -> Result<User> {
        let identity = (connection.to_owned(), self.subject(connection, subject));
        let moved = |entry: &LinkEntry| entry.undone_at.is_none() && entry.identities.contains(&identity);
        let former = self.links(user_id).await?.into_iter().find(moved).and_then(|entry| entry.former_user_id);
        let Some(mut user) = self.directory.unlink(user_id, connection, &identity.1, now).await? else {
            return Err(Error::new(ErrorKind::NotFound, "The user has no such identity."));
        };
        let detail = json!({
            "user_id": user_id, "connection": connection, "subject": identity.1, "new_user_id": user.user_id, "former_user_id": former,
        });
        self.audit("user.unlinked", detail, by, now).await;
        if let Some(former) = former.filter(|former| *former != user.user_id) {
            user = self.seal_for_new_id(user, &former, by, now).await?;
        }
        Ok(user)
    }

    /// Takes a link back as a whole; the answer is the user that is there again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where it was taken back before or nothing of it is left.
    pub async fn undo_link(&self, link_id: &str, by: By<'_>, now: Timestamp) -> Result<User> {
        let Some(user) = self.directory.undo_link(link_id, now).await? else {
            return Err(Error::new(ErrorKind::NotFound, "There is no such link."));
        };
        let detail = json!({ "link_id": link_id, "user_id": user.user_id, "identities": names_of(&user) });
        self.audit("user.link_undone", detail, by, now).await;
        Ok(user)
    }

    /// The link journal of a user, newest first.
    pub async fn links(&self, user_id: &str) -> Result<Vec<LinkEntry>> {
        let entries = self.directory.links(user_id).await?;
        if entries.is_empty() && self.directory.user(user_id).await?.is_none() {
            return Err(no_such_user());
        }
        Ok(entries)
    }

    /// Identities that could not be joined to anybody, newest first.
    pub async fn conflicts(&self, limit: i64) -> Result<Vec<ConflictRecord>> {
        self.directory.conflicts(limit).await
    }

    async fn linkable(&self, user_id: &str) -> Result<User> {
        let Some(user) = self.directory.user(user_id).await? else {
            return Err(Error::new(ErrorKind::NotFound, format!("There is no user {user_id}.")));
        };
        if user.blocked {
            return Err(Error::new(ErrorKind::Conflict, format!("The user {user_id} is blocked; unblock it before you link it.")));
        }
        Ok(user)
    }

    /// Joins what the journal kept, which is what the other user had at the moment of the link. If that cannot be done
    /// (somebody changed one of them meanwhile), the link is taken back.
    pub(super) async fn join_kept(&self, entry: &LinkEntry, other: &str, by: By<'_>, now: Timestamp) -> Result<()> {
        let kept = |part: Part| entry.kept.get(part.name()).and_then(Value::as_object).cloned().unwrap_or_default();
        let joined = self.change("user.updated", &entry.user_id, by, now, |user| self.with_joined(user, other, &kept)).await;
        let Err(error) = joined else { return Ok(()) };
        let link_id = &entry.by.link_id;
        match self.undo_link(link_id, by, now).await {
            Ok(_) => Err(error),
            Err(also) => {
                let detail = format!("The users are linked ({link_id}), but their metadata are not joined: {}", error.detail);
                Err(Error::new(error.kind, detail).because(also))
            }
        }
    }

    /// The user with the other's free data joined into its own. What was sealed on either side is sealed for this user.
    fn with_joined(&self, user: &User, other: &str, theirs: &(dyn Fn(Part) -> Map<String, Value> + Sync)) -> Result<User> {
        let (mut user, mut faults) = (user.clone(), Vec::new());
        for part in Part::ALL {
            let (mut ours, mut theirs) = (part.of(&user).clone(), theirs(part));
            if theirs.is_empty() {
                continue;
            }
            let mut places: Vec<SealedPath> = self.sealed.to_vec();
            places.extend(sealing::open_part(part, &mut ours, self.sealer(), &user.user_id)?);
            places.extend(sealing::open_part(part, &mut theirs, self.sealer(), other)?);
            let mut object = metadata::joined(&ours, &theirs);
            sealing::seal(part, &mut object, &places, self.sealer(), &user.user_id)?;
            metadata::check_size(&object, &format!("/{}", part.name()), &mut faults);
            *part.of_mut(&mut user) = object;
        }
        if faults.is_empty() { Ok(user) } else { Err(Error::new(ErrorKind::InvalidUserData, told(&faults))) }
    }

    /// The former id was taken, so what the journal kept is sealed for another user than this one.
    pub(super) async fn seal_for_new_id(&self, user: User, former: &str, by: By<'_>, now: Timestamp) -> Result<User> {
        if !Part::ALL.iter().any(|part| part.of(&user).values().any(sealing::has_sealed)) {
            return Ok(user);
        }
        let edit = |user: &User| {
            let mut user = user.clone();
            let user_id = user.user_id.clone();
            for part in Part::ALL {
                sealing::reseal(part, part.of_mut(&mut user), self.sealer(), former, &user_id)?;
            }
            Ok(user)
        };
        self.change("user.updated", &user.user_id, by, now, edit).await
    }
}
