//! Reads requests of Responses.

use super::choice::read_choice;
use super::read_item::{Items, read_item};
use crate::Api;
use crate::chat::read_schema;
use crate::error::{Problem, RequestError};
use crate::field::{Fields, Path, Raw};
use crate::hub::{Block, CustomTool, Effort, Format, FunctionTool, Json, Message, Request, Role, Tool};
use crate::read::{body, check_results, extras, part, unknown_kind};
use crate::unread::unread;

/// Reads a request. `stored` are the items that it continues; `None` if the caller looked for none.
pub(crate) fn read_request(json: &[u8], stored: Option<&[Json]>) -> Result<Request, RequestError> {
    let mut fields = body(json)?;
    let at = Path::Root;
    let unread = unread(Api::Responses, &fields);
    if fields.get("conversation").is_some() {
        let advice = "Send the whole conversation in `input`, or continue an answer with `previous_response_id`.";
        return Err(RequestError::new(Problem::NotTranslatable, &"conversation", advice));
    }
    if stored.is_none() && fields.get("previous_response_id").is_some() {
        let advice = "Send the whole conversation instead.";
        return Err(RequestError::new(Problem::Unresolved, &"previous_response_id", advice));
    }
    let mut request = Request::new(Api::Responses, fields.take_str("model", &at)?.unwrap_or_default());
    if request.model.is_empty() && fields.get("prompt").is_none() {
        return Err(RequestError::new(Problem::Missing, &"model", "The field is required."));
    }
    if let Some(text) = fields.take_str("instructions", &at)? {
        request.messages.push(Message::new(Role::System, vec![Block::text(text)], "instructions".into()));
    }
    // The items stand for it, also for a provider of the same API: it need not know the id.
    let continues = fields.take("previous_response_id").is_some();
    read_input(fields.take("input"), stored.unwrap_or_default(), continues, &mut request)?;
    if let Some(tools) = fields.take_array("tools", &at)? {
        read_tools(&tools, &Path::Name(&at, "tools"), None, &mut request.tools)?;
    }
    request.tool_choice = fields.take("tool_choice").map(read_choice).transpose()?;
    request.parallel_tool_calls = fields.take_bool("parallel_tool_calls", &at)?;
    request.max_tokens = fields.take_count("max_output_tokens", &at)?;
    request.temperature = fields.take_number("temperature", &at)?;
    request.top_p = fields.take_number("top_p", &at)?;
    request.top_logprobs = fields.take_count("top_logprobs", &at)?;
    read_text(&mut fields, &mut request)?;
    read_reasoning(&mut fields, &mut request)?;
    let user = fields.take_str("user", &at)?;
    match fields.take_str("safety_identifier", &at)? {
        Some(id) => {
            (request.user, request.user_field) = (Some(id), "safety_identifier");
            // Kept, so that a request of the same API has both, and others report it.
            request.extras.extend(user.map(|user| ("user".to_owned(), Json::of_str(&user))));
        }
        None => request.user = user,
    }
    request.service_tier = fields.take_str("service_tier", &at)?;
    request.store = fields.take_bool("store", &at)?;
    request.stream = fields.take_bool("stream", &at)?.unwrap_or_default();
    request.include_usage = true;
    // It only asks for padding, which no translation needs.
    fields.take("stream_options");
    read_include(&mut fields, &mut request)?;
    request.extras.extend(extras(fields));
    request.unread = unread;
    check_results(&request)?;
    Ok(request)
}

/// Reads `input`, after the stored items if the request continues them.
fn read_input(
    input: Option<Raw<'_>>,
    stored: &[Json],
    continues: bool,
    request: &mut Request,
) -> Result<(), RequestError> {
    let list = Path::Name(&Path::Root, "input");
    let mut items = Items::new(stored);
    for (index, item) in stored.iter().enumerate().filter(|_| continues) {
        let at = Path::Name(&Path::Root, "stored");
        let item = Raw::document(item.as_str());
        read_item(item, &Path::Index(&at, index), &mut items, &mut request.messages)?;
        items.note(item);
    }
    let Some(input) = input else { return Ok(()) };
    if let Some(text) = input.str() {
        request.messages.push(Message::new(Role::User, vec![Block::text(text)], "input".into()));
        return Ok(());
    }
    let wrong = || RequestError::new(Problem::WrongType, &list, "It must be a string or a list of items.");
    for (index, item) in input.elements().ok_or_else(wrong)?.into_iter().enumerate() {
        if items.is_again(item) {
            continue;
        }
        read_item(item, &Path::Index(&list, index), &mut items, &mut request.messages)?;
    }
    Ok(())
}

