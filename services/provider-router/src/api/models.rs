//! `GET /v1/models`: what can be asked for.

use std::{future::poll_fn, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use serde::Deserialize;
use signalbox_core::openai::Model;

use super::error::ApiError;
use crate::{
    app::App,
    provider::{Adapter, OpenAi, Provider},
    relay::Source,
    route::RouteError,
};

/// A list of models larger than this is none.
const MAX_LIST: usize = 8 << 20;

/// The query of the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    /// Ask this provider, now, instead of reading the catalogue.
    provider: Option<String>,
}

/// The models of the catalogue, or those a provider names when it is asked.
pub async fn list(State(app): State<Arc<App>>, Query(filter): Query<Filter>) -> Result<Response, ApiError> {
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
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Model>, ApiError> {
    let model = app.catalog.current().model(&id).cloned();
    model.map(Json).ok_or_else(|| RouteError::UnknownModel(id).into())
}

/// A provider's own list, as it sent it: JSON, if nothing else.
pub(super) async fn ask(app: &App, openai: &OpenAi) -> Result<Bytes, String> {
    let response = app.client.send(&openai.target, openai.models(), &app.deadlines).await.map_err(|e| e.to_string())?;
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Err(format!("it answered with status {}", head.status));
    }
    let (mut source, mut list) = (Source::Upstream(body), BytesMut::new());
    while let Some(bytes) = poll_fn(|cx| source.poll_data(cx)).await.transpose().map_err(|e| e.to_string())? {
        list.extend_from_slice(&bytes);
        if list.len() > MAX_LIST {
            return Err(format!("its list is larger than {MAX_LIST} bytes"));
        }
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&list).map_err(|error| format!("its list is not JSON: {error}"))?;
    Ok(list.freeze())
}

fn unavailable(provider: &Provider, reason: String) -> ApiError {
    ApiError::Provider { provider: provider.id.clone(), reason }
}
