//! The log of what happened: whoever takes part in a login records an event and goes on; a task in the background writes
//! them into the directory, many at a time.
//!
//! Recording never waits and never fails. When the directory cannot keep up, or is gone, events are dropped and counted:
//! a login is worth more than a line about it. What must not be lost belongs into the audit log.
//!
//! No secret enters: members that are named like one are masked, texts that look like a token too, and everything has a
//! limit.

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id;
use crate::store::{Directory, LogEvent};
use crate::user::metadata;
use serde_json::Value;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Events that wait to be written.
const WAITING: usize = 10_000;

/// Events of one write.
const BATCH: usize = 200;

const EVERY: Duration = Duration::from_millis(500);

/// Dropped events are told no more often than this.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// At a stop, for what still waits.
const FLUSH: Duration = Duration::from_secs(5);

/// Characters of a text, and octets of the details.
const MAX_TEXT: usize = 512;
const MAX_DETAILS: usize = 8 << 10;

tokio::task_local! {
    static CALLER: Caller;
}

/// Whose request is being answered. Events that do not say so themselves take it from here, so that use cases need not be
/// told about addresses and browsers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    /// The name by which this gateway was called.
    pub hostname: Option<String>,
}

impl Caller {
    /// Runs the answering of a request.
    pub async fn during<F: Future>(self, answering: F) -> F::Output {
        CALLER.scope(self, answering).await
    }

    fn complete(event: &mut LogEvent) {
        let complete = |caller: &Self| {
            for (place, known) in
                [(&mut event.ip, &caller.ip), (&mut event.user_agent, &caller.user_agent), (&mut event.hostname, &caller.hostname)]
            {
                if place.is_none() {
                    place.clone_from(known);
                }
            }
        };
        // Where there is no request, nothing is known.
        let _ = CALLER.try_with(complete);
    }
}

/// Takes events. A clone records into the same log.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Shared>);

/// Writes what was recorded; see [`Self::run`].
pub struct Writer {
    shared: Arc<Shared>,
    /// Of those dropped, told already.
    told: u64,
    told_at: Option<Instant>,
    directory: Arc<dyn Directory>,
}

/// Between those who record and the one who writes. Nobody is woken for a single event: that would cost a login more than
/// the event itself.
#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is enough for a batch.
    full: Notify,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<LogEvent>,
    /// Nobody writes any more.
    closed: bool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when there is no place for it, or nobody writes any more.
    fn push(&self, event: LogEvent) -> bool {
        let mut waiting = self.waiting();
        if waiting.closed || waiting.events.len() >= WAITING {
            return false;
        }
        waiting.events.push_back(event);
        let full = waiting.events.len().is_multiple_of(BATCH);
        drop(waiting);
        if full {
            self.full.notify_one();
        }
        true
    }

    fn count(&self) -> usize {
        self.waiting().events.len()
    }

    /// The oldest, at most a batch.
    fn batch(&self) -> Vec<LogEvent> {
        let mut waiting = self.waiting();
        let count = waiting.events.len().min(BATCH);
        waiting.events.drain(..count).collect()
    }
}

/// A log for a directory: what records, and what is to be run in the background.
pub fn log_of(directory: Arc<dyn Directory>) -> (Recorder, Writer) {
    let shared = Arc::new(Shared::default());
    (Recorder(Arc::clone(&shared)), Writer { shared, told: 0, told_at: None, directory })
}

impl Recorder {
    /// Notes an event. It gets its id here; what looks secret in it is masked, what is long is cut.
    pub fn record(&self, mut event: LogEvent) {
        Caller::complete(&mut event);
        if !self.0.push(cleaned(event)) {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that were not written, since the start.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Writes every half a second, or when there are enough for a batch, until `stop` turns true or its sender goes; then
    /// writes what is left, for at most five seconds.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() && stop.has_changed().is_ok() {
            if self.shared.count() < BATCH {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = self.shared.full.notified() => continue,
                    _ = stop.changed() => continue,
                }
            }
            self.write().await;
            self.warn_of_dropped();
        }
        self.shared.waiting().closed = true;
        let flush = async {
            while self.shared.count() > 0 {
                self.write().await;
            }
        };
        tokio::select! {
            () = flush => {}
            () = sleep(FLUSH) => self.lose(self.shared.count()),
        }
        self.told_at = None;
        self.warn_of_dropped();
    }

    /// A batch that cannot be written is lost, so that a directory that is away for long takes no memory.
    async fn write(&self) {
        let batch = Losing { events: self.shared.batch(), shared: &self.shared };
        if batch.events.is_empty() {
            return;
        }
        match self.directory.insert_log_events(&batch.events).await {
            Ok(()) => batch.written(),
            Err(error) => tracing::debug!(%error, events = batch.events.len(), "log events cannot be written"),
        }
    }

    fn lose(&self, events: usize) {
        self.shared.dropped.fetch_add(events as u64, Ordering::Relaxed);
    }

    fn warn_of_dropped(&mut self) {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if dropped == self.told || self.told_at.is_some_and(|at| at.elapsed() < WARN_EVERY) {
            return;
        }
        tracing::warn!(events = dropped - self.told, "log events were dropped: the directory does not keep up");
        (self.told, self.told_at) = (dropped, Some(Instant::now()));
    }
}

