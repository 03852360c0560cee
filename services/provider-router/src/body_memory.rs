//! Bound on the memory for the bodies of requests in flight, for the streams that guardrails hold, and for whole
//! answers until their clients have taken them.
//!
//! # Invariants
//! The counted bytes never exceed the bound, except for those of a single body, whose size has a limit of its own, and of
//! the copies of admitted bodies that the gateway changes, and of answers. They count until the last reference to the
//! body is dropped, wherever it is: in an attempt, in a queue, in a copy for a mirror, or on its way to a client.

mod machine;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;

/// Bytes of each body that are not counted, so that small bodies pass regardless of the number of large ones.
const UNCOUNTED: u64 = 64 << 10;
/// Number of times that the other bytes count: as they came, and in the copy that is sent to the provider, or that the
/// guardrails make.
const COPIES: u64 = 2;
/// Counted bytes of a body beyond which it leaves a quarter of the bound to smaller ones.
const LARGE: u64 = COPIES << 20;
/// Bound of a machine whose memory is not known.
const UNKNOWN_MACHINE: u64 = 1 << 30;
/// Least bound that is derived from the memory of the machine.
const LEAST: u64 = 256 << 20;

/// The bound, and the bytes that count for it.
#[derive(Clone, Debug)]
pub struct BodyMemory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    held: AtomicU64,
}

/// The memory for bodies is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many large requests and answers are in memory (`limits.max_body_memory`); try again in a moment")]
pub struct MemoryFull;

/// The counted bytes of one body. Dropping it releases them.
#[derive(Debug)]
pub struct Counted {
    memory: Arc<Inner>,
    /// Length of the body so far.
    len: u64,
    counted: u64,
}

/// A body, and the bytes that count for it.
struct Held {
    body: Bytes,
    _counted: Counted,
}

// === impl BodyMemory ===

impl BodyMemory {
    /// Creates a bound of `limit` bytes; by default, a quarter of the memory of the machine or its container.
    #[must_use]
    pub fn new(limit: Option<u64>) -> Self {
        let limit = limit.unwrap_or_else(|| default_limit(machine::memory()));
        Self(Arc::new(Inner { limit, held: AtomicU64::new(0) }))
    }

    /// Returns the number of counted bytes.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.0.held.load(Relaxed)
    }

    /// Returns whether a body of `len` bytes would fit now. It may be refused nevertheless once it has come.
    #[must_use]
    pub fn has_room(&self, len: u64) -> bool {
        let counted = counted(len);
        counted == 0 || self.0.after(self.held(), 0, counted).is_some()
    }

    /// Returns a body whose bytes count until its last reference is dropped.
    ///
    /// # Errors
    /// Fails if it does not fit.
    pub fn hold(&self, body: Bytes) -> Result<Bytes, MemoryFull> {
        let mut counted = self.begin();
        counted.grow(body.len())?;
        Ok(counted.hold(body))
    }

    /// Returns a changed copy of a body that has been admitted, or the answer to it, whose bytes count as well. It is
    /// never refused, because the request is under way.
    #[must_use]
    pub fn hold_copy(&self, copy: Bytes) -> Bytes {
        let len = copy.len() as u64;
        let counted = len.saturating_sub(UNCOUNTED);
        self.0.held.fetch_add(counted, Relaxed);
        Counted { memory: Arc::clone(&self.0), len, counted }.hold(copy)
    }

    /// Begins to count a body that is put together piece by piece.
    #[must_use]
    pub fn begin(&self) -> Counted {
        Counted { memory: Arc::clone(&self.0), len: 0, counted: 0 }
    }
}

fn counted(len: u64) -> u64 {
    len.saturating_sub(UNCOUNTED).saturating_mul(COPIES)
}

fn default_limit(memory: Option<u64>) -> u64 {
    memory.map_or(UNKNOWN_MACHINE, |bytes| (bytes / 4).max(LEAST))
}

// === impl Inner ===

impl Inner {
    /// Returns the sum with `more` bytes of a body that has `own` ones already; `None` if they do not fit.
    fn after(&self, held: u64, own: u64, more: u64) -> Option<u64> {
        let after = held.checked_add(more)?;
        let is_large = own.saturating_add(more) > LARGE;
        let limit = if is_large { self.limit - self.limit / 4 } else { self.limit };
        // With `held <= own`, no other body has any.
        (held <= own || after <= limit).then_some(after)
    }
}

// === impl Counted ===

impl Counted {
    /// Counts more bytes of the body.
    ///
    /// # Errors
    /// Fails if they do not fit; then they do not count.
    pub fn grow(&mut self, more: usize) -> Result<(), MemoryFull> {
        let len = self.len.saturating_add(more as u64);
        let more = counted(len).saturating_sub(self.counted);
        if more > 0 {
            let add = |held| self.memory.after(held, self.counted, more);
            self.memory.held.fetch_update(Relaxed, Relaxed, add).map_err(|_| MemoryFull)?;
        }
        self.len = len;
        self.counted += more;
        Ok(())
    }

