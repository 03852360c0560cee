//! Tools and their choice.

use super::{Cache, Json};
use crate::Api;

/// Whether the input of a tool is JSON or free text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallKind {
    /// JSON that fits a schema.
    #[default]
    Function,
    /// Free text, or text of a grammar.
    Custom,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function with a JSON schema.
    Function(FunctionTool),
    /// A tool whose input is text.
    Custom(CustomTool),
    /// A tool that the provider runs, or that only one API defines.
    Builtin {
        /// The API that defines it.
        api: Api,
        /// Its type, such as `web_search_20250305`.
        kind: String,
        /// The whole definition.
        json: Json,
    },
}

/// A function tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionTool {
    /// The name, without the namespace.
    pub name: String,
    /// The namespace, for Responses.
    pub namespace: Option<String>,
    /// The purpose of the tool, for the model.
    pub description: Option<String>,
    /// The JSON schema of the arguments.
    pub parameters: Option<Json>,
    /// Whether the arguments must fit the schema exactly; `None` for the default of the API.
    pub strict: Option<bool>,
    /// A cache breakpoint after this tool.
    pub cache: Option<Cache>,
    /// Fields that only the client's API knows.
    pub extras: Vec<(String, Json)>,
}

/// A custom tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CustomTool {
    /// The name, without the namespace.
    pub name: String,
    /// The namespace, for Responses.
    pub namespace: Option<String>,
    /// The purpose of the tool, for the model.
    pub description: Option<String>,
    /// The format of the input as Responses writes it: `{"type":"grammar","syntax":…,"definition":…}`.
    pub format: Option<Json>,
    /// Whether the format is a grammar.
    pub is_grammar: bool,
}

/// Which tools the model has to call.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    /// None at all.
    None,
    /// The model decides.
    Auto,
    /// At least one.
    Required,
    /// This one.
    Named {
        /// The name of the tool.
        name: String,
        /// The kind of the tool.
        kind: CallKind,
    },
    /// Only these.
    Allowed {
        /// Whether at least one has to be called.
        required: bool,
        /// The names of the tools.
        names: Vec<String>,
        /// The list as the client wrote it, in the form of `api`.
        json: Json,
        /// The API whose form `json` has.
        api: Api,
    },
    /// A built-in tool of one API.
    Other {
        /// The API that defines it.
        api: Api,
        /// The value as the client wrote it.
        json: Json,
    },
}

// === impl Tool ===

impl Tool {
    /// Returns the name of a function or custom tool.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Function(tool) => Some(&tool.name),
            Self::Custom(tool) => Some(&tool.name),
            Self::Builtin { .. } => None,
        }
    }
}
