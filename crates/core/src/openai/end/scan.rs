//! Results of scanning a stream.

use crate::openai::{ProviderError, Usage};

/// The information about the end of the stream that has been received so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The newest finish reason.
    pub finish_reason: Option<String>,
    /// The token counts that came with the finish reason or after it.
    pub usage: Option<Usage>,
    /// The provider's error message, if it reported a failure, even for only one of the answers.
    pub failure: Option<String>,
}

/// Instructs the relay how to handle a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The whole piece may be sent.
    Pass,
    /// From this offset on, the piece may turn out to be the end event: hold these bytes and prepend them to the next
    /// piece.
    Hold(usize),
    /// The end event begins at this offset.
    Done(usize),
    /// The provider reported an error; everything after it is ignored.
    Failed(Box<Failed>),
}

/// An error event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Offset of the end of the event in the piece.
    pub end: usize,
    /// The provider's error.
    pub error: ProviderError,
    /// Whether clients understand the event: it is an object with a field `error`.
    pub is_plain: bool,
}

// === impl Ending ===

impl Ending {
    /// Returns whether a finish reason or a failure has been received.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.finish_reason.is_some() || self.failure.is_some()
    }
}
