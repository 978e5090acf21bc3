//! The two memories, as traits named by what must be atomic.
//!
//! [`SessionStore`] is shared and forgets: transactions, sessions, codes, tokens, replay marks, traces.
//! [`Directory`] lasts: users, identities, refresh-token families, audit. One conformance suite
//! ([`conformance`]) runs over every implementation; a store is finished when it passes.
//!
//! An error of a store is [`crate::error::ErrorKind::StoreUnavailable`] where its method does not name another, or
//! `Internal` when the store holds what this program did not write. No call takes longer than two seconds, except
//! writing sessions down and reading them back.

pub mod consents;
pub mod credentials;
pub mod directory;
pub mod jobs;
pub mod log;
pub mod objects;
pub mod queue;
pub mod search;
pub mod session;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod test_servers;

pub use consents::{ConsentFilter, ConsentRecord, FoundConsents};
pub use credentials::{open_credential, seal_credential};
pub use directory::open_directory;
pub use jobs::{
    CredentialKind, ExportStep, ImportInsert, ImportKnown, ImportNames, ImportStep, ImportUpdate, Job, JobAges, JobKind, JobStatus,
    KnownIdentity, NewJob,
};
pub use log::{LogDay, LogEvent, LogFilter, LogPage, LogType};
pub use objects::{Expect, ObjectChange, ObjectWrite, StoredObject};
pub use queue::QueuedMessage;
pub use search::{FoundUsers, UserQuery};
pub use session::open_sessions;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::user::{Identity, ProfileSync, User, UserState, folded};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::future::Future;
use std::pin::Pin;

/// A future of a store's answer.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// One write of a [`SessionStore::commit`].
#[derive(Clone, Debug)]
pub enum Op {
    /// Sets a value that disappears after `ttl` seconds.
    Put {
        key: String,
        value: Vec<u8>,
        ttl: u64,
    },
    /// Marks a key as used for `ttl` seconds; answers false when it is marked already.
    Claim {
        key: String,
        ttl: u64,
    },
    Delete {
        key: String,
    },
    /// Adds to the front of a list of at most `keep` values, of which the oldest goes, and lets the whole list live `ttl`
    /// seconds from now. Sent again over a connection that broke, the value may be there twice.
    Append {
        key: String,
        value: Vec<u8>,
        keep: usize,
        ttl: u64,
    },
}

/// Answer of [`SessionStore::consume`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// The value; the tombstone stands in its place now.
    Fresh(Vec<u8>),
    /// Somebody was here before and left this tombstone.
    Used(Vec<u8>),
    Absent,
}

/// Shared, expiring memory. Values are opaque bytes that never begin with a NUL byte. A key belongs to one family of
/// verbs: put, get and take, or put and consume, or claim, or append and list. Claims, tombstones and lists are not values:
/// reading finds nothing. A `ttl` of 0 counts as 1.
pub trait SessionStore: Send + Sync {
    /// Reads several keys in one round trip; keys of one call share a `{hash tag}` or are one key.
    fn get_many<'a>(&'a self, keys: &'a [String]) -> Later<'a, Vec<Option<Vec<u8>>>>;
    /// Reads and deletes in one step: of two callers one gets the value.
    fn take<'a>(&'a self, key: &'a str) -> Later<'a, Option<Vec<u8>>>;
    /// Reads and leaves `tombstone` for `ttl` seconds in one step: of two callers one gets [`Consumed::Fresh`].
    fn consume<'a>(&'a self, key: &'a str, tombstone: Vec<u8>, ttl: u64) -> Later<'a, Consumed>;
    /// The newest values of a list, at most `limit` of them.
    fn list<'a>(&'a self, key: &'a str, limit: usize) -> Later<'a, Vec<Vec<u8>>>;
    /// All writes in one round trip; one answer for each (true, or for a claim whether it was ours).
    fn commit(&self, ops: Vec<Op>) -> Later<'_, Vec<bool>>;
    /// Is it there?
    fn ping(&self) -> Later<'_, ()>;
    /// Everything still alive, for writing down at a graceful stop; empty where the store outlives the process.
    fn export(&self) -> Vec<SavedEntry>;
    /// Takes back what [`Self::export`] gave; entries that have expired by `now` are left out.
    fn import(&self, entries: Vec<SavedEntry>, now: Timestamp);
}

