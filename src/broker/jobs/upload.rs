//! The file of an import while it arrives: users become sealed parts in the directory.

use super::import::{context, fold_keys};
use super::reader::ArrayReader;
use super::{ImportTarget, Jobs};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Job;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// Users of a part.
const PART_USERS: usize = 500;

/// Octets of a part, and one user more.
const PART_BYTES: usize = 1 << 20;

/// A file that arrives in pieces. Dropped before [`Self::finish`], its job goes away.
pub struct ImportUpload {
    jobs: Arc<Jobs>,
    job_id: String,
    connection: String,
    target: ImportTarget,
    reader: ArrayReader,
    /// JSON: `[mark, user], [mark, user], ..`
    part: String,
    users: usize,
    parts: i64,
    /// What users of this file were called, as digests: eight octets for each.
    seen: HashSet<u64>,
    hasher: RandomState,
    failed: bool,
    finished: bool,
}

/// Until when a file may take to bring its next part.
pub(super) fn patience(now: Timestamp) -> Timestamp {
    now.plus_seconds(300)
}

impl ImportUpload {
    pub(super) fn new(jobs: Arc<Jobs>, job_id: String, connection: String, target: ImportTarget, max_bytes: u64) -> Self {
        Self {
            jobs,
            job_id,
            connection,
            target,
            reader: ArrayReader::new(max_bytes),
            part: String::new(),
            users: 0,
            parts: 0,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            failed: false,
            finished: false,
        }
    }

    pub fn job_id(&self) -> &str {
        &self.job_id
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// Those of [`ArrayReader::push`], and those of the directory. The import is over then.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let answer = self.pushed(bytes).await;
        self.failed |= answer.is_err();
        answer
    }

    /// The file is complete; from here on it is a job like any other.
    ///
    /// # Errors
    /// As above, and [`ErrorKind::Conflict`] when something failed before or the job was given up.
    pub async fn finish(mut self) -> Result<Job> {
        if self.failed {
            return Err(Error::new(ErrorKind::Conflict, "The file was refused before."));
        }
        self.reader.finish()?;
        if self.users > 0 {
            self.write().await?;
        }
        if !self.jobs.directory.job_received(&self.job_id).await? {
            return Err(given_up());
        }
        self.finished = true;
        self.jobs.woken.notify_one();
        self.jobs.job(&self.job_id).await
    }

    async fn pushed(&mut self, bytes: &[u8]) -> Result<()> {
        // Small enough that the users of one piece fit into a part.
        for bytes in bytes.chunks(PART_BYTES / 16) {
            let mut items = Vec::new();
            self.reader.push(bytes, |item| {
                items.push(item);
                Ok(())
            })?;
            for item in items {
                self.add(&item);
                if self.users >= PART_USERS || self.part.len() >= PART_BYTES {
                    self.write().await?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, item: &str) {
        let mut mark = "null";
        for (name, key) in fold_keys(item, &self.connection, &self.target) {
            if !self.seen.insert(self.hasher.hash_one((name, key))) {
                mark = match name {
                    "email" => "\"email\"",
                    "username" => "\"username\"",
                    _ => "\"user_id\"",
                };
            }
        }
        self.part.push_str(if self.part.is_empty() { "[[" } else { ",[" });
        for text in [mark, ",", item, "]"] {
            self.part.push_str(text);
        }
        self.users += 1;
    }

    async fn write(&mut self) -> Result<()> {
        self.part.push(']');
        let sealed = self.jobs.sealer().seal(&context(&self.job_id, self.parts), self.part.as_bytes())?;
        let (body, users) = (STANDARD.encode(sealed), i64::try_from(self.users).unwrap_or(i64::MAX));
        let until = patience((self.jobs.clock)());
        if !self.jobs.directory.receive_part(&self.job_id, self.parts, users, &body, until).await? {
            return Err(given_up());
        }
        self.part.clear();
        self.users = 0;
        self.parts += 1;
        Ok(())
    }
}

impl Drop for ImportUpload {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // Where there is no runtime any more the sweeper finds it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (jobs, job_id) = (Arc::clone(&self.jobs), std::mem::take(&mut self.job_id));
            runtime.spawn(async move {
                if let Err(error) = jobs.directory.delete_job(&job_id).await {
                    tracing::warn!(%error, job_id, "an import that broke off stays until it is swept");
                }
            });
        }
    }
}

fn given_up() -> Error {
    Error::new(ErrorKind::Conflict, "The import was given up: its file arrived too slowly.")
}
