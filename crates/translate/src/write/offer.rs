//! The forms of tools at the target.

use std::borrow::Cow;

use super::{FOREIGN, Job};
use crate::Api;
use crate::error::RequestError;
use crate::field::Raw;
use crate::hub::{CallKind, CustomTool, FunctionTool, Json, Tool, ToolChoice};

/// A tool in the form that the target knows.
pub(crate) enum Offer<'r> {
    Function(Cow<'r, FunctionTool>, String),
    Custom(&'r CustomTool, String),
    Builtin(&'r Json),
    WebSearch,
    Dropped,
}

// === impl Job ===

impl<'r> Job<'r> {
    /// Returns the form of a tool at the target.
    pub(crate) fn offer(&mut self, index: usize, tool: &'r Tool) -> Result<Offer<'r>, RequestError> {
        let at = format!("tools.{index}");
        match tool {
            Tool::Function(function) => {
                if let Some(namespace) = &function.namespace {
                    self.losses.altered(format!("tools.{namespace}"), "the namespace is part of the name");
                }
                if function.name.chars().count() > self.max_name() {
                    self.losses.altered(format!("{at}.name"), "the name is too long for the target");
                }
                let name = self.renamed(&function.name, function.namespace.as_deref(), CallKind::Function, false);
                if self.request.api != self.api {
                    for (extra, _) in function.extras.iter().filter(|(name, _)| name != "type") {
                        self.losses.dropped(format!("{at}.{extra}"), FOREIGN);
                    }
                }
                Ok(Offer::Function(Cow::Borrowed(function), name))
            }
            Tool::Custom(custom) => {
                let known = match self.api {
                    Api::Chat => self.target.custom_tools,
                    Api::Responses => true,
                    Api::Messages => false,
                };
                let name = self.renamed(&custom.name, custom.namespace.as_deref(), CallKind::Custom, !known);
                if known {
                    return Ok(Offer::Custom(custom, name));
                }
                let field = format!("tools.{}", custom.name);
                if custom.is_grammar {
                    self.losses.dropped(format!("{field}.format"), "functions have no grammar");
                }
                self.losses.altered(field, "sent as a function with one string");
                let function = FunctionTool {
                    name: custom.name.clone(),
                    description: custom.description.clone(),
                    parameters: Some(crate::chat::custom_schema()),
                    ..FunctionTool::default()
                };
                Ok(Offer::Function(Cow::Owned(function), name))
            }
            Tool::Builtin { api, json, .. } if *api == self.api => Ok(Offer::Builtin(json)),
            Tool::Builtin { kind, .. } => Ok(self.offer_builtin(index, kind)),
        }
    }

    /// Returns the form of a built-in tool of another API. The model is free not to use it, so it is left out if the
    /// target has none: some clients offer such tools with every request.
    fn offer_builtin(&mut self, index: usize, kind: &'r str) -> Offer<'r> {
        let field = format!("tools.{kind}");
        if kind.starts_with("web_search") && self.target.web_search {
            self.losses.altered(field, "sent as the web search of the target");
            return Offer::WebSearch;
        }
        self.losses.dropped(field, "the provider has no such tool");
        self.left_out.push((index, kind));
        Offer::Dropped
    }

    /// Checks that the choice of tools does not need a built-in tool that is left out. `has_tools` tells whether others
    /// are offered.
    pub(crate) fn check_choice(&mut self, has_tools: bool) -> Result<(), RequestError> {
        let request = self.request;
        let missing = |kind: &str| format!("The provider has no built-in tool `{kind}`; let the model choose.");
        let (is_required, is_offered) = match &request.tool_choice {
            Some(ToolChoice::Other { api, json }) if *api != self.api => {
                let fields = Raw::document(json.as_str()).fields().unwrap_or_default();
                let kind = fields.string("type").unwrap_or_default();
                let is_search = kind.starts_with("web_search") && self.target.web_search;
                return if is_search { Ok(()) } else { self.refuse("tool_choice", &missing(&kind)) };
            }
            Some(ToolChoice::Named { name, .. }) => {
                let is_it = |(index, _): &&(usize, &str)| {
                    let name_of = |json: &Json| Raw::document(json.as_str()).fields()?.string("name");
                    let tool = request.tools.get(*index);
                    matches!(tool, Some(Tool::Builtin { json, .. }) if name_of(json).as_deref() == Some(name))
                };
                return match self.left_out.iter().find(is_it) {
                    Some((_, kind)) => self.refuse("tool_choice", &missing(kind)),
                    None => Ok(()),
                };
            }
            Some(ToolChoice::Required) => (true, has_tools),
            Some(ToolChoice::Allowed { required, names, .. }) => (*required, self.has_one_of(names)),
            _ => return Ok(()),
        };
        match self.left_out.first() {
            Some((index, kind)) if is_required && !is_offered => {
                let advice = format!("The provider has no built-in tool `{kind}`, and no other one can be called.");
                self.refuse(&format!("tools.{index}"), &advice)
            }
            _ => Ok(()),
        }
    }

    /// Returns whether only built-in tools that are left out may be called.
    pub(crate) fn allows_nothing(&self, names: &[String]) -> bool {
        !self.left_out.is_empty() && !self.has_one_of(names)
    }

    /// Returns whether the request has one of these tools.
    fn has_one_of(&self, names: &[String]) -> bool {
        let mut known = self.request.tools.iter().filter_map(Tool::name);
        known.any(|known| names.iter().any(|name| name == known))
    }

    /// Returns whether a choice is that of a web search, which has another form at the target.
    pub(crate) fn chooses_search(&self, choice: &ToolChoice) -> bool {
        let is_search = |tool: &Tool| matches!(tool, Tool::Builtin { api, kind, .. } if *api != self.api && kind.starts_with("web_search"));
        let has_search = self.target.web_search && self.request.tools.iter().any(is_search);
        match choice {
            ToolChoice::Named { name, .. } => has_search && name == "web_search",
            ToolChoice::Other { api, json } => {
                let fields = Raw::document(json.as_str()).fields().unwrap_or_default();
                has_search && *api != self.api && fields.str("type").is_some_and(|kind| kind.starts_with("web_search"))
            }
            _ => false,
        }
    }

    /// Returns the kind and the name at the target of a tool that the client chose by name.
    pub(crate) fn chosen(&mut self, name: &str) -> (CallKind, String) {
        let tool = self.request.tools.iter().find(|tool| tool.name() == Some(name));
        let (kind, namespace) = match tool {
            Some(Tool::Custom(tool)) => (CallKind::Custom, tool.namespace.as_deref()),
            Some(Tool::Function(tool)) => (CallKind::Function, tool.namespace.as_deref()),
            _ => (CallKind::Function, None),
        };
        let is_known = match self.api {
            Api::Chat => self.target.custom_tools,
            Api::Responses => true,
            Api::Messages => false,
        };
        let name = self.renamed(name, namespace, kind, kind == CallKind::Custom && !is_known);
        (if is_known { kind } else { CallKind::Function }, name)
    }
}
