//! Whether an answer is complete, and so may be given again.

use bytes::Bytes;
use serde_json::Value;
use signalbox_core::{Api, openai, typed};

/// Finish reasons of answers that the model ended itself. Those that were cut at a limit of tokens, paused, filtered or
/// refused are not among them.
const ENDS: [&str; 8] =
    ["stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence", "eos", "stop_token"];

/// A complete answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complete {
    /// Id by which it can be continued, read or deleted.
    pub(super) response_id: Option<String>,
}

/// Returns the facts about an answer of `api` with status 200; `None` if it is not complete. `is_direct` says that it is
/// one of an API that is not translated, whose answers are complete documents.
pub(super) fn complete(api: Api, is_direct: bool, body: &Bytes, streamed: bool) -> Option<Complete> {
    let folded = match (api, streamed) {
        (Api::Chat, true) => Some(openai::fold_stream(body)),
        (Api::Chat, false) if is_direct => {
            let is_document = serde_json::from_slice(body).is_ok_and(|answer| is_document(&answer));
            return is_document.then_some(Complete { response_id: None });
        }
        (Api::Chat, false) => openai::fold_completion(body),
        (api, true) => Some(typed::fold_stream(api, body)),
        (api, false) => typed::fold_answer(api, body),
    };
    let folded = folded.filter(|folded| folded.error.is_none())?;
    let answer: Value = serde_json::from_str(folded.json.as_deref()?).ok()?;
    let is_complete = match api {
        Api::Chat => has_ended_choices(&answer),
        Api::Messages => is_end(&answer["stop_reason"]),
        Api::Responses => answer["status"] == "completed" && !has_refusal(&answer["output"]),
    };
    let response_id = answer["id"].as_str().filter(|_| api == Api::Responses).map(str::to_owned);
    is_complete.then_some(Complete { response_id })
}

/// Returns whether a document of an API that is not translated reports no error, and was not cut.
fn is_document(answer: &Value) -> bool {
    let has_choices = answer.get("choices").is_some();
    answer.is_object() && answer.get("error").is_none_or(Value::is_null) && (!has_choices || has_ended_choices(answer))
}

fn has_ended_choices(answer: &Value) -> bool {
    let choices = answer["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_ended = |choice: &Value| {
        let refusal = &choice["message"]["refusal"];
        is_end(&choice["finish_reason"]) && refusal.as_str().is_none_or(str::is_empty)
    };
    !choices.is_empty() && choices.iter().all(is_ended)
}

fn is_end(reason: &Value) -> bool {
    reason.as_str().is_some_and(|reason| ENDS.contains(&reason))
}

/// Returns whether one of the items of Responses has a part that refuses.
fn has_refusal(output: &Value) -> bool {
    let parts = |item: &Value| item["content"].as_array().cloned().unwrap_or_default();
    output.as_array().is_some_and(|items| items.iter().flat_map(parts).any(|part| part["type"] == "refusal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(api: Api, body: &str) -> bool {
        complete(api, false, &Bytes::from(body.to_owned()), false).is_some()
    }

    #[test]
    fn only_answers_that_the_model_ended_are_complete() {
        let chat = |reason: &str, more: &str| {
            format!(
                r#"{{"id":"c","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"hi"{more}}},"finish_reason":{reason}}}]}}"#
            )
        };
        assert!(whole(Api::Chat, &chat("\"stop\"", "")) && whole(Api::Chat, &chat("\"tool_calls\"", "")));
        assert!(whole(Api::Chat, &chat("\"stop\"", ",\"refusal\":null")));
        for reason in ["\"length\"", "\"content_filter\"", "\"error\"", "null"] {
            assert!(!whole(Api::Chat, &chat(reason, "")), "{reason}");
        }
        assert!(!whole(Api::Chat, &chat("\"stop\"", ",\"refusal\":\"I cannot\"")));
        let two = r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":1,"message":{"content":"b"},"finish_reason":"length"}]}"#;
        assert!(!whole(Api::Chat, two));

        let message = |reason: &str| {
            format!(
                r#"{{"id":"m","type":"message","role":"assistant","content":[{{"type":"text","text":"hi"}}],"model":"m","stop_reason":"{reason}","usage":{{"input_tokens":1,"output_tokens":1}}}}"#
            )
        };
        assert!(whole(Api::Messages, &message("end_turn")) && whole(Api::Messages, &message("tool_use")));
        for reason in ["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded"] {
            assert!(!whole(Api::Messages, &message(reason)), "{reason}");
        }

        let response = |status: &str, part: &str| {
            format!(
                r#"{{"id":"resp_1","object":"response","status":"{status}","model":"m","output":[{{"type":"message","id":"i","role":"assistant","status":"completed","content":[{part}]}}]}}"#
            )
        };
        let text = r#"{"type":"output_text","text":"hi","annotations":[]}"#;
        assert!(whole(Api::Responses, &response("completed", text)));
        let named = complete(Api::Responses, false, &Bytes::from(response("completed", text)), false);
        assert_eq!(named, Some(Complete { response_id: Some("resp_1".to_owned()) }));
        assert!(!whole(Api::Responses, &response("incomplete", text)));
        assert!(!whole(Api::Responses, &response("completed", r#"{"type":"refusal","refusal":"no"}"#)));
    }

    #[test]
    fn a_stream_has_to_have_its_end() {
        let stream = |end: &str| {
            Bytes::from(format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"hi\"}}{end}}}]}}\n\ndata: [DONE]\n\n"
            ))
        };
        let is_complete = |end: &str| complete(Api::Chat, false, &stream(end), true).is_some();
        assert!(is_complete(",\"finish_reason\":\"stop\""));
        assert!(!is_complete(",\"finish_reason\":\"length\""));
        assert!(!is_complete(""));
    }

    #[test]
    fn documents_of_other_apis_are_complete_unless_they_report_an_error() {
        let direct = |body: &str| complete(Api::Chat, true, &Bytes::from(body.to_owned()), false).is_some();
        assert!(direct(r#"{"object":"list","data":[{"embedding":[0.5]}]}"#));
        assert!(direct(r#"{"choices":[{"text":"a","finish_reason":"stop"}]}"#));
        for body in
            [r#"{"error":{"message":"no"}}"#, "[]", "{", r#"{"choices":[{"text":"a","finish_reason":"length"}]}"#]
        {
            assert!(!direct(body), "{body}");
        }
    }
}
