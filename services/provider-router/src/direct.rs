//! APIs that are not translated: a request passes to the first provider that has the route, as the client wrote it but
//! for the model name.

use signalbox_core::Api;

/// An API whose requests pass as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectApi {
    /// Completions of a text, the predecessor of Chat Completions.
    Completions,
    /// Vectors of texts.
    Embeddings,
    /// Categories of harmful content.
    Moderations,
    /// The order of documents by their relevance.
    Rerank,
    /// Compaction of a conversation of Responses.
    Compact,
}

// === impl DirectApi ===

impl DirectApi {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Completions, Self::Embeddings, Self::Moderations, Self::Rerank, Self::Compact];

    /// Returns the path below `/v1`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Moderations => "/moderations",
            Self::Rerank => "/rerank",
            Self::Compact => "/responses/compact",
        }
    }

    /// Returns the API of a path, which begins with `/v1`.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v1")?;
        Self::ALL.into_iter().find(|direct| direct.path() == path)
    }

    /// Returns the name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Compact => "responses_compact",
        }
    }

    /// Returns the word by which a key may be restricted to it.
    #[must_use]
    pub const fn permission(self) -> &'static str {
        match self {
            Self::Compact => Api::Responses.as_str(),
            other => other.as_str(),
        }
    }

    /// Returns the API that a provider has to speak to be asked. It need not have the route.
    #[must_use]
    pub const fn companion(self) -> Api {
        match self {
            Self::Compact => Api::Responses,
            Self::Completions | Self::Embeddings | Self::Moderations | Self::Rerank => Api::Chat,
        }
    }

    /// Returns the fields of which a request must have one.
    #[must_use]
    pub const fn subjects(self) -> &'static [&'static str] {
        match self {
            Self::Completions => &["prompt"],
            Self::Embeddings | Self::Moderations => &["input"],
            Self::Rerank => &["query"],
            Self::Compact => &["input", "previous_response_id"],
        }
    }
}
