//! The capabilities of the target of a request, and the result of writing one.

use std::collections::{HashMap, HashSet};

pub use signalbox_core::Api;
use signalbox_core::provider_type::{Added, ThinkingSwitch};

use crate::hub::CallKind;
use crate::loss::Losses;

/// The capabilities of one model at one provider. [`Default`] is a current model of the API's own vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name of the model at the provider; `None` sends the client's.
    pub model: Option<String>,
    /// Output tokens to ask for where the API requires a number and the client gives none.
    pub default_max_tokens: u64,
    /// Whether `temperature` and `top_p` are accepted. If not, and the API is Responses or Chat, they are sent only
    /// with the effort `none`.
    pub sampling: bool,
    /// Whether `top_k` is accepted, for Chat.
    pub top_k: bool,
    /// Maximum of `temperature`, for Chat.
    pub max_temperature: u32,
    /// Whether `tool_choice` is known, for Chat. If not, tools are left out of a request that allows none of them.
    pub tool_choice: bool,
    /// Whether a tool call can be forced.
    pub forced_tools: bool,
    /// Exact number of letters and digits in the id of a tool call, for Chat; `None` for any id of up to 64 characters.
    pub call_id_len: Option<usize>,
    /// Whether a message of the user may follow the result of a tool, for Chat. If not, it becomes a part of the result.
    pub user_after_tool: bool,
    /// Whether instructions may stand within the conversation, for Messages.
    pub mid_conversation_system: bool,
    /// Whether the last message may be the model's own, for Messages.
    pub prefill: bool,
    /// Whether thinking can be disabled, for Messages.
    pub disable_thinking: bool,
    /// Whether the model has adaptive thinking, for Messages.
    pub adaptive_thinking: bool,
    /// Whether the role `developer` is known, for Chat.
    pub developer_role: bool,
    /// Whether the limit is called `max_completion_tokens`, for Chat; otherwise `max_tokens`.
    pub max_completion_tokens: bool,
    /// Maximum number of stop sequences, for Chat.
    pub max_stops: usize,
    /// Whether custom tools are known, for Chat.
    pub custom_tools: bool,
    /// The field in which the provider wants plain reasoning text back, for Chat: `reasoning_content` or `reasoning`.
    pub reasoning_field: Option<&'static str>,
    /// Whether each message of a model that thinks must have that field, for Chat.
    pub reasoning_required: bool,
    /// Whether `prompt_cache_breakpoint` is known, for Chat and Responses.
    pub cache_breakpoints: bool,
    /// Whether `reasoning_effort` is accepted, for Chat.
    pub reasoning_effort: bool,
    /// Efforts that the provider has no word for, and those that are sent instead, for Chat; an empty one sends none.
    pub efforts: &'static [(&'static str, &'static str)],
    /// The field that switches thinking on and off, for Chat.
    pub thinking: ThinkingSwitch,
    /// Name of the field `seed`, for Chat.
    pub seed_field: &'static str,
    /// Whether streams are asked for their token counts, for Chat.
    pub usage_option: bool,
    /// Whether streams are padded unless the request says otherwise, for Chat and Responses.
    pub pads_streams: bool,
    /// Whether a whole answer can be asked for, for Chat. If not, a stream is asked for instead.
    pub whole_answers: bool,
    /// Fields that are added to each request, for Chat.
    pub added: &'static [Added],
    /// Whether the provider has a web search tool. Other built-in tools of another API are left out.
    pub web_search: bool,
    /// Whether ids of files in one API of OpenAI mean the same files in the other: both are those of one account.
    pub same_files: bool,
    /// Fields with which the provider refuses a request, for Chat: they are left out.
    pub refused: Vec<&'static str>,
    /// The `extra_content` of the first call of an answer that has none of its own, for Chat: a JSON object. Gemini
    /// refuses calls without a signature.
    pub call_extra: Option<&'static str>,
}

