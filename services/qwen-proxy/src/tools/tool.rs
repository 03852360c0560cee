//! A declared tool.

use std::collections::HashMap;

use serde_json::Value;

use super::schema::{Schema, inline};

/// A function the model may call.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Name of the tool and of its tag.
    pub name: String,
    /// Description of the tool.
    pub description: Option<String>,
    /// Parameters: the required ones in the order of their declaration, then the others.
    pub parameters: Vec<Parameter>,
    /// Opening tag of a call.
    pub(super) opening: String,
    /// Closing tag of a call.
    pub(super) closing: String,
}

/// A parameter of a tool.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name of the parameter and of its tag.
    pub name: String,
    /// Whether every call must contain it.
    pub required: bool,
    /// Schema of its values.
    pub(super) schema: Schema,
    /// Opening tag of its value.
    pub(super) opening: String,
}

/// Reason why a declaration is rejected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The tool is not a function, for instance one that is hosted by OpenAI.
    #[error(
        "`tools[{index}].type` is not supported; declare tools as \
         {{\"type\":\"function\",\"function\":{{\"name\":…}}}}"
    )]
    NotAFunction {
        /// Index in the list.
        index: usize,
    },
    /// The name is missing or not usable as a tag.
    #[error(
        "`tools[{index}].function.name` is missing or invalid; use at most {MAX_NAME} letters, digits, `_`, `-`, `.` \
         or `:`"
    )]
    Name {
        /// Index in the list.
        index: usize,
    },
    /// Another tool has the same name.
    #[error("`tools[{index}]` declares `{name}` again; give every tool a unique name")]
    Twice {
        /// Index in the list.
        index: usize,
        /// Name of the tool.
        name: String,
    },
    /// The parameters are not a JSON schema of an object.
    #[error("`tools[{index}].function.parameters` must be a JSON schema of type `object`")]
    Parameters {
        /// Index in the list.
        index: usize,
    },
}

/// Maximum length of a name in bytes.
const MAX_NAME: usize = 128;

impl ToolError {
    /// Returns the request field that is invalid.
    #[must_use]
    pub fn param(&self) -> String {
        match self {
            Self::NotAFunction { index } => format!("tools[{index}].type"),
            Self::Name { index } | Self::Twice { index, .. } => format!("tools[{index}].function.name"),
            Self::Parameters { index } => format!("tools[{index}].function.parameters"),
        }
    }
}

impl Tool {
    pub(super) fn parse(index: usize, declaration: &Value) -> Result<Self, ToolError> {
        let function = declaration.get("function").filter(|function| function.is_object());
        let kind = declaration.get("type").and_then(Value::as_str);
        let function = function.filter(|_| kind == Some("function")).ok_or(ToolError::NotAFunction { index })?;
        let name = function.get("name").and_then(Value::as_str).filter(|name| is_name(name) && name.len() <= MAX_NAME);
        let name = name.ok_or(ToolError::Name { index })?.to_owned();
        let description = function.get("description").and_then(Value::as_str);
        let description = description.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let parameters = match function.get("parameters") {
            None | Some(Value::Null) => Vec::new(),
            Some(schema) => parameters(schema).ok_or(ToolError::Parameters { index })?,
        };
        let (opening, closing) = (format!("<{name}>"), format!("</{name}>"));
        Ok(Self { name, description, parameters, opening, closing })
    }

    /// Returns the parameter with this name.
    pub(super) fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// Returns `true` if `name` is usable as a tag. Applies to names of tools; those of parameters are not restricted.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name_byte)
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':')
}

fn parameters(schema: &Value) -> Option<Vec<Parameter>> {
    let schema = inline(schema);
    let object = schema.as_object()?;
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, name) in object.get("required").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Some(name) = name.as_str() {
            places.entry(name).or_insert(place);
        }
    }
    let properties = match object.get("properties") {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(properties) => properties.as_object()?,
    };
    let mut parameters: Vec<Parameter> = properties
        .iter()
        .map(|(name, schema)| Parameter {
            name: name.clone(),
            required: places.contains_key(name.as_str()),
            schema: Schema::new(schema.clone()),
            opening: format!("<{name}>"),
        })
        .collect();
    parameters.sort_by_key(|parameter| places.get(parameter.name.as_str()).copied().unwrap_or(usize::MAX));
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(declaration: &Value) -> (String, String) {
        let error = Tool::parse(3, declaration).unwrap_err();
        (error.param(), error.to_string())
    }

    #[test]
    fn required_parameters_come_first_in_declaration_order() {
        let tool = Tool::parse(
            0,
            &json!({"type": "function", "function": {"name": "mcp__fs__write-file", "description": " ", "parameters": {
                "type": "object",
                "properties": {"append": {"type": "boolean"}, "content": {}, "path": {}},
                "required": ["path", "content", "missing"],
            }}}),
        )
        .unwrap();
        let names: Vec<(&str, bool)> = tool.parameters.iter().map(|p| (p.name.as_str(), p.required)).collect();
        assert_eq!(names, [("path", true), ("content", true), ("append", false)]);
        assert_eq!(tool.description, None);
    }

    #[test]
    fn a_tool_may_have_no_parameters() {
        for parameters in [json!(null), json!({}), json!({"type": "object"}), json!({"properties": null})] {
            let tool =
                Tool::parse(0, &json!({"type": "function", "function": {"name": "a", "parameters": parameters}}));
            assert!(tool.unwrap().parameters.is_empty(), "{parameters}");
        }
    }

    #[test]
    fn an_invalid_tool_is_rejected_with_its_index() {
        for declaration in [
            json!(7),
            json!({}),
            json!({"type": "web_search"}),
            json!({"type": "function"}),
            json!({"type": "function", "function": "a"}),
            json!({"name": "a", "input_schema": {}}),
        ] {
            assert_eq!(refused(&declaration).0, "tools[3].type", "{declaration}");
        }
        for name in [json!(null), json!(""), json!("a b"), json!("a>"), json!(7), json!("x".repeat(129))] {
            let declaration = json!({"type": "function", "function": {"name": name}});
            assert_eq!(refused(&declaration).0, "tools[3].function.name", "{name}");
        }
        for parameters in [json!([]), json!("none"), json!({"properties": []})] {
            let declaration = json!({"type": "function", "function": {"name": "a", "parameters": parameters}});
            assert_eq!(
                refused(&declaration),
                (
                    "tools[3].function.parameters".into(),
                    "`tools[3].function.parameters` must be a JSON schema of type `object`".into()
                ),
            );
        }
    }
}
