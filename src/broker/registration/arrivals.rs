//! How often one address may register clients: counted for each hour, on each node.
//!
//! Of IPv6 both the /64 of the address and its /48 are counted: whoever has the one may well have the other.

use crate::broker::limits::{network, site};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

const HOUR: i64 = 3600;

/// Addresses that are counted; who comes later in the hour is refused.
const MANY: usize = 50_000;

/// Networks whose number of registrations a whole /48 has.
const NETWORKS: u32 = 4;

/// A prefix, and how many bits of it count in IPv6: a /48 and the first /64 of it are written alike.
type Network = (IpAddr, u8);

#[derive(Debug, Default)]
pub struct Arrivals {
    hour: Mutex<(i64, HashMap<Network, u32>)>,
}

impl Arrivals {
    /// # Errors
    /// [`ErrorKind::TooManyRequests`] for more than `limit` in the hour.
    pub fn take(&self, address: IpAddr, limit: u32, now: Timestamp) -> Result<()> {
        let left = (HOUR - now.seconds().rem_euclid(HOUR)).unsigned_abs();
        let refuse =
            || Error::new(ErrorKind::TooManyRequests, "too many registrations from this address; try again in an hour").again_in(left);
        let mut counted = self.hour.lock().unwrap_or_else(PoisonError::into_inner);
        let (hour, addresses) = &mut *counted;
        let this = now.seconds().div_euclid(HOUR);
        if *hour != this {
            *hour = this;
            addresses.clear();
        }
        let site = site(address).map(|site| ((site, 48), limit.saturating_mul(NETWORKS)));
        let wanted = [((network(address), 64), limit)].into_iter().chain(site);
        let fits = |(key, limit): (Network, u32)| match addresses.get(&key) {
            Some(count) => *count < limit,
            None => addresses.len() < MANY,
        };
        if !wanted.clone().all(fits) {
            return Err(refuse());
        }
        for (key, _) in wanted {
            *addresses.entry(key).or_insert(0) += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_registers_so_often_in_an_hour() {
        let (arrivals, start) = (Arrivals::default(), Timestamp::from_seconds(1_800_000_000));
        let take = |address: &str, now: Timestamp| arrivals.take(address.parse().expect("an address"), 2, now).map_err(|error| error.kind);
        assert_eq!([take("192.0.2.1", start), take("::ffff:192.0.2.1", start)], [Ok(()), Ok(())]);
        assert_eq!(take("192.0.2.1", start), Err(ErrorKind::TooManyRequests));
        let later = start.plus_seconds(HOUR - 10);
        let told = arrivals.take("192.0.2.1".parse().expect("an address"), 2, later).expect_err("too often");
        assert_eq!(told.retry_after, Some(10), "until the next hour");
        assert_eq!(take("192.0.2.2", start), Ok(()), "another address");
        assert_eq!([take("2001:db8::1", start), take("2001:db8::2", start)], [Ok(()), Ok(())]);
        assert_eq!(take("2001:db8::ffff:3", start), Err(ErrorKind::TooManyRequests), "the same network");
        assert_eq!(take("2001:db8:0:1::1", start), Ok(()));
        assert_eq!(take("192.0.2.1", start.plus_seconds(HOUR)), Ok(()), "another hour");
    }

    #[test]
    fn a_48_registers_little_more_and_fills_nothing() {
        let (arrivals, start) = (Arrivals::default(), Timestamp::from_seconds(1_800_000_000));
        let take = |address: String| arrivals.take(address.parse().expect("an address"), 2, start).is_ok();
        let good = (0..1000).filter(|number| take(format!("2001:db8:0:{number:x}::1"))).count();
        assert_eq!(good, 8);
        assert_eq!(arrivals.hour.lock().expect("whole").1.len(), 9);
        assert!(take("2001:db8:1::1".to_owned()), "another customer");
    }
}
