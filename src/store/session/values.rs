//! Values in this process, bounded in bytes: those unused for longest go first.
//!
//! One lock's worth of plain tables. Whoever uses a value moves it to the new end of a list through all of them; when there is no
//! room, the old end goes. A second table knows who expires next. Each entry has one place in it that counts: one that turns
//! out to live longer than its place says is put back, so that a list to which all append does not fill the table.

use crate::clock::Timestamp;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// What an entry costs beside its key and value, about.
const OVERHEAD: usize = 192;

/// How many expired entries one write clears away at most, so that no call pays for all.
const SWEEP: usize = 32;

/// No slot.
const NONE: usize = usize::MAX;

/// Values by their keys. `V` says itself how many bytes it has.
pub struct Values<V> {
    slots: Vec<Option<Slot<V>>>,
    free: Vec<usize>,
    by_key: HashMap<Arc<str>, usize>,
    /// When a slot is to be looked at, and which tenant of it is meant.
    by_expiry: BinaryHeap<Reverse<(Timestamp, usize, u64)>>,
    newest: usize,
    oldest: usize,
    tenants: u64,
    bytes: usize,
    limit: usize,
}

struct Slot<V> {
    key: Arc<str>,
    value: V,
    expires_at: Timestamp,
    bytes: usize,
    newer: usize,
    older: usize,
    tenant: u64,
    /// Of its place in `by_expiry`.
    due: Timestamp,
}

/// What a key and a value of `size` bytes take.
pub fn weight(key: &str, size: usize) -> usize {
    key.len() + size + OVERHEAD
}

