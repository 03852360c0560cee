//! What refusals look like, for the OpenAPI document. See `bodies` for why nothing is made of these types.
#![expect(dead_code, reason = "see above")]

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Why a request is refused, or failed.
#[derive(Serialize, ToSchema)]
pub(super) struct Failure {
    error: FailureDetail,
}

/// Why.
#[derive(Serialize, ToSchema)]
pub(super) struct FailureDetail {
    /// For people.
    message: String,
    /// `validation_error`, `not_found_error`, `conflict_error`, …
    r#type: String,
    /// `provider_not_found`, `model_exists`, …
    #[schema(nullable = false)]
    code: Option<String>,
    /// Every mistake.
    #[schema(nullable = false)]
    errors: Option<Vec<String>>,
}

/// A setting that is not what it should be, or a body that is none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SettingRefusal {
    Setting(InvalidSetting),
    Body(Failure),
}

/// A setting that is not what it should be.
#[derive(Serialize, ToSchema)]
pub(super) struct InvalidSetting {
    error: String,
    message: String,
}

/// A setting that nobody has set.
#[derive(Serialize, ToSchema)]
pub(super) struct MissingSetting {
    error: String,
    key: String,
}

/// A lifecycle command that failed, with the state of both services.
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
    /// The port that is taken.
    #[schema(nullable = false)]
    port: Option<u16>,
    /// Who holds it, where the operating system tells.
    owner: Option<PortOwner>,
    provider_router: Map<String, Value>,
    qwen_proxy: Map<String, Value>,
}

/// The process that holds a port.
#[derive(Serialize, ToSchema)]
pub(super) struct PortOwner {
    pid: u32,
    name: Value,
}

/// A lifecycle command that was refused.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Refusal {
    Lifecycle(LifecycleFailure),
    Other(Failure),
}
