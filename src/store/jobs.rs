//! Bulk imports and exports as the directory keeps them, and what one step of an import writes.
//!
//! A job is worked on by one owner at a time, who holds a lease. Every step names the owner and the part that it is
//! about, and is done whole or not at all; so whoever goes on after a kill neither loses nor repeats anything. Leases are
//! judged by the callers' clocks, which may differ by seconds.

use crate::clock::Timestamp;
use crate::user::Identity;
use serde_json::{Map, Value};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    UsersImport,
    UsersExport,
    /// A mail that proves an address. It is in the queue of mails when the job is made.
    VerificationEmail,
}

impl JobKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsersImport => "users_import",
            Self::UsersExport => "users_export",
            Self::VerificationEmail => "verification_email",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::UsersImport, Self::UsersExport, Self::VerificationEmail].into_iter().find(|kind| kind.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// Its file is still arriving; nobody works on it.
    Receiving,
    Pending,
    Processing,
    Completed,
    Failed,
}

impl JobStatus {
    pub const ALL: [Self; 5] = [Self::Receiving, Self::Pending, Self::Processing, Self::Completed, Self::Failed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// A job that is about to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// `job_` and 16 letters and digits.
    pub id: String,
    pub kind: JobKind,
    /// [`JobStatus::Receiving`], [`JobStatus::Pending`], or [`JobStatus::Completed`] for what was done at once.
    pub status: JobStatus,
    pub created_at: Timestamp,
    pub connection_id: Option<String>,
    /// Name of the connection; for an export `None` means all.
    pub connection: Option<String>,
    pub external_id: Option<String>,
    /// JSON of whoever works on it.
    pub settings: String,
    /// A file that stops arriving is given up then.
    pub lease_until: Timestamp,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub id: String,
    pub kind: JobKind,
    pub status: JobStatus,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub connection_id: Option<String>,
    pub connection: Option<String>,
    pub external_id: Option<String>,
    pub settings: String,
    /// Why it failed.
    pub status_details: Option<String>,
    /// Of an import those that have arrived, of an export those that are written.
    pub parts: i64,
    /// Of an import: the first that is not in the directory yet.
    pub next_part: i64,
    /// Of an export: the last user written.
    pub place: Option<String>,
    /// Users.
    pub total: i64,
    /// Users made, or of an export written.
    pub inserted: i64,
    pub updated: i64,
    pub failed: i64,
}

impl Job {
    /// Users that are dealt with.
    pub const fn done(&self) -> i64 {
        self.inserted + self.updated + self.failed
    }
}

/// Ages, in seconds, at which [`super::Directory::sweep_jobs`] does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobAges {
    /// Since it was created: a job that has not ended fails.
    pub time_out: i64,
    /// Since it ended: a job and all its data go.
    pub keep: i64,
}

/// What an import wants to know of the users it names.
#[derive(Clone, Copy, Debug)]
pub struct ImportNames<'a> {
    pub connection: &'a str,
    pub subjects: &'a [String],
    /// In lower case; none, where the connection may have several people with one address.
    pub emails: &'a [String],
    /// In lower case.
    pub usernames: &'a [String],
    /// Ids that new users would get.
    pub user_ids: &'a [String],
}

/// Who is there already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportKnown {
    /// By subject, e-mail address or user name; each once.
    pub identities: Vec<KnownIdentity>,
    /// Of the ids that were asked for, those that users have.
    pub user_ids: Vec<String>,
}

/// An identity, and of its user what an import may change.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownIdentity {
    pub subject: String,
    pub user_id: String,
    /// In lower case.
    pub email: Option<String>,
    /// In lower case.
    pub username: Option<String>,
    pub profile: Map<String, Value>,
    pub root: Map<String, Value>,
    pub logins_count: i64,
    /// Somebody has come by it.
    pub came: bool,
    /// When anything but a login changed the user.
    pub updated_at: Timestamp,
    pub user_metadata: Map<String, Value>,
    pub app_metadata: Map<String, Value>,
    /// The sealed password, as [`CredentialKind::Password`] keeps it.
    pub password: Option<String>,
}

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    Password,
    /// Further factors.
    Factors,
    /// What a provider gave to be asked with.
    ProviderTokens,
}

impl CredentialKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Factors => "factors",
            Self::ProviderTokens => "provider_tokens",
        }
    }
}

/// What a part of an import comes to: all of it is written, or nothing.
#[derive(Clone, Debug)]
pub struct ImportStep<'a> {
    pub job_id: &'a str,
    pub owner: &'a str,
    pub part: i64,
    pub connection: &'a str,
    /// No two people of the connection have one e-mail address.
    pub unique_emails: bool,
    pub inserts: &'a [ImportInsert],
    pub updates: &'a [ImportUpdate],
    /// Users that are as the file wants them already; they count as updated.
    pub unchanged: i64,
    pub failed: i64,
    /// JSON: `[{user, errors}, ..]`; `None` where nothing failed.
    pub errors: Option<&'a str>,
    pub lease_until: Timestamp,
    pub now: Timestamp,
}

/// A user to make.
#[derive(Clone, Debug)]
pub struct ImportInsert {
    pub identity: Identity,
    /// The identity may be used to sign in, not only be linked.
    pub allows_login: bool,
    pub blocked: bool,
    /// JSON objects.
    pub profile: String,
    pub root: String,
    pub user_metadata: String,
    pub app_metadata: String,
    /// In lower case.
    pub email: String,
    pub email_verified: bool,
    /// In lower case.
    pub username: Option<String>,
    /// Sealed.
    pub credentials: Vec<(CredentialKind, String)>,
}

/// A change of a user that is there, as it was seen.
#[derive(Clone, Debug)]
pub struct ImportUpdate {
    pub user_id: String,
    pub subject: String,
    pub seen_updated_at: Timestamp,
    pub seen_logins_count: i64,
    /// JSON objects; `None` stays as it is.
    pub profile: Option<String>,
    pub root: Option<String>,
    pub user_metadata: Option<String>,
    pub app_metadata: Option<String>,
    pub email_verified: Option<bool>,
    /// Sealed.
    pub password: Option<String>,
}

/// A piece of an export.
#[derive(Clone, Debug)]
pub struct ExportStep<'a> {
    pub job_id: &'a str,
    pub owner: &'a str,
    pub part: i64,
    pub body: &'a str,
    /// How many users it holds, and the last of them.
    pub users: i64,
    pub place: &'a str,
    pub lease_until: Timestamp,
}
