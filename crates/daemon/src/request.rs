//! A request as logs and traces show it: its id, its span, and its line in the access log.
//!
//! The names of all fields are defined here, so that the three services and both outputs agree on them.
//!
//! # Layout
//! - `request` span: `id`, `trace_id` (if there is a trace), `key`, `surface`, `model`, `stream`. Entered while the
//!   response is prepared; the body of a streamed response is polled outside it, and logs about it name the span as
//!   their parent.
//! - `attempt` span, child of `request`: `n`, `provider`, `upstream_model`.
//!   Both spans are exported with the attributes of OpenTelemetry's conventions for HTTP and generative AI: see
//!   `request/export.rs`.
//! - `lifecycle` span: `command`, `service`, and `id` of the request that gave the command, if there is one, whose span
//!   then is its parent. Ends when the command has been fulfilled or has failed. Exported with the same attributes.
//! - access line, target [`ACCESS_TARGET`]: one per request, written when the last byte of the response was handed to
//!   the connection or the client has disconnected.

mod export;
mod lifecycle;

use std::sync::{Arc, Mutex, PoisonError};

use http::{Extensions, HeaderMap, HeaderName, Method, Uri};
use signalbox_core::{id, schema::RequestStatus};
use tokio::time::{Duration, Instant};
use tracing::{Span, field::Empty};
use uuid::Uuid;

use crate::caller::Caller;
use crate::config::AccessLog;
use crate::peer::PeerAddr;
use crate::trace_parent::{Incoming, TRACEPARENT};
use crate::traces::{self, EXPORTED_SPANS};

pub use export::AttemptEnd;
pub use lifecycle::{fail_lifecycle, lifecycle_span};

/// Header of every response with the id of its request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Target of the access lines. `log.access` alone decides whether they are written, whatever `log.level` is.
pub const ACCESS_TARGET: &str = "signalbox_access";

/// Target of the spans that are not exported.
const SPANS: &str = "signalbox_request";

/// Maximum bytes of a path or a model in a log line. Clients choose both, and the ids of models have at most 128.
const MAX_TEXT: usize = 256;

macro_rules! request_span {
    ($target:expr, $id:ident) => {
        tracing::info_span!(
            target: $target,
            parent: None,
            traces::REQUEST,
            id = %$id,
            trace_id = Empty,
            key = Empty,
            surface = Empty,
            model = Empty,
            stream = Empty,
        )
    };
}

macro_rules! attempt_span {
    ($target:expr, $parent:expr, $n:ident, $provider:ident, $upstream_model:ident) => {
        tracing::info_span!(target: $target, parent: $parent, "attempt", n = $n, provider = $provider, upstream_model = $upstream_model)
    };
}

/// Identity of a request, shared by everything that works on it. Stored in the extensions of the request.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Uuid,
    arrived: Instant,
    span: Span,
    access: AccessLog,
    /// The trace of the client.
    incoming: Option<Box<Incoming>>,
    /// Whether the spans are exported.
    is_exported: bool,
    details: Mutex<Details>,
}

/// Facts for the access line and the exported span that only the service knows.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// API the client speaks; `None` if it is not one of models.
    pub surface: Option<&'static str>,
    /// Requested model.
    pub model: Option<String>,
    /// Provider that answered, or was asked last.
    pub provider: Option<String>,
    /// Providers that were asked, repetitions included.
    pub attempts: u64,
    /// Time from the arrival of the request to the head of its answer.
    pub first_byte: Option<Duration>,
    /// Model that answered, as the provider names it; known only if spans are exported.
    pub response_model: Option<String>,
    /// Tokens of the prompt, as counted by the provider.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, as counted by the provider.
    pub output_tokens: Option<u64>,
    /// How the request ended.
    pub outcome: Option<RequestStatus>,
}

/// A response on its way to the client. Dropping it writes the access line and ends the exported span.
#[derive(Debug)]
pub(crate) struct AccessEntry {
    context: RequestContext,
    method: Method,
    uri: Uri,
    client: PeerAddr,
    /// `None` until the head of the response is known: the connection was closed before it.
    status: Option<u16>,
}

// === impl RequestContext ===

impl RequestContext {
    /// Creates the context of a request that has just arrived, without a trace.
    #[must_use]
    pub fn new(access: AccessLog) -> Self {
        Self::begin(access, None, false)
    }

    /// Creates the context of a request with these headers that has just arrived. With `is_exported`, its spans are
    /// exported, and it begins a trace if its client did not.
    pub(crate) fn arriving(access: AccessLog, headers: &HeaderMap, is_exported: bool) -> Self {
        Self::begin(access, Incoming::of(headers).map(Box::new), is_exported)
    }

    fn begin(access: AccessLog, incoming: Option<Box<Incoming>>, is_exported: bool) -> Self {
        let id = id::request_id();
        let span = if is_exported { request_span!(EXPORTED_SPANS, id) } else { request_span!(SPANS, id) };
        let own = is_exported.then(|| traces::begin(&span, incoming.as_deref())).flatten();
        if let Some(trace_id) = own.or_else(|| incoming.as_ref().map(|incoming| incoming.parent.trace_id)) {
            span.record("trace_id", format_args!("{trace_id:032x}"));
        }
        let is_exported = own.is_some();
        let details = Mutex::default();
        Self(Arc::new(Inner { id, arrived: Instant::now(), span, access, incoming, is_exported, details }))
    }

