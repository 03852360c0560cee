//! Converts the records of a request to database rows.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use signalbox_core::{
    Api,
    conversation::{self, Opening},
    json::Reader,
    openai::{FoldedAnswer, is_failure},
    provider_type::provider_type,
    schema::{RequestCost, RequestStatus, RoutingRecord},
};
use signalbox_pricing::Table;
use signalbox_store::exchanges::{Exchange, ExchangeEnd, ExchangeStart, SessionRef, Source};
use uuid::Uuid;

use signalbox_translate::{read_request, without_foreign, without_items, write_request};

use super::{
    answer::fold,
    costs::{Ended, cost},
    record::{Begin, End, SentAs},
};
use crate::{envelope, provider::target, response_ids::request_of};

/// Maximum length of a session's first message, in characters.
const MAX_PREVIEW_CHARS: usize = 4096;

/// Beginning of one request, as read from the journal.
#[derive(Debug)]
pub(crate) struct Transcript {
    id: Uuid,
    begin: Begin,
    request: Arc<str>,
}

impl Transcript {
    /// Creates a transcript from the record of a request's beginning.
    pub(crate) fn new(id: Uuid, begin: Begin, request: &[u8]) -> Self {
        Self { id, begin, request: text(request).into() }
    }

    /// Returns the rows of a request in flight.
    pub(crate) fn begun(self) -> Exchange {
        let opening = Opening::of(self.request.as_bytes());
        Exchange { begun: self.begun_row(&opening), ended: None }
    }

    /// Returns the rows of an ended request; `answer` has all bytes of the response that were kept. There is
    /// no cost without `prices`.
    pub(crate) fn ended(self, end: End, answer: Vec<u8>, prices: Option<&Table>) -> Exchange {
        let opening = Opening::of(self.request.as_bytes());
        let api = self.api();
        let upstream_request = self.upstream_request(api, &end);
        let raw = Bytes::from(answer);
        let mut answer = fold(api, &raw, end.streamed).unwrap_or_default();
        if let Some(summary) = &end.summary {
            // The journal has only the beginning of the response.
            answer.usage = summary.usage.or(answer.usage);
            answer.finish_reason = summary.finish_reason.clone().or(answer.finish_reason);
        }
        let status = final_status(&end, &answer);
        let is_from_cache = end.plan.as_deref().is_some_and(RoutingRecord::is_from_cache);
        if is_from_cache {
            // No provider counted them.
            answer.usage = None;
        }
        let cost = prices.filter(|_| !is_from_cache).and_then(|prices| {
            let model = end.upstream_model.as_deref().unwrap_or(&self.begin.model);
            let request = upstream_request.as_deref().unwrap_or(&self.request);
            cost(prices, Ended { end: &end, status, answer: &answer, model, request })
        });
        let cost = cost.or_else(|| is_from_cache.then(RequestCost::of_cache));
        let begun = self.begun_row(&opening);
        let opening_hash = (begun.session == SessionRef::Opens && status == RequestStatus::Completed)
            .then(|| conversation::opening_hash(opening.user.as_deref().unwrap_or_default(), &answer.text));
        // An answer from the cache belongs to the request that it answered first.
        let is_kept = !is_from_cache && is_kept_by_provider(api, &begun.request_body, &answer.id);
        let answer_hash = is_kept.then(|| conversation::answer_hash(&answer.id));
        let error = end.error.or_else(|| answer.error.map(|error| error.message));
        let ended = ExchangeEnd {
            status,
            ended_at: end.ended_at,
            provider_id: end.provider_id,
            upstream_request,
            response_body: answer.json.map(without_nul).or_else(|| (!raw.is_empty()).then(|| text(&raw).into_owned())),
            usage: answer.usage,
            cost,
            finish_reason: answer.finish_reason.or_else(|| error.is_some().then(|| "error".into())),
            error,
            duration_ms: end.duration_ms,
            first_byte_ms: end.first_byte_ms,
            status_code: end.status_code.map(i64::from),
            attempts: end.attempts,
            truncated: end.truncated,
            translation: end.sent_as.map(|sent| sent.translation).filter(|translation| !translation.is_empty()),
            plan: end.plan.as_deref().and_then(|plan| serde_json::to_string(plan).ok()),
            opening_hash,
            answer_hash,
        };
        Exchange { begun, ended: Some(ended) }
    }

    /// Returns the API of the client.
    fn api(&self) -> Api {
        Api::of_path(&self.begin.path).unwrap_or(Api::Chat)
    }

    /// Returns the request as the provider received it; `None` if that is the client's. It is made again, because it
    /// follows from the client's, and the journal need not have it twice.
    fn upstream_request(&self, api: Api, end: &End) -> Option<String> {
        let request = self.request_without_params(api, end);
        let Some(params) = &end.params else { return request };
        let request = request.map_or_else(|| Bytes::copy_from_slice(self.request.as_bytes()), Bytes::from);
        Some(text(&envelope::with_params(&request, params)).into_owned())
    }

