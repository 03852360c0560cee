//! Event-stream framing, incremental and without copying.
//!
//! Two readers with two jobs:
//! - [`Splitter`] cuts a stream into [`Frame`]s, for those who want to understand events. However the bytes were cut on
//!   their way, the frames are the same, and all frames joined are the stream, byte for byte.
//! - [`DoneScanner`] only answers "where does `data: [DONE]` begin", for the relay, which must hold back exactly that and
//!   delay nothing else.
//!
//! Source: the event stream format of the HTML standard, section 9.2 (LF, CRLF and CR end a line; a blank line ends an event).

mod done;
mod splitter;

pub use done::{DoneScanner, Scan};
pub use splitter::{Frame, FrameTooLong, Splitter};
