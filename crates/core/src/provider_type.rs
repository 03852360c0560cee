//! The table of provider types, shared by the router and by the forms that configure providers. To add a provider that
//! speaks one of the known APIs, add a row.
//!
//! The addresses are those that the providers' own documentation gives.

mod apis;
mod quirks;
mod table;

pub use apis::{API_RULES, ApiCondition, ApiNeeds, ApiRule, needed_api};
pub use quirks::{Added, Quirks, Refused, ThinkingSwitch};
use serde::Serialize;
pub use table::PROVIDER_TYPES;

use crate::Api;

/// A provider type, the value of `providers.type`. Any unknown value is treated as [`GENERIC`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderType {
    /// The value of `providers.type`.
    pub value: &'static str,
    /// The label shown to users.
    pub label: &'static str,
    /// One sentence of description for users.
    pub description: &'static str,
    /// The base URL used if the user gives none; see also [`QWEN_PROXY`].
    pub base_url: Option<&'static str>,
    /// The path between the base URL as users write it and that of an API, such as `/chat/completions`.
    pub path_prefix: &'static str,
    /// Whether the provider needs an API key.
    pub api_key: ApiKey,
    /// The APIs that it speaks. A request of one of them passes as it is; a request of any other API is translated to
    /// the first.
    pub apis: &'static [Api],
    /// The path of Messages up to `/messages`, if it does not follow the base URL. Known only at the provider's own
    /// address; at any other one, the provider speaks Messages only if its configuration says so.
    pub messages_base: Option<&'static str>,
    /// Deviations from OpenAI's own Chat Completions.
    pub quirks: Quirks,
}

/// Whether a provider needs an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKey {
    /// The provider does not use a key.
    None,
    /// The provider may require a key.
    Optional,
    /// The provider rejects requests without a key.
    Required,
}

/// A key of a provider's configuration, as shown in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Field {
    /// The key.
    #[serde(skip)]
    pub name: &'static str,
    /// `string`, `number` (an integer) or `object`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// One sentence of description for users.
    pub description: &'static str,
    /// An example of a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<&'static str>,
    /// The value that applies if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<&'static str>,
    /// Whether the value is masked wherever it is shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// Whether the provider cannot work without a value.
    #[serde(skip)]
    pub required: bool,
}

/// The type of any OpenAI-compatible provider that is not in the table.
pub const GENERIC: ProviderType = ProviderType {
    value: "openai-compatible",
    label: "OpenAI-compatible",
    description: "Any server with OpenAI's chat completions API; requires a base URL.",
    base_url: None,
    path_prefix: "",
    api_key: ApiKey::Optional,
    apis: &[Api::Chat],
    messages_base: None,
    quirks: Quirks::COMPATIBLE,
};

/// The built-in provider that needs no configuration and no network.
pub const ECHO: &str = "echo";

/// The type of a qwen-proxy. Without a base URL it is the qwen-proxy beside the router, whose address only the router
/// knows.
pub const QWEN_PROXY: &str = "qwen-proxy";

/// Returns the row of a type; [`GENERIC`] for a value that is not in the table.
#[must_use]
pub fn provider_type(value: &str) -> ProviderType {
    PROVIDER_TYPES.iter().find(|row| row.value == value).copied().unwrap_or(GENERIC)
}

// === impl ProviderType ===

impl ProviderType {
    /// Returns whether a base URL is that of the type's own service.
    #[must_use]
    pub fn is_own_address(&self, base_url: Option<&str>) -> bool {
        self.base_url.is_some_and(|own| base_url.is_none_or(|url| url.trim_end_matches('/') == own))
    }

    /// Returns the APIs that a provider at this base URL speaks, unless its configuration names others.
    pub fn apis_at(&self, base_url: Option<&str>) -> impl Iterator<Item = Api> {
        let is_elsewhere = self.messages_base.is_some() && !self.is_own_address(base_url);
        self.apis.iter().copied().filter(move |api| !is_elsewhere || *api != Api::Messages)
    }

