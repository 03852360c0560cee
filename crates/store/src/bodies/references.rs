//! Finds the chunks that a list of pieces refers to, without building the list.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::chunk::{Key, Part};

/// The chunk that a piece refers to, if any.
struct Reference(Option<Key>);

struct ReferenceVisitor;

struct References(BTreeSet<Key>);

struct ReferencesVisitor;

/// Returns the chunks that a list of pieces refers to, each once. An unreadable list refers to none: its body cannot be
/// read anyway.
pub(crate) fn references_of(json: &str) -> BTreeSet<Key> {
    serde_json::from_str(json).map(|References(keys)| keys).unwrap_or_default()
}

// === impl Reference ===

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a piece")
    }

    fn visit_str<E>(self, _: &str) -> Result<Reference, E> {
        Ok(Reference(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut piece: A) -> Result<Reference, A::Error> {
        let (day, request_id) = (piece.next_element::<i64>()?, piece.next_element::<i64>()?);
        // A piece with two numbers is a part of another body.
        let is_chunk = piece.next_element::<IgnoredAny>()?.is_some();
        while piece.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Reference(match (day, request_id) {
            (Some(day), Some(request_id)) if is_chunk => Some(Key { day, request_id, part: Part::Request }),
            _ => None,
        }))
    }
}

// === impl References ===

impl<'de> Deserialize<'de> for References {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ReferencesVisitor)
    }
}

impl<'de> Visitor<'de> for ReferencesVisitor {
    type Value = References;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of pieces")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pieces: A) -> Result<References, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(Reference(key)) = pieces.next_element()? {
            keys.extend(key);
        }
        Ok(References(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces::{self, Piece};
    use super::*;

    #[test]
    fn all_chunks_are_found_once() {
        let key = |day, request_id| Key { day, request_id, part: Part::Request };
        let text = Piece::Text("[9,9,9,9]\"é\n".to_owned());
        let list =
            [Piece::Chunk(7, 2, 0, 9), text, Piece::Own(3, 4), Piece::Chunk(8, 1, 5, 6), Piece::Chunk(7, 2, 20, 1)];
        assert_eq!(references_of(&pieces::to_json(&list)), BTreeSet::from([key(7, 2), key(8, 1)]));
        for unreadable in ["", "[0]", "[[1,2,3", "{}", "[[1,\"a\",3,4]]"] {
            assert_eq!(references_of(unreadable), BTreeSet::new(), "{unreadable}");
        }
    }
}
