//! `/api/about`: what this server is, for the console.

use axum::Json;
use axum::extract::State;
use http::uri::Authority;
use http::{HeaderMap, header};
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
    /// Address of the router for clients, without `/v1`: the host by which this request reached the server, and the port
    /// of the router. Absent if the request names no host. A reverse proxy may have another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    base_url: Option<String>,
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
    "audit_events",
    "catalogue_events",
    "short_status",
    "inflight",
    "if_match",
    "plan_changes",
    "short_requests",
    "request_bodies",
    "export",
    "export_search",
    "attempts",
    "replay",
    "playground",
    "metrics_series",
    "metrics_by_key",
    "metrics_by_status",
    "routes",
    "keys",
    "prices",
    "usage",
    "settings_schema",
    "doctor",
    "storage",
    "log_search",
    "log_download",
];

/// Describes this server.
#[utoipa::path(
    get, path = "/api/about", tag = "about",
    responses((status = 200, description = "What this server is", body = About)),
)]
pub(super) async fn about(State(app): State<App>, headers: HeaderMap) -> Json<About> {
    let router_port = app.fleet.now().router_port;
    Json(About {
        version: env!("CARGO_PKG_VERSION"),
        instance: app.about.instance.clone(),
        boot_id: app.about.boot_id.clone(),
        dashboard: console::build(),
        token_required: !app.keys.is_empty(),
        features: FEATURES,
        surfaces: Api::ALL.map(Api::as_str).to_vec(),
        router_port,
        base_url: host(&headers).map(|host| {
            let scheme = if app.sessions.is_secure() { "https" } else { "http" };
            format!("{scheme}://{host}:{router_port}")
        }),
        time_zone: jiff::tz::TimeZone::system().iana_name().map(ToOwned::to_owned),
        now: unix_ms(),
    })
}

/// Returns the host that a request names, without its port. IPv6 addresses have brackets.
fn host(headers: &HeaderMap) -> Option<String> {
    let authority: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    Some(authority.host().to_owned()).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_that_of_the_request() {
        for (given, expected) in [
            ("127.0.0.1:3002", Some("127.0.0.1")),
            ("box.lan", Some("box.lan")),
            ("[::1]:3002", Some("[::1]")),
            ("", None),
            ("a b", None),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, given.parse().unwrap())]);
            assert_eq!(host(&headers).as_deref(), expected, "{given}");
        }
        assert_eq!(host(&HeaderMap::new()), None);
    }

    #[test]
    fn features_are_named_once() {
        let names: std::collections::BTreeSet<_> = FEATURES.iter().collect();
        assert_eq!(names.len(), FEATURES.len());
    }
}
