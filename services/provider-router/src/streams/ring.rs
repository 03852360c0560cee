//! The events of one stream that are kept, without the tasks around it.
//!
//! At most half of the bound is for events that no reader has taken, so that the other half is left for those that were
//! handed over to a connection that broke: bytes that the operating system has accepted have not arrived yet.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

/// Bytes that an event takes beside its own.
pub(super) const OVERHEAD: usize = 64;

/// Bytes of all rings of a process, and their bound.
#[derive(Debug)]
pub(super) struct Total {
    held: AtomicUsize,
    max: usize,
}

/// Bounded buffer of events. Its bytes count towards a [`Total`] until it is dropped.
#[derive(Debug)]
pub(super) struct Ring {
    kept: VecDeque<Kept>,
    /// Entries that have been removed.
    removed: u64,
    /// Number of the last event that has been removed; 0 if none has.
    pushed_out: u64,
    /// Number of the last event.
    last: u64,
    /// Entries that the reader has taken, counted from the first one of the stream.
    taken: u64,
    /// Bytes of all entries, and of those that have not been taken.
    bytes: usize,
    unread: usize,
    max: usize,
    total: Arc<Total>,
}

/// An event, or a comment between events.
#[derive(Debug)]
struct Kept {
    /// Number of the event; of a comment, that of the event before it.
    number: u64,
    bytes: Bytes,
}

/// Reason why a stream cannot be read from a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The event that would be next is not kept any more; the oldest that is kept has this number.
    PushedOut(u64),
    /// The stream has no such event yet; the last one has this number.
    Ahead(u64),
}

// === impl Total ===

impl Total {
    pub(super) const fn new(max: usize) -> Self {
        Self { held: AtomicUsize::new(0), max }
    }

    /// Returns the bytes of all rings.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Returns whether the bound is reached.
    pub(super) fn is_full(&self) -> bool {
        self.held() >= self.max
    }
}

// === impl Kept ===

impl Kept {
    fn len(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}

// === impl Ring ===

impl Ring {
    /// Creates an empty ring of at most `max` bytes.
    pub(super) fn new(max: usize, total: Arc<Total>) -> Self {
        Self { kept: VecDeque::new(), removed: 0, pushed_out: 0, last: 0, taken: 0, bytes: 0, unread: 0, max, total }
    }

    /// Returns the number of the next event.
    pub(super) const fn next_number(&self) -> u64 {
        self.last + 1
    }

    /// Returns whether an entry of `len` bytes can be added. One that is alone always can.
    pub(super) fn has_room(&self, len: usize) -> bool {
        let len = len + OVERHEAD;
        let fits = self.unread + len <= self.max / 2;
        // Entries that have been taken make room for it.
        let taken = self.bytes - self.unread;
        self.unread == 0 || fits && self.total.held() + len <= self.total.max.saturating_add(taken)
    }

    /// Adds the next event, or a comment.
    pub(super) fn push(&mut self, bytes: Bytes, is_event: bool) {
        self.last += u64::from(is_event);
        let kept = Kept { number: self.last, bytes };
        self.bytes += kept.len();
        self.unread += kept.len();
        self.total.held.fetch_add(kept.len(), Ordering::Relaxed);
        self.kept.push_back(kept);
        self.shrink();
    }

    /// Takes the next entry that the reader has not got.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let at = usize::try_from(self.taken - self.removed).ok()?;
        let kept = self.kept.get(at)?;
        self.taken += 1;
        self.unread -= kept.len();
        let bytes = kept.bytes.clone();
        self.shrink();
        Some(bytes)
    }

    /// Goes on after the event with this number; 0 for the beginning.
    ///
    /// # Errors
    /// [`NoPlace`] if the event after it is not kept, or if there is no such event.
    pub(super) fn seek(&mut self, after: u64) -> Result<(), NoPlace> {
        if after > self.last {
            return Err(NoPlace::Ahead(self.last));
        }
        if after < self.pushed_out {
            return Err(NoPlace::PushedOut(self.pushed_out + 1));
        }
        let at = self.kept.partition_point(|kept| kept.number <= after);
        self.taken = self.removed + at as u64;
        self.unread = self.kept.range(at..).map(Kept::len).sum();
        Ok(())
    }

    /// Removes the oldest entries that have been taken while a bound is exceeded.
    fn shrink(&mut self) {
        while self.removed < self.taken
            && (self.bytes > self.max || self.total.held() > self.total.max)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.removed += 1;
            self.pushed_out = oldest.number;
            self.bytes -= oldest.len();
            self.total.held.fetch_sub(oldest.len(), Ordering::Relaxed);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.total.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
