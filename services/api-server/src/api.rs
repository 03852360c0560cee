//! The REST interface: all routes on one screen, one file per resource.
//!
//! # Layout
//! - A resource's file holds the shapes of its answers, then its handlers.
//! - [`error`]: status codes and error shapes. - `form`, `query`: bodies and queries, every mistake reported at once.
//!   - `extract`: taking them out of a request.
//!
//! # Invariants
//! - Times are Unix milliseconds, those of logins at chat.qwen.ai seconds; what a person may change is written through the
//!   store and nowhere else.
//! - A secret leaves only where somebody asked for `mask=false`, and the mask coming back never overwrites it.
//! - Handlers do not wait for providers: a catalogue that is slow to reach must not make its own repair slow.

mod activity;
mod audit;
mod docs;
pub mod error;
mod extract;
mod form;
mod health;
mod logs;
mod model_sync;
mod models;
mod provider_config;
mod provider_models;
mod provider_runtime;
mod provider_types;
mod providers;
pub(crate) mod proxy;
mod query;
mod qwen_credentials;
mod requests;
mod responses;
mod sessions;
pub(crate) mod settings;

use axum::Router;
use axum::routing::{delete, get, patch, post, put};
use signalbox_store::{Sealer, Store};
use tokio::sync::broadcast;

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
}

/// All routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/docs", get(docs::page))
        .route(HEALTH, get(health::health))
        .route("/api/proxy/start", post(proxy::start))
        .route("/api/proxy/stop", post(proxy::stop))
        .route("/api/proxy/restart", post(proxy::restart))
        .route("/api/proxy/status", get(proxy::status))
        .route("/api/logs/{service}", get(logs::last))
        .route("/api/providers", get(providers::list).post(providers::create))
        .route("/api/providers/types", get(provider_types::list))
        .route("/api/providers/{id}", get(providers::get).put(providers::update).delete(providers::delete))
        .route("/api/providers/{id}/enable", post(providers::enable))
        .route("/api/providers/{id}/disable", post(providers::disable))
        .route("/api/providers/{id}/test", post(provider_runtime::test))
        .route("/api/providers/{id}/reload", post(provider_runtime::reload))
        .merge(below_provider("/api/providers/{id}"))
        // The original mounted these one level too high, and half of its dashboard calls them there.
        .merge(below_provider("/api/{id}"))
        .route("/api/models", get(models::list).post(models::create))
        .route("/api/models/sync", post(model_sync::all))
        .route("/api/models/sync/{id}", post(model_sync::one))
        .route("/api/models/{id}", get(models::get).put(models::update).delete(models::delete))
        .route("/api/sessions", get(sessions::list).delete(sessions::delete_expired))
        .route("/api/sessions/{id}", get(sessions::get).delete(sessions::delete))
        .route("/api/sessions/{id}/requests", get(sessions::requests))
        .route("/api/requests", get(requests::list))
        .route("/api/requests/{id}", get(requests::get).delete(requests::delete))
        .route("/api/responses", get(responses::list))
        .route("/api/responses/stats", get(responses::stats))
        .route("/api/responses/{id}", get(responses::get).delete(responses::delete))
        .route("/api/responses/request/{id}", get(responses::of_request))
        .route("/api/responses/session/{id}", get(responses::of_session))
        .route(CREDENTIALS, post(qwen_credentials::put).get(qwen_credentials::get).delete(qwen_credentials::delete_all))
        .route("/api/qwen/credentials/{id}", delete(qwen_credentials::delete))
        .route("/api/qwen/credentials/{id}/activate", post(qwen_credentials::activate))
        .route("/api/activity/recent", get(activity::recent))
        .route("/api/activity/stats", get(activity::stats))
        .route("/api/audit", get(audit::list))
        .route("/api/settings", get(settings::list))
        .route("/api/settings/bulk", post(settings::put_many))
        .route("/api/settings/{key}", get(settings::get).put(settings::put).delete(settings::delete))
}

/// The one route that needs no client key, so that anything may ask whether we live.
pub(crate) const HEALTH: &str = "/api/health";

/// The login at chat.qwen.ai; the one route to which browser extensions come.
pub(crate) const CREDENTIALS: &str = "/api/qwen/credentials";

/// The routes below one provider.
fn below_provider(provider: &str) -> Router<App> {
    let path = |rest: &str| format!("{provider}/{rest}");
    Router::new()
        .route(&path("config"), get(provider_config::get).put(provider_config::put))
        .route(&path("config/{key}"), patch(provider_config::patch).delete(provider_config::delete))
        .route(&path("models"), get(provider_models::list).post(provider_models::link))
        .route(&path("models/{model}"), delete(provider_models::unlink))
        .route(&path("models/{model}/default"), put(provider_models::set_default))
}

/// The time of a write.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The time of a login, in seconds.
fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
