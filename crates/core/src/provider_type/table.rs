//! The rows of the provider types.

use super::{Added, ApiKey, ECHO, GENERIC, ProviderType, QWEN_PROXY, Quirks, Refused, ThinkingSwitch};
use crate::Api;

const CHAT: &[Api] = &[Api::Chat];

/// Models of Moonshot that think.
const KIMI_THINKING: &[&str] = &["kimi-k2-thinking", "kimi-k2.", "kimi-k3"];

/// Efforts of providers that know `low`, `medium` and `high`, and `none` for no thinking.
const UP_TO_HIGH: &[(&str, &str)] = &[("minimal", "low"), ("xhigh", "high"), ("max", "high")];

/// The table, in the order in which forms show it.
pub const PROVIDER_TYPES: &[ProviderType] = &[
    ProviderType {
        apis: &[Api::Responses, Api::Chat],
        quirks: Quirks::OPENAI,
        ..hosted("openai", "OpenAI", "https://api.openai.com/v1", "OpenAI's own API.")
    },
    ProviderType {
        apis: &[Api::Messages],
        quirks: Quirks { reasoning_field: None, ..Quirks::COMPATIBLE },
        ..hosted(
            "anthropic",
            "Anthropic",
            "https://api.anthropic.com/v1",
            "Claude models through Anthropic's own Messages API.",
        )
    },
    ProviderType {
        quirks: Quirks { reasoning_field: None, ..Quirks::COMPATIBLE },
        ..hosted(
            "gemini",
            "Google Gemini",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "Gemini models through Google's OpenAI-compatible endpoint.",
        )
    },
    ProviderType {
        quirks: Quirks {
            reasoning_effort: false,
            thinking: ThinkingSwitch::Flag,
            whole_answers: false,
            top_k: true,
            ..Quirks::COMPATIBLE
        },
        ..hosted(
            "dashscope",
            "Alibaba DashScope",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "Qwen models through the official API with a key; `qwen-proxy` uses a login at chat.qwen.ai instead.",
        )
    },
    ProviderType {
        apis: &[Api::Chat, Api::Messages, Api::Responses],
        messages_base: Some("/anthropic/v1"),
        quirks: Quirks {
            // The models that think by default.
            reasoning_required: &["deepseek-reasoner", "deepseek-v4"],
            thinking: ThinkingSwitch::Type,
            efforts: &[("minimal", "low"), ("medium", "high"), ("xhigh", "high"), ("ultra", "max")],
            refused: &[Refused {
                fields: &["logprobs", "top_logprobs"],
                models: &["deepseek-reasoner", "deepseek-v4"],
            }],
            ..Quirks::COMPATIBLE
        },
        ..hosted("deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DeepSeek's own API.")
    },
    ProviderType {
        quirks: Quirks {
            max_completion_tokens: true,
            reasoning_field: None,
            efforts: UP_TO_HIGH,
            usage_option: false,
            refused: &[Refused {
                fields: &[
                    "n",
                    "logprobs",
                    "top_logprobs",
                    "logit_bias",
                    "presence_penalty",
                    "frequency_penalty",
                    "metadata",
                    "store",
                ],
                models: &[],
            }],
            ..Quirks::COMPATIBLE
        },
        ..hosted("groq", "Groq", "https://api.groq.com/openai/v1", "Open models on Groq's hardware.")
    },
    ProviderType {
        quirks: Quirks {
            reasoning_field: None,
            reasoning_effort: false,
            call_id_len: Some(9),
            user_after_tool: false,
            seed_field: "random_seed",
            usage_option: false,
            refused: &[Refused { fields: &["user", "logit_bias"], models: &[] }],
            ..Quirks::COMPATIBLE
        },
        ..hosted("mistral", "Mistral", "https://api.mistral.ai/v1", "Mistral's own API.")
    },
    ProviderType {
        apis: &[Api::Chat, Api::Messages, Api::Responses],
        quirks: Quirks {
            max_completion_tokens: true,
            reasoning_field: Some("reasoning"),
            top_k: true,
            usage_option: false,
            ..Quirks::COMPATIBLE
        },
        ..hosted("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "Models of many providers with one key.")
    },
    ProviderType {
        quirks: Quirks { top_k: true, max_temperature: 1, usage_option: false, ..Quirks::COMPATIBLE },
        ..hosted("together", "Together AI", "https://api.together.ai/v1", "Open models, hosted by Together AI.")
    },
    ProviderType {
        apis: &[Api::Responses, Api::Chat],
        quirks: Quirks {
            max_completion_tokens: true,
            reasoning_field: None,
            efforts: UP_TO_HIGH,
            silence_s: Some(900),
            // The models that reason.
            refused: &[Refused {
                fields: &["presence_penalty", "frequency_penalty", "stop"],
                models: &["grok-3-mini", "grok-4", "grok-code"],
            }],
            ..Quirks::COMPATIBLE
        },
        ..hosted("xai", "xAI", "https://api.x.ai/v1", "Grok models through xAI's own API.")
    },
    hosted("baseten", "Baseten", "https://inference.baseten.co/v1", "Open models, hosted by Baseten."),
    ProviderType {
        quirks: Quirks {
            max_completion_tokens: true,
            reasoning_field: Some("reasoning"),
            efforts: UP_TO_HIGH,
            ..Quirks::COMPATIBLE
        },
        ..hosted("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "Open models on Cerebras' hardware.")
    },
    hosted("chutes", "Chutes", "https://llm.chutes.ai/v1", "Open models, hosted by Chutes."),
    ProviderType {
        quirks: Quirks {
            efforts: &[("minimal", "high"), ("low", "high"), ("medium", "high"), ("xhigh", "high"), ("max", "high")],
            ..Quirks::COMPATIBLE
        },
        ..hosted(
            "cohere",
            "Cohere",
            "https://api.cohere.ai/compatibility/v1",
            "Cohere's models through its OpenAI-compatible endpoint.",
        )
    },
    ProviderType {
        quirks: Quirks { top_k: true, ..Quirks::COMPATIBLE },
        ..hosted("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "Open models, hosted by DeepInfra.")
    },
    hosted(
        "digitalocean",
        "DigitalOcean",
        "https://inference.do-ai.run/v1",
        "Models on DigitalOcean's inference service.",
    ),
    ProviderType {
        apis: &[Api::Chat, Api::Messages, Api::Responses],
        quirks: Quirks {
            top_k: true,
            usage_option: false,
            // Otherwise the limit of output tokens is lowered without a word.
            added: &[Added {
                field: "context_length_exceeded_behavior",
                value: r#""error""#,
                is_for_streamed_tools: false,
            }],
            ..Quirks::COMPATIBLE
        },
        ..hosted(
            "fireworks",
            "Fireworks AI",
            "https://api.fireworks.ai/inference/v1",
            "Open models, hosted by Fireworks AI.",
        )
    },
    ProviderType {
        quirks: Quirks { reasoning_field: None, ..Quirks::COMPATIBLE },
        ..hosted("github-models", "GitHub Models", "https://models.github.ai/inference", "Models with a GitHub token.")
    },
    ProviderType {
        apis: &[Api::Chat, Api::Responses],
        ..hosted(
            "huggingface",
            "Hugging Face",
            "https://router.huggingface.co/v1",
            "Models of many hosts with a Hugging Face token.",
        )
    },
    ProviderType {
        apis: &[Api::Chat, Api::Messages],
        messages_base: Some("/anthropic/v1"),
        quirks: Quirks {
            max_completion_tokens: true,
            max_temperature: 1,
            usage_option: false,
            // Otherwise thinking is part of the text.
            added: &[Added { field: "reasoning_split", value: "true", is_for_streamed_tools: false }],
            ..Quirks::COMPATIBLE
        },
        ..hosted("minimax", "MiniMax", "https://api.minimax.io/v1", "MiniMax's own API.")
    },
    ProviderType {
        quirks: Quirks {
            forced_tools: false,
            reasoning_effort: false,
            reasoning_required: KIMI_THINKING,
            // Models that reason take only the value 1.
            refused: &[Refused { fields: &["temperature"], models: KIMI_THINKING }],
            ..Quirks::COMPATIBLE
        },
        ..hosted("moonshot", "Moonshot AI", "https://api.moonshot.ai/v1", "Kimi models through Moonshot's own API.")
    },
    hosted("nebius", "Nebius", "https://api.tokenfactory.nebius.com/v1", "Open models, hosted by Nebius."),
    ProviderType {
        quirks: Quirks { top_k: true, ..Quirks::COMPATIBLE },
        ..hosted("novita", "Novita AI", "https://api.novita.ai/openai", "Open models, hosted by Novita AI.")
    },
    hosted("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1", "Models in NVIDIA's catalogue."),
    ProviderType {
        quirks: Quirks {
            reasoning_field: None,
            efforts: &[("none", ""), ("xhigh", "high"), ("max", "high")],
            usage_option: false,
            refused: &[Refused { fields: &["seed", "logit_bias"], models: &[] }],
            ..Quirks::COMPATIBLE
        },
        ..hosted("perplexity", "Perplexity", "https://api.perplexity.ai", "Models with web search by Perplexity.")
    },
    ProviderType {
        quirks: Quirks {
            top_k: true,
            efforts: &[("none", ""), ("minimal", "low"), ("xhigh", "high"), ("max", "high")],
            ..Quirks::COMPATIBLE
        },
        ..hosted("sambanova", "SambaNova", "https://api.sambanova.ai/v1", "Open models on SambaNova's hardware.")
    },
    ProviderType {
        quirks: Quirks { reasoning_field: None, ..Quirks::COMPATIBLE },
        ..hosted("scaleway", "Scaleway", "https://api.scaleway.ai/v1", "Open models, hosted by Scaleway.")
    },
    ProviderType {
        quirks: Quirks { top_k: true, reasoning_effort: false, thinking: ThinkingSwitch::Flag, ..Quirks::COMPATIBLE },
        ..hosted("siliconflow", "SiliconFlow", "https://api.siliconflow.com/v1", "Open models, hosted by SiliconFlow.")
    },
    hosted("stepfun", "StepFun", "https://api.stepfun.com/v1", "StepFun's own API."),
    hosted("upstage", "Upstage", "https://api.upstage.ai/v1/solar", "Solar models through Upstage's own API."),
    hosted("venice", "Venice AI", "https://api.venice.ai/api/v1", "Open models, hosted by Venice AI."),
    ProviderType {
        apis: &[Api::Chat, Api::Messages, Api::Responses],
        quirks: Quirks { reasoning_field: Some("reasoning"), usage_option: false, ..Quirks::COMPATIBLE },
        ..hosted(
            "vercel",
            "Vercel AI Gateway",
            "https://ai-gateway.vercel.sh/v1",
            "Models of many providers with one key.",
        )
    },
    ProviderType {
        quirks: Quirks {
            forced_tools: false,
            reasoning_effort: false,
            thinking: ThinkingSwitch::Type,
            max_stops: 1,
            usage_option: false,
            // Otherwise the arguments of a call come as a whole.
            added: &[Added { field: "tool_stream", value: "true", is_for_streamed_tools: true }],
            ..Quirks::COMPATIBLE
        },
        ..hosted("zai", "Z.ai", "https://api.z.ai/api/paas/v4", "GLM models through Z.ai's own API.")
    },
    ProviderType {
        apis: &[Api::Chat, Api::Messages, Api::Responses],
        quirks: Quirks { top_k: true, ..Quirks::COMPATIBLE },
        ..local(
            "lm-studio",
            "LM Studio",
            "http://127.0.0.1:1234/v1",
            "Models on your own machine, served by LM Studio.",
        )
    },
    ProviderType {
        apis: &[Api::Chat, Api::Messages, Api::Responses],
        quirks: Quirks {
            reasoning_field: Some("reasoning"),
            tool_choice: false,
            forced_tools: false,
            efforts: &[("minimal", "low"), ("xhigh", "high")],
            ..Quirks::COMPATIBLE
        },
        ..local("ollama", "Ollama", "http://127.0.0.1:11434/v1", "Models on your own machine, served by Ollama.")
    },
    ProviderType {
        quirks: Quirks { top_k: true, usage_option: false, ..Quirks::COMPATIBLE },
        ..local(
            "llama-cpp",
            "llama.cpp",
            "http://127.0.0.1:8080/v1",
            "Models on your own machine, served by llama-server.",
        )
    },
    ProviderType {
        apis: &[Api::Chat, Api::Responses],
        quirks: Quirks { top_k: true, ..Quirks::COMPATIBLE },
        ..local("sglang", "SGLang", "http://127.0.0.1:30000/v1", "Models on your own hardware, served by SGLang.")
    },
    ProviderType {
        apis: &[Api::Chat, Api::Messages, Api::Responses],
        quirks: Quirks { top_k: true, reasoning_field: Some("reasoning"), ..Quirks::COMPATIBLE },
        ..local("vllm", "vLLM", "http://127.0.0.1:8000/v1", "Models on your own hardware, served by vLLM.")
    },
    ProviderType {
        value: QWEN_PROXY,
        label: "Qwen Proxy",
        description: "chat.qwen.ai with your own login, through the qwen-proxy service.",
        base_url: None,
        path_prefix: "/v1",
        api_key: ApiKey::Optional,
        apis: CHAT,
        messages_base: None,
        quirks: Quirks { reasoning_effort: false, ..Quirks::COMPATIBLE },
    },
    GENERIC,
    ProviderType {
        value: ECHO,
        label: "Echo",
        description: "Built in: repeats the last user message, for tests without a key.",
        base_url: None,
        path_prefix: "",
        api_key: ApiKey::None,
        apis: CHAT,
        messages_base: None,
        quirks: Quirks::COMPATIBLE,
    },
];

const fn hosted(
    value: &'static str,
    label: &'static str,
    base_url: &'static str,
    description: &'static str,
) -> ProviderType {
    ProviderType { api_key: ApiKey::Required, ..local(value, label, base_url, description) }
}

const fn local(
    value: &'static str,
    label: &'static str,
    base_url: &'static str,
    description: &'static str,
) -> ProviderType {
    ProviderType {
        value,
        label,
        description,
        base_url: Some(base_url),
        path_prefix: "",
        api_key: ApiKey::Optional,
        apis: CHAT,
        messages_base: None,
        quirks: Quirks::COMPATIBLE,
    }
}
