//! A bounded list of the embedded store, newest first, and how it is written down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a value costs beside its bytes, about.
const OVERHEAD: usize = 32;

/// Before the key of a list that is written down. No key of ours begins with a control character.
const SAVED: &str = "\u{1}list:";

/// Shared by the entries that the cache makes of it, one for each append.
#[derive(Clone, Default)]
pub struct List(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    values: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl List {
    /// Adds to the front, drops what is over `keep` at the end, and answers the size in bytes.
    pub fn push(&self, value: Vec<u8>, keep: usize) -> usize {
        let mut kept = self.kept();
        kept.bytes += value.len() + OVERHEAD;
        kept.values.push_front(value.into());
        while kept.values.len() > keep.max(1) {
            if let Some(oldest) = kept.values.pop_back() {
                kept.bytes -= oldest.len() + OVERHEAD;
            }
        }
        kept.bytes
    }

    pub fn newest(&self, limit: usize) -> Vec<Vec<u8>> {
        self.kept().values.iter().take(limit).map(|value| value.to_vec()).collect()
    }

    /// Each value behind its length, the oldest first, so that reading appends.
    pub fn to_saved(&self, key: &str) -> (String, Vec<u8>) {
        let kept = self.kept();
        let mut bytes = Vec::with_capacity(kept.bytes);
        for value in kept.values.iter().rev() {
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(value);
        }
        (format!("{SAVED}{key}"), bytes)
    }

    /// The key and the list of an entry that was written down; `None` for any other entry.
    pub fn from_saved<'k>(key: &'k str, mut bytes: &[u8]) -> Option<(&'k str, Self, usize)> {
        let key = key.strip_prefix(SAVED)?;
        let (list, mut size) = (Self::default(), 0);
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let Some((value, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
            size = list.push(value.to_vec(), usize::MAX);
            bytes = rest;
        }
        Some((key, list, size))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_what_is_kept() {
        let list = List::default();
        for n in 0..10 {
            assert_eq!(list.push(vec![0; 100], 4), (n + 1).min(4) * (100 + OVERHEAD));
        }
        assert_eq!(list.push(Vec::new(), 1), OVERHEAD);
    }

    #[test]
    fn what_was_written_down_is_read_back_and_a_torn_end_is_left_out() {
        let list = List::default();
        for value in [&b"a"[..], b"", b"\0\xff\x01"] {
            list.push(value.to_vec(), 9);
        }
        let (key, bytes) = list.to_saved("k");
        let (name, again, size) = List::from_saved(&key, &bytes).expect("a list");
        assert_eq!((name, again.newest(9), size), ("k", list.newest(9), 4 + 3 * OVERHEAD));
        let (_, torn, _) = List::from_saved(&key, &bytes[..bytes.len() - 1]).expect("a list");
        assert_eq!(torn.newest(9), [b"".to_vec(), b"a".to_vec()]);
        assert!(List::from_saved("k", &bytes).is_none());
    }
}
