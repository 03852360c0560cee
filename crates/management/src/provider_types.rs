//! Route `/api/providers/types`: the provider types and their configuration fields.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use signalbox_core::provider_type::{Field, PROVIDER_TYPES, ProviderType};
use utoipa::ToSchema;

/// The provider types.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TypeList {
    types: Vec<TypeInfo>,
    total: usize,
}

/// One provider type, with the fields of its form.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TypeInfo {
    value: &'static str,
    label: &'static str,
    description: &'static str,
    required_config: Vec<&'static str>,
    optional_config: Vec<&'static str>,
    config_schema: BTreeMap<&'static str, Field>,
    capabilities: Vec<&'static str>,
}

/// Lists the provider types and their configuration fields.
#[utoipa::path(
    get, path = "/api/providers/types", tag = "provider-types",
    responses((status = 200, description = "All provider types", body = TypeList)),
)]
pub(super) async fn list() -> Json<TypeList> {
    let types: Vec<_> = PROVIDER_TYPES.iter().map(TypeInfo::of).collect();
    Json(TypeList { total: types.len(), types })
}

// === impl TypeInfo ===

impl TypeInfo {
    fn of(kind: &ProviderType) -> Self {
        let fields = kind.fields();
        let names =
            |required: bool| fields.iter().filter(move |field| field.required == required).map(|field| field.name);
        Self {
            value: kind.value,
            label: kind.label,
            description: kind.description,
            required_config: names(true).collect(),
            optional_config: names(false).collect(),
            config_schema: fields.iter().map(|field| (field.name, *field)).collect(),
            capabilities: kind.capabilities().to_vec(),
        }
    }
}
