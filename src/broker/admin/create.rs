//! Users whom an operator makes, one by one.

use super::{Admin, By};
use crate::broker::Gateway;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::store::{NewUser, OwnProfile};
use crate::user::import;
use crate::user::metadata::Update;
use crate::user::own::OwnPatch;
use crate::user::patch::{Editor, Sealing, UserPatch};
use crate::user::{DATABASE, Identity, StoredIdentity, User};
use serde_json::{Map, Value, json};

/// The connection at which a user is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub connection: String,
    /// Its strategy; [`DATABASE`] for one that is the gateway's own.
    pub provider: String,
    pub is_social: bool,
}

impl Gateway {
    /// Where users of this connection are made; `None`: there is no such connection.
    pub fn place_of(&self, connection: &str) -> Option<Place> {
        let config = self.connections.config(connection)?;
        Some(Place { connection: connection.to_owned(), provider: config.strategy().to_owned(), is_social: config.is_social() })
    }
}

/// Octets of a subject. The directory and its indexes take a little more.
const LONGEST_SUBJECT: usize = 1500;

impl Admin {
    /// Makes a user. `subject` is who it is at the connection; without one, a connection that is the gateway's own gets a
    /// random one. `members` are those of an update, and at such a connection address, username and telephone number.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where there is such a user; those of [`UserPatch::parse`] and [`UserPatch::apply`].
    pub async fn create_user(
        &self,
        place: &Place,
        subject: Option<&str>,
        members: &Map<String, Value>,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<User> {
        let mut members = members.clone();
        let own = OwnPatch::take(&mut members)?;
        let patch = UserPatch::parse(&members, Editor::Operator)?;
        let identity = self.new_identity(place, subject)?;
        let is_own = identity.provider == DATABASE;
        if is_own && !own.names_somebody() {
            return Err(invalid("/email is missing: people at this connection have an e-mail address or a username"));
        }
        let allows_login = self.connections.get(&place.connection).is_none_or(|settings| !settings.link_only);
        let nobody = nobody(identity, allows_login, now);
        let sealing = Sealing { paths: &self.sealed, sealer: self.sealer() };
        let mut user = patch.apply(&nobody, self.sync_of_connection(&place.connection), Update::Replace, sealing)?;
        let Some(stored) = user.identities.pop() else { return Err(invalid("no identity")) };
        let profile = own.apply(&stored)?;
        let new = NewUser {
            allows_login,
            blocked: user.blocked,
            root: stored.root,
            groups: user.groups,
            user_metadata: user.user_metadata,
            app_metadata: user.app_metadata,
            custom_fields: user.custom_fields,
            own: is_own.then(|| OwnProfile::of(profile)),
            ..NewUser::bare(stored.identity)
        };
        if !self.directory.create_user(&new, now).await? {
            return Err(Error::new(ErrorKind::Conflict, "The user already exists."));
        }
        let user_id = new.identity.user_id_for_new_user();
        let detail = json!({ "user_id": user_id, "connection": new.identity.connection, "subject": new.identity.user_id });
        self.audit("user.created", detail, by, now).await;
        self.existing(&user_id).await
    }

    fn new_identity(&self, place: &Place, subject: Option<&str>) -> Result<Identity> {
        let is_own = place.provider == DATABASE;
        let subject = match subject {
            Some(given) => import::subject(given, &place.provider, &place.connection).to_owned(),
            None if is_own => id::random_id(),
            None => return Err(invalid("/user_id is missing: it says who the user is at this connection")),
        };
        if subject.trim().is_empty() || subject.len() > LONGEST_SUBJECT || subject.chars().any(char::is_control) {
            let problem = format!("/user_id has control characters, or not 1 to {LONGEST_SUBJECT} octets");
            return Err(invalid(&problem));
        }
        let user_id = self.subject(&place.connection, &subject);
        let Place { connection, provider, is_social } = place.clone();
        Ok(Identity { connection, provider, user_id, is_social })
    }
}

/// A user about whom nothing is known yet.
fn nobody(identity: Identity, allows_login: bool, now: Timestamp) -> User {
    let stored = StoredIdentity {
        identity,
        profile: Map::new(),
        root: Map::new(),
        allows_login,
        created_at: now,
        last_login: None,
        logins_count: 0,
    };
    User {
        user_id: stored.identity.user_id_for_new_user(),
        blocked: false,
        created_at: now,
        updated_at: now,
        identities: vec![stored],
        groups: Vec::new(),
        user_metadata: Map::new(),
        app_metadata: Map::new(),
        custom_fields: Map::new(),
    }
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidUserData, problem)
}
