//! The session store of a single node: in this process, gone with it unless written down ([`SessionStore::export`]).
//!
//! Values live in a cache bounded in bytes; when it is full, those unused for longest go first, and somebody has to
//! sign in again. Marks (claims and tombstones) are what makes replays fail, so they are never evicted: they
//! live in a table of their own, bounded too, and when that is full new ones are refused.

use super::list::List;
use super::{MARK, is_mark, life, mark};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Consumed, Later, Op, SavedEntry, SessionStore};
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// 256 MiB: three quarters for values, one quarter for marks.
pub const DEFAULT_SIZE: u64 = 256 << 20;

/// What an entry costs beside its key and value, about.
const OVERHEAD: usize = 192;

/// How many expired marks one call clears away at most, so that no call pays for all.
const SWEEP: usize = 32;

pub struct EmbeddedSessions {
    values: Cache<String, Entry>,
    marks: Mutex<Marks>,
}

#[derive(Clone)]
struct Entry {
    stored: Stored,
    expires_at: Timestamp,
    life: Duration,
}

#[derive(Clone)]
enum Stored {
    Value(Arc<[u8]>),
    /// A list, and its size in bytes when this entry was made.
    List(List, usize),
}

impl Entry {
    fn new(stored: Stored, expires_at: Timestamp, now: Timestamp) -> Self {
        let millis = u64::try_from(expires_at.millis().saturating_sub(now.millis())).unwrap_or(0);
        Self { stored, expires_at, life: Duration::from_millis(millis) }
    }

    fn value(self, now: Timestamp) -> Option<Vec<u8>> {
        match self.stored {
            Stored::Value(value) if self.expires_at > now => Some(value.to_vec()),
            Stored::Value(_) | Stored::List(..) => None,
        }
    }

    fn list(self, now: Timestamp) -> Option<List> {
        match self.stored {
            Stored::List(list, _) if self.expires_at > now => Some(list),
            Stored::Value(_) | Stored::List(..) => None,
        }
    }

    fn size(&self) -> usize {
        match &self.stored {
            Stored::Value(value) => value.len(),
            Stored::List(_, size) => *size,
        }
    }
}

impl EmbeddedSessions {
    /// A store of at most `bytes`, keys and values and an estimate of their overhead together.
    pub fn new(bytes: u64) -> Self {
        let marks_limit = usize::try_from(bytes / 4).unwrap_or(usize::MAX);
        let values = Cache::builder()
            .max_capacity(bytes - bytes / 4)
            .weigher(|key: &String, entry: &Entry| u32::try_from(weight(key, entry.size())).unwrap_or(u32::MAX))
            // The default policy may refuse a new entry in favour of an old one: a login that just began would be lost.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(OwnLife)
            .build();
        Self { values, marks: Mutex::new(Marks { limit: marks_limit, ..Marks::default() }) }
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &str, now: Timestamp) -> Option<Vec<u8>> {
        self.values.get(key)?.value(now)
    }

    fn put(&self, key: String, value: Vec<u8>, expires_at: Timestamp, now: Timestamp) {
        self.values.insert(key, Entry::new(Stored::Value(value.into()), expires_at, now));
    }

    /// The entry is made anew at every append, so that the cache knows its weight and its life.
    fn append(&self, key: String, value: Vec<u8>, keep: usize, expires_at: Timestamp, now: Timestamp) {
        self.values.entry(key).and_upsert_with(|existing| {
            let list = existing.and_then(|entry| entry.into_value().list(now)).unwrap_or_default();
            let size = list.push(value, keep);
            Entry::new(Stored::List(list, size), expires_at, now)
        });
    }

    fn remove(&self, key: &str, now: Timestamp) -> Option<Vec<u8>> {
        self.values.remove(key)?.value(now)
    }

    fn consume_now(&self, key: &str, tombstone: &[u8], ttl: u64, now: Timestamp) -> Result<Consumed> {
        // The lock is held over both tables: of two consumers the second finds the first one's tombstone.
        let mut marks = self.marks();
        if let Some(stored) = marks.get(key, now) {
            return Ok(Consumed::Used(stored.get(1..).unwrap_or_default().to_vec()));
        }
        marks.room_for(key, tombstone, now)?;
        let Some(value) = self.remove(key, now) else { return Ok(Consumed::Absent) };
        marks.set(key, mark(tombstone).into(), expiry(now, ttl));
        Ok(Consumed::Fresh(value))
    }

