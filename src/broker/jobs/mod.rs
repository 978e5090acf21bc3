//! Bulk imports and exports of users, as jobs (details E), and mails to them, which are jobs that have ended as soon as they
//! are made: the queue of mails does the rest.
//!
//! [`Jobs::begin_import`] takes a file while it arrives ([`reader`]) and puts it, sealed, into the directory in parts;
//! [`Jobs::begin_export`] only notes what is wanted. [`Jobs::run`] works on them ([`worker`]): it claims a job by a lease
//! and does it part by part, each with its results in one step ([`import`], [`export`]), so that another node, or the next
//! start, goes on where a kill stopped it. Who may ask for what, and the addresses, are the business of HTTP.

mod csv;
mod export;
mod import;
mod link_token;
mod reader;
#[cfg(test)]
mod tests;
mod upload;
mod worker;

pub use crate::store::{open_credential, seal_credential};
pub use export::{ExportField, ExportFormat};

pub use link_token::{export_link_token, verify_export_link};
pub use reader::{ArrayReader, MAX_USER};
pub use upload::ImportUpload;

use super::admin::{By, Place};
use super::live::Live;
use crate::clock::Timestamp;
use crate::connection::config::SubjectComparison;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{Keyring, Sealer};
use crate::store::{AuditEvent, Directory, Job, JobKind, JobStatus, NewJob};
use crate::user::ProfileSync;
use crate::user::sealing::SealedPath;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// Octets of a file of users, unless the operator says otherwise.
pub const DEFAULT_IMPORT_FILE: u64 = 500 << 10;

/// Jobs under way at once, in the whole deployment.
pub const AT_ONCE: i64 = 2;

/// Reads the clock. Jobs go on for hours, so no single moment does.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What an import and an export need of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportTarget {
    /// Its strategy: `samlp`, `oidc`, or [`crate::user::DATABASE`].
    pub provider: String,
    pub is_social: bool,
    /// Its identities are only linked; nobody signs in by one alone.
    pub link_only: bool,
    pub sync: ProfileSync,
    pub subject_comparison: SubjectComparison,
}

/// The connections as they are now, by name.
pub trait Connections: Send + Sync {
    fn target(&self, name: &str) -> Option<ImportTarget>;
}

impl Connections for HashMap<String, ImportTarget> {
    fn target(&self, name: &str) -> Option<ImportTarget> {
        self.get(name).cloned()
    }
}

/// The newest snapshot.
impl Connections for Live {
    fn target(&self, name: &str) -> Option<ImportTarget> {
        let gateway = self.gateway();
        let Place { provider, is_social, .. } = gateway.place_of(name)?;
        let settings = gateway.connections.config(name).map(|config| config.profile.clone()).unwrap_or_default();
        let sync = gateway.admin.sync_of_connection(name);
        Some(ImportTarget { provider, is_social, link_only: settings.link_only, sync, subject_comparison: settings.subject_comparison })
    }
}

/// What is to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRequest {
    /// Name of the connection.
    pub connection: String,
    pub connection_id: String,
    /// Update who is there already, instead of refusing them.
    pub upsert: bool,
    pub external_id: Option<String>,
    /// The file may have so many octets.
    pub max_bytes: u64,
}

/// What is to be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    /// Name and id of the connection; without, everybody.
    pub connection: Option<(String, String)>,
    pub format: ExportFormat,
    /// Empty: the usual ones.
    pub fields: Vec<ExportField>,
    pub external_id: Option<String>,
}

/// The use cases, and what they need.
pub struct Jobs {
    directory: Arc<dyn Directory>,
    keyring: Arc<Keyring>,
    connections: Arc<dyn Connections>,
    sealed: Vec<SealedPath>,
    clock: Clock,
    /// Who holds the leases: this process.
    owner: String,
    /// There is something to do.
    woken: Notify,
}

/// What a job does, in the directory.
#[derive(Debug, Serialize, Deserialize)]
enum Settings {
    Import { upsert: bool },
    Export { format: ExportFormat, fields: Vec<ExportField> },
    Verification {},
}