/// One entry of an embedded session store, written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedEntry {
    pub key: String,
    pub value: Vec<u8>,
    pub expires_at: Timestamp,
}

/// What a login tells the directory.
#[derive(Clone, Debug)]
pub struct IdentityLogin<'a> {
    pub identity: &'a Identity,
    /// What the connection's table made of it, without what is not to be kept; replaces the one stored for this identity.
    pub profile: &'a RawValue,
    /// JSON object: the root attributes of `profile`. Stored for a new identity, or one by which nobody has come yet,
    /// unless the mode is [`ProfileSync::NeverOnLogin`], and for any other if it is [`ProfileSync::OnEachLogin`].
    pub root: &'a str,
    pub sync: ProfileSync,
    /// JSON array of texts: the groups that the connection gives with this login; they replace those it gave before and
    /// touch no others.
    pub groups: &'a str,
    /// The e-mail address in lower case, for finding users by it. One of more than 320 bytes finds nobody.
    pub email: Option<&'a str>,
    pub email_verified: bool,
    /// A new identity may be used to sign in, not only be linked.
    pub allows_login: bool,
    /// The account is kept in the directory itself, which knows it better than this login does: nothing but the login is
    /// recorded, and somebody who is not there is not made.
    pub kept_here: bool,
    pub unknown: IfUnknown,
    pub now: Timestamp,
}

impl<'a> IdentityLogin<'a> {
    /// A login with nothing but a profile, as a connection with default settings and without groups and e-mail gives it.
    pub fn plain(identity: &'a Identity, profile: &'a RawValue, now: Timestamp) -> Self {
        Self {
            identity,
            profile,
            root: "{}",
            sync: ProfileSync::OnEachLogin,
            groups: "[]",
            email: None,
            email_verified: false,
            allows_login: true,
            kept_here: false,
            unknown: IfUnknown::MakeUser,
            now,
        }
    }
}

/// What to do with an identity that nobody has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfUnknown {
    /// Make a user.
    MakeUser,
    /// Make a user, unless somebody has the same e-mail address: then change nothing and say who.
    MakeUserUnlessEmailIsTaken,
}

/// What the directory made of a login.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    Login(Box<UserLogin>),
    /// The identity is not known; these users have its e-mail address (at most [`MATCHES`]). Nothing was changed.
    Taken(Vec<User>),
}

/// Users with one e-mail address that a login gets to see.
pub const MATCHES: usize = 10;

/// What the directory knows of the user who logs in.
#[derive(Clone, Debug, PartialEq)]
pub struct UserLogin {
    pub user_id: String,
    /// This login made the user.
    pub created: bool,
    pub blocked: bool,
    /// The identity may be used to sign in.
    pub allows_login: bool,
    /// Logins by this identity, this one included.
    pub logins_count: i64,
    /// The root attributes that are kept for this identity, as of now.
    pub root: Map<String, Value>,
    /// The primary identity, where the login was by another.
    pub primary: Option<PrimaryIdentity>,
    /// Groups that the connections of the user's other identities gave, the primary identity's first.
    pub linked_groups: Vec<String>,
    /// Groups that the operator gave.
    pub assigned_groups: Vec<String>,
    pub user_metadata: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
    pub custom_fields: Map<String, Value>,
}

/// What a login by a linked identity needs of the primary one.
#[derive(Clone, Debug, PartialEq)]
pub struct PrimaryIdentity {
    pub connection: String,
    pub subject: String,
    pub profile: Map<String, Value>,
    pub root: Map<String, Value>,
}

/// A change of what is not a connection's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserChange {
    /// The root attributes of the primary identity.
    pub root: Option<Map<String, Value>>,
    pub blocked: Option<bool>,
    pub groups: Option<Vec<String>>,
    pub user_metadata: Option<Map<String, Value>>,
    pub app_metadata: Option<Map<String, Value>>,
    pub custom_fields: Option<Map<String, Value>>,
    /// What an identity of the user has at a connection that is the gateway's own: connection, subject, and that.
    pub own: Option<(String, String, OwnProfile)>,
}