    fn commit_now(&self, ops: Vec<Op>, now: Timestamp) -> Result<Vec<bool>> {
        let mut marks = None;
        let mut ours = Vec::new();
        // Claims first: when there is no room for one, nothing has been written.
        for op in &ops {
            if let Op::Claim { key, ttl } = op {
                let marks = marks.get_or_insert_with(|| self.marks());
                let free = marks.get(key, now).is_none();
                if free {
                    marks.room_for(key, &[], now)?;
                    marks.set(key, mark(&[]).into(), expiry(now, *ttl));
                }
                ours.push(free);
            }
        }
        drop(marks);
        let mut ours = ours.into_iter();
        Ok(ops.into_iter().map(|op| self.write(op, &mut ours, now)).collect())
    }

    fn write(&self, op: Op, claimed: &mut impl Iterator<Item = bool>, now: Timestamp) -> bool {
        match op {
            Op::Claim { .. } => return claimed.next().unwrap_or(false),
            Op::Put { key, value, ttl } => self.put(key, value, expiry(now, ttl), now),
            Op::Append { key, value, keep, ttl } => self.append(key, value, keep, expiry(now, ttl), now),
            Op::Delete { key } => {
                self.values.invalidate(&key);
                self.marks().delete(&key);
            }
        }
        true
    }
}

impl SessionStore for EmbeddedSessions {
    fn get_many<'a>(&'a self, keys: &'a [String]) -> Later<'a, Vec<Option<Vec<u8>>>> {
        let now = Timestamp::now();
        ready(Ok(keys.iter().map(|key| self.get(key, now)).collect()))
    }

    fn take<'a>(&'a self, key: &'a str) -> Later<'a, Option<Vec<u8>>> {
        ready(Ok(self.remove(key, Timestamp::now())))
    }

    fn consume<'a>(&'a self, key: &'a str, tombstone: Vec<u8>, ttl: u64) -> Later<'a, Consumed> {
        ready(self.consume_now(key, &tombstone, ttl, Timestamp::now()))
    }

    fn list<'a>(&'a self, key: &'a str, limit: usize) -> Later<'a, Vec<Vec<u8>>> {
        let list = self.values.get(key).and_then(|entry| entry.list(Timestamp::now()));
        ready(Ok(list.map(|list| list.newest(limit)).unwrap_or_default()))
    }

    fn commit(&self, ops: Vec<Op>) -> Later<'_, Vec<bool>> {
        ready(self.commit_now(ops, Timestamp::now()))
    }

    /// Also clears away what has expired: whoever watches this node's health keeps its idle memory small.
    fn ping(&self) -> Later<'_, ()> {
        self.values.run_pending_tasks();
        self.marks().sweep(Timestamp::now(), usize::MAX);
        ready(Ok(()))
    }

    fn export(&self) -> Vec<SavedEntry> {
        let now = Timestamp::now();
        let values = self.values.iter().map(|(key, entry)| {
            let (key, value) = match &entry.stored {
                Stored::Value(value) => (key.to_string(), value.to_vec()),
                Stored::List(list, _) => list.to_saved(&key),
            };
            SavedEntry { key, value, expires_at: entry.expires_at }
        });
        let mut entries: Vec<SavedEntry> = values.collect();
        let marks = self.marks();
        entries.extend(marks.by_key.iter().map(|(key, kept)| SavedEntry {
            key: key.to_string(),
            value: kept.stored.to_vec(),
            expires_at: kept.expires_at,
        }));
        entries.retain(|entry| entry.expires_at > now);
        entries
    }

    fn import(&self, entries: Vec<SavedEntry>, now: Timestamp) {
        let mut marks = self.marks();
        for SavedEntry { key, value, expires_at } in entries {
            if expires_at <= now {
            } else if let Some((key, list, size)) = List::from_saved(&key, &value) {
                self.values.insert(key.to_owned(), Entry::new(Stored::List(list, size), expires_at, now));
            } else if is_mark(&value) {
                marks.set(&key, value.into(), expires_at);
            } else {
                self.put(key, value, expires_at, now);
            }
        }
    }
}

