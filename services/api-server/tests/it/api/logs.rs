//! Tests of `/api/logs`.

use std::fs;

use serde_json::json;

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
