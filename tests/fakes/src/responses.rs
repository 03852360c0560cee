//! OpenAI's Responses: the checked request, and the JSON of streamed and whole answers.

mod check;
mod events;
mod input;
mod items;
mod store;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    plan::{Heard, Plan},
    script::{Chat, Tokens, Usage},
    sse,
    surface::{Origin, Refusal, Surface},
};

pub(crate) use events::Responses;
pub(crate) use store::Store;

/// Unix time of all answers.
const CREATED: u32 = 1_700_000_000;
/// Fields of a response that repeat those of the request, and their defaults as JSON.
const REPEATED: [(&str, &str); 17] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("store", "true"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_p", "1.0"),
    ("truncation", r#""disabled""#),
];

/// A valid request.
#[derive(Debug)]
pub(crate) struct Asked {
    body: Value,
    /// The items of the conversation so far, those of earlier responses included.
    input: Vec<Value>,
    number: u64,
    store: Arc<Store>,
}

// === impl Asked ===

impl Surface for Asked {
    type Events = sse::Events<Responses>;

    fn check(body: Value, origin: &Origin<'_>) -> Result<Self, Refusal> {
        check::body(&body)?;
        let input = input::resolve(&body, origin.store)?;
        check::items(&input)?;
        Ok(Self { body, input, number: origin.number, store: Arc::clone(origin.store) })
    }

    fn streams(&self) -> bool {
        self.body["stream"] == true
    }

    fn events(self, chat: &Chat) -> Self::Events {
        events::stream(self, chat)
    }

    fn whole(self, chat: &Chat) -> String {
        let mut plan = self.plan(chat);
        let words = std::mem::take(&mut plan.words);
        let has_text = !words.is_empty() || plan.tools.is_empty();
        let words = words.all();
        let mut output: Vec<Value> = self.reasoning(&plan).into_iter().collect();
        if has_text {
            output.push(items::message(&self.id("msg", 0), &words.concat()));
        }
        let calls = plan.tools.iter().enumerate();
        output.extend(calls.map(|(number, tool)| items::call(self.kind(&tool.name), &self.ids(number), tool)));
        let mut response = self.response();
        let words = u32::try_from(words.len()).unwrap_or(u32::MAX);
        let reported = (chat.usage != Usage::Never).then(|| usage(&plan.tokens, words));
        finish(&mut response, &plan.finish, output, reported);
        self.keep(&response);
        response.to_string()
    }

    fn error(refusal: &Refusal, _request_id: &str) -> String {
        refusal.openai()
    }
}

impl Asked {
    fn plan(&self, chat: &Chat) -> Plan {
        Plan::new(chat, 1, || self.hear())
    }

    fn id(&self, prefix: &str, index: usize) -> String {
        format!("{prefix}_fake{:012}{index:04}", self.number)
    }

    /// Returns the id of the item and of the call of a function call.
    fn ids(&self, number: usize) -> (String, String) {
        (self.id("fc", number), self.id("call", number))
    }

    /// Returns whether a tool is a function or a custom tool.
    fn kind(&self, name: &str) -> items::Kind {
        let tools = self.body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        let custom = tools.iter().any(|tool| tool["type"] == "custom" && tool["name"] == name);
        if custom { items::Kind::Custom } else { items::Kind::Function }
    }

    /// Returns the reasoning item of an answer: a summary if the request asks for one, otherwise the text.
    fn reasoning(&self, plan: &Plan) -> Option<Value> {
        let text = plan.reasoning.as_deref()?;
        Some(items::reasoning(&self.id("rs", 0), text, !self.body["reasoning"]["summary"].is_null()))
    }

    /// Returns a response that has just begun.
    fn response(&self) -> Value {
        let mut response = json!({
            "id": self.id("resp", 0), "object": "response", "created_at": CREATED, "status": "in_progress", "error": null,
            "incomplete_details": null, "model": self.body["model"], "output": [], "usage": null,
            "service_tier": "default", "top_logprobs": 0, "user": self.body["user"],
        });
        for (field, default) in REPEATED {
            response[field] = match &self.body[field] {
                Value::Null => serde_json::from_str(default).unwrap_or_default(),
                given => given.clone(),
            };
        }
        response
    }

    /// Stores a complete response, unless the request forbids it.
    fn keep(&self, response: &Value) {
        if self.body["store"] != false {
            self.store.put(response.clone(), self.input.clone());
        }
    }

    fn hear(&self) -> Heard {
        let choice = &self.body["tool_choice"];
        let forced = if choice == "required" { &self.body["tools"][0]["name"] } else { &choice["name"] };
        let mut heard = Heard { forced: forced.as_str().map(str::to_owned), ..Heard::default() };
        for item in &self.input {
            let content = match item["type"].as_str() {
                None | Some("message") => &item["content"],
                Some("function_call_output" | "custom_tool_call_output") => {
                    heard.results.push(crate::chat::text_of(&item["output"]));
                    &item["output"]
                }
                _ => &Value::Null,
            };
            if item["role"] == "user" {
                heard.user = crate::chat::text_of(content);
            }
            for part in content.as_array().into_iter().flatten() {
                if let Some(url) = part["image_url"].as_str().or_else(|| part["file_id"].as_str()) {
                    heard.see(url);
                }
            }
        }
        heard
    }
}

/// Ends a response.
fn finish(response: &mut Value, finish: &str, output: Vec<Value>, usage: Option<Value>) {
    let incomplete = match finish {
        "length" => Some("max_output_tokens"),
        "content_filter" => Some("content_filter"),
        _ => None,
    };
    response["output"] = output.into();
    response["usage"] = usage.unwrap_or_default();
    match incomplete {
        Some(reason) => {
            response["status"] = json!("incomplete");
            response["incomplete_details"] = json!({"reason": reason});
        }
        None => {
            response["status"] = json!("completed");
            response["completed_at"] = json!(CREATED + 1);
        }
    }
}

/// Returns the token counts of an answer with `words` words.
fn usage(tokens: &Tokens, words: u32) -> Value {
    let (input, output) = (tokens.prompt(), words.saturating_add(tokens.reasoning));
    let mut details = json!({"cached_tokens": tokens.cache_read, "cache_write_tokens": tokens.written()});
    if tokens.written() > 0 {
        details["cache_write_tokens_details"] =
            json!({"ttl_30m_tokens": tokens.cache_write, "ttl_12h_tokens": tokens.cache_write_long});
    }
    json!({
        "input_tokens": input, "input_tokens_details": details,
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": input.saturating_add(output),
    })
}
