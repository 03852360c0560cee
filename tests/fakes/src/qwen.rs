//! A chat.qwen.ai that does what it is told: the site that qwen-proxy speaks with.
//!
//! It knows what is known of the site's wire format and refuses everything else: a request without a browser's headers gets
//! the firewall's page, a wrong field is a complaint, a turn has to name the answer before it. What the user says decides
//! what it answers ([`mind`]); a script, or the name of the model, decides what goes wrong ([`trouble`]).

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

/// What one call gets.
pub type Turn = script::Turn<Reply>;
/// What one kind of calls gets, call after call.
pub type Script = script::Script<Reply>;

/// The kinds of calls that the site knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /api/models`; `models` in a script.
    Models,
    /// `POST /api/v2/chats/new`; `new_chat` in a script.
    NewChat,
    /// `POST /api/v2/chat/completions`; `completion` in a script.
    Completion,
}

/// An answer to a completion, as far as it is not the user's text that decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    /// What it says, whatever the user said.
    pub text: Option<String>,
    /// What it thinks before that.
    pub thinking: Option<String>,
    /// How many characters an event has. Without it an event is a word.
    pub pieces: Option<usize>,
    /// What a stream does not have, although it should.
    pub without: Vec<Part>,
    /// What a stream has, although it should not.
    pub extra: Option<Extra>,
    /// Sent as `usage` with every event of a stream, the last one too, instead of the token counts.
    pub usage: Option<Value>,
    /// The form of `content` in a stream.
    pub content: Content,
    /// Writes characters beyond U+FFFF as two escapes and cuts the text between them: each half is in an event of its own.
    pub halves: bool,
}

/// The form of `content` in the events of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// `"text"`, and `""` where there is none: the site's own.
    #[default]
    Text,
    /// `[{"type":"text","text":"text"}]`, and `null` where there is none.
    Parts,
    /// `["text"]`, and `[]` where there is none.
    Texts,
}

/// What a stream has besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The first event, which names the answer.
    Created,
    /// The token counts.
    Usage,
    /// The last event.
    Finished,
}

/// What a stream does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// Comments and events that nobody knows, before each event: harmless.
    Unknown,
    /// An event that is no JSON, before each event: a proxy has changed the stream.
    Garbage,
}

/// A running fake of chat.qwen.ai. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct FakeQwen {
    addr: SocketAddr,
    site: Arc<Site>,
    server: JoinHandle<()>,
}

/// What all its connections share.
#[derive(Debug, Default)]
pub(crate) struct Site {
    shared: Shared<Reply>,
    chats: Chats,
    /// The only token that is logged in; any is when there is none.
    token: Mutex<Option<String>>,
    complaints: Mutex<Vec<String>>,
}

// === impl Endpoint ===

impl Endpoint {
    /// Its name in a script.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::NewChat => "new_chat",
            Self::Completion => "completion",
        }
    }

    /// What is asked for with this method at this path, without its query.
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
    /// Says this, whatever the user said.
    #[must_use]
    pub fn says(text: impl Into<String>) -> Turn {
        Self { text: Some(text.into()), ..Self::default() }.into()
    }
}

// === impl FakeQwen ===

impl FakeQwen {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts one on `addr`.
    ///
    /// # Errors
    /// When `addr` cannot be listened on.
    pub async fn start_on(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let (addr, site) = (listener.local_addr()?, Arc::new(Site::default()));
        let server = tokio::spawn(serve(listener, Arc::clone(&site)));
        Ok(Self { addr, site, server })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Lets calls of this kind follow `script`, from its first turn. The gate is for turns that are gated.
    ///
    /// A script wins over what the name of the model says.
    pub fn script(&self, endpoint: Endpoint, script: impl Into<Script>) -> Gate {
        self.site.shared.script(endpoint.name().to_owned(), script.into())
    }

    /// Forgets all chats, as the site does with those of guests.
    pub fn forget_chats(&self) {
        self.site.chats.forget();
    }

    /// Accepts only this token from now on: every other login is answered with 401.
    pub fn accept_only(&self, token: &str) {
        self.site.accept_only(Some(token.to_owned()));
    }

    /// What was wrong with requests, in words, oldest first. A good client leaves this empty.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.site.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest calls, oldest first (see [`crate::calls::KEPT`]).
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.site.shared.calls.calls()
    }

    /// The calls of this kind, oldest first.
    #[must_use]
    pub fn calls_of(&self, endpoint: Endpoint) -> Vec<Call> {
        let path = |call: &Call| call.path.split('?').next().unwrap_or_default().to_owned();
        self.calls().into_iter().filter(|call| Endpoint::of(&call.method, &path(call)) == Some(endpoint)).collect()
    }

    /// The next number of the order of everything that happens, to place something in it that the fake cannot see.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.site.shared.calls.tick()
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.site.shared.connections()
    }

    /// Waits until `reached` says so; it is asked at every change of what the fake has seen. Has no deadline of its own.
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
