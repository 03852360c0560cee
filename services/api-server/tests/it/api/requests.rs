//! Tests of `/api/requests`.

use axum::body::Body;
use http::{HeaderMap, Request};
use serde_json::{Value, json};

use super::log::{answered, failed, now, record};
use crate::site::{Site, on_both};

on_both!(
    one_is_shown_with_its_answer,
    filters_combine,
    what_was_said_is_found_page_by_page,
    one_is_deleted_with_its_answer,
    a_short_list_has_no_bodies,
    a_short_list_grows_in_both_directions,
    what_was_said_is_found_in_a_short_list,
    a_body_is_served_as_it_was,
    an_export_has_every_row,
    an_export_has_the_rows_with_a_text,
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
        "request_body": {"model": "echo", "messages": []}, "upstream_request": null,
        "openai_request": {"model": "echo", "messages": []}, "qwen_request": null, "created_at": 0,
        "key_id": null, "key_name": null});
    let mut whole = request.clone();
    whole["response"] = json!({"id": body["response"]["id"], "request_id": id, "session_id": "s1",
        "response_id": UUID, "timestamp": at + 40, "upstream_response": null, "response_body": {"id": "c1"},
        "qwen_response": null, "openai_response": {"id": "c1"}, "parent_id": null,
        "completion_tokens": 4, "prompt_tokens": 3, "total_tokens": 7,
        "tokens": {"input": 3, "cache_read": 0, "cache_write_short": 0, "cache_write_long": 0, "input_audio": 0,
            "input_image": 0, "output": 4, "reasoning": 0, "output_audio": 0, "output_image": 0,
            "adjusted": false},
        "cost": {"amount_usd": 0.0015, "origin": "computed", "price_version": "2026-11-29"}, "cache": null,
        "translation": null,
        "finish_reason": "stop", "error": null, "duration_ms": 40, "first_byte_ms": 5,
        "status_code": 200, "provider_id": "echo", "attempts": 1, "truncated": false, "created_at": 0});
    whole["prompt_cache"] =
        json!({"share": 0.0, "prompt_tokens": 3, "cached_tokens": 0, "previous": null, "fall": null});
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
    let many: String = (0..51).map(|n| format!("&model=m{n}")).collect();
    assert_eq!(
        site.get(&format!("/api/requests?view=long&count=no&order=up&min_ms=-1&max_ms=x&has_error=2{many}"))
            .await
            .mistakes(),
        [
            "view must be one of: short",
            "count must be true or false",
            "order must be one of: asc, desc",
            "model must have at most 50 different values",
            "min_ms must be a number of at least 0",
            "max_ms must be a number of at least 0",
            "has_error must be true or false",
        ]
    );
    assert_eq!(site.get("/api/requests/export?format=xml").await.mistakes(), ["format must be one of: ndjson, csv"]);
    assert_eq!(
        site.get("/api/requests/export?staus=gpt&model=a&model=b&limit=5").await.mistakes(),
        ["limit is not a parameter of this request", "staus is not a parameter of this request"]
    );
    let long = "x".repeat(501);
    assert_eq!(
        site.get(&format!("/api/requests/export?q={long}")).await.mistakes(),
        ["q must have at most 500 characters"]
    );
}

