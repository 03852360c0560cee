//! The REST API: routes and shared state; one file per resource.
//!
//! # Layout
//! - Resources that only need the tables are in `signalbox-management`, which also has the error shapes and extractors.
//!   This module has those that need the children, the router or the files of this process.
//! - `openapi`: the OpenAPI document, generated from the handlers and their types; `bodies`, `refusals`: shapes for it.
//!
//! # Invariants
//! - Times are Unix milliseconds, except those of logins at chat.qwen.ai, which are seconds. Configuration is written
//!   through the store only.
//! - A secret is returned only to a request with `mask=false`, and a mask that is sent back never overwrites it.
//! - Handlers do not wait for providers: a catalogue that is slow to reach must not slow down its own repair.

mod admin;
mod bodies;
mod config;
mod docs;
mod health;
mod logs;
mod model_sync;
mod openapi;
mod provider_runtime;
pub(crate) mod proxy;
mod refusals;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::post;
use signalbox_daemon::Shutdown;
use signalbox_daemon::admin::Control;
pub use signalbox_management::Error;
pub(crate) use signalbox_management::settings::{self, requires_restart};
pub(crate) use signalbox_management::{CREDENTIALS, ModelView};
use signalbox_management::{error, extract, query};
use signalbox_store::{Sealer, Store};
use tokio::sync::broadcast;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::admin::SHUTDOWN;
use crate::events::Extensions;
use crate::fleet::Fleet;
use crate::logs::LogDir;

/// State of the handlers. Clones share it.
#[derive(Clone, Debug)]
pub struct App {
    /// State of the management API.
    pub management: signalbox_management::App,
    /// Database.
    pub store: Store,
    /// Child services.
    pub fleet: Fleet,
    /// Ids of reloaded providers, for event listeners.
    pub reloads: broadcast::Sender<String>,
    /// Connected browser extensions.
    pub extensions: Extensions,
    /// Client of the router's API.
    pub router: crate::router::RouterClient,
    /// Encrypts logins before they are stored.
    pub sealer: Sealer,
    /// Log files of the services.
    pub logs: LogDir,
    /// Decides who may request a shutdown.
    pub control: Control,
    /// Starts the shutdown.
    pub shutdown: Shutdown,
}

impl FromRef<App> for signalbox_management::App {
    fn from_ref(app: &App) -> Self {
        app.management.clone()
    }
}

/// Returns all routes.
pub(crate) fn routes() -> Router<App> {
    // Left out of the document: a client that tries every documented route would shut the server down.
    described().split_for_parts().0.route(admin::SHUTDOWN, post(admin::shutdown))
}

/// Returns all documented routes. Path and method are declared at each handler.
fn described() -> OpenApiRouter<App> {
    let router = OpenApiRouter::new()
        .routes(routes!(docs::page))
        .routes(routes!(openapi::serve))
        .routes(routes!(health::health))
        .routes(routes!(proxy::start))
        .routes(routes!(proxy::stop))
        .routes(routes!(proxy::restart))
        .routes(routes!(proxy::status))
        .routes(routes!(logs::last))
        .routes(routes!(provider_runtime::test))
        .routes(routes!(provider_runtime::reload))
        .routes(routes!(model_sync::all))
        .routes(routes!(model_sync::one))
        .routes(routes!(config::export))
        .routes(routes!(config::apply));
    router.merge(signalbox_management::routes())
}

/// Path of the only route without authentication, so that any client can check liveness.
pub(crate) const HEALTH: &str = "/api/health";

/// Returns the present time in Unix milliseconds, as used for writes.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Returns the present time in Unix seconds, as used for logins.
fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