    /// Returns the configuration fields of the type; required ones come first.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = vec![Field {
            default: Some("full"),
            ..Field::text("logBodies", "How much of its requests and answers is logged: full, redact or off.")
        }];
        fields.push(Field::text("defaultModel", "Model of requests that name none; if absent, its default link."));
        if self.value == ECHO {
            let delay = Field {
                kind: "number",
                default: Some("30"),
                ..Field::text("delay", "Delay between two words, in milliseconds.")
            };
            fields.insert(0, delay);
            return fields;
        }
        fields.push(Field {
            example: Some("responses, chat"),
            ..Field::text(
                "apis",
                "The APIs that it speaks: chat, messages, responses; others are translated to the first.",
            )
        });
        fields.push(Field {
            default: Some(if self.asks_for_usage() { "ask" } else { "client" }),
            ..Field::text(
                "streamUsage",
                "Whether chat streams are asked for their token counts always (ask) or only if the client asks (client).",
            )
        });
        fields.extend([
            Field {
                kind: "number",
                ..Field::text("timeout", "Maximum pause before and within an answer, in milliseconds.")
            },
            Field {
                kind: "object",
                sensitive: true,
                ..Field::text("headers", "Additional request headers: an object of names and values.")
            },
        ]);
        fields.push(Field {
            sensitive: true,
            example: Some("http://user:password@proxy.example:3128"),
            ..Field::text("proxy", "HTTP proxy for it, or `off`; by default that of the environment (HTTPS_PROXY).")
        });
        fields.extend([
            Field { sensitive: true, ..Field::text("clientKey", "PEM file with the private key of `clientCert`.") },
            Field::text("clientCert", "PEM file with the certificate that is shown to it."),
            Field::text("caFile", "PEM file with certificates to trust for it: authorities, or its own."),
        ]);
        if self.api_key != ApiKey::None {
            fields.push(Field {
                sensitive: true,
                required: self.api_key == ApiKey::Required,
                ..Field::text("apiKey", "Sent as `Authorization: Bearer …`, and as `x-api-key` to the Messages API.")
            });
            let further = fields.len() - 1;
            fields.insert(
                further,
                Field {
                    kind: "object",
                    sensitive: true,
                    ..Field::text("apiKeys", "Further keys by name; requests are spread over all, each with a breaker.")
                },
            );
        }
        fields.push(match self.value {
            QWEN_PROXY => Field {
                example: Some("http://127.0.0.1:3000"),
                ..Field::text("baseURL", "With or without `/v1`; if absent, the qwen-proxy beside the router.")
            },
            _ => Field {
                example: Some("http://127.0.0.1:8000/v1"),
                default: self.base_url,
                required: self.base_url.is_none(),
                ..Field::text(
                    "baseURL",
                    if self.path_prefix.is_empty() {
                        "Including the version path, such as `/v1`."
                    } else {
                        "With or without `/v1`."
                    },
                )
            },
        });
        fields.reverse();
        fields.sort_by_key(|field| !field.required);
        fields
    }

    /// Returns whether chat streams are asked for their token counts even if the client does not ask. A server that
    /// refuses the question is asked again without it.
    #[must_use]
    pub const fn asks_for_usage(&self) -> bool {
        self.quirks.usage_option
    }

    /// Returns the configuration keys without which a provider of this type can never work, if `has` tells which keys
    /// it has. An API key is not needed at another address, which may be a proxy that adds it, or beside headers, which
    /// may contain it.
    #[must_use]
    pub fn missing(&self, has: impl Fn(&str) -> bool) -> Vec<Field> {
        let is_needed = |field: &Field| match field.name {
            "apiKey" => !["apiKey", "apiKeys", "baseURL", "headers"].into_iter().any(&has),
            name => !has(name),
        };
        self.fields().into_iter().filter(|field| field.required && is_needed(field)).collect()
    }

    /// Returns the capabilities of the type.
    #[must_use]
    pub fn capabilities(&self) -> &'static [&'static str] {
        if self.value == ECHO { &["chat", "streaming"] } else { &["chat", "streaming", "tools", "models"] }
    }
}

// === impl Field ===

impl Field {
    const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: "string", description, example: None, default: None, sensitive: false, required: false }
    }
}

#[cfg(test)]
mod tests;
