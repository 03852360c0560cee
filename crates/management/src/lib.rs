//! The management API: configuration and logs over HTTP.
//!
//! The API works on the store alone, so that every service with access to the store can mount it; api-server mounts it
//! at `/api`, provider-router at `/v1`.
//!
//! # Layout
//! - One file per resource: the types of its responses, then its handlers. [`routes()`] mounts them all.
//! - [`app`](App): state of the handlers. `views`: models and log entries as several resources show them.
//!   `config_values`: values of a provider's configuration, from and to JSON.
//! - [`error`]: status codes and error formats. [`form`], [`query`]: bodies and queries, with every mistake reported
//!   at once, each with its field (`mistake`). [`extract`]: extractors for them. [`once`]: rejects duplicate names. `cursor`: the position in a paged
//!   list.
//! - `precondition`: versions of resources, `ETag` and `If-Match`.
//! - [`doctor`]: the documents of the doctor of provider-router.
//! - [`live`]: requests in flight and activity of a router, as [`Runtime`] reports them.
//! - `bodies`, `filters`, [`error_schemas`]: request bodies, parameters of lists and error responses; the OpenAPI
//!   document describes the same types.
//!
//! # Invariants
//! - Times are Unix milliseconds, except those of logins at chat.qwen.ai, which are seconds.
//! - A secret is returned only if the request has `mask=false`, and a mask that is sent back never overwrites the
//!   secret.
//! - Handlers never call a provider. The state of a running router comes from [`Runtime`].

mod activity;
mod app;
mod audit;
mod bodies;
mod config_values;
mod cursor;
pub mod doctor;
mod done;
pub mod error;
pub mod error_schemas;
mod explain;
pub mod extract;
mod filters;
pub mod form;
mod keys;
pub mod live;
mod metrics;
mod mistake;
mod models;
pub mod once;
mod parameter;
mod precondition;
mod prices;
mod prompt_cache;
mod provider_config;
mod provider_models;
mod provider_types;
mod providers;
pub mod query;
mod qwen_credentials;
mod requests;
mod responses;
mod routes;
mod sessions;
pub mod settings;
mod sweep;
mod usage;
mod version;
mod views;

use axum::extract::FromRef;
use utoipa::openapi::path::Paths;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

pub use self::app::{App, Pending, Runtime, Statuses};
pub use self::error::Error;
pub use self::mistake::FieldMistake;
pub use self::providers::find;
pub use self::requests::key as request_key;
pub use self::routes::{problems, shared_name};
pub use self::views::ModelView;

/// Path of the login at chat.qwen.ai, the only route that browser extensions may call.
pub const CREDENTIALS: &str = "/api/qwen/credentials";

/// Prefix of the routes below one provider.
const PROVIDER_PREFIX: &str = "/api/providers/{id}/";
/// Prefix of the aliases of these routes, for old dashboards that omit the `providers` segment.
pub const PROVIDER_ALIAS_PREFIX: &str = "/api/{id}/";

/// Returns all routes below `/api`, with their descriptions.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    App: FromRef<S>,
{
    let router = OpenApiRouter::new()
        .routes(routes!(providers::list, providers::create))
        .routes(routes!(provider_types::list))
        .routes(routes!(providers::get, providers::update, providers::delete))
        .routes(routes!(providers::enable))
        .routes(routes!(providers::disable))
        .routes(routes!(models::list, models::create))
        .routes(routes!(models::get, models::update, models::delete))
        .routes(routes!(sessions::list, sessions::delete_expired))
        .routes(routes!(sessions::get, sessions::delete))
        .routes(routes!(sessions::of_chat))
        .routes(routes!(sessions::requests))
        .routes(routes!(requests::list))
        .routes(routes!(requests::export::export))
        .routes(routes!(requests::in_flight::list_in_flight))
        .routes(routes!(requests::in_flight::cancel))
        .routes(routes!(requests::get, requests::delete))
        .routes(routes!(explain::explain))
        .routes(routes!(explain::attempts))
        .routes(routes!(requests::body::body))
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
        .routes(routes!(usage::sums))
        .routes(routes!(audit::list))
        .routes(routes!(metrics::series))
        .routes(routes!(metrics::top))
        .routes(routes!(metrics::facets))
        .routes(routes!(prices::get, prices::put, prices::delete))
        .routes(routes!(routes::list, routes::create))
        .routes(routes!(sweep::clear_cache))
        .routes(routes!(sweep::reset_breakers))
        .routes(routes!(routes::get, routes::update, routes::delete))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::get, keys::update, keys::delete))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::revoke))
        .routes(routes!(settings::list))
        .routes(routes!(settings::schema::schema))
        .routes(routes!(settings::pending::pending))
        .routes(routes!(settings::put_many))
        .routes(routes!(settings::get, settings::put, settings::delete));
    let below_provider = [
        routes!(provider_config::get, provider_config::put),
        routes!(provider_config::patch, provider_config::delete),
        routes!(provider_models::list, provider_models::link),
        routes!(provider_models::unlink),
        routes!(provider_models::set_default),
    ];
    below_provider.into_iter().fold(router, with_short_path)
}

/// Mounts a route of one provider at its own path and at its alias.
fn with_short_path<S>(router: OpenApiRouter<S>, (schemas, paths, methods): UtoipaMethodRouter<S>) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let mut short = Paths::new();
    short.paths = paths
        .paths
        .iter()
        .map(|(path, item)| (path.replacen(PROVIDER_PREFIX, PROVIDER_ALIAS_PREFIX, 1), item.clone()))
        .collect();
    router.routes((schemas, paths, methods.clone())).routes((Vec::new(), short, methods))
}
