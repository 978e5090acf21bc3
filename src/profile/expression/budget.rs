//! How much the expressions of one mapping run may do.
//!
//! Three limits. Steps (elements that macros visit) and octets (of values that are made) do not depend on the machine: a
//! login is not refused because it came at a busy hour. Time is the limit for what those two do not foresee.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Elements that the macros of one run may visit.
pub const MAX_STEPS: usize = 25_000;
/// Octets of the values that one run may make.
pub const MAX_OCTETS: usize = 8 << 20;
/// What one run may take.
pub const TIME: Duration = Duration::from_millis(20);
/// One operation takes less than this. A longer pause between two looks at the clock is the scheduler's, and counts as
/// this much.
const LONGEST_OPERATION: Duration = Duration::from_millis(5);

/// What was spent so far. Shared with the functions that expressions call, which must be `Sync`; used by one thread.
#[derive(Debug)]
pub struct Budget {
    started: Instant,
    time: Duration,
    /// Nanoseconds after `started`.
    last_look: AtomicU64,
    nanoseconds: AtomicU64,
    steps: AtomicUsize,
    octets: AtomicUsize,
    /// 0, or which limit was passed.
    passed: AtomicU8,
}

impl Budget {
    /// Usually [`TIME`].
    pub fn new(time: Duration) -> Self {
        Self {
            started: Instant::now(),
            time,
            last_look: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            steps: AtomicUsize::new(0),
            octets: AtomicUsize::new(0),
            passed: AtomicU8::new(0),
        }
    }

    /// An expression begins: the time since the one before is not the expressions'.
    pub fn begin(&self) -> Result<(), String> {
        self.last_look.store(self.now(), Ordering::Relaxed);
        self.check()
    }

    /// One more element.
    pub fn step(&self) -> Result<(), String> {
        if self.steps.fetch_add(1, Ordering::Relaxed) >= MAX_STEPS {
            self.pass(1);
        }
        self.look();
        self.check()
    }

    /// A value of this size was made, or is about to be copied.
    pub fn take(&self, octets: usize) -> Result<(), String> {
        if self.octets.fetch_add(octets, Ordering::Relaxed).saturating_add(octets) > MAX_OCTETS {
            self.pass(2);
        }
        self.look();
        self.check()
    }

    /// The limit that was passed, even where the expression went on without minding.
    pub fn check(&self) -> Result<(), String> {
        match self.passed.load(Ordering::Relaxed) {
            0 => Ok(()),
            1 => Err(format!("the expressions of one mapping may visit {MAX_STEPS} elements, and this one would be more")),
            2 => Err(format!("the expressions of one mapping may make values of {MAX_OCTETS} octets, and this one would be more")),
            _ => Err(format!("the expressions of one mapping may take {} ms, and these took longer", self.time.as_millis())),
        }
    }

    fn look(&self) {
        let now = self.now();
        let pause = now.saturating_sub(self.last_look.swap(now, Ordering::Relaxed)).min(nanoseconds(LONGEST_OPERATION));
        if self.nanoseconds.fetch_add(pause, Ordering::Relaxed).saturating_add(pause) > nanoseconds(self.time) {
            self.pass(3);
        }
    }

    fn pass(&self, limit: u8) {
        let _ = self.passed.compare_exchange(0, limit, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        nanoseconds(self.started.elapsed())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