impl<V> Values<V> {
    /// At most `limit` bytes, by [`weight`].
    pub fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            by_expiry: BinaryHeap::new(),
            newest: NONE,
            oldest: NONE,
            tenants: 0,
            bytes: 0,
            limit,
        }
    }

    /// The value, if it lives. It is the newest then.
    pub fn get(&mut self, key: &str, now: Timestamp) -> Option<&mut V> {
        let index = *self.by_key.get(key)?;
        self.slot(index).filter(|slot| slot.expires_at > now)?;
        self.unlink(index);
        self.link(index);
        self.slot_mut(index).map(|slot| &mut slot.value)
    }

    /// Puts a value of `size` bytes in the place of another, if there is one. One that has no room at all is not kept.
    pub fn put(&mut self, key: &str, value: V, size: usize, expires_at: Timestamp, now: Timestamp) {
        self.sweep(now, SWEEP);
        let bytes = weight(key, size);
        if bytes > self.limit {
            self.remove(key, now);
            return;
        }
        match self.by_key.get(key) {
            Some(&index) => self.replace(index, value, bytes, expires_at),
            None => self.insert(key, value, bytes, expires_at),
        }
        if self.bytes > self.limit {
            self.sweep(now, usize::MAX);
        }
        while self.bytes > self.limit && self.oldest != NONE {
            self.release(self.oldest);
        }
        self.forget_places();
    }

    /// Takes the value away, and answers it if it lived.
    pub fn remove(&mut self, key: &str, now: Timestamp) -> Option<V> {
        let index = *self.by_key.get(key)?;
        let slot = self.release(index)?;
        (slot.expires_at > now).then_some(slot.value)
    }

    /// Removes what has expired, at most so many.
    pub fn sweep(&mut self, now: Timestamp, limit: usize) {
        for _ in 0..limit {
            let Some(Reverse((due, index, tenant))) = self.by_expiry.peek().copied().filter(|Reverse((due, ..))| *due <= now) else {
                break;
            };
            self.by_expiry.pop();
            let Some(slot) = self.slot_mut(index).filter(|slot| slot.tenant == tenant && slot.due == due) else { continue };
            if slot.expires_at > now {
                slot.due = slot.expires_at;
                let place = Reverse((slot.due, index, tenant));
                self.by_expiry.push(place);
            } else {
                self.release(index);
            }
        }
        if self.by_key.is_empty() && self.slots.capacity() > 1024 {
            *self = Self { tenants: self.tenants, ..Self::new(self.limit) };
        }
    }

    /// All that lives, in no order.
    pub fn iter(&self, now: Timestamp) -> impl Iterator<Item = (&str, &V, Timestamp)> {
        let living = self.slots.iter().flatten().filter(move |slot| slot.expires_at > now);
        living.map(|slot| (&*slot.key, &slot.value, slot.expires_at))
    }

    /// What all take together.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn insert(&mut self, key: &str, value: V, bytes: usize, expires_at: Timestamp) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let key: Arc<str> = key.into();
        self.tenants += 1;
        self.by_key.insert(Arc::clone(&key), index);
        self.by_expiry.push(Reverse((expires_at, index, self.tenants)));
        self.bytes += bytes;
        let slot = Slot { key, value, expires_at, bytes, newer: NONE, older: NONE, tenant: self.tenants, due: expires_at };
        if let Some(place) = self.slots.get_mut(index) {
            *place = Some(slot);
        }
        self.link(index);
    }

    fn replace(&mut self, index: usize, value: V, bytes: usize, expires_at: Timestamp) {
        self.unlink(index);
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else { return };
        let before = std::mem::replace(&mut slot.bytes, bytes);
        (slot.value, slot.expires_at) = (value, expires_at);
        if expires_at < slot.due {
            slot.due = expires_at;
            self.by_expiry.push(Reverse((expires_at, index, slot.tenant)));
        }
        self.bytes = self.bytes - before + bytes;
        self.link(index);
    }

    fn release(&mut self, index: usize) -> Option<Slot<V>> {
        self.unlink(index);
        let slot = self.slots.get_mut(index)?.take()?;
        self.by_key.remove(&slot.key);
        self.bytes -= slot.bytes;
        self.free.push(index);
        Some(slot)
    }

    /// Places of entries that are gone stay until their time, but never more of them than there are entries.
    fn forget_places(&mut self) {
        if self.by_expiry.len() < 2 * self.by_key.len() + 1024 {
            return;
        }
        let mut places = std::mem::take(&mut self.by_expiry);
        places.retain(|Reverse((due, index, tenant))| self.slot(*index).is_some_and(|slot| slot.tenant == *tenant && slot.due == *due));
        self.by_expiry = places;
    }

    fn slot(&self, index: usize) -> Option<&Slot<V>> {
        self.slots.get(index)?.as_ref()
    }

    fn slot_mut(&mut self, index: usize) -> Option<&mut Slot<V>> {
        self.slots.get_mut(index)?.as_mut()
    }

    /// Puts an entry that is in no list at the new end.
    fn link(&mut self, index: usize) {
        let before = std::mem::replace(&mut self.newest, index);
        if let Some(slot) = self.slot_mut(index) {
            (slot.newer, slot.older) = (NONE, before);
        }
        match self.slot_mut(before) {
            Some(slot) => slot.newer = index,
            None => self.oldest = index,
        }
    }

    fn unlink(&mut self, index: usize) {
        let Some((newer, older)) = self.slot(index).map(|slot| (slot.newer, slot.older)) else { return };
        match self.slot_mut(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slot_mut(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    /// What is there, the newest first, and that both directions of the list agree with the table.
    fn keys(values: &Values<u64>) -> Vec<String> {
        let walk = |begin: usize, next: fn(&Slot<u64>) -> usize| -> Vec<String> {
            let mut found = Vec::new();
            let mut index = begin;
            while let Some(slot) = values.slot(index) {
                found.push(slot.key.to_string());
                index = next(slot);
                assert!(found.len() <= values.by_key.len(), "a circle");
            }
            found
        };
        let newest_first = walk(values.newest, |slot| slot.older);
        let mut oldest_first = walk(values.oldest, |slot| slot.newer);
        oldest_first.reverse();
        assert_eq!(newest_first, oldest_first);
        assert_eq!(newest_first.len(), values.by_key.len());
        assert_eq!(values.bytes, values.slots.iter().flatten().map(|slot| slot.bytes).sum::<usize>());
        newest_first
    }

    #[test]
    fn what_was_unused_for_longest_goes_first() {
        let mut values = Values::new(3 * weight("a", 10));
        for (number, key) in ["a", "b", "c"].into_iter().enumerate() {
            values.put(key, number as u64, 10, at(100), at(0));
        }
        assert_eq!(values.get("a", at(1)), Some(&mut 0));
        values.put("d", 3, 10, at(100), at(1));
        assert_eq!(keys(&values), ["d", "a", "c"]);
        values.put("c", 4, 10 + weight("a", 10), at(100), at(1));
        assert_eq!(keys(&values), ["c", "d"], "one that grew takes the room of another");
        values.put("huge", 5, 1000, at(100), at(1));
        assert_eq!(keys(&values), ["c", "d"], "what never fits takes no room of others");
        values.put("c", 6, 1000, at(100), at(1));
        assert_eq!(keys(&values), ["d"]);
    }

    #[test]
    fn what_has_expired_is_not_there_and_gives_its_room_back() {
        let mut values = Values::new(1 << 20);
        for number in 0..500_u64 {
            values.put(&format!("k{number}"), number, 10, at(10 + number.cast_signed()), at(0));
        }
        assert_eq!((values.get("k0", at(9)).copied(), values.get("k0", at(10)).copied()), (Some(0), None));
        assert_eq!((values.remove("k1", at(11)), values.remove("k2", at(11))), (None, Some(2)));
        assert_eq!(values.iter(at(400)).count(), 109);
        values.sweep(at(400), usize::MAX);
        assert_eq!(keys(&values).len(), 109);
        // One that lives longer now, and one that ends earlier.
        values.put("k499", 1, 10, at(9000), at(400));
        values.put("k498", 1, 10, at(401), at(400));
        values.sweep(at(401), usize::MAX);
        assert!(values.by_key.contains_key("k499") && !values.by_key.contains_key("k498"));
        values.sweep(at(8999), usize::MAX);
        assert_eq!(keys(&values), ["k499"]);
        values.sweep(at(9000), usize::MAX);
        assert_eq!((values.bytes, values.by_key.len(), values.by_expiry.len()), (0, 0, 0));
    }

    #[test]
    fn entries_that_are_gone_or_written_again_and_again_do_not_fill_the_table_of_ends() {
        let mut values = Values::new(1 << 20);
        for number in 0..50_000 {
            values.put("list", 1, 10, at(1_000_000 + number), at(0));
            values.put(&format!("k{number}"), 1, 10, at(2_000_000), at(0));
            values.remove(&format!("k{number}"), at(0));
        }
        assert!(values.by_expiry.len() < 2000, "{}", values.by_expiry.len());
        assert!(values.slots.len() < 4, "{}", values.slots.len());
        assert_eq!(values.iter(at(1_049_998)).count(), 1);
        values.sweep(at(1_049_998), usize::MAX);
        assert_eq!(keys(&values), ["list"]);
    }

    /// Against a list that does all of it the slow way.
    #[test]
    fn it_does_what_a_plain_list_does() {
        let limit = 12 * weight("00", 50);
        let mut values = Values::new(limit);
        // Key, value, bytes, end; the newest last.
        let mut plain: Vec<(String, u64, usize, Timestamp)> = Vec::new();
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for step in 0..20_000_u64 {
            let now = at((step / 10).cast_signed());
            let key = format!("{:02}", random(40));
            plain.retain(|(_, _, _, end)| *end > now);
            let known = plain.iter().position(|(known, ..)| *known == key);
            match random(4) {
                0 => {
                    let expected = known.map(|place| plain.remove(place));
                    assert_eq!(values.get(&key, now).copied(), expected.as_ref().map(|(_, value, ..)| *value), "{step}");
                    plain.extend(expected);
                }
                1 => {
                    let expected = known.map(|place| plain.remove(place).1);
                    assert_eq!(values.remove(&key, now), expected, "{step}");
                }
                _ => {
                    let (size, end) = (random(100) as usize, now.plus_seconds(1 + random(60).cast_signed()));
                    values.put(&key, step, size, end, now);
                    known.map(|place| plain.remove(place));
                    plain.push((key.clone(), step, weight(&key, size), end));
                    while plain.iter().map(|(_, _, bytes, _)| bytes).sum::<usize>() > limit {
                        plain.remove(0);
                    }
                }
            }
            // Room that something expired holds may cost nobody else a place.
            let living: Vec<u64> = plain.iter().map(|(_, value, ..)| *value).collect();
            let mut found: Vec<u64> = values.iter(now).map(|(_, value, _)| *value).collect();
            found.sort_unstable();
            let mut expected = living.clone();
            expected.sort_unstable();
            assert_eq!(found, expected, "{step}");
            keys(&values);
        }
    }
}
