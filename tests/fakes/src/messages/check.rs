//! The requests that the real service refuses, in its words.

use serde_json::Value;

use super::content;
use crate::surface::{Origin, Refusal};

const FIELDS: [&str; 22] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
    "speed",
    "inference_geo",
    "container",
    "diagnostics",
    "thinking",
    "output_config",
    "tools",
    "tool_choice",
    "cache_control",
    "user_profile_id",
    "workspace_id",
];
/// Fields that need an `anthropic-beta` header.
const BETA_FIELDS: [&str; 9] = [
    "context_management",
    "mcp_servers",
    "compaction",
    "fallbacks",
    "fallback_credit_token",
    "thread",
    "billing_policy",
    "output_format",
    "task_budget",
];
/// The first version that refuses sampling parameters.
const NO_SAMPLING: &str = "2026-10-21";
const MAX_BREAKPOINTS: usize = 4;

type Checked = Result<(), Refusal>;

pub(super) fn headers(origin: &Origin<'_>) -> Checked {
    match origin.request.header("anthropic-version") {
        Some(_) => Ok(()),
        None => Err(Refusal::bad("anthropic-version: header is required")),
    }
}

pub(super) fn body(body: &Value, origin: &Origin<'_>) -> Checked {
    match &body["max_tokens"] {
        Value::Null => return Err(Refusal::bad("max_tokens: Field required")),
        tokens if tokens.as_u64().is_none() => {
            return Err(Refusal::bad("max_tokens: Input should be a valid integer"));
        }
        _ => {}
    }
    counted(body, origin)?;
    sampling(body, origin)?;
    thinking(body)
}

/// Checks the fields that a count of tokens has, too.
pub(super) fn counted(body: &Value, origin: &Origin<'_>) -> Checked {
    let Some(fields) = body.as_object() else {
        return Err(Refusal::bad("Input should be an object"));
    };
    let beta = origin.request.header("anthropic-beta").is_some();
    for field in fields.keys().map(String::as_str) {
        let known = FIELDS.contains(&field) || (beta && BETA_FIELDS.contains(&field));
        if !known {
            return Err(Refusal::bad(format!("{field}: Extra inputs are not permitted")));
        }
    }
    if !body["model"].is_string() {
        return Err(Refusal::bad("model: Field required"));
    }
    let Some(messages) = body["messages"].as_array() else {
        return Err(Refusal::bad("messages: Field required"));
    };
    if messages.is_empty() {
        return Err(Refusal::bad("messages: at least one message is required"));
    }
    if let Value::Array(blocks) = &body["system"] {
        for (index, block) in blocks.iter().enumerate() {
            content::text(block, &format!("system.{index}"))?;
        }
    }
    content::messages(messages)?;
    tools(body)?;
    breakpoints(body)
}

fn sampling(body: &Value, origin: &Origin<'_>) -> Checked {
    let refuses = origin.request.header("anthropic-version").is_some_and(|version| version >= NO_SAMPLING);
    for field in ["temperature", "top_p", "top_k"] {
        let value = &body[field];
        if refuses && !value.is_null() {
            return Err(Refusal::bad(format!("{field}: Extra inputs are not permitted")));
        }
        if field != "top_k" && value.as_f64().is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            return Err(Refusal::bad(format!("{field}: Input should be less than or equal to 1")));
        }
    }
    Ok(())
}

fn thinking(body: &Value) -> Checked {
    let thinking = &body["thinking"];
    match thinking["type"].as_str() {
        Some("adaptive" | "disabled" | "between_tools") => Ok(()),
        None if thinking.is_null() => Ok(()),
        Some("enabled") => {
            let budget = thinking["budget_tokens"].as_u64();
            match budget {
                None => Err(Refusal::bad("thinking.enabled.budget_tokens: Field required")),
                Some(..1024) => {
                    Err(Refusal::bad("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"))
                }
                Some(budget) if Some(budget) >= body["max_tokens"].as_u64() => {
                    Err(Refusal::bad("`max_tokens` must be greater than `thinking.budget_tokens`"))
                }
                Some(_) => Ok(()),
            }
        }
        other => Err(Refusal::bad(format!(
            "thinking: Input tag '{}' found using 'type' does not match any of the expected tags: 'adaptive', \
             'between_tools', 'disabled', 'enabled'",
            other.unwrap_or_default()
        ))),
    }
}

fn tools(body: &Value) -> Checked {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, tool) in tools.iter().enumerate() {
        if !matches!(tool["type"].as_str(), None | Some("custom")) {
            continue;
        }
        let Some(name) = tool["name"].as_str() else {
            return Err(Refusal::bad(format!("tools.{index}.custom.name: Field required")));
        };
        if !content::is_name(name) || name.len() > 128 {
            return Err(Refusal::bad(format!(
                "tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )));
        }
        if tool["input_schema"]["type"] != "object" {
            let path = format!("tools.{index}.custom.input_schema");
            return Err(Refusal::bad(match &tool["input_schema"] {
                Value::Null => format!("{path}: Field required"),
                _ => format!("{path}.type: Input should be 'object'"),
            }));
        }
        if tools[..index].iter().any(|other| other["name"] == name) {
            return Err(Refusal::bad("tools: Tool names must be unique."));
        }
    }
    let choice = &body["tool_choice"];
    match choice["type"].as_str() {
        None if choice.is_null() => Ok(()),
        Some("auto" | "any" | "none") => Ok(()),
        Some("tool") if tools.iter().any(|tool| tool["name"] == choice["name"]) => Ok(()),
        Some("tool") => {
            Err(Refusal::bad(format!("tool_choice.tool.name: Tool {} not found in provided tools", choice["name"])))
        }
        _ => Err(Refusal::bad("tool_choice: Input should be a valid dictionary with 'type' auto, any, tool or none")),
    }
}

fn breakpoints(body: &Value) -> Checked {
    let found = count(&body["system"]) + count(&body["tools"]) + count(&body["messages"]);
    let found = found + usize::from(!body["cache_control"].is_null());
    if found > MAX_BREAKPOINTS {
        return Err(Refusal::bad(format!(
            "A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."
        )));
    }
    Ok(())
}

/// Counts the cache breakpoints of a field, without those that are part of a tool's input.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => {
            usize::from(fields.get("cache_control").is_some_and(|control| !control.is_null()))
                + fields.get("content").map_or(0, count)
        }
        _ => 0,
    }
}
