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
        "openai_request": as_json(&row.request_body),
        "qwen_request": as_json(&row.upstream_request),
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
        "qwen_response": row.upstream_response.as_deref().map(as_json),
        "openai_response": row.response_body.as_deref().map(as_json),
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

#[cfg(test)]
mod tests {
    use signalbox_core::schema::RequestStatus;

    use super::*;

    #[test]
    fn fields_keep_the_names_of_the_nodejs_version() {
        let request = Request {
            id: 1,
            session_id: "s".to_owned(),
            request_id: "r".to_owned(),
            timestamp: 2,
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            request_body: r#"{"asked":1}"#.to_owned(),
            upstream_request: r#"{"sent":1}"#.to_owned(),
            model: "m".to_owned(),
            stream: true,
            status: RequestStatus::Completed,
            provider_id: None,
            key_id: None,
            created_at: 3,
        };
        assert_eq!(
            logged_request(&request),
            json!({"id": 1, "session_id": "s", "request_id": "r", "timestamp": 2, "method": "POST",
                "path": "/v1/chat/completions", "openai_request": {"asked": 1}, "qwen_request": {"sent": 1},
                "model": "m", "stream": true, "status": "completed", "created_at": 3})
        );
        let response = Response {
            id: 1,
            request_id: 1,
            session_id: "s".to_owned(),
            response_id: "r".to_owned(),
            timestamp: 4,
            upstream_response: Some("not JSON".to_owned()),
            response_body: Some(r#"{"answered":1}"#.to_owned()),
            parent_id: None,
            completion_tokens: Some(1),
            prompt_tokens: None,
            total_tokens: None,
            token_classes: None,
            translation: None,
            cost: None,
            finish_reason: Some("stop".to_owned()),
            error: None,
            duration_ms: Some(5),
            first_byte_ms: None,
            status_code: Some(200),
            provider_id: None,
            attempts: 1,
            truncated: false,
            created_at: 4,
        };
        assert_eq!(
            logged_response(&response),
            json!({"id": 1, "request_id": 1, "session_id": "s", "response_id": "r", "timestamp": 4,
                "qwen_response": "not JSON", "openai_response": {"answered": 1}, "parent_id": null,
                "completion_tokens": 1, "prompt_tokens": null, "total_tokens": null, "finish_reason": "stop",
                "error": null, "duration_ms": 5, "created_at": 4})
        );
    }
}
