//! Limits of the rate of a key, a route or a provider.

use serde::{Deserialize, Serialize};

/// Limits of the rate. Those that are unset do not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct KeyLimits {
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
    /// Tokens per minute, input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<u64>,
    /// Requests in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Queue in which requests wait at a limit. Unset: they are refused at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<LimitQueue>,
}

/// Bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitQueue {
    /// Maximum number of requests that wait.
    pub max_waiting: u32,
    /// Maximum time in milliseconds for which a request waits.
    pub timeout_ms: u64,
}

/// Place of a request among those that wait for a limit; the smallest comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Before all others.
    High,
    /// In the order of arrival.
    #[default]
    Normal,
    /// After all others.
    Low,
}

// === impl KeyLimits ===

impl KeyLimits {
    /// Returns whether no limit is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
