//! How often something may be done: meters that count on this node alone, for the addresses that ask, for the failures of
//! clients, and for registrations.
//!
//! A meter knows two things of each key at most, and of a bounded number of keys: under a flood of addresses the oldest are
//! forgotten, and nobody is refused for it. Nothing of it is shared between nodes, so that no answer waits for a store.

use super::Gateway;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use ipnet::IpNet;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So often in a while, and so often at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub times: u32,
    /// Seconds in which it may be done that often, for as long as one likes.
    pub seconds: u32,
    pub burst: u32,
}

/// Parts of a meter, so that workers seldom wait for each other.
const SHARDS: usize = 16;

/// Keys of one part that are known, before the older ones are forgotten; as many of those are kept beside them.
const KEYS: usize = 4096;

/// Counts by key (GCRA: of each key, the moment up to which its turns are used up).
#[derive(Debug)]
pub struct Meter {
    /// Microseconds that one turn takes.
    turn: i64,
    /// Microseconds by which a key may be ahead.
    ahead: i64,
    hasher: RandomState,
    shards: [Mutex<Known>; SHARDS],
}

#[derive(Debug, Default)]
struct Known {
    young: HashMap<u64, i64>,
    old: HashMap<u64, i64>,
}

impl Meter {
    pub fn new(pace: Pace) -> Self {
        let turn = (i64::from(pace.seconds.max(1)) * 1_000_000 / i64::from(pace.times.max(1))).max(1);
        Self { turn, ahead: turn * i64::from(pace.burst.max(1)), hasher: RandomState::new(), shards: Default::default() }
    }

    /// Takes a turn.
    ///
    /// # Errors
    /// How long the key has to wait for one.
    pub fn take(&self, key: &impl Hash, now: Timestamp) -> std::result::Result<(), Duration> {
        self.with(key, now, |used, now| match self.left(used, now) {
            Ok(()) => (used + self.turn, Ok(())),
            refused => (used, refused),
        })
    }

    /// Is there a turn left?
    ///
    /// # Errors
    /// As [`Meter::take`].
    pub fn look(&self, key: &impl Hash, now: Timestamp) -> std::result::Result<(), Duration> {
        self.with(key, now, |used, now| (used, self.left(used, now)))
    }

    /// Gives a turn back that was taken.
    pub fn give_back(&self, key: &impl Hash, now: Timestamp) {
        self.with(key, now, |used, now| ((used - self.turn).max(now), ()));
    }

    /// Is a turn left to a key whose turns are used up to this moment?
    fn left(&self, used: i64, now: i64) -> std::result::Result<(), Duration> {
        match used + self.turn - now {
            ahead if ahead > self.ahead => Err(micros(ahead - self.ahead)),
            _ => Ok(()),
        }
    }

    /// `change` gets the moment up to which turns are used up, now at the earliest, and says what it is from here on.
    fn with<T>(&self, key: &impl Hash, now: Timestamp, change: impl FnOnce(i64, i64) -> (i64, T)) -> T {
        let key = self.hasher.hash_one(key);
        let now = now.millis().saturating_mul(1000);
        let shard = usize::try_from(key >> 32).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(shard) else { return change(now, now).1 };
        let mut known = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.young.get(&key).or_else(|| known.old.get(&key)).copied().unwrap_or(now);
        // Further ahead than anybody comes: the clock was set back.
        let before = if before > now.saturating_add(self.ahead) { now } else { before.max(now) };
        let (after, told) = change(before, now);
        // What is not ahead is as if it were not known.
        if after > now {
            if known.young.len() >= KEYS && !known.young.contains_key(&key) {
                known.old = std::mem::take(&mut known.young);
            }
            known.young.insert(key, after);
        } else {
            known.young.remove(&key);
            known.old.remove(&key);
        }
        told
    }
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}

/// Whole seconds, rounded up.
pub fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Failures of clients, each by the network from which it came: nobody locks a client out from elsewhere. Clients that do
/// not exist are counted as those that do.
#[derive(Debug, Default)]
pub struct Failures {
    meter: Option<Meter>,
    exempt: Vec<IpNet>,
}

impl Failures {
    /// `exempt`: from where nothing is counted. A proxy that nobody has named is one address for all, and whoever fails
    /// behind it must not lock out the rest.
    pub fn new(pace: Option<Pace>, exempt: Vec<IpNet>) -> Self {
        Self { meter: pace.map(Meter::new), exempt }
    }

    fn counts(&self, address: Option<IpAddr>) -> Option<(&Meter, IpAddr)> {
        let address = address?.to_canonical();
        let exempt = self.exempt.iter().any(|network| network.contains(&address));
        self.meter.as_ref().filter(|_| !exempt).map(|meter| (meter, network(address)))
    }
}

