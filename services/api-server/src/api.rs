//! The REST interface: all routes on one screen, one file per resource.
//!
//! # Layout
//! - A resource's file holds the shapes of its answers, then its handlers.
//! - [`error`]: status codes and error shapes. - `form`, `query`: bodies and queries, every mistake reported at once.
//!   - `extract`: taking them out of a request.
//! - `openapi`: the document that describes all this, made of the handlers and their types; `bodies`: what forms accept, for it.
//!
//! # Invariants
//! - Times are Unix milliseconds, those of logins at chat.qwen.ai seconds; what a person may change is written through the
//!   store and nowhere else.
//! - A secret leaves only where somebody asked for `mask=false`, and the mask coming back never overwrites it.
//! - Handlers do not wait for providers: a catalogue that is slow to reach must not make its own repair slow.

mod activity;
mod admin;
mod audit;
mod bodies;
mod config;
mod cursor;
mod docs;
mod done;
pub mod error;
mod extract;
mod filters;
mod form;
mod health;
mod logs;
mod model_sync;
mod models;
mod openapi;
mod provider_config;
mod provider_models;
mod provider_runtime;
mod provider_types;
mod providers;
pub(crate) mod proxy;
mod query;
mod qwen_credentials;
mod refusals;
mod requests;
mod responses;
mod sessions;
pub(crate) mod settings;

use axum::Router;
use axum::routing::post;
use signalbox_daemon::Shutdown;
use signalbox_store::{Sealer, Store};
use tokio::sync::broadcast;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::admin::SHUTDOWN;
pub use self::error::Error;
pub(crate) use self::extract::body_limit;
pub(crate) use self::models::ModelView;
pub(crate) use self::settings::requires_restart;
use crate::events::Extensions;
use crate::fleet::Fleet;
use crate::logs::LogDir;

/// What handlers work with. Clones share everything.
#[derive(Clone, Debug)]
pub struct App {
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
    /// Where the router listens unless a setting says otherwise.
    pub router_host: String,
    /// See `router_host`.
    pub router_port: u16,
    /// Bytes of the largest body.
    pub body_limit: usize,
    /// When to leave.
    pub shutdown: Shutdown,
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
        .routes(routes!(providers::list, providers::create))
        .routes(routes!(provider_types::list))
        .routes(routes!(providers::get, providers::update, providers::delete))
        .routes(routes!(providers::enable))
        .routes(routes!(providers::disable))
        .routes(routes!(provider_runtime::test))
        .routes(routes!(provider_runtime::reload))
        .routes(routes!(models::list, models::create))
        .routes(routes!(model_sync::all))
        .routes(routes!(model_sync::one))
        .routes(routes!(models::get, models::update, models::delete))
        .routes(routes!(sessions::list, sessions::delete_expired))
        .routes(routes!(sessions::get, sessions::delete))
        .routes(routes!(sessions::requests))
        .routes(routes!(requests::list))
        .routes(routes!(requests::get, requests::delete))
        .routes(routes!(responses::list))
        .routes(routes!(responses::stats))
        .routes(routes!(responses::get, responses::delete))
        .routes(routes!(responses::of_request))
        .routes(routes!(responses::of_session))
        .routes(routes!(qwen_credentials::put, qwen_credentials::get, qwen_credentials::delete_all))
        .routes(routes!(qwen_credentials::delete))
        .routes(routes!(qwen_credentials::activate))
        .routes(routes!(activity::recent))
        .routes(routes!(activity::stats))
        .routes(routes!(audit::list))
        .routes(routes!(config::export))
        .routes(routes!(config::apply))
        .routes(routes!(settings::list))
        .routes(routes!(settings::put_many))
        .routes(routes!(settings::get, settings::put, settings::delete));
    let below_provider = [
        routes!(provider_config::get, provider_config::put),
        routes!(provider_config::patch, provider_config::delete),
        routes!(provider_models::list, provider_models::link),
        routes!(provider_models::unlink),
        routes!(provider_models::set_default),
    ];
    below_provider.into_iter().fold(router, openapi::with_short_path)
}

/// The one route that needs no client key, so that anything may ask whether we live.
pub(crate) const HEALTH: &str = "/api/health";

/// The login at chat.qwen.ai; the one route to which browser extensions come.
pub(crate) const CREDENTIALS: &str = "/api/qwen/credentials";

/// The time of a write.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The time of a login, in seconds.
fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