/// A request for the provider.
#[derive(Clone, Debug)]
pub struct Written {
    /// The JSON body.
    pub body: Vec<u8>,
    /// Whether the body asks for a stream, because the client does or because the target has no whole answers.
    pub stream: bool,
    /// The fields that the body does not carry as the client sent them.
    pub losses: Losses,
    /// The names of tools that have another form at the provider.
    pub tools: ToolMap,
    /// Stop sequences that the provider does not take. The [emitter](crate::Emitter) cuts the answer at them.
    pub stops: Vec<String>,
}

/// Maps tools from their form at the provider to the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolMap {
    known: HashMap<String, ClientTool>,
    /// Names of other tools, which no name may become.
    reserved: HashSet<String>,
}

/// A tool as the client defined it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientTool {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) kind: CallKind,
}

// === impl Target ===

impl Default for Target {
    fn default() -> Self {
        Self {
            model: None,
            default_max_tokens: 16_000,
            sampling: true,
            top_k: false,
            max_temperature: 2,
            tool_choice: true,
            forced_tools: true,
            call_id_len: None,
            user_after_tool: true,
            mid_conversation_system: true,
            prefill: false,
            disable_thinking: true,
            adaptive_thinking: true,
            developer_role: true,
            max_completion_tokens: true,
            max_stops: 4,
            custom_tools: true,
            reasoning_field: None,
            reasoning_required: false,
            cache_breakpoints: false,
            reasoning_effort: true,
            efforts: &[],
            thinking: ThinkingSwitch::None,
            seed_field: "seed",
            usage_option: true,
            pads_streams: false,
            whole_answers: true,
            added: &[],
            web_search: false,
            same_files: false,
            refused: Vec::new(),
            call_extra: None,
        }
    }
}

// === impl ToolMap ===

impl ToolMap {
    /// Returns whether all tools have the client's form.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ClientTool> {
        self.known.get(name)
    }

    /// Reserves the names that tools without a namespace keep.
    pub(crate) fn reserve<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.reserved.extend(names.map(str::to_owned));
    }

    /// Returns the name of a tool at the provider, which has at most `max` characters, and notes the client's form of
    /// it if it differs.
    pub(crate) fn rename(
        &mut self,
        name: &str,
        namespace: Option<&str>,
        kind: CallKind,
        max: usize,
        is_changed: bool,
    ) -> String {
        let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"));
        if namespace.is_none() && full.chars().count() <= max {
            if is_changed {
                self.note(full.clone(), name, None, kind);
            }
            return full;
        }
        let mut short: String = full.chars().take(max).collect();
        for number in 2.. {
            let is_same = |known: &ClientTool| known.name == name && known.namespace.as_deref() == namespace;
            let is_free = !self.reserved.contains(&short) && self.known.get(&short).is_none_or(is_same);
            if is_free {
                break;
            }
            let suffix = format!("_{number}");
            short = full.chars().take(max.saturating_sub(suffix.len())).chain(suffix.chars()).collect();
        }
        self.note(short.clone(), name, namespace, kind);
        short
    }

    fn note(&mut self, renamed: String, name: &str, namespace: Option<&str>, kind: CallKind) {
        let tool = ClientTool { name: name.to_owned(), namespace: namespace.map(str::to_owned), kind };
        self.known.insert(renamed, tool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_become_part_of_the_name() {
        let mut tools = ToolMap::default();
        tools.reserve(["f", "ns__g"].into_iter());
        assert_eq!(tools.rename("f", None, CallKind::Function, 64, false), "f");
        assert!(tools.is_empty());
        assert_eq!(tools.rename("f", Some("ns"), CallKind::Function, 64, false), "ns__f");
        assert_eq!(tools.rename("g", Some("ns"), CallKind::Function, 64, false), "ns__g_2");
        let long = "x".repeat(70);
        let first = tools.rename(&format!("{long}1"), Some("ns"), CallKind::Function, 64, false);
        let second = tools.rename(&format!("{long}2"), Some("ns"), CallKind::Function, 64, false);
        assert!(first != second && first.len() == 64 && second.len() == 64);
        assert_eq!(tools.get("ns__f").map(|tool| tool.namespace.as_deref()), Some(Some("ns")));
    }
}
