//! Frames event streams incrementally and without copying.
//!
//! [`Splitter`] cuts a stream into [`Frame`]s. The frames do not depend on how the bytes were cut in transit, and the
//! concatenation of all frames is the stream, byte for byte.
//!
//! Source: the event stream format of the HTML standard, section 9.2 (LF, CRLF and CR end a line; a blank line ends an
//! event).

mod splitter;

pub use splitter::{Frame, FrameTooLong, Splitter};
pub(crate) use splitter::{data, fields};
