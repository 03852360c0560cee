//! `GET /v1/models`: what can be asked for.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Deserialize;
use signalbox_core::openai::Model;

use super::{error::ApiError, path::Path};
use crate::{
    app::App,
    probe::list_models,
    provider::{Adapter, OpenAi, Provider},
    route::RouteError,
};

/// The query of the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    /// Ask this provider, now, instead of reading the catalogue.
    provider: Option<String>,
}

/// The models of the catalogue, or those a provider names when it is asked.
pub async fn list(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(filter) = filter?;
    let Some(id) = filter.provider else {
        return Ok(Json(app.catalog.current().models()).into_response());
    };
    let provider = app.catalog.current().provider(&id).cloned().ok_or(ApiError::UnknownProvider(id))?;
    match &provider.adapter {
        Adapter::Echo(_) => Ok(Json(app.catalog.current().models_of(&provider)).into_response()),
        Adapter::Misconfigured(reason) => Err(unavailable(&provider, reason.clone())),
        Adapter::OpenAi(openai) => {
            let list = ask(&app, openai).await.map_err(|reason| unavailable(&provider, reason))?;
            let mut response = Body::from(list).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
    }
}

/// One model of the catalogue.
pub async fn one(State(app): State<Arc<App>>, Path(id): Path) -> Result<Json<Model>, ApiError> {
    let model = app.catalog.current().model(&id).cloned();
    model.map(Json).ok_or_else(|| RouteError::UnknownModel(id).into())
}

/// See [`list_models`].
pub(super) async fn ask(app: &App, openai: &OpenAi) -> Result<Bytes, String> {
    list_models(&app.client, &app.deadlines(), openai).await
}

fn unavailable(provider: &Provider, reason: String) -> ApiError {
    ApiError::Provider { provider: provider.id.clone(), reason }
}