/// Each entry says itself how long it lives.
struct OwnLife;

impl Expiry<String, Entry> for OwnLife {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.life)
    }

    fn expire_after_update(&self, _: &String, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.life)
    }
}

/// Claims and tombstones, by key and by the moment they may go.
#[derive(Default)]
struct Marks {
    by_key: HashMap<Arc<str>, Mark>,
    by_expiry: BinaryHeap<Reverse<(Timestamp, Arc<str>)>>,
    bytes: usize,
    limit: usize,
}

struct Mark {
    /// [`MARK`] and the tombstone.
    stored: Box<[u8]>,
    expires_at: Timestamp,
}

impl Marks {
    fn get(&self, key: &str, now: Timestamp) -> Option<&[u8]> {
        self.by_key.get(key).filter(|mark| mark.expires_at > now).map(|mark| &*mark.stored)
    }

    /// Fails closed: a mark that cannot be kept must stop what it protects.
    fn room_for(&mut self, key: &str, tombstone: &[u8], now: Timestamp) -> Result<()> {
        self.sweep(now, SWEEP);
        let wanted = weight(key, tombstone.len()) + 1;
        if self.bytes + wanted > self.limit {
            self.sweep(now, usize::MAX);
        }
        if self.bytes + wanted > self.limit {
            return Err(Error::new(ErrorKind::StoreUnavailable, "The session store has no room left."));
        }
        Ok(())
    }

    fn set(&mut self, key: &str, stored: Box<[u8]>, expires_at: Timestamp) {
        debug_assert_eq!(stored.first(), Some(&MARK));
        self.delete(key);
        let key: Arc<str> = key.into();
        self.bytes += weight(&key, stored.len());
        self.by_expiry.push(Reverse((expires_at, Arc::clone(&key))));
        self.by_key.insert(key, Mark { stored, expires_at });
    }

    fn delete(&mut self, key: &str) {
        // Its place in `by_expiry` stays until its time and then finds nothing, or a later mark.
        if let Some((key, mark)) = self.by_key.remove_entry(key) {
            self.bytes -= weight(&key, mark.stored.len());
        }
    }

    fn sweep(&mut self, now: Timestamp, limit: usize) {
        for _ in 0..limit {
            match self.by_expiry.peek() {
                Some(Reverse((expires_at, _))) if *expires_at <= now => {}
                _ => break,
            }
            let Some(Reverse((expires_at, key))) = self.by_expiry.pop() else { break };
            if self.by_key.get(&key).is_some_and(|mark| mark.expires_at == expires_at) {
                self.delete(&key);
            }
        }
        if self.by_key.is_empty() && self.by_key.capacity() > 1024 {
            self.by_key.shrink_to_fit();
            self.by_expiry.shrink_to_fit();
        }
    }
}

fn expiry(now: Timestamp, ttl: u64) -> Timestamp {
    now.plus_seconds(i64::try_from(life(ttl)).unwrap_or(i64::MAX))
}

fn weight(key: &str, size: usize) -> usize {
    key.len() + size + OVERHEAD
}

