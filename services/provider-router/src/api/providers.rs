//! `/v1/providers`: the providers that this router has loaded.
//!
//! The configuration belongs to api-server. These routes show how this router has loaded it, without secrets.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signalbox_core::schema;
use tokio::time::Instant;

use super::{error::ApiError, path::Path};
use crate::{
    app::App,
    catalog::Snapshot,
    clock::unix_ms,
    model_lists,
    provider::{Adapter, Provider},
};

/// Query of the list. An absent field matches every provider.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    /// Type of the provider.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// `true` matches enabled providers, any other value disabled ones.
    enabled: Option<String>,
}

/// A provider and its state in this router.
#[derive(Debug, Serialize)]
pub(super) struct LoadedProvider {
    #[serde(flatten)]
    row: schema::Provider,
    /// `loaded`; `error` if its configuration is invalid; `not_loaded` if it is disabled.
    runtime_status: &'static str,
    /// Reason why the configuration is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether its last request succeeded.
    healthy: bool,
    #[serde(rename = "baseURL")]
    base_url: String,
    /// Ids of the models linked to it.
    models: Vec<String>,
}

/// Result of a test. The status is 200 even if the provider is unhealthy, because the test itself succeeded.
#[derive(Debug, Serialize)]
pub(super) struct Tested {
    provider_id: String,
    healthy: bool,
    duration_ms: u128,
    /// Reason why the provider is unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Set if the latest changes could not be loaded before the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    /// Time of the test, in Unix milliseconds.
    timestamp: i64,
}

/// `GET /v1/providers`: lists the providers in the order in which they are tried.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter?;
    let snapshot = app.catalog.current();
    let rows = snapshot.rows().iter().filter(|row| filter.matches(row));
    let loaded: Vec<_> = rows.map(|row| LoadedProvider::of_row(&snapshot, row)).collect();
    Ok(Json(json!({"total": loaded.len(), "providers": loaded})))
}

/// `GET /v1/providers/{id}`: returns one provider.
pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<LoadedProvider>, ApiError> {
    let provider = loaded(&app, &id).await?;
    Ok(Json(LoadedProvider::of(&app.catalog.current(), &provider)))
}

/// `POST /v1/providers/{id}/test`: requests the provider's model list, which costs no tokens.
pub(super) async fn test(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Tested>, ApiError> {
    // A caller that has just saved a change expects the test to include it.
    let refreshed = app.refresher.refresh().await;
    let warning = refreshed
        .err()
        .map(|error| format!("Tested with the configuration last loaded, without later changes: {error}."));
    let provider = loaded(&app, &id).await?;
    let began = Instant::now();
    let error = tested(&app, &provider).await;
    Ok(Json(Tested {
        provider_id: id,
        healthy: error.is_none(),
        duration_ms: began.elapsed().as_millis(),
        error,
        warning,
        timestamp: unix_ms(),
    }))
}

/// Asks for the list of models with each key of a provider. Returns the first error, with the name of the key if there
/// are several.
async fn tested(app: &App, provider: &Arc<Provider>) -> Option<String> {
    let mut first = None;
    for provider in provider.keys() {
        let error = model_lists::fetch(app, provider).await.err();
        provider.note(error.is_none());
        first = first.or_else(|| match &provider.key {
            Some(key) => error.map(|error| format!("with the key {key}: {error}")),
            None => error,
        });
    }
    first
}

/// `POST /v1/providers/{id}/reload`: loads the current rows of the database before it answers.
pub(super) async fn reload(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    app.refresher.refresh().await?;
    let provider = loaded(&app, &id).await?;
    Ok(Json(json!({
        "provider_id": provider.id,
        "name": provider.row.name,
        "type": provider.row.kind,
        "message": "Provider reloaded successfully",
        "timestamp": unix_ms(),
    })))
}

/// Returns a loaded provider.
///
/// # Errors
/// Returns the reason why the provider is not loaded: it is disabled, it does not exist, or the database is away.
pub(super) async fn loaded(app: &App, id: &str) -> Result<Arc<Provider>, ApiError> {
    if let Some(provider) = app.catalog.current().provider(id) {
        return Ok(Arc::clone(provider));
    }
    Err(if app.refresher.provider_exists(id).await? {
        ApiError::ProviderDisabled(id.to_owned())
    } else {
        ApiError::UnknownProvider(id.to_owned())
    })
}

// === impl Filter ===

impl Filter {
    fn matches(&self, row: &schema::Provider) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == row.kind)
            && self.enabled.as_deref().is_none_or(|word| (word == "true") == row.enabled)
    }
}

// === impl LoadedProvider ===

impl LoadedProvider {
    /// Describes a stored provider, which is not loaded if it is disabled.
    fn of_row(snapshot: &Snapshot, row: &schema::Provider) -> Self {
        match snapshot.provider(&row.id) {
            Some(provider) => Self::of(snapshot, provider),
            None => Self {
                row: row.clone(),
                runtime_status: "not_loaded",
                error: None,
                healthy: false,
                base_url: String::new(),
                models: Vec::new(),
            },
        }
    }

    fn of(snapshot: &Snapshot, provider: &Provider) -> Self {
        let error = match &provider.adapter {
            Adapter::Misconfigured(reason) => Some(reason.clone()),
            Adapter::Remote(_) | Adapter::Echo(_) => None,
        };
        Self {
            row: provider.row.clone(),
            runtime_status: if error.is_none() { "loaded" } else { "error" },
            error,
            healthy: provider.is_healthy(),
            base_url: provider.base_url.clone(),
            models: snapshot.links_of(provider).map(|model| model.id.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{Row, snapshot};

    #[test]
    fn providers_are_filtered_by_type_and_state() {
        let rows = [
            Row { id: "a", kind: "echo", priority: 3, ..Row::ENABLED },
            Row { id: "b", kind: "openai", priority: 2, ..Row::ENABLED },
            Row { id: "c", kind: "openai", priority: 1, enabled: false, ..Row::ENABLED },
        ];
        let snapshot = snapshot(&rows, None);
        for (kind, enabled, expected) in [
            (None, None, "a b c"),
            (Some("openai"), None, "b c"),
            (None, Some("true"), "a b"),
            (None, Some("false"), "c"),
            (None, Some("1"), "c"),
            (Some("openai"), Some("true"), "b"),
            (Some("echo"), Some("false"), ""),
            (Some("xai"), None, ""),
        ] {
            let filter = Filter { kind: kind.map(str::to_owned), enabled: enabled.map(str::to_owned) };
            let taken: Vec<&str> =
                snapshot.rows().iter().filter(|row| filter.matches(row)).map(|row| &*row.id).collect();
            assert_eq!(taken.join(" "), expected, "{kind:?} {enabled:?}");
        }
        let status = |at: usize| LoadedProvider::of_row(&snapshot, &snapshot.rows()[at]).runtime_status;
        assert_eq!([status(0), status(2)], ["loaded", "not_loaded"]);
    }
}
