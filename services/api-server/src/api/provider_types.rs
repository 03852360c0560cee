//! `/api/providers/types`: which kinds of provider there are, and what each wants to know.

use axum::Json;
use serde_json::{Map, Value, json};
use signalbox_core::provider_type::{Field, PROVIDER_TYPES, ProviderType};

/// `GET /api/providers/types` → `{"types": [...], "total"}`.
pub(super) async fn list() -> Json<Value> {
    let types: Vec<Value> = PROVIDER_TYPES.iter().map(view).collect();
    Json(json!({ "total": types.len(), "types": types }))
}

/// One kind, as a form is drawn from it.
fn view(kind: &ProviderType) -> Value {
    let fields = kind.fields();
    let names = |required: bool| -> Vec<&str> {
        fields.iter().filter(|field| field.required == required).map(|field| field.name).collect()
    };
    let schema: Map<String, Value> = fields.iter().map(|field: &Field| (field.name.to_owned(), json!(field))).collect();
    json!({
        "value": kind.value,
        "label": kind.label,
        "description": kind.description,
        "requiredConfig": names(true),
        "optionalConfig": names(false),
        "configSchema": schema,
        "capabilities": kind.capabilities(),
    })
}
