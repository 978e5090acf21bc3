//! One source at work: fetches, verifies, keeps, swaps.

use super::cache::{Cache, Notes, digest};
use super::difference::Place;
use super::refresher::Refresher;
use super::snapshot::{Event, NotPending, Pending, Snapshot};
use super::source::{Origin, Source};
use crate::clock::Timestamp;
use crate::connection::outbound::download::{DownloadError, Downloaded, Downloader, Validators};
use crate::error::Result;
use crate::saml::aggregate::Aggregate;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A source of metadata in a running process. Readers call [`Feed::snapshot`]; one task calls [`Feed::run`], or whoever likes
/// calls [`Feed::refresh`].
pub struct Feed {
    source: Arc<Source>,
    downloader: Downloader,
    cache: Option<Cache>,
    work: Arc<Mutex<Work>>,
    current: RwLock<Current>,
}

/// What readers see, without waiting for a refresh that is under way.
#[derive(Clone)]
struct Current {
    snapshot: Option<Arc<Snapshot>>,
    status: Arc<Status>,
}

/// How a source fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// When it is looked at next.
    pub due: Timestamp,
    /// When it failed last, why, and how often in a row; `None` after a success.
    pub failure: Option<(Timestamp, String, u32)>,
    /// What waits for an operator.
    pub pending: Vec<Pending>,
}

/// What only one refresh at a time may touch.
struct Work {
    refresher: Refresher,
    validators: Validators,
    digest: String,
}

/// A document that has arrived and is not believed yet.
enum Body {
    File(PathBuf),
    Memory(Vec<u8>),
}

/// A document that was verified.
struct Verified {
    aggregate: Arc<Aggregate>,
    digest: String,
}

impl Feed {
    /// Nothing is read or fetched yet. `hold` and `cadence` are the source's.
    pub fn new(source: Source, now: Timestamp) -> Result<Self> {
        let downloader = Downloader::new(source.patience, source.reach)?;
        Ok(Self::with(source, downloader, now))
    }

    pub(super) fn with(source: Source, downloader: Downloader, now: Timestamp) -> Self {
        let cache = source.cache.clone().map(Cache::new);
        let notes = cache.as_ref().and_then(Cache::notes).filter(|notes| notes.source == source.name()).unwrap_or_default();
        let refresher = Refresher::of(&source, notes.approved, now);
        let current = RwLock::new(Current { snapshot: None, status: Arc::new(status(&refresher)) });
        let work = Work { refresher, validators: Validators::default(), digest: String::new() };
        Self { source: Arc::new(source), downloader, cache, work: Arc::new(Mutex::new(work)), current }
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The metadata in force; `None` before the first copy, and when the last one's validUntil has come.
    pub fn snapshot(&self, now: Timestamp) -> Option<Arc<Snapshot>> {
        let snapshot = self.current.read().unwrap_or_else(PoisonError::into_inner).snapshot.clone();
        snapshot.filter(|snapshot| snapshot.is_valid_at(now))
    }

    /// How it fares, as of the last refresh that has ended.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).status)
    }

    /// See [`Refresher::approved`].
    pub async fn approved(&self) -> BTreeMap<String, BTreeSet<Place>> {
        self.work.lock().await.refresher.approved().clone()
    }

    /// See [`Refresher::allow`].
    pub async fn allow(&self, allowed: BTreeMap<String, BTreeSet<Place>>, now: Timestamp) -> Vec<Event> {
        let mut work = self.work.lock().await;
        let events = work.refresher.allow(allowed, now);
        if !events.is_empty() {
            // A document about another entity was not kept on disk; the next refresh brings it there.
            work.refresher.look_again(now);
            self.write_notes(&work);
            self.swap(&work);
        }
        events
    }

    /// An operator agrees to exactly that change.
    ///
    /// # Errors
    /// When nothing of that key waits, any more.
    pub async fn approve(&self, key: &str, now: Timestamp) -> Result<Event, NotPending> {
        let mut work = self.work.lock().await;
        let event = work.refresher.approve(key, now)?;
        // A document about another entity was not kept on disk; the next refresh brings it there.
        work.refresher.look_again(now);
        self.write_notes(&work);
        self.swap(&work);
        Ok(event)
    }

