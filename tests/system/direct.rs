//! Requests that pass to a provider without translation.

use http::Method;
use serde_json::{Value, json};
use signalbox_fakes::Turn;
use signalbox_harness::Launch;

use crate::apis::logged;
use crate::gateway::Gateway;

const REQUESTS: [(&str, &str); 5] = [
    ("/v1/completions", "prompt"),
    ("/v1/embeddings", "input"),
    ("/v1/moderations", "input"),
    ("/v1/rerank", "query"),
    ("/v1/responses/compact", "input"),
];

#[tokio::test]
async fn only_the_model_changes_and_every_request_is_logged() {
    let gateway = Gateway::of("openai", Launch::default()).await;
    for (path, field) in REQUESTS {
        let body = format!(r#"{{ "model":"fake/m", "{field}" : "h\u0069", "x":1.50 }}"#);
        let answer = gateway.router.request(Method::POST, path, body.clone()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let call = gateway.fake.calls().pop().unwrap();
        assert_eq!((&*call.path, &*call.body), (path, body.replace("fake/m", "m").as_bytes()), "{path}");
        let row = logged(&gateway, &answer).await;
        assert_eq!(
            (&row["path"], &row["status"], &row["model"]),
            (&json!(path), &json!("completed"), &json!("fake/m"))
        );
        assert_eq!(row["response"]["openai_response"], answer.json(), "{path}");
        assert_eq!(row["response"]["prompt_tokens"], 3, "{path}: {row}");
    }
}

#[tokio::test]
async fn a_stream_of_completions_passes_byte_for_byte() {
    let gateway = Gateway::of("openai", Launch::default()).await;
    let chunk = |text: &str, reason: Value| {
        let choice = json!({"text": text, "index": 0, "finish_reason": reason});
        format!("data: {}\n\n", json!({"id": "cmpl-1", "object": "text_completion", "choices": [choice]}))
    };
    let stream = [chunk("on", Value::Null), chunk("ce", json!("stop")), "data: [DONE]\n\n".to_owned()].concat();
    for split in [1, 7, 4096] {
        gateway.fake.script("m", Turn::raw("text/event-stream", stream.clone()).split(split));
        let request = json!({"model": "fake/m", "prompt": "hi", "stream": true});
        let answer = gateway.router.post("/v1/completions", &request).await;
        assert!(answer.complete && answer.text() == stream, "{split}: {}", answer.text());
        let row = logged(&gateway, &answer).await;
        assert_eq!(row["status"], "completed", "{row}");
        let text = &row["response"]["openai_response"]["choices"][0]["message"]["content"];
        assert_eq!(text, "once", "{row}");
        assert_eq!(row["response"]["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn a_whole_completion_becomes_the_stream_that_was_asked_for() {
    let gateway = Gateway::of("openai", Launch::default()).await;
    let whole =
        "{\"object\":\"text_completion\",\n\"choices\":[{\"text\":\"once\",\"index\":0,\"finish_reason\":\"stop\"}]}";
    gateway.fake.script("m", Turn::raw("application/json", whole.to_owned()));
    let request = json!({"model": "fake/m", "prompt": "hi", "stream": true});
    let answer = gateway.router.post("/v1/completions", &request).await;
    assert_eq!(answer.header("content-type"), "text/event-stream", "{}", answer.text());
    assert_eq!(answer.text(), format!("data: {}\n\ndata: [DONE]\n\n", whole.replace('\n', " ")));
    let row = logged(&gateway, &answer).await;
    assert_eq!(row["status"], "completed", "{row}");
    assert_eq!(row["response"]["openai_response"]["choices"][0]["message"]["content"], "once", "{row}");
}

#[tokio::test]
async fn odd_json_costs_no_answer_and_an_error_at_the_start_of_a_stream_is_one() {
    let gateway = Gateway::of("openai", Launch::default()).await;
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    for odd in [r#"{"data":[{"embedding":[NaN,-Infinity]}]}"#.to_owned(), format!(r#"{{"x":{deep},"error":null}}"#)] {
        gateway.fake.script("m", Turn::raw("application/json", odd.clone()));
        let answer = gateway.router.post("/v1/embeddings", &json!({"model": "fake/m", "input": "hi"})).await;
        assert_eq!((answer.status, answer.text()), (200, odd));
    }
    let error = "data: {\"error\":{\"message\":\"busy\",\"code\":503}}\n\n";
    gateway.fake.script("m", Turn::raw("text/event-stream", error));
    let request = json!({"model": "fake/m", "prompt": "hi", "stream": true});
    let answer = gateway.router.post("/v1/completions", &request).await.expect(503);
    assert!(answer.text().contains("busy"), "{}", answer.text());
    assert_eq!(logged(&gateway, &answer).await["status"], "failed");
}

#[tokio::test]
async fn what_cannot_be_sent_or_used_is_an_error_in_the_clients_form() {
    let gateway = Gateway::of("openai", Launch::default()).await;
    for (path, field) in REQUESTS {
        let without = gateway.router.post(path, &json!({"model": "fake/m", "stream": false})).await.expect(400);
        assert_eq!(
            (&without.json()["error"]["param"], &without.json()["error"]["type"]),
            (&json!(field), &json!("invalid_request_error"))
        );
        gateway.router.request(Method::POST, path, "{").await.expect(400);
        gateway.router.get(path).await.expect(405);
        // The built-in provider has none of these routes.
        let echo = gateway.router.post(path, &json!({"model": "echo", field: "hi"})).await.expect(400);
        assert_eq!(echo.json()["error"]["code"], "route_not_supported", "{path}: {}", echo.text());
        assert_eq!(logged(&gateway, &echo).await["status"], "failed");
    }
    for (turn, status, words) in [
        (Turn::error(429), 429, "rate"),
        (Turn::raw("application/json", r#"{"error":{"message":"no such thing","code":404}}"#), 404, "no such thing"),
        (Turn::raw("application/json", r#"{"error":"no such thing","data":[[1.5]]}"#), 502, "no such thing"),
        (Turn::raw("text/html", "<html>"), 502, "neither json nor"),
        (Turn::raw("text/event-stream", "data: {}\n\n"), 502, "event stream"),
    ] {
        gateway.fake.script("m", turn);
        let answer = gateway.router.post("/v1/embeddings", &json!({"model": "fake/m", "input": "hi"})).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().to_lowercase().contains(words), "{}", answer.text());
        assert_eq!(logged(&gateway, &answer).await["status"], "failed");
    }
}
