//! Anthropic's Messages: the checked request, and the JSON of streamed and whole answers.

mod check;
mod content;
mod events;

use serde_json::{Value, json};

use crate::{
    chat::text_of,
    plan::{Heard, Plan},
    script::{Chat, Tokens, Usage},
    sse,
    surface::{Origin, Refusal, Surface},
};

pub(crate) use events::Messages;

/// The thinking of an answer is signed, and only this signature is accepted in a conversation.
fn signature(thinking: &str) -> String {
    format!("FakeSignature{:08x}", crc32fast::hash(thinking.as_bytes()))
}

/// A valid request.
#[derive(Debug)]
pub(crate) struct Asked {
    model: String,
    body: Value,
    number: u64,
}

// === impl Asked ===

impl Surface for Asked {
    type Events = sse::Events<Messages>;

    fn check(body: Value, origin: &Origin<'_>) -> Result<Self, Refusal> {
        check::headers(origin)?;
        check::body(&body, origin)?;
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        Ok(Self { model, body, number: origin.number })
    }

    fn streams(&self) -> bool {
        self.body["stream"] == true
    }

    fn events(self, chat: &Chat) -> Self::Events {
        events::stream(&self, chat)
    }

    fn whole(self, chat: &Chat) -> String {
        let mut plan = self.plan(chat);
        let words = std::mem::take(&mut plan.words).all();
        let mut blocks = Vec::new();
        if let Some(thinking) = self.thinking(&plan) {
            let block = json!({"type": "thinking", "thinking": thinking.shown, "signature": thinking.signature});
            blocks.push(block.to_string());
        }
        if !words.is_empty() {
            blocks.push(json!({"type": "text", "text": words.concat()}).to_string());
        }
        for (index, tool) in plan.tools.iter().enumerate() {
            // The arguments are sent as they were scripted: key order and spellings of numbers included.
            let (id, name) = (Value::from(self.call_id(index)), Value::from(tool.name.as_str()));
            blocks.push(format!(r#"{{"type":"tool_use","id":{id},"name":{name},"input":{}}}"#, tool.arguments));
        }
        let words = u32::try_from(words.len()).unwrap_or(u32::MAX);
        let mut message = self.message(&plan.finish);
        if chat.usage != Usage::Never {
            message["usage"] = usage(&plan.tokens, words);
        }
        let message = message.to_string();
        let fields = message.strip_prefix('{').unwrap_or_default();
        format!(r#"{{"type":"message","content":[{}],{fields}"#, blocks.join(","))
    }

    fn error(refusal: &Refusal, request_id: &str) -> String {
        let error = json!({"type": kind(refusal.status), "message": refusal.message});
        json!({"type": "error", "error": error, "request_id": request_id}).to_string()
    }
}

impl Asked {
    fn plan(&self, chat: &Chat) -> Plan {
        Plan::new(chat, 1, || self.hear())
    }

    /// Returns the message without `type`, `content` and `usage`.
    fn message(&self, finish: &str) -> Value {
        let mut message = end(finish);
        message["id"] = json!(format!("msg_fake{:016}", self.number));
        message["role"] = json!("assistant");
        message["model"] = json!(self.model);
        message
    }

    fn call_id(&self, index: usize) -> String {
        format!("toolu_fake{:012}_{index}", self.number)
    }

    fn thinking(&self, plan: &Plan) -> Option<Thinking> {
        let text = plan.reasoning.as_deref()?;
        let omitted = self.body["thinking"]["display"] == "omitted";
        let shown = if omitted { String::new() } else { text.to_owned() };
        Some(Thinking { signature: signature(&shown), shown })
    }

    fn hear(&self) -> Heard {
        let choice = &self.body["tool_choice"];
        let forced = match choice["type"].as_str() {
            Some("tool") => &choice["name"],
            Some("any") => &self.body["tools"][0]["name"],
            _ => &Value::Null,
        };
        let mut heard = Heard { forced: forced.as_str().map(str::to_owned), ..Heard::default() };
        for message in self.body["messages"].as_array().into_iter().flatten() {
            let content = &message["content"];
            let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
            let results = blocks.iter().filter(|block| block["type"] == "tool_result");
            let before = heard.results.len();
            heard.results.extend(results.clone().map(|result| text_of(&result["content"])));
            if message["role"] == "user" && heard.results.len() == before {
                heard.user = text_of(content);
            }
            let inner = results.filter_map(|result| result["content"].as_array()).flatten();
            for image in blocks.iter().chain(inner).filter(|block| block["type"] == "image") {
                let source = &image["source"];
                match (source["media_type"].as_str(), source["data"].as_str(), source["url"].as_str()) {
                    (Some(media_type), Some(data), _) => heard.see_base64(media_type, data),
                    (.., Some(url)) => heard.see(url),
                    _ => {}
                }
            }
        }
        heard
    }
}

/// Thinking as an answer shows it.
struct Thinking {
    shown: String,
    signature: String,
}

/// Returns the fields that say how an answer ended.
fn end(finish: &str) -> Value {
    let reason = match finish {
        "stop" => "end_turn",
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        "content_filter" => "refusal",
        other => other,
    };
    let mut end = json!({"stop_reason": reason, "stop_sequence": null});
    if reason == "refusal" {
        end["stop_details"] = json!({"type": "refusal", "category": null, "explanation": null});
    }
    end
}

/// Returns the token counts of an answer with `words` words.
fn usage(tokens: &Tokens, words: u32) -> Value {
    let mut usage = json!({
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.written(),
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write, "ephemeral_1h_input_tokens": tokens.cache_write_long,
        },
        "output_tokens": words.saturating_add(tokens.reasoning),
        "service_tier": "standard",
    });
    if tokens.reasoning > 0 {
        usage["output_tokens_details"] = json!({"thinking_tokens": tokens.reasoning});
    }
    usage
}

/// Returns the kind of an error.
const fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

/// Returns the number of tokens of a request, which does not depend on its length.
pub(crate) fn count(tokens: &Tokens) -> String {
    json!({"input_tokens": tokens.prompt()}).to_string()
}

/// Checks a request that only counts tokens.
pub(crate) fn check_count(body: &Value, origin: &Origin<'_>) -> Result<(), Refusal> {
    check::headers(origin)?;
    check::counted(body, origin)
}
