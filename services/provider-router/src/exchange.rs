//! State of one request, from its arrival to the end written to the journal.

mod cached;
mod hedge;
mod routing;
mod switch;

use std::{pin::Pin, sync::Arc, task::Context};

use bytes::Bytes;
pub use hedge::Beside;
use http::{HeaderMap, HeaderName};
pub use routing::FailedAttempt;
use routing::{AttemptEnded, Routing};
use serde_json::{Map, Value};
use signalbox_core::{
    Api,
    masking::{Masker, NO_SECRETS},
    openai::{ChunkView, Ending, Usage},
    schema::{RequestStatus, RoutingRecord},
    sse::Splitter,
    typed::{self, TypedReader},
};
use signalbox_daemon::{AttemptEnd, RequestContext};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant, Sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use uuid::Uuid;

use crate::{
    admission::Admitted,
    cache::Recorder,
    clock,
    envelope::Envelope,
    journal::{Bodies, BodyPolicy, End, Entry, SentAs, Summary, Written},
    ledger::Taken,
    live::{Ended, LiveEntry},
    provider::Provider,
    route::Candidate,
    stream_length::StreamLength,
};

pub use switch::{NewAttempt, NewTarget, Switch};

/// Header that names the APIs of client and provider if they differ, and lists the fields that were not sent as the
/// client wrote them.
pub const TRANSLATION: HeaderName = HeaderName::from_static("x-signalbox-translation");

/// Maximum bytes of a response buffered in memory before they are appended to the journal.
const MAX_PENDING_PART: usize = 4 << 10;
/// Maximum time that fewer bytes stay buffered, counted from the first pause of the stream after they arrived.
const PART_DELAY: Duration = Duration::from_millis(250);

/// Maximum characters of the error of an attempt in the explanation.
const MAX_ATTEMPT_ERROR: usize = 1_000;

/// State of one request. Dropping it before [`Exchange::finish`] means that the client has disconnected; the end is
/// then written by `drop`, so that every request ends exactly once.
#[derive(Debug)]
pub struct Exchange {
    /// Journal entry; `None` once the end is written.
    entry: Option<Entry>,
    context: RequestContext,
    /// Entry in the list of requests in flight.
    live: LiveEntry,
    /// API of the client.
    api: Api,
    provider: Option<Arc<Provider>>,
    upstream_model: Option<String>,
    sent_as: Option<Box<SentAs>>,
    /// Whether the provider was asked for token counts that the client did not ask for.
    counted: bool,
    attempts: i64,
    /// Expected cost of attempts that were cancelled, in nano-dollars.
    cancelled_nanos: i64,
    routing: Routing,
    /// Whether a failure of the answer does not count against the breaker of its target.
    is_target_spared: bool,
    /// Span of the last attempt, open until the response has been relayed.
    attempt: Span,
    /// Model that the response names; read only if spans are exported.
    response_model: Option<String>,
    status_code: Option<u16>,
    first_byte: Option<Duration>,
    streamed: bool,
    /// Newest bytes of the response, not yet in the journal.
    answer: Vec<u8>,
    /// Timer for appending them to the journal; created at the first pause of a stream.
    part_due: Option<Pin<Box<Sleep>>>,
    is_part_due_set: bool,
    answer_len: u64,
    /// Usage, finish reason and failure, as far as the relay has read them.
    ending: Ending,
    /// Token counts that are not part of the response to the client.
    hidden_usage: Option<Usage>,
    max_answer_len: u64,
    kept: BodyPolicy,
    /// Reservation in the limits and budgets of the client, if it has any.
    admitted: Option<Box<Admitted>>,
    /// Length of the texts of a stream; counted only if the client has limits.
    stream_length: StreamLength,
    /// Whether the error is in the router's own words.
    is_own_error: bool,
    /// Takes the answer for the cache of the route.
    recorder: Option<Box<Recorder>>,
    /// Permit of the limit on requests in flight.
    _permit: OwnedSemaphorePermit,
}

