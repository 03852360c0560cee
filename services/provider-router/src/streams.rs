//! Streams whose clients may lose their connection and fetch the rest.
//!
//! The relay of such a stream is read by a task of its own ([`pump`]), which keeps the newest events in a bounded
//! buffer ([`ring`]). Clients read that buffer ([`StreamReader`]): the one that sent the request, and then each one
//! that [finds](Streams::find) the stream by the id of an event, with the same key.
//!
//! # Invariants
//! - A stream is read by at most one client, and a client that misses an event never sees a proper end.
//! - An event that no client has taken is not removed: a slow client, or none, makes the provider wait.
//! - The exchange ends by itself, or when no client has read the stream for the configured time; that is logged as the
//!   disconnection of its client.

mod event_id;
mod labels;
mod pump;
mod reader;
mod ring;
mod stream;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use serde::Deserialize;
use signalbox_daemon::{
    Caller, Exit,
    config::{self, Size},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub use self::{
    event_id::EventId,
    reader::StreamReader,
    stream::{Origin, Stream},
};
use self::{pump::Answer, ring::Total};
use crate::relay::Relay;

/// Header of an answer that can be resumed: id of its request.
pub const STREAM: HeaderName = HeaderName::from_static("x-signalbox-stream");

/// Smallest buffer of a stream.
const MIN_BYTES: u64 = 4 << 10;

/// Time that an answer without a reader gets to end once the process drains: no client can connect any more.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Section `[streams]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamsConfig {
    /// Maximum bytes of the events that are kept of one stream.
    pub max_bytes: Size,
    /// Maximum bytes of the events of all streams; 0 if no stream can be resumed.
    pub max_total_bytes: Size,
    /// Maximum time without a reader.
    pub reconnect_timeout: config::Duration,
}

/// The resumable streams of this process.
#[derive(Debug)]
pub struct Streams {
    by_request: Mutex<HashMap<Uuid, Arc<Stream>>>,
    total: Arc<Total>,
    max_bytes: usize,
    reconnect_timeout: Duration,
    draining: CancellationToken,
    tasks: TaskTracker,
}

/// Reason why a stream cannot be resumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// No stream of this caller has the id.
    #[error(
        "there is no stream `{0}` to resume: it has been unread for too long, the router was restarted, or it belongs \
         to another key; if its request has ended, the answer is in the request log, otherwise send the request again \
         without `Last-Event-ID`"
    )]
    Unknown(String),
    /// The event that would be next is not kept any more.
    #[error(
        "the event after {after} is not kept any more, the oldest one is {oldest}; once the request {request} has \
         ended, its whole answer is in the request log"
    )]
    PushedOut {
        /// Id of the request.
        request: Uuid,
        /// Number of the event after which the client asked to continue.
        after: u64,
        /// Number of the oldest event that is kept.
        oldest: u64,
    },
    /// The stream has no such event.
    #[error("the stream has no event {after} yet, the last one is {last}")]
    Ahead {
        /// Number of the event after which the client asked to continue.
        after: u64,
        /// Number of the last event.
        last: u64,
    },
    /// The text does not name an event of the stream.
    #[error("`{param}` must be the id of an event of this stream, such as {stream}-12")]
    Malformed {
        /// Header or parameter that has the text.
        param: &'static str,
        /// Id of the request.
        stream: Uuid,
    },
    /// The request is not the one whose stream is named.
    #[error(
        "`Last-Event-ID` names an event of the request {0}, which had another path or body; repeat that request \
         unchanged, or send this one without `Last-Event-ID`"
    )]
    OtherRequest(Uuid),
}

// === impl StreamsConfig ===

impl StreamsConfig {
    /// Checks constraints that the types cannot express.
    ///
    /// # Errors
    /// Returns [`Exit::Config`], which names the key and its accepted values.
    pub fn check(&self) -> Result<(), Exit> {
        let (max, total) = (self.max_bytes.bytes(), self.max_total_bytes.bytes());
        if max < MIN_BYTES {
            let least = Size::from_bytes(MIN_BYTES);
            return Err(Exit::Config(format!("streams.max_bytes takes a size of at least {least}")));
        }
        if total != 0 && total < max {
            return Err(Exit::Config(
                "streams.max_total_bytes takes a size of at least streams.max_bytes, or 0B for no resumable streams"
                    .to_owned(),
            ));
        }
        if self.reconnect_timeout.get().is_zero() {
            return Err(Exit::Config("streams.reconnect_timeout takes a duration above 0s".to_owned()));
        }
        Ok(())
    }
}

// === impl Streams ===

impl Streams {
    /// Creates the streams of a process; `draining` is cancelled when it accepts no more connections.
    #[must_use]
    pub fn new(config: &StreamsConfig, draining: CancellationToken) -> Self {
        Self {
            by_request: Mutex::default(),
            total: Arc::new(Total::new(config.max_total_bytes.as_usize())),
            max_bytes: config.max_bytes.as_usize(),
            reconnect_timeout: config.reconnect_timeout.get(),
            draining,
            tasks: TaskTracker::new(),
        }
    }

    /// Keeps the answer to a request with this origin so that its client can resume it, and names it in the headers.
    /// Returns its first reader.
    ///
    /// # Errors
    /// Returns the answer while the bound of all streams is reached.
    pub fn keep(
        self: &Arc<Self>,
        relay: Box<Relay>,
        headers: &mut HeaderMap,
        origin: &Origin<'_>,
        version: Version,
    ) -> Result<StreamReader, Box<Relay>> {
        if self.total.is_full() {
            return Err(relay);
        }
        if let Ok(id) = HeaderValue::from_str(&origin.request.to_string()) {
            headers.insert(STREAM, id);
        }
        Ok(self.start(relay, origin, headers.clone(), version))
    }

    /// Begins to keep an answer with these headers, and returns its first reader.
    fn start(
        self: &Arc<Self>,
        answer: impl Answer,
        origin: &Origin<'_>,
        headers: HeaderMap,
        version: Version,
    ) -> StreamReader {
        let stream = Arc::new(Stream::new(origin, headers, self.max_bytes, Arc::clone(&self.total)));
        let reader = StreamReader::first(&stream, version);
        self.streams().insert(origin.request, Arc::clone(&stream));
        self.tasks.spawn(pump::pump(Arc::clone(self), stream, answer));
        reader
    }

    /// Returns the stream of a request that this caller sent.
    ///
    /// # Errors
    /// [`StreamError::Unknown`] if there is none, or if it is that of another caller.
    pub fn find(&self, request: Uuid, caller: Option<&Caller>) -> Result<Arc<Stream>, StreamError> {
        let stream = self.streams().get(&request).cloned();
        stream.filter(|stream| stream.is_of(caller)).ok_or_else(|| StreamError::Unknown(request.to_string()))
    }

    /// Returns the number of streams that can be resumed, and the bytes of their events.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.streams().len(), self.total.held())
    }

    /// Waits until all streams have ended. While the process drains, those without a reader end in a bounded time.
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn remove(&self, stream: &Stream) {
        self.streams().remove(&stream.request());
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Stream>>> {
        self.by_request.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
