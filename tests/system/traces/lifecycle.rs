//! Lifecycle commands in logs and traces.

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use serde_json::{Value, json};
use signalbox_harness::{Launch, Stack, eventually};

use super::{
    ENDPOINT,
    collector::{Collector, Exported},
};

fn named(collector: &Collector, name: &str) -> Option<Exported> {
    collector.spans().into_iter().find(|span| span.span.name == name)
}

/// Returns the log lines of api-server that were written inside a command.
fn lines_of(stack: &Stack, command: &str) -> Vec<Value> {
    let lines = stack.process.stderr();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["span"]["name"] == "lifecycle" && line["span"]["command"] == command).collect()
}

#[tokio::test]
async fn a_lifecycle_command_has_a_span_that_is_part_of_its_request() {
    let collector = Collector::start().await;
    let launch = Launch::default().arg("--log-format").arg("json").env(ENDPOINT, collector.url());
    let stack = Stack::builder().launch(launch).start().await;
    let start = eventually("the span of the start", async || named(&collector, "start both")).await;
    assert_eq!((start.span.kind(), start.resource("service.name")), (SpanKind::Internal, "api-server".to_owned()));

    let answer = stack.api.post("/api/proxy/restart", &json!({"service": "qwen-proxy"})).await.expect(200);
    let id = answer.header("x-request-id").to_owned();
    let restart = eventually("the span of the restart", async || named(&collector, "restart qwen-proxy")).await;
    for (key, value) in [("command", "restart"), ("service", "qwen-proxy"), ("id", &*id)] {
        assert_eq!(restart.attribute(key), value, "{key}");
    }
    assert_eq!(restart.attribute("error.type"), Value::Null);
    let request = eventually("the span of the request", async || {
        collector.spans().into_iter().find(|span| span.id() == restart.parent())
    })
    .await;
    assert_eq!(request.attribute("url.path"), "/api/proxy/restart");

    // The supervisor's log lines about the child are inside the command.
    let lines = eventually("the log lines of the restart", async || {
        let lines = lines_of(&stack, "restart");
        lines.iter().any(|line| line["message"] == "the lifecycle command is done").then_some(lines)
    })
    .await;
    assert!(lines.iter().all(|line| line["span"]["service"] == "qwen-proxy" && line["span"]["id"] == *id), "{lines:?}");
    assert!(lines.iter().any(|line| line["child"] == "qwen-proxy" && line["pid"].is_u64()), "{lines:?}");

    stack.api.post("/api/proxy/stop", &json!({})).await.expect(200);
    let lines = lines_of(&stack, "stop");
    for child in ["provider-router", "qwen-proxy"] {
        assert!(lines.iter().any(|line| line["child"] == child && line["span"]["service"] == "both"), "{lines:?}");
    }
}

#[tokio::test]
async fn a_lifecycle_command_that_fails_has_a_failed_span() {
    let collector = Collector::start().await;
    let launch = Launch::default().env(ENDPOINT, collector.url());
    let stack = Stack::builder().launch(launch).start().await;
    stack.api.post("/api/proxy/stop", &json!({})).await.expect(200);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = json!({"value": taken.local_addr().unwrap().port()});
    stack.api.put("/api/settings/server.port", &port).await.expect(200);
    stack.api.post("/api/proxy/start", &json!({"autoPort": false})).await.expect(409);
    let failed = eventually("the span of the start", async || {
        collector.spans().into_iter().find(|span| span.attribute("error.type") == "PORT_IN_USE")
    })
    .await;
    assert_eq!(failed.span.name, "start both");
    assert_eq!(failed.span.status.as_ref().unwrap().code(), StatusCode::Error);
}
