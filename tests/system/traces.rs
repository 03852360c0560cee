//! Traces: the client's trace is continued, and the spans reach a collector, without any text of the conversation.

mod collector;
mod lifecycle;

use std::time::Duration;

use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use serde_json::{Value, json};
use signalbox_fakes::{FakeProvider, Turn};
use signalbox_harness::{Client, Launch, Router, Stack, eventually, ports};

use self::collector::{Collector, Exported};
use crate::{
    gateway::{CHAT, chat},
    lone_router::LoneRouter,
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Less than the 10 s that a batch may take, so that waiting for one is noticed.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(9);
/// Part of the warning about a collector whose certificate is not trusted.
const WHY_UNTRUSTED: &str = "SSL_CERT_FILE";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Sends a chat request with these header lines and returns the status line and the whole answer.
async fn ask(client: &Client, body: &Value, headers: &str) -> String {
    let body = body.to_string();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    String::from_utf8_lossy(&client.raw(request.as_bytes()).await).into_owned()
}

fn traced() -> String {
    format!("traceparent: {TRACEPARENT}\r\ntracestate: vendor=1,other=2\r\n")
}

/// Splits a `traceparent` into trace id, span id and flags.
fn parts(header: Option<&str>) -> (String, String, String) {
    let parts: Vec<&str> = header.unwrap().split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"), "{header:?}");
    (parts[1].to_owned(), parts[2].to_owned(), parts[3].to_owned())
}

#[tokio::test]
async fn the_spans_of_a_request_reach_the_collector_without_its_texts() {
    let collector = Collector::start().await;
    let (first, second) = (FakeProvider::start().await.unwrap(), FakeProvider::start().await.unwrap());
    let quoting = r#"{"error":{"message":"canary-error: one two three"}}"#;
    first.script("shared", Turn { status: 503, ..Turn::raw("application/json", quoting) });
    second.script("shared", Turn::says("canary-answer of the second"));
    let launch =
        Launch::default().env(ENDPOINT, collector.url()).env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=canary%2Dkey");
    let stack = Stack::builder().launch(launch).client_key("sk-canary-client").start().await;
    stack.api.post("/api/models", &json!({"id": "shared", "name": "Shared"})).await.expect(201);
    for (id, fake) in [("first", &first), ("second", &second)] {
        stack.add_provider(id, &fake.url()).await;
        stack.api.post(&format!("/api/providers/{id}/models"), &json!({"model_id": "shared"})).await.expect(201);
    }
    let router = stack.router().await;
    for stream in [false, true] {
        let headers = format!("authorization: Bearer sk-canary-client\r\n{}", traced());
        let answer = eventually("an answer of the second provider", async || {
            let asked = first.calls().len();
            let answer = ask(&router, &chat("shared", stream), &headers).await;
            (answer.starts_with("HTTP/1.1 200") && first.calls().len() > asked).then_some(answer)
        })
        .await;
        assert!(answer.contains("canary-answer"), "{answer}");

        // The providers were called in the client's trace, by the attempts of the router.
        let calls = [first.calls().pop().unwrap(), second.calls().pop().unwrap()];
        let sent = calls.each_ref().map(|call| parts(call.header("traceparent")));
        for (call, (trace, _, flags)) in calls.iter().zip(&sent) {
            assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"));
            assert_eq!(call.header("tracestate"), Some("vendor=1,other=2"));
        }
        assert_ne!(sent[0].1, sent[1].1);

        let spans = eventually("the spans of the request", async || {
            let spans = collector.spans();
            let attempts: Vec<Exported> =
                sent.iter().filter_map(|(_, id, _)| spans.iter().find(|span| span.id() == *id).cloned()).collect();
            let request = spans.iter().find(|span| Some(span.id()) == attempts.first().map(Exported::parent))?.clone();
            (attempts.len() == 2).then_some((request, attempts))
        })
        .await;
        let (request, attempts) = spans;
        assert_eq!((request.parent(), request.trace()), ("00f067aa0ba902b7".to_owned(), TRACE.to_owned()));
        assert_eq!((request.span.name.as_str(), request.span.kind()), ("chat shared", SpanKind::Server));
        assert_eq!(request.resource("service.name"), "provider-router");
        assert!(!request.resource("service.instance.id").is_empty() && !request.resource("service.version").is_empty());
        for (key, value) in [
            ("gen_ai.operation.name", json!("chat")),
            ("gen_ai.request.model", json!("shared")),
            ("gen_ai.provider.name", json!("second")),
            ("http.response.status_code", json!(200)),
            ("http.request.method", json!("POST")),
            ("url.path", json!(CHAT)),
            ("signalbox.attempts", json!(2)),
            ("key", json!("config-1")),
        ] {
            assert_eq!(request.attribute(key), value, "{key}");
        }
        assert_eq!(request.attribute("error.type"), Value::Null);
        if !stream {
            assert!(request.attribute("gen_ai.usage.input_tokens").is_u64());
            assert!(request.attribute("gen_ai.usage.output_tokens").is_u64());
            assert_eq!(
                attempts[1].attribute("gen_ai.usage.output_tokens"),
                request.attribute("gen_ai.usage.output_tokens")
            );
        }
        for (attempt, (provider, status)) in attempts.iter().zip([("first", 503), ("second", 200)]) {
            assert_eq!((attempt.parent(), attempt.trace()), (request.id(), TRACE.to_owned()));
            assert_eq!((attempt.span.name.as_str(), attempt.span.kind()), ("chat shared", SpanKind::Client));
            assert_eq!(attempt.attribute("gen_ai.operation.name"), "chat");
            assert_eq!(attempt.attribute("gen_ai.provider.name"), provider);
            assert_eq!(attempt.attribute("http.response.status_code"), status);
            assert!(attempt.span.start_time_unix_nano >= request.span.start_time_unix_nano);
            assert!(attempt.span.end_time_unix_nano <= request.span.end_time_unix_nano);
        }
        assert_eq!(attempts[0].attribute("error.type"), "503");
        assert_eq!(attempts[0].span.status.as_ref().unwrap().code(), StatusCode::Error);
        assert_eq!(attempts[1].attribute("error.type"), Value::Null);
        assert_eq!(attempts[1].attribute("gen_ai.response.model"), "shared");
    }
    // The other services export as well, and none of them any text.
    eventually("spans of api-server", async || {
        collector.spans().iter().any(|span| span.resource("service.name") == "api-server").then_some(())
    })
    .await;
    for text in ["canary", "one two three", "of the second"] {
        assert!(!collector.received(text), "{text} was exported");
    }
    assert!(collector.requests().iter().all(|request| request.contains("api-key: canary-key")), "the headers are sent");
}

#[tokio::test]
async fn without_a_collector_the_trace_of_the_client_is_passed_on_unchanged() {
    let launch = Launch::default().arg("--log-format").arg("json").arg("--log-level").arg("debug");
    let lone = LoneRouter::launch(launch).await;
    let router = lone.client();
    assert!(ask(&router, &chat("fake/m", false), &traced()).await.starts_with("HTTP/1.1 200"));
    let call = lone.fake.calls().pop().unwrap();
    assert_eq!(call.header("traceparent"), Some(TRACEPARENT));
    assert_eq!(call.header("tracestate"), Some("vendor=1,other=2"));
    eventually("a log line with the trace", async || {
        let lines = lone.process().stderr();
        let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.any(|line| line["span"]["trace_id"] == TRACE).then_some(())
    })
    .await;
    for headers in ["", "traceparent: 00-0-0-0\r\ntracestate: a=1\r\n", "tracestate: a=1\r\n"] {
        assert!(ask(&router, &chat("fake/m", false), headers).await.starts_with("HTTP/1.1 200"));
        let call = lone.fake.calls().pop().unwrap();
        assert_eq!((call.header("traceparent"), call.header("tracestate")), (None, None), "{headers}");
    }
}

#[tokio::test]
async fn a_request_without_a_valid_trace_begins_one_where_traces_are_exported() {
    let collector = Collector::start().await;
    let lone =
        LoneRouter::launch(Launch::default().env(ENDPOINT, collector.url()).arg("--log-level").arg("error")).await;
    let router = lone.client();
    let mut traces = Vec::new();
    for headers in ["", "traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01\r\ntracestate: a=1\r\n"] {
        assert!(ask(&router, &chat("fake/m", false), headers).await.starts_with("HTTP/1.1 200"));
        let call = lone.fake.calls().pop().unwrap();
        assert_eq!(call.header("tracestate"), None);
        let (trace, parent, _) = parts(call.header("traceparent"));
        assert_ne!(trace, TRACE);
        eventually("the span of the attempt", async || {
            collector.spans().into_iter().find(|span| span.id() == parent && span.trace() == trace)
        })
        .await;
        traces.push(trace);
    }
    assert_ne!(traces[0], traces[1]);
    // A trace that the client does not record is continued, but not recorded here either.
    let unsampled = TRACEPARENT.replace("-01", "-00");
    ask(&router, &chat("fake/m", false), &format!("traceparent: {unsampled}\r\n")).await;
    let (trace, parent, flags) = parts(lone.fake.calls().pop().unwrap().header("traceparent"));
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "00"));
    assert_ne!(parent, "00f067aa0ba902b7");
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_process_ends() {
    let collector = Collector::start().await;
    let mut router = Router::start(Launch::default().env(ENDPOINT, collector.url())).await;
    router.client.post(CHAT, &chat("nowhere/m", false)).await;
    router.process.signal(Signal::SIGTERM);
    assert!(router.process.wait_exit().await.success());
    let spans = collector.spans();
    let span = spans.iter().find(|span| span.attribute("gen_ai.request.model") == "nowhere/m").unwrap();
    assert!(span.attribute("error.type").is_string(), "{span:?}");
}

