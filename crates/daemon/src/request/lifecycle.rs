//! The span of a lifecycle command: a supervisor starts, stops or replaces services.

use tracing::Span;

use super::RequestContext;
use crate::traces::{EXPORTED_SPANS, LIFECYCLE, set_name, set_status};

/// Returns the span of a command on a service, or on several at once. A command that a client gave belongs to the trace
/// of its `request`, and has the id of it.
///
/// Commands are rare, so the span has the target of those that are exported even where nothing is exported.
#[must_use]
pub fn lifecycle_span(command: &'static str, service: &'static str, request: Option<&RequestContext>) -> Span {
    let parent = request.and_then(|request| request.span().id());
    let id = request.map(|request| tracing::field::display(request.id()));
    let span = tracing::info_span!(target: EXPORTED_SPANS, parent: parent, LIFECYCLE, command, service, id);
    set_name(&span, format!("{command} {service}"));
    span
}

/// Marks the span of a lifecycle command as failed, with a stable word for the failure.
pub fn fail_lifecycle(span: &Span, error: &'static str) {
    set_status(span, error.to_owned());
}
