//! `/api/settings/schema`: the known settings, for forms.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::known::{ALL, Form, Known};
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
