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
//! `endpoint`: how handlers are called, and how their errors become responses. `rows`: logged requests and responses, as
//! several routes show them.

mod admin;
mod body;
pub(crate) mod chat_completions;
mod endpoint;
pub mod error;
mod health;
mod list;
mod metrics;
pub mod models;
mod requests;
mod responses;
mod rows;
mod sessions;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{MethodFilter, get, post},
};
use signalbox_daemon::EntryLayer;

use self::endpoint::{not_found, route};
use crate::{
    app::App,
    server::{self, QwenPolicy},
};

/// Returns the router with all routes, behind `entry`.
pub(crate) fn router(app: Arc<App>, entry: EntryLayer<QwenPolicy>) -> Router {
    let metrics = Arc::clone(&app.metrics);
    Router::new()
        .route("/v1/chat/completions", post(chat_completions::chat))
        .route("/v1/completions", post(chat_completions::text))
        .route("/v1/admin/shutdown", route(MethodFilter::POST, admin::shutdown))
        .route("/v1/models", route(MethodFilter::GET, models::list))
        .route("/v1/models/{*id}", route(MethodFilter::GET, models::one))
        .route("/v1/sessions", route(MethodFilter::GET, sessions::list))
        .route(
            "/v1/sessions/{id}",
            route(MethodFilter::GET, sessions::get).merge(route(MethodFilter::DELETE, sessions::delete)),
        )
        .route("/v1/sessions/{id}/stats", route(MethodFilter::GET, sessions::stats))
        .route("/v1/sessions/{id}/requests", route(MethodFilter::GET, sessions::requests))
        .route("/v1/requests", route(MethodFilter::GET, requests::list))
        .route("/v1/requests/{id}", route(MethodFilter::GET, requests::get))
        .route("/v1/requests/{id}/response", route(MethodFilter::GET, requests::response))
        .route("/v1/responses", route(MethodFilter::GET, responses::list))
        .route("/v1/responses/stats", route(MethodFilter::GET, responses::stats))
        .route("/v1/responses/{id}", route(MethodFilter::GET, responses::get))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/detailed", get(health::detailed))
        .route("/metrics", get(metrics::metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), server::guard_log))
        .layer(entry)
        .layer(middleware::from_fn_with_state(metrics, server::count))
        .with_state(app)
}
