//! State of one stream, shared by the task that fills it and the client that reads it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, Response, Version};
use ring::digest;
use signalbox_core::{Api, sse::Frame};
use signalbox_daemon::{Caller, CallerKind};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{
    EventId, StreamError, StreamReader,
    labels::labelled,
    ring::{NoPlace, Ring, Total},
};

/// The request of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Id of the request.
    pub request: Uuid,
    /// API whose form its errors have.
    pub api: Api,
    /// Path below `/v1`.
    pub path: &'static str,
    /// Client that sent it; `None` if no key is needed.
    pub caller: Option<&'a Caller>,
    /// Body as sent by the client.
    pub body: &'a [u8],
}

/// A stream that can be resumed.
#[derive(Debug)]
pub struct Stream {
    request: Uuid,
    api: Api,
    path: &'static str,
    caller: Option<(CallerKind, Box<str>)>,
    /// Digest of the body of the request.
    body: digest::Digest,
    /// Headers of the answer.
    headers: HeaderMap,
    state: Mutex<State>,
    /// Notified when the reader has taken an event.
    room: Notify,
    /// Whether there is a reader.
    is_read: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    end: Option<StreamEnd>,
    /// Number of the present reader.
    reader: Option<u64>,
    readers: u64,
    /// Time at which the last reader left.
    unread_since: Instant,
    /// Wakes the reader.
    waker: Option<Waker>,
    /// Whether no reader is accepted any more.
    is_closed: bool,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// Properly.
    Whole,
    /// Broken off, after an error event.
    Broken,
}

/// Result of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The next event.
    Event(Bytes),
    /// The end.
    End(StreamEnd),
    /// Another reader has taken over.
    TakenOver,
}

// === impl Stream ===

impl Stream {
    /// Creates the stream of a request whose answer has these headers, with one reader.
    pub(super) fn new(origin: &Origin<'_>, headers: HeaderMap, max_bytes: usize, total: Arc<Total>) -> Self {
        Self {
            request: origin.request,
            api: origin.api,
            path: origin.path,
            caller: origin.caller.map(|caller| (caller.kind(), caller.id().into())),
            body: digest::digest(&digest::SHA256, origin.body),
            headers,
            state: Mutex::new(State {
                ring: Ring::new(max_bytes, total),
                end: None,
                reader: Some(1),
                readers: 1,
                unread_since: Instant::now(),
                waker: None,
                is_closed: false,
            }),
            room: Notify::new(),
            is_read: watch::Sender::new(true),
        }
    }

    /// Returns the id of the request.
    #[must_use]
    pub const fn request(&self) -> Uuid {
        self.request
    }

    /// Returns the API of the client.
    #[must_use]
    pub const fn api(&self) -> Api {
        self.api
    }

    /// Returns whether this caller sent the request.
    pub(super) fn is_of(&self, caller: Option<&Caller>) -> bool {
        let own = self.caller.as_ref().map(|(kind, id)| (*kind, &**id));
        own == caller.map(|caller| (caller.kind(), caller.id()))
    }

    /// Checks that a request is the one of this stream.
    ///
    /// # Errors
    /// [`StreamError::OtherRequest`] if it has another path or body.
    pub fn check(&self, path: &str, body: &[u8]) -> Result<(), StreamError> {
        let is_same = self.path == path && digest::digest(&digest::SHA256, body).as_ref() == self.body.as_ref();
        if is_same { Ok(()) } else { Err(StreamError::OtherRequest(self.request)) }
    }

    /// Returns a response with all events after the one with this number, over this version of HTTP. Its body takes
    /// over from the reader before it.
    ///
    /// # Errors
    /// Returns the reason why the stream cannot be continued there; the reader before it then goes on.
    pub fn resume(self: &Arc<Self>, after: u64, version: Version) -> Result<Response<Box<StreamReader>>, StreamError> {
        let number = self.attach(after)?;
        let reader = StreamReader::new(Arc::clone(self), number, version);
        let mut response = Response::new(Box::new(reader));
        *response.headers_mut() = self.headers.clone();
        Ok(response)
    }

    /// Makes room for a new reader, and returns its number.
    pub(super) fn attach(&self, after: u64) -> Result<u64, StreamError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(StreamError::Unknown(self.request.to_string()));
        }
        state.ring.seek(after).map_err(|why| match why {
            NoPlace::PushedOut(oldest) => StreamError::PushedOut { request: self.request, after, oldest },
            NoPlace::Ahead(last) => StreamError::Ahead { after, last },
        })?;
        state.readers += 1;
        state.reader = Some(state.readers);
        // The reader before it finds that it has been replaced.
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        self.is_read.send_replace(true);
        self.room.notify_one();
        Ok(state.readers)
    }

    /// Ends the reader with this number, if it is still the present one.
    pub(super) fn detach(&self, reader: u64) {
        let mut state = self.state();
        if state.reader == Some(reader) {
            state.reader = None;
            state.unread_since = Instant::now();
            state.waker = None;
            self.is_read.send_replace(false);
        }
    }

    /// Polls for the next event of the reader with this number.
    pub(super) fn poll(&self, reader: u64, cx: &mut Context<'_>) -> Poll<Found> {
        let mut state = self.state();
        if state.reader != Some(reader) {
            return Poll::Ready(Found::TakenOver);
        }
        if let Some(event) = state.ring.take() {
            self.room.notify_one();
            return Poll::Ready(Found::Event(event));
        }
        if let Some(end) = state.end {
            return Poll::Ready(Found::End(end));
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Adds the next event if there is room for it, or if it is `forced`. Returns whether it was added. Comments are
    /// for the present reader only.
    pub(super) fn offer(&self, event: &Frame, is_forced: bool) -> bool {
        let mut state = self.state();
        let id = EventId { request: self.request, number: state.ring.next_number() };
        let (bytes, is_event) = match labelled(event, id) {
            Some(labelled) => (labelled, true),
            None if state.reader.is_none() => return true,
            None => (Bytes::copy_from_slice(event.raw()), false),
        };
        if !is_forced && !state.ring.has_room(bytes.len()) {
            return false;
        }
        state.ring.push(bytes, is_event);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        true
    }

    /// Records that nothing follows. The first end counts.
    pub(super) fn end(&self, end: StreamEnd) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Waits until the reader has taken an event, or another one has come.
    pub(super) async fn has_changed(&self) {
        self.room.notified().await;
    }

    /// Waits until there is a reader, or none.
    pub(super) async fn is_read(&self, wanted: bool) {
        // The sender lives as long as this stream.
        self.is_read.subscribe().wait_for(|is_read| *is_read == wanted).await.ok();
    }

    /// Returns the time at which the last reader left.
    pub(super) fn unread_since(&self) -> Instant {
        self.state().unread_since
    }

    /// Accepts no reader any more, if there has been none since this time. Returns whether that is so.
    pub(super) fn close(&self, unread_since: Instant) -> bool {
        let mut state = self.state();
        state.is_closed = state.reader.is_none() && state.unread_since == unread_since;
        state.is_closed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
