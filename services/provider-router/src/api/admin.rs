//! `/v1/admin`: routes for operators on this machine, or with the control token.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};
use signalbox_daemon::{PeerAddr, admin};

use super::error::ApiError;
use crate::app::App;

/// `POST /v1/admin/shutdown`: stops accepting connections, drains and exits, as after SIGTERM. A supervising api-server
/// starts a new process instead; `POST /api/proxy/stop` of api-server stops the router permanently.
pub(super) async fn shutdown(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    let peer = request.extensions().get::<PeerAddr>();
    admin::request_shutdown(&app.shutdown, &app.control, peer, request.headers()).await?;
    Ok(Json(json!({ "success": true, "message": "Shutting down" })))
}
