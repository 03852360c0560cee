//! Wrong keys, counted by who sent them.
//!
//! # Theory
//! Every address has a bucket with a hole: [`BURST`] guesses fill it, and one leaks out every [`EVERY`]. All that is kept of
//! an address is the moment at which its bucket will be empty, so one whose moment has passed need not be kept. When too many
//! addresses guess at once, those that come last share a bucket.
//!
//! # Invariants
//! - A right key is neither counted nor refused: others may sit behind the address of somebody who guesses.
//! - However many guess, the table has at most [`MOST`] entries and one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many wrong keys may come at once …
const BURST: u32 = 20;
/// … and then one in every such while: twenty a minute.
const EVERY: Duration = Duration::from_secs(3);
/// Addresses that are kept.
const MOST: usize = 4096;
/// The address of all that the table has no room for.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// When the bucket of an address will be empty.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<HashMap<IpAddr, Instant>>);

// === impl Guesses ===

impl Guesses {
    /// Counts a wrong key.
    ///
    /// # Errors
    /// There were too many: after so long one more is taken.
    pub(crate) fn count(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        // A panic cannot leave the table half changed: every change is one insertion.
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
        match (empty - now).checked_sub(room) {
            Some(over) if !over.is_zero() => return Err(over),
            Some(_) => tracing::warn!(peer = %who, "wrong keys keep coming; for a while more are answered with 429"),
            None => {}
        }
        table.insert(who, empty);
        Ok(())
    }
}

/// Who has one address of version 6 has at least 2^64.
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
    fn a_bucket_fills_and_leaks_and_is_nobody_elses() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(count(&guesses, "10.0.0.1", start), Ok(()));
        }
        assert_eq!(count(&guesses, "10.0.0.1", start), Err(EVERY));
        assert_eq!(count(&guesses, "::ffff:10.0.0.1", start + Duration::from_secs(1)), Err(Duration::from_secs(2)));
        assert_eq!(count(&guesses, "10.0.0.2", start), Ok(()));
        assert_eq!(count(&guesses, "10.0.0.1", start + EVERY), Ok(()), "refused ones are not counted");
        assert_eq!(count(&guesses, "10.0.0.1", start + EVERY), Err(EVERY));
        for _ in 0..BURST {
            assert_eq!(count(&guesses, "10.0.0.1", start + EVERY * (BURST + 1)), Ok(()), "all has leaked out");
        }
    }

    #[test]
    fn a_network_of_version_6_is_one() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for host in 0..BURST {
            assert_eq!(count(&guesses, &format!("2001:db8::{host:x}"), start), Ok(()));
        }
        assert!(count(&guesses, "2001:db8::ffff:1", start).is_err());
        assert_eq!(count(&guesses, "2001:db8:0:1::1", start), Ok(()));
    }

    #[test]
    fn any_number_of_addresses_costs_a_bounded_amount_of_memory() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        let refused = (0..100_000_u32).filter(|n| guesses.count(IpAddr::from(n.to_be_bytes()), start).is_err()).count();
        assert_eq!(refused, 100_000 - MOST - BURST as usize, "those without a place of their own share one");
        assert_eq!(guesses.0.lock().unwrap().len(), MOST + 1);
        assert_eq!(count(&guesses, "203.0.113.1", start + EVERY * (BURST + 1)), Ok(()));
        assert!(guesses.0.lock().unwrap().len() < 10, "who has stopped is forgotten");
    }
}
