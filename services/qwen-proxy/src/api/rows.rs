//! Formats of logged requests and responses.

use serde_json::{Value, json};
use signalbox_core::schema::{Request, Response};
use signalbox_store::{requests::ResponseSummary, responses::Stats};

use super::list::{as_json, with};

/// Formats a logged request with a summary of its response as `response_summary`.
pub(super) fn summarised(row: &Request, summary: Option<ResponseSummary>) -> Value {
    let summary = summary.map(|response| {
        json!({
            "response_id": response.response_id,
            "finish_reason": response.finish_reason,
            "total_tokens": response.total_tokens,
            "duration_ms": response.duration_ms,
            "error": response.error,
        })
    });
    with(logged_request(row), "response_summary", summary.unwrap_or_default())
}

/// Formats the summary of a request, for its response.
pub(super) fn short(row: &Request) -> Value {
    json!({
        "id": row.id,
        "request_id": row.request_id,
        "model": row.model,
        "stream": row.stream,
        "timestamp": row.timestamp,
    })
}

/// Formats a logged request. Bodies are embedded as JSON, not as strings.
pub(super) fn logged_request(row: &Request) -> Value {
    json!({
        "id": row.id,
        "session_id": row.session_id,
        "request_id": row.request_id,
        "timestamp": row.timestamp,
        "method": row.method,
        "path": row.path,
        "openai_request": as_json(&row.openai_request),
        "qwen_request": as_json(&row.qwen_request),
        "model": row.model,
        "stream": row.stream,
        "status": row.status.as_str(),
        "created_at": row.created_at,
    })
}

/// Formats a logged response. Bodies are embedded as JSON, not as strings.
pub(super) fn logged_response(row: &Response) -> Value {
    json!({
        "id": row.id,
        "request_id": row.request_id,
        "session_id": row.session_id,
        "response_id": row.response_id,
        "timestamp": row.timestamp,
        "qwen_response": row.qwen_response.as_deref().map(as_json),
        "openai_response": row.openai_response.as_deref().map(as_json),
        "parent_id": row.parent_id,
        "completion_tokens": row.completion_tokens,
        "prompt_tokens": row.prompt_tokens,
        "total_tokens": row.total_tokens,
        "finish_reason": row.finish_reason,
        "error": row.error,
        "duration_ms": row.duration_ms,
        "created_at": row.created_at,
    })
}

/// Formats the sums over responses.
pub(super) fn sums(stats: Stats) -> Value {
    json!({
        "total_responses": stats.total_responses,
        "total_completion_tokens": stats.total_completion_tokens,
        "total_prompt_tokens": stats.total_prompt_tokens,
        "total_tokens": stats.total_tokens,
        "avg_duration_ms": stats.avg_duration_ms,
    })
}
