//! The manner in which a provider plays every script.
//!
//! A test of streams runs twice: once in front of a provider that sends one event per write, and once in front of a
//! rude one, whose bytes are as different as a stream allows. What the client gets must be the same.

use std::cell::Cell;

use super::{Coding, Turn};

/// Bytes per write of a rude provider: events begin and end at any byte of a write.
const PIECE: usize = 5;

thread_local! {
    static IS_RUDE: Cell<bool> = const { Cell::new(false) };
}

/// Restores the manner of the thread when dropped.
struct Restore(bool);

/// Runs `test` so that every fake provider it starts on its own thread is rude.
pub fn rudely<T>(test: impl FnOnce() -> T) -> T {
    let _restore = Restore(IS_RUDE.replace(true));
    test()
}

/// Returns whether providers that are started on this thread are rude.
pub(crate) fn is_rude() -> bool {
    IS_RUDE.get()
}

impl Drop for Restore {
    fn drop(&mut self) {
        IS_RUDE.set(self.0);
    }
}

// === impl Turn ===

impl<C> Turn<C> {
    /// Sends the answer as rudely as the turn allows: events joined and cut at odd places, with comments and CRLF; also
    /// compressed, if the client `may_decode`. What the turn itself says about its delivery takes precedence.
    pub(crate) fn rude(mut self, may_decode: bool) -> Self {
        let delivery = &mut self.delivery;
        if delivery.drip_ms.is_some() || delivery.length_off_by != 0 {
            return self;
        }
        delivery.odd_lines = true;
        delivery.split = delivery.split.or(Some(PIECE));
        // Events that wait for something are sent when it has happened.
        if !delivery.gated && delivery.delay_ms == 0 {
            delivery.join = delivery.join.or(Some(usize::MAX));
        }
        if may_decode {
            delivery.coding = delivery.coding.or(Some(Coding::Gzip));
        }
        self
    }
}

/// Returns the bytes of an event with a comment before it, and with CRLF at the end of each line.
pub(crate) fn with_odd_lines(event: &str) -> String {
    let lines = format!(": odd\n{}", event.replace("\r\n", "\n"));
    lines.replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manner_applies_to_the_test_and_no_longer() {
        assert!(rudely(is_rude) && !is_rude());
        assert_eq!(with_odd_lines("event: a\ndata: {}\n\n"), ": odd\r\nevent: a\r\ndata: {}\r\n\r\n");
        let polite = Turn::<super::super::Chat>::default();
        let rude = polite.clone().rude(true).delivery;
        assert_eq!((rude.join, rude.split, rude.coding), (Some(usize::MAX), Some(PIECE), Some(Coding::Gzip)));
        let gated = polite.gated().split(1).rude(false).delivery;
        assert_eq!((gated.join, gated.split, gated.coding), (None, Some(1), None));
    }
}
