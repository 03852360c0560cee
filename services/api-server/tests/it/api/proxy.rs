//! Tests of `/api/proxy`, with children that become ready.

use http::Method;
use serde_json::{Value, json};

use crate::site::{Site, test_children};

async fn until(site: &Site, status: &str) -> Value {
    loop {
        let body = site.get("/api/proxy/status").await.expect(200);
        if body["status"] == status {
            return body;
        }
        assert_ne!(body["status"], "error", "{body}");
        // Without the database the request never waits, so yield explicitly.
        tokio::task::yield_now().await;
    }
}

fn idle_child() -> Value {
    json!({
        "running": false, "port": 0, "pid": null, "uptime": 0, "state": "stopped", "error": null,
        "healthy": false, "generation": 0, "restarts": 0, "failures": 0, "willRestart": false, "nextRetryAt": null,
        "lastFailure": null, "adopted": false, "seq": 0,
        "stats": {"cpu_percent": null, "rss_bytes": null, "open_files": null, "threads": null},
    })
}

#[tokio::test]
async fn the_status_without_services_is_stopped() {
    let site = Site::new().await;
    let body = site.get("/api/proxy/status").await.expect(200);
    let child = idle_child();
    assert_eq!((&body["status"], &body["message"]), (&"stopped".into(), &"Proxy servers are not running".into()));
    assert_eq!((&body["providerRouter"], &body["qwenProxy"]), (&child, &child));
    assert_eq!((&body["providers"]["total"], &body["providers"]["enabled"]), (&3.into(), &2.into()));
    assert_eq!(body["models"]["items"][0]["status"], "active");
    assert_eq!(body["credentials"], json!({"valid": false, "expiresAt": null}));
    assert_eq!((&body["extensionConnected"], &body["database"]), (&false.into(), &"ok".into()));
    assert!(body.get("success").is_none());

    let mut short = site.get("/api/proxy/status?view=short").await.expect(200);
    short["providers"] = body["providers"].clone();
    short["models"] = body["models"].clone();
    assert_eq!(short, body, "only the lists are left out");
    let mistakes = site.get("/api/proxy/status?view=long").await.mistakes();
    assert_eq!(mistakes, ["view must be one of: short"]);

    let stopped = site.call(Method::POST, "/api/proxy/stop", None).await.expect(200);
    assert_eq!((&stopped["success"], &stopped["status"]), (&true.into(), &"stopped".into()));
    assert_eq!(stopped["message"], "Proxy servers are not running");
    site.close().await;
}

#[tokio::test]
async fn both_services_are_started_restarted_and_stopped() {
    let site = Site::with(&[], test_children()).await;
    let starting = site.post("/api/proxy/start", json!({})).await.expect(200);
    assert_eq!((&starting["success"], &starting["status"]), (&true.into(), &"starting".into()));
    assert!(starting["message"].as_str().unwrap().starts_with("Proxy servers are starting"));

    let running = until(&site, "running").await;
    assert_eq!(running["message"], "All proxy servers are running");
    for child in ["providerRouter", "qwenProxy"] {
        let child = &running[child];
        assert_eq!((&child["running"], &child["state"]), (&true.into(), &"running".into()));
        assert!(child["pid"].as_u64().unwrap() > 0 && child["port"].as_u64().unwrap() > 0);
    }

    let again = site.post("/api/proxy/start", json!({})).await.expect(200);
    assert_eq!((&again["status"], &again["message"]), (&"running".into(), &"Proxy servers are already running".into()));
    assert_eq!(again["providerRouter"]["pid"], running["providerRouter"]["pid"]);

    let restarted = site.post("/api/proxy/restart", json!({})).await.expect(200);
    assert_eq!((&restarted["status"], &restarted["message"]), (&"running".into(), &"Proxy servers restarted".into()));
    assert_ne!(restarted["providerRouter"]["pid"], running["providerRouter"]["pid"]);
    assert_ne!(restarted["qwenProxy"]["pid"], running["qwenProxy"]["pid"]);

    let one = site.post("/api/proxy/restart", json!({"service": "provider-router"})).await.expect(200);
    assert_eq!(one["message"], "provider-router restarted");
    assert_ne!(one["providerRouter"]["pid"], restarted["providerRouter"]["pid"]);
    assert_eq!(one["qwenProxy"]["pid"], restarted["qwenProxy"]["pid"]);
    for bad in [json!({"service": "nginx"}), json!({"services": 1})] {
        site.post("/api/proxy/restart", bad).await.expect(400);
    }

    let stopped = site.post("/api/proxy/stop", json!({})).await.expect(200);
    assert_eq!((&stopped["status"], &stopped["success"]), (&"stopped".into(), &true.into()));
    assert_eq!(stopped["message"], "Proxy servers stopped successfully");
    assert_eq!(stopped["providerRouter"]["pid"], Value::Null);
    site.close().await;
}

