//! Deviations of providers from OpenAI's own Chat Completions, as data.

/// Deviations of a provider from OpenAI's own Chat Completions. Most apply to requests that are translated: a
/// request of Chat Completions passes as the client wrote it, but for the question for its token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// Whether the limit of output tokens is called `max_completion_tokens`; otherwise `max_tokens`.
    pub max_completion_tokens: bool,
    /// The field of an assistant message in which the provider wants its reasoning back.
    pub reasoning_field: Option<&'static str>,
    /// Beginnings of the names of the models that refuse an assistant message without `reasoning_field` while they
    /// think. The field is empty where no reasoning is known.
    pub reasoning_required: &'static [&'static str],
    /// Whether the role `developer` is known; otherwise `system` takes its place.
    pub developer_role: bool,
    /// Whether `top_k` is accepted.
    pub top_k: bool,
    /// Maximum of `temperature`.
    pub max_temperature: u32,
    /// Whether `tool_choice` is known. If not, tools are left out of a request that allows none of them.
    pub tool_choice: bool,
    /// Whether a tool call can be forced.
    pub forced_tools: bool,
    /// Exact number of letters and digits in the id of a tool call; `None` allows 64 characters, `_` and `-` among
    /// them.
    pub call_id_len: Option<usize>,
    /// Whether a message of the user may follow the result of a tool. If not, it becomes a part of the result.
    pub user_after_tool: bool,
    /// Whether `reasoning_effort` is accepted.
    pub reasoning_effort: bool,
    /// Efforts that the provider has no word for, and those that are sent instead; an empty one sends none.
    pub efforts: &'static [(&'static str, &'static str)],
    /// The field that switches thinking on and off.
    pub thinking: ThinkingSwitch,
    /// Whether tools with free-form input are known.
    pub custom_tools: bool,
    /// Name of the field `seed`.
    pub seed_field: &'static str,
    /// Maximum number of stop sequences.
    pub max_stops: usize,
    /// Whether `prompt_cache_breakpoint` is known.
    pub cache_breakpoints: bool,
    /// Whether a stream reports its token counts only if `stream_options` asks for them; otherwise it always does.
    pub usage_option: bool,
    /// Whether streams are padded unless `stream_options.include_obfuscation` is false.
    pub pads_streams: bool,
    /// Whether a whole answer can be asked for. If not, a stream is, and the gateway puts it together: the models think
    /// only in streams.
    pub whole_answers: bool,
    /// Seconds of silence that the provider needs; `None` for those of the settings.
    pub silence_s: Option<u64>,
    /// Fields that are added to each request.
    pub added: &'static [Added],
    /// Fields with which requests are refused.
    pub refused: &'static [Refused],
}

/// How a provider of Chat Completions switches thinking on and off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThinkingSwitch {
    /// It has no such field.
    #[default]
    None,
    /// `thinking.type`: `enabled` or `disabled`.
    Type,
    /// `enable_thinking`, beside which `thinking_budget` limits the tokens.
    Flag,
}

/// A field that a provider wants in its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Name of the field.
    pub field: &'static str,
    /// Its value as JSON.
    pub value: &'static str,
    /// Whether only streams with tools get it.
    pub is_for_streamed_tools: bool,
}

/// Fields of Chat Completions with which a provider refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The names of the fields.
    pub fields: &'static [&'static str],
    /// Beginnings of the names of the models that refuse them; empty if all do.
    pub models: &'static [&'static str],
}

// === impl Quirks ===

impl Quirks {
    /// OpenAI's own API.
    pub const OPENAI: Self = Self {
        max_completion_tokens: true,
        reasoning_field: None,
        developer_role: true,
        custom_tools: true,
        cache_breakpoints: true,
        pads_streams: true,
        ..Self::COMPATIBLE
    };

    /// The common ground of other servers.
    pub const COMPATIBLE: Self = Self {
        max_completion_tokens: false,
        reasoning_field: Some("reasoning_content"),
        reasoning_required: &[],
        developer_role: false,
        top_k: false,
        max_temperature: 2,
        tool_choice: true,
        forced_tools: true,
        call_id_len: None,
        user_after_tool: true,
        reasoning_effort: true,
        efforts: &[],
        thinking: ThinkingSwitch::None,
        custom_tools: false,
        seed_field: "seed",
        max_stops: 4,
        cache_breakpoints: false,
        usage_option: true,
        pads_streams: false,
        whole_answers: true,
        silence_s: None,
        added: &[],
        refused: &[],
    };

    /// Returns the fields with which requests for a model are refused.
    pub fn refused_by(&self, model: &str) -> impl Iterator<Item = &'static str> {
        let applies = move |refused: &&Refused| refused.models.is_empty() || begins_with_any(model, refused.models);
        self.refused.iter().filter(applies).flat_map(|refused| refused.fields.iter().copied())
    }

    /// Returns whether a model, while it thinks, refuses an assistant message without the field of its reasoning.
    #[must_use]
    pub fn requires_reasoning(&self, model: &str) -> bool {
        self.reasoning_field.is_some() && begins_with_any(model, self.reasoning_required)
    }
}

fn begins_with_any(model: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| model.starts_with(beginning))
}
