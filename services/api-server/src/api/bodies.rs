//! Shapes of lifecycle commands and of the router's answers, for the OpenAPI document. No code constructs them: commands are
//! read field by field, and answers are passed on.
#![expect(dead_code, reason = "see above")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What became of the models of all providers.
#[derive(Serialize, ToSchema)]
pub(super) struct Synced {
    success: bool,
    message: String,
    /// By provider.
    results: BTreeMap<String, Value>,
    totals: Map<String, Value>,
    /// Why what was stored is not in force yet, if it is not.
    #[schema(nullable = false)]
    warning: Option<String>,
}

/// What became of the models of a provider.
#[derive(Serialize, ToSchema)]
pub(super) struct SyncedOne {
    success: bool,
    message: String,
    result: Map<String, Value>,
    /// Why what was stored is not in force yet, if it is not.
    #[schema(nullable = false)]
    warning: Option<String>,
}

/// How to start.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StartCommand {
    /// Take the next free port when one is taken.
    #[schema(nullable = false)]
    auto_port: Option<bool>,
    /// End the process that holds a port; goes with `expectPid`.
    #[schema(nullable = false)]
    force: Option<bool>,
    /// The `owner.pid` of the refusal `PORT_IN_USE`.
    #[schema(nullable = false, minimum = 1, maximum = 4_294_967_295_i64)]
    expect_pid: Option<i64>,
}

/// What to restart.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestartCommand {
    /// `provider-router` or `qwen-proxy`; both unless it is given.
    #[schema(nullable = false, pattern = "^(provider-router|qwen-proxy|providerRouter|qwenProxy)$")]
    service: Option<String>,
}

/// The outcome of a test.
#[derive(Serialize, ToSchema)]
pub(super) struct Tested {
    provider_id: String,
    healthy: bool,
    #[schema(nullable = false)]
    duration_ms: Option<i64>,
    /// Why it is not healthy.
    #[schema(nullable = false)]
    error: Option<String>,
    /// What the test may have missed, if the router could not read the newest configuration.
    #[schema(nullable = false)]
    warning: Option<String>,
    timestamp: i64,
}

/// A provider that the router has read anew.
#[derive(Serialize, ToSchema)]
pub(super) struct Reloaded {
    provider_id: String,
    name: String,
    r#type: String,
    message: String,
    timestamp: i64,
}
