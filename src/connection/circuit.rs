//! A provider or directory that fails again and again is left alone for a while: people are told at once, and nobody waits for a time-out.

use super::outbound::asker::Asked;
use crate::clock::Timestamp;
use crate::oidc::rp::Rejection;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Failures in a row after which it is left alone.
const FAILURES: u32 = 5;
/// Seconds after which one question is let through again.
const OPEN: i64 = 30;
/// What stands before a provider says so where there is no provider behind it (RFC 9110 15.6).
const AWAY: [u16; 3] = [502, 503, 504];

/// See the module. One for each provider.
#[derive(Debug, Default)]
pub struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Timestamp>,
}

impl Circuit {
    /// Is the provider left alone?
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state().open_until.is_some_and(|until| now < until)
    }

    /// May it be asked? After the pause one question may, and the others when that has been answered, or given up.
    pub fn turn(&self, now: Timestamp) -> Option<Turn<'_>> {
        let mut state = self.state();
        let alone = match state.open_until {
            None => None,
            Some(until) if now < until => return None,
            Some(_) => Some(now.plus_seconds(OPEN)),
        };
        state.open_until = alone;
        Some(Turn { circuit: self, now, alone })
    }

    fn note(&self, good: bool, now: Timestamp) {
        let mut state = self.state();
        if good {
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.open_until = Some(now.plus_seconds(OPEN));
        }
    }

    /// # Errors
    /// When it is left alone; `what`: which of its endpoints nobody asks.
    pub fn check(&self, what: &'static str, now: Timestamp) -> Result<(), Rejection> {
        if self.is_open(now) { Err(left_alone(what)) } else { Ok(()) }
    }

    /// A question, if it is not left alone, by whose answer the next ones are judged: whatever the provider says of the
    /// question, it works, unless it says that it does not. A status of 500 says that of one question only, which somebody may
    /// have made so on purpose.
    pub async fn guarded(
        &self,
        what: &'static str,
        now: Timestamp,
        answer: impl Future<Output = Result<Asked, String>> + Send,
    ) -> Result<Asked, Rejection> {
        let turn = self.turn(now).ok_or_else(|| left_alone(what))?;
        let answer = answer.await;
        turn.note(answer.as_ref().is_ok_and(|answer| !AWAY.contains(&answer.status)));
        let answer = answer.map_err(|why| Rejection::ProviderUnreachable { what, why })?;
        if answer.status >= 500 {
            let why = format!("it answers with status {}", answer.status);
            return Err(Rejection::ProviderUnreachable { what, why });
        }
        Ok(answer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to ask. Dropped, it says nothing of the provider, and another may ask instead: whoever asked may have gone away, or
/// have made the question such that nobody can tell.
#[derive(Debug)]
pub struct Turn<'a> {
    circuit: &'a Circuit,
    now: Timestamp,
    /// Until when the others wait for the answer to this question, if they do.
    alone: Option<Timestamp>,
}

impl Turn<'_> {
    /// What came of the question.
    pub fn note(mut self, good: bool) {
        self.alone = None;
        self.circuit.note(good, self.now);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.circuit.state();
        if self.alone.is_some() && state.open_until == self.alone {
            state.open_until = Some(self.now);
        }
    }
}

/// Why nobody was asked.
pub const LEFT_ALONE: &str = "it has failed again and again, and is asked again in half a minute";

fn left_alone(what: &'static str) -> Rejection {
    Rejection::ProviderUnreachable { what, why: LEFT_ALONE.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let circuit = Circuit::default();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                circuit.note(false, NOW);
            }
            assert!(may_ask(&circuit, NOW) && !circuit.is_open(NOW));
            circuit.note(true, NOW);
        }
        for _ in 0..FAILURES {
            circuit.note(false, NOW);
        }
        assert!(circuit.is_open(NOW) && !may_ask(&circuit, NOW.plus_seconds(OPEN - 1)));
    }

    #[test]
    fn one_question_finds_out_whether_it_closes() {
        let circuit = Circuit::default();
        for _ in 0..FAILURES {
            circuit.note(false, NOW);
        }
        let later = NOW.plus_seconds(OPEN);
        let turn = circuit.turn(later).expect("one question");
        assert!(!may_ask(&circuit, later) && circuit.is_open(later));
        turn.note(false);
        assert!(circuit.is_open(later.plus_seconds(OPEN - 1)));
        let again = later.plus_seconds(OPEN);
        circuit.turn(again).expect("one question").note(true);
        assert!(may_ask(&circuit, again) && may_ask(&circuit, again) && !circuit.is_open(again));
    }

    #[tokio::test]
    async fn who_goes_away_before_the_answer_keeps_nobody_out() {
        let circuit = Circuit::default();
        for _ in 0..FAILURES {
            circuit.note(false, NOW);
        }
        let later = NOW.plus_seconds(OPEN);
        let mut asked = Box::pin(circuit.guarded("token endpoint", later, std::future::pending()));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(asked.as_mut().poll(cx).is_pending())).await);
        assert!(!may_ask(&circuit, later), "others wait for its answer");
        drop(asked);
        let answer = Asked { status: 200, content_type: String::new(), body: Vec::new() };
        assert!(circuit.guarded("token endpoint", later, std::future::ready(Ok(answer))).await.is_ok());
        // An old turn that ends late says nothing of a circuit that has opened again since.
        for _ in 0..FAILURES {
            circuit.note(false, later);
        }
        let again = later.plus_seconds(OPEN);
        let old = circuit.turn(again);
        circuit.note(false, again.plus_seconds(1));
        drop(old);
        assert!(circuit.is_open(again.plus_seconds(OPEN)));
    }

    /// Whether one may, without asking.
    fn may_ask(circuit: &Circuit, now: Timestamp) -> bool {
        circuit.turn(now).is_some()
    }

    #[tokio::test]
    async fn what_an_answer_says_of_one_question_says_nothing_of_the_provider() {
        for (status, counts) in [(200, false), (400, false), (500, false), (501, false), (502, true), (503, true), (504, true), (0, true)] {
            let circuit = Circuit::default();
            for _ in 0..FAILURES {
                let answer = Asked { status, content_type: String::new(), body: Vec::new() };
                let answer = if status == 0 { Err("no answer in time".to_owned()) } else { Ok(answer) };
                let told = circuit.guarded("token endpoint", NOW, std::future::ready(answer)).await;
                assert_eq!(told.is_ok(), (1..500).contains(&status), "{status}");
            }
            assert_eq!(circuit.is_open(NOW), counts, "{status}");
        }
    }
}
