//! `/api/settings/schema`: the known settings, for forms.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::known::{ALL, Known};
use super::{Deprecation, category_of};
use crate::App;

/// The known settings. Other keys may be stored as text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingSchemas {
    settings: Vec<SettingSchema>,
}

/// A known setting.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SettingSchema {
    key: &'static str,
    /// The part of the key before the first dot.
    category: &'static str,
    #[serde(flatten)]
    form: Form,
    /// The value that applies while none is stored; null if there is none.
    default: Value,
    description: &'static str,
    /// Whether a change takes effect only after a restart of the router.
    requires_restart: bool,
    #[serde(flatten)]
    deprecation: Deprecation,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = SettingForm)]
pub(super) struct Form {
    /// `integer`, `number`, `boolean`, `string` or `object`.
    pub(super) r#type: &'static str,
    /// The least number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) minimum: Option<i64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) maximum: Option<i64>,
    /// The allowed words.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    pub(super) r#enum: &'static [&'static str],
    /// `ms` for milliseconds, `usd` for dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) unit: Option<&'static str>,
}

/// Lists the known settings with their types, limits, defaults and descriptions.
#[utoipa::path(
    get, path = "/api/settings/schema", tag = "settings",
    responses((status = 200, description = "The known settings", body = SettingSchemas)),
)]
pub(crate) async fn schema(State(app): State<App>) -> Json<SettingSchemas> {
    let schema = |known: &'static Known| SettingSchema {
        key: known.key,
        category: category_of(known.key),
        form: known.form(),
        default: known.default(&app).unwrap_or_default(),
        description: known.description,
        requires_restart: known.restart,
        deprecation: Deprecation::of(known.key),
    };
    Json(SettingSchemas { settings: ALL.iter().map(schema).collect() })
}