/// What somebody has at a connection that is the gateway's own: no login ever brings it, so that it is written here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnProfile {
    /// Without the root attributes that may be edited.
    pub profile: Map<String, Value>,
    /// In lower case. No two identities of the connection have it.
    pub email: Option<String>,
    pub email_verified: bool,
    /// In lower case. No two identities of the connection have it.
    pub username: Option<String>,
}

impl OwnProfile {
    /// What is written of this profile.
    pub fn of(profile: Map<String, Value>) -> Self {
        let text = |name: &str| profile.get(name).and_then(Value::as_str).map(folded);
        let (email, username) = (text("email"), text("username"));
        let email_verified = profile.get("email_verified") == Some(&Value::Bool(true));
        Self { profile, email, email_verified, username }
    }
}

/// A user that is made before the first login.
#[derive(Clone, Debug, PartialEq)]
pub struct NewUser {
    pub identity: Identity,
    pub allows_login: bool,
    pub blocked: bool,
    /// Root attributes.
    pub root: Map<String, Value>,
    pub groups: Vec<String>,
    pub user_metadata: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
    pub custom_fields: Map<String, Value>,
    /// Where the connection is the gateway's own.
    pub own: Option<OwnProfile>,
}

impl NewUser {
    /// With nothing but an identity.
    pub fn bare(identity: Identity) -> Self {
        Self {
            identity,
            allows_login: true,
            blocked: false,
            root: Map::new(),
            groups: Vec::new(),
            user_metadata: Map::new(),
            app_metadata: Map::new(),
            custom_fields: Map::new(),
            own: None,
        }
    }
}

/// Who linked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedBy {
    /// 32 hex digits.
    pub link_id: String,
    /// `operator`, `ask` or `verified_email`.
    pub how: String,
    /// Who: the operator's name or program, or the person's user id.
    pub actor: String,
    /// Of the login that linked; empty where none did.
    pub correlation_id: String,
}

/// One line of the link journal.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkEntry {
    pub by: LinkedBy,
    pub at: Timestamp,
    /// The user who has the identities now.
    pub user_id: String,
    /// The user that ended; `None` where the identity was new and had none.
    pub former_user_id: Option<String>,
    /// Connection and subject of the identities that moved; the first was the former user's primary one.
    pub identities: Vec<(String, String)>,
    /// What the former user had, to give it back: an object with `created_at` (milliseconds), `blocked`, `groups`,
    /// `user_metadata`, `app_metadata` and `custom_fields`. Emptied when it is given back.
    pub kept: Map<String, Value>,
    pub undone_at: Option<Timestamp>,
}

/// An identity that may not be joined and may not come alone; one for each identity, the newest reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictRecord {
    pub connection: String,
    pub subject: String,
    /// Name of the [`crate::user::linking::Conflict`].
    pub reason: String,
    pub email: Option<String>,
    /// The users it might have belonged to when it came last.
    pub candidates: Vec<String>,
    pub correlation_id: String,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// How often it came.
    pub times: i64,
}

/// A family of refresh tokens: what one grant of offline access gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshFamily {
    /// Grant id, 32 hex digits.
    pub grant_id: String,
    pub client_id: String,
    pub user_id: String,
    /// The number of the refresh token in force; the first is 0.
    pub generation: i64,
    pub created_at: Timestamp,
    /// When it was last used.
    pub rotated_at: Timestamp,
    pub expires_at: Timestamp,
    /// What tokens of this family are made from; the broker's own JSON.
    pub data: String,
}

/// Which families of refresh tokens; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyFilter {
    pub grant_id: Option<String>,
    pub user_id: Option<String>,
    pub client_id: Option<String>,
    pub offset: usize,
    pub limit: usize,
}

/// A page of families, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundFamilies {
    pub families: Vec<RefreshFamily>,
    pub total: usize,
}

/// Answer of [`Directory::rotate_family`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The presented token was in force; its successor (generation + 1) is now.
    Rotated(RefreshFamily),
    /// The predecessor was presented again within the grace period: the answer was lost on the way. Same successor.
    Repeated(RefreshFamily),
    /// An older token was presented: the family is revoked now.
    Reused(RefreshFamily),
    /// No such family, or another client's, or expired, or revoked before.
    Refused,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    pub at: Timestamp,
    /// Stable name, such as `saml.second_opinion_differs`.
    pub kind: String,
    pub correlation_id: String,
    /// JSON, secrets masked.
    pub detail: String,
}

