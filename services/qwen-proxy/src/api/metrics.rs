//! `GET /metrics`, in OpenMetrics or the Prometheus text format.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use signalbox_daemon::exposition;
use signalbox_store::qwen_turns;
use tokio::time::{Duration, timeout};

use super::health::resident_bytes;
use crate::{app::App, clock};

/// Timeout of the database, after which the number of sessions keeps its last value.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let count = timeout(DATABASE_TIMEOUT, qwen_turns::count(&app.store, clock::unix_ms())).await;
    let text = app.metrics.text(count.ok().and_then(Result::ok), resident_bytes());
    let (kind, text) = exposition(&headers, text);
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