#[tokio::test]
async fn a_failed_start_reports_its_reason() {
    let site = Site::new().await;
    let body = site.post("/api/proxy/start", json!({})).await.expect(500);
    assert_eq!(
        (&body["success"], &body["status"], &body["code"]),
        (&false.into(), &"error".into(), &"spawn_failed".into())
    );
    let body = site.get("/api/proxy/status").await.expect(200);
    assert_eq!((&body["status"], &body["providerRouter"]["state"]), (&"error".into(), &"error".into()));
    assert_eq!(body["providerRouter"]["lastFailure"]["code"], "spawn_failed");
    let reason = "cannot run /nonexistent/provider-router: No such file or directory (os error 2)";
    assert_eq!(body["providerRouter"]["error"], reason);
    assert!(body["message"].as_str().unwrap().starts_with(reason), "{body}");
    site.close().await;
}

#[tokio::test]
async fn lifecycle_does_not_need_the_database() {
    let site = Site::with(&[], test_children()).await;
    site.store.close().await;
    site.post("/api/proxy/start", json!({})).await.expect(200);
    let body = until(&site, "running").await;
    assert_eq!((&body["database"], &body["providers"]["total"]), (&"unavailable".into(), &0.into()));
    site.post("/api/proxy/stop", json!({})).await.expect(200);
    site.close().await;
}

#[tokio::test]
async fn a_server_in_shutdown_starts_nothing() {
    let mut site = Site::new().await;
    site.close_fleet().await;
    let child = idle_child();
    let reason = "api-server is shutting down";
    let message = format!("{reason}. Start it again first");
    assert_eq!(
        site.post("/api/proxy/start", json!({})).await.expect(500),
        json!({"success": false, "status": "error", "error": reason, "message": message,
               "providerRouter": child, "qwenProxy": child})
    );
    site.close().await;
}

#[tokio::test]
async fn one_service_is_started_and_stopped() {
    let site = Site::with(&[], test_children()).await;
    let starting = site.post("/api/proxy/start", json!({"service": "provider-router"})).await.expect(200);
    assert_eq!(starting["message"], "provider-router is starting");
    let partial = until(&site, "partial").await;
    assert_eq!((&partial["providerRouter"]["state"], &partial["qwenProxy"]), (&"running".into(), &idle_child()));
    let again = site.post("/api/proxy/start", json!({"service": "provider-router"})).await.expect(200);
    assert_eq!(again["message"], "provider-router is already running");

    site.post("/api/proxy/start", json!({"service": "qwen-proxy"})).await.expect(200);
    let running = until(&site, "running").await;
    assert_eq!(running["providerRouter"]["pid"], partial["providerRouter"]["pid"]);

    let stopped = site.post("/api/proxy/stop", json!({"service": "provider-router"})).await.expect(200);
    assert_eq!(
        (&stopped["status"], &stopped["message"]),
        (&"partial".into(), &"provider-router stopped successfully".into())
    );
    assert_eq!(stopped["qwenProxy"]["pid"], running["qwenProxy"]["pid"]);
    let again = site.post("/api/proxy/stop", json!({"service": "provider-router"})).await.expect(200);
    assert_eq!(again["message"], "provider-router is not running");
    for command in ["start", "stop"] {
        let mistakes = site.post(&format!("/api/proxy/{command}"), json!({"service": "nginx"})).await.mistakes();
        assert_eq!(mistakes, ["service must be one of: provider-router, qwen-proxy"]);
    }
    site.post("/api/proxy/stop", json!({})).await.expect(200);
    site.close().await;
}
