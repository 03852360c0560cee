use serde::Serialize;
use serde_json::Value;

/// A row of `audit`: one change, or one request that changed none of the audited tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// The number of the entry; later entries have higher numbers.
    pub id: i64,
    /// When the change was made.
    pub at: i64,
    /// `api:<address>`, `cli:<user>` or `signalbox`; `None` for a change made directly with SQL.
    pub actor: Option<String>,
    /// `created`, `updated` or `deleted`; for a request, its method.
    pub action: String,
    /// `provider`, `provider_config`, `model`, `provider_model`, `setting`, `credential`, `prices`, `route`,
    /// `key` or `request`.
    pub resource: String,
    /// The id of the resource: `provider/key` or `provider/model` for dependent rows; for a request, its path.
    pub resource_id: String,
    /// The state before the change, without secrets.
    pub before: Option<Value>,
    /// The state after the change, without secrets.
    pub after: Option<Value>,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// The `X-Request-ID` of the response.
    pub request_id: Option<String>,
    /// The method of the request.
    pub method: Option<String>,
    /// The path of the request.
    pub path: Option<String>,
    /// The status of the response, if the request changed nothing.
    pub status: Option<i64>,
}