fn names(body: &Value) -> String {
    let rows = body["requests"].as_array().unwrap().iter();
    rows.map(|row| row["request_id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

async fn a_short_list_has_no_bodies(site: &Site) {
    let at = now();
    let mut long = failed("r2", at + 1);
    long.begun.request_body = "x".repeat(200_000).into();
    long.ended.as_mut().unwrap().error = Some("e".repeat(900));
    record(site, &[answered("r1", at), long]).await;
    let body = site.get("/api/requests?view=short").await.expect(200);
    assert!(body.to_string().len() < 2000, "{}", body.to_string().len());
    let row = &body["requests"][1];
    let expected = json!({"id": row["id"], "request_id": "r1", "session_id": "s1", "timestamp": at, "method": "POST",
        "path": "/v1/chat/completions", "model": "echo", "stream": false, "status": "completed", "provider_id": "echo",
        "key_id": null, "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost_nanos": 1_500_000,
        "first_byte_ms": 5, "duration_ms": 40, "attempts": 1, "truncated": false, "status_code": 200,
        "finish_reason": "stop", "error": null, "request_bytes": 30, "response_bytes": 11, "replay_of": null});
    assert_eq!(row, &expected);
    let failed = &body["requests"][0];
    assert_eq!((&failed["request_bytes"], &failed["response_bytes"]), (&json!(200_000), &Value::Null));
    assert_eq!((failed["error"].as_str().unwrap().len(), &failed["cost_nanos"]), (200, &Value::Null));

    let detail = site.get("/api/requests/r1?view=short").await.expect(200);
    assert_eq!((&detail["request_bytes"], &detail["response"]["tokens"]["output"]), (&json!(30), &json!(4)));
    for name in ["request_body", "upstream_request", "openai_request", "qwen_request"] {
        assert_eq!(detail.get(name), None);
    }
    assert_eq!((detail["response"].get("response_body"), detail["response"].get("openai_response")), (None, None));
    assert_eq!(site.get("/api/requests/none?view=short").await.code(404), "request_not_found");
    assert_eq!(site.get("/api/requests/r1?view=long").await.mistakes(), ["view must be one of: short"]);

    let found = async |query: &str| names(&site.get(&format!("/api/requests?view=short&{query}")).await.expect(200));
    assert_eq!(found("model=gpt&model=echo").await, "r2 r1");
    assert_eq!(found("status=failed&status=pending&provider_id=echo&provider_id=x").await, "r2");
    assert_eq!(found("has_error=false").await, "r1");
    assert_eq!(found("error=EEE&min_ms=40&max_ms=40&path=/v1/chat/completions").await, "r2");
    assert_eq!(found("path=/v1/responses").await, "");
}

async fn a_short_list_grows_in_both_directions(site: &Site) {
    let at = now();
    record(site, &(0..6).map(|n| answered(&format!("r{n}"), at + n)).collect::<Vec<_>>()).await;
    let page = async |query: &str| site.get(&format!("/api/requests?view=short&limit=2{query}")).await.expect(200);
    let first = page("&count=false").await;
    assert_eq!((names(&first), &first["total"], &first["has_more"]), ("r5 r4".to_owned(), &Value::Null, &json!(true)));
    let cursor = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();
    let second = page(&format!("&cursor={}", cursor(&first, "next_cursor"))).await;
    assert_eq!((names(&second), &second["total"]), ("r3 r2".to_owned(), &json!(6)));
    let back = page(&format!("&cursor={}", cursor(&second, "prev_cursor"))).await;
    assert_eq!((names(&back), &back["has_more"]), ("r5 r4".to_owned(), &json!(false)));
    assert_eq!(names(&page(&format!("&cursor={}", cursor(&back, "next_cursor"))).await), "r3 r2");
    // Requests that arrive later come before the first page.
    record(site, &[answered("r6", at + 6)]).await;
    assert_eq!(names(&page(&format!("&cursor={}", cursor(&first, "prev_cursor"))).await), "r6");
    let oldest = page("&order=asc").await;
    assert_eq!(names(&oldest), "r0 r1");
    let next = page(&format!("&order=asc&cursor={}", cursor(&oldest, "next_cursor"))).await;
    assert_eq!(names(&next), "r2 r3");
    assert_eq!(names(&page(&format!("&order=asc&cursor={}", cursor(&next, "prev_cursor"))).await), "r0 r1");
}

async fn what_was_said_is_found_in_a_short_list(site: &Site) {
    let at = now();
    let mut log: Vec<_> = (0..3).map(|n| answered(&format!("r{n}"), at + n)).collect();
    for n in [0, 2] {
        log[n].begun.request_body = json!({"messages": [{"role": "user", "content": "the cat"}]}).to_string().into();
    }
    record(site, &log).await;
    let body = site.get("/api/requests?view=short&q=CAT&count=false").await.expect(200);
    assert_eq!((names(&body), &body["complete"], &body["total"]), ("r2 r0".to_owned(), &json!(true), &Value::Null));
    assert_eq!(body["requests"][0].get("openai_request"), None);
}

async fn a_body_is_served_as_it_was(site: &Site) {
    let text = r#"{"model": "echo",   "messages": []}"#;
    let mut asked = answered("r1", now());
    asked.begun.request_body = text.into();
    record(site, &[asked, failed("r2", now())]).await;
    let get = async |path: &str, header: Option<(&str, &str)>| {
        let mut request = Request::get(format!("/api/requests/{path}")).header("host", "127.0.0.1:3002");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        site.whole(request.body(Body::empty()).unwrap()).await
    };
    let whole = get("r1/body/asked", None).await;
    assert_eq!((whole.0, &*whole.2), (200, text));
    let header = |answer: &(u16, HeaderMap, String), name: &str| {
        answer.1.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert_eq!(header(&whole, "content-type"), "application/json");
    assert_eq!(header(&whole, "content-length"), text.len().to_string());
    let tag = header(&whole, "etag");
    let range = get("r1/body/asked", Some(("range", "bytes=2-6"))).await;
    assert_eq!((range.0, &*range.2), (206, "model"));
    assert_eq!(header(&range, "content-range"), format!("bytes 2-6/{}", text.len()));
    let beyond = get("r1/body/asked", Some(("range", "bytes=900-"))).await;
    assert_eq!((beyond.0, header(&beyond, "content-range")), (416, format!("bytes */{}", text.len())));
    let again = get("r1/body/asked", Some(("if-none-match", &tag))).await;
    assert_eq!((again.0, &*again.2, header(&again, "etag")), (304, "", tag));
    assert_eq!(get("r1/body/sent", None).await.2, text);
    assert_eq!(get("r1/body/answered", None).await.2, r#"{"id":"c1"}"#);
    let plain = get("r2/body/asked", None).await;
    assert_eq!((&*plain.2, &*header(&plain, "content-type")), ("not JSON", "text/plain; charset=utf-8"));
    for (path, code) in [
        ("r2/body/answered", "body_not_found"),
        ("r1/body/other", "body_not_found"),
        ("none/body/asked", "request_not_found"),
    ] {
        assert_eq!(site.get(&format!("/api/requests/{path}")).await.code(404), code, "{path}");
    }
}

async fn an_export_has_the_rows_with_a_text(site: &Site) {
    let at = now();
    let mut log: Vec<_> = (0..30).map(|n| answered(&format!("r{n:02}"), at + n)).collect();
    let asks = |text: &str| format!(r#"{{"model":"echo","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    for (n, text) in [(3, "a red Fox"), (17, "the red fox"), (20, "a blue fox"), (29, "red FOXES")] {
        log[n].begun.request_body = asks(text).into();
    }
    log[29].begun.model = "other".to_owned();
    record(site, &log).await;
    let request = |method: &str, query: &str| {
        let path = format!("/api/requests/export?{query}");
        Request::builder().method(method).uri(path).header("host", "127.0.0.1:3002").body(Body::empty()).unwrap()
    };
    let ids = async |query: &str| {
        let (status, _, text) = site.whole(request("GET", query)).await;
        assert_eq!(status, 200, "{text}");
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["request_id"].as_str().unwrap().to_owned();
        text.lines().map(id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids("q=red%20fox").await, "r29 r17 r03");
    assert_eq!(ids("q=red%20fox&model=echo&order=asc").await, "r03 r17");
    assert_eq!(ids("q=green").await, "");
    let (_, _, csv) = site.whole(request("GET", "q=blue&format=csv")).await;
    assert_eq!((csv.lines().count(), csv.contains(",r20,")), (2, true), "{csv}");
    let (status, headers, _) = site.whole(request("HEAD", "q=blue")).await;
    assert_eq!((status, headers.get("x-total-count")), (200, None));
}

async fn an_export_has_every_row(site: &Site) {
    let at = now();
    let mut log: Vec<_> = (0..1203).map(|n| answered(&format!("r{n:04}"), at + n)).collect();
    log[7].begun.model = "=1+1,\"x\"".to_owned();
    log.push(failed("r9999", at + 9999));
    record(site, &log).await;
    let request = |method: &str, query: &str| {
        let path = format!("/api/requests/export?{query}");
        Request::builder().method(method).uri(path).header("host", "127.0.0.1:3002").body(Body::empty()).unwrap()
    };
    let (status, headers, text) = site.whole(request("GET", "provider_id=echo&status=completed&order=asc")).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/x-ndjson"));
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (rows.len(), &rows[0]["request_id"], &rows[1202]["request_id"]),
        (1203, &json!("r0000"), &json!("r1202"))
    );
    let (_, headers, text) = site.whole(request("HEAD", "has_error=true")).await;
    assert_eq!((headers["x-total-count"].to_str().unwrap(), &*text), ("1", ""));
    let (_, headers, text) = site.whole(request("GET", "format=csv")).await;
    assert!(headers["content-disposition"].to_str().unwrap().contains("requests.csv"));
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!((lines.len(), lines[1205]), (1206, ""));
    assert!(lines[0].starts_with("id,request_id,"), "{}", lines[0]);
    assert!(text.contains(",\"'=1+1,\"\"x\"\"\",false,completed,echo,"), "{}", lines[1197]);
    let (_, _, text) = site.whole(request("GET", "format=csv&model=none")).await;
    assert_eq!(text.lines().count(), 1);
}
