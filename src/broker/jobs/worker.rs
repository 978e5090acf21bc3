//! What works on jobs: claims them, does them part by part, and sweeps up.

use super::import::{Mask, Planner, ReadPart, plan};
use super::{AT_ONCE, Jobs, Settings, export};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ExportStep, ImportStep, Job, JobAges, JobKind, JobStatus};
use crate::user::{DATABASE, ProfileSync};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Seconds for which a job is its owner's after the last sign of life. Whoever finds it abandoned goes on with it, so
/// after a kill that is at most this and a [`POLL`] later.
const LEASE: i64 = 20;

/// How often the owner gives a sign of life beyond those of each part.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How often to look for jobs that were begun or abandoned elsewhere.
const POLL: Duration = Duration::from_secs(1);

const SWEEP: Duration = Duration::from_secs(60);

const AGES: JobAges = JobAges { time_out: 2 * 3600, keep: 24 * 3600 };

/// Users of a part of an export.
const PAGE: usize = 500;

/// How often a part begins anew when others change the same users.
const ATTEMPTS: u32 = 8;

/// How a step went.
enum Step {
    Next,
    Completed,
    /// Somebody else has the job, or it was ended.
    Lost,
}

impl Jobs {
    /// Works on jobs until `stop` turns true, or its sender goes; then finishes the parts under way and gives the jobs
    /// back. Every node runs it once; of several nodes each job has one.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut working = JoinSet::new();
        let mut swept: Option<Instant> = None;
        while !stopped(&stop) {
            if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                swept = Some(Instant::now());
                if let Err(error) = self.directory.sweep_jobs(AGES, (self.clock)()).await {
                    warn(&error, "jobs cannot be swept");
                }
            }
            while i64::try_from(working.len()).is_ok_and(|busy| busy < AT_ONCE) {
                match self.directory.claim_job(&self.owner, (self.clock)(), self.lease()).await {
                    Ok(Some(job)) => drop(working.spawn(Arc::clone(&self).work(job, stop.clone()))),
                    Ok(None) => break,
                    Err(error) => {
                        warn(&error, "no job can be claimed");
                        break;
                    }
                }
            }
            tokio::select! {
                () = sleep(POLL) => {}
                () = self.woken.notified() => {}
                Some(_) = working.join_next() => {}
                _ = stop.changed() => {}
            }
        }
        while working.join_next().await.is_some() {}
    }

    /// One job to its end, or until the stop.
    pub(super) async fn work(self: Arc<Self>, mut job: Job, stop: watch::Receiver<bool>) {
        tracing::info!(job = job.id, kind = job.kind.name(), part = job.next_part, "working on a job");
        loop {
            if stopped(&stop) {
                // Somebody else may begin at once.
                let over = (self.clock)().plus_seconds(-1);
                if let Err(error) = self.directory.keep_job(&job.id, &self.owner, over).await {
                    warn(&error, "a job is given back when its lease ends");
                }
                return;
            }
            let step = self.alive(&job.id, async {
                match job.kind {
                    JobKind::UsersImport => self.import_step(&job).await,
                    JobKind::UsersExport => self.export_step(&job).await,
                    // The queue of mails does what there is to do.
                    JobKind::VerificationEmail => Ok(Step::Completed),
                }
            });
            let ended = match step.await {
                Ok(Step::Next) => None,
                Ok(Step::Completed) => Some((JobStatus::Completed, None)),
                Ok(Step::Lost) => return tracing::warn!(job = job.id, "the job is somebody else's now, or was ended"),
                Err(error) if matches!(error.kind, ErrorKind::StoreUnavailable | ErrorKind::Conflict) => {
                    return warn(&error, "a job rests until its lease ends");
                }
                Err(error) => {
                    warn(&error, "a job has failed");
                    Some((JobStatus::Failed, Some(error.detail)))
                }
            };
            if let Some((status, details)) = ended {
                match self.directory.end_job(&job.id, &self.owner, status, details.as_deref(), (self.clock)()).await {
                    Ok(_) => tracing::info!(job = job.id, status = status.name(), "a job has ended"),
                    Err(error) => warn(&error, "the end of a job cannot be written"),
                }
                return;
            }
            match self.directory.job(&job.id).await {
                Ok(Some(now)) => job = now,
                Ok(None) => return,
                Err(error) => return warn(&error, "a job rests until its lease ends"),
            }
        }
    }

    /// Does something while giving signs of life.
    async fn alive<T>(&self, job_id: &str, step: impl Future<Output = T>) -> T {
        let heartbeat = async {
            loop {
                sleep(HEARTBEAT).await;
                if let Err(error) = self.directory.keep_job(job_id, &self.owner, self.lease()).await {
                    warn(&error, "a job's lease cannot be prolonged");
                }
            }
        };
        tokio::select! {
            answer = step => answer,
            never = heartbeat => never,
        }
    }

    async fn import_step(&self, job: &Job) -> Result<Step> {
        let Settings::Import { upsert } = settings(job)? else { return Err(unreadable()) };
        if job.next_part >= job.parts {
            return Ok(Step::Completed);
        }
        let part = job.next_part;
        let Some(body) = self.directory.job_part(&job.id, part).await? else {
            // It is deleted together with the step; then the job as it was seen is an old one.
            return self.after_nothing(job).await;
        };
        let connection = job.connection.as_deref().unwrap_or_default();
        let target = self.connections.target(connection);
        let entries = self.opened_part(&job.id, part, &body)?;
        drop(body);
        let read = ReadPart::new(entries, connection, target.as_ref());
        for attempt in 1_u32.. {
            let known = self.directory.import_known(&read.names(connection)).await?;
            let mask = Mask { sealed: &self.sealed, sealer: self.sealer() };
            let planner = target.as_ref().map(|target| Planner { connection, target, upsert, sealed: &self.sealed, sealer: self.sealer() });
            let plan = plan(&read, &known, planner.as_ref(), &mask)?;
            let step = ImportStep {
                job_id: &job.id,
                owner: &self.owner,
                part,
                connection,
                unique_emails: target.as_ref().is_some_and(|target| target.provider == DATABASE),
                inserts: &plan.inserts,
                updates: &plan.updates,
                unchanged: plan.unchanged,
                failed: plan.failed,
                errors: plan.errors.as_deref(),
                lease_until: self.lease(),
                now: (self.clock)(),
            };
            match self.directory.import_part(&step).await {
                Ok(true) => return Ok(Step::Next),
                Ok(false) => return self.after_nothing(job).await,
                // Somebody signed in, or changed one of the users.
                Err(error) if error.kind == ErrorKind::Conflict && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Err(unreadable())
    }

    async fn export_step(&self, job: &Job) -> Result<Step> {
        let Settings::Export { format, fields } = settings(job)? else { return Err(unreadable()) };
        let connection = job.connection.as_deref();
        if job.parts == 0 {
            let total = self.directory.count_users(connection).await?;
            if !self.directory.set_job_total(&job.id, &self.owner, total).await? {
                return Ok(Step::Lost);
            }
        }
        let users = self.directory.export_page(connection, job.place.as_deref(), PAGE).await?;
        let place = users.last().map(|user| user.user_id.clone());
        if place.is_none() && job.parts > 0 {
            return Ok(Step::Completed);
        }
        let mut text = if job.parts == 0 { export::head(format, &fields) } else { String::new() };
        for user in &users {
            let sync = user.primary().and_then(|primary| self.connections.target(&primary.identity.connection));
            // A connection that is gone refreshes nothing.
            let sync = sync.map_or(ProfileSync::OnFirstLogin, |target| target.sync);
            text.push_str(&export::line(format, &fields, user, sync));
        }
        let body = STANDARD.encode(export::zipped(&text)?);
        let step = ExportStep {
            job_id: &job.id,
            owner: &self.owner,
            part: job.parts,
            body: &body,
            users: i64::try_from(users.len()).unwrap_or(i64::MAX),
            place: place.as_deref().unwrap_or_default(),
            lease_until: self.lease(),
        };
        if self.directory.export_part(&step).await? { Ok(Step::Next) } else { self.after_nothing(job).await }
    }

    /// A step found the job otherwise than expected: is it still ours, and further than we thought?
    async fn after_nothing(&self, seen: &Job) -> Result<Step> {
        if !self.directory.keep_job(&seen.id, &self.owner, self.lease()).await? {
            return Ok(Step::Lost);
        }
        match self.directory.job(&seen.id).await? {
            Some(now) if now.next_part > seen.next_part || now.parts > seen.parts => Ok(Step::Next),
            Some(_) => Err(unreadable()),
            None => Ok(Step::Lost),
        }
    }

    fn lease(&self) -> crate::clock::Timestamp {
        (self.clock)().plus_seconds(LEASE)
    }
}

/// Is it time to stop? A sender that is gone means so, too.
fn stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

fn settings(job: &Job) -> Result<Settings> {
    serde_json::from_str(&job.settings).map_err(|error| unreadable().because(error))
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Internal, "The job's data are damaged.")
}

fn warn(error: &Error, what: &str) {
    let source = error.source.as_ref().map(tracing::field::display);
    tracing::warn!(%error, source, "{what}");
}
