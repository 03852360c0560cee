//! Requests without bodies: `view=short`.

use serde::Serialize;
use signalbox_core::schema::Response;
use signalbox_store::requests::RequestSummary;
use utoipa::ToSchema;

use super::Progress;
use super::listing::Span;
use crate::views::ResponseFields;

/// A page of the request log without bodies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShortList {
    requests: Vec<ShortRequest>,
    #[serde(flatten)]
    span: Span,
    #[serde(flatten)]
    progress: Progress,
}

/// A request and its outcome, without bodies.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShortRequest {
    id: i64,
    request_id: String,
    session_id: String,
    timestamp: i64,
    method: String,
    path: String,
    model: String,
    stream: bool,
    status: &'static str,
    /// The provider that answered, or was tried last.
    provider_id: Option<String>,
    /// The id of the key that the request was authenticated with.
    key_id: Option<String>,
    prompt_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    total_tokens: Option<i64>,
    /// The cost in nano-dollars; null if it is unknown, which is not zero.
    cost_nanos: Option<i64>,
    first_byte_ms: Option<i64>,
    duration_ms: Option<i64>,
    /// The number of providers that were tried; null while the request is pending.
    attempts: Option<i64>,
    /// Whether the answer was longer than the log keeps.
    truncated: bool,
    status_code: Option<i64>,
    finish_reason: Option<String>,
    /// The first 200 characters of the error.
    error: Option<String>,
    /// The length of the client's body in bytes.
    request_bytes: Option<i64>,
    /// The length of the logged answer in bytes; null if it is not kept.
    response_bytes: Option<i64>,
    /// The `request_id` of the request that this one repeats.
    replay_of: Option<String>,
}

/// A request with its answer, if it has been answered, without bodies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShortDetail {
    #[serde(flatten)]
    request: ShortRequest,
    response: Option<ResponseFields>,
}

// === impl ShortList ===

impl ShortList {
    pub(super) fn new(rows: Vec<RequestSummary>, span: Span, progress: Progress) -> Self {
        Self { requests: rows.into_iter().map(ShortRequest::from).collect(), span, progress }
    }
}

// === impl ShortRequest ===

impl From<RequestSummary> for ShortRequest {
    fn from(row: RequestSummary) -> Self {
        Self {
            id: row.id,
            request_id: row.request_id,
            session_id: row.session_id,
            timestamp: row.timestamp,
            method: row.method,
            path: row.path,
            model: row.model,
            stream: row.stream,
            status: row.status.as_str(),
            provider_id: row.provider_id,
            key_id: row.key_id,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            total_tokens: row.total_tokens,
            cost_nanos: row.cost_nanos,
            first_byte_ms: row.first_byte_ms,
            duration_ms: row.duration_ms,
            attempts: row.attempts,
            truncated: row.truncated,
            status_code: row.status_code,
            finish_reason: row.finish_reason,
            error: row.error,
            request_bytes: row.request_bytes,
            response_bytes: row.response_bytes,
            replay_of: row.replay_of,
        }
    }
}

// === impl ShortDetail ===

impl ShortDetail {
    pub(super) fn new(request: RequestSummary, response: Option<Response>) -> Self {
        Self { request: request.into(), response: response.map(ResponseFields::from) }
    }
}
