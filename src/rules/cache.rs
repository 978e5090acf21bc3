//! What scripts keep between logins in this process: `api.cache` of actions, and `global` of rules.
//!
//! Neither outlives the process nor reaches another one; scripts must work without.

use crate::clock::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries, octets of a key, of a value, and of all.
const MAX_ENTRIES: usize = 1000;
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 32 * 1024;
const MAX_ALL: usize = 4 * 1024 * 1024;
/// Milliseconds that a value lives unless a script says otherwise, and the most that it may say.
const DEFAULT_TTL: i64 = 15 * 60 * 1000;
const MAX_TTL: i64 = 24 * 60 * 60 * 1000;
/// Octets of `global` in JSON.
pub(super) const MAX_GLOBAL: usize = 64 * 1024;

/// A value, and until when it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) expires_at: Timestamp,
}

#[derive(Default)]
pub(super) struct Cache {
    entries: Mutex<Entries>,
    global: Mutex<Option<String>>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    octets: usize,
}

impl Cache {
    pub(super) fn get(&self, key: &str, now: Timestamp) -> Option<Entry> {
        locked(&self.entries).by_key.get(key).filter(|entry| now < entry.expires_at).cloned()
    }

    /// `ttl` in milliseconds from now; `until` in milliseconds of the epoch goes before it.
    ///
    /// # Errors
    /// The code that `api.cache.set` answers.
    pub(super) fn set(&self, key: &str, value: String, ttl: Option<i64>, until: Option<i64>, now: Timestamp) -> Result<Entry, String> {
        if key.len() > MAX_KEY {
            return Err("CacheKeySizeExceeded".to_owned());
        }
        if value.len() > MAX_VALUE {
            return Err("ItemSizeExceeded".to_owned());
        }
        let last = now.millis().saturating_add(MAX_TTL);
        let expires_at = until.unwrap_or_else(|| now.millis().saturating_add(ttl.unwrap_or(DEFAULT_TTL))).min(last);
        let entry = Entry { value, expires_at: Timestamp::from_millis(expires_at) };
        let mut entries = locked(&self.entries);
        entries.remove(key);
        let size = key.len() + entry.value.len();
        if entries.by_key.len() >= MAX_ENTRIES || entries.octets + size > MAX_ALL {
            entries.forget_expired(now);
        }
        if entries.by_key.len() >= MAX_ENTRIES || entries.octets + size > MAX_ALL {
            return Err("CacheSizeExceeded".to_owned());
        }
        entries.octets += size;
        entries.by_key.insert(key.to_owned(), entry.clone());
        Ok(entry)
    }

    /// Was it there?
    pub(super) fn delete(&self, key: &str) -> bool {
        locked(&self.entries).remove(key)
    }

    /// `global` in JSON.
    pub(super) fn global(&self) -> String {
        locked(&self.global).clone().unwrap_or_else(|| "{}".to_owned())
    }

    /// Keeps `global`; `false` where it is too large, and the earlier one stays. The last of several logins wins.
    pub(super) fn keep_global(&self, text: &str) -> bool {
        if text.len() > MAX_GLOBAL {
            return false;
        }
        let mut global = locked(&self.global);
        if global.as_deref().unwrap_or("{}") != text {
            *global = Some(text.to_owned());
        }
        true
    }
}

impl Entries {
    fn remove(&mut self, key: &str) -> bool {
        let removed = self.by_key.remove(key);
        self.octets -= removed.as_ref().map_or(0, |entry| key.len() + entry.value.len());
        removed.is_some()
    }

    fn forget_expired(&mut self, now: Timestamp) {
        self.by_key.retain(|_, entry| now < entry.expires_at);
        self.octets = self.by_key.iter().map(|(key, entry)| key.len() + entry.value.len()).sum();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_and_room_is_bounded() {
        let (cache, now) = (Cache::default(), Timestamp::from_seconds(1000));
        let entry = cache.set("a", "1".into(), None, None, now).expect("room");
        assert_eq!(entry.expires_at, now.plus_seconds(900));
        assert_eq!(cache.get("a", now.plus_seconds(899)), Some(entry));
        assert_eq!(cache.get("a", now.plus_seconds(900)), None);
        let long = cache.set("b", "2".into(), Some(i64::MAX), None, now).expect("room");
        assert_eq!(long.expires_at, now.plus_seconds(24 * 3600));
        assert_eq!(cache.set("c", "x".repeat(MAX_VALUE + 1), None, None, now), Err("ItemSizeExceeded".into()));
        assert_eq!(cache.set(&"k".repeat(257), "x".into(), None, None, now), Err("CacheKeySizeExceeded".into()));
        assert!(cache.delete("a") && !cache.delete("a"));
        for number in 0..MAX_ENTRIES - 1 {
            cache.set(&number.to_string(), String::new(), Some(1000), None, now).expect("room");
        }
        assert_eq!(cache.set("more", String::new(), None, None, now), Err("CacheSizeExceeded".into()));
        assert!(cache.set("more", String::new(), None, None, now.plus_seconds(1)).is_ok(), "the expired make room");
    }

    #[test]
    fn octets_are_bounded_and_given_back() {
        let (cache, now) = (Cache::default(), Timestamp::from_seconds(1000));
        let fits = MAX_ALL / (MAX_VALUE + 3);
        for number in 100..100 + fits {
            cache.set(&number.to_string(), "x".repeat(MAX_VALUE), None, None, now).expect("room");
        }
        assert!(cache.set("999", "x".repeat(MAX_VALUE), None, None, now).is_err());
        assert!(cache.delete("100"));
        assert!(cache.set("999", "x".repeat(MAX_VALUE), None, None, now).is_ok());
    }

    #[test]
    fn global_is_bounded() {
        let cache = Cache::default();
        assert_eq!(cache.global(), "{}");
        assert!(cache.keep_global("{\"a\":1}"));
        assert!(!cache.keep_global(&"x".repeat(MAX_GLOBAL + 1)));
        assert_eq!(cache.global(), "{\"a\":1}");
    }
}
