//! `/v1/providers`: the providers as this router has loaded them.
//!
//! What is configured is api-server's business; these routes tell what has become of it here. Nothing secret is shown.

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

/// Which providers are listed; each field that is absent takes all.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    /// Only those of this type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// `true` takes the enabled ones, any other word those that are not.
    enabled: Option<String>,
}

/// A provider and what has become of it.
#[derive(Debug, Serialize)]
pub(super) struct LoadedProvider {
    #[serde(flatten)]
    row: schema::Provider,
    /// `loaded`, `error` when its configuration makes no sense, or `not_loaded` when it is disabled.
    runtime_status: &'static str,
    /// What is wrong with its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether its last request went well.
    healthy: bool,
    #[serde(rename = "baseURL")]
    base_url: String,
    /// The models it is linked to.
    models: Vec<String>,
}

/// The outcome of a test; 200 also when the provider is not well, because the test went well.
#[derive(Debug, Serialize)]
pub(super) struct Tested {
    provider_id: String,
    healthy: bool,
    duration_ms: u128,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What the test may have missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    /// Unix milliseconds.
    timestamp: i64,
}

/// `GET /v1/providers`: in the order in which they are tried.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter?;
    let snapshot = app.catalog.current();
    let rows = snapshot.rows().iter().filter(|row| filter.takes(row));
    let loaded: Vec<_> = rows.map(|row| LoadedProvider::of_row(&snapshot, row)).collect();
    Ok(Json(json!({"total": loaded.len(), "providers": loaded})))
}

/// `GET /v1/providers/{id}`.
pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<LoadedProvider>, ApiError> {
    let provider = loaded(&app, &id).await?;
    Ok(Json(LoadedProvider::of(&app.catalog.current(), &provider)))
}

/// `POST /v1/providers/{id}/test`: asks the provider for its models, which costs no tokens.
pub(super) async fn test(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Tested>, ApiError> {
    // Somebody who has just saved a change means the provider with the change.
    let refreshed = app.refresher.refresh().await;
    let warning = refreshed.err().map(|error| format!("Tested as it was last loaded, without later changes: {error}."));
    let provider = loaded(&app, &id).await?;
    let began = Instant::now();
    let error = model_lists::ask(&app, &provider).await.err();
    provider.note(error.is_none());
    Ok(Json(Tested {
        provider_id: id,
        healthy: error.is_none(),
        duration_ms: began.elapsed().as_millis(),
        error,
        warning,
        timestamp: unix_ms(),
    }))
}

/// `POST /v1/providers/{id}/reload`: what is in the database is in force when this answers.
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

/// The provider, or why it is not loaded.
pub(super) async fn loaded(app: &App, id: &str) -> Result<Arc<Provider>, ApiError> {
    if let Some(provider) = app.catalog.current().provider(id) {
        return Ok(Arc::clone(provider));
    }
    Err(if app.refresher.knows(id).await? {
        ApiError::ProviderDisabled(id.to_owned())
    } else {
        ApiError::UnknownProvider(id.to_owned())
    })
}

// === impl Filter ===

impl Filter {
    fn takes(&self, row: &schema::Provider) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == row.kind)
            && self.enabled.as_deref().is_none_or(|word| (word == "true") == row.enabled)
    }
}

// === impl LoadedProvider ===

impl LoadedProvider {
    /// A provider that may be disabled, and is not loaded then.
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
            Adapter::OpenAi(_) | Adapter::Echo(_) => None,
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
    fn providers_are_filtered_by_type_and_by_being_enabled() {
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
            let taken: Vec<&str> = snapshot.rows().iter().filter(|row| filter.takes(row)).map(|row| &*row.id).collect();
            assert_eq!(taken.join(" "), expected, "{kind:?} {enabled:?}");
        }
        let status = |at: usize| LoadedProvider::of_row(&snapshot, &snapshot.rows()[at]).runtime_status;
        assert_eq!([status(0), status(2)], ["loaded", "not_loaded"]);
    }
}
