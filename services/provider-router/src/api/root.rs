//! `GET /`: description of the service.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::app::App;

/// Returns the name of the service, its routes and its providers.
pub(super) async fn describe(State(app): State<Arc<App>>) -> Json<Value> {
    let providers: Vec<String> = app.catalog.current().providers().iter().map(|provider| provider.id.clone()).collect();
    Json(json!({
        "name": "Signalbox provider-router",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "The Chat Completions, Messages and Responses APIs in front of many providers",
        "endpoints": {
            "/v1/chat/completions": "POST: OpenAI's Chat Completions, streamed or not",
            "/v1/messages": "POST: Anthropic's Messages, streamed or not",
            "/v1/messages/count_tokens": "POST: the number of tokens of a prompt",
            "/v1/responses": "POST: OpenAI's Responses, streamed or not",
            "/v1/responses/{id}": "GET, DELETE: an answer that is kept",
            "/v1/streams/{id}": "GET: the rest of a stream that can be resumed",
            "/v1/completions": "POST: OpenAI's Completions, passed on to providers that have them",
            "/v1/embeddings": "POST: embeddings, passed on",
            "/v1/moderations": "POST: moderations, passed on",
            "/v1/rerank": "POST: rerankings, passed on",
            "/v1/models": "GET: the available models",
            "/v1/providers": "GET: the loaded providers",
            "/v1/requests": "GET: the request log",
            "/v1/usage": "GET: requests, tokens and costs by key, owner, tag, model or provider",
            "/health": "GET: the health of the router",
            "/metrics": "GET: figures for Prometheus",
        },
        "registeredProviders": providers,
    }))
}
