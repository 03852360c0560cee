//! The APIs that clients and providers speak.

use serde::{Deserialize, Serialize};

/// An API, as a client or a provider speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// OpenAI's Chat Completions: `POST /v1/chat/completions`.
    Chat,
    /// Anthropic's Messages: `POST /v1/messages`.
    Messages,
    /// OpenAI's Responses: `POST /v1/responses`.
    Responses,
}

// === impl Api ===

impl Api {
    /// All APIs.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Responses];

    /// Returns the name in configurations, logs and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
            Self::Responses => "responses",
        }
    }

    /// Returns the name in sentences.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Chat => "Chat Completions",
            Self::Messages => "Messages",
            Self::Responses => "Responses",
        }
    }

    /// Returns the API with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.as_str() == name)
    }

    /// Returns the APIs of a list of names, separated by commas; each once.
    ///
    /// # Errors
    /// Returns the first name that is no API, or an empty text if there is no name.
    pub fn parse_list(listed: &str) -> Result<Vec<Self>, &str> {
        let mut apis = Vec::new();
        for name in listed.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let api = Self::parse(name).ok_or(name)?;
            if !apis.contains(&api) {
                apis.push(api);
            }
        }
        if apis.is_empty() { Err("") } else { Ok(apis) }
    }

    /// Returns the path of requests for an answer, after the base URL of a provider.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Messages => "/messages",
            Self::Responses => "/responses",
        }
    }

    /// Returns the API whose requests for an answer have this path at a gateway.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v1")?;
        Self::ALL.into_iter().find(|api| api.path() == path)
    }
}

impl std::fmt::Display for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(Api::parse_list(" responses,chat , chat,"), Ok(vec![Api::Responses, Api::Chat]));
        for (listed, wrong) in
            [("chat, gemini", "gemini"), ("chat;messages", "chat;messages"), (",", ""), ("Chat", "Chat")]
        {
            assert_eq!(Api::parse_list(listed), Err(wrong));
        }
    }

    #[test]
    fn names_and_paths_are_read_back() {
        for api in Api::ALL {
            assert_eq!(Api::parse(api.as_str()), Some(api));
            assert_eq!(Api::of_path(&format!("/v1{}", api.path())), Some(api));
        }
        for other in ["", "/v1", "/messages", "/v1/messages/count_tokens", "/v1/responses/", "chat"] {
            assert_eq!(Api::of_path(other), None, "{other}");
        }
    }
}
