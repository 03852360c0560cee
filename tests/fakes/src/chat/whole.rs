//! Chat answers that are not streamed.

use serde_json::{Value, json};

use super::{Asked, CREATED, ID, events::call_id, usage};
use crate::{plan::Plan, script::Chat};

/// Returns the JSON text of the answer.
pub(crate) fn whole(asked: &Asked<'_>, chat: &Chat) -> String {
    let (mut plan, count) = (asked.plan(chat), asked.choices(chat));
    let words = std::mem::take(&mut plan.words).all();
    let choices: Vec<Value> = (0..count).map(|index| choice(index, count, &words, &plan)).collect();
    let mut answer = json!({
        "id": ID, "object": "chat.completion", "created": CREATED, "model": asked.model, "choices": choices,
    });
    if asked.reports_usage(chat) {
        let words = u32::try_from(words.len() * choices.len()).unwrap_or(u32::MAX);
        answer["usage"] = usage(&plan.tokens, words);
    }
    answer.to_string()
}

fn choice(index: u32, choices: u32, words: &[String], plan: &Plan) -> Value {
    let mut message = json!({"role": "assistant", "content": words.concat()});
    if let Some(reasoning) = &plan.reasoning {
        message["reasoning_content"] = json!(reasoning);
    }
    if !plan.tools.is_empty() {
        if words.is_empty() {
            message["content"] = Value::Null;
        }
        let calls = plan.tools.iter().enumerate().map(|(number, tool)| {
            let function = json!({"name": tool.name, "arguments": tool.arguments});
            json!({"id": call_id(index, choices, plan.results + number), "type": "function", "function": function})
        });
        message["tool_calls"] = calls.collect();
    }
    json!({"index": index, "message": message, "logprobs": null, "finish_reason": plan.finish})
}