impl Exchange {
    /// Creates the state of a request of `api`. At most `max_answer_len` bytes of the response are kept, in the detail
    /// given by `kept`.
    #[must_use]
    pub fn new(
        entry: Entry,
        (context, live): (RequestContext, LiveEntry),
        api: Api,
        max_answer_len: u64,
        kept: BodyPolicy,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            entry: Some(entry),
            context,
            live,
            api,
            provider: None,
            upstream_model: None,
            sent_as: None,
            counted: false,
            attempts: 0,
            cancelled_nanos: 0,
            routing: Routing::default(),
            is_target_spared: false,
            attempt: Span::none(),
            response_model: None,
            status_code: None,
            first_byte: None,
            streamed: false,
            answer: Vec::new(),
            part_due: None,
            is_part_due_set: false,
            answer_len: 0,
            ending: Ending::default(),
            hidden_usage: None,
            max_answer_len,
            kept,
            admitted: None,
            stream_length: StreamLength::default(),
            is_own_error: false,
            recorder: None,
            _permit: permit,
        }
    }

    /// Takes the reservation in the limits and budgets of the client, which is settled at the end.
    pub fn hold(&mut self, admitted: Option<Admitted>) {
        self.admitted = admitted.map(Box::new);
    }

    /// Returns the request's id; nil once the end is written.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.entry.as_ref().map_or(Uuid::nil(), Entry::id)
    }

    /// Returns the token that is cancelled when the request has to end at once: it is cancelled, or the router stops.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        self.live.stop()
    }

    /// Returns whether an operator has cancelled the request.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.live.is_cancelled()
    }

    /// Returns the masker that removes the current provider's credentials from its responses.
    #[must_use]
    pub fn masker(&self) -> &Masker {
        self.provider.as_ref().map_or(&NO_SECRETS, |provider| provider.masker())
    }

    /// Returns the time at which the request arrived.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.context.arrived()
    }

    /// Returns the number of attempts so far.
    #[must_use]
    pub const fn attempts(&self) -> i64 {
        self.attempts
    }

    /// Keeps the plan of the request, to which the attempts are added.
    pub fn keep_plan(&mut self, record: RoutingRecord) {
        self.routing.record(record);
    }

    /// Returns whether the plan is kept.
    #[must_use]
    pub const fn has_plan(&self) -> bool {
        self.routing.has_record()
    }

    /// Records an attempt with `candidate`, which has this place in the plan and sets these fields of the body. Returns
    /// its span.
    #[must_use]
    pub fn attempt(
        &mut self,
        candidate: &Candidate,
        place: usize,
        params: Option<&Map<String, Value>>,
        envelope: &Envelope,
    ) -> Span {
        self.attempts += 1;
        self.routing.begin(candidate, place, params, self.context.arrived());
        self.set_target(candidate, envelope);
        let n = u64::try_from(self.attempts).unwrap_or_default();
        self.attempt = self.context.attempt_span(n, &candidate.provider.id, candidate.model.as_deref());
        self.attempt.clone()
    }

    /// Takes over the facts about the target that answers.
    fn set_target(&mut self, candidate: &Candidate, envelope: &Envelope) {
        self.provider = Some(Arc::clone(&candidate.provider));
        let model = candidate.model.as_deref();
        self.live.attempt(self.attempts, &candidate.provider, model);
        self.upstream_model = model.filter(|model| envelope.model.as_deref() != Some(model)).map(str::to_owned);
        let sent = candidate.provider.api_for(self.api, model);
        self.sent_as = envelope
            .is_translated(sent)
            .then(|| SentAs {
                api: sent.as_str().to_owned(),
                kind: candidate.provider.row.kind.clone(),
                translation: String::new(),
            })
            .map(Box::new);
        self.counted = candidate.provider.counts_stream(envelope, model);
    }

    /// Returns the span of the current attempt.
    #[must_use]
    pub fn attempt_span(&self) -> &Span {
        &self.attempt
    }

    /// Returns the context of the request.
    #[must_use]
    pub const fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Keeps what the current attempt uses of the limits of its provider, until it ends.
    pub fn hold_quota(&mut self, taken: Option<Taken>) {
        self.routing.hold(taken);
    }

    /// Records that the provider has begun to answer.
    pub fn attempt_answered(&self) {
        self.routing.answered();
    }

    /// Ends an attempt that failed.
    pub fn attempt_failed(&mut self, failed: &FailedAttempt, candidate: &Candidate) {
        let times = (None, self.context.arrived());
        self.routing.failed(failed, &candidate.provider.id, candidate.model.as_deref(), times);
        let end = AttemptEnd { status: failed.status, error: Some(failed.code), ..AttemptEnd::default() };
        self.context.end_attempt(&std::mem::replace(&mut self.attempt, Span::none()), &end);
    }

    /// Records that the error of the request is in the router's own words, which quote nothing of its content.
    pub const fn note_own_error(&mut self) {
        self.is_own_error = true;
    }

    /// Records that a failure of the answer does not count against the breaker of its target.
    pub const fn spare_target(&mut self) {
        self.is_target_spared = true;
    }

    /// Records the status of the response, and the time to its first byte.
    pub fn head(&mut self, status: u16, streamed: bool) {
        self.status_code = Some(status);
        self.streamed = streamed;
        let first_byte = self.context.arrived().elapsed();
        self.first_byte = Some(first_byte);
        self.live.answering(first_byte);
        if let Some(recorder) = &mut self.recorder {
            recorder.head(status, streamed);
        }
    }

    /// Records the next bytes of the response, and appends them to the journal once a stream has `MAX_PENDING_PART` of
    /// them.
    pub fn answer(&mut self, bytes: &[u8]) {
        let room = self.max_answer_len.saturating_sub(self.answer_len);
        let kept = usize::try_from(room).map_or(bytes, |room| &bytes[..bytes.len().min(room)]);
        if self.answer_len == 0 && self.context.is_exported() && self.status_code == Some(200) {
            self.response_model = model_of(self.api, bytes, self.streamed);
        }
        if kept.len() < bytes.len() && self.answer_len == 0 && !self.streamed {
            // In a complete response, the usage may follow the text and so be beyond the part that is kept.
            self.summarize(bytes);
        }
        if self.streamed && self.admitted.is_some() {
            self.stream_length.add(bytes);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.push(bytes);
        }
        self.answer_len += bytes.len() as u64;
        self.live.add_bytes(bytes.len());
        self.answer.extend_from_slice(kept);
        if self.streamed && self.answer.len() >= MAX_PENDING_PART {
            self.part();
        }
    }

    /// Called when the stream pauses: appends the buffered bytes to the journal once `PART_DELAY` has passed, or
    /// registers the waker for that time.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) {
        if self.answer.is_empty() || self.kept.answer != Bodies::Full {
            return;
        }
        if !std::mem::replace(&mut self.is_part_due_set, true) {
            let due = Instant::now() + PART_DELAY;
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

    /// Takes over what the relay has read of the response's end so far.
    pub fn observe(&mut self, ending: &Ending) {
        if self.ending != *ending {
            self.ending.clone_from(ending);
        }
    }

    /// Records what the headers of the response say about its translation.
    pub fn note_translation(&mut self, headers: &HeaderMap) {
        let text = headers.get(TRANSLATION).and_then(|text| text.to_str().ok());
        if let (Some(sent_as), Some(text)) = (&mut self.sent_as, text) {
            text.clone_into(&mut sent_as.translation);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.headers(headers, &TRANSLATION);
        }
    }

    /// Records token counts that are not part of the response to the client.
    pub fn note_usage(&mut self, usage: Option<Usage>) {
        self.hidden_usage = usage;
    }

    /// Appends the buffered bytes to the journal. A response that is to be redacted or dropped stays in memory until
    /// its end, because it has to be parsed as a whole.
    fn part(&mut self) {
        if self.kept.answer == Bodies::Full
            && let Some(entry) = &mut self.entry
        {
            entry.part(&self.answer);
            self.answer.clear();
        }
    }

    fn summarize(&mut self, whole: &[u8]) {
        if self.api != Api::Chat {
            let answer = typed::fold_answer(self.api, whole).unwrap_or_default();
            self.ending.usage = answer.usage;
            self.ending.finish_reason = answer.finish_reason;
        } else if let Some(answer) = ChunkView::read(whole) {
            self.ending.usage = answer.usage();
            self.ending.finish_reason = answer.finish_reason().map(Into::into);
        }
    }

    /// Sets the facts for the access log and the exported spans, if they are needed.
    fn tell_details(&mut self, status: RequestStatus) {
        if !self.context.needs_details(status) {
            return;
        }
        // The relay reads the token counts of streams; those of a whole response are otherwise only read by the loader.
        if self.ending.usage.is_none() && !self.streamed && self.status_code == Some(200) {
            let answer = std::mem::take(&mut self.answer);
            self.summarize(&answer);
            self.answer = answer;
        }
        let tokens = |count: fn(&Usage) -> i64| u64::try_from(self.ending.usage.as_ref().map(count)?).ok();
        let response_model = self.response_model.take();
        self.context.update_details(|details| {
            details.provider = self.provider.as_ref().map(|provider| provider.id.clone());
            details.attempts = u64::try_from(self.attempts).unwrap_or_default();
            details.first_byte = self.first_byte;
            details.input_tokens = tokens(|usage| usage.prompt_tokens);
            details.output_tokens = tokens(|usage| usage.completion_tokens);
            details.outcome = Some(status);
            details.response_model.clone_from(&response_model);
        });
        if self.attempt.is_disabled() || !self.context.is_exported() {
            return;
        }
        let end = AttemptEnd {
            status: self.status_code,
            error: status.has_failed().then_some(status.as_str()),
            response_model,
            input_tokens: tokens(|usage| usage.prompt_tokens),
            output_tokens: tokens(|usage| usage.completion_tokens),
        };
        self.context.end_attempt(&self.attempt, &end);
    }

    /// Writes the end of the request to the journal. The last byte may be sent to the client once [`Written`] is ready.
    pub fn finish(&mut self, status: RequestStatus, error: Option<String>) -> Written {
        let Some(entry) = self.entry.take() else { return Written::default() };
        self.finish_recording(entry.id(), status);
        let duration = self.context.arrived().elapsed();
        // The API of the client may have no place for some of the counts.
        let is_hidden = self.hidden_usage.is_some() && self.hidden_usage != self.ending.usage;
        self.ending.usage = self.hidden_usage.or(self.ending.usage);
        if let Some(provider) = &self.provider {
            provider.metrics.ended(status, duration, self.first_byte);
        }
        self.tell_details(status);
        let BodyPolicy { request, answer } = self.kept;
        // A response that is not kept cannot be read by the loader, and a limit is settled before it reads.
        let is_needed = self.admitted.is_some() || self.routing.is_limited() || self.live.is_watched();
        let is_read_now = answer == Bodies::Off || is_needed;
        if is_read_now && self.ending.usage.is_none() && !self.streamed && self.status_code == Some(200) {
            let whole = std::mem::take(&mut self.answer);
            self.summarize(&whole);
            self.answer = whole;
        }
        let streamed = self.streamed && answer == Bodies::Full;
        // Providers quote the request in their errors.
        let quotable = request.max(answer) == Bodies::Full;
        let is_kept = quotable || self.is_own_error || self.live.is_cancelled();
        let error = error.map(|error| if is_kept { error } else { "not kept".to_owned() });
        let truncated = self.answer_len > self.max_answer_len;
        let Ending { finish_reason, usage, .. } = std::mem::take(&mut self.ending);
        self.routing.settle(usage.map(|usage| tokens(&usage)));
        self.live.end(&Ended { status, status_code: self.status_code, duration, usage, error: error.as_deref() });
        let ended = AttemptEnded {
            status: self.status_code,
            error: error.as_deref(),
            counts: !self.is_target_spared,
            first_byte: self.first_byte,
            duration,
        };
        let provider = self.provider.as_ref().map(|provider| &*provider.id);
        let (mut plan, params) = self.routing.finish(status, provider, &ended);
        for error in plan.iter_mut().flat_map(|plan| &mut plan.attempts).filter_map(|attempt| attempt.error.as_mut()) {
            if !quotable {
                "not kept".clone_into(error);
            } else if let Some((end, _)) = error.char_indices().nth(MAX_ATTEMPT_ERROR) {
                error.truncate(end);
            }
        }
        let end = End {
            status,
            ended_at: clock::unix_ms(),
            provider_id: self.provider.as_ref().map(|provider| provider.id.clone()),
            provider_type: self.provider.as_ref().map(|provider| provider.row.kind.clone()),
            upstream_model: self.upstream_model.take(),
            sent_as: self.sent_as.take(),
            counted: self.counted,
            status_code: self.status_code,
            duration_ms: clock::millis(duration),
            first_byte_ms: self.first_byte.map(clock::millis),
            attempts: self.attempts,
            cancelled_nanos: self.cancelled_nanos,
            error,
            streamed,
            truncated,
            parts: 0,
            summary: (truncated || is_hidden || answer == Bodies::Off)
                .then(|| Box::new(Summary { usage, finish_reason })),
            plan,
            params,
        };
        if let Some(admitted) = self.admitted.take() {
            let guessed = if self.streamed { self.stream_length.tokens() } else { self.answer_len / 4 };
            admitted.settle(&end, usage, guessed);
        }
        match answer {
            Bodies::Full => entry.end(end, &self.answer),
            bodies => entry.end(end, &bodies.of_answer(self.api, &self.answer, self.streamed)),
        }
    }
}

