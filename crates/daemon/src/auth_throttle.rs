//! A rate limit for wrong client keys, per address of the sender.
//!
//! # Theory
//! Every address has a leaky bucket: [`BURST_FAILURES`] wrong keys fill it, and one leaks out every [`LEAK_INTERVAL`].
//! The only state per address is the instant at which its bucket will be empty, so an entry whose instant has passed
//! can be dropped. If too many addresses guess at the same time, those that do not fit into the table share one bucket.
//!
//! # Invariants
//! - A correct key is neither counted nor refused, because honest clients may share an address with a guessing one.
//! - The table has at most [`MAX_TRACKED_PEERS`] + 1 entries, regardless of the number of addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong keys allowed in a burst.
const BURST_FAILURES: u32 = 20;
/// Interval at which one more wrong key is allowed after the burst: twenty per minute.
const LEAK_INTERVAL: Duration = Duration::from_secs(3);
/// Maximum number of addresses in the table.
const MAX_TRACKED_PEERS: usize = 4096;
/// Key of the bucket shared by all addresses that do not fit into the table.
const OVERFLOW_PEER: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Instants at which the buckets will be empty, per address.
#[derive(Debug, Default)]
pub(crate) struct AuthThrottle(Mutex<HashMap<IpAddr, Instant>>);

// === impl AuthThrottle ===

impl AuthThrottle {
    /// Counts a wrong key.
    ///
    /// # Errors
    /// Returns the time until the next wrong key is allowed, if the bucket is full. A refused key is not counted.
    pub(crate) fn record_failure(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        // A poisoned lock is safe to use: every change is a single insertion, so a panic cannot leave a partial update.
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut who = peer_network(peer);
        if table.len() >= MAX_TRACKED_PEERS && !table.contains_key(&who) {
            table.retain(|_, empty| *empty > now);
            if table.len() >= MAX_TRACKED_PEERS {
                who = OVERFLOW_PEER;
            }
        }
        let empty = table.get(&who).map_or(now, |empty| now.max(*empty)) + LEAK_INTERVAL;
        let room = LEAK_INTERVAL * BURST_FAILURES;
        // The bucket overflows if it would take longer than `room` to become empty.
        match (empty - now).checked_sub(room) {
            Some(over) if !over.is_zero() => return Err(over),
            Some(_) => tracing::warn!(peer = %who, "too many wrong keys, further ones are answered with 429"),
            None => {}
        }
        table.insert(who, empty);
        Ok(())
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

    fn count(throttle: &AuthThrottle, peer: &str, now: Instant) -> Result<(), Duration> {
        throttle.record_failure(peer.parse().unwrap(), now)
    }

    #[test]
    fn each_address_has_its_own_leaky_bucket() {
        let (throttle, start) = (AuthThrottle::default(), Instant::now());
        for _ in 0..BURST_FAILURES {
            assert_eq!(count(&throttle, "10.0.0.1", start), Ok(()));
        }
        assert_eq!(count(&throttle, "10.0.0.1", start), Err(LEAK_INTERVAL));
        assert_eq!(count(&throttle, "::ffff:10.0.0.1", start + Duration::from_secs(1)), Err(Duration::from_secs(2)));
        assert_eq!(count(&throttle, "10.0.0.2", start), Ok(()));
        assert_eq!(count(&throttle, "10.0.0.1", start + LEAK_INTERVAL), Ok(()), "rejected keys are not counted");
        assert_eq!(count(&throttle, "10.0.0.1", start + LEAK_INTERVAL), Err(LEAK_INTERVAL));
        for _ in 0..BURST_FAILURES {
            assert_eq!(
                count(&throttle, "10.0.0.1", start + LEAK_INTERVAL * (BURST_FAILURES + 1)),
                Ok(()),
                "the bucket is empty again"
            );
        }
    }

    #[test]
    fn an_ipv6_network_shares_one_bucket() {
        let (throttle, start) = (AuthThrottle::default(), Instant::now());
        for host in 0..BURST_FAILURES {
            assert_eq!(count(&throttle, &format!("2001:db8::{host:x}"), start), Ok(()));
        }
        assert!(count(&throttle, "2001:db8::ffff:1", start).is_err());
        assert_eq!(count(&throttle, "2001:db8:0:1::1", start), Ok(()));
    }

    #[test]
    fn memory_is_bounded_for_any_number_of_addresses() {
        let (throttle, start) = (AuthThrottle::default(), Instant::now());
        let refused =
            (0..100_000_u32).filter(|n| throttle.record_failure(IpAddr::from(n.to_be_bytes()), start).is_err()).count();
        assert_eq!(
            refused,
            100_000 - MAX_TRACKED_PEERS - BURST_FAILURES as usize,
            "addresses without their own entry share one"
        );
        assert_eq!(throttle.0.lock().unwrap().len(), MAX_TRACKED_PEERS + 1);
        assert_eq!(count(&throttle, "203.0.113.1", start + LEAK_INTERVAL * (BURST_FAILURES + 1)), Ok(()));
        assert!(throttle.0.lock().unwrap().len() < 10, "entries of inactive addresses are removed");
    }
}
