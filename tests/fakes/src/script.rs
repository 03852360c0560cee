//! What a model does when it is called, as data.
//!
//! A [`Script`] is a list of [`Turn`]s, one for each call; the last one repeats. A turn is an answer ([`Body`]), the way it
//! is delivered ([`Delivery`]) and at most one [`Fault`]. In JSON, everything that is left out has its default:
//!
//! ```json
//! {"turns": [{"status": 503, "body": {"raw": {"content_type": "text/plain", "body": "busy"}}},
//!            {"body": {"chat": {"text": {"fixed": "better now"}}}, "fault": {"after": 3, "kind": "reset"}}]}
//! ```

mod dialect;
pub mod names;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::dialect::Dialect;

/// What a model does, call after call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "C: Default + Deserialize<'de>"))]
pub struct Script<C = Chat> {
    /// One for each call; the last one repeats. No turns at all is the default turn.
    pub turns: Vec<Turn<C>>,
}

/// What one call gets. `C` is what the fake says of itself, if nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "C: Default + Deserialize<'de>"))]
pub struct Turn<C = Chat> {
    /// The status of the answer.
    pub status: u16,
    /// Headers besides those that the answer needs anyway.
    pub headers: Vec<(String, String)>,
    /// The answer.
    pub body: Body<C>,
    /// How its bytes leave.
    pub delivery: Delivery,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<C = Chat> {
    /// A chat answer, streamed if the request asks for it.
    Chat(C),
    /// These bytes, whatever was asked for.
    Raw {
        /// Left out of the head when `None`.
        content_type: Option<String>,
        /// The bytes.
        body: String,
    },
}

/// A chat answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chat {
    /// What it says.
    pub text: Text,
    /// What it thinks first.
    pub reasoning: Option<String>,
    /// The function it calls after the text.
    pub tool: Option<Tool>,
    /// `stop`, or `tool_calls` if there is a tool, unless it is said here.
    pub finish_reason: Option<String>,
    /// How many answers; `n` of the request unless it is said here.
    pub choices: Option<u32>,
    /// Whether the token counts are reported.
    pub usage: Usage,
    /// Whether a stream ends with `[DONE]`.
    pub done: bool,
    /// Whether the lines of a stream end in CR LF instead of LF.
    pub crlf: bool,
    /// Whether a comment line precedes each event of a stream.
    pub comments: bool,
    /// How the chunks of a stream deviate from OpenAI's own.
    pub dialect: Dialect,
}

/// What an answer says. In a stream every word is an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// What the last user message says.
    Echo,
    /// This.
    Fixed(String),
    /// So many words, each `t=<nanoseconds of CLOCK_MONOTONIC> `, written down when it is sent.
    Ticks(u32),
    /// Words without an end, if the answer is a stream; otherwise one word.
    Endless,
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// The name of the function.
    pub name: String,
    /// The JSON text of the arguments; a stream sends it in pieces of eight characters.
    pub arguments: String,
}

/// Whether a stream reports the token counts. An answer that is not streamed does, except for `never`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// If the request has `stream_options.include_usage`.
    #[default]
    Asked,
    /// Asked for or not.
    Always,
    /// Not even if asked for.
    Never,
}

/// How the bytes of an answer leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Milliseconds before each word of a stream but the first, and before a whole body.
    pub delay_ms: u64,
    /// Whether each event of a stream (the first and `[DONE]` too), and each whole body, waits for its release.
    pub gated: bool,
    /// Events of a stream per write; `None` is one. Joined events are not counted as sent before their write.
    pub join: Option<usize>,
    /// Cuts each write into writes (and HTTP chunks) of at most this many bytes. With `join`, cuts fall across events.
    pub split: Option<usize>,
    /// Compresses the body and says so in `content-encoding`. Every write of a stream is flushed.
    pub coding: Option<Coding>,
    /// The `content-type` of the answer instead of the right one; empty leaves the header out.
    pub content_type: Option<String>,
    /// Sends everything, the head too, byte by byte with so many milliseconds after each.
    pub drip_ms: Option<u64>,
    /// Declares a `content-length` that is off by so much; a body without a stream only. The connection closes after it.
    pub length_off_by: i64,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `deflate`, with the zlib header that RFC 9110 asks for.
    Deflate,
    /// `deflate` without a header, as some servers send it.
    RawDeflate,
    /// `br`.
    Br,
    /// `zstd`.
    Zstd,
}

