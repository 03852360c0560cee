//! The behaviour of a model, as data.
//!
//! A [`Script`] is a list of [`Turn`]s, one for each call; the last one repeats. A turn consists of an answer
//! ([`Body`]), the way it is delivered ([`Delivery`]) and at most one [`Fault`]. In JSON, missing fields have their
//! defaults:
//!
//! ```json
//! {"turns": [{"status": 503, "body": {"raw": {"content_type": "text/plain", "body": "busy"}}},
//!            {"body": {"chat": {"text": {"fixed": "better now"}}}, "fault": {"after": 3, "kind": "reset"}}]}
//! ```

mod chat;
mod dialect;
pub(crate) mod manner;
pub mod names;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::{
    chat::{Calling, Chat, Text, Tokens, Tool, Usage},
    dialect::Dialect,
    manner::rudely,
};

/// The behaviour of a model, call by call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "C: Default + Deserialize<'de>"))]
pub struct Script<C = Chat> {
    /// One turn for each call; the last one repeats. An empty list means the default turn.
    pub turns: Vec<Turn<C>>,
}

/// The answer to one call. `C` is the fake's own form of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "C: Default + Deserialize<'de>"))]
pub struct Turn<C = Chat> {
    /// Status of the answer.
    pub status: u16,
    /// Additional headers.
    pub headers: Vec<(String, String)>,
    /// The answer itself.
    pub body: Body<C>,
    /// How the bytes are sent.
    pub delivery: Delivery,
    /// Fault to be applied.
    pub fault: Option<Fault>,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<C = Chat> {
    /// An answer of the model in the grammar of the endpoint, streamed if the request asks for it.
    Chat(C),
    /// An error body in the grammar of the endpoint; its kind depends on the status.
    Error,
    /// Fixed bytes, whatever the request.
    Raw {
        /// `content-type` header; omitted if `None`.
        content_type: Option<String>,
        /// The bytes.
        body: String,
    },
}

/// How the bytes of an answer are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Delay in milliseconds before each word of a stream but the first, and before a whole body.
    pub delay_ms: u64,
    /// Whether each event of a stream (including the first and `[DONE]`) and each whole body waits for its release.
    pub gated: bool,
    /// Events of a stream per write; `None` means 1. Joined events are not counted as sent before their write.
    pub join: Option<usize>,
    /// Maximum bytes per write (and HTTP chunk). With `join`, cuts fall across events.
    pub split: Option<usize>,
    /// Compresses the body and sets `content-encoding`. Every write of a stream is flushed.
    pub coding: Option<Coding>,
    /// `content-type` in place of the correct one; an empty value omits the header.
    pub content_type: Option<String>,
    /// Sends everything, including the head, byte by byte with a pause of this many milliseconds after each.
    pub drip_ms: Option<u64>,
    /// Ends the lines of a stream with CRLF, and begins each of its events with a comment.
    pub odd_lines: bool,
    /// Error of the declared `content-length` in bytes; whole bodies only. The connection closes afterwards.
    pub length_off_by: i64,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `deflate` with the zlib header that RFC 9110 requires.
    Deflate,
    /// `deflate` without a header, as some servers send it.
    RawDeflate,
    /// `br`.
    Br,
    /// `zstd`.
    Zstd,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Number of events of a stream, of all kinds, after which the fault occurs: 0 is directly after the head, `None`
    /// before it.
    pub after: Option<u64>,
    /// Kind of fault.
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The connection is reset (RST).
    Reset,
    /// The connection is closed (FIN) in the middle of the body.
    Close,
    /// A stream ends as if it were complete, but without its terminal event. Whole answers are complete.
    End,
    /// Nothing more is sent until the client disconnects.
    Stall,
    /// An error event is sent, then the proper end of the body without the terminal event: a chunk with `error`, the
    /// event `error` (Messages) or `response.failed` (Responses).
    ErrorEvent,
    /// As [`ErrorEvent`](Self::ErrorEvent), but with the event `error` of Responses instead of `response.failed`.
    BareErrorEvent,
    /// A line without an end is sent until the client disconnects.
    EndlessLine,
    /// The connection is closed before the head if it has carried a request before; on a fresh connection the answer is
    /// correct. Clients see this when a server's idle timeout expires while their next request is on its way.
    IdleClose,
}

// === impl Script ===

impl<C: Clone + Default> Script<C> {
    /// Creates a script with `turn` for the first `times` calls. The turns added by [`then`](Self::then) follow;
    /// without any, `turn` repeats.
    #[must_use]
    pub fn first(times: usize, turn: Turn<C>) -> Self {
        Self { turns: vec![turn; times] }
    }

