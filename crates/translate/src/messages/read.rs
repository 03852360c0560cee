//! Reads requests of Messages.

use super::choice::read_choice;
use super::read_block::{read_blocks, read_cache};
use crate::Api;
use crate::error::{Problem, RequestError};
use crate::field::{Fields, Path, Raw};
use crate::hub::{Effort, Format, FunctionTool, Json, Message, Request, Role, ThinkingMode, Tool};
use crate::read::{body, check_results, extras, unknown_kind};
use crate::unread::unread;

/// Reads a request.
pub(crate) fn read_request(json: &[u8]) -> Result<Request, RequestError> {
    let mut fields = body(json)?;
    let at = Path::Root;
    let unread = unread(Api::Messages, &fields);
    let mut request = Request::new(Api::Messages, fields.need_str("model", &at)?);
    if let Some(system) = fields.take("system") {
        let at = Path::Name(&at, "system");
        let blocks = read_blocks(system, &at)?;
        if !blocks.is_empty() {
            request.messages.push(Message::new(Role::System, blocks, "system".into()));
        }
    }
    let Some(messages) = fields.take_array("messages", &at)? else {
        return Err(RequestError::new(Problem::Missing, &"messages", "The field is required."));
    };
    read_messages(&messages, &mut request)?;
    if let Some(tools) = fields.take_array("tools", &at)? {
        request.tools = read_tools(&tools)?;
    }
    if let Some(choice) = fields.take("tool_choice") {
        let (choice, is_single) = read_choice(choice)?;
        request.tool_choice = Some(choice);
        request.parallel_tool_calls = is_single.map(|is_single| !is_single);
    }
    request.max_tokens = fields.take_count("max_tokens", &at)?;
    request.temperature = fields.take_number("temperature", &at)?;
    request.top_p = fields.take_number("top_p", &at)?;
    request.top_k = fields.take_number("top_k", &at)?;
    request.stop = fields.take_array("stop_sequences", &at)?.map(strings).unwrap_or_default();
    read_thinking(&mut fields, &mut request)?;
    read_output(&mut fields, &mut request)?;
    request.cache = read_cache(&fields);
    fields.take("cache_control");
    if let Some(mut metadata) = fields.take_object("metadata", &at)? {
        request.user = metadata.take_str("user_id", &Path::Name(&at, "metadata"))?;
        request.user_field = "metadata.user_id";
        let rest = metadata.rest().map(|(name, value)| (format!("metadata.{name}"), value.to_json()));
        request.extras.extend(rest);
    }
    request.service_tier = fields.take_str("service_tier", &at)?;
    request.stream = fields.take_bool("stream", &at)?.unwrap_or_default();
    request.include_usage = true;
    request.extras.extend(extras(fields));
    request.unread = unread;
    check_results(&request)?;
    Ok(request)
}

fn strings(list: Vec<Raw<'_>>) -> Vec<String> {
    list.into_iter().filter_map(|text| text.str().map(Into::into)).collect()
}

fn read_messages(messages: &[Raw<'_>], request: &mut Request) -> Result<(), RequestError> {
    let list = Path::Name(&Path::Root, "messages");
    for (index, message) in messages.iter().enumerate() {
        let at = Path::Index(&list, index);
        let mut fields =
            message.fields().ok_or_else(|| RequestError::new(Problem::WrongType, &at, "It must be an object."))?;
        let role = match fields.need_str("role", &at)?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            other => return Err(unknown_kind(&Path::Name(&at, "role"), other)),
        };
        let content_at = Path::Name(&at, "content");
        let content = fields
            .take("content")
            .ok_or_else(|| RequestError::new(Problem::Missing, &content_at, "The field is required."))?;
        request.messages.push(Message::new(role, read_blocks(content, &content_at)?, at.to_string()));
    }
    Ok(())
}

fn read_thinking(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), RequestError> {
    let root = Path::Root;
    let at = Path::Name(&root, "thinking");
    let Some(mut thinking) = fields.take_object("thinking", &root)? else { return Ok(()) };
    request.reasoning.thinking = Some(match thinking.need_str("type", &at)?.as_str() {
        "adaptive" => ThinkingMode::Adaptive,
        "disabled" => ThinkingMode::Disabled,
        "enabled" => {
            let budget = thinking.take_count("budget_tokens", &at)?;
            ThinkingMode::Budget(budget.ok_or_else(|| {
                RequestError::new(Problem::Missing, &"thinking.budget_tokens", "The field is required.")
            })?)
        }
        other => ThinkingMode::Other(other.into()),
    });
    request.reasoning.display = thinking.take_str("display", &at)?;
    let rest = thinking.rest().filter(|(name, _)| name != "budget_tokens" && name != "type");
    request.extras.extend(rest.map(|(name, value)| (format!("thinking.{name}"), value.to_json())));
    Ok(())
}

fn read_output(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), RequestError> {
    let root = Path::Root;
    let at = Path::Name(&root, "output_config");
    // `output_format` is the name of the format in its beta.
    let old = fields.take_object("output_format", &root)?;
    let mut format = old;
    if let Some(mut output) = fields.take_object("output_config", &root)? {
        request.reasoning.effort = output.take_str("effort", &at)?.map(|word| Effort::read(&word));
        format = output.take_object("format", &at)?.or(format);
        let rest = output.rest().map(|(name, value)| (format!("output_config.{name}"), value.to_json()));
        request.extras.extend(rest);
    }
    let Some(mut format) = format else { return Ok(()) };
    let at = Path::Name(&at, "format");
    match format.need_str("type", &at)?.as_str() {
        "json_schema" => {}
        other => return Err(unknown_kind(&at, other)),
    }
    let schema = format.take("schema").filter(|schema| schema.is_object()).map(Raw::to_json);
    let schema = schema
        .ok_or_else(|| RequestError::new(Problem::Missing, &Path::Name(&at, "schema"), "It must be an object."))?;
    // The schema is always binding here.
    request.format = Some(Format::JsonSchema { name: String::new(), schema, strict: Some(true), description: None });
    Ok(())
}

fn read_tools(tools: &[Raw<'_>]) -> Result<Vec<Tool>, RequestError> {
    let list = Path::Name(&Path::Root, "tools");
    let mut read = Vec::with_capacity(tools.len());
    for (index, tool) in tools.iter().enumerate() {
        let at = Path::Index(&list, index);
        let mut fields =
            tool.fields().ok_or_else(|| RequestError::new(Problem::WrongType, &at, "It must be an object."))?;
        let kind = fields.take_str("type", &at)?;
        if let Some(kind) = kind.filter(|kind| kind != "custom") {
            read.push(Tool::Builtin { api: Api::Messages, kind, json: tool.to_json() });
            continue;
        }
        let cache = read_cache(&fields);
        fields.take("cache_control");
        read.push(Tool::Function(FunctionTool {
            name: fields.need_str("name", &at)?,
            description: fields.take_str("description", &at)?,
            parameters: fields.take("input_schema").map(Raw::to_json),
            strict: fields.take_bool("strict", &at)?,
            cache,
            namespace: None,
            extras: own_extras(fields),
        }));
    }
    Ok(read)
}

/// Keeps the attributes of a tool that differ from their defaults.
fn own_extras(fields: Fields<'_>) -> Vec<(String, Json)> {
    extras(fields).into_iter().filter(|(_, value)| value.as_str() != "false").collect()
}