/// Something goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// After how many events of a stream, all kinds counted. 0 is after the head; `None` is before it.
    pub after: Option<u64>,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The connection is reset (RST).
    Reset,
    /// The connection is closed (FIN) in the middle of the body.
    Close,
    /// Nothing more comes until the client leaves.
    Stall,
    /// An event with an error comes, and then the proper end of the body, without `[DONE]`.
    ErrorEvent,
    /// A line without an end comes, until the client leaves.
    EndlessLine,
    /// The connection is closed before the head if it has carried a request before; on a fresh connection nothing goes
    /// wrong. This is what a client sees of a server whose idle timeout expires while the next request is on its way.
    IdleClose,
}

// === impl Script ===

impl<C: Clone + Default> Script<C> {
    /// `times` calls get `turn`, then comes what [`then`](Self::then) adds. If nothing is added, `turn` repeats.
    #[must_use]
    pub fn first(times: usize, turn: Turn<C>) -> Self {
        Self { turns: vec![turn; times] }
    }

    /// Adds one more turn, which the following calls get if none is added after it.
    #[must_use]
    pub fn then(mut self, turn: Turn<C>) -> Self {
        self.turns.push(turn);
        self
    }

    /// The turn of the call number `call`, counted from 0.
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
    /// Says what the last user message says.
    #[must_use]
    pub fn echo() -> Self {
        Self::default()
    }

    /// Says this.
    #[must_use]
    pub fn says(text: impl Into<String>) -> Self {
        Chat { text: Text::Fixed(text.into()), ..Chat::default() }.into()
    }

    /// Calls this function, and says nothing.
    #[must_use]
    pub fn calls(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        let tool = Some(Tool { name: name.into(), arguments: arguments.into() });
        Chat { text: Text::Fixed(String::new()), tool, ..Chat::default() }.into()
    }

    /// An error as the API shapes it, with `type` and `code` after the status.
    #[must_use]
    pub fn error(status: u16) -> Self {
        let (kind, code) = match status {
            400 => ("invalid_request_error", "bad_request"),
            401 => ("authentication_error", "invalid_api_key"),
            404 => ("invalid_request_error", "model_not_found"),
            429 => ("rate_limit_error", "rate_limit_exceeded"),
            _ => ("server_error", "server_error"),
        };
        let message = format!("The fake provider answers {status}, as its script says.");
        let body =
            serde_json::json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string();
        Self { status, ..Self::raw("application/json", body) }
    }
}

impl<C: Default> Turn<C> {
    /// These bytes with status 200.
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

    /// Waits so long before each word but the first, and before a whole body.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delivery.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sends each event (each whole body) only when the test releases it.
    #[must_use]
    pub fn gated(mut self) -> Self {
        self.delivery.gated = true;
        self
    }

    /// Cuts the body into writes of `bytes` bytes.
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

    /// Declares the body as `media_type`; an empty one leaves the header out.
    #[must_use]
    pub fn typed(mut self, media_type: &str) -> Self {
        self.delivery.content_type = Some(media_type.to_owned());
        self
    }

    /// `kind` goes wrong before the head.
    #[must_use]
    pub fn before_head(mut self, kind: FaultKind) -> Self {
        self.fault = Some(Fault { after: None, kind });
        self
    }

    /// `kind` goes wrong after so many events of a stream, or with 0 between head and body of any answer.
    #[must_use]
    pub fn after(mut self, events: u64, kind: FaultKind) -> Self {
        self.fault = Some(Fault { after: Some(events), kind });
        self
    }

    /// Changes the chat answer; an answer of raw bytes stays as it is.
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
    /// Every coding.
    pub const ALL: [Self; 5] = [Self::Gzip, Self::Deflate, Self::RawDeflate, Self::Br, Self::Zstd];

    /// Its name in `content-encoding`.
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

// === impl Chat ===

impl Default for Chat {
    fn default() -> Self {
        Self {
            text: Text::Echo,
            reasoning: None,
            tool: None,
            finish_reason: None,
            choices: None,
            usage: Usage::default(),
            done: true,
            crlf: false,
            comments: false,
            dialect: Dialect::default(),
        }
    }
}
