//! `/api/settings/pending`: changes of settings that wait for a restart.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use signalbox_store::settings;
use utoipa::ToSchema;

use super::known::{Known, typed};
use super::{HOST, PORT};
use crate::live::StartedWith;
use crate::{App, Error};

/// The service that the settings are of.
const SERVICE: &str = "provider-router";

/// Settings whose values are not in effect yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PendingSettings {
    pending: Vec<PendingSetting>,
    /// The services that have to be restarted.
    services: Vec<&'static str>,
}

/// A setting whose value is not in effect yet.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct PendingSetting {
    key: &'static str,
    /// The value after the restart.
    value: Value,
    /// The value in effect.
    running: Value,
    /// The service that has to be restarted.
    service: &'static str,
}

/// Lists the settings that wait for a restart. A service that does not run takes them over when it starts.
#[utoipa::path(
    get, path = "/api/settings/pending", tag = "settings",
    responses((status = 200, description = "The settings, and the services to restart", body = PendingSettings)),
)]
pub(crate) async fn pending(State(app): State<App>) -> Result<Json<PendingSettings>, Error> {
    let Some(started) = app.runtime.started_with() else {
        return Ok(Json(PendingSettings { pending: Vec::new(), services: Vec::new() }));
    };
    let mut pending = Vec::new();
    for key in [PORT, HOST] {
        let stored = settings::get(&app.store, key).await?.map(|row| typed(key, row.value));
        let value = stored.or_else(|| Known::of(key)?.default(&app)).unwrap_or_default();
        pending.extend(waiting(key, value, &started));
    }
    let services = if pending.is_empty() { Vec::new() } else { vec![SERVICE] };
    Ok(Json(PendingSettings { pending, services }))
}

/// Returns the setting if the router was started with another value.
fn waiting(key: &'static str, value: Value, started: &StartedWith) -> Option<PendingSetting> {
    let (started_with, running): (Value, Value) = match key {
        PORT => (started.port.into(), started.actual_port.unwrap_or(started.port).into()),
        _ => (started.host.as_str().into(), started.host.as_str().into()),
    };
    (value != started_with).then_some(PendingSetting { key, value, running, service: SERVICE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_waits_if_the_router_was_started_with_another_one() {
        let started = StartedWith { host: "127.0.0.1".to_owned(), port: 3001, actual_port: Some(3005) };
        let port = |port: u16| waiting(PORT, port.into(), &started);
        assert_eq!(port(3001), None, "another port was taken because this one was in use");
        let changed = PendingSetting { key: PORT, value: 4000.into(), running: 3005.into(), service: SERVICE };
        assert_eq!(port(4000), Some(changed));
        assert_eq!(waiting(HOST, "127.0.0.1".into(), &started), None);
        assert_eq!(waiting(HOST, "0.0.0.0".into(), &started).unwrap().running, "127.0.0.1");
    }
}