    /// Returns the context of a request, or a new one without access log if it did not pass the listener.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(|| Self::new(AccessLog::Off))
    }

    /// Returns the id: in the log of requests, in `x-request-id`, in spans.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Returns the time of arrival.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.0.arrived
    }

    /// Returns the span.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Records the API the client speaks, such as `chat`, and the model it asks for.
    pub fn record_inference(&self, surface: &'static str, model: &str, stream: bool) {
        let model = shortened(model);
        if !self.0.span.is_disabled() {
            self.0.span.record("surface", surface).record("model", model).record("stream", stream);
        }
        if self.is_observed() {
            self.update_details(|details| {
                details.surface = Some(surface);
                details.model = Some(model.to_owned());
            });
        }
    }

    /// Records whose key was presented: `config-1` for the first key of the configuration, or the id of an issued key.
    pub(crate) fn record_key(&self, caller: &Caller) {
        if !self.0.span.is_disabled() {
            self.0.span.record("key", caller.id());
        }
    }

    /// Returns whether [`Details`] are needed about a request that ended like this.
    #[must_use]
    pub fn needs_details(&self, outcome: RequestStatus) -> bool {
        self.0.is_exported
            || match self.0.access {
                AccessLog::All => true,
                AccessLog::Errors => outcome.has_failed(),
                AccessLog::Off => false,
            }
    }

    /// Returns whether anything about the end of the request may be written down.
    fn is_observed(&self) -> bool {
        self.0.is_exported || self.0.access != AccessLog::Off
    }

    /// Changes the details.
    pub fn update_details(&self, change: impl FnOnce(&mut Details)) {
        change(&mut self.0.details.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns the span of one attempt to get an answer from a provider; `n` counts from 1. Ended by
    /// [`RequestContext::end_attempt`].
    #[must_use]
    pub fn attempt_span(&self, n: u64, provider: &str, upstream_model: Option<&str>) -> Span {
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        if self.0.is_exported {
            let span = attempt_span!(EXPORTED_SPANS, &self.0.span, n, provider, upstream_model);
            self.export_attempt(&span, provider, upstream_model);
            span
        } else {
            attempt_span!(SPANS, &self.0.span, n, provider, upstream_model)
        }
    }

    /// Adds the trace to the headers of a request to another server, which `span` sends: the span of the request or of
    /// an attempt. Without a trace, nothing is added. A trace that is not exported is passed on as it was received,
    /// because the span of this gateway would be unknown to every collector.
    pub fn add_trace(&self, span: &Span, headers: &mut HeaderMap) {
        let own = || self.0.is_exported.then(|| traces::parent_header(span)).flatten();
        match (&self.0.incoming, self.0.is_exported) {
            (Some(incoming), _) => incoming.add_to(headers, own()),
            (None, true) => {
                if let Some(parent) = own() {
                    headers.entry(TRACEPARENT).or_insert(parent);
                }
            }
            (None, false) => {}
        }
    }
}

// === impl AccessEntry ===

impl AccessEntry {
    /// Begins the entry of a request; `None` if no line will be written and no span exported, whatever comes.
    pub(crate) fn begin(context: &RequestContext, method: &Method, uri: &Uri, client: PeerAddr) -> Option<Self> {
        context.is_observed().then(|| Self {
            context: context.clone(),
            method: method.clone(),
            uri: uri.clone(),
            client,
            status: None,
        })
    }

    /// Sets the status of the response.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for AccessEntry {
    fn drop(&mut self) {
        let inner = &self.context.0;
        let failed = {
            let details = inner.details.lock().unwrap_or_else(PoisonError::into_inner);
            self.status.is_some_and(|status| status >= 400) || details.outcome.is_some_and(RequestStatus::has_failed)
        };
        if inner.is_exported {
            self.export();
        }
        if inner.access == AccessLog::Off || inner.access == AccessLog::Errors && !failed {
            return;
        }
        let details = std::mem::take(&mut *inner.details.lock().unwrap_or_else(PoisonError::into_inner));
        // Without the query: it may hold what clients search for, or keys they should have sent in a header. Without
        // the error: providers quote prompts in theirs, which belong into the request log alone.
        tracing::info!(
            target: ACCESS_TARGET,
            parent: None,
            id = %inner.id,
            method = %self.method,
            path = shortened(self.uri.path()),
            status = self.status,
            model = details.model,
            provider = details.provider,
            attempts = (details.attempts > 0).then_some(details.attempts),
            ttfb_ms = details.first_byte.map(millis),
            duration_ms = millis(inner.arrived.elapsed()),
            input_tokens = details.input_tokens,
            output_tokens = details.output_tokens,
            client = %self.client.0.ip().to_canonical(),
            outcome = details.outcome.map(RequestStatus::as_str),
            "access"
        );
    }
}

/// Returns at most [`MAX_TEXT`] bytes of a client's text.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_clients_are_shortened_between_characters() {
        assert_eq!(shortened("gpt-5"), "gpt-5");
        assert_eq!(shortened(&"x".repeat(1000)).len(), MAX_TEXT);
        assert_eq!(shortened(&format!("x{}", "\u{e9}".repeat(1000))).len(), MAX_TEXT - 1);
    }
}
