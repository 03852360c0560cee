//! Types of error responses, for the OpenAPI document. See `bodies` for the reason why no value of these types is
//! constructed.
#![expect(dead_code, reason = "only used for the OpenAPI document")]

use serde::Serialize;
use utoipa::ToSchema;

/// The reason why a request was refused or failed.
#[derive(Serialize, ToSchema)]
pub struct Failure {
    error: FailureDetail,
}

/// The details of an error.
#[derive(Serialize, ToSchema)]
pub(super) struct FailureDetail {
    /// The message for the user.
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

/// An invalid setting, or an invalid body.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SettingRefusal {
    Setting(InvalidSetting),
    Body(Failure),
}

/// An invalid setting.
#[derive(Serialize, ToSchema)]
pub(super) struct InvalidSetting {
    error: String,
    message: String,
}

/// A setting that has no value.
#[derive(Serialize, ToSchema)]
pub(super) struct MissingSetting {
    error: String,
    key: String,
}
