//! What operators do with users: look them up, update, block, link, unlink and delete them, and have some from the start.
//!
//! [`Admin`] needs the directory, the settings of connections and the seal key, and nothing of a running gateway, so
//! that the command line uses the same code as the management API. Each change leaves a line in the audit log: who,
//! what was, what is; values that are sealed or look secret are masked there.

mod create;
mod factors;
pub mod kept;
pub mod kinds;
mod links;
pub mod objects;
pub(in crate::broker) mod passwords;
mod provider_tokens;
mod seed;
pub mod signing;
#[cfg(test)]
mod tests;
mod users;

pub use create::Place;
pub use factors::{FactorMethod, WhichFactors};
pub use links::OtherMetadata;
pub use passwords::told;
pub use users::{SealedValues, UserEdit, UserRecord};

use crate::clock::Timestamp;
use crate::connection::config::{ConnectionConfig, ConnectionKind, ProfileSettings};
use crate::connection::database::PasswordPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Keyring, Sealer};
use crate::store::{AuditEvent, Directory, OwnProfile, UserChange};
use crate::user::metadata::{self, Part};
use crate::user::sealing::{self, SealedPath};
use crate::user::{ProfileSync, User};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The administrative use cases.
#[derive(Clone)]
pub struct Admin {
    directory: Arc<dyn Directory>,
    keyring: Arc<Keyring>,
    /// By name.
    connections: HashMap<String, ProfileSettings>,
    /// Of databases, by name.
    policies: HashMap<String, PasswordPolicy>,
    sealed: Arc<[SealedPath]>,
}

/// Who asks, and in which request.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// `cli:jane`, the client id of a program, or the person's user id.
    pub actor: &'a str,
    pub correlation_id: &'a str,
}

impl Admin {
    pub fn new<'c>(
        directory: Arc<dyn Directory>,
        keyring: Arc<Keyring>,
        connections: impl IntoIterator<Item = &'c ConnectionConfig>,
        sealed: Vec<SealedPath>,
    ) -> Self {
        let nothing = Self { directory, keyring, connections: HashMap::new(), policies: HashMap::new(), sealed: sealed.into() };
        nothing.with_connections(connections)
    }

    /// The same for other connections.
    #[must_use]
    pub fn with_connections<'c>(&self, connections: impl IntoIterator<Item = &'c ConnectionConfig>) -> Self {
        let (mut settings, mut policies) = (HashMap::new(), HashMap::new());
        for config in connections {
            settings.insert(config.name.clone(), config.profile.clone());
            if let ConnectionKind::Database(database) = &config.kind {
                policies.insert(config.name.clone(), database.policy.clone());
            }
        }
        Self { connections: settings, policies, ..self.clone() }
    }

    /// The places whose values are sealed.
    pub fn sealed_paths(&self) -> &[SealedPath] {
        &self.sealed
    }

    /// What seals and opens them.
    pub fn sealer(&self) -> &Sealer {
        self.keyring.sealer()
    }

    /// The sync mode of the user's primary connection.
    pub fn sync_of(&self, user: &User) -> ProfileSync {
        user.primary().map_or_else(ProfileSync::default, |primary| self.sync_of_connection(&primary.identity.connection))
    }

    /// The sync mode of a connection, enabled or not. One that is not configured any more refreshes nothing: what is kept
    /// of it stays, and operators may edit it.
    pub fn sync_of_connection(&self, name: &str) -> ProfileSync {
        self.connections.get(name).map_or(ProfileSync::OnFirstLogin, |settings| settings.sync)
    }

    /// A subject as the connection's identities have it.
    fn subject(&self, connection: &str, subject: &str) -> String {
        self.connections.get(connection).map(|settings| settings.subject_comparison).unwrap_or_default().kept(subject)
    }

    async fn existing(&self, user_id: &str) -> Result<User> {
        self.directory.user(user_id).await?.ok_or_else(no_such_user)
    }

    /// Changes a user as `edit` says, and again if somebody else was faster; the answer is the user as it is then.
    async fn change(
        &self,
        kind: &str,
        user_id: &str,
        by: By<'_>,
        now: Timestamp,
        edit: impl Fn(&User) -> Result<User> + Send,
    ) -> Result<User> {
        for _ in 0..ATTEMPTS {
            let before = self.existing(user_id).await?;
            let after = edit(&before)?;
            let difference = Difference::of(&before, &after);
            if difference.change == UserChange::default() {
                return Ok(before);
            }
            match self.directory.update_user(user_id, before.updated_at, &difference.change, now).await {
                Ok(Some(())) => {
                    let detail = json!({ "user_id": user_id, "before": difference.before, "after": difference.after });
                    self.audit(kind, detail, by, now).await;
                    return self.existing(user_id).await;
                }
                Ok(None) => return Err(no_such_user()),
                Err(error) if error.kind == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "The user is being changed by others; try again."))
    }

    /// Writes a line of the audit log. What it is about has happened, so a line that cannot be written is an alarm and
    /// not a failure of the request.
    async fn audit(&self, kind: &str, mut detail: Value, by: By<'_>, now: Timestamp) {
        if let Some(members) = detail.as_object_mut() {
            members.insert("actor".to_owned(), Value::from(by.actor));
        }
        let event = AuditEvent { at: now, kind: kind.to_owned(), correlation_id: by.correlation_id.to_owned(), detail: detail.to_string() };
        if let Err(error) = self.directory.audit(&event).await {
            let source = error.source.as_ref().map(tracing::field::display);
            tracing::error!(correlation_id = by.correlation_id, actor = by.actor, kind, source, "a change was made and cannot be audited");
        }
    }
}

