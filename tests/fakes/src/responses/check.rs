//! The requests that the real service refuses, in its words.

use serde_json::Value;

use super::items::ENCRYPTED;
use crate::surface::Refusal;

const FIELDS: [&str; 38] = [
    "access_programs",
    "background",
    "background_options",
    "client_metadata",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "verbosity",
    "web_search_options",
];
const ITEMS: [&str; 34] = [
    "additional_tools",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "configuration_update",
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "function_call",
    "function_call_output",
    "image_generation_call",
    "item_reference",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "message",
    "program",
    "program_output",
    "reasoning",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
    "context_compaction",
    "agent_message",
    "web_search_preview_call",
];
/// Types of items and the start of their ids.
const IDS: [(&str, &str); 4] =
    [("message", "msg"), ("function_call", "fc"), ("custom_tool_call", "ctc"), ("reasoning", "rs")];
const MIN_OUTPUT: i64 = 16;
const MAX_CALL_ID: usize = 64;

type Checked = Result<(), Refusal>;

fn missing(param: &str) -> Refusal {
    Refusal::bad(format!("Missing required parameter: '{param}'.")).of(param, "missing_required_parameter")
}

fn invalid(param: &str, value: &str, supported: &[&str]) -> Refusal {
    let supported = supported.join("', '");
    Refusal::bad(format!("Invalid value: '{value}'. Supported values are: '{supported}'.")).of(param, "invalid_value")
}

pub(super) fn body(body: &Value) -> Checked {
    let Some(fields) = body.as_object() else {
        return Err(Refusal::bad("We could not parse the JSON body of your request."));
    };
    if let Some(field) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(Refusal::bad(format!("Unknown parameter: '{field}'.")).of(field.as_str(), "unknown_parameter"));
    }
    let continues = ["previous_response_id", "prompt", "conversation"].iter().any(|field| !body[field].is_null());
    if !body["model"].is_string() && body["prompt"].is_null() {
        return Err(missing("model"));
    }
    match &body["input"] {
        Value::Null if !continues => return Err(missing("input")),
        Value::Null | Value::String(_) | Value::Array(_) => {}
        _ => return Err(Refusal::bad("Invalid type for 'input'.").of("input", "invalid_type")),
    }
    if let Some(tokens) = body["max_output_tokens"].as_i64().filter(|tokens| *tokens < MIN_OUTPUT) {
        return Err(Refusal::bad(format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {MIN_OUTPUT}, but got {tokens} \
             instead."
        ))
        .of("max_output_tokens", "integer_below_min_value"));
    }
    let format = &body["text"]["format"];
    match format["type"].as_str() {
        Some("json_schema") => {
            for field in ["name", "schema"] {
                if format[field].is_null() {
                    return Err(missing(&format!("text.format.{field}")));
                }
            }
            strict(format, "schema", "response_format")?;
        }
        Some("text" | "json_object") => {}
        None if format.is_null() => {}
        other => {
            let supported = ["json_object", "json_schema", "text"];
            return Err(invalid("text.format.type", other.unwrap_or_default(), &supported));
        }
    }
    tools(body)
}

fn tools(body: &Value) -> Checked {
    for (index, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        let kind = tool["type"].as_str().ok_or_else(|| missing(&format!("tools[{index}].type")))?;
        if matches!(kind, "function" | "custom") && !tool["name"].is_string() {
            return Err(missing(&format!("tools[{index}].name")));
        }
        if kind == "function" {
            strict(tool, "parameters", "function")?;
        }
    }
    let choice = &body["tool_choice"];
    match choice {
        Value::Null | Value::Object(_) => Ok(()),
        Value::String(choice) if matches!(choice.as_str(), "none" | "auto" | "required") => Ok(()),
        other => Err(invalid("tool_choice", other.as_str().unwrap_or_default(), &["none", "auto", "required"])),
    }
}

/// Checks the outermost object of a schema that is to be strict.
fn strict(owner: &Value, field: &str, what: &str) -> Checked {
    let schema = &owner[field];
    if owner["strict"] != true || schema["type"] != "object" {
        return Ok(());
    }
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut properties = schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
    let reason = if schema["additionalProperties"] != false {
        "'additionalProperties' is required to be supplied and to be false."
    } else if properties.any(|name| !required.iter().any(|required| required == name)) {
        "'required' is required to be supplied and to be an array including every key in properties."
    } else {
        return Ok(());
    };
    let name = owner["name"].as_str().unwrap_or_default();
    Err(Refusal::bad(format!("Invalid schema for {what} '{name}': In context=(), {reason}"))
        .of(field, "invalid_json_schema"))
}

