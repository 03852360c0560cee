//! A rate limit per address of the sender, such as for wrong client keys.
//!
//! # Theory
//! Every address has a leaky bucket: a burst of events fills it, and one leaks out in each interval. The only state per
//! address is the instant at which its bucket will be empty, so an entry whose instant has passed can be dropped. If too
//! many addresses send at the same time, those that do not fit into the table share one bucket.
//!
//! # Invariants
//! - The table has at most [`MAX_TRACKED_PEERS`] + 1 entries, regardless of the number of addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Maximum number of addresses in the table.
const MAX_TRACKED_PEERS: usize = 4096;
/// Key of the bucket shared by all addresses that do not fit into the table.
const OVERFLOW_PEER: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// A rate limit per address.
#[derive(Debug)]
pub struct AddressThrottle {
    /// Events allowed in a burst.
    burst: u32,
    /// Interval at which one more event is allowed after the burst.
    interval: Duration,
    /// Instants at which the buckets will be empty.
    table: Mutex<HashMap<IpAddr, Instant>>,
}

// === impl AddressThrottle ===

impl AddressThrottle {
    /// Creates a limit that allows `burst` events of an address at once, and one more in each interval.
    #[must_use]
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval, table: Mutex::default() }
    }

    /// Counts an event, and returns whether it was the last that is allowed for now.
    ///
    /// # Errors
    /// Returns the time until the next event is allowed, if the bucket is full. A refused event is not counted.
    pub fn record(&self, peer: IpAddr, now: Instant) -> Result<bool, Duration> {
        // A poisoned lock is safe to use: every change is a single insertion, so a panic cannot leave a partial update.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut who = peer_network(peer);
        if table.len() >= MAX_TRACKED_PEERS && !table.contains_key(&who) {
            table.retain(|_, empty| *empty > now);
            if table.len() >= MAX_TRACKED_PEERS {
                who = OVERFLOW_PEER;
            }
        }
        let empty = table.get(&who).map_or(now, |empty| now.max(*empty)) + self.interval;
        let room = self.interval * self.burst;
        // The bucket overflows if it would take longer than `room` to become empty.
        let over = (empty - now).checked_sub(room);
        if let Some(over) = over.filter(|over| !over.is_zero()) {
            return Err(over);
        }
        table.insert(who, empty);
        Ok(over.is_some())
    }
}

/// Returns the unit in which addresses are counted: an IPv4 address, or the /64 prefix of an IPv6 address, because a
/// holder of one IPv6 address usually has the whole prefix.
pub(crate) fn peer_network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        version_4 => version_4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 20;
    const INTERVAL: Duration = Duration::from_secs(3);

    fn throttle() -> AddressThrottle {
        AddressThrottle::new(BURST, INTERVAL)
    }

    fn count(throttle: &AddressThrottle, peer: &str, now: Instant) -> Result<(), Duration> {
        throttle.record(peer.parse().unwrap(), now).map(drop)
    }

    #[test]
    fn each_address_has_its_own_leaky_bucket() {
        let (throttle, start) = (throttle(), Instant::now());
        let peer = "10.0.0.1".parse().unwrap();
        for n in 1..=BURST {
            assert_eq!(throttle.record(peer, start), Ok(n == BURST), "only the last that is allowed says so");
        }
        assert_eq!(count(&throttle, "10.0.0.1", start), Err(INTERVAL));
        assert_eq!(count(&throttle, "::ffff:10.0.0.1", start + Duration::from_secs(1)), Err(Duration::from_secs(2)));
        assert_eq!(count(&throttle, "10.0.0.2", start), Ok(()));
        assert_eq!(count(&throttle, "10.0.0.1", start + INTERVAL), Ok(()), "rejected events are not counted");
        assert_eq!(count(&throttle, "10.0.0.1", start + INTERVAL), Err(INTERVAL));
        for _ in 0..BURST {
            assert_eq!(
                count(&throttle, "10.0.0.1", start + INTERVAL * (BURST + 1)),
                Ok(()),
                "the bucket is empty again"
            );
        }
    }

    #[test]
    fn an_ipv6_network_shares_one_bucket() {
        let (throttle, start) = (throttle(), Instant::now());
        for host in 0..BURST {
            assert_eq!(count(&throttle, &format!("2001:db8::{host:x}"), start), Ok(()));
        }
        assert!(count(&throttle, "2001:db8::ffff:1", start).is_err());
        assert_eq!(count(&throttle, "2001:db8:0:1::1", start), Ok(()));
    }

    #[test]
    fn memory_is_bounded_for_any_number_of_addresses() {
        let (throttle, start) = (throttle(), Instant::now());
        let refused =
            (0..100_000_u32).filter(|n| throttle.record(IpAddr::from(n.to_be_bytes()), start).is_err()).count();
        assert_eq!(
            refused,
            100_000 - MAX_TRACKED_PEERS - BURST as usize,
            "addresses without their own entry share one"
        );
        assert_eq!(throttle.table.lock().unwrap().len(), MAX_TRACKED_PEERS + 1);
        assert_eq!(count(&throttle, "203.0.113.1", start + INTERVAL * (BURST + 1)), Ok(()));
        assert!(throttle.table.lock().unwrap().len() < 10, "entries of inactive addresses are removed");
    }
}
