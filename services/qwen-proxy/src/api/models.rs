//! `GET /v1/models`: the models of chat.qwen.ai.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{endpoint::Path, error::ApiError};
use crate::{app::App, model_cache::NoModels};

/// Returns all models.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let models = all(&app).await?;
    Ok(Json(json!({"object": "list", "data": *models})))
}

/// Returns one model.
pub(super) async fn one(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Value>, ApiError> {
    let models = all(&app).await?;
    models.iter().find(|model| model["id"] == *id).cloned().map(Json).ok_or(ApiError::UnknownModel(id))
}

async fn all(app: &App) -> Result<Arc<Vec<Value>>, NoModels> {
    app.models.get(&app.logins, &app.qwen, &app.metrics).await
}
