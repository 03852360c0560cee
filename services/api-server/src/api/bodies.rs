//! Responses of provider-router that are passed on. They are read into these types, which the OpenAPI document
//! describes, so that a response in another format is reported and not passed on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Outcome of a synchronisation of all providers' models.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct Synced {
    success: bool,
    message: String,
    /// Outcome by provider.
    results: BTreeMap<String, Value>,
    totals: Map<String, Value>,
    /// Reason why the stored models are not in effect yet, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warning: Option<String>,
}

/// Outcome of a synchronisation of one provider's models.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct SyncedOne {
    success: bool,
    message: String,
    result: Map<String, Value>,
    /// Reason why the stored models are not in effect yet, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warning: Option<String>,
}

/// Outcome of a provider test.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct Tested {
    provider_id: String,
    healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    duration_ms: Option<i64>,
    /// Reason why the provider is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// Warning that the test may not reflect the newest configuration, if the router could not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warning: Option<String>,
    timestamp: i64,
}

/// A provider that the router has reloaded.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct Reloaded {
    provider_id: String,
    name: String,
    r#type: String,
    message: String,
    timestamp: i64,
}

// === impl Tested ===

impl Tested {
    /// Creates the outcome of a test that the router could not carry out.
    pub(super) fn failed(provider_id: String, error: String, timestamp: i64) -> Self {
        Self { provider_id, healthy: false, duration_ms: None, error: Some(error), warning: None, timestamp }
    }
}
