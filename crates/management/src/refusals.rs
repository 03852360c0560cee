//! What refusals look like, for the OpenAPI document. See `bodies` for why nothing is made of these types.
#![expect(dead_code, reason = "see above")]

use serde::Serialize;
use utoipa::ToSchema;

/// Why a request is refused, or failed.
#[derive(Serialize, ToSchema)]
pub struct Failure {
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
