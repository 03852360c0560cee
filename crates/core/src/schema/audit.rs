use serde::Serialize;
use serde_json::Value;

/// A row of `audit`: one change, or one request that changed none of the tables that are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Its number; later entries have higher ones.
    pub id: i64,
    /// When.
    pub at: i64,
    /// `api:<address>`, `cli:<user>` or `signalbox`; none for somebody with a SQL prompt.
    pub actor: Option<String>,
    /// `created`, `updated` or `deleted`; of a request its method.
    pub action: String,
    /// `provider`, `provider_config`, `model`, `provider_model`, `setting`, `credential` or `request`.
    pub resource: String,
    /// Which one: its id; `provider/key`, `provider/model`; of a request its path.
    pub resource_id: String,
    /// What it was, without secrets.
    pub before: Option<Value>,
    /// What it is, without secrets.
    pub after: Option<Value>,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// The `X-Request-ID` of the answer.
    pub request_id: Option<String>,
    /// The method of the request.
    pub method: Option<String>,
    /// The path of the request.
    pub path: Option<String>,
    /// The status of its answer, where it changed nothing.
    pub status: Option<i64>,
}
