//! `/v1/admin`, as the other two services have it: what only this machine may ask.

use axum::Json;
use axum::extract::{Request, State};
use serde_json::{Value, json};
use signalbox_daemon::{PeerAddr, admin};

use super::{App, Error};

/// Where.
pub(crate) const SHUTDOWN: &str = "/v1/admin/shutdown";

/// Stops the services, and leaves: as SIGTERM does, also where there are no signals.
pub(super) async fn shutdown(State(app): State<App>, request: Request) -> Result<Json<Value>, Error> {
    admin::leave(&app.shutdown, &app.control, request.extensions().get::<PeerAddr>(), request.headers())?;
    Ok(Json(json!({ "success": true, "message": "Shutting down" })))
}
