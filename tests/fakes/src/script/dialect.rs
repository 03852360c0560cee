//! Deviations of providers' chunks from OpenAI's; each has been observed on a real provider.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How the chunks of a stream deviate from OpenAI's. The meaning stays the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// No deviation.
    #[default]
    Standard,
    /// `id`, `model`, `created` and `object` are null.
    NullHead,
    /// `id`, `model`, `created` and `object` are missing.
    NoHead,
    /// `id` is a number, `created` a string.
    TypedHead,
    /// Token counts are floating-point numbers.
    FloatUsage,
    /// Token counts are strings.
    TextUsage,
    /// Every chunk has a `usage`, which is null until the last one.
    NullUsage,
    /// The `index` of choices is null, and tool calls have none: a new `id` marks each new call.
    NoIndex,
    /// `finish_reason` is an empty string until the last chunk.
    EmptyFinish,
    /// Pieces of tool calls without a function have `"function": null`.
    NullFunction,
    /// Reasoning text is sent both as `reasoning` and as `reasoning_content`.
    TwoReasonings,
    /// `content` is a list of parts.
    ContentParts,
    /// Every piece of a tool call repeats the function's name and the call's id.
    RepeatedName,
    /// The last chunk of a choice has `"delta": null`.
    NullDelta,
    /// Keys are duplicated.
    DuplicateKeys,
    /// Unknown fields and events are mixed with the usual ones.
    UnknownFields,
}

// === impl Dialect ===

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 16] = [
        Self::Standard,
        Self::NullHead,
        Self::NoHead,
        Self::TypedHead,
        Self::FloatUsage,
        Self::TextUsage,
        Self::NullUsage,
        Self::NoIndex,
        Self::EmptyFinish,
        Self::NullFunction,
        Self::TwoReasonings,
        Self::ContentParts,
        Self::RepeatedName,
        Self::NullDelta,
        Self::DuplicateKeys,
        Self::UnknownFields,
    ];

    /// Rewrites the JSON text of a chunk from OpenAI's format into this dialect. `name` and `id` are those of the
    /// function call of the answer.
    pub(crate) fn apply(self, chunk: &str, name: &str, id: &str) -> String {
        let Ok(mut value) = serde_json::from_str::<Value>(chunk) else { return chunk.to_owned() };
        match self {
            Self::NullHead => head(&mut value, |_| Some(Value::Null)),
            Self::NoHead => head(&mut value, |_| None),
            Self::TypedHead => head(&mut value, |key| {
                Some(match key {
                    "id" => json!(17),
                    "created" => json!("1700000000.5"),
                    _ => json!(null),
                })
            }),
            Self::FloatUsage => usage(&mut value, |count| json!(count as f64)),
            Self::TextUsage => usage(&mut value, |count| json!(count.to_string())),
            Self::NullUsage if value.get("usage").is_none() => value["usage"] = Value::Null,
            Self::NoIndex => each_choice(&mut value, |choice| {
                choice["index"] = Value::Null;
                each_call(choice, |call| drop(call.as_object_mut().and_then(|call| call.remove("index"))));
            }),
            Self::EmptyFinish => each_choice(&mut value, |choice| {
                if choice["finish_reason"].is_null() {
                    choice["finish_reason"] = json!("");
                }
            }),
            Self::NullFunction => each_choice(&mut value, |choice| {
                each_call(choice, |call| {
                    if call["function"]["arguments"] == "" && call["function"]["name"].is_null() {
                        call["function"] = Value::Null;
                    }
                });
            }),
            Self::TwoReasonings => each_choice(&mut value, |choice| {
                if let Some(thought) = choice["delta"].get("reasoning_content").cloned() {
                    choice["delta"]["reasoning"] = thought;
                }
            }),
            Self::ContentParts => each_choice(&mut value, |choice| {
                if let Some(text) = choice["delta"]["content"].as_str().map(str::to_owned) {
                    choice["delta"]["content"] = json!([{"type": "text", "text": text}]);
                }
            }),
            Self::RepeatedName => each_choice(&mut value, |choice| {
                each_call(choice, |call| {
                    call["id"] = json!(id);
                    call["function"]["name"] = json!(name);
                });
            }),
            Self::NullDelta => each_choice(&mut value, |choice| {
                if !choice["finish_reason"].is_null() {
                    choice["delta"] = Value::Null;
                }
            }),
            Self::UnknownFields => {
                value["x_provider"] = json!({"region": "north", "trace": [1, 2.5, null]});
                each_choice(&mut value, |choice| choice["delta"]["x_note"] = json!("\u{1F600} é"));
            }
            Self::DuplicateKeys => {
                let text = value.to_string();
                return format!("{{\"object\":\"first\",\"created\":1,{}", text.strip_prefix('{').unwrap_or(&text));
            }
            Self::Standard | Self::NullUsage => {}
        }
        value.to_string()
    }
}

fn head(chunk: &mut Value, replace: impl Fn(&str) -> Option<Value>) {
    let Some(fields) = chunk.as_object_mut() else { return };
    for key in ["id", "model", "created", "object"] {
        match replace(key) {
            Some(value) => drop(fields.insert(key.to_owned(), value)),
            None => drop(fields.remove(key)),
        }
    }
}

fn usage(chunk: &mut Value, change: impl Fn(i64) -> Value) {
    for count in chunk.get_mut("usage").and_then(Value::as_object_mut).into_iter().flat_map(|usage| usage.values_mut())
    {
        if let Some(number) = count.as_i64() {
            *count = change(number);
        }
    }
}

fn each_choice(chunk: &mut Value, change: impl FnMut(&mut Value)) {
    chunk.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

fn each_call(choice: &mut Value, change: impl FnMut(&mut Value)) {
    let calls = choice.get_mut("delta").and_then(|delta| delta.get_mut("tool_calls")).and_then(Value::as_array_mut);
    calls.into_iter().flatten().for_each(change);
}
