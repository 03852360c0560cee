//! HTTP routes of the router.
//!
//! | Route | Module |
//! |---|---|
//! | `POST /v1/chat/completions` | [`chat_completions`], called directly: the hot path bypasses axum's router |
//! | `GET /v1/models`, `GET /v1/models/{id}` | [`models`] |
//! | `POST /v1/models/sync`, `POST /v1/models/sync/{provider}` | [`model_sync`] |
//! | `GET /v1/providers`, `GET /v1/providers/{id}`, `POST /v1/providers/{id}/test` and `/reload` | [`providers`] |
//! | `GET /health`, `/health/live`, `/health/ready` | [`health`] |
//! | `GET /metrics` | [`metrics`] |
//! | `POST /v1/admin/shutdown` | [`admin`] |
//! | `GET /` | [`root`] |

mod admin;
pub mod chat_completions;
pub mod error;
pub mod health;
mod metrics;
mod model_sync;
pub mod models;
pub mod path;
mod providers;
mod root;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::app::App;

/// Path of chat completions, the hot path.
pub const CHAT_COMPLETIONS: &str = "/v1/chat/completions";

/// Builds the routes, except chat completions.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(root::describe))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/admin/shutdown", post(admin::shutdown))
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
