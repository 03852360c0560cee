//! Shapes of refused lifecycle commands, for the OpenAPI document.
#![expect(dead_code, reason = "no code constructs them")]

use serde::Serialize;
use serde_json::{Map, Value};
pub(super) use signalbox_management::error_schemas::Failure;
use utoipa::ToSchema;

/// A failed lifecycle command, with the state of both services.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LifecycleFailure {
    success: bool,
    status: String,
    error: String,
    message: String,
    /// `crashed`, `startup_timeout`, `PORT_IN_USE`, …
    #[schema(nullable = false)]
    code: Option<String>,
    /// Port that is in use.
    #[schema(nullable = false)]
    port: Option<u16>,
    /// Process that holds it, where the operating system tells.
    owner: Option<PortOwner>,
    provider_router: Map<String, Value>,
    qwen_proxy: Map<String, Value>,
}

/// Process that holds a port.
#[derive(Serialize, ToSchema)]
pub(super) struct PortOwner {
    pid: u32,
    name: Value,
}

/// A refused lifecycle command.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Refusal {
    Lifecycle(LifecycleFailure),
    Other(Failure),
}
