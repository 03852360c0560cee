//! A scriptable stand-in for chat.qwen.ai, the site that qwen-proxy calls.
//!
//! It implements the known wire format of the site and refuses everything else: a request without a browser's headers
//! gets the firewall's page, a wrong field is recorded as a complaint, and a turn has to name the preceding answer. The
//! user's text determines the answer ([`mind`]); a script or the model name determines the faults ([`trouble`]).

mod answer;
mod api;
mod chats;
mod form;
mod gatekeeper;
pub mod mind;
pub mod trouble;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    calls::Call,
    gate::Gate,
    script,
    server::{Shared, serve},
};
use chats::Chats;

/// The answer to one call.
pub type Turn = script::Turn<Reply>;
/// The answers to the calls of one kind, in order.
pub type Script = script::Script<Reply>;

/// The kinds of calls that the site supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /api/models`; `models` in a script.
    Models,
    /// `POST /api/v2/chats/new`; `new_chat` in a script.
    NewChat,
    /// `POST /api/v2/chat/completions`; `completion` in a script.
    Completion,
}

/// An answer to a completion, as far as it is not determined by the user's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    /// Text of the answer, in place of the one determined by the user's text.
    pub text: Option<String>,
    /// Reasoning text before the answer.
    pub thinking: Option<String>,
    /// Characters per event. If `None`, each event is a word.
    pub pieces: Option<usize>,
    /// Parts to be left out of a stream that normally has them.
    pub without: Vec<Part>,
    /// Extra content that a stream normally does not have.
    pub extra: Option<Extra>,
    /// Sent as `usage` with every event of a stream, including the last, instead of the token counts.
    pub usage: Option<Value>,
    /// Form of `content` in a stream.
    pub content: Content,
    /// Writes characters beyond U+FFFF as two escapes and cuts the text between them, so that the halves are in
    /// different events.
    pub halves: bool,
}

/// Form of `content` in the events of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// `"text"`, and `""` if empty: the site's own form.
    #[default]
    Text,
    /// `[{"type":"text","text":"text"}]`, and `null` if empty.
    Parts,
    /// `["text"]`, and `[]` if empty.
    Texts,
}

/// Parts of a stream besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The first event, with the ids of the answer.
    Created,
    /// The token counts.
    Usage,
    /// The last event.
    Finished,
}

/// Unneeded content of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// Comments and unknown events before each event, which clients must ignore.
    Unknown,
    /// An event that is not JSON before each event, as if a proxy had changed the stream.
    Garbage,
}

/// A running fake of chat.qwen.ai. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct FakeQwen {
    addr: SocketAddr,
    site: Arc<Site>,
    server: JoinHandle<()>,
}

/// State shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct Site {
    shared: Shared<Reply>,
    chats: Chats,
    /// The only accepted token; if `None`, any token is accepted.
    token: Mutex<Option<String>>,
    complaints: Mutex<Vec<String>>,
}

// === impl Endpoint ===

impl Endpoint {
    /// Returns its name in a script.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::NewChat => "new_chat",
            Self::Completion => "completion",
        }
    }

    /// Returns the kind of call with this method and path (without query).
    #[must_use]
    pub fn of(method: &str, path: &str) -> Option<Self> {
        match (method, path) {
            ("GET", "/api/models") => Some(Self::Models),
            ("POST", "/api/v2/chats/new") => Some(Self::NewChat),
            ("POST", "/api/v2/chat/completions") => Some(Self::Completion),
            _ => None,
        }
    }
}

// === impl Turn ===

impl From<Reply> for Turn {
    fn from(reply: Reply) -> Self {
        Self { body: script::Body::Chat(reply), ..Self::default() }
    }
}

// === impl Reply ===

impl Reply {
    /// Returns a turn with this text, whatever the user's text is.
    #[must_use]
    pub fn says(text: impl Into<String>) -> Turn {
        Self { text: Some(text.into()), ..Self::default() }.into()
    }
}

// === impl FakeQwen ===

impl FakeQwen {
    /// Starts a fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Fails if no port can be listened on.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts a fake on `addr`.
    ///
    /// # Errors
    /// Fails if `addr` cannot be listened on.
    pub async fn start_on(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let (addr, site) = (listener.local_addr()?, Arc::new(Site::default()));
        let server = tokio::spawn(serve(listener, Arc::clone(&site)));
        Ok(Self { addr, site, server })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns its base URL, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Makes calls of this kind follow `script`, starting with its first turn. The returned gate applies to gated
    /// turns.
    ///
    /// A script takes precedence over the model name.
    pub fn script(&self, endpoint: Endpoint, script: impl Into<Script>) -> Gate {
        self.site.shared.script(endpoint.name().to_owned(), script.into())
    }

    /// Forgets all chats, as the site does with those of guests.
    pub fn forget_chats(&self) {
        self.site.chats.forget();
    }

    /// Accepts only this token from now on: requests with any other get 401.
    pub fn accept_only(&self, token: &str) {
        self.site.accept_only(Some(token.to_owned()));
    }

    /// Returns the errors found in requests, in words, oldest first. A correct client causes none.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.site.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the newest calls, oldest first (see [`crate::calls::MAX_KEPT_CALLS`]).
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.site.shared.calls.calls()
    }

    /// Returns the calls of this kind, oldest first.
    #[must_use]
    pub fn calls_of(&self, endpoint: Endpoint) -> Vec<Call> {
        let path = |call: &Call| call.path.split('?').next().unwrap_or_default().to_owned();
        self.calls().into_iter().filter(|call| Endpoint::of(&call.method, &path(call)) == Some(endpoint)).collect()
    }

    /// Returns the next sequence number, to order an event that the fake cannot see among those that it does.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.site.shared.calls.tick()
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.site.shared.connections()
    }

    /// Waits until `reached` returns true, checking at every change of the fake's state. Has no deadline of its own.
    pub async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.site.shared.calls.changes();
        while !reached(self) {
            // The sender lives as long as `self`.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for FakeQwen {
    fn drop(&mut self) {
        self.server.abort();
    }
}
