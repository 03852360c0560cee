//! Shapes of lifecycle commands and of the router's responses, for the OpenAPI document. No code constructs them:
//! commands are read field by field, and responses are passed on.
#![expect(dead_code, reason = "no code constructs them")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Outcome of a synchronisation of all providers' models.
#[derive(Serialize, ToSchema)]
pub(super) struct Synced {
    success: bool,
    message: String,
    /// Outcome by provider.
    results: BTreeMap<String, Value>,
    totals: Map<String, Value>,
    /// Reason why the stored models are not in effect yet, if they are not.
    #[schema(nullable = false)]
    warning: Option<String>,
}

/// Outcome of a synchronisation of one provider's models.
#[derive(Serialize, ToSchema)]
pub(super) struct SyncedOne {
    success: bool,
    message: String,
    result: Map<String, Value>,
    /// Reason why the stored models are not in effect yet, if they are not.
    #[schema(nullable = false)]
    warning: Option<String>,
}

/// Options of a start.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StartCommand {
    /// Whether the next free port is taken when one is in use.
    #[schema(nullable = false)]
    auto_port: Option<bool>,
    /// Whether to end the process that holds a port; requires `expectPid`.
    #[schema(nullable = false)]
    force: Option<bool>,
    /// `owner.pid` of the refusal `PORT_IN_USE`.
    #[schema(nullable = false, minimum = 1, maximum = 4_294_967_295_i64)]
    expect_pid: Option<i64>,
}

/// Options of a restart.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestartCommand {
    /// `provider-router` or `qwen-proxy`; both if absent.
    #[schema(nullable = false, pattern = "^(provider-router|qwen-proxy|providerRouter|qwenProxy)$")]
    service: Option<String>,
}

/// Outcome of a provider test.
#[derive(Serialize, ToSchema)]
pub(super) struct Tested {
    provider_id: String,
    healthy: bool,
    #[schema(nullable = false)]
    duration_ms: Option<i64>,
    /// Reason why the provider is not healthy.
    #[schema(nullable = false)]
    error: Option<String>,
    /// Warning that the test may not reflect the newest configuration, if the router could not read it.
    #[schema(nullable = false)]
    warning: Option<String>,
    timestamp: i64,
}

/// A provider that the router has reloaded.
#[derive(Serialize, ToSchema)]
pub(super) struct Reloaded {
    provider_id: String,
    name: String,
    r#type: String,
    message: String,
    timestamp: i64,
}
