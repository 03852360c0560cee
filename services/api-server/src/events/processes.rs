//! `process:stats`: resources that the services use.

use std::time::Duration;

use serde_json::{Value, json};

use super::payload;
use super::room::Topic;
use crate::app::App;

/// The events.
pub(super) const PROCESSES: Topic = Topic {
    subscribe: "process:subscribe",
    unsubscribe: "process:unsubscribe",
    event: "process:stats",
    error: "process:error",
    path: "/api/proxy/status",
    period: Duration::from_secs(2),
};

/// Measures the processes. The values are where the status has them.
pub(super) async fn stats(app: App) -> Value {
    let now = app.fleet.now();
    let stats = app.meter.measure(&now).await;
    let one = |pid: Option<u32>| json!({ "pid": pid, "stats": stats.of(pid) });
    let all = stats.sum(now.workers.iter().map(|worker| worker.snapshot.pid));
    let mut router = json!({ "pid": now.router.pid, "stats": all });
    if now.workers.len() > 1 {
        let workers = now.workers.iter().map(|worker| {
            let pid = worker.snapshot.pid;
            json!({ "name": worker.name, "pid": pid, "stats": stats.of(pid) })
        });
        router["workers"] = workers.collect();
    }
    json!({
        "providerRouter": router,
        "qwenProxy": one(now.qwen.pid),
        "apiServer": one(Some(std::process::id())),
        "timestamp": payload::timestamp(),
    })
}
