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

    /// May it be asked? After the pause one question may, and the others when that has been answered.
    pub fn may_ask(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        match state.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now.plus_seconds(OPEN));
                true
            }
        }
    }

    /// What came of a question.
    pub fn note(&self, good: bool, now: Timestamp) {
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
        if !self.may_ask(now) {
            return Err(left_alone(what));
        }
        let answer = answer.await;
        self.note(answer.as_ref().is_ok_and(|answer| !AWAY.contains(&answer.status)), now);
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
            assert!(circuit.may_ask(NOW) && !circuit.is_open(NOW));
            circuit.note(true, NOW);
        }
        for _ in 0..FAILURES {
            circuit.note(false, NOW);
        }
        assert!(circuit.is_open(NOW) && !circuit.may_ask(NOW.plus_seconds(OPEN - 1)));
    }

    #[test]
    fn one_question_finds_out_whether_it_closes() {
        let circuit = Circuit::default();
        for _ in 0..FAILURES {
            circuit.note(false, NOW);
        }
        let later = NOW.plus_seconds(OPEN);
        assert!(!circuit.is_open(later) && circuit.may_ask(later) && !circuit.may_ask(later));
        circuit.note(false, later);
        assert!(circuit.is_open(later.plus_seconds(OPEN - 1)));
        let again = later.plus_seconds(OPEN);
        assert!(circuit.may_ask(again));
        circuit.note(true, again);
        assert!(circuit.may_ask(again) && circuit.may_ask(again) && !circuit.is_open(again));
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
