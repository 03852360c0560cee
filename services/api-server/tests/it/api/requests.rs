//! Tests of `/api/requests`.

use serde_json::{Value, json};

use super::log::{answered, failed, now, record};
use crate::site::{Site, on_both};

on_both!(
    one_is_shown_with_its_answer,
    filters_combine,
    what_was_said_is_found_page_by_page,
    one_is_deleted_with_its_answer,
    mistakes_are_reported
);

const UUID: &str = "12ab5678-0000-7000-8000-000000000001";

async fn one_is_shown_with_its_answer(site: &Site) {
    let at = now();
    record(site, &[answered(UUID, at)]).await;
    let body = site.get(&format!("/api/requests/{UUID}")).await.expect(200);
    let id = body["id"].as_i64().unwrap();
    let request = json!({"id": id, "request_id": UUID, "session_id": "s1", "timestamp": at, "method": "POST",
        "path": "/v1/chat/completions", "model": "echo", "stream": false, "status": "completed", "provider_id": "echo",
        "openai_request": {"model": "echo", "messages": []}, "qwen_request": null, "created_at": 0,
        "key_id": null, "key_name": null});
    let mut whole = request.clone();
    whole["response"] = json!({"id": body["response"]["id"], "request_id": id, "session_id": "s1",
        "response_id": UUID, "timestamp": at + 40, "qwen_response": null,
        "openai_response": {"id": "c1"}, "parent_id": null, "completion_tokens": 4, "prompt_tokens": 3,
        "total_tokens": 7, "tokens": {"input": 3, "cache_read": 0, "cache_write_short": 0, "cache_write_long": 0,
            "input_audio": 0, "input_image": 0, "output": 4, "reasoning": 0, "output_audio": 0, "output_image": 0,
            "adjusted": false},
        "cost": {"amount_usd": 0.0015, "origin": "computed", "price_version": "2026-11-29"}, "translation": null,
        "finish_reason": "stop", "error": null, "duration_ms": 40, "first_byte_ms": 5,
        "status_code": 200, "provider_id": "echo", "attempts": 1, "truncated": false, "created_at": 0});
    assert_eq!(body, whole);
    assert_eq!(site.get(&format!("/api/requests/{id}")).await.expect(200), whole);

    let mut listed = request;
    listed["response_summary"] = json!({"response_id": UUID, "finish_reason": "stop",
        "total_tokens": 7, "duration_ms": 40, "cost_usd": 0.0015, "status_code": 200, "error": null});
    assert_eq!(
        site.get("/api/requests").await.expect(200),
        json!({"requests": [listed], "total": 1, "limit": 50, "offset": 0, "has_more": false, "next_cursor": null})
    );
}

async fn filters_combine(site: &Site) {
    let at = now();
    let mut pending = failed("r3", at + 3000);
    pending.ended = None;
    record(site, &[answered("r1", at), failed("r2", at + 1000), pending]).await;
    let found = async |query: &str| {
        let body = site.get(&format!("/api/requests?{query}")).await.expect(200);
        let ids = body["requests"].as_array().unwrap().iter().map(|row| row["request_id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>().join(" "), body["has_more"].as_bool().unwrap())
    };
    assert_eq!(found("").await, ("r3 r2 r1".to_owned(), false));
    assert_eq!(found("limit=1&offset=1").await, ("r2".to_owned(), true));
    assert_eq!(found("session_id=s2&stream=true&model=gpt&status=failed").await.0, "r2");
    assert_eq!(found("session_id=s1&stream=true").await.0, "");
    assert_eq!(found(&format!("start_date={}&end_date={}&model=gpt", at + 500, at + 2000)).await.0, "r2");
    assert_eq!(found("provider_id=echo&status=completed").await.0, "r1");

    let body = site.get("/api/requests?status=pending").await.expect(200);
    assert_eq!(body["requests"][0]["response_summary"], Value::Null);
    // A body that was not JSON is shown as text.
    assert_eq!(body["requests"][0]["openai_request"], "not JSON");
}

async fn what_was_said_is_found_page_by_page(site: &Site) {
    let at = now();
    let log: Vec<_> = (0..40)
        .map(|n| {
            let mut exchange = answered(&format!("r{n:02}"), at + n);
            if n % 10 == 5 {
                exchange.begun.request_body =
                    json!({"messages": [{"role": "user", "content": "Où est le CHAT ?"}]}).to_string().into();
            }
            exchange
        })
        .collect();
    record(site, &log).await;
    let page = async |query: &str| site.get(&format!("/api/requests?limit=2&q=le+chat{query}")).await.expect(200);
    let found = |body: &Value| -> Vec<String> {
        body["requests"].as_array().unwrap().iter().map(|row| row["request_id"].as_str().unwrap().to_owned()).collect()
    };
    let first = page("").await;
    assert_eq!(found(&first), ["r35", "r25"]);
    let facts = |body: &Value| ["total", "scanned", "complete", "has_more", "limit"].map(|name| body[name].clone());
    assert_eq!(facts(&first), [json!(40), json!(15), json!(false), json!(true), json!(2)]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = page(&format!("&cursor={cursor}")).await;
    assert_eq!(found(&second), ["r15", "r05"]);
    let cursor = second["next_cursor"].as_str().unwrap();
    let last = page(&format!("&cursor={cursor}")).await;
    assert_eq!((found(&last), last["next_cursor"].clone()), (vec![], Value::Null));
    assert_eq!(facts(&last), [json!(40), json!(5), json!(true), json!(false), json!(2)]);
    // Requests excluded by other filters are not even scanned.
    let narrow = page(&format!("&end_date={}&session_id=s1", at + 9)).await;
    assert_eq!((found(&narrow), &narrow["scanned"]), (vec!["r05".to_owned()], &json!(10)));
    assert_eq!(page("&session_id=s2").await["scanned"], 0);
    let skipped = page("&offset=20").await;
    assert_eq!((found(&skipped), &skipped["scanned"]), (vec!["r15".to_owned(), "r05".to_owned()], &json!(15)));
    let mistakes = site.get(&format!("/api/requests?offset=-1&q={}", "x".repeat(501))).await.mistakes();
    assert_eq!(mistakes, ["offset must be a non-negative number", "q must have at most 500 characters"]);
}

async fn one_is_deleted_with_its_answer(site: &Site) {
    record(site, &[answered("r1", now())]).await;
    let deleted = json!({"success": true, "message": "Request deleted"});
    assert_eq!(site.delete("/api/requests/r1").await.expect(200), deleted);
    assert_eq!(site.delete("/api/requests/r1").await.code(404), "request_not_found");
    assert_eq!(site.get("/api/requests/12ab").await.code(404), "request_not_found");
    assert_eq!(site.get("/api/responses").await.expect(200)["total"], 0);
}

async fn mistakes_are_reported(site: &Site) {
    assert_eq!(
        site.get("/api/requests?stream=1&start_date=yesterday&status=good&limit=x").await.mistakes(),
        [
            "stream must be true or false",
            "start_date must be a time in milliseconds",
            "status must be one of: pending, completed, failed, truncated, cancelled, client_disconnected, interrupted",
            "limit must be between 1 and 1000"
        ]
    );
}
