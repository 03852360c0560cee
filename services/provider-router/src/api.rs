//! HTTP routes of the router.
//!
//! | Route | Module |
//! |---|---|
//! | `POST /v1/chat/completions`, `/v1/messages`, `/v1/responses` | [`inference`], called directly: the hot path bypasses axum's router |
//! | `POST /v1/completions`, `/v1/embeddings`, `/v1/moderations`, `/v1/rerank`, `/v1/responses/compact` | [`inference`]: passed on without translation |
//! | `POST /v1/messages/count_tokens`, `/v1/responses/input_tokens` | [`count_tokens`] |
//! | `GET`, `DELETE /v1/responses/{id}`, `…/input_items`, `…/cancel` | [`responses`] |
//! | `GET /v1/streams/{id}` | [`streams`] |
//! | `GET /v1/models`, `GET /v1/models/{id}` | [`models`] |
//! | `POST /v1/models/sync`, `POST /v1/models/sync/{provider}` | [`model_sync`] |
//! | `GET /v1/providers`, `GET /v1/providers/{id}`, `POST /v1/providers/{id}/test` and `/reload` | [`providers`] |
//! | `GET /health`, `/health/live`, `/health/ready` | [`health`] |
//! | `GET /metrics` | [`metrics`] |
//! | `POST /v1/admin/shutdown` | [`admin`] |
//! | `GET /v1/admin/requests`, `/v1/admin/activity`, `/v1/admin/events`, `/v1/admin/alerts`, `POST /v1/admin/requests/{id}/cancel`, `/v1/admin/cache/clear`, `/v1/admin/breakers/reset` | [`internal`]: for api-server |
//! | `GET /` | [`root`] |

mod admin;
mod breakers;
mod cached;
mod count_tokens;
pub mod error;
mod explain;
mod guarded;
pub mod health;
pub mod inference;
mod internal;
mod limit_headers;
mod metrics;
pub mod mirror;
mod model_sync;
pub mod models;
mod overrides;
pub mod path;
mod providers;
mod received;
mod responses;
mod root;
mod streams;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    middleware::from_fn_with_state,
    routing::{get, post},
};

use crate::{app::App, direct::DirectApi};

/// Builds the routes, except those of [`inference`].
pub fn router(app: Arc<App>) -> Router {
    let direct = DirectApi::ALL.into_iter().fold(Router::new(), |router, direct| {
        let answer = move |State(app), request| inference::direct(app, direct, request);
        router.route(&format!("/v1{}", direct.path()), post(answer))
    });
    let internal = Router::new()
        .route("/v1/admin/requests", get(internal::in_flight))
        .route("/v1/admin/requests/{id}/cancel", post(internal::cancel))
        .route("/v1/admin/cache/clear", post(internal::clear_cache))
        .route("/v1/admin/breakers/reset", post(internal::reset_breakers))
        .route("/v1/admin/activity", get(internal::activity))
        .route("/v1/admin/events", get(internal::events))
        .route("/v1/admin/alerts", get(internal::alerts))
        .route_layer(from_fn_with_state(Arc::clone(&app), internal::signed));
    direct
        .merge(internal)
        .route("/", get(root::describe))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/admin/shutdown", post(admin::shutdown))
        .route("/v1/messages/count_tokens", post(count_tokens::of_messages))
        .route("/v1/responses/input_tokens", post(count_tokens::of_responses))
        .route("/v1/responses/{id}", get(responses::get).delete(responses::delete))
        .route("/v1/responses/{id}/input_items", get(responses::input_items))
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route("/v1/streams/{id}", get(streams::rest))
        .route("/v1/models", get(models::list))
        .route("/v1/models/sync", post(model_sync::all))
        .route("/v1/models/sync/{provider}", post(model_sync::one))
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/providers", get(providers::list))
        .route("/v1/providers/{id}", get(providers::one))
        .route("/v1/providers/{id}/test", post(providers::test))
        .route("/v1/providers/{id}/reload", post(providers::reload))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(app)
}
