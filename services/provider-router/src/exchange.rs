//! The books of one request, from its arrival to its end.

use std::{pin::Pin, sync::Arc, task::Context};

use signalbox_core::{
    masking::{Masker, NO_SECRETS},
    openai::{ChunkView, Ending},
    schema::RequestStatus,
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant, Sleep},
};
use uuid::Uuid;

use crate::{
    clock,
    journal::{Bodies, End, Entry, Kept, Summary, Written},
    provider::Provider,
    route::Candidate,
};

/// Maximum bytes of an answer that wait in memory before they are handed to the journal …
const PART: usize = 4 << 10;
/// … and how long fewer than that wait, counted from the first pause of the stream after they came.
const PART_AFTER: Duration = Duration::from_millis(250);

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
    /// When they are handed over if no more come; only streams that pause have one.
    part_due: Option<Pin<Box<Sleep>>>,
    is_part_due_set: bool,
    answer_len: u64,
    /// What was read of the answer while it passed.
    ending: Ending,
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
            part_due: None,
            is_part_due_set: false,
            answer_len: 0,
            ending: Ending::default(),
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

    /// What keeps the credentials of the provider that is being asked out of what it says.
    #[must_use]
    pub fn masker(&self) -> &Masker {
        self.provider.as_ref().map_or(&NO_SECRETS, |provider| provider.masker())
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
        self.upstream_model = candidate.model.as_ref().filter(|model| asked_for != Some(model)).cloned();
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
        if kept.len() < bytes.len() && self.answer_len == 0 && !self.streamed {
            // The counts of a whole answer stand behind its text, where the journal does not see them.
            self.summarize(bytes);
        }
        self.answer_len += bytes.len() as u64;
        self.answer.extend_from_slice(kept);
        if self.streamed && self.answer.len() >= PART {
            self.part();
        }
    }

    /// The stream has paused: hands what has waited long enough to the journal, or wakes the task when it is time.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) {
        if self.answer.is_empty() || self.kept.answer != Bodies::Full {
            return;
        }
        if !std::mem::replace(&mut self.is_part_due_set, true) {
            let due = Instant::now() + PART_AFTER;
            match &mut self.part_due {
                Some(timer) => timer.as_mut().reset(due),
                none => *none = Some(Box::pin(tokio::time::sleep_until(due))),
            }
        }
        if let Some(timer) = &mut self.part_due
            && timer.as_mut().poll(cx).is_ready()
        {
            self.is_part_due_set = false;
            self.part();
        }
    }

    /// What the relay has read of the answer's end so far.
    pub fn observe(&mut self, ending: &Ending) {
        if self.ending != *ending {
            self.ending.clone_from(ending);
        }
    }

    /// Hands what waits to the journal. What is not to be kept as it is has to be understood first, and stays in memory
    /// until the end.
    fn part(&mut self) {
        if self.kept.answer == Bodies::Full
            && let Some(entry) = &mut self.entry
        {
            entry.part(&self.answer);
            self.answer.clear();
        }
    }

    fn summarize(&mut self, whole: &[u8]) {
        if let Some(answer) = ChunkView::read(whole) {
            self.ending.usage = answer.usage();
            self.ending.finish_reason = answer.finish_reason().map(Into::into);
        }
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
        let truncated = self.answer_len > self.max_answer_len;
        let Ending { finish_reason, usage, .. } = std::mem::take(&mut self.ending);
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
            truncated,
            summary: truncated.then_some(Summary { usage, finish_reason }),
        };
        match answer {
            Bodies::Full => entry.end(end, &self.answer),
            bodies => entry.end(end, &bodies.of_answer(&self.answer, self.streamed)),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Ending { finish_reason, failure, .. } = &mut self.ending;
        let failure = failure.take();
        let status = match (self.status_code, &failure, finish_reason) {
            (None, ..) => RequestStatus::Cancelled,
            (Some(_), Some(_), _) => RequestStatus::Failed,
            // Many clients hang up on the finish reason and do not wait for `[DONE]`: they had the whole answer.
            (Some(_), None, Some(_)) => RequestStatus::Completed,
            (Some(_), None, None) => RequestStatus::ClientDisconnected,
        };
        // Nobody waits for this end.
        drop(self.finish(status, failure));
    }
}