/// Checks the conversation: its items, and that calls and their outputs belong together.
pub(super) fn items(items: &[Value]) -> Checked {
    for (index, item) in items.iter().enumerate() {
        let path = format!("input[{index}]");
        let kind = item["type"].as_str().unwrap_or("message");
        if !ITEMS.contains(&kind) {
            return Err(invalid(&format!("{path}.type"), kind, &ITEMS));
        }
        let prefix = IDS.iter().find(|(known, _)| *known == kind).map(|(_, prefix)| *prefix);
        if let (Some(id), Some(prefix)) = (item["id"].as_str(), prefix)
            && !id.starts_with(prefix)
        {
            let message = format!("Invalid '{path}.id': '{id}'. Expected an ID that begins with '{prefix}'.");
            return Err(Refusal::bad(message).of(format!("{path}.id"), "invalid_value"));
        }
        match kind {
            "message" => message(item, &path)?,
            "function_call" => required(item, &path, &["call_id", "name", "arguments"])?,
            "custom_tool_call" => required(item, &path, &["call_id", "name", "input"])?,
            "function_call_output" | "custom_tool_call_output" => required(item, &path, &["call_id", "output"])?,
            "reasoning" => reasoning(item, items.get(index + 1), &path)?,
            _ => {}
        }
    }
    pairs(items)
}

fn required(item: &Value, path: &str, fields: &[&str]) -> Checked {
    if let Some(field) = fields.iter().find(|field| item[**field].is_null()) {
        return Err(missing(&format!("{path}.{field}")));
    }
    if item["call_id"].as_str().is_some_and(|id| id.len() > MAX_CALL_ID) {
        let message = format!("Invalid '{path}.call_id': string too long. Expected a string with maximum length 64.");
        return Err(Refusal::bad(message).of(format!("{path}.call_id"), "string_above_max_length"));
    }
    Ok(())
}

fn message(item: &Value, path: &str) -> Checked {
    let role = item["role"].as_str().unwrap_or_default();
    if !matches!(role, "user" | "assistant" | "system" | "developer") {
        let supported = ["assistant", "system", "developer", "user"];
        return Err(invalid(&format!("{path}.role"), role, &supported));
    }
    let parts = match &item["content"] {
        Value::String(_) => return Ok(()),
        Value::Array(parts) => parts,
        _ => return Err(missing(&format!("{path}.content"))),
    };
    let supported: &[&str] = match role {
        "assistant" => &["output_text", "refusal"],
        _ => &["input_text", "input_image", "input_file", "input_audio"],
    };
    for (index, part) in parts.iter().enumerate() {
        let kind = part["type"].as_str().unwrap_or_default();
        let path = format!("{path}.content[{index}]");
        if !supported.contains(&kind) {
            return Err(invalid(&format!("{path}.type"), kind, supported));
        }
        if kind.ends_with("_text") && !part["text"].is_string() {
            return Err(missing(&format!("{path}.text")));
        }
        if kind == "input_image" && !(part["image_url"].is_string() || part["file_id"].is_string()) {
            return Err(missing(&format!("{path}.image_url")));
        }
    }
    Ok(())
}

fn reasoning(item: &Value, next: Option<&Value>, path: &str) -> Checked {
    let id = item["id"].as_str().unwrap_or_default();
    if item["encrypted_content"].as_str().is_some_and(|content| !content.starts_with(ENCRYPTED)) {
        let message = format!("The encrypted content for item {id} could not be verified.");
        return Err(Refusal::bad(message).of(format!("{path}.encrypted_content"), "invalid_encrypted_content"));
    }
    let follows = next.is_some_and(|next| match next["type"].as_str() {
        None | Some("message") => next["role"] == "assistant",
        Some(kind) => kind == "reasoning" || kind.ends_with("_call"),
    });
    if follows {
        return Ok(());
    }
    let message = format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
    Err(Refusal::bad(message).of("input", "invalid_value"))
}

fn pairs(items: &[Value]) -> Checked {
    let ids = |kind: &'static str| {
        let of_kind = items.iter().filter(move |item| item["type"] == kind);
        of_kind.filter_map(|item| item["call_id"].as_str()).collect::<Vec<_>>()
    };
    for (call, output, what) in [
        ("function_call", "function_call_output", "function call"),
        ("custom_tool_call", "custom_tool_call_output", "custom tool call"),
    ] {
        let (calls, outputs) = (ids(call), ids(output));
        let message = if let Some(id) = outputs.iter().find(|id| !calls.contains(id)) {
            format!("No tool call found for {what} output with call_id {id}.")
        } else if let Some(id) = calls.iter().find(|id| !outputs.contains(id)) {
            format!("No tool output found for {what} {id}.")
        } else {
            continue;
        };
        return Err(Refusal { param: Some("input".into()), ..Refusal::bad(message) });
    }
    Ok(())
}
