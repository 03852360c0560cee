//! The capabilities of the target of a request, and the result of writing one.

use std::collections::{HashMap, HashSet, VecDeque};

pub use signalbox_core::Api;

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
    /// Whether a tool call can be forced.
    pub forced_tools: bool,
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
    /// Whether `prompt_cache_breakpoint` is known, for Chat and Responses.
    pub cache_breakpoints: bool,
    /// Whether `reasoning_effort` is accepted, for Chat.
    pub reasoning_effort: bool,
    /// Whether the provider has a web search tool. Other built-in tools of another API are left out.
    pub web_search: bool,
    /// Whether ids of files and images are those of this provider, so that they can be passed on.
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

/// Maps ids of tool calls to ids that the target accepts, and that differ within a request. The same conversation
/// always gets the same ids.
#[derive(Debug, Default)]
pub(crate) struct IdMap {
    known: HashMap<String, CallIds>,
    used: HashSet<String>,
}

/// The forms of an id, of which some providers and clients give several calls the same.
#[derive(Debug, Default)]
struct CallIds {
    newest: String,
    /// Calls that have no result yet, oldest first.
    waiting: VecDeque<String>,
}

// === impl Target ===

impl Default for Target {
    fn default() -> Self {
        Self {
            model: None,
            default_max_tokens: 16_000,
            sampling: true,
            top_k: false,
            forced_tools: true,
            mid_conversation_system: true,
            prefill: false,
            disable_thinking: true,
            adaptive_thinking: true,
            developer_role: true,
            max_completion_tokens: true,
            max_stops: 4,
            custom_tools: true,
            reasoning_field: None,
            cache_breakpoints: false,
            reasoning_effort: true,
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

// === impl IdMap ===

impl IdMap {
    /// Returns the id of a call in a form of ASCII letters, digits, `_` and `-` with at most `max` characters.
    pub(crate) fn call(&mut self, id: &str, max: usize) -> String {
        let clean = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        let base: String = id.chars().take(max).map(clean).collect();
        let base = if base.is_empty() { "call".to_owned() } else { base };
        let mut short = base.clone();
        for number in 2.. {
            if self.used.insert(short.clone()) {
                break;
            }
            let suffix = format!("_{number}");
            short = base.chars().take(max.saturating_sub(suffix.len())).chain(suffix.chars()).collect();
        }
        let known = self.known.entry(id.to_owned()).or_default();
        known.newest.clone_from(&short);
        known.waiting.push_back(short.clone());
        short
    }

    /// Returns the id of the call that a result answers: the oldest one with this id that has no result.
    pub(crate) fn result(&mut self, id: &str, max: usize) -> String {
        match self.known.get_mut(id) {
            Some(known) => known.waiting.pop_front().unwrap_or_else(|| known.newest.clone()),
            None => {
                let short = self.call(id, max);
                self.known.entry(id.to_owned()).or_default().waiting.clear();
                short
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_distinct_and_results_find_their_calls() {
        let mut ids = IdMap::default();
        assert_eq!(ids.call("call_1", 64), "call_1");
        assert_eq!(ids.call("a.b", 64), "a_b");
        assert_eq!(ids.call("a:b", 64), "a_b_2");
        assert_eq!(ids.call("a.b", 64), "a_b_3");
        assert_eq!([ids.result("a.b", 64), ids.result("a.b", 64), ids.result("a.b", 64)], ["a_b", "a_b_3", "a_b_3"]);
        assert_eq!((ids.result("a:b", 64), ids.result("other", 64)), ("a_b_2".to_owned(), "other".to_owned()));
        assert_eq!(ids.call(&"x".repeat(100), 64).len(), 64);
        assert_eq!(ids.call("", 64), "call");
    }

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
