//! `/v1/admin`: administration, restricted to this machine or to holders of the control token.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::request::Parts;
use serde_json::{Value, json};
use signalbox_daemon::{PeerAddr, admin};

use super::error::ApiError;
use crate::app::App;

/// `POST /v1/admin/shutdown`: drains and exits, like SIGTERM. Under api-server a new process replaces this one;
/// its route `POST /api/proxy/stop` stops it permanently.
pub(super) async fn shutdown(State(app): State<Arc<App>>, head: Parts) -> Result<Json<Value>, ApiError> {
    admin::request_shutdown(&app.shutdown, &app.control, head.extensions.get::<PeerAddr>(), &head.headers).await?;
    Ok(Json(json!({ "success": true, "message": "Shutting down" })))
}