/// Lasting memory.
pub trait Directory: Send + Sync {
    /// Finds or makes the user of an identity and stores the profile; for a known identity in one round trip.
    /// Concurrent first logins of one identity make one user. The login of a blocked user, or by an identity that does
    /// not allow logins, is answered but changes nothing, neither profile nor count. That of an account that is kept here
    /// and is gone is refused as [`crate::error::ErrorKind::AccessDenied`]. A subject that cannot be kept (a
    /// NUL character, more than 2000 bytes) is refused as [`crate::error::ErrorKind::IdpResponseInvalid`].
    ///
    /// With [`IfUnknown::MakeUserUnlessEmailIsTaken`], looking for the address and making the user are one step: of
    /// concurrent first logins with one address, all but the first see the one that the first has made.
    fn record_login<'a>(&'a self, login: &'a IdentityLogin<'a>) -> Later<'a, Recorded>;
    /// Gives a new identity to a user and records its login. [`crate::error::ErrorKind::Conflict`], and nothing is
    /// changed, when the identity belongs to somebody else by now, when the user is gone or blocked, or when `only_match`
    /// and the user is not (any more) the one user with the identity's e-mail address. An identity that the user has
    /// already is not linked twice: that is a login like any other.
    fn link_login<'a>(&'a self, login: &'a IdentityLogin<'a>, user_id: &'a str, only_match: bool, by: &'a LinkedBy)
    -> Later<'a, UserLogin>;
    fn user<'a>(&'a self, user_id: &'a str) -> Later<'a, Option<User>>;
    /// Little of a user, quickly: of one who has this identity, or nothing.
    fn user_state<'a>(&'a self, user_id: &'a str, connection: &'a str, subject: &'a str) -> Later<'a, Option<UserState>>;
    /// The user who has an identity.
    fn user_of<'a>(&'a self, connection: &'a str, subject: &'a str) -> Later<'a, Option<User>>;
    /// Users with an identity that carries this e-mail address (lower case), at most `limit`, by user id.
    fn users_by_email<'a>(&'a self, email: &'a str, limit: usize) -> Later<'a, Vec<User>>;
    /// Makes a user who has not come yet; false, and nothing is changed, when the identity, the user id, or of an
    /// [`OwnProfile`] the address or the username is taken.
    /// A subject that cannot be kept is refused as by [`Self::record_login`].
    fn create_user<'a>(&'a self, user: &'a NewUser, now: Timestamp) -> Later<'a, bool>;
    /// Replaces the named parts in one step, if nobody has changed the user since `seen` (its `updated_at`); `None`
    /// where there is no such user, [`crate::error::ErrorKind::Conflict`] where somebody was faster,
    /// [`crate::error::ErrorKind::AccountConflict`] where somebody else has the new address or username.
    fn update_user<'a>(&'a self, user_id: &'a str, seen: Timestamp, change: &'a UserChange, now: Timestamp) -> Later<'a, Option<()>>;
    /// Deletes a user with its identities, their conflicts, refresh-token families, consents and link journal; false when there
    /// was none.
    fn delete_user<'a>(&'a self, user_id: &'a str) -> Later<'a, bool>;
    /// Forgets what the connections said of a user, root attributes included, and that there was a login: the next one
    /// makes it anew. Metadata, links and the groups that the operator gave stay. Refresh-token families end, and tokens of
    /// providers are forgotten.
    fn forget_profile<'a>(&'a self, user_id: &'a str, now: Timestamp) -> Later<'a, bool>;
    fn set_blocked<'a>(&'a self, user_id: &'a str, blocked: bool) -> Later<'a, bool>;
    /// Lets an identity be used to sign in, or only be linked.
    fn set_allows_login<'a>(&'a self, connection: &'a str, subject: &'a str, allows: bool, now: Timestamp) -> Later<'a, bool>;
    /// Moves all identities of `other` behind those of `user_id`, writes the journal, and ends `other` with its
    /// refresh-token families, in one step. [`crate::error::ErrorKind::NotFound`] names the user that is not there;
    /// [`crate::error::ErrorKind::Conflict`] when they are one user or one of them is blocked.
    fn link_users<'a>(&'a self, user_id: &'a str, other: &'a str, by: &'a LinkedBy, now: Timestamp) -> Later<'a, LinkEntry>;
    /// Makes a linked identity a user of its own again, in one step, and answers this user: with what the journal kept of
    /// the user whose primary it was (the former id too, unless that is taken: then the id of a new user), which takes
    /// that line of the journal back, or else a bare one. It is blocked if the user it leaves is. Refresh-token families
    /// of the user it leaves end, and tokens of the identity's provider are forgotten. `None` where the user has no such identity; [`crate::error::ErrorKind::Conflict`] for
    /// the primary one.
    fn unlink<'a>(&'a self, user_id: &'a str, connection: &'a str, subject: &'a str, now: Timestamp) -> Later<'a, Option<User>>;
    /// Takes a line of the journal back: all identities that moved then, and have not left since, become one user again,
    /// as in [`Self::unlink`]. What was linked to that user before goes with it, lines of the journal included.
    /// `None` where there is no such line; [`crate::error::ErrorKind::Conflict`] where it was taken back before or
    /// nothing of it is left.
    fn undo_link<'a>(&'a self, link_id: &'a str, now: Timestamp) -> Later<'a, Option<User>>;
    /// The link journal of a user, newest first.
    fn links<'a>(&'a self, user_id: &'a str) -> Later<'a, Vec<LinkEntry>>;
    /// Notes a conflict, or counts it once more. `first_at` and `times` of the argument do not matter. A subject that
    /// cannot be kept is refused as by [`Self::record_login`].
    fn record_conflict<'a>(&'a self, conflict: &'a ConflictRecord) -> Later<'a, ()>;
    /// Newest first. The conflict of an identity goes when the identity is linked, made or deleted.
    fn conflicts(&self, limit: i64) -> Later<'_, Vec<ConflictRecord>>;
    /// Stores a new family; [`crate::error::ErrorKind::InvalidGrant`] when its user was deleted meanwhile.
    fn put_family<'a>(&'a self, family: &'a RefreshFamily) -> Later<'a, ()>;
    /// Atomic rotation: `generation` is that of the presented token; `grace` in seconds.
    fn rotate_family<'a>(
        &'a self,
        grant_id: &'a str,
        client_id: &'a str,
        generation: i64,
        now: Timestamp,
        grace: i64,
    ) -> Later<'a, Rotation>;
    /// Use without rotation: the family, if `generation` is that of its token in force, which stays so. Until when it may lie
    /// idle is counted from `now` on.
    fn use_family<'a>(&'a self, grant_id: &'a str, client_id: &'a str, generation: i64, now: Timestamp)
    -> Later<'a, Option<RefreshFamily>>;
    /// The families that may still be used, by grant id: those of a user, or all.
    fn families<'a>(&'a self, filter: &'a FamilyFilter, now: Timestamp) -> Later<'a, FoundFamilies>;
    /// Idempotent.
    fn revoke_family<'a>(&'a self, grant_id: &'a str) -> Later<'a, ()>;
    fn audit<'a>(&'a self, event: &'a AuditEvent) -> Later<'a, ()>;
    /// Newest first.
    fn audit_events(&self, limit: i64) -> Later<'_, Vec<AuditEvent>>;
    /// Changes objects, all or none; the answer is the version of the change. [`crate::error::ErrorKind::Conflict`], and
    /// nothing is changed, where one is not as expected ([`Expect`]) or a name is taken; the detail says which.
    fn write_objects<'a>(&'a self, writes: &'a [ObjectWrite<'a>], now: Timestamp) -> Later<'a, i64>;
    fn object<'a>(&'a self, kind: &'a str, id: &'a str) -> Later<'a, Option<StoredObject>>;
    /// Objects of a kind by id, those after `after`; at most `limit`.
    fn objects<'a>(&'a self, kind: &'a str, after: Option<&'a str>, limit: usize) -> Later<'a, Vec<StoredObject>>;
    /// What changed after a version, in the order of the changes, each object once; at most `limit`. A change that is
    /// seen here is never followed by one with a smaller version.
    fn objects_since(&self, version: i64, limit: usize) -> Later<'_, Vec<ObjectChange>>;
    /// Writes an embedded session store down, replacing what was there.
    fn save_sessions<'a>(&'a self, entries: &'a [SavedEntry]) -> Later<'a, ()>;
    /// Reads it back and forgets it, so that a later crash cannot revive used codes.
    fn take_sessions(&self) -> Later<'_, Vec<SavedEntry>>;
    fn ping(&self) -> Later<'_, ()>;
    /// Finishes what is under way and closes the connections.
    fn close(&self) -> Later<'_, ()>;

    /// Makes a job, unless `at_once` jobs are under way: then false, and nothing is changed. One that has ended already is in
    /// nobody's way.
    fn begin_job<'a>(&'a self, job: &'a NewJob, at_once: i64) -> Later<'a, bool>;
    /// Adds a part with so many users to a job whose file is arriving; false when it is not, or `part` is not the next.
    fn receive_part<'a>(&'a self, job_id: &'a str, part: i64, users: i64, body: &'a str, lease_until: Timestamp) -> Later<'a, bool>;
    /// The whole file has arrived: from here on the job is pending. False when it was given up meanwhile.
    fn job_received<'a>(&'a self, job_id: &'a str) -> Later<'a, bool>;
    /// Deletes a job with its data.
    fn delete_job<'a>(&'a self, job_id: &'a str) -> Later<'a, bool>;
    fn job<'a>(&'a self, job_id: &'a str) -> Later<'a, Option<Job>>;
    /// The oldest job that nobody works on; it is the owner's now.
    fn claim_job<'a>(&'a self, owner: &'a str, now: Timestamp, lease_until: Timestamp) -> Later<'a, Option<Job>>;
    /// Prolongs (or ends, by a time that is over) the lease; false when the job is not the owner's any more.
    fn keep_job<'a>(&'a self, job_id: &'a str, owner: &'a str, lease_until: Timestamp) -> Later<'a, bool>;
    /// How many users an export will write.
    fn set_job_total<'a>(&'a self, job_id: &'a str, owner: &'a str, total: i64) -> Later<'a, bool>;
    /// Ends a job; false when it is not the owner's any more.
    fn end_job<'a>(
        &'a self,
        job_id: &'a str,
        owner: &'a str,
        status: JobStatus,
        details: Option<&'a str>,
        now: Timestamp,
    ) -> Later<'a, bool>;
    /// The body of a part; `None` when there is none, or none any more.
    fn job_part<'a>(&'a self, job_id: &'a str, part: i64) -> Later<'a, Option<String>>;
    /// What failed in an import, by parts, those after `after`: part, and JSON `[{user, errors}, ..]`.
    fn job_errors<'a>(&'a self, job_id: &'a str, after: i64, limit: usize) -> Later<'a, Vec<(i64, String)>>;
    /// Fails jobs that take too long and files that stopped arriving, and deletes what has been over for long enough.
    fn sweep_jobs(&self, ages: JobAges, now: Timestamp) -> Later<'_, ()>;
    /// Who of those that an import names is there.
    fn import_known<'a>(&'a self, names: &'a ImportNames<'a>) -> Later<'a, ImportKnown>;
    /// Writes a part of an import with its results, and deletes the part, in one step; false, and nothing is changed, when
    /// the job is not the owner's any more or the part not its next one. [`crate::error::ErrorKind::Conflict`], and nothing
    /// is changed, when somebody made or changed one of the users meanwhile. Takes up to thirty seconds.
    fn import_part<'a>(&'a self, step: &'a ImportStep<'a>) -> Later<'a, bool>;
    /// Users by user id, those after `after`: all, or those with an identity at a connection.
    fn export_page<'a>(&'a self, connection: Option<&'a str>, after: Option<&'a str>, limit: usize) -> Later<'a, Vec<User>>;
    /// How many users there are: all, or those with an identity at a connection. Takes up to thirty seconds.
    fn count_users<'a>(&'a self, connection: Option<&'a str>) -> Later<'a, i64>;
    /// Writes a part of an export; false as in [`Self::import_part`].
    fn export_part<'a>(&'a self, step: &'a ExportStep<'a>) -> Later<'a, bool>;
    /// Sets a sealed secret of an identity; false when there is no such identity.
    fn put_credential<'a>(
        &'a self,
        connection: &'a str,
        subject: &'a str,
        kind: CredentialKind,
        sealed: &'a str,
        now: Timestamp,
    ) -> Later<'a, bool>;
    /// Changes a sealed secret from what was seen, in one step: the first of `change` is what was stored, `None` nothing, and the
    /// second what is to be, `None` nothing. False, and nothing is changed, when something else is there by now, or no such identity.
    fn change_credential<'a>(
        &'a self,
        connection: &'a str,
        subject: &'a str,
        kind: CredentialKind,
        change: (Option<&'a str>, Option<&'a str>),
        now: Timestamp,
    ) -> Later<'a, bool>;
    fn credential<'a>(&'a self, connection: &'a str, subject: &'a str, kind: CredentialKind) -> Later<'a, Option<String>>;
    /// Adds events to the log; one whose id is there already is left out.
    fn insert_log_events<'a>(&'a self, events: &'a [LogEvent]) -> Later<'a, ()>;
    fn log_event<'a>(&'a self, log_id: &'a str) -> Later<'a, Option<LogEvent>>;
    fn log_events<'a>(&'a self, filter: &'a LogFilter, page: &'a LogPage, limit: usize) -> Later<'a, Vec<LogEvent>>;
    /// Days with logins or sign-ups between two moments, the oldest first.
    fn log_days(&self, from: Timestamp, to: Timestamp) -> Later<'_, Vec<LogDay>>;
    /// Users who have signed in since, with or without a question.
    fn active_users(&self, since: Timestamp) -> Later<'_, i64>;
    /// Deletes events from before, at most `limit`; the answer is how many.
    fn forget_log_events(&self, before: Timestamp, limit: i64) -> Later<'_, i64>;
    /// Adds messages to those that wait; one whose id is there already is left out.
    fn queue_messages<'a>(&'a self, messages: &'a [QueuedMessage]) -> Later<'a, ()>;
    /// The message that is due for longest, counted as tried once more; until `lease_until` nobody else gets it.
    fn claim_message(&self, now: Timestamp, lease_until: Timestamp) -> Later<'_, Option<QueuedMessage>>;
    /// Lets a claimed message wait; false when it was claimed again meanwhile, or has ended.
    fn put_off_message<'a>(&'a self, id: &'a str, attempts: i64, due_at: Timestamp) -> Later<'a, bool>;
    /// Deletes a message; false when it is gone already.
    fn end_message<'a>(&'a self, id: &'a str) -> Later<'a, bool>;
    /// Keeps what somebody has agreed to, in the place of what they agreed to before for the same application and resource
    /// server: that one's id and `created_at` stay. [`crate::error::ErrorKind::NotFound`] when the user was deleted meanwhile.
    fn put_consent<'a>(&'a self, consent: &'a ConsentRecord) -> Later<'a, ()>;
    /// `audience` is empty where there is no resource server.
    fn consent<'a>(&'a self, user_id: &'a str, client_id: &'a str, audience: &'a str) -> Later<'a, Option<ConsentRecord>>;
    /// By user, application and resource server.
    fn consents<'a>(&'a self, filter: &'a ConsentFilter) -> Later<'a, FoundConsents>;
    /// False where there is none of this id.
    fn end_consent<'a>(&'a self, consent_id: &'a str) -> Later<'a, bool>;
    /// The users that a search finds. [`crate::error::ErrorKind::InvalidRequest`] where the page is too large or too far
    /// ([`search::MOST_FOUND`], [`search::MOST_REACHED`]). A search that takes too long is
    /// [`crate::error::ErrorKind::StoreUnavailable`] with a detail that says so, and nobody else is the slower for it.
    fn find_users<'a>(&'a self, query: &'a UserQuery) -> Later<'a, FoundUsers>;
    /// Users by user id, those after `after`, of one connection or of all; at most `limit`, and at most
    /// [`search::MOST_LISTED`]. The order is that of the octets.
    fn users_after<'a>(&'a self, after: Option<&'a str>, connection: Option<&'a str>, limit: usize) -> Later<'a, Vec<User>>;
}
