//! How often a program may call the management API: a bucket of tokens for each client id, on each node.

use super::problem::Refusal;
use crate::error::ErrorKind;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The buckets of a node.
#[derive(Debug)]
pub struct Rates {
    /// Calls in a second, for as long as one likes.
    per_second: u32,
    /// Calls at once, after a pause.
    burst: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// What became of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    pub limit: u32,
    pub remaining: u32,
    /// Until the bucket is full again.
    pub full_in: Duration,
    /// Until there is a token, where there is none.
    pub next_in: Duration,
}

/// Buckets that are kept before the full ones are thrown away.
const MANY: usize = 10_000;

impl Rates {
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second.max(1), burst: burst.max(1), buckets: Mutex::default() }
    }

    /// Takes a token of a client, if there is one.
    pub fn take(&self, client_id: &str, now: Instant) -> Verdict {
        let (rate, burst) = (f64::from(self.per_second), f64::from(self.burst));
        let level = |bucket: &Bucket| (now.saturating_duration_since(bucket.at).as_secs_f64().mul_add(rate, bucket.tokens)).min(burst);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MANY {
            buckets.retain(|_, bucket| level(bucket) < burst);
        }
        let before = buckets.get(client_id).map_or(burst, level);
        let allowed = before >= 1.0;
        let tokens = if allowed { before - 1.0 } else { before };
        buckets.insert(client_id.to_owned(), Bucket { tokens, at: now });
        let seconds = |missing: f64| Duration::from_secs_f64((missing / rate).max(0.0));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the burst")]
        let remaining = tokens as u32;
        Verdict { allowed, limit: self.burst, remaining, full_in: seconds(burst - tokens), next_in: seconds(1.0 - tokens) }
    }
}

impl Verdict {
    /// # Errors
    /// 429 where there was no token.
    pub fn check(self) -> Result<(), Refusal> {
        if self.allowed {
            return Ok(());
        }
        let message = "Global limit has been reached: this client calls too often";
        Err(Refusal::new(ErrorKind::TooManyRequests, message).with_code("too_many_requests"))
    }

    /// The names that Auth0's SDKs read; `now` in Unix seconds.
    pub fn write(self, headers: &mut HeaderMap, now: i64) {
        let ceiled = |duration: Duration| i64::try_from(duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).unwrap_or(i64::MAX);
        let numbers = [
            ("x-ratelimit-limit", i64::from(self.limit)),
            ("x-ratelimit-remaining", i64::from(self.remaining)),
            ("x-ratelimit-reset", now.saturating_add(ceiled(self.full_in))),
        ];
        for (name, number) in numbers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
        if !self.allowed {
            headers.insert(RETRY_AFTER, HeaderValue::from(ceiled(self.next_in).max(1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate_and_every_client_has_its_own() {
        let (rates, start) = (Rates::new(2, 3), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let taken: Vec<(bool, u32)> = (0..4).map(|_| rates.take("a", at(0))).map(|verdict| (verdict.allowed, verdict.remaining)).collect();
        assert_eq!(taken, [(true, 2), (true, 1), (true, 0), (false, 0)]);
        assert_eq!(rates.take("a", at(400)).next_in, Duration::from_millis(100));
        assert!(rates.take("a", at(500)).allowed && !rates.take("a", at(500)).allowed);
        assert!(rates.take("b", at(500)).allowed, "another client");
        // Full again, and not fuller.
        let last = rates.take("a", at(60_000));
        assert_eq!((last.remaining, last.full_in, last.limit), (2, Duration::from_millis(500), 3));
    }

    #[test]
    fn what_is_full_is_not_kept() {
        let (rates, start) = (Rates::new(1, 1), Instant::now());
        for number in 0..MANY {
            rates.take(&number.to_string(), start);
        }
        rates.take("late", start + Duration::from_secs(10));
        assert_eq!(rates.buckets.lock().expect("whole").len(), 1);
    }

    #[test]
    fn headers_say_what_is_left() {
        let (rates, now) = (Rates::new(1, 1), Instant::now());
        let headers = |verdict: Verdict| {
            let mut headers = HeaderMap::new();
            verdict.write(&mut headers, 1000);
            let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"].map(text)
        };
        let [one, zero, reset, again] = ["1", "0", "1001", "1"].map(|text| Some(text.to_owned()));
        assert_eq!(headers(rates.take("a", now)), [one.clone(), zero.clone(), reset.clone(), None]);
        let refused = rates.take("a", now);
        assert!(refused.check().is_err());
        assert_eq!(headers(refused), [one, zero, reset, again]);
    }
}
