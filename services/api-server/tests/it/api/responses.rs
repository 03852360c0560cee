//! Tests of `/api/responses`.

use serde_json::json;

use super::log::{answered, failed, now, record};
use crate::site::{Site, on_both};

on_both!(one_is_shown_with_its_request, lists_are_filtered, sums_are_made, one_is_deleted);

async fn one_is_shown_with_its_request(site: &Site) {
    let at = now();
    record(site, &[answered("r1", at)]).await;
    let body = site.get("/api/responses/r1").await.expect(200);
    let request_id = body["request_id"].as_i64().unwrap();
    assert_eq!(
        body["request"],
        json!({"id": request_id, "request_id": "r1", "model": "echo", "stream": false, "timestamp": at})
    );
    let id = body["id"].as_i64().unwrap();
    assert_eq!(site.get(&format!("/api/responses/{id}")).await.expect(200), body);

    let mut alone = body;
    alone.as_object_mut().unwrap().remove("request");
    for key in ["r1".to_owned(), request_id.to_string()] {
        assert_eq!(site.get(&format!("/api/responses/request/{key}")).await.expect(200), alone);
    }
    assert_eq!(
        site.get("/api/responses/session/s1").await.expect(200),
        json!({"responses": [alone], "session_id": "s1", "total": 1, "limit": 100, "offset": 0, "has_more": false, "next_cursor": null})
    );
}

async fn lists_are_filtered(site: &Site) {
    let at = now();
    record(site, &[answered("r1", at), failed("r2", at + 1000)]).await;
    let found = async |query: &str| {
        let body = site.get(&format!("/api/responses?{query}")).await.expect(200);
        let ids =
            body["responses"].as_array().unwrap().iter().map(|row| row["response_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("").await, "r2 r1");
    assert_eq!(found("has_error=true").await, "r2");
    assert_eq!(found("has_error=true&request_id=r1").await, "");
    assert_eq!(found("finish_reason=stop&session_id=s1").await, "r1");
    assert_eq!(found(&format!("start_date={}", at + 500)).await, "r2");
    assert_eq!(site.get("/api/responses?has_error=1").await.mistakes(), ["has_error must be true or false"]);
}

async fn sums_are_made(site: &Site) {
    let empty = json!({"total_responses": 0, "total_tokens": 0, "total_completion_tokens": 0,
                       "total_prompt_tokens": 0, "avg_duration_ms": 0, "total_cost_usd": 0.0, "unpriced": 0,
                       "success_rate": 0.0});
    assert_eq!(site.get("/api/responses/stats").await.expect(200), empty);
    let at = now();
    record(site, &[answered("r1", at), answered("r2", at), failed("r3", at)]).await;
    assert_eq!(
        site.get("/api/responses/stats").await.expect(200),
        json!({"total_responses": 3, "total_tokens": 14, "total_completion_tokens": 8, "total_prompt_tokens": 6,
               "avg_duration_ms": 40, "total_cost_usd": 0.003, "unpriced": 1, "success_rate": 66.67})
    );
    assert_eq!(site.get("/api/responses/stats?session_id=s1").await.expect(200)["success_rate"], 100.0);
}

async fn one_is_deleted(site: &Site) {
    record(site, &[answered("r1", now())]).await;
    let deleted = json!({"success": true, "message": "Response deleted"});
    assert_eq!(site.delete("/api/responses/r1").await.expect(200), deleted);
    assert_eq!(site.delete("/api/responses/r1").await.code(404), "response_not_found");
    assert_eq!(site.get("/api/responses/request/r1").await.code(404), "response_not_found");
    assert_eq!(site.get("/api/responses/request/no").await.code(404), "request_not_found");
}
