//! Tool calls over plain text. chat.qwen.ai does not support tools: the declared tools are converted to instructions
//! for the model ([`instructions`]), and the tags it writes are converted back to calls ([`scan`]).

pub mod call;
mod instructions;
pub mod scan;
mod schema;
mod tool;

use std::{collections::HashSet, sync::Arc};

use serde_json::Value;
use signalbox_core::id;
use uuid::Uuid;

pub use self::{
    call::Call,
    scan::{Scanner, Segment},
    tool::{Tool, ToolError},
};

/// Namespace of the fingerprints.
const NAMESPACE: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0002);

/// Tools declared by a request. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tools(Arc<[Tool]>);

impl Tools {
    /// Parses the `tools` of an OpenAI request.
    ///
    /// # Errors
    /// Returns an error for the first invalid declaration.
    pub fn parse(declarations: &[Value]) -> Result<Self, ToolError> {
        let mut tools: Vec<Tool> = Vec::with_capacity(declarations.len());
        let mut names = HashSet::with_capacity(declarations.len());
        for (index, declaration) in declarations.iter().enumerate() {
            let tool = Tool::parse(index, declaration)?;
            if !names.insert(tool.name.clone()) {
                return Err(ToolError::Twice { index, name: tool.name });
            }
            tools.push(tool);
        }
        Ok(Self(tools.into()))
    }

    /// Returns `true` if there are no tools.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the tool with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.0.iter().find(|tool| tool.name == name)
    }

    /// Returns the instructions that describe the tools and their calls to the model; empty without tools.
    #[must_use]
    pub fn instructions(&self) -> String {
        if self.is_empty() { String::new() } else { instructions::write(&self.0) }
    }

    /// Returns a fingerprint that is equal for lists with the same instructions, in any order; empty without tools.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut sections: Vec<String> = self.0.iter().map(instructions::section).collect();
        sections.sort_unstable();
        id::hash(&NAMESPACE, &sections.concat())
    }

    fn iter(&self) -> std::slice::Iter<'_, Tool> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tools(names: &[&str]) -> Tools {
        let declared: Vec<Value> =
            names.iter().map(|name| json!({"type": "function", "function": {"name": name}})).collect();
        Tools::parse(&declared).unwrap()
    }

    #[test]
    fn a_fingerprint_depends_on_the_tools_but_not_on_their_order() {
        assert_eq!(tools(&["a", "b"]).fingerprint(), tools(&["b", "a"]).fingerprint());
        assert_ne!(tools(&["a", "b"]).fingerprint(), tools(&["a"]).fingerprint());
        assert_ne!(tools(&["a"]).fingerprint(), "");
        assert_eq!((Tools::default().fingerprint(), Tools::default().instructions()), (String::new(), String::new()));
    }

    #[test]
    fn many_tools_with_many_parameters_are_read_in_linear_time() {
        // Quadratic work would take hours.
        let names: Vec<String> = (0..60_000).map(|n| format!("name_{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(tools(&names).get("name_59999").is_some());
        let properties: Value = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        let parameters = json!({"type": "object", "properties": properties, "required": names});
        let tool = json!({"type": "function", "function": {"name": "a", "parameters": parameters}});
        let tools = Tools::parse(&[tool]).unwrap();
        assert!(tools.get("a").unwrap().parameters.len() > 1000);
    }

    #[test]
    fn duplicate_tool_names_are_rejected() {
        let twice = json!({"type": "function", "function": {"name": "a"}});
        let error = Tools::parse(&[twice.clone(), twice]).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.param().as_str()),
            ("`tools[1]` declares `a` again; give every tool a unique name", "tools[1].function.name")
        );
    }
}
