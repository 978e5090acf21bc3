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
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
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

/// Takes events. A clone records into the same log.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::Sender<LogEvent>,
    dropped: Arc<AtomicU64>,
}

/// Writes what was recorded; see [`Self::run`].
pub struct Writer {
    receiver: mpsc::Receiver<LogEvent>,
    dropped: Arc<AtomicU64>,
    /// Of those dropped, told already.
    told: u64,
    told_at: Option<Instant>,
    directory: Arc<dyn Directory>,
}

/// A log for a directory: what records, and what is to be run in the background.
pub fn log_of(directory: Arc<dyn Directory>) -> (Recorder, Writer) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let recorder = Recorder { sender, dropped: Arc::clone(&dropped) };
    (recorder, Writer { receiver, dropped, told: 0, told_at: None, directory })
}

impl Recorder {
    /// Notes an event. It gets its id here; what looks secret in it is masked, what is long is cut.
    pub fn record(&self, event: LogEvent) {
        if self.sender.try_send(cleaned(event)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that were not written, since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Writes every half a second, or when there are enough for a batch, until `stop` turns true or its sender goes; then
    /// writes what is left, for at most five seconds.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() && stop.has_changed().is_ok() {
            tokio::select! {
                _ = ticks.tick() => self.write(&mut batch).await,
                Some(event) = self.receiver.recv(), if batch.len() < BATCH => {
                    batch.push(event);
                    if batch.len() >= BATCH {
                        self.write(&mut batch).await;
                    }
                }
                _ = stop.changed() => {}
            }
            self.warn_of_dropped();
        }
        tokio::select! {
            () = self.flush(&mut batch) => {}
            () = sleep(FLUSH) => self.lose(batch.len() + self.receiver.len()),
        }
        self.told_at = None;
        self.warn_of_dropped();
    }

    async fn flush(&mut self, batch: &mut Vec<LogEvent>) {
        self.receiver.close();
        self.write(batch).await;
        while let Some(event) = self.receiver.recv().await {
            batch.push(event);
            if batch.len() >= BATCH || self.receiver.is_empty() {
                self.write(batch).await;
            }
        }
    }

    /// A batch that cannot be written is lost, so that a directory that is away for long takes no memory.
    async fn write(&mut self, batch: &mut Vec<LogEvent>) {
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.directory.insert_log_events(batch).await {
            tracing::debug!(%error, events = batch.len(), "log events cannot be written");
            self.lose(batch.len());
        }
        batch.clear();
    }

    fn lose(&self, events: usize) {
        self.dropped.fetch_add(events as u64, Ordering::Relaxed);
    }

    fn warn_of_dropped(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped == self.told || self.told_at.is_some_and(|at| at.elapsed() < WARN_EVERY) {
            return;
        }
        tracing::warn!(events = dropped - self.told, "log events were dropped: the directory does not keep up");
        (self.told, self.told_at) = (dropped, Some(Instant::now()));
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
    format!("{:016x}{count:08x}{}", at.millis().max(0), id::hex(&id::random_bytes::<4>()))
}

fn cleaned(mut event: LogEvent) -> LogEvent {
    event.log_id = log_id(event.date);
    let texts = [
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
    ];
    for text in texts.into_iter().flatten() {
        *text = clean_text(text);
    }
    if let Some(details) = &mut event.details {
        *details = clean_value(&metadata::masked(details), 0);
        let length = details.to_string().len();
        if length > MAX_DETAILS {
            *details = Value::from(format!("(left out: {length} octets)"));
        }
    }
    event
}

fn clean_text(text: &str) -> String {
    if looks_like_a_token(text) {
        return MASKED.to_owned();
    }
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Below eight levels nothing is worth a line.
fn clean_value(value: &Value, level: usize) -> Value {
    match value {
        Value::String(text) => Value::from(clean_text(text)),
        Value::Array(_) | Value::Object(_) if level >= 8 => Value::from("(left out)"),
        Value::Array(items) => items.iter().map(|item| clean_value(item, level + 1)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let is_secret = SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(name));
                (name.clone(), if is_secret { Value::from(MASKED) } else { clean_value(value, level + 1) })
            };
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

/// A JWT, or what stands in an Authorization header.
fn looks_like_a_token(text: &str) -> bool {
    let scheme = |name: &str| text.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    if scheme("bearer ") || scheme("basic ") {
        return true;
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
