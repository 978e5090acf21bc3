//! How often one address may register clients: counted for each hour, on each node.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

const HOUR: i64 = 3600;

/// Addresses that are counted; who comes later in the hour is refused.
const MANY: usize = 50_000;

#[derive(Debug, Default)]
pub struct Arrivals {
    hour: Mutex<(i64, HashMap<IpAddr, u32>)>,
}

impl Arrivals {
    /// # Errors
    /// [`ErrorKind::TooManyRequests`] for more than `limit` in the hour.
    pub fn take(&self, address: IpAddr, limit: u32, now: Timestamp) -> Result<()> {
        let refuse = || Error::new(ErrorKind::TooManyRequests, "too many registrations from this address; try again in an hour");
        let mut counted = self.hour.lock().unwrap_or_else(PoisonError::into_inner);
        let (hour, addresses) = &mut *counted;
        let this = now.seconds() / HOUR;
        if *hour != this {
            *hour = this;
            addresses.clear();
        }
        let address = network(address);
        if addresses.len() >= MANY && !addresses.contains_key(&address) {
            return Err(refuse());
        }
        let count = addresses.entry(address).or_insert(0);
        if *count >= limit {
            return Err(refuse());
        }
        *count += 1;
        Ok(())
    }
}

/// Whoever has one address of IPv6 has a /64 of them.
pub(in crate::broker) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        },
        IpAddr::V4(_) => address,
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
        assert_eq!(take("192.0.2.2", start), Ok(()), "another address");
        assert_eq!([take("2001:db8::1", start), take("2001:db8::2", start)], [Ok(()), Ok(())]);
        assert_eq!(take("2001:db8::ffff:3", start), Err(ErrorKind::TooManyRequests), "the same network");
        assert_eq!(take("2001:db8:0:1::1", start), Ok(()));
        assert_eq!(take("192.0.2.1", start.plus_seconds(HOUR)), Ok(()), "another hour");
    }
}
