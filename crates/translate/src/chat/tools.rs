//! Tools and their choice, in requests of Chat Completions.

use crate::Api;
use crate::error::{Problem, RequestError};
use crate::field::{Fields, Path, Raw};
use crate::hub::{CallKind, CustomTool, FunctionTool, Json, Tool, ToolChoice};
use crate::out::{self, Object};
use crate::read::{extras, part, unknown_kind};

pub(super) fn read_tools(tools: &[Raw<'_>]) -> Result<Vec<Tool>, RequestError> {
    let list = Path::Name(&Path::Root, "tools");
    let mut read = Vec::with_capacity(tools.len());
    for (index, tool) in tools.iter().enumerate() {
        let at = Path::Index(&list, index);
        let (kind, mut fields) = part(*tool, &at)?;
        read.push(match &*kind {
            "function" => {
                let function = fields.take_object("function", &at)?.unwrap_or_default();
                read_function(function, &Path::Name(&at, "function"))?
            }
            "custom" => read_custom(fields.take_object("custom", &at)?.unwrap_or_default(), &at)?,
            kind => Tool::Builtin { api: Api::Chat, kind: kind.into(), json: tool.to_json() },
        });
    }
    Ok(read)
}

/// Reads the older form of tools.
pub(super) fn read_functions(functions: &[Raw<'_>]) -> Result<Vec<Tool>, RequestError> {
    let list = Path::Name(&Path::Root, "functions");
    let mut read = Vec::with_capacity(functions.len());
    for (index, function) in functions.iter().enumerate() {
        let at = Path::Index(&list, index);
        let fields =
            function.fields().ok_or_else(|| RequestError::new(Problem::WrongType, &at, "It must be an object."))?;
        read.push(read_function(fields, &at)?);
    }
    Ok(read)
}

fn read_function(mut fields: Fields<'_>, at: &Path<'_>) -> Result<Tool, RequestError> {
    Ok(Tool::Function(FunctionTool {
        name: fields.need_str("name", at)?,
        description: fields.take_str("description", at)?,
        parameters: fields.take("parameters").map(Raw::to_json),
        strict: fields.take_bool("strict", at)?,
        extras: extras(fields),
        ..FunctionTool::default()
    }))
}

fn read_custom(mut fields: Fields<'_>, at: &Path<'_>) -> Result<Tool, RequestError> {
    let format = fields.take_object("format", at)?;
    let grammar = format.as_ref().and_then(|format| format.object("grammar"));
    let is_grammar = grammar.is_some();
    // Responses has the fields of the grammar beside its type.
    let format = match (grammar, format) {
        (Some(grammar), _) => Some(out::json(|format| {
            format.str("type", "grammar");
            grammar.rest().for_each(|(name, value)| format.raw(&name, value.as_str()));
        })),
        (None, Some(format)) => Some(out::json(|out| {
            format.rest().for_each(|(name, value)| out.raw(&name, value.as_str()));
        })),
        (None, None) => None,
    };
    Ok(Tool::Custom(CustomTool {
        name: fields.need_str("name", at)?,
        description: fields.take_str("description", at)?,
        format,
        is_grammar,
        namespace: None,
    }))
}

pub(super) fn read_choice(value: Raw<'_>) -> Result<ToolChoice, RequestError> {
    let at = Path::Name(&Path::Root, "tool_choice");
    if let Some(word) = value.str() {
        return word_choice(&word).ok_or_else(|| unknown_kind(&at, &word));
    }
    let (kind, mut fields) = part(value, &at)?;
    Ok(match &*kind {
        "function" => {
            let name = fields.take_object("function", &at)?.unwrap_or_default().need_str("name", &at)?;
            ToolChoice::Named { name, kind: CallKind::Function }
        }
        "custom" => {
            let name = fields.take_object("custom", &at)?.unwrap_or_default().need_str("name", &at)?;
            ToolChoice::Named { name, kind: CallKind::Custom }
        }
        "allowed_tools" => {
            let allowed = fields.object("allowed_tools").unwrap_or_default();
            let names = allowed.elements("tools").into_iter().filter_map(|tool| {
                let tool = tool.fields()?;
                let inner = tool.object("function").or_else(|| tool.object("custom"))?;
                inner.string("name")
            });
            ToolChoice::Allowed {
                required: allowed.str("mode").as_deref() == Some("required"),
                names: names.collect(),
                json: value.to_json(),
                api: Api::Chat,
            }
        }
        _ => ToolChoice::Other { api: Api::Chat, json: value.to_json() },
    })
}

/// Reads a choice that is a single word, for all APIs.
pub(crate) fn word_choice(word: &str) -> Option<ToolChoice> {
    Some(match word {
        "none" => ToolChoice::None,
        "auto" => ToolChoice::Auto,
        "required" | "any" => ToolChoice::Required,
        _ => return None,
    })
}

/// Reads the older form of the choice.
pub(super) fn read_function_choice(value: Raw<'_>) -> Result<ToolChoice, RequestError> {
    let at = Path::Name(&Path::Root, "function_call");
    if let Some(word) = value.str() {
        return word_choice(&word).ok_or_else(|| unknown_kind(&at, &word));
    }
    let mut fields = value.fields().ok_or_else(|| RequestError::new(Problem::WrongType, &at, ""))?;
    Ok(ToolChoice::Named { name: fields.need_str("name", &at)?, kind: CallKind::Function })
}

/// Writes the fields of a function.
pub(super) fn write_function(function: &mut Object<'_>, tool: &FunctionTool, name: &str) {
    function.str("name", name);
    function.opt_str("description", tool.description.as_deref());
    function.opt_json("parameters", tool.parameters.as_ref());
    if let Some(strict) = tool.strict {
        function.bool("strict", strict);
    }
}

/// Writes the fields of a custom tool, whose grammar is an object of its own here.
pub(super) fn write_custom(custom: &mut Object<'_>, tool: &CustomTool, name: &str) {
    custom.str("name", name);
    custom.opt_str("description", tool.description.as_deref());
    let Some(format) = &tool.format else { return };
    if !tool.is_grammar {
        return custom.raw("format", format.as_str());
    }
    custom.object("format", |out| {
        out.str("type", "grammar");
        out.object("grammar", |grammar| {
            let fields = Raw::document(format.as_str()).fields().unwrap_or_default();
            let inner = fields.rest().filter(|(name, _)| name != "type");
            inner.for_each(|(name, value)| grammar.raw(&name, value.as_str()));
        });
    });
}

/// Returns the schema of a function that stands for a custom tool: one string.
pub(crate) fn custom_schema() -> Json {
    Json::checked(
        r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#,
    )
}
