//! Records an answer while it is sent to the client.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header::CONTENT_TYPE};
use signalbox_core::Api;
use uuid::Uuid;

use super::{AnswerCache, Ask, Key, StoredAnswer, complete::complete, flights::Flight};

/// Ends of an event.
const BLANK_LINES: [&[u8]; 3] = [b"\n\n", b"\r\r", b"\r\n\r\n"];

/// Records an answer, and stores it if it is complete. Dropping the recorder releases the requests that wait for the
/// answer.
#[derive(Debug)]
pub struct Recorder {
    cache: Arc<AnswerCache>,
    key: Key,
    stores: bool,
    api: Api,
    is_direct: bool,
    max_bytes: usize,
    headers: HeaderMap,
    streamed: bool,
    body: Vec<u8>,
    /// Bytes that are reserved for it.
    reserved: u64,
    /// Whether the answer cannot be stored, because it failed or is too long.
    is_given_up: bool,
    /// Declared last, so that the answer is stored before others are released.
    _flight: Option<Flight>,
}

/// The end of an answer.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// Request that was answered.
    pub request: Uuid,
    /// Id of the provider that answered.
    pub provider: Option<&'a str>,
    /// Name of the model there, if it differs from the requested one.
    pub model: Option<&'a str>,
    /// Time in milliseconds.
    pub now: u64,
}

// === impl Recorder ===

impl Recorder {
    pub(super) fn new(cache: &Arc<AnswerCache>, ask: &Ask, flight: Option<Flight>) -> Self {
        let max_bytes = usize::try_from(ask.terms.max_answer_bytes()).unwrap_or(usize::MAX);
        Self {
            cache: Arc::clone(cache),
            key: ask.key,
            stores: ask.control.stores,
            api: ask.api,
            is_direct: ask.is_direct,
            max_bytes,
            headers: HeaderMap::new(),
            streamed: false,
            body: Vec::new(),
            reserved: 0,
            is_given_up: false,
            _flight: flight,
        }
    }

    /// Records the headers that describe the answer: its content type, and `translation`.
    pub fn headers(&mut self, headers: &HeaderMap, translation: &HeaderName) {
        for name in [&CONTENT_TYPE, translation] {
            if let Some(value) = headers.get(name) {
                self.headers.insert(name, value.clone());
            }
        }
    }

    /// Records the status. Only answers with status 200 are stored.
    pub fn head(&mut self, status: u16, streamed: bool) {
        self.streamed = streamed;
        self.is_given_up |= status != 200;
    }

    /// Records the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_given_up || !self.stores {
            return;
        }
        let len = bytes.len() as u64;
        if self.body.len() + bytes.len() > self.max_bytes || !self.cache.reserve(len) {
            self.is_given_up = true;
            self.body = Vec::new();
            self.release();
            return;
        }
        self.reserved += len;
        self.body.extend_from_slice(bytes);
    }

    fn release(&mut self) {
        self.cache.release(std::mem::take(&mut self.reserved));
    }

    /// Stores the answer, which the client received completely, if it may be given again.
    pub fn finish(mut self, recorded: &Recorded<'_>) {
        if self.is_given_up || !self.stores || self.body.is_empty() {
            return;
        }
        if self.streamed && !BLANK_LINES.iter().any(|line| self.body.ends_with(line)) {
            // Without it, clients would not see the last event.
            self.body.extend_from_slice(b"\n\n");
        }
        let Recorded { request, provider, model, now } = *recorded;
        let body = Bytes::from(std::mem::take(&mut self.body));
        let Some(complete) = complete(self.api, self.is_direct, &body, self.streamed) else { return };
        let answer = StoredAnswer {
            request,
            stored_at: now,
            headers: std::mem::take(&mut self.headers),
            provider: provider.map(str::to_owned),
            model: model.map(str::to_owned),
            streamed: self.streamed,
            response_id: complete.response_id,
            body,
        };
        self.cache.insert(self.key, answer);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.release();
    }
}
