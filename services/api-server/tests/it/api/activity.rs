//! Tests of `/api/activity`.

use serde_json::json;

use super::log::{answered, failed, now, record};
use crate::site::{Site, on_both};

on_both!(the_newest_requests_are_told, figures_are_made);

async fn the_newest_requests_are_told(site: &Site) {
    assert_eq!(
        site.get("/api/activity/recent").await.expect(200),
        json!({"activities": [], "total": 0, "limit": 20, "next_cursor": null})
    );
    let at = now() - 65_000;
    record(site, &[answered("r1", at), failed("r2", at + 1)]).await;
    let body = site.get("/api/activity/recent?limit=2").await.expect(200);
    assert_eq!((&body["total"], &body["limit"]), (&json!(2), &json!(2)));
    assert_eq!(
        body["activities"][1],
        json!({"id": "r1", "type": "api_request", "action": "completed",
               "description": "API request to /v1/chat/completions (model: echo)", "timestamp": "1 minute ago",
               "timestamp_ms": at,
               "metadata": {"method": "POST", "path": "/v1/chat/completions", "status": "success", "duration_ms": 40,
                            "session_id": "s1", "request_id": "r1", "finish_reason": "stop"}})
    );
    let failed = &body["activities"][0];
    assert_eq!((&failed["action"], &failed["metadata"]["status"]), (&json!("failed"), &json!("error")));
    assert!(failed["metadata"]["error"].is_string(), "{failed}");
    assert_eq!(site.get("/api/activity/recent?limit=0").await.mistakes(), ["limit must be between 1 and 1000"]);
}

async fn figures_are_made(site: &Site) {
    let empty = site.get("/api/activity/stats").await.expect(200);
    assert_eq!(
        empty["stats"],
        json!({"total_api_requests": 0, "avg_response_time_ms": 0, "active_sessions": 0, "recent_errors": 0,
               "total_providers": 3, "total_models": 2, "requests_last_hour": 0, "requests_last_day": 0,
               "success_rate_percent": 100, "total_cost_usd": 0.0, "unpriced": 0})
    );
    let at = now();
    let long_ago = at - 100_000_000;
    record(site, &[answered("r1", at), answered("r2", at - 4_000_000), failed("r3", at), failed("r4", long_ago)]).await;
    let stats = site.get("/api/activity/stats").await.expect(200)["stats"].clone();
    for (name, number) in [
        ("total_api_requests", 4),
        ("avg_response_time_ms", 40),
        ("recent_errors", 1),
        ("requests_last_hour", 2),
        ("requests_last_day", 3),
        ("success_rate_percent", 67),
        ("unpriced", 2),
    ] {
        assert_eq!(stats[name], number, "{name} of {stats}");
    }
    assert_eq!(stats["total_cost_usd"], 0.003);
}
