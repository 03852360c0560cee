//! Stores the long bodies of requests and answers, compressed and without duplicates: tables `bodies` and `body_days`.
//!
//! # Theory
//! A body is stored in one of two places. A short body is stored unchanged in the column of its row. A longer one is
//! stored in `bodies`, and the column is empty. Conversations resend their history with every turn, so the parts that a
//! request shares with an earlier one are not stored again: its row has a list of [`pieces`], most of which refer to
//! chunks of earlier requests, and its own chunk holds only the new parts. Answers do not repeat each other, so the
//! chunk of an answer holds the whole answer.
//!
//! Chunks are deleted in two ways. Retention deletes them by day, the oldest first (see [`crate::retention`]). If a
//! user deletes a request, a response or a session, its chunks are deleted with it unless another request refers to
//! them (see [`crate::erasure`]). A chunk that another request refers to is kept, because its text is part of the body
//! of that request too; it is deleted with the last request that refers to it.
//!
//! # Invariants
//! - A chunk is written in the same transaction as the row it belongs to, and never changes.
//! - A request refers to no chunk older than the previous day, so that its body is kept at most one day less than the
//!   policy says, and to none of a later day; and only to chunks that still exist. `body_days.removed_to` tells which
//!   ones retention has deleted; a user's deletion keeps all chunks of the remaining requests.
//! - A body whose chunk has been deleted or is damaged is `null`. This is not an error, because the rest of the row
//!   is still valid.

pub(crate) mod base;
mod chunk;
pub(crate) mod pieces;
mod reader;
mod references;
pub(crate) mod removal;
mod writer;

pub(crate) use chunk::{Key, Part};
pub(crate) use pieces::{day, length_of};
#[cfg(test)]
pub(crate) use reader::FETCH;
pub(crate) use reader::{BodyStart, Reader, answer};
pub(crate) use references::references_of;
pub(crate) use writer::{Body, Writer};

/// Minimum bytes of a body that is stored apart from its row. Most bodies of small applications are shorter, and a
/// second table would not make them cheaper.
const MIN_STORED_APART: usize = 4096;

/// Maximum bytes of a body that is stored apart from its row. The limit bounds the memory that decoding a chunk may
/// allocate.
const MAX_BODY: usize = 64 << 20;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The value shown for a body that has been deleted.
pub(crate) const DELETED_BODY: &str = "null";

/// Maximum bytes of a body in a list; see [`signalbox_core::excerpt`].
pub(crate) const MAX_EXCERPT: usize = 8 << 10;

/// Returns whether a body of this length is stored apart from its row.
pub(crate) fn is_stored_apart(length: usize) -> bool {
    (MIN_STORED_APART..=MAX_BODY).contains(&length)
}