    fn request_without_params(&self, api: Api, end: &End) -> Option<String> {
        let model = end.upstream_model.as_deref();
        let body = self.request.as_bytes();
        let sent_as = end.sent_as.as_deref();
        let is_cut = sent_as.is_some_and(|sent| sent.is_cut);
        let cut = |body: &[u8]| without_items(body, sent_as.map_or(&[], |sent| &sent.cut)).map(|cleaned| cleaned.body);
        if let Some(SentAs { api: sent, kind, is_uncounted, .. }) = sent_as.filter(|_| !is_cut) {
            let kept = cut(body);
            let request = read_request(api, kept.as_deref().unwrap_or(body)).ok()?;
            let model = model.or(Some(self.begin.model.as_str())).filter(|model| !model.is_empty());
            let sent = Api::parse(sent)?;
            let mut target = target(&provider_type(kind), sent, model);
            target.usage_option &= !is_uncounted;
            let written = write_request(sent, &request, &target).ok()?;
            return Some(text(&written.body).into_owned());
        }
        if model.is_none() && !end.counted && !is_cut {
            return None;
        }
        let envelope = envelope::Envelope::parse(api, body).ok()?;
        let sent = envelope.for_provider(&Bytes::copy_from_slice(body), model, end.counted);
        let sent = cut(&sent).map_or(sent, Bytes::from);
        let cleaned = is_cut.then(|| without_foreign(api, &sent)).flatten();
        Some(text(cleaned.as_ref().map_or(&*sent, |cleaned| cleaned.body.as_slice())).into_owned())
    }

    /// Returns the end of a request whose process died.
    pub(crate) fn interrupted(&self) -> End {
        End {
            status: RequestStatus::Interrupted,
            ended_at: self.begin.received_at,
            provider_id: None,
            provider_type: None,
            upstream_model: None,
            sent_as: None,
            counted: false,
            status_code: None,
            duration_ms: 0,
            first_byte_ms: None,
            attempts: 0,
            cancelled_nanos: 0,
            estimate: None,
            error: Some("the router exited before the answer was complete".into()),
            streamed: self.begin.stream,
            truncated: false,
            summary: None,
            parts: 0,
            plan: None,
            params: None,
        }
    }

    fn begun_row(self, opening: &Opening) -> ExchangeStart {
        let previous = self.begin.previous.as_deref();
        let session = match (self.begin.session, previous, opening.hash()) {
            (Some(named), ..) => SessionRef::Named(named),
            (None, Some(id), _) => match request_of(id) {
                Some(request) => SessionRef::Follows(request.to_string()),
                // The provider keeps the answer under an id of its own.
                None => SessionRef::Continues(conversation::answer_hash(id)),
            },
            (None, None, Some(hash)) => SessionRef::Continues(hash),
            (None, None, None) => SessionRef::Opens,
        };
        let first = opening.user.as_deref().unwrap_or_default();
        ExchangeStart {
            request_id: self.id.to_string(),
            received_at: self.begin.received_at,
            method: "POST".into(),
            path: self.begin.path,
            model: without_nul(self.begin.model),
            stream: self.begin.stream,
            request_body: self.request,
            first_user_message: without_nul(conversation::truncate_chars(first, MAX_PREVIEW_CHARS).to_owned()),
            session,
            base: None,
            source: Source::Router,
            key_id: self.begin.key,
        }
    }
}

/// Corrects the status of answers that report an error, and of disconnected clients: many close the connection after
/// the finish reason of a stream, without waiting for `[DONE]`, and have the whole response.
fn final_status(end: &End, answer: &FoldedAnswer) -> RequestStatus {
    let status = end.status;
    if status == RequestStatus::Completed && answer.error.is_some() {
        return RequestStatus::Failed;
    }
    let RequestStatus::ClientDisconnected = status else { return status };
    match answer.finish_reason.as_deref() {
        _ if answer.error.is_some() => RequestStatus::Failed,
        Some(reason) if is_failure(reason) => RequestStatus::Failed,
        Some(_) if end.streamed => RequestStatus::Completed,
        _ => status,
    }
}

/// Returns whether later requests may continue an answer under an id that the provider made.
fn is_kept_by_provider(api: Api, request: &str, id: &str) -> bool {
    if api != Api::Responses || id.is_empty() || request_of(id).is_some() {
        return false;
    }
    let mut is_stored = true;
    // A body that cannot be read was not answered.
    let _ = Reader::new(request.as_bytes()).fields(|name, value| {
        let raw = value.raw()?;
        is_stored &= name != "store" || raw != b"false";
        Some(())
    });
    is_stored
}

/// Converts bytes to text that every database accepts: valid UTF-8 without NUL, which PostgreSQL refuses.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    let text = simdutf8::basic::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    match memchr::memchr(0, text.as_bytes()) {
        None => text,
        Some(_) => Cow::Owned(text.replace('\0', "\u{FFFD}")),
    }
}

fn without_nul(text: String) -> String {
    match memchr::memchr(0, text.as_bytes()) {
        None => text,
        Some(_) => text.replace('\0', "\u{FFFD}"),
    }
}

#[cfg(test)]
mod tests;