    /// Appends a turn. The last turn applies to all further calls.
    #[must_use]
    pub fn then(mut self, turn: Turn<C>) -> Self {
        self.turns.push(turn);
        self
    }

    /// Returns the turn of the call number `call`, counted from 0.
    #[must_use]
    pub fn turn(&self, call: usize) -> Turn<C> {
        self.turns.get(call).or_else(|| self.turns.last()).cloned().unwrap_or_default()
    }
}

impl<C> From<Turn<C>> for Script<C> {
    fn from(turn: Turn<C>) -> Self {
        Self { turns: vec![turn] }
    }
}

// === impl Turn ===

impl<C: Default> Default for Turn<C> {
    fn default() -> Self {
        let body = Body::default();
        Self { status: 200, headers: Vec::new(), body, delivery: Delivery::default(), fault: None }
    }
}

impl From<Chat> for Turn {
    fn from(chat: Chat) -> Self {
        Self { body: Body::Chat(chat), ..Self::default() }
    }
}

impl Turn {
    /// Echoes the last user message.
    #[must_use]
    pub fn echo() -> Self {
        Self::default()
    }

    /// Answers with a fixed text.
    #[must_use]
    pub fn says(text: impl Into<String>) -> Self {
        Chat { text: Text::Fixed(text.into()), ..Chat::default() }.into()
    }

    /// Calls this function, without any text.
    #[must_use]
    pub fn calls(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::says("").and_calls(name, arguments)
    }

    /// Adds a function call to the answer, after the text and the other calls.
    #[must_use]
    pub fn and_calls(self, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        let tool = Tool { name: name.into(), arguments: arguments.into() };
        self.chat(|chat| chat.tools.push(tool))
    }

    /// Adds reasoning text before the answer.
    #[must_use]
    pub fn thinks(self, text: impl Into<String>) -> Self {
        self.chat(|chat| chat.reasoning = Some(text.into()))
    }

    /// Answers with an error in the grammar of the endpoint. Its kind and code depend on the status.
    #[must_use]
    pub fn error(status: u16) -> Self {
        Self { status, body: Body::Error, ..Self::default() }
    }
}

impl<C: Default> Turn<C> {
    /// Answers with these bytes and status 200.
    #[must_use]
    pub fn raw(content_type: &str, body: impl Into<String>) -> Self {
        Self { body: Body::Raw { content_type: Some(content_type.to_owned()), body: body.into() }, ..Self::default() }
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits this long before each word but the first, and before a whole body.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delivery.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sends each event (or whole body) only after the test has released it.
    #[must_use]
    pub fn gated(mut self) -> Self {
        self.delivery.gated = true;
        self
    }

    /// Splits the body into writes of at most `bytes` bytes.
    #[must_use]
    pub fn split(mut self, bytes: usize) -> Self {
        self.delivery.split = Some(bytes);
        self
    }

    /// Puts up to `events` events of a stream into each write.
    #[must_use]
    pub fn join(mut self, events: usize) -> Self {
        self.delivery.join = Some(events);
        self
    }

    /// Compresses the body.
    #[must_use]
    pub fn coded(mut self, coding: Coding) -> Self {
        self.delivery.coding = Some(coding);
        self
    }

    /// Declares the body as `media_type`; an empty value omits the header.
    #[must_use]
    pub fn typed(mut self, media_type: &str) -> Self {
        self.delivery.content_type = Some(media_type.to_owned());
        self
    }

    /// Applies the fault before the head.
    #[must_use]
    pub fn before_head(mut self, kind: FaultKind) -> Self {
        self.fault = Some(Fault { after: None, kind });
        self
    }

    /// Applies the fault after this many events of a stream; with 0, between head and body of any answer.
    #[must_use]
    pub fn after(mut self, events: u64, kind: FaultKind) -> Self {
        self.fault = Some(Fault { after: Some(events), kind });
        self
    }

    /// Changes the chat answer; an answer of raw bytes is left unchanged.
    #[must_use]
    pub fn chat(mut self, change: impl FnOnce(&mut C)) -> Self {
        if let Body::Chat(chat) = &mut self.body {
            change(chat);
        }
        self
    }
}

// === impl Coding ===

impl Coding {
    /// All codings.
    pub const ALL: [Self; 5] = [Self::Gzip, Self::Deflate, Self::RawDeflate, Self::Br, Self::Zstd];

    /// Returns its name in `content-encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate | Self::RawDeflate => "deflate",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }
}

// === impl Body ===

impl<C: Default> Default for Body<C> {
    fn default() -> Self {
        Self::Chat(C::default())
    }
}
