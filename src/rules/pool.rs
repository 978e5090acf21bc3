//! The threads that run scripts, who waits for them, and what becomes of a thread that does not come back.
//!
//! A few built-in functions of the engine cannot be interrupted. A watching thread takes the login away from a thread that
//! is stuck in one: the script has timed out, the login goes on or ends as the script's `on_error` says, and another thread
//! takes the place of the stuck one, which ends by itself some day. Where too many are stuck, no more logins are accepted.

use super::flow::Flow;
use super::worker::{self, Shared, Ticket};
use super::{Outcome, Stats};
use crate::error::{Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// Bytes of a thread's stack; a quarter is the engine's.
const THREAD_STACK: usize = 2 * 1024 * 1024;
/// After its time a script has so long to notice, before its thread is given up.
const GRACE: Duration = Duration::from_millis(150);
/// How often the watching thread looks, while anything runs or waits.
const TICK: Duration = Duration::from_millis(20);
/// A login waits no longer than this for a thread.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Logins that wait, for each thread.
const WAITING_EACH: usize = 16;

type Reply = oneshot::Sender<Result<Outcome>>;

pub(super) struct Pool {
    threads: usize,
    shared: Shared,
    state: Mutex<State>,
    /// There is work, or the pool closes.
    work: Condvar,
    /// There is something to watch.
    watch: Condvar,
    stuck: AtomicUsize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Ticket<Reply>>>,
    running: Vec<Arc<Slot>>,
    watching: bool,
    closed: bool,
}

/// A thread, and what it is at.
struct Slot {
    ticket: Mutex<Option<Arc<Ticket<Reply>>>>,
    given_up: AtomicBool,
}

impl Pool {
    pub(super) fn new(threads: usize, shared: Shared) -> Arc<Self> {
        let (state, stuck) = (Mutex::default(), AtomicUsize::new(0));
        Arc::new(Self { threads: threads.max(1), shared, state, work: Condvar::new(), watch: Condvar::new(), stuck })
    }

    /// Runs a login's scripts; threads start with the first one.
    pub(super) async fn run(self: &Arc<Self>, flow: Flow) -> Result<Outcome> {
        let (reply, answer) = oneshot::channel();
        self.submit(flow, reply)?;
        answer.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the scripts of this login did not end")))
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        let counters = &self.shared.counters;
        Stats {
            runs: counters.runs.load(Ordering::Relaxed),
            failures: counters.failures.load(Ordering::Relaxed),
            timeouts: counters.timeouts.load(Ordering::Relaxed),
            abandoned: self.stuck.load(Ordering::Relaxed),
            busy: state.running.iter().filter(|slot| slot.lock().is_some()).count(),
            waiting: state.queue.len(),
            threads: state.running.len(),
        }
    }

    /// Threads end when what they run has ended.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.work.notify_all();
        self.watch.notify_all();
    }

    fn submit(self: &Arc<Self>, flow: Flow, reply: Reply) -> Result<()> {
        let overloaded = |detail: &str| Err(Error::new(ErrorKind::Overloaded, detail));
        if self.stuck.load(Ordering::Relaxed) >= self.most_stuck() {
            return overloaded("too many scripts do not end");
        }
        let mut state = self.lock();
        if state.queue.len() >= self.threads * WAITING_EACH {
            return overloaded("too many logins wait for their scripts");
        }
        state.queue.push_back(Arc::new(Ticket::new(flow, reply)));
        self.start_threads(&mut state);
        drop(state);
        self.work.notify_one();
        self.watch.notify_one();
        Ok(())
    }

    fn most_stuck(&self) -> usize {
        self.threads.max(2)
    }

    /// As many as there should be. A thread that the system does not give is tried again with the next login.
    fn start_threads(self: &Arc<Self>, state: &mut State) {
        while state.running.len() < self.threads {
            let slot = Arc::new(Slot { ticket: Mutex::new(None), given_up: AtomicBool::new(false) });
            let (pool, own) = (Arc::clone(self), Arc::clone(&slot));
            let started = thread::Builder::new().name("rules".to_owned()).stack_size(THREAD_STACK).spawn(move || pool.thread(&own));
            if started.is_err() {
                break;
            }
            state.running.push(slot);
        }
        if !state.watching {
            let pool = Arc::clone(self);
            state.watching = thread::Builder::new().name("rules-watch".to_owned()).spawn(move || pool.watch()).is_ok();
        }
    }

    /// A thread's life.
    fn thread(&self, slot: &Slot) {
        let mut sandbox = None;
        while let Some(ticket) = self.take(slot) {
            let went = catch_unwind(AssertUnwindSafe(|| worker::run(&ticket, &mut sandbox, &self.shared)));
            if went.is_err() {
                // What the engine looks like inside is not known.
                std::mem::forget(sandbox.take());
            }
            *slot.lock() = None;
            if let Some((flow, reply)) = ticket.take() {
                let failed = |()| Error::new(ErrorKind::Internal, "the scripts of this login did not end well");
                // Who asked may be gone.
                drop(reply.send(went.map_err(|_| failed(())).map(|()| flow.finish())));
            }
            if slot.given_up.load(Ordering::Acquire) {
                drop(sandbox.take());
                self.stuck.fetch_sub(1, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Waits for work. `None` when the pool closes.
    fn take(&self, slot: &Slot) -> Option<Arc<Ticket<Reply>>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            while let Some(ticket) = state.queue.pop_front() {
                if ticket.reply(Reply::is_closed) == Some(false) {
                    *slot.lock() = Some(Arc::clone(&ticket));
                    return Some(ticket);
                }
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The watching thread's life.
    fn watch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.closed {
            self.refuse_the_late(&mut state);
            self.give_up_the_stuck(&mut state);
            let idle = state.queue.is_empty() && state.running.iter().all(|slot| slot.lock().is_none());
            state = if idle {
                self.watch.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                drop(state);
                thread::sleep(TICK);
                self.lock()
            };
        }
    }

    fn refuse_the_late(&self, state: &mut State) {
        while let Some(ticket) = state.queue.pop_front_if(|ticket| ticket.since.elapsed() > LONGEST_WAIT) {
            if let Some((_, reply)) = ticket.take() {
                drop(reply.send(Err(Error::new(ErrorKind::Overloaded, "no thread was free for the scripts of this login"))));
            }
        }
    }

    fn give_up_the_stuck(self: &Arc<Self>, state: &mut State) {
        let mut given_up = false;
        let slots = std::mem::take(&mut state.running);
        for slot in slots {
            let ticket = slot.lock().clone();
            let counters = &self.shared.counters;
            let taken = ticket.and_then(|ticket| {
                // Set first: the thread looks at it when it finds that its login is gone.
                ticket.take_overdue(self.shared.epoch, GRACE, counters, || {
                    slot.given_up.store(true, Ordering::Release);
                    self.stuck.fetch_add(1, Ordering::Relaxed);
                })
            });
            let Some((mut flow, reply)) = taken else {
                state.running.push(slot);
                continue;
            };
            given_up = true;
            tracing::error!(abandoned = self.stuck.load(Ordering::Relaxed), "a script cannot be interrupted; its thread was given up");
            if flow.is_over() {
                drop(reply.send(Ok(flow.finish())));
            } else {
                state.queue.push_front(Arc::new(Ticket::new(flow, reply)));
            }
        }
        if given_up {
            self.start_threads(state);
            self.work.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Ticket<Reply>>>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
