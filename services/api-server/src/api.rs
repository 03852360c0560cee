//! The REST API: routes, with one file per resource.
//!
//! # Layout
//! - Resources that only need the tables are in `signalbox-management`, which also has the error shapes and extractors.
//!   This module has those that need the children, the router or the files of this process.
//! - `openapi`: the OpenAPI document, generated from the handlers and their types; `bodies`: responses of the router.
//!
//! # Invariants
//! - Times are Unix milliseconds, except those of logins at chat.qwen.ai, which are seconds. Configuration is written
//!   through the store only.
//! - A secret is returned only to a request with `mask=false`, and a mask that is sent back never overwrites it.
//! - Handlers do not wait for providers: a catalogue that is slow to reach must not slow down its own repair.

mod about;
mod admin;
mod bodies;
mod config;
mod docs;
mod doctor;
mod health;
mod logs;
mod model_sync;
mod openapi;
mod playground;
mod provider_runtime;
pub(crate) mod proxy;
mod replay;
mod session;
mod storage;

use axum::Router;
use axum::routing::post;
pub use signalbox_management::Error;
use signalbox_management::{error, error_schemas, extract, query};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::admin::SHUTDOWN;
pub(crate) use self::openapi::document;
use crate::app::App;

/// Returns all routes.
pub(crate) fn routes() -> Router<App> {
    // Left out of the document: a client that tries every documented route would shut the server down.
    described().split_for_parts().0.route(admin::SHUTDOWN, post(admin::shutdown))
}

/// Returns all documented routes. Path and method are declared at each handler.
fn described() -> OpenApiRouter<App> {
    let router = OpenApiRouter::new()
        .routes(routes!(about::about))
        .routes(routes!(session::open, session::close))
        .routes(routes!(docs::page))
        .routes(routes!(openapi::serve))
        .routes(routes!(health::health))
        .routes(routes!(doctor::last))
        .routes(routes!(doctor::run))
        .routes(routes!(proxy::start))
        .routes(routes!(proxy::stop))
        .routes(routes!(proxy::restart))
        .routes(routes!(proxy::status))
        .routes(routes!(logs::last))
        .routes(routes!(logs::download))
        .routes(routes!(storage::storage))
        .routes(routes!(provider_runtime::test))
        .routes(routes!(provider_runtime::reload))
        .routes(routes!(model_sync::all))
        .routes(routes!(model_sync::one))
        .routes(routes!(playground::chat))
        .routes(routes!(replay::replay))
        .routes(routes!(config::export))
        .routes(routes!(config::apply));
    router.merge(signalbox_management::routes())
}

/// Path of the route that any client can check liveness with, without authentication.
pub(crate) const HEALTH: &str = "/api/health";
/// Path of signing in and out. It checks the control token itself.
pub(crate) const SESSION: &str = "/api/session";
