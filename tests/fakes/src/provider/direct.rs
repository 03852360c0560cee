//! Short answers of the APIs that a gateway passes on without a look.

use serde_json::{Value, json};

/// Returns whether a path is one of these APIs.
pub(super) fn is_path(path: &str) -> bool {
    ["completions", "embeddings", "moderations", "rerank", "responses/compact"]
        .iter()
        .any(|name| path.strip_prefix("/v1/") == Some(name))
}

/// Returns the answer to a request.
pub(super) fn answer(path: &str, request: &Value) -> Value {
    let model = &request["model"];
    let usage = json!({"prompt_tokens": 3, "total_tokens": 3});
    match path {
        "/v1/embeddings" => {
            let count = request["input"].as_array().map_or(1, Vec::len);
            let vector = |index| json!({"object": "embedding", "index": index, "embedding": [0.25, -0.5]});
            json!({"object": "list", "data": (0..count).map(vector).collect::<Vec<_>>(), "model": model, "usage": usage})
        }
        "/v1/completions" => json!({
            "id": "cmpl-1", "object": "text_completion", "created": 1, "model": model,
            "choices": [{"text": "once", "index": 0, "logprobs": null, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        }),
        "/v1/responses/compact" => json!({
            "id": "resp_1", "object": "response.compaction", "created_at": 1,
            "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}],
            "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
        }),
        _ => json!({"id": "x-1", "model": model, "results": [], "usage": usage}),
    }
}
