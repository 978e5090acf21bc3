//! Where the calls of a running script arrive: its log, its timers and requests, and whether it has ended.
//!
//! What `api` and `auth0.users` do is in [`super::api`]. A call of a script whose run is over (from a promise that it left
//! behind) is refused, so that nothing is put to another script's account.

use super::api::{self, Effects, View};
use super::cache::Cache;
use super::mask::Mask;
use super::requests::{self, MAX_REQUESTS, Requests};
use super::rule_data::{MAX_LEVELS, within};
use super::sandbox::{Calls, Fault, Waited, read_fault};
use super::{Kind, Script};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of a script's log, and characters of a line.
const MAX_LINES: usize = 50;
const MAX_LINE: usize = 500;
/// Timers that wait at once.
const MAX_TIMERS: usize = 100;
/// Octets of one call's arguments, and of all calls of a run that change something.
pub(super) const MAX_ARGUMENTS: usize = 256 * 1024;

/// The calls of one login's scripts, one after the other.
pub(super) struct Desk {
    requests: Arc<Requests>,
    cache: Arc<Cache>,
    current: RefCell<Option<Current>>,
    /// Numbers of timers and requests, never used twice in a login.
    next: Cell<u32>,
    asked: Cell<usize>,
    answers: Sender<(u32, Value)>,
    arrived: Receiver<(u32, Value)>,
    /// A refusal stands whatever becomes of the script or its thread.
    denial: Arc<Early>,
}

/// What must be known even of a thread that does not come back.
#[derive(Default)]
pub(super) struct Early {
    any: AtomicBool,
    denial: Mutex<Option<String>>,
}

impl Early {
    fn set(&self, message: &str) {
        *self.denial.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn take(&self) -> Option<String> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.denial.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The script that runs.
struct Current {
    run: u32,
    script: Arc<Script>,
    view: View,
    mask: Mask,
    effects: Effects,
    until: Instant,
    octets: usize,
    ended: Option<Result<(), Fault>>,
    timers: Vec<(Instant, u32)>,
    waiting: Vec<u32>,
}

impl Desk {
    pub(super) fn new(requests: Arc<Requests>, cache: Arc<Cache>, denial: Arc<Early>) -> Self {
        let (answers, arrived) = mpsc::channel();
        Self { requests, cache, current: RefCell::new(None), next: Cell::new(1), asked: Cell::new(0), answers, arrived, denial }
    }

    /// A script begins.
    pub(super) fn begin(&self, run: u32, script: Arc<Script>, view: View, mask: Mask, until: Instant) {
        let (effects, timers, waiting) = (Effects::default(), Vec::new(), Vec::new());
        *self.current.borrow_mut() = Some(Current { run, script, view, mask, effects, until, octets: 0, ended: None, timers, waiting });
    }

    /// The script is over; what it did, and the mask with what it made known to be secret.
    pub(super) fn finish(&self) -> (Effects, Mask) {
        self.current.borrow_mut().take().map(|current| (current.effects, current.mask)).unwrap_or_default()
    }

    fn number(&self) -> u32 {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        number
    }

    fn fetch(&self, current: &mut Current, arguments: &[Value]) -> Result<Option<String>, String> {
        if self.asked.get() >= MAX_REQUESTS {
            return Err(format!("fetch may be called {MAX_REQUESTS} times in a login"));
        }
        let left = current.until.saturating_duration_since(Instant::now()).as_millis();
        let time = u64::try_from(left).unwrap_or(u64::MAX);
        let request = requests::request(arguments, &current.script.hosts, time)?;
        self.asked.set(self.asked.get() + 1);
        let number = self.number();
        self.requests.begin(request, number, self.answers.clone())?;
        current.waiting.push(number);
        Ok(Some(number.to_string()))
    }

    fn timer(&self, current: &mut Current, arguments: &[Value]) -> Result<Option<String>, String> {
        if current.timers.len() >= MAX_TIMERS {
            return Err(format!("more than {MAX_TIMERS} timers"));
        }
        // Longer than any script may run is never.
        let delay = arguments.first().and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 86_400_000.0);
        let number = self.number();
        current.timers.push((Instant::now() + Duration::from_secs_f64(delay / 1000.0), number));
        Ok(Some(number.to_string()))
    }
}

impl Calls for Desk {
    fn call(&self, run: u32, name: &str, arguments: &str) -> Result<Option<String>, String> {
        let mut borrowed = self.current.borrow_mut();
        let current = borrowed.as_mut().filter(|current| current.run == run).ok_or("the script has ended already")?;
        match name {
            "done" => {
                current.ended.get_or_insert(Ok(()));
                return Ok(None);
            }
            "failed" => {
                if current.ended.is_none() {
                    let fault = read_fault(arguments);
                    // A rule that refuses and then goes wrong has refused.
                    if let Fault::Thrown { text, denies: true, .. } = &fault {
                        current.effects.denied = Some(text.clone());
                        self.denial.set(text);
                    }
                    current.ended = Some(Err(fault));
                }
                return Ok(None);
            }
            _ => {}
        }
        if arguments.len() > MAX_ARGUMENTS {
            return Err(format!("more than {MAX_ARGUMENTS} octets were given to {name}"));
        }
        let arguments_read: Vec<Value> = serde_json::from_str(arguments).map_err(|_| format!("{name} takes plain data, not too deep"))?;
        if !arguments_read.iter().all(|argument| within(argument, MAX_LEVELS)) {
            return Err(format!("{name} takes data of at most {MAX_LEVELS} levels"));
        }
        let first = || arguments_read.first().and_then(Value::as_str).unwrap_or_default();
        match name {
            "log" => {
                let line = first();
                current.log(line);
                Ok(None)
            }
            "timer" => self.timer(current, &arguments_read),
            "timer.clear" => {
                let number = arguments_read.first().and_then(Value::as_u64);
                current.timers.retain(|(_, known)| Some(u64::from(*known)) != number);
                Ok(None)
            }
            "fetch" => self.fetch(current, &arguments_read),
            _ => {
                current.octets = current.octets.saturating_add(arguments.len());
                if current.octets > MAX_ARGUMENTS {
                    return Err(format!("a script may change no more than {MAX_ARGUMENTS} octets"));
                }
                let is_rule = current.script.kind == Kind::Rule;
                let mut notes = Vec::new();
                let mut call = api::Call {
                    script: &current.script,
                    view: &current.view,
                    cache: &self.cache,
                    mask: &mut current.mask,
                    effects: &mut current.effects,
                    notes: &mut notes,
                };
                let answer = if is_rule { call.of_rule(name, &arguments_read) } else { call.of_action(name, &arguments_read) };
                if let Some(message) = &current.effects.denied {
                    self.denial.set(message);
                }
                for note in notes {
                    current.log(&note);
                }
                answer.map(|answer| answer.map(|answer| answer.to_string()))
            }
        }
    }