/// What an edit changed: for the directory, and for the audit log.
struct Difference {
    change: UserChange,
    before: Map<String, Value>,
    after: Map<String, Value>,
}

impl Difference {
    fn of(before: &User, after: &User) -> Self {
        let mut found = Self { change: UserChange::default(), before: Map::new(), after: Map::new() };
        let root = |user: &User| user.primary().map(|primary| primary.root.clone()).unwrap_or_default();
        let (was, is) = (root(before), root(after));
        if was != is {
            found.note("root", changed_members(&was, &is), changed_members(&is, &was));
            found.change.root = Some(is);
        }
        if let (Some(was), Some(is)) =
            (before.primary(), after.primary().filter(|is| before.primary().is_some_and(|was| was.profile != is.profile)))
        {
            found.note("profile", changed_members(&was.profile, &is.profile), changed_members(&is.profile, &was.profile));
            let own = OwnProfile::of(is.profile.clone());
            found.change.own = Some((is.identity.connection.clone(), is.identity.user_id.clone(), own));
        }
        if before.blocked != after.blocked {
            found.note("blocked", before.blocked, after.blocked);
            found.change.blocked = Some(after.blocked);
        }
        if before.groups != after.groups {
            found.note("groups", before.groups.clone(), after.groups.clone());
            found.change.groups = Some(after.groups.clone());
        }
        for part in Part::ALL {
            let (was, is) = (part.of(before), part.of(after));
            if was != is {
                found.note(part.name(), changed_members(was, is), changed_members(is, was));
                *match part {
                    Part::UserMetadata => &mut found.change.user_metadata,
                    Part::AppMetadata => &mut found.change.app_metadata,
                    Part::CustomFields => &mut found.change.custom_fields,
                } = Some(is.clone());
            }
        }
        for side in [&mut found.before, &mut found.after] {
            *side = masked(std::mem::take(side));
        }
        found
    }

    fn note(&mut self, name: &str, before: impl Into<Value>, after: impl Into<Value>) {
        self.before.insert(name.to_owned(), before.into());
        self.after.insert(name.to_owned(), after.into());
    }
}

/// The members of one object that the other has not, or has otherwise.
fn changed_members(of: &Map<String, Value>, other: &Map<String, Value>) -> Map<String, Value> {
    of.iter().filter(|(name, value)| other.get(*name) != Some(value)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Without what is sealed and what looks secret.
fn masked(mut members: Map<String, Value>) -> Map<String, Value> {
    sealing::mark(&mut members);
    members.iter().map(|(name, value)| (name.clone(), metadata::masked(value))).collect()
}

fn no_such_user() -> Error {
    Error::new(ErrorKind::NotFound, "There is no such user.")
}

/// How often an update begins anew when others change the same user.
const ATTEMPTS: usize = 5;