    /// Ties the counted bytes to the references of a body.
    #[must_use]
    pub fn hold(self, body: Bytes) -> Bytes {
        // Nearly every body is small, and needs no owner.
        if self.counted == 0 { body } else { Bytes::from_owner(Held { body, _counted: self }) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.counted > 0 {
            self.memory.held.fetch_sub(self.counted, Relaxed);
        }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Returns a body of which `mib` MiB count, with their copy.
    fn body(mib: u64) -> Bytes {
        vec![b'x'; usize::try_from(UNCOUNTED + mib * MIB / COPIES).unwrap()].into()
    }

    #[test]
    fn bytes_count_until_the_last_reference_is_dropped() {
        let memory = BodyMemory::new(Some(64 * MIB));
        let first = memory.hold(body(20)).unwrap();
        assert_eq!(memory.held(), 20 * MIB);
        let part = first.slice(100..200);
        let copy = first.clone();
        drop(first);
        drop(copy);
        assert_eq!(memory.held(), 20 * MIB, "a part is left");
        drop(part);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn bodies_in_sum_are_bounded_and_small_ones_pass() {
        let memory = BodyMemory::new(Some(64 * MIB));
        let mut large: Vec<Bytes> = (0..4).map(|_| memory.hold(body(12)).unwrap()).collect();
        // A quarter is left to the smaller ones.
        assert_eq!((memory.held(), memory.hold(body(12))), (48 * MIB, Err(MemoryFull)));
        assert!(!memory.has_room(12 * MIB) && memory.has_room(MIB));
        let smaller: Vec<Bytes> = (0..8).map(|_| memory.hold(body(2)).unwrap()).collect();
        assert_eq!((memory.held(), memory.hold(body(2))), (64 * MIB, Err(MemoryFull)));
        // The smallest ones do not count.
        let small = memory.hold(body(0)).unwrap();
        assert_eq!((small.len() as u64, memory.held()), (UNCOUNTED, 64 * MIB));
        large.pop();
        assert_eq!(memory.hold(body(12)), Err(MemoryFull), "the smaller ones use the quarter of all");
        drop(smaller);
        assert!(memory.hold(body(12)).is_ok());
        drop(large);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_single_body_passes_whatever_its_size() {
        let memory = BodyMemory::new(Some(0));
        let one = memory.hold(body(8)).unwrap();
        assert_eq!(memory.hold(body(1)), Err(MemoryFull));
        drop(one);
        let mut counted = memory.begin();
        for _ in 0..3 {
            counted.grow(body(4).len()).unwrap();
        }
        assert!(memory.held() > 0 && memory.hold(body(1)).is_err());
        drop(counted.hold(Bytes::new()));
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_changed_copy_counts_and_is_not_refused() {
        let memory = BodyMemory::new(Some(8 * MIB));
        let first = memory.hold(body(8)).unwrap();
        let copy = memory.hold_copy(body(4));
        assert_eq!((memory.held(), memory.hold(body(1))), (10 * MIB, Err(MemoryFull)));
        drop(first);
        assert_eq!(memory.held(), 2 * MIB);
        drop(copy);
        drop(memory.hold_copy(Bytes::from_static(b"small")));
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn bytes_that_do_not_fit_do_not_count() {
        let memory = BodyMemory::new(Some(16 * MIB));
        let first = memory.hold(body(8)).unwrap();
        let mut stream = memory.begin();
        assert_eq!(stream.grow(body(1).len()), Ok(()));
        let before = memory.held();
        assert_eq!((stream.grow(body(20).len()), memory.held()), (Err(MemoryFull), before));
        drop(first);
        assert_eq!(stream.grow(body(20).len()), Ok(()), "no other body is left");
        drop(stream);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn the_default_is_a_quarter_of_the_memory() {
        for (memory, expected) in
            [(Some(8 << 30), 2 << 30), (Some(1 << 30), 256 * MIB), (Some(64 * MIB), 256 * MIB), (None, 1 << 30)]
        {
            assert_eq!(default_limit(memory), expected, "{memory:?}");
        }
    }

    proptest! {
        #[test]
        fn the_sum_never_exceeds_the_bound_but_for_a_single_body(
            limit in 0..(8 * MIB), steps in prop::collection::vec((any::<prop::sample::Index>(), 0..(4 * MIB)), 1..40),
        ) {
            let memory = BodyMemory::new(Some(limit));
            let mut bodies: Vec<Counted> = Vec::new();
            for (at, len) in steps {
                if at.index(4) == 0 && !bodies.is_empty() {
                    drop(bodies.swap_remove(at.index(bodies.len())));
                } else {
                    let mut counted = memory.begin();
                    if counted.grow(usize::try_from(len).unwrap()).is_ok() {
                        bodies.push(counted);
                    }
                }
                let counted: Vec<u64> = bodies.iter().map(|body| body.counted).filter(|bytes| *bytes > 0).collect();
                prop_assert_eq!(memory.held(), counted.iter().sum::<u64>());
                prop_assert!(memory.held() <= limit || counted.len() == 1, "{:?}", counted);
            }
        }
    }
}
