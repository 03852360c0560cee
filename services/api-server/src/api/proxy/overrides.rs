//! Settings that override the configuration of the router.

use signalbox_store::settings;

use crate::api::App;
use crate::fleet::Overrides;

/// Reads the overrides. Without the database the router starts as configured.
pub(super) async fn of(app: &App) -> Overrides {
    let rows = settings::list(&app.store).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read the settings, starting the services without them");
        Vec::new()
    });
    let mut overrides = Overrides::default();
    for row in rows {
        match row.key.as_str() {
            "server.host" => overrides.router_host = Some(row.value),
            "server.port" => overrides.router_port = row.value.parse().ok(),
            _ => {}
        }
    }
    overrides
}
