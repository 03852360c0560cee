//! Answers that are not streamed.

use serde_json::{Value, json};

use super::{Asked, CREATED, ID, PROMPT_TOKENS, finish_reason, tick};
use crate::script::{Chat, Text};

/// Returns the JSON text of the answer.
pub(crate) fn whole(asked: &Asked<'_>, chat: &Chat) -> String {
    let words = match chat.text {
        Text::Ticks(n) => (0..n).map(|_| tick()).collect(),
        Text::Endless => vec!["more".to_owned()],
        Text::Echo | Text::Fixed(_) => asked.words(&chat.text),
    };
    let choices: Vec<Value> = (0..asked.choices(chat)).map(|index| choice(index, &words, chat)).collect();
    let mut answer = json!({
        "id": ID, "object": "chat.completion", "created": CREATED, "model": asked.model, "choices": choices,
    });
    if asked.reports_usage(chat) {
        let count = words.len() * choices.len();
        answer["usage"] = json!({
            "prompt_tokens": PROMPT_TOKENS, "completion_tokens": count, "total_tokens": PROMPT_TOKENS as usize + count,
        });
    }
    answer.to_string()
}

fn choice(index: u32, words: &[String], chat: &Chat) -> Value {
    let mut message = json!({"role": "assistant", "content": words.concat()});
    if let Some(reasoning) = &chat.reasoning {
        message["reasoning_content"] = json!(reasoning);
    }
    if let Some(tool) = &chat.tool {
        if words.is_empty() {
            message["content"] = Value::Null;
        }
        let function = json!({"name": tool.name, "arguments": tool.arguments});
        message["tool_calls"] = json!([{"id": format!("call_{index}"), "type": "function", "function": function}]);
    }
    json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason(chat)})
}
