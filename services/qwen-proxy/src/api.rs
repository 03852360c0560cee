//! The HTTP routes.
//!
//! | Route | Module |
//! |---|---|
//! | `POST /v1/chat/completions`, `POST /v1/completions` | [`chat_completions`] |
//! | `GET /v1/models`, `/v1/models/{id}` | [`models`] |
//! | `GET /v1/sessions`, `/v1/sessions/{id}`, `…/stats`, `…/requests`, `DELETE /v1/sessions/{id}` | [`sessions`] |
//! | `GET /v1/requests`, `/v1/requests/{id}`, `…/response` | [`requests`] |
//! | `GET /v1/responses`, `/v1/responses/stats`, `/v1/responses/{id}` | [`responses`] |
//! | `GET /health`, `/health/live`, `/health/ready`, `/health/detailed` | [`health`] |
//! | `POST /v1/admin/shutdown` | [`admin`] |
//! | `GET /metrics` | [`metrics`] |
//!
//! `rows`: logged requests and responses, as several routes show them.

mod admin;
mod body;
pub(crate) mod chat_completions;
pub mod error;
mod health;
mod list;
mod metrics;
pub mod models;
mod path;
mod requests;
mod responses;
mod rows;
mod sessions;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::{app::App, server};

/// Returns the router with all routes and the middleware stack.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions::chat))
        .route("/v1/completions", post(chat_completions::text))
        .route("/v1/admin/shutdown", post(admin::shutdown))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}", get(sessions::get).delete(sessions::delete))
        .route("/v1/sessions/{id}/stats", get(sessions::stats))
        .route("/v1/sessions/{id}/requests", get(sessions::requests))
        .route("/v1/requests", get(requests::list))
        .route("/v1/requests/{id}", get(requests::get))
        .route("/v1/requests/{id}/response", get(requests::response))
        .route("/v1/responses", get(responses::list))
        .route("/v1/responses/stats", get(responses::stats))
        .route("/v1/responses/{id}", get(responses::get))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/detailed", get(health::detailed))
        .route("/metrics", get(metrics::metrics))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), server::stack))
        .with_state(app)
}
