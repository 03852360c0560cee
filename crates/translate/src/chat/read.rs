//! Reads requests of Chat Completions.

use super::read_message::read_messages;
use super::tools::{read_choice, read_function_choice, read_functions, read_tools};
use crate::Api;
use crate::error::{Problem, RequestError};
use crate::field::{Fields, Path, Raw};
use crate::hub::{Effort, Format, Json, Request};
use crate::read::{body, check_results, extras};
use crate::unread::unread;

/// Returns whether a body is one of Responses.
pub(crate) fn is_of_responses(json: &[u8]) -> bool {
    body(json).is_ok_and(|fields| fields.get("input").is_some() && fields.get("messages").is_none())
}

/// Returns whether a streamed answer shall end with its token counts.
pub(crate) fn asks_for_usage(json: &[u8]) -> bool {
    let options = body(json).ok().and_then(|fields| fields.object("stream_options"));
    options.is_some_and(|options| options.get("include_usage").and_then(Raw::bool) == Some(true))
}

/// Reads a request.
pub(crate) fn read_request(json: &[u8]) -> Result<Request, RequestError> {
    let mut fields = body(json)?;
    let at = Path::Root;
    let unread = unread(Api::Chat, &fields);
    let mut request = Request::new(Api::Chat, fields.need_str("model", &at)?);
    let Some(messages) = fields.take_array("messages", &at)? else {
        return Err(RequestError::new(Problem::Missing, &"messages", "The field is required."));
    };
    request.messages = read_messages(&messages)?;
    read_limits(&mut fields, &mut request)?;
    if let Some(tools) = fields.take_array("tools", &at)? {
        request.tools = read_tools(&tools)?;
    }
    if let Some(functions) = fields.take_array("functions", &at)? {
        request.tools.extend(read_functions(&functions)?);
    }
    request.tool_choice = match (fields.take("tool_choice"), fields.take("function_call")) {
        (Some(choice), _) => Some(read_choice(choice)?),
        (None, Some(choice)) => Some(read_function_choice(choice)?),
        (None, None) => None,
    };
    request.parallel_tool_calls = fields.take_bool("parallel_tool_calls", &at)?;
    request.format = fields.take("response_format").map(read_format).transpose()?;
    request.verbosity = fields.take_str("verbosity", &at)?;
    request.reasoning.effort = fields.take_str("reasoning_effort", &at)?.map(|word| Effort::read(&word));
    read_identity(&mut fields, &mut request)?;
    request.stream = fields.take_bool("stream", &at)?.unwrap_or_default();
    if let Some(options) = fields.take_object("stream_options", &at)? {
        request.include_usage = options.get("include_usage").and_then(Raw::bool).unwrap_or_default();
    }
    request.extras.extend(extras(fields));
    request.unread = unread;
    check_results(&request)?;
    Ok(request)
}

/// Reads the fields that limit or steer the choice of tokens.
fn read_limits(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), RequestError> {
    let at = Path::Root;
    let old = fields.take_count("max_tokens", &at)?;
    request.max_tokens = fields.take_count("max_completion_tokens", &at)?.or(old);
    request.temperature = fields.take_number("temperature", &at)?;
    request.top_p = fields.take_number("top_p", &at)?;
    request.top_k = fields.take_number("top_k", &at)?;
    request.logprobs = fields.take_bool("logprobs", &at)?.unwrap_or_default();
    request.top_logprobs = fields.take_count("top_logprobs", &at)?;
    request.stop = match fields.take("stop") {
        None => Vec::new(),
        Some(stop) if stop.is_array() => stop.strings(),
        Some(stop) => vec![stop.str().map(Into::into).ok_or_else(|| {
            RequestError::new(Problem::WrongType, &"stop", "It must be a string or a list of strings.")
        })?],
    };
    request.stop.retain(|stop| !stop.is_empty());
    Ok(())
}

/// Reads who asks, and what the provider shall keep.
fn read_identity(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), RequestError> {
    let at = Path::Root;
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
    Ok(())
}

fn read_format(value: Raw<'_>) -> Result<Format, RequestError> {
    let wrong = |field: &str| RequestError::new(Problem::WrongType, &field, "It must be an object.");
    let format = value.fields().ok_or_else(|| wrong("response_format"))?;
    match format.str("type").as_deref() {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => {
            let inner = format.object("json_schema").ok_or_else(|| wrong("response_format.json_schema"))?;
            read_schema(&inner, "response_format.json_schema.schema")
        }
        kind => Err(crate::read::unknown_kind(&Path::Name(&Path::Root, "response_format"), kind.unwrap_or_default())),
    }
}

/// Reads the name, the schema and the attributes of a JSON schema format; `at` is the place of the schema.
pub(crate) fn read_schema(fields: &Fields<'_>, at: &str) -> Result<Format, RequestError> {
    let schema = fields.get("schema").filter(|schema| schema.is_object());
    let schema = schema.ok_or_else(|| RequestError::new(Problem::Missing, &at, "It must be an object."))?;
    Ok(Format::JsonSchema {
        name: fields.string("name").unwrap_or_default(),
        schema: schema.to_json(),
        strict: fields.get("strict").and_then(Raw::bool),
        description: fields.string("description"),
    })
}
