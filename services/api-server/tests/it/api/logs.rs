//! Tests of `/api/logs`.

use std::fs;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::site::Site;

#[tokio::test]
async fn the_last_lines_are_returned_oldest_first() {
    let site = Site::new().await;
    let logs = site.dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let lines = |range: std::ops::Range<u32>| range.map(|n| format!("line {n}")).collect::<Vec<_>>();
    fs::write(logs.join("qwen-proxy.log.1"), lines(0..60).join("\n") + "\n").unwrap();
    fs::write(logs.join("qwen-proxy.log"), lines(60..100).join("\n") + "\n").unwrap();

    let answer = site.get("/api/logs/qwen-proxy?lines=2").await;
    let expected = json!({"service": "qwen-proxy", "count": 2, "lines": ["line 98", "line 99"]});
    assert_eq!((answer.status, answer.body), (200, expected));
    let answer = site.get("/api/logs/qwen-proxy").await;
    assert_eq!(answer.body["lines"], json!(lines(50..100)), "50 lines, across files");
    let answer = site.get("/api/logs/provider-router").await;
    assert_eq!((answer.status, &answer.body["lines"]), (200, &json!([])), "it has written nothing");
    site.close().await;
}

/// Returns a line as a service writes it.
fn line(second: u32, level: &str, text: &str) -> String {
    format!("2026-11-29T12:00:{second:02}.250000Z {level:>5} provider_router::run: {text}\n")
}

/// Unix milliseconds of second 0 of [`line`].
const BEGIN: i64 = 1_795_953_600_250;

async fn router_log(site: &Site) -> String {
    let logs = site.dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let older = line(0, "INFO", "up port=3001") + &line(1, "ERROR", "lost") + "  at main\n";
    let newer = line(2, "WARN", "slow") + &line(3, "INFO", "Again up");
    fs::write(logs.join("provider-router.log.1"), &older).unwrap();
    fs::write(logs.join("provider-router.log"), &newer).unwrap();
    older + &newer
}

#[tokio::test]
async fn pages_go_back_and_are_filtered() {
    let site = Site::new().await;
    router_log(&site).await;
    let get = async |query: &str| site.get(&format!("/api/logs/provider-router?{query}")).await.expect(200);
    let last = |body: &Value| {
        let words = |line: &Value| line.as_str().unwrap().trim().rsplit(' ').next().unwrap().to_owned();
        body["lines"].as_array().unwrap().iter().map(words).collect::<Vec<_>>().join(" ")
    };
    let first = get("lines=2&before=9999999999999").await;
    assert_eq!((last(&first), &first["count"], &first["scanned"]), ("slow up".to_owned(), &json!(2), &json!(2)));
    let second = get(&format!("lines=2&before={}", first["before"].as_str().unwrap())).await;
    assert_eq!(last(&second), "lost main");
    let third = get(&format!("lines=2&before={}", second["before"].as_str().unwrap())).await;
    assert_eq!((last(&third), &third["before"]), ("port=3001".to_owned(), &Value::Null));

    assert_eq!(last(&get("level=warn").await), "lost main slow");
    assert_eq!(last(&get("q=UP").await), "port=3001 up");
    let both = get("q=up&level=error").await;
    assert_eq!((last(&both), &both["scanned"], &both["before"]), (String::new(), &json!(5), &Value::Null));
    assert_eq!(last(&get(&format!("before={}", BEGIN + 2000)).await), "port=3001 lost main");
    site.close().await;
}

#[tokio::test]
async fn json_lines_have_fields() {
    let site = Site::new().await;
    router_log(&site).await;
    let body = site.get("/api/logs/provider-router?format=json&lines=4").await.expect(200);
    let part = |second: i64, level: &str, message: &str| {
        json!({"time": BEGIN + second * 1000, "level": level, "target": "provider_router::run", "message": message,
            "service": null})
    };
    let more = json!({"time": null, "level": null, "target": null, "message": "  at main", "service": null});
    assert_eq!(
        body["lines"],
        json!([part(1, "error", "lost"), more, part(2, "warn", "slow"), part(3, "info", "Again up")])
    );
    fs::write(site.dir.path().join("logs/combined.log"), format!("[qwen-proxy] {}", line(4, "DEBUG", "x"))).unwrap();
    let body = site.get("/api/logs/combined?format=json").await.expect(200);
    assert_eq!((&body["lines"][0]["service"], &body["lines"][0]["level"]), (&json!("qwen-proxy"), &json!("debug")));
    site.close().await;
}

#[tokio::test]
async fn a_log_is_downloaded_whole() {
    let site = Site::new().await;
    let text = router_log(&site).await;
    let get = |path: &str| Request::get(path).header("host", "127.0.0.1:3002").body(Body::empty()).unwrap();
    let (status, headers, body) = site.whole(get("/api/logs/provider-router/download")).await;
    assert_eq!((status, body), (200, text));
    assert_eq!(headers["content-disposition"], "attachment; filename=\"provider-router.log\"");
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    let (status, _, body) = site.whole(get("/api/logs/qwen-proxy/download")).await;
    assert_eq!((status, body.len()), (200, 0), "it has written nothing");
    let answer = site.get("/api/logs/nginx/download").await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (404, &json!("log_not_found")));
    let mistakes = site.get("/api/logs/qwen-proxy/download?lines=5").await.mistakes();
    assert_eq!(mistakes, ["lines is not a parameter of this request"]);
    site.close().await;
}

#[tokio::test]
async fn wrong_parameters_are_refused() {
    let site = Site::new().await;
    for (query, mistake) in [
        ("level=loud", "level must be one of: error, warn, info, debug, trace"),
        ("format=xml", "format must be one of: json"),
        ("before=yesterday", "before must be the before of another page of the log, or a time in milliseconds"),
        ("before=-5", "before must be the before of another page of the log, or a time in milliseconds"),
        ("after=5", "after is not a parameter of this request"),
        ("q=a&q=b", "q is given twice"),
    ] {
        assert_eq!(site.get(&format!("/api/logs/combined?{query}")).await.mistakes(), [mistake], "{query}");
    }
    let long = "x".repeat(501);
    let mistakes = site.get(&format!("/api/logs/combined?q={long}")).await.mistakes();
    assert_eq!(mistakes, ["q must have at most 500 characters"]);
    site.close().await;
}

#[tokio::test]
async fn unknown_logs_and_invalid_numbers_are_rejected() {
    let site = Site::new().await;
    for name in ["nginx", "api-server.log", "..%2Fsignalbox"] {
        let answer = site.get(&format!("/api/logs/{name}")).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (404, &json!("log_not_found")), "{name}");
    }
    for lines in ["0", "-1", "5001", "many"] {
        let answer = site.get(&format!("/api/logs/combined?lines={lines}")).await;
        let errors = &answer.body["error"]["errors"];
        assert_eq!((answer.status, errors), (400, &json!(["lines must be between 1 and 5000"])), "{lines}");
    }
    site.close().await;
}
