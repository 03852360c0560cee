//! Tool calls into and out of text. chat.qwen.ai knows no tools: the declared ones become instructions for the model
//! ([`instructions`]), and what it then writes as tags becomes calls again ([`scan`]).

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
    scan::{Piece, Scanner},
    tool::{Tool, ToolError},
};

/// Makes fingerprints unlike those of anything else.
const NAMESPACE: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0002);

/// The tools a request declares. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tools(Arc<[Tool]>);

impl Tools {
    /// Reads the `tools` of an OpenAI request.
    ///
    /// # Errors
    /// The first declaration that cannot be used.
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

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tool called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.0.iter().find(|tool| tool.name == name)
    }

    /// What tells the model which tools there are and how to call them; empty without tools.
    #[must_use]
    pub fn instructions(&self) -> String {
        if self.is_empty() { String::new() } else { instructions::write(&self.0) }
    }

    /// Equal for lists that instruct alike, in whatever order; empty without tools.
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
    fn a_fingerprint_tells_lists_apart_but_not_orders() {
        assert_eq!(tools(&["a", "b"]).fingerprint(), tools(&["b", "a"]).fingerprint());
        assert_ne!(tools(&["a", "b"]).fingerprint(), tools(&["a"]).fingerprint());
        assert_ne!(tools(&["a"]).fingerprint(), "");
        assert_eq!((Tools::default().fingerprint(), Tools::default().instructions()), (String::new(), String::new()));
    }

    #[test]
    fn many_tools_with_many_parameters_are_read_in_linear_time() {
        // With a search through all others for each name this would take hours.
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
    fn a_name_is_declared_once() {
        let twice = json!({"type": "function", "function": {"name": "a"}});
        let error = Tools::parse(&[twice.clone(), twice]).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.param().as_str()),
            ("`tools[1]` declares `a` a second time: give every tool a name of its own", "tools[1].function.name")
        );
    }
}
