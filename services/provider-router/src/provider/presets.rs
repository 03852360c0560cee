//! What is known of the kinds of provider that speak OpenAI's API. To add one, add a row.

/// A kind of provider.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The value of `providers.type`.
    pub kind: &'static str,
    /// For people.
    pub label: &'static str,
    /// What stands between the base URL as users write it and `/chat/completions`.
    pub prefix: &'static str,
    /// Used when the user gives no base URL.
    pub base_url: Option<&'static str>,
}

/// The table. The first row is also how a kind that is not listed is treated.
pub const PRESETS: &[Preset] = &[
    Preset { kind: "openai", label: "OpenAI-compatible", prefix: "", base_url: Some("https://api.openai.com/v1") },
    Preset { kind: "lm-studio", label: "LM Studio", prefix: "", base_url: Some("http://127.0.0.1:1234/v1") },
    Preset { kind: "qwen-proxy", label: "Qwen Proxy", prefix: "/v1", base_url: Some("http://127.0.0.1:3000") },
];

/// The preset of a kind.
#[must_use]
pub fn preset(kind: &str) -> Preset {
    let generic = Preset { base_url: None, ..PRESETS[0] };
    PRESETS.iter().find(|preset| preset.kind == kind).copied().unwrap_or(generic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_must_say_where_it_is() {
        assert!(preset("my-own").base_url.is_none());
        assert_eq!(preset("qwen-proxy").prefix, "/v1");
    }
}
