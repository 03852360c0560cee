//! The books of one request, from its arrival to its end.

use std::sync::Arc;

use signalbox_core::schema::RequestStatus;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant},
};
use uuid::Uuid;

use crate::{
    clock,
    journal::{Bodies, End, Entry, Kept, Written},
    provider::Provider,
    route::Candidate,
};

/// An answer grows in memory to this size before it is handed to the journal …
const PART: usize = 16 << 10;
/// … but for its newest bytes, in which the relay may have to look for the finish reason.
const NEWEST: usize = 4 << 10;

/// The books of one request. Dropping it before [`Exchange::finish`] means that the client has left: the end is written
/// then, so that every request ends exactly once.
#[derive(Debug)]
pub struct Exchange {
    /// `None` once the end is written.
    entry: Option<Entry>,
    arrived: Instant,
    provider: Option<Arc<Provider>>,
    upstream_model: Option<String>,
    attempts: i64,
    status_code: Option<u16>,
    first_byte: Option<Duration>,
    streamed: bool,
    /// The newest bytes of the answer, which the journal does not have yet.
    answer: Vec<u8>,
    answer_len: u64,
    max_answer_len: u64,
    kept: Kept,
    /// Its place among the requests in flight.
    _permit: OwnedSemaphorePermit,
}

impl Exchange {
    /// Opens the books. Of an answer, `max_answer_len` bytes are kept, as `kept` has it.
    #[must_use]
    pub fn new(entry: Entry, arrived: Instant, max_answer_len: u64, kept: Kept, permit: OwnedSemaphorePermit) -> Self {
        Self {
            entry: Some(entry),
            arrived,
            provider: None,
            upstream_model: None,
            attempts: 0,
            status_code: None,
            first_byte: None,
            streamed: false,
            answer: Vec::new(),
            answer_len: 0,
            max_answer_len,
            kept,
            _permit: permit,
        }
    }

    /// The request's id; nil once it is over.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.entry.as_ref().map_or(Uuid::nil(), Entry::id)
    }

    /// When it arrived.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// A provider is going to be asked.
    pub fn attempt(&mut self, candidate: &Candidate, asked_for: Option<&str>) {
        self.attempts += 1;
        self.provider = Some(Arc::clone(&candidate.provider));
        self.upstream_model = (asked_for != Some(&candidate.model)).then(|| candidate.model.clone());
    }

    /// The head of the answer is going to the client.
    pub fn head(&mut self, status: u16, streamed: bool) {
        self.status_code = Some(status);
        self.streamed = streamed;
        self.first_byte = Some(self.arrived.elapsed());
    }

    /// More of the answer is going to the client.
    pub fn answer(&mut self, bytes: &[u8]) {
        let room = self.max_answer_len.saturating_sub(self.answer_len);
        let kept = usize::try_from(room).map_or(bytes, |room| &bytes[..bytes.len().min(room)]);
        self.answer_len += bytes.len() as u64;
        self.answer.extend_from_slice(kept);
        // What is not to be kept as it is has to be understood first, and stays in memory until its end.
        if self.answer.len() >= PART
            && self.kept.answer == Bodies::Full
            && let Some(entry) = &mut self.entry
        {
            let part = self.answer.len() - NEWEST;
            entry.part(&self.answer[..part]);
            self.answer.drain(..part);
        }
    }

    /// The newest bytes of the answer: the last [`NEWEST`] at least, or all.
    #[must_use]
    pub fn newest(&self) -> &[u8] {
        &self.answer
    }

    /// Writes the end. The last byte may be released to the client when [`Written`] is ready.
    pub fn finish(&mut self, status: RequestStatus, error: Option<String>) -> Written {
        let Some(entry) = self.entry.take() else { return Written::default() };
        let duration = self.arrived.elapsed();
        if let Some(provider) = &self.provider {
            provider.metrics.ended(status, duration, self.first_byte);
        }
        let Kept { request, answer } = self.kept;
        let streamed = self.streamed && answer == Bodies::Full;
        // Providers quote what they were sent in their errors.
        let quotable = request.max(answer) == Bodies::Full;
        let error = error.map(|error| if quotable { error } else { "not kept".to_owned() });
        let end = End {
            status,
            ended_at: clock::unix_ms(),
            provider_id: self.provider.as_ref().map(|provider| provider.id.clone()),
            upstream_model: self.upstream_model.take(),
            status_code: self.status_code,
            duration_ms: clock::millis(duration),
            first_byte_ms: self.first_byte.map(clock::millis),
            attempts: self.attempts,
            error,
            streamed,
            truncated: self.answer_len > self.max_answer_len,
        };
        match answer {
            Bodies::Full => entry.end(end, &self.answer),
            bodies => entry.end(end, &bodies.of_answer(&self.answer, self.streamed)),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let status =
            if self.status_code.is_some() { RequestStatus::ClientDisconnected } else { RequestStatus::Cancelled };
        // Nobody waits for this end.
        drop(self.finish(status, None));
    }
}
