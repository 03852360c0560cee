//! Cache of the answers of a route.

use serde::{Deserialize, Serialize};

/// Cache of the answers of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RouteCache {
    /// Milliseconds for which an answer may be given again.
    pub ttl_ms: u64,
    /// Callers that share answers.
    #[serde(default)]
    pub scope: CacheScope,
    /// Maximum bytes of an answer that is kept. Unset: 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_answer_bytes: Option<u64>,
}

/// Callers that share the answers of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CacheScope {
    /// Those with the same key.
    #[default]
    Key,
    /// Those whose keys have the same owner; a key without an owner shares with no other.
    Owner,
    /// All.
    All,
}

// === impl RouteCache ===

impl RouteCache {
    /// Maximum bytes of an answer, if the route sets none.
    pub const DEFAULT_MAX_ANSWER_BYTES: u64 = 1 << 20;

    /// Returns the maximum bytes of an answer that is kept.
    #[must_use]
    pub fn max_answer_bytes(&self) -> u64 {
        self.max_answer_bytes.unwrap_or(Self::DEFAULT_MAX_ANSWER_BYTES)
    }
}