impl Jobs {
    pub fn new(
        directory: Arc<dyn Directory>,
        keyring: Arc<Keyring>,
        connections: Arc<dyn Connections>,
        sealed: Vec<SealedPath>,
        clock: Clock,
    ) -> Self {
        Self { directory, keyring, connections, sealed, clock, owner: id::random_id(), woken: Notify::new() }
    }

    /// Begins an import; its file is pushed into the answer.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownConnection`]; [`ErrorKind::TooManyRequests`] while [`AT_ONCE`] jobs are under way.
    pub async fn begin_import(self: &Arc<Self>, request: ImportRequest, by: By<'_>) -> Result<ImportUpload> {
        let Some(target) = self.connections.target(&request.connection) else {
            return Err(Error::new(ErrorKind::UnknownConnection, "There is no such connection."));
        };
        let job = NewJob {
            id: job_id(),
            kind: JobKind::UsersImport,
            status: JobStatus::Receiving,
            created_at: (self.clock)(),
            connection_id: Some(request.connection_id),
            connection: Some(request.connection.clone()),
            external_id: request.external_id,
            settings: written(&Settings::Import { upsert: request.upsert })?,
            lease_until: upload::patience((self.clock)()),
        };
        self.begin(&job, json!({ "connection": request.connection, "upsert": request.upsert }), by).await?;
        Ok(ImportUpload::new(Arc::clone(self), job.id, request.connection, target, request.max_bytes))
    }

    /// Begins an export.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for fields that cannot be written; those of [`Self::begin_import`].
    pub async fn begin_export(&self, request: ExportRequest, by: By<'_>) -> Result<Job> {
        export::check(request.format, &request.fields)?;
        let (connection, connection_id) = request.connection.unzip();
        if connection.as_ref().is_some_and(|name| self.connections.target(name).is_none()) {
            return Err(Error::new(ErrorKind::UnknownConnection, "There is no such connection."));
        }
        let detail = json!({ "connection": connection, "format": request.format });
        let now = (self.clock)();
        let job = NewJob {
            id: job_id(),
            kind: JobKind::UsersExport,
            status: JobStatus::Pending,
            created_at: now,
            connection_id,
            connection,
            external_id: request.external_id,
            settings: written(&Settings::Export { format: request.format, fields: request.fields })?,
            lease_until: now,
        };
        self.begin(&job, detail, by).await?;
        self.woken.notify_one();
        self.job(&job.id).await
    }

    /// Notes that somebody of a connection was written to, to prove an address.
    ///
    /// # Errors
    /// Those of the directory.
    pub async fn note_verification(&self, user_id: &str, connection: String, by: By<'_>) -> Result<Job> {
        let now = (self.clock)();
        let detail = json!({ "user_id": user_id, "connection": connection });
        let job = NewJob {
            id: job_id(),
            kind: JobKind::VerificationEmail,
            status: JobStatus::Completed,
            created_at: now,
            connection_id: None,
            connection: Some(connection),
            external_id: None,
            settings: written(&Settings::Verification {})?,
            lease_until: now,
        };
        self.begin(&job, detail, by).await?;
        self.job(&job.id).await
    }

    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn job(&self, job_id: &str) -> Result<Job> {
        self.directory.job(job_id).await?.ok_or_else(|| Error::new(ErrorKind::NotFound, "There is no such job."))
    }

    /// What failed in an import, in the order of its file: pieces of the list `[{user, errors: [{code, message, path}]}]`,
    /// those of parts after `after` (-1 for all), and the part that the last of them belongs to; `None` at the end.
    pub async fn errors(&self, job_id: &str, after: i64) -> Result<Option<(i64, Vec<Box<RawValue>>)>> {
        let Some((part, text)) = self.directory.job_errors(job_id, after, 1).await?.pop() else { return Ok(None) };
        let entries = serde_json::from_str(&text);
        entries
            .map(|entries| Some((part, entries)))
            .map_err(|error| Error::new(ErrorKind::Internal, "a report is unreadable").because(error))
    }

