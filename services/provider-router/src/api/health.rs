//! Health of the router.
//!
//! These routes call neither providers nor the database, because probes must not cost anything and must not hang. They
//! report what requests and background tasks have observed.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::breakers;
use crate::app::App;

/// `GET /health/live`: the process responds.
pub async fn live(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"status": "ok", "instance": app.instance}))
}

/// `GET /health/ready`: requests can be served, because the catalogue is loaded and streams are not being cut yet.
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    // The catalogue is loaded before the listener accepts, and a draining listener accepts no connections. New requests
    // can still arrive on open connections while streams are being cut.
    let (status, word) = if app.abort_streams.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else {
        (StatusCode::OK, "ok")
    };
    (status, Json(json!({"status": word, "instance": app.instance})))
}

/// `GET /health`: the complete state. The status is 200 even if the router is degraded, because it still serves
/// requests.
pub async fn health(State(app): State<Arc<App>>) -> Json<Value> {
    let snapshot = app.catalog.current();
    let providers: Map<String, Value> = snapshot
        .providers()
        .iter()
        .map(|provider| {
            let status = if provider.is_healthy() { "healthy" } else { "unhealthy" };
            (provider.row.name.clone(), json!({"status": status, "baseURL": provider.base_url}))
        })
        .collect();
    let ids: Vec<&str> = snapshot.providers().iter().map(|provider| provider.id.as_str()).collect();
    let loader = app.journal.loader_status();
    let problem = app.store.problem();
    let database_ok = app.catalog.database_ok() && loader.database_ok() && problem.is_none();
    // Segments set aside are safe and are retried, so they do not degrade the router. Skipped entries need an operator.
    let journal_ok = !app.journal.is_failing() && loader.skipped() == 0;
    let unreadable = snapshot.unreadable();
    let word = |ok: bool| if ok { "ok" } else { "degraded" };
    Json(json!({
        "status": word(database_ok && journal_ok && unreadable.is_none()),
        "instance": app.instance,
        "uptime": app.started.elapsed().as_secs(),
        "database": {"status": word(database_ok), "reason": problem},
        "journal": {
            "status": word(journal_ok),
            "bytes": app.journal.backlog_bytes(),
            "unlogged": app.journal.unlogged(),
            "loaded": loader.loaded(),
            "refused": loader.refused(),
            "set_aside": loader.set_aside(),
            "skipped": loader.skipped(),
        },
        "secrets": {"status": word(unreadable.is_none()), "reason": unreadable},
        "catalog": {"version": snapshot.version()},
        "connections": {"open": app.client.open_connections(), "idle": app.client.idle_connections()},
        "providers": providers,
        // Targets whose breaker is not closed, or whose provider asked to wait.
        "breakers": breakers::troubled(&app),
        "registeredProviders": ids,
    }))
}
