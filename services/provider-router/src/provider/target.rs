//! The capabilities of a model at a provider, for requests that are translated.

use signalbox_core::{Api, provider_type::ProviderType};
use signalbox_translate::Target;

/// Types of provider that are the API's own vendor.
const OPENAI: &str = "openai";
const ANTHROPIC: &str = "anthropic";
const GEMINI: &str = "gemini";

/// The `extra_content` with which Gemini takes a call that it did not make: the value that Google documents for it.
const NO_SIGNATURE: &str = r#"{"google":{"thought_signature":"skip_thought_signature_validator"}}"#;

/// Returns what `model` accepts at a provider of this type that speaks `api`. An unknown model counts as a current one
/// of its vendor, and any other server as one with the common ground only.
#[must_use]
pub fn target(kind: &ProviderType, api: Api, model: Option<&str>) -> Target {
    let quirks = kind.quirks;
    let name = model.map(own_name).unwrap_or_default();
    let target = Target {
        model: model.map(str::to_owned),
        forced_tools: quirks.forced_tools,
        // Chat Completions and Responses are those of one account.
        same_files: kind.value == OPENAI,
        ..Target::default()
    };
    match api {
        Api::Chat => Target {
            top_k: quirks.top_k,
            developer_role: quirks.developer_role,
            max_completion_tokens: quirks.max_completion_tokens,
            max_stops: quirks.max_stops,
            custom_tools: quirks.custom_tools,
            reasoning_field: quirks.reasoning_field,
            cache_breakpoints: quirks.cache_breakpoints && has_breakpoints(name),
            reasoning_effort: quirks.reasoning_effort,
            max_temperature: quirks.max_temperature,
            tool_choice: quirks.tool_choice,
            call_id_len: quirks.call_id_len,
            user_after_tool: quirks.user_after_tool,
            reasoning_required: quirks.requires_reasoning(name),
            efforts: quirks.efforts,
            thinking: quirks.thinking,
            seed_field: quirks.seed_field,
            pads_streams: quirks.pads_streams,
            whole_answers: quirks.whole_answers,
            added: quirks.added,
            refused: quirks.refused_by(name).collect(),
            sampling: kind.value != OPENAI || !is_reasoning(name),
            call_extra: (kind.value == GEMINI && signs_calls(name)).then_some(NO_SIGNATURE),
            ..target
        },
        Api::Responses => Target {
            sampling: kind.value != OPENAI || !is_reasoning(name),
            custom_tools: kind.value == OPENAI,
            cache_breakpoints: kind.value == OPENAI && has_breakpoints(name),
            web_search: kind.value == OPENAI,
            pads_streams: quirks.pads_streams,
            ..target
        },
        Api::Messages => {
            let version = claude_version(name).unwrap_or(if kind.value == ANTHROPIC { (u32::MAX, 0) } else { (0, 0) });
            let is_bound = ((5, 1)..(u32::MAX, 0)).contains(&version);
            Target {
                top_k: true,
                sampling: version < (4, 7),
                mid_conversation_system: version >= (4, 8),
                prefill: version < (4, 6),
                adaptive_thinking: version >= (4, 6),
                forced_tools: target.forced_tools && !is_bound,
                disable_thinking: !is_bound,
                web_search: kind.value == ANTHROPIC,
                ..target
            }
        }
    }
}

/// Returns whether an OpenAI model reasons, so that it refuses sampling parameters.
fn is_reasoning(model: &str) -> bool {
    let number = model.strip_prefix("gpt-").and_then(leading_number);
    number.is_some_and(|version| version >= 5) || ["o1", "o3", "o4"].iter().any(|name| model.starts_with(name))
}

/// Returns whether a Gemini model refuses calls without a signature: Gemini 3 and later.
fn signs_calls(model: &str) -> bool {
    model.strip_prefix("gemini-").and_then(leading_number).is_some_and(|version| version >= 3)
}

/// Returns whether the provider checks the signatures of thinking in Messages, so that it refuses a block without one.
#[must_use]
pub fn checks_thinking(kind: &ProviderType, model: Option<&str>) -> bool {
    kind.value == ANTHROPIC || model.is_some_and(|model| claude_version(own_name(model)).is_some())
}

/// How a Claude model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaudeThinking {
    /// Whether it thinks at all.
    pub is_known: bool,
    /// Whether it has adaptive thinking.
    pub is_adaptive: bool,
}

/// Returns how a Claude model thinks, by the version in its name; `None` for any other model.
#[must_use]
pub fn claude_thinking(model: &str) -> Option<ClaudeThinking> {
    let version = claude_version(own_name(model))?;
    Some(ClaudeThinking { is_known: version >= (3, 7), is_adaptive: version >= (4, 6) })
}