/// Reads `text`: the format and the verbosity.
fn read_text(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), RequestError> {
    let root = Path::Root;
    let at = Path::Name(&root, "text");
    let Some(mut text) = fields.take_object("text", &root)? else { return Ok(()) };
    request.verbosity = text.take_str("verbosity", &at)?;
    let Some(format) = text.take_object("format", &at)? else { return Ok(()) };
    request.format = Some(match format.str("type").as_deref() {
        Some("text") => Format::Text,
        Some("json_object") => Format::JsonObject,
        Some("json_schema") => read_schema(&format, "text.format.schema")?,
        kind => return Err(unknown_kind(&Path::Name(&at, "format"), kind.unwrap_or_default())),
    });
    Ok(())
}

fn read_reasoning(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), RequestError> {
    let root = Path::Root;
    let at = Path::Name(&root, "reasoning");
    let Some(mut reasoning) = fields.take_object("reasoning", &root)? else { return Ok(()) };
    request.reasoning.effort = reasoning.take_str("effort", &at)?.map(|word| Effort::read(&word));
    let old = reasoning.take_str("generate_summary", &at)?;
    request.reasoning.summary = reasoning.take_str("summary", &at)?.or(old).filter(|summary| summary != "none");
    let rest = reasoning.rest().map(|(name, value)| (format!("reasoning.{name}"), value.to_json()));
    request.extras.extend(rest);
    Ok(())
}

/// Reads `include`: probabilities are a field of their own elsewhere; the rest is kept.
fn read_include(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), RequestError> {
    let Some(include) = fields.take_array("include", &Path::Root)? else { return Ok(()) };
    let mut rest = Vec::new();
    for word in include.iter().filter_map(|word| word.str()) {
        if word == "message.output_text.logprobs" {
            request.logprobs = true;
        } else {
            rest.push(word);
        }
    }
    if !rest.is_empty() {
        let mut list = Vec::new();
        crate::out::array(&mut list, |list| rest.iter().for_each(|word| list.str(word)));
        request.extras.push(("include".into(), Json::written(list)));
    }
    Ok(())
}

/// Reads tools. Those of a namespace are tools of their own, which know their namespace.
fn read_tools(
    tools: &[Raw<'_>],
    list: &Path<'_>,
    namespace: Option<&str>,
    read: &mut Vec<Tool>,
) -> Result<(), RequestError> {
    for (index, tool) in tools.iter().enumerate() {
        let at = Path::Index(list, index);
        let (kind, mut fields) = part(*tool, &at)?;
        fields.take("type");
        match &*kind {
            "function" => read.push(Tool::Function(FunctionTool {
                name: fields.need_str("name", &at)?,
                namespace: namespace.map(str::to_owned),
                description: fields.take_str("description", &at)?,
                parameters: fields.take("parameters").map(Raw::to_json),
                strict: fields.take_bool("strict", &at)?,
                cache: None,
                extras: extras(fields).into_iter().filter(|(_, value)| value.as_str() != "false").collect(),
            })),
            "custom" => {
                let format = fields.take_object("format", &at)?;
                let is_grammar = format.as_ref().is_some_and(|format| format.str("type").as_deref() == Some("grammar"));
                let format = format.map(|format| {
                    crate::out::json(|out| format.rest().for_each(|(name, value)| out.raw(&name, value.as_str())))
                });
                read.push(Tool::Custom(CustomTool {
                    name: fields.need_str("name", &at)?,
                    namespace: namespace.map(str::to_owned),
                    description: fields.take_str("description", &at)?,
                    format,
                    is_grammar,
                }));
            }
            "namespace" if namespace.is_none() => {
                let name = fields.need_str("name", &at)?;
                let inner = fields.take_array("tools", &at)?.unwrap_or_default();
                read_tools(&inner, &Path::Name(&at, "tools"), Some(&name), read)?;
            }
            kind => read.push(Tool::Builtin { api: Api::Responses, kind: kind.into(), json: tool.to_json() }),
        }
    }
    Ok(())
}
