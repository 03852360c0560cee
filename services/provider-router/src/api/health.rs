//! How the router is doing.
//!
//! Nothing here asks a provider or the database: probes must neither cost nor hang. What is told is what the traffic and
//! the background tasks have noticed.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::app::App;

/// The process answers.
pub async fn live(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"status": "ok", "instance": app.instance}))
}

/// Requests can be served: the catalogue is loaded, and the service is not on its way out.
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    // The catalogue is loaded before the listener accepts; draining listeners accept nothing new. What may still come in
    // is a request on an open connection while streams are being cut.
    let (status, word) =
        if app.cut.is_cancelled() { (StatusCode::SERVICE_UNAVAILABLE, "stopping") } else { (StatusCode::OK, "ok") };
    (status, Json(json!({"status": word, "instance": app.instance})))
}

/// Everything in one answer; 200 also when degraded, since requests are served.
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
    // What was set aside is safe and is tried again; what cannot be looked at needs a person.
    let journal_ok = !app.journal.is_failing() && loader.skipped() == 0;
    let word = |ok: bool| if ok { "ok" } else { "degraded" };
    Json(json!({
        "status": word(database_ok && journal_ok),
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
        "catalog": {"version": snapshot.version()},
        "connections": {"open": app.client.open_connections(), "idle": app.client.idle_connections()},
        "providers": providers,
        "registeredProviders": ids,
    }))
}
