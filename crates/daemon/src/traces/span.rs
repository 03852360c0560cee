//! The OpenTelemetry side of a span of this process. All functions do nothing for a span that is not exported.

use std::str::FromStr as _;

use http::HeaderValue;
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::trace_parent::{Incoming, TraceParent};

/// Begins the span of a request, in the trace of its client or in a new one. Returns the id of the trace, or `None` if
/// the span is not exported.
pub(crate) fn begin(span: &Span, incoming: Option<&Incoming>) -> Option<u128> {
    if let Some(incoming) = incoming {
        let Incoming { parent, .. } = incoming;
        let flags = if parent.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let state = incoming.state().and_then(|state| TraceState::from_str(&state).ok()).unwrap_or_default();
        let remote = SpanContext::new(parent.trace_id.into(), parent.span_id.into(), flags, true, state);
        // Fails only for a span that is not exported, which the next line finds out.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
    place(span).map(|place| place.trace_id)
}

/// Returns the header `traceparent` of a request that this span sends.
pub(crate) fn parent_header(span: &Span) -> Option<HeaderValue> {
    HeaderValue::try_from(place(span)?.to_string()).ok()
}

/// Replaces the name.
pub(crate) fn set_name(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// Adds an attribute, if it is known.
pub(crate) fn record(span: &Span, key: &'static str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        span.context().span().set_attribute(KeyValue::new(key, value));
    }
}

/// Marks the span as failed, with a word for the kind of failure.
pub(crate) fn set_status(span: &Span, error_type: String) {
    let context = span.context();
    context.span().set_attribute(KeyValue::new("error.type", error_type));
    // Without a description: it could quote the request.
    context.span().set_status(Status::error(""));
}

fn place(span: &Span) -> Option<TraceParent> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| TraceParent {
        trace_id: u128::from_be_bytes(TraceId::to_bytes(context.trace_id())),
        span_id: u64::from_be_bytes(SpanId::to_bytes(context.span_id())),
        is_sampled: context.is_sampled(),
    })
}