    fn ended(&self) -> Option<Result<(), Fault>> {
        self.current.borrow().as_ref().and_then(|current| current.ended.clone())
    }

    fn wait(&self, until: Instant) -> Waited {
        loop {
            let (timer, waits) = {
                let current = self.current.borrow();
                let Some(current) = current.as_ref() else { return Waited::Nothing };
                (current.timers.iter().min().copied(), !current.waiting.is_empty())
            };
            let next = match (timer, waits) {
                (None, false) => return Waited::Nothing,
                (Some((at, _)), _) => at.min(until),
                (None, true) => until,
            };
            match self.arrived.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok((number, answer)) => {
                    if self.current.borrow_mut().as_mut().is_some_and(|current| current.answered(number)) {
                        return Waited::Wake(number, answer.to_string());
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if Instant::now() >= until => return Waited::Time,
                Err(_) => {
                    if let Some((at, number)) = timer.filter(|(at, _)| Instant::now() >= *at) {
                        if let Some(current) = self.current.borrow_mut().as_mut() {
                            current.timers.retain(|known| *known != (at, number));
                        }
                        return Waited::Wake(number, "null".to_owned());
                    }
                }
            }
        }
    }
}

impl Current {
    fn log(&mut self, line: &str) {
        let log = &mut self.effects.log;
        if log.len() < MAX_LINES {
            // Cut only after masking, or the half of a secret would stay.
            let masked = self.mask.text(line);
            log.push(
                masked.chars().take(MAX_LINE).map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect(),
            );
        } else if log.len() == MAX_LINES {
            log.push(format!("(more than {MAX_LINES} lines)"));
        }
    }

    fn answered(&mut self, number: u32) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|known| *known != number);
        self.waiting.len() < before
    }
}
