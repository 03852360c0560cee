//! `GET /v1/models`: the models that requests may name, in the form of OpenAI or, for its clients, of Anthropic.

mod anthropic;

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{Extensions, HeaderMap, HeaderValue, header};
use serde::Deserialize;
use signalbox_core::openai::{Model, ModelList};
use signalbox_daemon::Caller;
use signalbox_pricing::{Price, Table};

use super::{error::ApiError, path::Path};
use crate::{
    admission::NotAllowed,
    app::App,
    catalog::Snapshot,
    clock, model_lists,
    provider::{Adapter, Provider, claude_thinking},
    route,
};

/// Returns whether the client is one of Anthropic's.
pub(super) fn is_of_anthropic(headers: &HeaderMap) -> bool {
    anthropic::is_asked(headers)
}

/// Query of the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    /// Provider to ask now, instead of reading the catalogue.
    provider: Option<String>,
    /// Part of the list, for Anthropic's clients.
    #[serde(flatten)]
    page: anthropic::Query,
}

/// `GET /v1/models`: lists the models of the active provider first, then all others of the catalogue. With `provider`,
/// returns the list of that provider, requested from it now. Only models that the key may use are listed.
///
/// Without `provider` the answer comes from memory, and the list of the active provider is refreshed in the background.
pub async fn list(
    State(app): State<Arc<App>>,
    (headers, extensions): (HeaderMap, Extensions),
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(filter) = filter?;
    let caller: Option<&Caller> = extensions.get();
    let allowed = |model: &Model| caller.is_none_or(|caller| caller.allows_model(&model.id));
    let Some(id) = filter.provider else {
        app.catalog.note_read();
        let mut models = app.catalog.current().models();
        models.data.retain(allowed);
        if anthropic::is_asked(&headers) {
            let (snapshot, prices) = (app.catalog.current(), app.prices.current());
            let about = |model: &Model| about(&snapshot, prices.as_deref(), &model.id);
            return Ok(Json(anthropic::Page::of(&models.data, &filter.page, about)).into_response());
        }
        return Ok(Json(models).into_response());
    };
    let provider = app.catalog.current().provider(&id).cloned().ok_or(ApiError::UnknownProvider(id))?;
    // Requests may name a model of a provider with or without the provider.
    let named = |model: &Model| {
        allowed(model) || caller.is_none_or(|caller| caller.allows_model(&format!("{}/{}", provider.id, model.id)))
    };
    let is_limited = caller.is_some_and(|caller| caller.grant().models.is_some());
    let shown = |mut list: ModelList| {
        list.data.retain(named);
        Json(list).into_response()
    };
    match model_lists::fetch(&app, &provider).await {
        Ok(None) => Ok(shown(app.catalog.current().models_of(&provider))),
        Ok(Some(answer)) if answer.listed.as_openai && !is_limited => {
            let mut response = Body::from(answer.raw).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
        Ok(Some(answer)) => Ok(shown(ModelList::new(answer.listed.models))),
        Err(reason) => last_valid_list(&app, &provider, reason).map(shown),
    }
}

/// `GET /v1/models/{id}`: returns one model. Every name that requests may use is found, including `provider/model`.
pub async fn one(
    State(app): State<Arc<App>>,
    (headers, extensions): (HeaderMap, Extensions),
    Path(id): Path,
) -> Result<Response, ApiError> {
    if extensions.get().is_some_and(|caller: &Caller| !caller.allows_model(&id)) {
        return Err(NotAllowed::Model(id).into());
    }
    let model = find(&app, &id)?;
    Ok(match anthropic::is_asked(&headers) {
        true => {
            let about = about(&app.catalog.current(), app.prices.current().as_deref(), &id);
            Json(anthropic::Entry::of(&model, about)).into_response()
        }
        false => Json(model).into_response(),
    })
}

/// Returns what the catalogue and the prices say about a model: about the first target of its route.
fn about(snapshot: &Snapshot, prices: Option<&Table>, id: &str) -> anthropic::About {
    let described = snapshot.description(id);
    let target = match snapshot.routes().named(id) {
        Some(route) => {
            let mut targets = route.providers.iter().zip(&route.plan.targets);
            targets.find_map(|(provider, target)| Some((Arc::clone(provider.as_ref().ok()?), target.model.clone())))
        }
        None => {
            let first = route::candidates(snapshot, Some(id)).ok().and_then(|all| all.into_iter().next());
            first.and_then(|candidate| Some((candidate.provider, candidate.model?)))
        }
    };
    let price = target
        .as_ref()
        .zip(prices)
        .and_then(|((provider, model), prices)| prices.find(&provider.row.kind, &provider.id, model, clock::unix_ms()));
    let model = target.as_ref().map_or(id, |(_, model)| model);
    anthropic::About {
        name: described.map(|described| described.name.clone()),
        max_input_tokens: price.and_then(Price::context_tokens),
        max_tokens: price.and_then(Price::max_output_tokens),
        sees_images: described.is_some_and(|described| described.capabilities.iter().any(|word| word == "vision")),
        thinking: claude_thinking(model),
    }
}

fn find(app: &App, id: &str) -> Result<Model, ApiError> {
    let snapshot = app.catalog.current();
    if snapshot.routes().named(id).is_some()
        && let Some(model) = snapshot.routed_model(id)
    {
        return Ok(model.clone());
    }
    let candidates = route::candidates(&snapshot, Some(id))?;
    let known = |id: &str| candidates.iter().find_map(|candidate| snapshot.model(&candidate.provider, id));
    if let Some(model) = known(id) {
        return Ok(model.clone());
    }
    // The id keeps the provider prefix of the request, because requests may use that name.
    let created = id.split_once('/').and_then(|(_, name)| known(name)).map_or(0, |model| model.created);
    let owner = candidates.first().map_or("", |candidate| &candidate.provider.id);
    Ok(Model::new(id, created, owner))
}

/// Returns the last valid list of a provider that does not answer.
fn last_valid_list(app: &App, provider: &Provider, reason: String) -> Result<ModelList, ApiError> {
    let snapshot = app.catalog.current();
    match snapshot.own_list(provider) {
        Some(list) if matches!(provider.adapter, Adapter::Remote(_)) => Ok(ModelList::new(list.to_vec())),
        _ => Err(ApiError::Provider { provider: provider.id.clone(), reason }),
    }
}