    /// Takes the last good copy from disk, on the same terms as a fetched one. It is due for a refresh all the same.
    pub async fn restore(&self, now: Timestamp) -> Vec<Event> {
        let Some(cache) = &self.cache else { return Vec::new() };
        let mut work = Arc::clone(&self.work).lock_owned().await;
        let Some(notes) = cache.notes().filter(|notes| notes.source == self.source.name()) else { return Vec::new() };
        let Ok(Some(copy)) = self.verify(Body::File(cache.copy()), None, now).await else { return Vec::new() };
        if copy.digest == notes.digest {
            work.validators = notes.validators;
        }
        work.digest = copy.digest;
        let Some((mut work, events)) = accept(work, copy.aggregate, None, now).await else { return Vec::new() };
        work.refresher.look_again(now);
        self.swap(&work);
        events
    }

    /// Refreshes if it is due.
    pub async fn refresh_if_due(&self, now: Timestamp) -> Vec<Event> {
        let work = Arc::clone(&self.work).lock_owned().await;
        if work.refresher.due() <= now { self.refresh_with(work, now).await } else { Vec::new() }
    }

    /// Looks at the source now. A failure is an event; the last good copy stays.
    pub async fn refresh(&self, now: Timestamp) -> Vec<Event> {
        let work = Arc::clone(&self.work).lock_owned().await;
        self.refresh_with(work, now).await
    }

    /// Gives back what may not be used any longer, if that has come.
    pub async fn expire(&self, now: Timestamp) -> Option<Event> {
        let is_over = |snapshot: &Arc<Snapshot>| !snapshot.is_valid_at(now);
        if !self.current.read().unwrap_or_else(PoisonError::into_inner).snapshot.as_ref().is_some_and(is_over) {
            return None;
        }
        let mut work = self.work.lock().await;
        let expired = work.refresher.expire(now);
        self.swap(&work);
        expired
    }

    async fn refresh_with(&self, mut work: OwnedMutexGuard<Work>, now: Timestamp) -> Vec<Event> {
        let events = match self.fetch(&work, now).await {
            Ok(None) => {
                work.refresher.unchanged(now);
                work.refresher.expire(now).into_iter().collect()
            }
            Ok(Some(fetched)) => return self.take(work, fetched, now).await,
            Err(Failure::Missing) if self.source.expects.is_some() => {
                (work.validators, work.digest) = (Validators::default(), String::new());
                self.cache.iter().for_each(Cache::remove_copy);
                work.refresher.gone(now.plus_seconds(MISSING))
            }
            Err(failure) => work.refresher.fail(failure.to_string(), now),
        };
        self.swap(&work);
        events
    }

    /// A new document, verified; `None` when there is no new one.
    async fn fetch(&self, work: &Work, now: Timestamp) -> Result<Option<Fetched>, Failure> {
        let url = match &self.source.origin {
            Origin::Url(url) => url,
            Origin::File(path) => {
                let known = work.refresher.snapshot().is_some().then(|| work.digest.clone());
                let verified = self.verify(Body::File(path.clone()), known, now).await.map_err(Failure::Other)?;
                let fetched = |verified| Fetched { verified, validators: Validators::default(), max_age_seconds: None, part: Part(None) };
                return Ok(verified.map(fetched));
            }
        };
        // Validators of a copy that is not in force would keep it so.
        let known = if work.refresher.snapshot().is_some() { work.validators.clone() } else { Validators::default() };
        let (mut sink, part) = match &self.cache {
            None => (Sink::Memory(Vec::new()), Part(None)),
            Some(cache) => {
                let (path, file) = cache.part().map_err(|error| Failure::Other(format!("the document could not be kept: {error}")))?;
                (Sink::File(file), Part(Some(path)))
            }
        };
        let downloaded = self.downloader.fetch(url, &known, self.source.limit, &mut sink).await;
        let (validators, max_age_seconds) = match downloaded {
            Err(DownloadError::Missing) => return Err(Failure::Missing),
            Err(error) => return Err(Failure::Other(error.to_string())),
            Ok(Downloaded::NotModified) => return Ok(None),
            Ok(Downloaded::Body { validators, max_age_seconds }) => (validators, max_age_seconds),
        };
        let body = match (sink, &part.0) {
            (Sink::Memory(bytes), _) => Body::Memory(bytes),
            (Sink::File(_), Some(path)) => Body::File(path.clone()),
            (Sink::File(_), None) => return Ok(None),
        };
        let verified = self.verify(body, None, now).await.map_err(Failure::Other)?;
        Ok(verified.map(|verified| Fetched { verified, validators, max_age_seconds, part }))
    }

