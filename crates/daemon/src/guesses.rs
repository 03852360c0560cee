//! A rate limit for wrong client keys, per address of the sender.
//!
//! # Theory
//! Every address has a leaky bucket: [`BURST`] wrong keys fill it, and one leaks out every [`EVERY`]. The only state
//! per address is the instant at which its bucket will be empty, so an entry whose instant has passed can be dropped.
//! If too many addresses guess at the same time, those that do not fit into the table share one bucket.
//!
//! # Invariants
//! - A correct key is neither counted nor refused, because honest clients may share an address with a guessing one.
//! - The table has at most [`MOST`] + 1 entries, regardless of the number of addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong keys allowed in a burst.
const BURST: u32 = 20;
/// Interval at which one more wrong key is allowed after the burst: twenty per minute.
const EVERY: Duration = Duration::from_secs(3);
/// Maximum number of addresses in the table.
const MOST: usize = 4096;
/// Key of the bucket shared by all addresses that do not fit into the table.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Instants at which the buckets will be empty, per address.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<HashMap<IpAddr, Instant>>);

// === impl Guesses ===

impl Guesses {
    /// Counts a wrong key.
    ///
    /// # Errors
    /// Returns the time until the next wrong key is allowed, if the bucket is full. A refused key is not counted.
    pub(crate) fn count(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        // A poisoned lock is safe to use: every change is a single insertion, so a panic cannot leave a partial update.
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut who = network(peer);
        if table.len() >= MOST && !table.contains_key(&who) {
            table.retain(|_, empty| *empty > now);
            if table.len() >= MOST {
                who = OTHERS;
            }
        }
        let empty = table.get(&who).map_or(now, |empty| now.max(*empty)) + EVERY;
        let room = EVERY * BURST;
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
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        version_4 => version_4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(guesses: &Guesses, peer: &str, now: Instant) -> Result<(), Duration> {
        guesses.count(peer.parse().unwrap(), now)
    }

    #[test]
    fn each_address_has_its_own_leaky_bucket() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(count(&guesses, "10.0.0.1", start), Ok(()));
        }
        assert_eq!(count(&guesses, "10.0.0.1", start), Err(EVERY));
        assert_eq!(count(&guesses, "::ffff:10.0.0.1", start + Duration::from_secs(1)), Err(Duration::from_secs(2)));
        assert_eq!(count(&guesses, "10.0.0.2", start), Ok(()));
        assert_eq!(count(&guesses, "10.0.0.1", start + EVERY), Ok(()), "rejected keys are not counted");
        assert_eq!(count(&guesses, "10.0.0.1", start + EVERY), Err(EVERY));
        for _ in 0..BURST {
            assert_eq!(count(&guesses, "10.0.0.1", start + EVERY * (BURST + 1)), Ok(()), "the bucket is empty again");
        }
    }

    #[test]
    fn an_ipv6_network_shares_one_bucket() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for host in 0..BURST {
            assert_eq!(count(&guesses, &format!("2001:db8::{host:x}"), start), Ok(()));
        }
        assert!(count(&guesses, "2001:db8::ffff:1", start).is_err());
        assert_eq!(count(&guesses, "2001:db8:0:1::1", start), Ok(()));
    }

    #[test]
    fn memory_is_bounded_for_any_number_of_addresses() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        let refused = (0..100_000_u32).filter(|n| guesses.count(IpAddr::from(n.to_be_bytes()), start).is_err()).count();
        assert_eq!(refused, 100_000 - MOST - BURST as usize, "addresses without their own entry share one");
        assert_eq!(guesses.0.lock().unwrap().len(), MOST + 1);
        assert_eq!(count(&guesses, "203.0.113.1", start + EVERY * (BURST + 1)), Ok(()));
        assert!(guesses.0.lock().unwrap().len() < 10, "entries of inactive addresses are removed");
    }
}
