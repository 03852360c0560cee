//! The REST interface: all routes on one screen, one file per resource.
//!
//! # Layout
//! - Resources that work on the tables alone are in `signalbox-management`, which has the error shapes and extractors too.
//!   This room has those that need the children, the router or the files of this process.
//! - `openapi`: the document that describes all this, made of the handlers and their types; `bodies`, `refusals`: shapes for it.
//!
//! # Invariants
//! - Times are Unix milliseconds, those of logins at chat.qwen.ai seconds; what a person may change is written through the
//!   store and nowhere else.
//! - A secret leaves only where somebody asked for `mask=false`, and the mask coming back never overwrites it.
//! - Handlers do not wait for providers: a catalogue that is slow to reach must not make its own repair slow.

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

/// What handlers work with. Clones share everything.
#[derive(Clone, Debug)]
pub struct App {
    /// What the management API works with.
    pub management: signalbox_management::App,
    /// The tables.
    pub store: Store,
    /// The children.
    pub fleet: Fleet,
    /// Providers that were reloaded, by id, for who listens.
    pub reloads: broadcast::Sender<String>,
    /// The browser extensions that are connected.
    pub extensions: Extensions,
    /// The way to the router.
    pub router: crate::router::RouterClient,
    /// Encrypts logins on their way into the tables.
    pub sealer: Sealer,
    /// What the services said.
    pub logs: LogDir,
    /// Who may ask us to leave.
    pub control: Control,
    /// When to leave.
    pub shutdown: Shutdown,
}

impl FromRef<App> for signalbox_management::App {
    fn from_ref(app: &App) -> Self {
        app.management.clone()
    }
}

/// All routes.
pub(crate) fn routes() -> Router<App> {
    // Not in the document: whoever tries out all that is in there should find us afterwards.
    described().split_for_parts().0.route(admin::SHUTDOWN, post(admin::shutdown))
}

/// All routes with what the document says of them. A route gets its path and its method where its handler is.
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

/// The one route that needs no client key, so that anything may ask whether we live.
pub(crate) const HEALTH: &str = "/api/health";

/// The time of a write.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The time of a login, in seconds.
fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