    /// A piece of an export's file, gzip; those of one job one after the other are one valid gzip file. `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] unless the job is a completed export.
    pub async fn export_part(&self, job_id: &str, part: i64) -> Result<Option<Vec<u8>>> {
        let job = self.job(job_id).await?;
        if job.kind != JobKind::UsersExport || job.status != JobStatus::Completed {
            return Err(Error::new(ErrorKind::NotFound, "There is no such export, or it is not completed."));
        }
        let Some(body) = self.directory.job_part(job_id, part).await? else { return Ok(None) };
        STANDARD.decode(body).map(Some).map_err(|error| Error::new(ErrorKind::Internal, "an export is unreadable").because(error))
    }

    fn sealer(&self) -> &Sealer {
        self.keyring.sealer()
    }

    async fn begin(&self, job: &NewJob, mut detail: Value, by: By<'_>) -> Result<()> {
        if !self.directory.begin_job(job, AT_ONCE).await? {
            let problem = format!("{AT_ONCE} jobs are under way; try again when one of them has ended.");
            return Err(Error::new(ErrorKind::TooManyRequests, problem));
        }
        if let Some(members) = detail.as_object_mut() {
            members.insert("job".to_owned(), Value::from(job.id.as_str()));
            members.insert("actor".to_owned(), Value::from(by.actor));
        }
        let kind = format!("{}.begun", job.kind.name());
        let event = AuditEvent { at: job.created_at, kind, correlation_id: by.correlation_id.to_owned(), detail: detail.to_string() };
        if let Err(error) = self.directory.audit(&event).await {
            let source = error.source.as_ref().map(tracing::field::display);
            tracing::error!(correlation_id = by.correlation_id, actor = by.actor, source, "a job was begun and cannot be audited");
        }
        Ok(())
    }
}

/// A job as the management API shows it, but for `location`, which is an address.
pub fn job_json(job: &Job, now: Timestamp) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            shown.insert(name.to_owned(), value);
        }
    };
    put("id", json!(job.id));
    put("type", json!(job.kind.name()));
    // That its file is still arriving is no business of those who wait for it.
    put("status", json!(if job.status == JobStatus::Receiving { JobStatus::Pending } else { job.status }.name()));
    put("created_at", json!(job.created_at.to_string()));
    put("connection_id", json!(job.connection_id));
    put("connection", json!(job.connection));
    put("external_id", json!(job.external_id));
    if job.kind == JobKind::UsersExport
        && let Ok(Settings::Export { format, fields }) = serde_json::from_str(&job.settings)
    {
        put("format", json!(format));
        put("fields", if fields.is_empty() { Value::Null } else { json!(fields) });
    }
    put("percentage_done", json!(percentage(job)));
    put("time_left_seconds", json!(time_left(job, now)));
    put("status_details", json!(job.status_details));
    if job.kind == JobKind::UsersImport {
        put("summary", json!({ "failed": job.failed, "updated": job.updated, "inserted": job.inserted, "total": job.total }));
    }
    Value::Object(shown)
}

fn percentage(job: &Job) -> i64 {
    if job.status == JobStatus::Completed {
        return 100;
    }
    // 100 is for what is completed.
    job.done().saturating_mul(100).checked_div(job.total).unwrap_or(0).clamp(0, 99)
}

/// As if it went on as fast as until now.
fn time_left(job: &Job, now: Timestamp) -> Option<i64> {
    if job.status.has_ended() {
        return Some(0);
    }
    let elapsed = now.seconds_since(job.started_at?).max(0);
    elapsed.saturating_mul((job.total - job.done()).max(0)).checked_div(job.done())
}

fn job_id() -> String {
    format!("job_{}", id::hex(&id::random_bytes::<8>()))
}

fn written(settings: &Settings) -> Result<String> {
    serde_json::to_string(settings).map_err(|error| Error::new(ErrorKind::Internal, "a job cannot be written").because(error))
}
