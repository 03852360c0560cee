//! Describes a body as a list of pieces: parts of chunks, parts of another body, and literal text.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use signalbox_core::affix;

use super::{DAY_MS, MAX_BODY};

/// Maximum number of pieces of a body. Every piece adds to the cost of reading the body.
const MAX_PIECES: usize = 128;

/// Minimum number of common bytes for which a body refers to an earlier one.
const MIN_SHARED: usize = 1024;

/// Maximum length in bytes of a new part that is stored as literal text: a chunk would cost more.
const MAX_LITERAL: usize = 64;

/// A part of a body. As JSON: `[day, request, from, length]`, `[from, length]` or a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Piece {
    /// A part of the chunk that a request wrote on that day: day, request, offset and length in bytes. The day is part
    /// of the chunk's key and is repeated here to avoid a search for it.
    Chunk(i64, i64, usize, usize),
    /// A part of the body sent by the client: offset and length in bytes. Only in the body sent to the provider.
    Own(usize, usize),
    /// Literal text.
    Text(String),
}

/// A body that equals an earlier one, except for a part in the middle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SharedBody {
    before: Vec<Piece>,
    /// The range of the body that is new.
    pub(super) new: Range<usize>,
    after: Vec<Piece>,
}

/// Returns the day of a time in Unix milliseconds, as days since 1970.
pub(crate) const fn day(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// Parses a list of pieces.
pub(super) fn parse(json: &str) -> Result<Vec<Piece>, serde_json::Error> {
    serde_json::from_str(json)
}

/// Serialises a list of pieces.
pub(super) fn to_json(pieces: &[Piece]) -> String {
    // Cannot fail, because numbers and strings are always valid JSON. An empty list would be read as a deleted body.
    serde_json::to_string(pieces).unwrap_or_default()
}

/// Returns the length of the body; `None` if the sum overflows.
pub(super) fn length(pieces: &[Piece]) -> Option<usize> {
    pieces.iter().try_fold(0_usize, |sum, piece| sum.checked_add(piece.length()))
}

/// Returns the length of the body described by a JSON list; `None` if the list is invalid.
pub(crate) fn length_of(json: &str) -> Option<usize> {
    length(&parse(json).ok()?)
}

/// Describes `text` by the pieces of an earlier body with which it shares the first `prefix` and the last `suffix`
/// bytes.
///
/// Returns `None` if that is impossible or not worthwhile, or if it would refer to a chunk that is not `usable`.
pub(super) fn share(
    base: &[Piece],
    text: &str,
    (prefix, suffix): (usize, usize),
    usable: impl Fn(&Piece) -> bool,
) -> Option<SharedBody> {
    let base_length = length(base)?;
    let fits = prefix <= base_length && suffix <= base_length && prefix.checked_add(suffix)? <= text.len();
    if !fits || prefix + suffix < MIN_SHARED {
        return None;
    }
    // Character boundaries in the common parts are the same in both bodies.
    let new = text.floor_char_boundary(prefix)..text.ceil_char_boundary(text.len() - suffix);
    let before = slice(base, 0..new.start)?;
    let after = slice(base, base_length - (text.len() - new.end)..base_length)?;
    let all = || before.iter().chain(&after);
    (all().count() < MAX_PIECES && all().all(usable)).then_some(SharedBody { before, new, after })
}

/// Describes `text` by the body it was derived from; `None` if the text itself is shorter than the description.
pub(super) fn relative(body: &str, text: &str) -> Option<String> {
    if text.len() > MAX_BODY {
        return None;
    }
    let prefix = affix::common_prefix(body.as_bytes(), text.as_bytes());
    let prefix = text.floor_char_boundary(prefix);
    let suffix = affix::common_suffix(&body.as_bytes()[prefix..], &text.as_bytes()[prefix..]);
    let from = text.ceil_char_boundary(text.len() - suffix);
    let mut pieces = Vec::new();
    push(&mut pieces, Piece::Own(0, prefix));
    push(&mut pieces, Piece::Text(text.get(prefix..from)?.to_owned()));
    push(&mut pieces, Piece::Own(body.len() - (text.len() - from), text.len() - from));
    let json = to_json(&pieces);
    (json.len() < text.len()).then_some(json)
}

/// Returns the pieces of a part of a body.
fn slice(pieces: &[Piece], part: Range<usize>) -> Option<Vec<Piece>> {
    let mut sliced = Vec::new();
    let mut at = 0;
    for piece in pieces {
        let end = at + piece.length();
        let (from, to) = (part.start.max(at), part.end.min(end));
        if from < to {
            push(&mut sliced, piece.slice(from - at..to - at)?);
        }
        at = end;
    }
    Some(sliced)
}

/// Appends a piece. Adjacent pieces are merged, and an empty piece is dropped.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (_, piece) if piece.length() == 0 => {}
        (Some(Piece::Chunk(day, request, from, length)), Piece::Chunk(d, r, f, more))
            if (*day, *request, *from + *length) == (d, r, f) =>
        {
            *length += more;
        }
        (Some(Piece::Text(text)), Piece::Text(more)) => text.push_str(&more),
        (_, piece) => pieces.push(piece),
    }
}

// === impl Piece ===

impl Piece {
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Chunk(_, _, _, length) | Self::Own(_, length) => *length,
            Self::Text(text) => text.len(),
        }
    }

    fn slice(&self, part: Range<usize>) -> Option<Self> {
        match self {
            Self::Chunk(day, request, from, _) => {
                Some(Self::Chunk(*day, *request, from.checked_add(part.start)?, part.len()))
            }
            Self::Own(from, _) => Some(Self::Own(from.checked_add(part.start)?, part.len())),
            Self::Text(text) => text.get(part).map(|text| Self::Text(text.to_owned())),
        }
    }
}

// === impl SharedBody ===

impl SharedBody {
    /// Returns whether the new part is too short for a chunk.
    pub(super) fn is_short(&self) -> bool {
        self.new.len() <= MAX_LITERAL
    }

    /// Returns the whole list, with `new` as the new part.
    pub(super) fn with(self, new: Piece) -> Vec<Piece> {
        let mut pieces = self.before;
        push(&mut pieces, new);
        self.after.into_iter().for_each(|piece| push(&mut pieces, piece));
        pieces
    }
}

#[cfg(test)]
mod tests;
