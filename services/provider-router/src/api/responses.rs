//! `/v1/responses/{id}…`: earlier answers of Responses.
//!
//! Answers of providers with another API are in the request log, and have ids of this gateway. An answer with any other
//! id is kept by a provider that speaks Responses: the one that made it is asked first, if it is known. The next one is
//! asked only if a provider answers that there is no such answer, or cannot be reached.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_core::Api;
use signalbox_daemon::{Caller, RequestContext};
use signalbox_store::{
    audit::{Actor, with_actor},
    responses::{self, ResponseKey},
};

use super::{error::ApiError, path::Path, received};
use crate::{
    app::App,
    guard::{self, About},
    hops,
    owners::Owner,
    provider::{Adapter, Provider},
    relay::{KeptEvents, Source},
    response_ids::request_of,
    stored_responses::{StoredError, check_owner, delete_kept, load},
};

/// Maximum bytes of a provider's response.
const MAX_RESPONSE: usize = 64 << 20;

/// `GET /v1/responses/{id}`: returns an answer as its client received it.
pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path, request: Parts) -> Result<Response, ApiError> {
    if let Some(kept) = of_provider(&app, &id, &request).await? {
        return Ok(kept);
    }
    let stored = load(&app.store, &id, request.extensions.get()).await?;
    if asks_for_stream(request.uri.query()) {
        return Err(ApiError::StoredStream);
    }
    Ok(Json(stored.response).into_response())
}

/// Query of a list of items.
#[derive(Debug, Deserialize)]
pub(super) struct ItemPage {
    /// Maximum number of items: 1 to 100.
    #[serde(default = "default_limit")]
    limit: u8,
    #[serde(default)]
    order: Order,
    /// Id of the item before the first.
    after: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    /// Newest first, as OpenAI does.
    #[default]
    Desc,
}

const fn default_limit() -> u8 {
    20
}

/// `GET /v1/responses/{id}/input_items`: lists the items of its request.
pub(super) async fn input_items(
    State(app): State<Arc<App>>,
    Path(id): Path,
    page: Result<Query<ItemPage>, QueryRejection>,
    request: Parts,
) -> Result<Response, ApiError> {
    if let Some(kept) = of_provider(&app, &id, &request).await? {
        return Ok(kept);
    }
    let Query(page) = page?;
    if !(1..=100).contains(&page.limit) {
        return Err(ApiError::ItemLimit);
    }
    let mut items = load(&app.store, &id, request.extensions.get()).await?.input_items();
    for (index, item) in items.iter_mut().enumerate() {
        if let Value::Object(item) = item {
            // Clients page by the ids, so every item needs one.
            let own = request_of(&id).unwrap_or_default().simple().to_string();
            item.entry("id").or_insert_with(|| format!("msg_{own}_in{index}").into());
        }
    }
    if page.order == Order::Desc {
        items.reverse();
    }
    if let Some(after) = &page.after {
        let at = items.iter().position(|item| item["id"] == after.as_str());
        let at = at.ok_or_else(|| ApiError::UnknownItem(after.clone()))?;
        items.drain(..=at);
    }
    let has_more = items.len() > usize::from(page.limit);
    items.truncate(page.limit.into());
    let ends = |item: Option<&Value>| item.map(|item| item["id"].clone());
    let (first, last) = (ends(items.first()), ends(items.last()));
    let list = json!({"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": has_more});
    Ok(Json(list).into_response())
}

/// `DELETE /v1/responses/{id}`: deletes an answer. Its request stays in the log.
pub(super) async fn delete(State(app): State<Arc<App>>, Path(id): Path, request: Parts) -> Result<Response, ApiError> {
    if let Some(kept) = of_provider(&app, &id, &request).await? {
        if kept.status().is_success() {
            app.cache.forget(&id);
            // The provider has deleted it, so the client is not told that the log has not.
            if let Err(error) = with_actor(Actor::router(), delete_kept(&app.store, &id)).await {
                tracing::warn!(%error, "the log keeps an answer that its provider has deleted");
            }
        }
        return Ok(kept);
    }
    load(&app.store, &id, request.extensions.get()).await?;
    let key = ResponseKey::Uuid(request_of(&id).unwrap_or_default().to_string());
    let deleted = responses::delete(&app.store, &key);
    with_actor(Actor::router(), deleted).await.map_err(StoredError::from)?;
    app.cache.forget(&id);
    Ok(Json(json!({"id": id, "object": "response", "deleted": true})).into_response())
}

/// `POST /v1/responses/{id}/cancel`: only answers in the background can be cancelled, and those are made by providers.
pub(super) async fn cancel(State(app): State<Arc<App>>, Path(id): Path, request: Parts) -> Result<Response, ApiError> {
    if let Some(kept) = of_provider(&app, &id, &request).await? {
        return Ok(kept);
    }
    load(&app.store, &id, request.extensions.get()).await?;
    Err(ApiError::NotInBackground)
}

