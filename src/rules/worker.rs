//! One login's scripts on one thread: from task to task, each with its own time.

use super::Kind;
use super::cache::Cache;
use super::desk::{Desk, Early};
use super::flow::{Done, Flow, Task};
use super::requests::Requests;
use super::sandbox::{Event, Fault, Sandbox, Session};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time for a new context, before any script runs.
const OPENING: Duration = Duration::from_secs(1);

/// What all threads share.
pub(super) struct Shared {
    pub(super) requests: Arc<Requests>,
    pub(super) cache: Arc<Cache>,
    pub(super) counters: Counters,
    /// From here on, times of [`Ticket::until`] are counted.
    pub(super) epoch: Instant,
}

/// What has happened since the program began.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) runs: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) timeouts: AtomicU64,
}

/// A login on its way: whoever holds the flow goes on with it.
pub(super) struct Ticket<R> {
    live: Mutex<Option<(Flow, R)>>,
    /// Milliseconds of the epoch at which the script that runs must have ended; 0 where none runs.
    until: AtomicU64,
    early: Arc<Early>,
    pub(super) since: Instant,
}

impl<R> Ticket<R> {
    pub(super) fn new(flow: Flow, reply: R) -> Self {
        let early = Arc::new(Early::default());
        Self { live: Mutex::new(Some((flow, reply))), until: AtomicU64::new(0), early, since: Instant::now() }
    }

    /// Takes the login; nobody else can go on with it.
    pub(super) fn take(&self) -> Option<(Flow, R)> {
        self.lock().take()
    }

    /// Takes the login away from a thread whose script should have ended `grace` ago, and puts the time-out to its account.
    pub(super) fn take_overdue(&self, epoch: Instant, grace: Duration, counters: &Counters, taken: impl FnOnce()) -> Option<(Flow, R)> {
        let overdue = || {
            let until = self.until.load(Ordering::Acquire);
            (until != 0).then(|| epoch + Duration::from_millis(until) + grace).is_some_and(|last| Instant::now() > last)
        };
        if !overdue() {
            return None;
        }
        let mut live = self.lock();
        // Between the two looks the script may have ended.
        if !overdue() {
            return None;
        }
        let (mut flow, reply) = live.take()?;
        taken();
        let until = epoch + Duration::from_millis(self.until.load(Ordering::Acquire));
        let denial = self.early.take();
        let fault = denial.map_or(Fault::Time, |text| Fault::Thrown { text, stack: String::new(), denies: true });
        counters.count(Some(&fault));
        counters.timeouts.fetch_add(u64::from(fault != Fault::Time), Ordering::Relaxed);
        let took = grace + Instant::now().saturating_duration_since(until);
        flow.commit(Done { run: 0, result: Err(fault), effects: super::api::Effects::default(), mask: None, took });
        Some((flow, reply))
    }

    /// Who is asked whether the answer is still wanted.
    pub(super) fn reply<T>(&self, look: impl FnOnce(&R) -> T) -> Option<T> {
        self.lock().as_ref().map(|(_, reply)| look(reply))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Flow, R)>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn count(&self, fault: Option<&Fault>) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.failures
            .fetch_add(u64::from(fault.is_some_and(|fault| !matches!(fault, Fault::Thrown { denies: true, .. }))), Ordering::Relaxed);
        self.timeouts.fetch_add(u64::from(fault == Some(&Fault::Time)), Ordering::Relaxed);
    }
}

/// Runs what is left of the login. Afterwards the ticket has it still, unless it was taken away meanwhile.
pub(super) fn run<R>(ticket: &Ticket<R>, sandbox: &mut Option<Sandbox>, shared: &Shared) {
    let mut number = 0;
    loop {
        let Some(memory) = ticket.lock().as_mut().map(|(flow, _)| {
            flow.in_new_context();
            flow.memory()
        }) else {
            return;
        };
        let desk = Rc::new(Desk::new(Arc::clone(&shared.requests), Arc::clone(&shared.cache), Arc::clone(&ticket.early)));
        let worker = Worker { ticket, shared, desk: Rc::clone(&desk) };
        let Some(opened) = sandbox.take().or_else(Sandbox::new) else {
            worker.refuse(&mut number, &Fault::Memory);
            return;
        };
        let went = opened.open(memory, Instant::now() + OPENING, desk, |session| worker.scripts(session, &mut number));
        match went {
            Ok(ControlFlow::Break(())) => {
                // A runtime in which something is left over is not used again.
                if opened.is_clean() {
                    *sandbox = Some(opened);
                }
                return;
            }
            // The context is spoiled; what is left goes on in another one.
            Ok(ControlFlow::Continue(())) => drop(opened),
            Err(fault) => {
                drop(opened);
                worker.refuse(&mut number, &fault);
                return;
            }
        }
    }
}

