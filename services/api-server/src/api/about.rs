//! `/api/about`: what this server is, for the console.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::Api;
use signalbox_daemon::clock::unix_ms;
use utoipa::ToSchema;

use super::App;
use crate::console;

/// Identity and abilities of this server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct About {
    version: &'static str,
    /// Name of the machine, to tell several servers apart.
    instance: String,
    /// Changes with each start of api-server.
    boot_id: String,
    /// Changes with the console that is built in.
    dashboard: &'static str,
    /// Whether the control token is asked for.
    token_required: bool,
    /// Parts of the API that not every version has.
    features: &'static [&'static str],
    /// APIs that clients can speak: `chat`, `messages`, `responses`.
    surfaces: Vec<&'static str>,
    /// Port on which the router answers clients.
    router_port: u16,
    /// Time zone of the server, such as `Europe/Berlin`; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    time_zone: Option<String>,
    /// Present time of the server, Unix milliseconds.
    now: i64,
}

/// Parts of the API that not every version has.
const FEATURES: &[&str] = &[
    "session",
    "service_commands",
    "process_stats",
    "metrics_tick",
    "request_events",
    "inflight",
    "if_match",
    "plan_changes",
];

/// Describes this server.
#[utoipa::path(
    get, path = "/api/about", tag = "about",
    responses((status = 200, description = "What this server is", body = About)),
)]
pub(super) async fn about(State(app): State<App>) -> Json<About> {
    Json(About {
        version: env!("CARGO_PKG_VERSION"),
        instance: app.about.instance.clone(),
        boot_id: app.about.boot_id.clone(),
        dashboard: console::build(),
        token_required: !app.keys.is_empty(),
        features: FEATURES,
        surfaces: Api::ALL.map(Api::as_str).to_vec(),
        router_port: app.fleet.now().router_port,
        time_zone: jiff::tz::TimeZone::system().iana_name().map(ToOwned::to_owned),
        now: unix_ms(),
    })
}
