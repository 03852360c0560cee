//! How a request was routed: the plan and the attempts, as the request log keeps them in `responses.plan`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::RoutePolicy;

/// The plan of a request and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutingRecord {
    /// Public model name of the route; `None` if the catalogue has none for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Policy of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RoutePolicy>,
    /// Overrides that the request asked for, with the names of the extension `signalbox` of the body.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub overrides: Map<String, Value>,
    /// Id of the request of which this one is a copy for the mirror of a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror_of: Option<String>,
    /// Targets in the order in which they were to be tried.
    #[serde(default)]
    pub targets: Vec<PlannedTarget>,
    /// Targets that were not to be tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedTarget>,
    /// Attempts, in order.
    #[serde(default)]
    pub attempts: Vec<AttemptRecord>,
    /// Outcome of the cache of the route, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheRecord>,
    /// Changes by guardrails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<String>,
}

/// Outcome of the cache of a route for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRecord {
    /// Whether it had the answer.
    pub outcome: CacheOutcome,
    /// UUID of the request whose answer was given again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Age of that answer in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
}

/// Whether a cache had the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheOutcome {
    /// It had.
    Hit,
    /// It had none, and a target was asked.
    Miss,
    /// It was not asked.
    Bypass,
}

// === impl CacheOutcome ===

impl CacheOutcome {
    /// Returns the word in headers, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

// === impl RoutingRecord ===

impl RoutingRecord {
    /// Returns whether the answer came from the cache.
    #[must_use]
    pub fn is_from_cache(&self) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.outcome == CacheOutcome::Hit)
    }
}

/// A target to try.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTarget {
    /// Id of the provider.
    pub provider: String,
    /// Name of the model at the provider; `None` if the request names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name of the provider's key, if it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Region that its route names, on which its price may depend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Reason for its place in the order.
    pub why: String,
}

/// A target that is not tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedTarget {
    /// Id of the provider.
    pub provider: String,
    /// Name of the model at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name of the provider's key, if it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Reason why it is not tried.
    pub why: String,
}

/// An attempt with a target. Times are milliseconds since the request arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Place of the target in the plan, from 0.
    pub target: usize,
    /// Id of the provider.
    pub provider: String,
    /// Name of the model at the provider; `None` if the request named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name of the provider's key, if it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// HTTP status of the provider's answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Error of the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Begin of the attempt.
    pub start_ms: u64,
    /// First byte of the answer that went to the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// End of the attempt.
    pub end_ms: u64,
    /// Why another attempt followed, or why none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_next: Option<String>,
}
