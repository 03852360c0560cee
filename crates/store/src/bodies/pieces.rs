//! What a body is made of.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use signalbox_core::alike;

use super::{DAY_MS, MAX_BODY};

/// A list may not grow for ever: every piece costs when a body is read.
const MOST: usize = 128;

/// Less than this in common is not worth a piece.
const WORTH_SHARING: usize = 1024;

/// What is new in a body is written down as it is up to this length: a chunk would cost more.
const SHORT: usize = 64;

/// A part of a body. As JSON: `[day, request, from, length]`, `[from, length]` or a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Piece {
    /// So many bytes of the chunk of a request, which was written on that day. The day is part of the chunk's key; it is
    /// repeated here so that nobody has to look for it.
    Chunk(i64, i64, usize, usize),
    /// So many bytes of the body that the client sent; only in what its provider received.
    Own(usize, usize),
    /// This.
    Text(String),
}

/// A body that repeats an earlier one, but for a part in the middle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sharing {
    before: Vec<Piece>,
    /// Which bytes of the body are new.
    pub(super) new: Range<usize>,
    after: Vec<Piece>,
}

/// The day of a time: days since 1970 of Unix milliseconds.
pub(crate) const fn day(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// Reads a list.
pub(super) fn parse(json: &str) -> Result<Vec<Piece>, serde_json::Error> {
    serde_json::from_str(json)
}

/// Writes a list.
pub(super) fn to_json(pieces: &[Piece]) -> String {
    // Numbers and strings always become JSON; were it otherwise, the body would read as one that is gone.
    serde_json::to_string(pieces).unwrap_or_default()
}

/// How long the body is; `None` if that is absurd.
pub(super) fn length(pieces: &[Piece]) -> Option<usize> {
    pieces.iter().try_fold(0_usize, |sum, piece| sum.checked_add(piece.length()))
}

/// How long the body of a list is; `None` if that cannot be told.
pub(crate) fn length_of(json: &str) -> Option<usize> {
    length(&parse(json).ok()?)
}

/// Describes `text` by the pieces of an earlier body, of which it has the first `prefix` and the last `suffix` bytes.
///
/// `None` if that is impossible or not worth it, or if a chunk would be used that is not `usable`.
pub(super) fn share(
    base: &[Piece],
    text: &str,
    (prefix, suffix): (usize, usize),
    usable: impl Fn(&Piece) -> bool,
) -> Option<Sharing> {
    let base_length = length(base)?;
    let fits = prefix <= base_length && suffix <= base_length && prefix.checked_add(suffix)? <= text.len();
    if !fits || prefix + suffix < WORTH_SHARING {
        return None;
    }
    // What the same bytes begin or end at a character in one body, they do in the other.
    let new = text.floor_char_boundary(prefix)..text.ceil_char_boundary(text.len() - suffix);
    let before = slice(base, 0..new.start)?;
    let after = slice(base, base_length - (text.len() - new.end)..base_length)?;
    let all = || before.iter().chain(&after);
    (all().count() < MOST && all().all(usable)).then_some(Sharing { before, new, after })
}

/// Describes `text` by the body it was made from; `None` if the text itself is shorter.
pub(super) fn relative(body: &str, text: &str) -> Option<String> {
    if text.len() > MAX_BODY {
        return None;
    }
    let prefix = alike::prefix(body.as_bytes(), text.as_bytes());
    let prefix = text.floor_char_boundary(prefix);
    let suffix = alike::suffix(&body.as_bytes()[prefix..], &text.as_bytes()[prefix..]);
    let from = text.ceil_char_boundary(text.len() - suffix);
    let mut pieces = Vec::new();
    push(&mut pieces, Piece::Own(0, prefix));
    push(&mut pieces, Piece::Text(text.get(prefix..from)?.to_owned()));
    push(&mut pieces, Piece::Own(body.len() - (text.len() - from), text.len() - from));
    let json = to_json(&pieces);
    (json.len() < text.len()).then_some(json)
}

/// A part of a body.
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

/// Appends; what belongs together becomes one piece, and an empty one none.
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

// === impl Sharing ===

impl Sharing {
    /// Whether what is new is too short for a chunk.
    pub(super) fn is_short(&self) -> bool {
        self.new.len() <= SHORT
    }

    /// The whole list, with the piece that is new.
    pub(super) fn with(self, new: Piece) -> Vec<Piece> {
        let mut pieces = self.before;
        push(&mut pieces, new);
        self.after.into_iter().for_each(|piece| push(&mut pieces, piece));
        pieces
    }
}

#[cfg(test)]
mod tests;