struct Worker<'a, R> {
    ticket: &'a Ticket<R>,
    shared: &'a Shared,
    desk: Rc<Desk>,
}

impl<R> Worker<'_, R> {
    /// Script after script; `Continue` where the context cannot be used for the next one.
    fn scripts(&self, session: &Session<'_>, number: &mut u32) -> ControlFlow<()> {
        let mut rules = false;
        loop {
            let Some((configuration, issuer, mut task)) = self.next() else { break };
            *number += 1;
            let begun = Instant::now();
            let until = begun + Duration::from_millis(task.script.limits.time);
            session.until(until);
            self.ticket.until.store(self.millis(until), Ordering::Release);
            let is_rule = task.script.kind == Kind::Rule;
            let (view, mask) = (std::mem::take(&mut task.view), std::mem::take(&mut task.mask));
            self.desk.begin(*number, Arc::clone(&task.script), view, mask, until);
            let began =
                if is_rule && !rules { session.begin_rules(&configuration, &self.shared.cache.global(), domain(&issuer)) } else { Ok(()) };
            rules |= is_rule;
            let result = began.and_then(|()| perform(session, &task, *number));
            let clean = result.is_ok() && session.drain();
            let (effects, mask) = self.desk.finish();
            let fault = result.as_ref().err().cloned();
            if !self.commit(Done { run: *number, result, effects, mask: Some(mask), took: begun.elapsed() }, fault.as_ref()) {
                return ControlFlow::Break(());
            }
            if !clean {
                return ControlFlow::Continue(());
            }
        }
        if rules {
            self.keep_global(session);
        }
        ControlFlow::Break(())
    }

    fn next(&self) -> Option<(Arc<str>, String, Task)> {
        let mut live = self.ticket.lock();
        let (flow, _) = live.as_mut()?;
        let task = flow.next()?;
        Some((flow.configuration(), flow.issuer().to_owned(), task))
    }

    /// `false` where the login was taken away.
    fn commit(&self, done: Done, fault: Option<&Fault>) -> bool {
        let mut live = self.ticket.lock();
        self.ticket.until.store(0, Ordering::Release);
        // What was refused early was noted by the script's own end.
        drop(self.ticket.early.take());
        let Some((flow, _)) = live.as_mut() else { return false };
        self.shared.counters.count(fault);
        flow.commit(done);
        true
    }

    /// No script can run: each fails.
    fn refuse(&self, number: &mut u32, fault: &Fault) {
        while self.next().is_some() {
            *number += 1;
            let effects = super::api::Effects::default();
            let done = Done { run: *number, result: Err(fault.clone()), effects, mask: None, took: Duration::ZERO };
            if !self.commit(done, Some(fault)) {
                return;
            }
        }
    }

    fn keep_global(&self, session: &Session<'_>) {
        let until = Instant::now() + OPENING;
        session.until(until);
        self.ticket.until.store(self.millis(until), Ordering::Release);
        let kept = session.kept().ok().flatten().is_some_and(|text| self.shared.cache.keep_global(&text));
        self.ticket.until.store(0, Ordering::Release);
        if !kept && let Some((flow, _)) = self.ticket.lock().as_mut() {
            flow.note("`global` is no data, or too large, and was not kept");
        }
    }

    fn millis(&self, moment: Instant) -> u64 {
        let millis = moment.saturating_duration_since(self.shared.epoch).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX).max(1)
    }
}

fn perform(session: &Session<'_>, task: &Task, number: u32) -> Result<Option<String>, Fault> {
    if task.script.kind != Kind::Rule {
        let event = Event { event: &task.event, secrets: &task.secrets, entry: task.entry, optional: task.optional };
        return session.action(number, &task.script.code, task.script.kind, &event).map(|()| None);
    }
    if let Some(texts) = &task.load {
        session.load(texts)?;
    }
    session.rule(number, &task.script.code)?;
    session.snapshot().map(Some)
}

/// `auth0.domain`: the host of the issuer.
fn domain(issuer: &str) -> &str {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}