/// Events that are lost unless they were written, also where their writing was given up.
struct Losing<'a> {
    events: Vec<LogEvent>,
    shared: &'a Shared,
}

impl Losing<'_> {
    fn written(mut self) {
        self.events.clear();
    }
}

impl Drop for Losing<'_> {
    fn drop(&mut self) {
        self.shared.dropped.fetch_add(self.events.len() as u64, Ordering::Relaxed);
    }
}

/// Deletes events that are older than so many days, in small steps between which others use the directory; the answer is
/// how many. None are kept for ever: 0 days count as one.
pub async fn forget_old_events(directory: &dyn Directory, days: u32, now: Timestamp) -> Result<i64> {
    let before = now.plus_seconds(-i64::from(days.max(1)) * 24 * 3600);
    let mut forgotten = 0;
    loop {
        let step = directory.forget_log_events(before, FORGET_STEP).await?;
        forgotten += step;
        if step < FORGET_STEP {
            return Ok(forgotten);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

const FORGET_STEP: i64 = 1000;

/// Sorts by time; events of one millisecond sort as they came, within one process.
fn log_id(at: Timestamp) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{count:08x}{}", at.millis().max(0), id::hex(&id::random_name::<4>()))
}

fn cleaned(mut event: LogEvent) -> LogEvent {
    event.log_id = log_id(event.date);
    for text in [
        &mut event.description,
        &mut event.client_id,
        &mut event.client_name,
        &mut event.connection,
        &mut event.connection_id,
        &mut event.ip,
        &mut event.user_agent,
        &mut event.user_name,
        &mut event.hostname,
        &mut event.scope,
        &mut event.audience,
    ]
    .into_iter()
    .flatten()
    {
        clean_text(text);
    }
    if let Some(details) = &mut event.details {
        clean_value(details, 0);
        let length = octets(details);
        if length > MAX_DETAILS {
            *details = Value::from(format!("(left out: {length} octets)"));
        }
    }
    event
}

fn clean_text(text: &mut String) {
    if looks_like_a_token(text) {
        MASKED.clone_into(text);
    } else if text.len() > MAX_TEXT || text.bytes().any(may_begin_a_control) {
        *text = text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
}

/// In UTF-8: the controls of ASCII, and the first octet of the others, which are U+0080 to U+009F.
const fn may_begin_a_control(octet: u8) -> bool {
    octet.is_ascii_control() || octet == 0xC2
}

/// Below eight levels nothing is worth a line.
fn clean_value(value: &mut Value, level: usize) {
    match value {
        Value::String(text) => clean_text(text),
        Value::Array(_) | Value::Object(_) if level >= 8 => *value = Value::from("(left out)"),
        Value::Array(items) => items.iter_mut().for_each(|item| clean_value(item, level + 1)),
        Value::Object(members) => {
            for (name, value) in members {
                let is_secret = SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(name));
                if is_secret || (!value.is_null() && metadata::looks_secret(name)) {
                    *value = Value::from(MASKED);
                } else {
                    clean_value(value, level + 1);
                }
            }
        }
        _ => {}
    }
}

/// Of a value as it is written.
fn octets(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0 += octets.len();
            Ok(octets.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither a value nor a count can fail to be written.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// A JWT, or what stands in an Authorization header.
fn looks_like_a_token(text: &str) -> bool {
    let scheme = |name: &str| text.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    if scheme("bearer ") || scheme("basic ") {
        return true;
    }
    // Most texts have no such word in them, which is seen faster than where words end.
    if !text.contains("eyJ") {
        return false;
    }
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
        .any(|word| word.starts_with("eyJ") && word.matches('.').count() >= 2)
}

const MASKED: &str = "(masked)";

/// Parameters and headers that are worth a login and are not named like a secret.
const SECRET: [&str; 11] = [
    "code",
    "code_verifier",
    "assertion",
    "client_assertion",
    "SAMLResponse",
    "SAMLRequest",
    "id_token_hint",
    "access_tokens",
    "authorization",
    "cookie",
    "set-cookie",
];

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