impl Gateway {
    /// # Errors
    /// [`ErrorKind::TooManyRequests`] while a client has failed too often from this network.
    pub(super) fn check_failures(&self, client_id: &str, address: Option<IpAddr>, now: Timestamp) -> Result<()> {
        let Some((meter, network)) = self.failures.counts(address) else { return Ok(()) };
        meter.look(&(client_id, network), now).map_err(|wait| {
            let told = "this client has failed too often from this address; wait, and correct what it sends";
            Error::new(ErrorKind::TooManyRequests, told).again_in(seconds(wait))
        })
    }

    /// A client could not prove who it is, or what it presented is worth nothing.
    pub(super) fn note_failure(&self, client_id: &str, address: Option<IpAddr>, now: Timestamp) {
        if let Some((meter, network)) = self.failures.counts(address) {
            // Whoever was under way when the last turn was taken is refused the next time.
            let _ = meter.take(&(client_id, network), now);
        }
    }
}

/// Whoever has one address of IPv6 has a /64 of them.
pub fn network(address: IpAddr) -> IpAddr {
    prefix(address, 64)
}

/// What one provider gives to one customer, a /48: many networks.
pub(super) fn site(address: IpAddr) -> Option<IpAddr> {
    let site = prefix(address, 48);
    site.is_ipv6().then_some(site)
}

fn prefix(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> bits)).into(),
        },
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(START.millis() + millis)
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_pace_and_every_key_has_its_own() {
        let meter = Meter::new(Pace { times: 2, seconds: 1, burst: 3 });
        assert!((0..3).all(|_| meter.take(&"a", at(0)).is_ok()));
        assert_eq!(meter.take(&"a", at(0)), Err(Duration::from_millis(500)));
        assert_eq!(meter.take(&"a", at(400)), Err(Duration::from_millis(100)), "a refusal costs nothing");
        assert!(meter.take(&"a", at(500)).is_ok() && meter.take(&"a", at(500)).is_err());
        assert!(meter.take(&"b", at(500)).is_ok(), "another key");
        // Full again, and not fuller.
        assert!((0..3).all(|_| meter.take(&"a", at(60_000)).is_ok()) && meter.take(&"a", at(60_000)).is_err());
    }

    #[test]
    fn looking_takes_nothing() {
        let meter = Meter::new(Pace { times: 1, seconds: 60, burst: 1 });
        assert!((0..5).all(|_| meter.look(&"a", START).is_ok()));
        assert_eq!((meter.take(&"a", START), meter.look(&"a", at(59_000))), (Ok(()), Err(Duration::from_secs(1))));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let meter = Meter::new(Pace { times: 1, seconds: 1, burst: 2 });
        assert!(meter.take(&"a", at(3_600_000)).is_ok() && meter.take(&"a", at(3_600_000)).is_ok());
        assert!(meter.take(&"a", at(0)).is_ok());
    }

    #[test]
    fn a_flood_of_keys_takes_bounded_room_and_who_asks_on_is_still_known() {
        let meter = Meter::new(Pace { times: 1, seconds: 3600, burst: 1 });
        assert!(meter.take(&0_u32, START).is_ok());
        for number in 1..=200_000_u32 {
            let _ = meter.take(&number, START);
            if number % 1000 == 0 {
                assert!(meter.take(&0_u32, START).is_err(), "forgotten after {number}");
            }
        }
        let known = |shard: &Mutex<Known>| shard.lock().map(|known| known.young.len() + known.old.len()).expect("whole");
        let most = meter.shards.iter().map(known).max().expect("shards");
        assert!(most <= 2 * KEYS, "{most}");
    }

    #[tokio::test]
    async fn failures_are_counted_by_client_and_network_and_not_where_everybody_seems_to_come_from() {
        let mut gateway = crate::broker::tests::gateway().await;
        let exempt = vec!["127.0.0.0/8".parse().expect("a network")];
        gateway.failures = Failures::new(Some(Pace { times: 2, seconds: 60, burst: 2 }), exempt).into();
        let fails = |client_id: &str, address: &str| {
            let address = Some(address.parse().expect("an address"));
            gateway.note_failure(client_id, address, START);
            gateway.check_failures(client_id, address, START).map_err(|error| (error.kind, error.retry_after))
        };
        let refused = Err((ErrorKind::TooManyRequests, Some(30)));
        assert_eq!([fails("notes", "2001:db8::1"), fails("notes", "2001:db8::2")], [Ok(()), refused]);
        assert_eq!([fails("notes", "2001:db8:0:1::1"), fails("wiki", "2001:db8::1")], [Ok(()); 2]);
        assert!((0..5).all(|_| fails("notes", "127.0.0.1").is_ok() && fails("notes", "::ffff:127.0.0.1").is_ok()));
    }

    #[test]
    fn whoever_has_an_address_has_its_network() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(network(parse("2001:db8:1:2:3:4:5:6")), parse("2001:db8:1:2::"));
        assert_eq!(site(parse("2001:db8:1:2:3:4:5:6")), Some(parse("2001:db8:1::")));
        for address in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!((network(parse(address)), site(parse(address))), (parse("192.0.2.1"), None));
        }
    }
}
