//! The long bodies of requests and answers, stored once and compressed: tables `bodies` and `body_days`.
//!
//! # Theory
//! A body is in one of two places. A short one is in the column of its row, as it is. A longer one is in `bodies`, and the
//! column is empty. Conversations resend their history with every turn, so what a request has in common with an earlier
//! one is not stored again: its row has a list of [`pieces`], most of which are parts of the chunks of earlier requests,
//! and its own chunk holds only what is new. An answer is never repeated by another answer, so its chunk is all of it.
//!
//! Chunks go by day, the oldest first (see [`crate::retention`]), and not with their requests, because others may refer to
//! them.
//!
//! # Invariants
//! - A chunk is written with the row it belongs to, in one transaction, and never changes.
//! - A request refers to no chunk older than the day before it, so that its body lives at most one day shorter than the
//!   policy says; and only to chunks that are there: `body_days.removed_to` tells.
//! - A body whose chunk is gone, or is damaged, is `null`. That is no error: the rest of the row is as good as ever.

mod chunk;
pub(crate) mod pieces;
mod reader;
mod writer;

pub(crate) use chunk::Key;
pub(crate) use pieces::{day, length_of};
#[cfg(test)]
pub(crate) use reader::FETCH;
pub(crate) use reader::{Reader, Start};
pub(crate) use writer::{Body, Writer};

/// Shorter bodies stay in their rows, in bytes: most bodies of small applications, which no second table makes cheaper.
const INLINE: usize = 4096;

/// Longer ones do as well, so that whoever reads a chunk knows how much memory it may ask for.
const MAX_BODY: usize = 64 << 20;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What stands for a body that is gone.
pub(crate) const GONE: &str = "null";

/// Maximum bytes of a body in a list; see [`signalbox_core::excerpt`].
pub(crate) const EXCERPT: usize = 8 << 10;

/// Whether a body of this length is stored apart from its row.
pub(crate) fn is_long(length: usize) -> bool {
    (INLINE..=MAX_BODY).contains(&length)
}