/// Returns all tokens of an answer and its prompt.
fn tokens(usage: &Usage) -> u64 {
    let sum = usage.prompt_tokens.saturating_add(usage.completion_tokens);
    u64::try_from(usage.total_tokens.max(sum)).unwrap_or_default()
}

/// Returns the model that a whole response, or the first event of a stream, names.
fn model_of(api: Api, begun: &[u8], streamed: bool) -> Option<String> {
    let model = |json: &[u8]| Some(ChunkView::read(json)?.model?.to_str().into_owned());
    if !streamed {
        return model(begun);
    }
    let mut splitter = Splitter::new(begun.len());
    splitter.push(Bytes::copy_from_slice(begun));
    let frame = splitter.next_frame().ok()??;
    if api == Api::Chat {
        return model(&frame.data()?);
    }
    let mut reader = TypedReader::new(api);
    reader.read(&frame);
    Some(reader.started().model.clone()).filter(|model| !model.is_empty())
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The client may have received all but the last bytes.
        self.recorder = None;
        let Ending { finish_reason, failure, .. } = &mut self.ending;
        let failure = failure.take();
        let status = match (self.status_code, &failure, finish_reason) {
            (None, ..) => RequestStatus::Cancelled,
            (Some(_), Some(_), _) => RequestStatus::Failed,
            // Many clients close the connection after the finish reason without waiting for `[DONE]`; they have the
            // whole response.
            (Some(_), None, Some(_)) => RequestStatus::Completed,
            (Some(_), None, None) => RequestStatus::ClientDisconnected,
        };
        // No client is waiting for this write.
        drop(self.finish(status, failure));
    }
}
