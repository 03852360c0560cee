//! `/v1/providers`: the providers as this router has loaded them.
//!
//! What is configured is api-server's business; these routes tell what has become of it here. Nothing secret is shown.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Value, json};
use signalbox_core::schema;
use tokio::time::{Duration, Instant, timeout};

use super::{error::ApiError, models::ask, path::Path};
use crate::{
    app::App,
    clock::unix_ms,
    provider::{Adapter, Provider},
};

/// Who tests a provider wants to know soon.
const TEST_PATIENCE: Duration = Duration::from_secs(15);

/// A provider and what has become of it.
#[derive(Debug, Serialize)]
pub(super) struct LoadedProvider {
    #[serde(flatten)]
    row: schema::Provider,
    /// `loaded`, or `error` when its configuration makes no sense.
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
    /// Unix milliseconds.
    timestamp: i64,
}

/// `GET /v1/providers`: the enabled ones, in the order in which they are tried.
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let providers: Vec<_> = app.catalog.current().providers().to_vec();
    let loaded: Vec<_> = providers.iter().map(|provider| LoadedProvider::of(&app, provider)).collect();
    Json(json!({"total": loaded.len(), "providers": loaded}))
}

/// `GET /v1/providers/{id}`.
pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<LoadedProvider>, ApiError> {
    let provider = loaded(&app, &id).await?;
    Ok(Json(LoadedProvider::of(&app, &provider)))
}

/// `POST /v1/providers/{id}/test`: asks the provider for its models, which costs no tokens.
pub(super) async fn test(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Tested>, ApiError> {
    // Somebody who has just saved a change means the provider with the change.
    app.refresher.refresh().await.ok();
    let provider = loaded(&app, &id).await?;
    let began = Instant::now();
    let error = timeout(TEST_PATIENCE, complaint(&app, &provider)).await;
    let error = error.unwrap_or_else(|_| Some(format!("it has not answered within {} s", TEST_PATIENCE.as_secs())));
    provider.note(error.is_none());
    Ok(Json(Tested {
        provider_id: id,
        healthy: error.is_none(),
        duration_ms: began.elapsed().as_millis(),
        error,
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

/// What is wrong with the provider, if anything is.
async fn complaint(app: &App, provider: &Provider) -> Option<String> {
    match &provider.adapter {
        Adapter::Echo(_) => None,
        Adapter::Misconfigured(reason) => Some(reason.clone()),
        Adapter::OpenAi(openai) => ask(app, openai).await.err(),
    }
}

// === impl LoadedProvider ===

impl LoadedProvider {
    fn of(app: &App, provider: &Provider) -> Self {
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
            models: app.catalog.current().models_of(provider).data.into_iter().map(|model| model.id).collect(),
        }
    }
}
