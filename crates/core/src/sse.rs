//! Event-stream framing, incremental and without copying.
//!
//! [`Splitter`] cuts a stream into [`Frame`]s. However the bytes were cut on their way, the frames are the same, and all
//! frames joined are the stream, byte for byte.
//!
//! Source: the event stream format of the HTML standard, section 9.2 (LF, CRLF and CR end a line; a blank line ends an event).

mod splitter;

pub use splitter::{Frame, FrameTooLong, Splitter};
pub(crate) use splitter::{data, fields};