#[tokio::test]
async fn a_collector_that_is_down_or_hangs_delays_no_answer() {
    let closed = std::net::SocketAddr::from(([127, 0, 0, 1], ports::unused().unwrap()));
    // Accepts connections in its backlog and never answers.
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for addr in [closed, hanging.local_addr().unwrap()] {
        let mut router = Router::start(Launch::default().env(ENDPOINT, format!("http://{addr}"))).await;
        // Waiting for one export to the collector that hangs would take longer.
        let requests = async {
            for _ in 0..200 {
                router.client.get("/health/live").await.expect(200);
            }
        };
        tokio::time::timeout(EXPORT_TIMEOUT, requests).await.expect("requests do not wait for the collector");
        if addr == closed {
            eventually("the warning", async || router.process.stderr().contains("cannot export traces").then_some(()))
                .await;
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                router.client.get("/health/live").await.expect(200);
            }
        }
        router.process.signal(Signal::SIGTERM);
        let exit = tokio::time::timeout(EXPORT_TIMEOUT, router.process.wait_exit());
        assert!(exit.await.expect("the shutdown does not wait for the collector").success());
        assert!(router.process.stderr().matches("cannot export traces").count() <= 1, "{}", router.process.stderr());
    }
}

#[tokio::test]
async fn a_collector_with_https_is_trusted_as_the_operating_system_says() {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let collector = Collector::start_tls(&identity).await;
    let dir = tempfile::tempdir().unwrap();
    let authorities = dir.path().join("ca.pem");
    std::fs::write(&authorities, identity.cert.pem()).unwrap();
    let trusting = Launch::default().env("SSL_CERT_FILE", authorities.to_str().unwrap());
    let mut router = Router::start(trusting.env(ENDPOINT, collector.url())).await;
    router.client.post(CHAT, &chat("nowhere/m", false)).await;
    eventually("the span", async || {
        let spans = collector.spans();
        spans.iter().any(|span| span.attribute("gen_ai.request.model") == "nowhere/m").then_some(())
    })
    .await;
    router.process.signal(Signal::SIGTERM);
    assert!(router.process.wait_exit().await.success());
    assert!(!router.process.stderr().contains("cannot export traces"), "{}", router.process.stderr());

    // A certificate that is not trusted: nothing is sent, and one warning says so.
    let sent = collector.requests().len();
    let mut router = Router::start(Launch::default().env(ENDPOINT, collector.url())).await;
    for _ in 0..3 {
        router.client.post(CHAT, &chat("nowhere/m", false)).await;
        // Longer than spans wait for others.
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
    router.process.signal(Signal::SIGTERM);
    assert!(router.process.wait_exit().await.success());
    let said = router.process.stderr();
    assert_eq!(said.matches("cannot export traces").count(), 1, "{said}");
    assert!(said.contains(WHY_UNTRUSTED), "{said}");
    assert_eq!(collector.requests().len(), sent);
}

#[tokio::test]
async fn an_endpoint_that_is_not_a_url_is_refused() {
    for program in ["provider-router", "qwen-proxy", "api-server"] {
        for endpoint in ["collector", "ftp://collector:4318", "http://user:canary@collector"] {
            let (code, said) = Launch::default().env(ENDPOINT, endpoint).run_to_exit(program).await;
            assert_eq!(code, Some(78), "{said}");
            assert!(said.contains(ENDPOINT) && said.contains("such as http://127.0.0.1:4318"), "{said}");
            assert!(!said.contains("canary") && said.trim_end().lines().count() == 1, "{said}");
        }
    }
    let launch = Launch::default().env(ENDPOINT, "http://127.0.0.1:4318").env("OTEL_EXPORTER_OTLP_HEADERS", "canary");
    let (code, said) = launch.run_to_exit("provider-router").await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("OTEL_EXPORTER_OTLP_HEADERS takes") && !said.contains("canary"), "{said}");
}
