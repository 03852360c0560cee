//! Recent request bodies, with which the next body is compared.
//!
//! An agent resends its whole history with every turn, so most of a body has been seen before. Each body is compared
//! with recent ones, and only its new part is written to the database.
//!
//! To choose the body to compare with: if a new body shares at least the first half of an old one, the bytes in the
//! middle of the old one are at the same position in the new one. Comparing those few bytes of each recent body is
//! cheap; only where they match are the bodies compared in full.

use std::{collections::VecDeque, sync::Arc};

use signalbox_core::affix;
use uuid::Uuid;

/// Minimum length of a body in bytes; sharing parts of shorter bodies is not worth the cost.
const MIN_LEN: usize = 4 << 10;
/// Maximum number of bodies remembered.
const MAX_BODIES: usize = 256;
/// Maximum total bytes of the bodies remembered.
const MAX_BYTES: usize = 32 << 20;
/// Number of bytes in the middle of a body that have to match.
const ANCHOR: usize = 32;
/// Maximum number of candidates compared in full: many conversations begin with the same system message.
const MAX_COMPARED: usize = 4;

/// Recent bodies, oldest first.
#[derive(Debug, Default)]
pub(crate) struct DedupCache {
    bodies: VecDeque<(Uuid, Arc<str>)>,
    bytes: usize,
}

/// An earlier body with the same first `prefix` and last `suffix` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) with: Uuid,
    pub(crate) prefix: usize,
    pub(crate) suffix: usize,
}

impl DedupCache {
    /// Returns the recent body that shares the most bytes with `body`, at least 2 KiB at its beginning. Skips the body
    /// of the same request, which is written twice if the request was stored as pending.
    pub(crate) fn find(&self, id: Uuid, body: &str) -> Option<Shared> {
        let new = body.as_bytes();
        let candidates = self.bodies.iter().rev().filter(|(other, old)| {
            let at = old.len() / 2;
            *other != id && new.get(at..at + ANCHOR).is_some_and(|anchor| old.as_bytes()[at..at + ANCHOR] == *anchor)
        });
        let shared = candidates.take(MAX_COMPARED).map(|(id, old)| {
            let old = old.as_bytes();
            let prefix = affix::common_prefix(old, new);
            Shared { with: *id, prefix, suffix: affix::common_suffix(&old[prefix..], &new[prefix..]) }
        });
        shared.filter(|shared| shared.prefix >= MIN_LEN / 2).max_by_key(|shared| shared.prefix + shared.suffix)
    }

    /// Adds a body that is being written to the database.
    pub(crate) fn remember(&mut self, id: Uuid, body: &Arc<str>, shared: Option<Shared>) {
        if body.len() < MIN_LEN || self.bodies.iter().any(|(other, _)| *other == id) {
            return;
        }
        // A later turn of a conversation replaces the turn before it.
        if let Some(shared) = shared
            && let Some(position) = self.bodies.iter().position(|(id, _)| *id == shared.with)
            && self.bodies[position].1.len() <= shared.prefix + shared.suffix + MIN_LEN
            && let Some((_, old)) = self.bodies.remove(position)
        {
            self.bytes -= old.len();
        }
        self.bytes += body.len();
        self.bodies.push_back((id, Arc::clone(body)));
        while (self.bodies.len() > MAX_BODIES || self.bytes > MAX_BYTES)
            && let Some((_, old)) = self.bodies.pop_front()
        {
            self.bytes -= old.len();
        }
    }

    /// Clears everything, after a while without requests.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW: Uuid = Uuid::from_u128(1 << 100);

    fn body(turns: usize, seed: &str) -> String {
        let messages: Vec<String> = (0..turns)
            .map(|n| format!(r#"{{"role":"user","content":"{seed} {n} {}"}}"#, "words and ".repeat(40)))
            .collect();
        format!(r#"{{"messages":[{}],"model":"m","tools":[{}]}}"#, messages.join(","), "\"t\",".repeat(300))
    }

    #[test]
    fn the_next_turn_shares_all_but_the_new_part() {
        let mut cache = DedupCache::default();
        let (first, second) = (body(20, "a").into(), body(21, "a"));
        cache.remember(Uuid::from_u128(9), &body(20, "b").into(), None);
        cache.remember(Uuid::from_u128(1), &first, None);
        let shared = cache.find(NEW, &second).unwrap();
        assert_eq!(shared.with, Uuid::from_u128(1));
        assert!(shared.prefix + shared.suffix >= first.len() - 8, "{shared:?} of {}", first.len());
    }

    #[test]
    fn a_conversation_occupies_one_entry() {
        let mut cache = DedupCache::default();
        for turn in 20..60 {
            let body: Arc<str> = body(turn, "a").into();
            let shared = cache.find(NEW, &body);
            assert_eq!(shared.is_some(), turn > 20, "{turn}");
            cache.remember(Uuid::from_u128(turn as u128), &body, shared);
        }
        assert_eq!((cache.bodies.len(), cache.bytes), (1, body(59, "a").len()));
    }

    #[test]
    fn small_and_unrelated_bodies_share_nothing() {
        let mut cache = DedupCache::default();
        cache.remember(Uuid::from_u128(1), &body(1, "a").into(), None);
        cache.remember(Uuid::from_u128(2), &body(30, "a").into(), None);
        assert_eq!(cache.find(NEW, &body(30, "other")), None);
        assert_eq!(cache.find(NEW, "{}"), None);
        cache.clear();
        assert_eq!((cache.find(NEW, &body(30, "a")), cache.bytes), (None, 0));
    }

    #[test]
    fn a_request_is_not_compared_with_itself() {
        let mut cache = DedupCache::default();
        let id = Uuid::from_u128(1);
        cache.remember(id, &body(30, "a").into(), None);
        cache.remember(id, &body(30, "a").into(), None);
        assert_eq!((cache.find(id, &body(30, "a")), cache.bodies.len()), (None, 1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = DedupCache::default();
        for n in 0..300_u128 {
            cache.remember(Uuid::from_u128(n), &format!("{n:5}{}", "x".repeat(1 << 18)).into(), None);
            assert!(cache.bodies.len() <= MAX_BODIES && cache.bytes <= MAX_BYTES);
        }
    }

    proptest! {
        #[test]
        fn shared_parts_are_equal(a in "[ab]{0,600}", b in "[ab]{0,600}") {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let prefix = affix::common_prefix(a, b);
            let suffix = affix::common_suffix(&a[prefix..], &b[prefix..]);
            prop_assert_eq!(&a[..prefix], &b[..prefix]);
            prop_assert!(prefix == a.len().min(b.len()) || a[prefix] != b[prefix]);
            prop_assert_eq!(&a[a.len() - suffix..], &b[b.len() - suffix..]);
            prop_assert!(prefix + suffix <= a.len().min(b.len()));
        }
    }
}
