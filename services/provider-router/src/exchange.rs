//! State of one request, from its arrival to the end written to the journal.

mod cached;
mod end;
mod hedge;
mod in_flight;
mod parts;
mod routing;
mod switch;

use std::{pin::Pin, sync::Arc};

pub use hedge::Beside;
use http::{HeaderMap, HeaderName};
pub use in_flight::InFlight;
pub use routing::FailedAttempt;
use routing::Routing;
use serde_json::{Map, Value};
use signalbox_core::{
    Api,
    masking::{Masker, NO_SECRETS},
    openai::{Ending, Usage},
    schema::RoutingRecord,
};
use signalbox_daemon::{AttemptEnd, KeptTexts, RequestContext};
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
    envelope::Envelope,
    health::Began,
    journal::{BodyPolicy, Entry, SentAs},
    ledger::Taken,
    live::LiveEntry,
    owners::Owners,
    provider::{Adapter, Provider},
    route::Candidate,
    stream_length::StreamLength,
};

pub use switch::{NewTarget, Switch};

/// Header that names the APIs of client and provider if they differ, and lists the fields that were not sent as the
/// client wrote them.
pub const TRANSLATION: HeaderName = HeaderName::from_static("x-signalbox-translation");

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
    /// Learns which account made the encrypted items of the answer.
    owners: Option<Arc<Owners>>,
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
            owners: None,
            _permit: permit,
        }
    }

    /// Tells which account made the encrypted items of the answer, once they are known.
    pub fn tell(&mut self, owners: &Arc<Owners>) {
        self.owners = Some(Arc::clone(owners));
    }

    /// Reads the encrypted items of a whole answer, or of the last event of a stream.
    pub fn note_sealed(&self, answer: &[u8]) {
        let provider = self.provider.as_ref().map(|provider| &provider.adapter);
        if let (Some(owners), Some(Adapter::Remote(remote))) = (&self.owners, provider) {
            owners.note_sealed(answer, remote.account);
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
        let sent = candidate.api_for(envelope);
        let is_translated = candidate.is_translated(envelope);
        self.sent_as = (is_translated || !candidate.foreign.cut.is_empty())
            .then(|| SentAs {
                api: sent.as_str().to_owned(),
                kind: candidate.provider.row.kind.clone(),
                translation: String::new(),
                is_cut: !is_translated,
                is_uncounted: false,
                cut: candidate.foreign.cut.clone(),
            })
            .map(Box::new);
        self.counted = candidate.provider.counts_stream(envelope, sent);
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

    /// Returns the texts of the exchange that may be kept, here and by qwen-proxy.
    #[must_use]
    pub fn kept_texts(&self) -> KeptTexts {
        self.kept.texts()
    }

    /// Keeps what the current attempt uses of the limits of its provider, until it ends.
    pub fn hold_quota(&mut self, taken: Option<Taken>) {
        self.routing.hold(taken);
    }

    /// Records that the provider has begun to answer, and what its time tells.
    pub fn attempt_answered(&self, began: Began) {
        self.routing.answered(began);
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

    /// Takes over what the relay has read of the response's end so far.
    pub fn observe(&mut self, ending: &Ending) {
        if self.ending != *ending {
            self.ending.clone_from(ending);
        }
    }

    /// Records what the headers of the response say about its translation.
    pub fn note_translation(&mut self, headers: &HeaderMap) {
        let text = headers.get(TRANSLATION).and_then(|text| text.to_str().ok());
        match (&mut self.sent_as, text, &self.provider) {
            (Some(sent_as), Some(text), _) => text.clone_into(&mut sent_as.translation),
            // The client's body, without what the provider would refuse.
            (none, Some(text), Some(provider)) => {
                let (api, kind) = (self.api.as_str().to_owned(), provider.row.kind.clone());
                let translation = text.to_owned();
                let sent_as = SentAs { api, kind, translation, is_cut: true, is_uncounted: false, cut: Vec::new() };
                *none = Some(Box::new(sent_as));
            }
            _ => {}
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.headers(headers, &TRANSLATION);
        }
    }

    /// Records what the headers would have said about the translation, had they come after the answer.
    pub fn note_losses(&mut self, text: String) {
        if let Some(sent_as) = &mut self.sent_as {
            sent_as.translation = text;
        }
    }

    /// Records token counts that are not part of the response to the client.
    pub fn note_usage(&mut self, usage: Option<Usage>) {
        self.hidden_usage = usage;
    }
}
