//! `GET /metrics`: metrics for Prometheus.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use signalbox_daemon::exposition;

use crate::{app::App, metrics::Gauges};

/// Returns all metrics as text.
pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    app.metrics.set_cache_bytes(app.cache.bytes());
    app.metrics.set_streams(app.streams.held());
    let loader = app.journal.loader_status();
    let gauges = Gauges {
        in_flight: app.max_in_flight - app.in_flight.available_permits(),
        body_bytes: app.body_memory.held(),
        idle_connections: app.client.idle_connections(),
        open_connections: app.client.open_connections(),
        resent_requests: app.client.resent_requests(),
        journal_bytes: app.journal.backlog_bytes(),
        unlogged: app.journal.unlogged(),
        log_refused: loader.refused(),
        set_aside: loader.set_aside(),
        skipped: loader.skipped(),
        database_up: app.catalog.database_ok() && loader.database_ok() && app.store.problem().is_none(),
    };
    let (kind, text) = exposition(&headers, app.metrics.text(&gauges));
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
