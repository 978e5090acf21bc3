//! The session stores: [`embedded`] for one node, [`redis`] for several.
//!
//! Which one is said by a URL: `memory:` (optionally `memory:?size=512`, in MiB), `redis://`, `redis+sentinel://`,
//! `redis+cluster://`, and their `rediss` forms with TLS.
//!
//! A key belongs to one family of verbs: put and take, put and consume, claim, or append and list. A stored value that
//! begins with a NUL byte is a mark (a claim or a tombstone) and is never given out as a value.

pub mod embedded;
mod list;
pub mod redis;

use super::SessionStore;
use crate::error::{Error, ErrorKind, Result};
use embedded::EmbeddedSessions;
use redis::RedisSessions;
use std::sync::Arc;

/// First byte of every mark, so that a mark is told from a value wherever both may stand.
const MARK: u8 = 0;

/// Ten years: a longer life is a mistake somewhere, and Redis refuses numbers that overflow.
const MAX_TTL: u64 = 315_360_000;

/// Opens the session store at `url`. Connects to nothing yet: a Redis that is down shows at the first call.
pub fn open_sessions(url: &str) -> Result<Arc<dyn SessionStore>> {
    Ok(match parse(url)? {
        Place::Memory { bytes } => Arc::new(EmbeddedSessions::new(bytes)),
        Place::Redis(place) => Arc::new(RedisSessions::new(*place)?),
    })
}

/// Would [`open_sessions`] understand this URL?
pub fn check_url(url: &str) -> Result<()> {
    open_sessions(url).map(|_| ())
}

enum Place {
    Memory { bytes: u64 },
    Redis(Box<redis::Place>),
}

fn parse(url: &str) -> Result<Place> {
    if let Some(rest) = url.strip_prefix("memory:") {
        let mebibytes = match rest {
            "" => Some(embedded::DEFAULT_SIZE >> 20),
            _ => rest.strip_prefix("?size=").and_then(|size| size.parse().ok()).filter(|size| (1..=1 << 20).contains(size)),
        };
        let mebibytes = mebibytes.ok_or_else(|| wrong("memory: takes nothing but ?size= in MiB, such as memory:?size=256"))?;
        return Ok(Place::Memory { bytes: mebibytes << 20 });
    }
    redis::Place::parse(url).map(|place| Place::Redis(Box::new(place)))
}

/// A URL problem; `detail` never repeats the URL, which may hold a password.
fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, detail)
}

/// Redis refuses a life of 0 seconds, and a mark must live at least a moment.
fn life(ttl: u64) -> u64 {
    ttl.clamp(1, MAX_TTL)
}

/// What stands in the store for a claim or a tombstone.
fn mark(tombstone: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(tombstone.len() + 1);
    stored.push(MARK);
    stored.extend_from_slice(tombstone);
    stored
}

fn is_mark(stored: &[u8]) -> bool {
    stored.first() == Some(&MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_mean_something_are_taken() {
        for url in [
            "memory:",
            "memory:?size=64",
            "redis://localhost",
            "redis://:secret@localhost:6380/3",
            "rediss://user:p%40ss@redis.example:6380",
            "redis://[::1]:6379/1",
            "redis+sentinel://a,b:26380/mymaster",
            "redis+sentinel://:secret@a:26379,b:26379/mymaster/2?sentinel_password=other",
            "rediss+sentinel://a/mymaster",
            "redis+cluster://a:7000,b:7001",
            "rediss+cluster://:secret@a",
        ] {
            assert!(check_url(url).is_ok(), "{url}: {:?}", check_url(url).err());
        }
    }

    #[test]
    fn other_urls_are_refused_without_repeating_them() {
        for url in [
            "",
            "memory",
            "memory:?size=0",
            "memory:?size=x",
            "memory://x",
            "http://hunter2@localhost",
            "redis:/hunter2",
            "redis://",
            "redis://:hunter2@",
            "redis://:hunter2@a,b",
            "redis://:hunter2@localhost/hunter2",
            "redis://:hunter2@localhost:99999",
            "rediss://:hunter2@localhost/#insecure",
            "redis://:hunter2@localhost/?hunter2=1",
            "redis+sentinel://:hunter2@a",
            "redis+sentinel://:hunter2@a/",
            "redis+sentinel://:hunter2@a/b/hunter2",
            "redis+cluster://:hunter2@a/1",
            "redis+cluster://:hunter2@a,,b",
        ] {
            let error = check_url(url).expect_err(url);
            assert_eq!(error.kind, ErrorKind::Misconfigured, "{url}");
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
        }
    }
}
