//! `/v1/admin`: administration from this machine only, as in the other two services.

use axum::Json;
use axum::extract::{Request, State};
use serde_json::{Value, json};
use signalbox_daemon::{PeerAddr, admin};

use super::{App, Error};

/// Path of the shutdown route.
pub(crate) const SHUTDOWN: &str = "/v1/admin/shutdown";

/// Stops the services, then this process. Equivalent to SIGTERM, also on platforms without signals.
pub(super) async fn shutdown(State(app): State<App>, request: Request) -> Result<Json<Value>, Error> {
    let peer = request.extensions().get::<PeerAddr>();
    admin::request_shutdown(&app.shutdown, &app.control, peer, request.headers()).await?;
    Ok(Json(json!({ "success": true, "message": "Shutting down" })))
}