fn ready<'a, T: Send + 'a>(answer: Result<T>) -> Later<'a, T> {
    Box::pin(std::future::ready(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn conforms() {
        conformance::sessions(Arc::new(EmbeddedSessions::new(DEFAULT_SIZE))).await;
    }

    #[tokio::test]
    async fn marks_are_refused_rather_than_evicted() {
        let store = EmbeddedSessions::new(1 << 20);
        let claim = |n: usize| vec![Op::Claim { key: format!("claim:{n}"), ttl: 600 }];
        let mut n = 0;
        let error = loop {
            match store.commit(claim(n)).await {
                Ok(ours) => assert_eq!(ours, [true]),
                Err(error) => break error,
            }
            n += 1;
        };
        assert_eq!(error.kind, ErrorKind::StoreUnavailable);
        assert!(n > 500, "{n}");
        for earlier in 0..n {
            assert_eq!(store.commit(claim(earlier)).await.expect("an answer"), [false]);
        }
        // A code is not spent either when its tombstone has no place.
        store.commit(vec![Op::Put { key: "code".into(), value: b"grant".to_vec(), ttl: 60 }]).await.expect("room for values");
        assert!(store.consume("code", b"t".to_vec(), 60).await.is_err());
        assert_eq!(store.take("code").await.expect("an answer"), Some(b"grant".to_vec()));
    }

    #[tokio::test]
    async fn values_are_bounded_and_the_newest_stay() {
        let store = EmbeddedSessions::new(4 << 20);
        for n in 0..200 {
            store.commit(vec![Op::Put { key: format!("k{n}"), value: vec![1; 50_000], ttl: 600 }]).await.expect("written");
            store.ping().await.expect("alive");
            let newest = [format!("k{n}")];
            assert!(store.get_many(&newest).await.expect("read")[0].is_some(), "{n} was lost at once");
        }
        assert!(store.values.weighted_size() <= 3 << 20);
    }

    #[tokio::test]
    async fn lists_count_as_much_as_they_hold() {
        let store = EmbeddedSessions::new(4 << 20);
        let append = |list: usize| vec![Op::Append { key: format!("l{list}"), value: vec![1; 10_000], keep: 20, ttl: 600 }];
        for list in 0..40 {
            for _ in 0..40 {
                store.commit(append(list)).await.expect("written");
            }
            store.ping().await.expect("alive");
            assert_eq!(store.list(&format!("l{list}"), 99).await.expect("read").len(), 20, "{list} was lost at once");
        }
        assert!((2 << 20..=3 << 20).contains(&store.values.weighted_size()), "{}", store.values.weighted_size());
        assert!(store.list("l0", 99).await.expect("read").is_empty());
    }

    #[tokio::test]
    async fn what_was_written_down_comes_back() {
        let store = EmbeddedSessions::new(DEFAULT_SIZE);
        let put = |key: &str, ttl| Op::Put { key: key.into(), value: key.as_bytes().to_vec(), ttl };
        store.commit(vec![put("session", 600), put("short", 1), put("code", 600)]).await.expect("written");
        store.commit(vec![Op::Claim { key: "assertion".into(), ttl: 600 }]).await.expect("written");
        store.consume("code", b"grant".to_vec(), 600).await.expect("consumed");
        for value in [b"first".to_vec(), b"second".to_vec()] {
            store.commit(vec![Op::Append { key: "list".into(), value, keep: 9, ttl: 600 }]).await.expect("written");
        }
        let saved = store.export();
        assert_eq!(saved.len(), 5);

        let again = EmbeddedSessions::new(DEFAULT_SIZE);
        again.import(saved, Timestamp::now().plus_seconds(30));
        assert_eq!(again.get_many(&["session".into(), "short".into()]).await.expect("read"), [Some(b"session".to_vec()), None]);
        assert_eq!(again.list("list", 9).await.expect("read"), [b"second".to_vec(), b"first".to_vec()]);
        assert_eq!(again.consume("code", b"x".to_vec(), 60).await.expect("read"), Consumed::Used(b"grant".to_vec()));
        assert_eq!(again.commit(vec![Op::Claim { key: "assertion".into(), ttl: 1 }]).await.expect("read"), [false]);
    }

    #[tokio::test]
    async fn expired_marks_give_their_room_back() {
        let mut marks = Marks { limit: 1 << 20, ..Marks::default() };
        let start = Timestamp::from_seconds(1000);
        for n in 0..1000 {
            marks.set(&format!("m{n}"), mark(&[]).into(), start.plus_seconds(n));
        }
        marks.sweep(start.plus_seconds(500), usize::MAX);
        assert_eq!(marks.by_key.len(), 499);
        marks.sweep(start.plus_seconds(5000), usize::MAX);
        assert_eq!((marks.bytes, marks.by_key.len(), marks.by_expiry.len()), (0, 0, 0));
    }
}