/// Asks the providers that speak Responses for an answer of theirs: the one that made it, if that is known, or else the
/// active one first. Returns `None` if the id is one of this gateway, or if none of them knows it.
///
/// # Errors
/// Fails if the request loops, if the log knows that the answer belongs to another key, or if no provider knows the
/// answer and one of them cannot be asked.
async fn of_provider(app: &App, id: &str, request: &Parts) -> Result<Option<Response>, ApiError> {
    if request_of(id).is_some() {
        return Ok(None);
    }
    let caller: Option<&Caller> = request.extensions.get();
    check_owner(&app.store, id, caller).await?;
    if hops::next(&request.headers).is_none() {
        return Err(ApiError::Loop);
    }
    let path = request.uri.path_and_query().map(|path| path.as_str());
    let Some(rest) = path.and_then(|path| path.strip_prefix("/v1/responses/")) else { return Ok(None) };
    let stream = request.method == Method::GET && asks_for_stream(request.uri.query());
    if stream && app.guard.rules(None, caller).is_some_and(|rules| app.guard.judges_answers(&rules)) {
        return Err(ApiError::JudgedStream);
    }
    let asked = Asked {
        method: &request.method,
        rest,
        stream,
        headers: &request.headers,
        id: &RequestContext::of(&request.extensions).id().to_string(),
    };
    let owner = received::owner(app, id, caller).await;
    let mut unasked = None;
    for provider in providers(app, owner.as_ref(), request.method == Method::DELETE) {
        let response = match asked.ask(app, &provider).await {
            Ok(Some(response)) => response,
            Ok(None) => continue,
            Err(reason) => {
                // Another provider may have the answer.
                unasked = Some(ApiError::Provider { provider: provider.id.clone(), reason });
                continue;
            }
        };
        let (status, body) = match response {
            Kept::Stream(body) => return Ok(Some(sent(StatusCode::OK, "text/event-stream", body))),
            Kept::Whole(status, body) => (status, body),
        };
        let is_answer = request.method == Method::GET && status.is_success();
        let body = match is_answer {
            true => judged(app, request, body, asked.id).await?,
            false => redacted(app, request, body),
        };
        return Ok(Some(sent(status, "application/json", Body::from(body))));
    }
    unasked.map_or(Ok(None), Err)
}

/// Returns the providers to ask, in their order: the owner first, then the active one, each with all of its keys. An
/// answer is deleted at its owner only, if that is known.
fn providers(app: &App, owner: Option<&Owner>, is_deletion: bool) -> Vec<Arc<Provider>> {
    let snapshot = app.catalog.current();
    let is_owner = |provider: &Provider| owner.is_some_and(|owner| owner.is(provider));
    let is_active = |provider: &Provider| snapshot.active().is_some_and(|active| active.id == provider.id);
    let mut providers: Vec<Arc<Provider>> = snapshot.providers().iter().flat_map(Provider::keys).cloned().collect();
    // The sort is stable.
    providers.sort_by_key(|provider| (!is_owner(provider), !is_active(provider)));
    if is_deletion && providers.first().is_some_and(|first| is_owner(first)) {
        providers.retain(|provider| is_owner(provider));
    }
    providers
}

/// A request about an answer.
#[derive(Clone, Copy)]
struct Asked<'a> {
    method: &'a Method,
    /// The path and the query after that of Responses.
    rest: &'a str,
    /// Whether the events of the answer are asked for.
    stream: bool,
    headers: &'a HeaderMap,
    /// Id of the request.
    id: &'a str,
}

/// Response of a provider that knows an answer.
enum Kept {
    Whole(StatusCode, Bytes),
    /// The events of the answer.
    Stream(Body),
}

// === impl Asked ===

impl Asked<'_> {
    /// Asks a provider; `None` if it does not speak Responses, does not know the answer, or cannot have such an id.
    ///
    /// # Errors
    /// Returns the reason why it could not be asked.
    async fn ask(&self, app: &App, provider: &Provider) -> Result<Option<Kept>, String> {
        let Adapter::Remote(remote) = &provider.adapter else { return Ok(None) };
        if !remote.apis.contains(&Api::Responses) {
            return Ok(None);
        }
        let asked = (self.rest, self.stream);
        let Ok(request) = remote.about_response(self.method.clone(), asked, self.headers, self.id) else {
            return Ok(None);
        };
        let response = app.client.send(&remote.target, request, &app.deadlines()).await;
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if self.stream && status.is_success() && kind.starts_with("text/event-stream") {
            // Errors in the events may quote the key, too.
            let source = Source::Upstream(response.into_body());
            let events = KeptEvents::new(source, Api::Responses, remote.masker.clone());
            return Ok(Some(Kept::Stream(Body::new(events))));
        }
        let body = axum::body::to_bytes(Body::new(response.into_body()), MAX_RESPONSE).await;
        let body = body.map_err(|error| error.to_string())?;
        // Providers quote the key they refuse.
        let body = if status.is_success() { body } else { remote.masker.mask(&body).map_or(body, Bytes::from) };
        Ok(Some(Kept::Whole(status, body)))
    }
}

fn asks_for_stream(query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|pair| pair == "stream=true")
}

fn sent(status: StatusCode, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Returns the error of a provider, or its answer to another method, without what the rules for answers find.
fn redacted(app: &App, request: &Parts, body: Bytes) -> Bytes {
    let rules = app.guard.rules(None, request.extensions.get());
    rules.and_then(|rules| guard::error_body(&rules, &body)).unwrap_or(body)
}

/// Returns an answer that a provider kept, with what the guardrails of the configuration and the key change. Those of
/// its route are not known any more.
///
/// # Errors
/// Returns the reason why they refuse it.
async fn judged(app: &App, request: &Parts, body: Bytes, id: &str) -> Result<Bytes, ApiError> {
    let caller: Option<&Caller> = request.extensions.get();
    let Some(rules) = app.guard.rules(None, caller).filter(|rules| app.guard.judges_answers(rules)) else {
        return Ok(body);
    };
    let about = About {
        id,
        api: Api::Responses.as_str(),
        model: None,
        key: caller.map(Caller::name),
        owner: caller.and_then(Caller::owner),
    };
    let passed = app.guard.answer(&rules, &body, false, &about).await?;
    Ok(passed.replaced.unwrap_or(body))
}