    /// Verifies a document; `None` if it is the one with the digest `known`.
    async fn verify(&self, body: Body, known: Option<String>, now: Timestamp) -> Result<Option<Verified>, String> {
        let source = Arc::clone(&self.source);
        let read = move || {
            let (limit, unreadable) = (source.limit, |error: io::Error| format!("it cannot be read: {error}"));
            let open = |path: &PathBuf| File::open(path).map(|file| file.take(limit));
            let digest = match &body {
                Body::Memory(bytes) => digest(bytes.as_slice()).map_err(unreadable)?,
                Body::File(path) => {
                    if fs::metadata(path).map_err(unreadable)?.len() > limit {
                        return Err(DownloadError::TooLarge { limit }.to_string());
                    }
                    digest(open(path).map_err(unreadable)?).map_err(unreadable)?
                }
            };
            if known.is_some_and(|known| known == digest) {
                return Ok(None);
            }
            let aggregate = match body {
                Body::Memory(bytes) => Aggregate::read(Cursor::new(bytes), &source.terms, now),
                Body::File(path) => {
                    let file = open(&path).map_err(unreadable)?;
                    Aggregate::read(BufReader::with_capacity(64 * 1024, file), &source.terms, now)
                }
            };
            let aggregate = aggregate.map_err(|error| error.to_string())?;
            if let Some(expected) = source.expects.as_ref().filter(|expected| aggregate.entity(expected).is_none()) {
                return Err(format!("the metadata do not describe {expected}"));
            }
            source.role.check(&aggregate, source.expects.as_deref(), now)?;
            Ok(Some(Verified { aggregate: Arc::new(aggregate), digest }))
        };
        // Seconds of work for a large federation.
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err("reading it failed".to_owned()))
    }

    async fn take(&self, work: OwnedMutexGuard<Work>, fetched: Fetched, now: Timestamp) -> Vec<Event> {
        let Fetched { verified, validators, max_age_seconds, part } = fetched;
        let taken = work.refresher.would_take(&verified.aggregate);
        let Some((mut work, events)) = accept(work, verified.aggregate, max_age_seconds, now).await else { return Vec::new() };
        if taken {
            work.validators = validators;
            work.digest = verified.digest;
            // First what must not be forgotten, then the copy.
            self.write_notes(&work);
            if let (Some(cache), Some(path)) = (&self.cache, &part.0)
                && let Err(error) = cache.take(path)
            {
                tracing::warn!(source = self.source.shown(), %error, "the last good copy of metadata cannot be kept");
            }
        }
        self.swap(&work);
        events
    }

    fn write_notes(&self, work: &Work) {
        let Some(cache) = &self.cache else { return };
        let notes = Notes {
            source: self.source.name(),
            validators: work.validators.clone(),
            digest: work.digest.clone(),
            approved: work.refresher.approved().clone(),
        };
        if let Err(error) = cache.write_notes(&notes) {
            tracing::warn!(source = self.source.shown(), %error, "what is known of metadata cannot be kept");
        }
    }

    fn swap(&self, work: &Work) {
        let new = Current { snapshot: work.refresher.snapshot().cloned(), status: Arc::new(status(&work.refresher)) };
        // The old one is dropped after the lock, since that takes a while.
        let old = std::mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), new);
        drop(old);
    }
}

fn status(refresher: &Refresher) -> Status {
    let failure = refresher.last_failure().map(|(at, reason, failures)| (at, reason.to_owned(), failures));
    Status { due: refresher.due(), failure, pending: refresher.pending().cloned().collect() }
}

/// Where thousands of entities changed, comparing them takes seconds: not on a thread that others share. `None` if it failed,
/// with what was in force still there.
async fn accept(
    mut work: OwnedMutexGuard<Work>,
    aggregate: Arc<Aggregate>,
    max_age_seconds: Option<u64>,
    now: Timestamp,
) -> Option<(OwnedMutexGuard<Work>, Vec<Event>)> {
    let compare = move || {
        let events = work.refresher.accept(aggregate, max_age_seconds, now);
        (work, events)
    };
    tokio::task::spawn_blocking(compare).await.ok()
}

/// Where a document goes while it arrives.
enum Sink {
    File(File),
    Memory(Vec<u8>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // Into the page cache: quick enough for a task that others share.
            Self::File(file) => file.write(bytes),
            Self::Memory(memory) => memory.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Memory(_) => Ok(()),
        }
    }
}

struct Fetched {
    verified: Verified,
    validators: Validators,
    max_age_seconds: Option<u64>,
    part: Part,
}

enum Failure {
    Missing,
    Other(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => DownloadError::Missing.fmt(f),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// A file that is removed unless it became the copy.
struct Part(Option<PathBuf>);

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // After `Cache::take` it is not there any more, which is no mistake.
            drop(fs::remove_file(path));
        }
    }
}

/// How long it is believed that an entity is not there.
const MISSING: i64 = 300;
