//! `/v1/admin`: what only this machine may ask.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};
use signalbox_daemon::{PeerAddr, admin};

use super::error::ApiError;
use crate::app::App;

/// `POST /v1/admin/shutdown`: accepts nothing any more, finishes what runs, and ends, as SIGTERM does. Under api-server a new
/// process takes its place; `POST /api/proxy/stop` there ends it for good.
pub(super) async fn shutdown(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    admin::leave(&app.shutdown, &app.control, request.extensions().get::<PeerAddr>(), request.headers())?;
    Ok(Json(json!({ "success": true, "message": "Shutting down" })))
}