fn own_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Returns whether an OpenAI model knows explicit cache breakpoints: GPT-5.6 and later.
fn has_breakpoints(model: &str) -> bool {
    let Some(rest) = model.strip_prefix("gpt-") else { return false };
    match leading_number(rest) {
        Some(5) => rest.strip_prefix("5.").and_then(leading_number).is_some_and(|minor| minor >= 6),
        Some(major) => major >= 6,
        None => false,
    }
}

/// Returns the version in the name of a Claude model, such as `claude-opus-4-8` or `claude-3-5-sonnet-20241022`.
fn claude_version(model: &str) -> Option<(u32, u32)> {
    let parts = model.strip_prefix("claude-")?.split(['-', '.']);
    let mut numbers = parts.skip_while(|part| part.parse::<u32>().is_err());
    let major = numbers.next()?.parse().ok()?;
    // A date may follow instead.
    let minor = numbers.next().filter(|part| part.len() <= 2).and_then(|part| part.parse().ok()).unwrap_or_default();
    Some((major, minor))
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use signalbox_core::provider_type::provider_type;

    use super::*;

    #[test]
    fn versions_are_read_from_names() {
        for (name, version) in [
            ("claude-opus-4-8", Some((4, 8))),
            ("claude-opus-5-5-20261001", Some((5, 5))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-3-5-sonnet-20241022", Some((3, 5))),
            ("claude-haiku-4.5", Some((4, 5))),
            ("claude-next", None),
            ("gpt-6", None),
        ] {
            assert_eq!(claude_version(name), version, "{name}");
        }
        for (name, reasons, breakpoints) in [
            ("gpt-6-sol", true, true),
            ("gpt-6.1-sol", true, true),
            ("gpt-5.6", true, true),
            ("gpt-5.5", true, false),
            ("gpt-5", true, false),
            ("gpt-4o", false, false),
            ("o3-mini", true, false),
            ("omni", false, false),
        ] {
            assert_eq!((is_reasoning(name), has_breakpoints(name)), (reasons, breakpoints), "{name}");
        }
    }

    #[test]
    fn thinking_is_checked_where_claude_answers() {
        for (kind, model, is_checked) in [
            ("anthropic", "claude-next", true),
            ("openrouter", "anthropic/claude-opus-5-5", true),
            ("openai-compatible", "claude-sonnet-4-5", true),
            ("deepseek", "deepseek-chat", false),
            ("vllm", "qwen3", false),
        ] {
            assert_eq!(checks_thinking(&provider_type(kind), Some(model)), is_checked, "{kind} {model}");
        }
    }

    #[test]
    fn a_model_gets_only_what_it_accepts() {
        let of = |kind: &str, api, model: &str| target(&provider_type(kind), api, Some(model));
        let bound = of("anthropic", Api::Messages, "claude-opus-5-5");
        assert!(!bound.forced_tools && !bound.disable_thinking && !bound.sampling && bound.adaptive_thinking);
        let old = of("anthropic", Api::Messages, "claude-sonnet-4-5");
        assert!(old.forced_tools && old.sampling && old.prefill && !old.adaptive_thinking && old.disable_thinking);
        assert!(of("anthropic", Api::Messages, "claude-next").adaptive_thinking);
        assert!(!of("vllm", Api::Messages, "qwen3").adaptive_thinking);
        assert!(!of("openai", Api::Chat, "gpt-6-sol").sampling && of("openai", Api::Chat, "gpt-4o").sampling);
        let chat = of("deepseek", Api::Chat, "deepseek-chat");
        assert!(!chat.developer_role && !chat.max_completion_tokens && chat.sampling);
        assert_eq!(chat.reasoning_field, Some("reasoning_content"));
        let extra = |model: &str| of("gemini", Api::Chat, model).call_extra.is_some();
        assert!(extra("gemini-3-pro") && extra("models/gemini-3.1-flash") && !extra("gemini-2.5-pro"));
        assert!(of("openai", Api::Chat, "gemini-3-pro").call_extra.is_none());
        assert_eq!(of("moonshot", Api::Chat, "org/kimi-k3").refused, ["temperature"]);
        assert!(of("xai", Api::Responses, "grok-4").refused.is_empty());
        assert!(
            of("openai", Api::Responses, "gpt-6-sol").same_files && !of("xai", Api::Responses, "grok-4").same_files
        );
        assert!(of("deepseek", Api::Chat, "deepseek-v4-pro").reasoning_required && !chat.reasoning_required);
        let mistral = of("mistral", Api::Chat, "mistral-large-latest");
        assert_eq!((mistral.call_id_len, mistral.user_after_tool, mistral.seed_field), (Some(9), false, "random_seed"));
        assert!(!of("dashscope", Api::Chat, "qwen3-max").whole_answers && chat.whole_answers);
    }
}
