//! Faults of a provider are reported to the client, recorded, and never look like a complete answer.

use std::time::Duration;

use signalbox_fakes::{ClosedPort, End, Turn, script::FaultKind};
use signalbox_harness::{Events, Launch};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::gateway::{CHAT, Gateway, chat, error_of, recorded_text, request_id};

/// Requests `model` in both modes and checks the error and the row. The client receives no part of an answer.
async fn refused(gateway: &Gateway, model: &str, status: u16, code: Option<&str>) {
    for stream in [true, false] {
        let answer = gateway.router.post(CHAT, &chat(model, stream)).await;
        let error = error_of(&answer, status);
        if let Some(code) = code {
            assert_eq!(error["code"], code, "{model}, stream {stream}");
        }
        let row = gateway.stack.recorded(&request_id(&answer)).await;
        assert_eq!((row["status"].as_str(), row["stream"].as_bool()), (Some("failed"), Some(stream)), "{row}");
        assert!(row["response"]["error"].as_str().is_some_and(|error| !error.is_empty()), "{row}");
    }
}

/// Reads a stream that breaks after `words`, and checks the client's view and the log.
async fn breaks(gateway: &Gateway, mut events: Events, words: &[&str]) {
    assert_eq!(events.status, 200);
    let id = events.header("x-request-id").to_owned();
    for word in words {
        assert_eq!(events.next_text().await.as_deref(), Some(*word));
    }
    let finished = events.finish().await;
    let raw = String::from_utf8_lossy(&finished.raw).into_owned();
    assert!(!raw.contains("[DONE]"), "{raw}");
    assert!(!finished.complete, "a broken stream ended like a complete one: {raw}");
    assert!(finished.folded.error.is_some(), "{raw}");
    let row = gateway.stack.recorded(&id).await;
    assert_eq!(row["status"], "truncated", "{row}");
    assert_eq!(recorded_text(&row), words.concat());
}

#[tokio::test]
async fn fc_49_a_provider_that_refuses_is_502() {
    let gateway = Gateway::start().await;
    let closed = ClosedPort::take().unwrap();
    gateway.stack.add_provider("dead", &closed.url().unwrap()).await;
    refused(&gateway, "dead/m", 502, Some("upstream_connect")).await;
}

#[tokio::test]
async fn fc_50_a_reset_or_a_close_before_the_head_is_502() {
    let gateway = Gateway::start().await;
    refused(&gateway, "fake/fake-reset", 502, None).await;
    refused(&gateway, "fake/fake-close", 502, None).await;
}

#[tokio::test]
async fn fc_51_a_reset_in_mid_stream_is_an_error_event_and_a_broken_connection() {
    let gateway = Gateway::start().await;
    // The reset must not overtake the data sent before it.
    let gate = gateway.fake.script("m", Turn::echo().gated().after(3, FaultKind::Reset));
    gate.release(2);
    let events = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
    gate.release(1);
    breaks(&gateway, events, &["one ", "two "]).await;
}

#[tokio::test]
async fn fc_51_a_close_in_mid_stream_is_an_error_event_and_a_broken_connection() {
    let gateway = Gateway::start().await;
    let events = gateway.router.stream(CHAT, &chat("fake/fake-close-3", true)).await;
    breaks(&gateway, events, &["one ", "two "]).await;
}

#[tokio::test]
async fn an_end_without_finish_reason_and_done_is_a_broken_stream() {
    let gateway = Gateway::start().await;
    let begun = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \"},\"finish_reason\":null}]}\n\n";
    gateway.fake.script("half", Turn::raw("text/event-stream", begun));
    let events = gateway.router.stream(CHAT, &chat("fake/half", true)).await;
    breaks(&gateway, events, &["one "]).await;
}

#[tokio::test]
async fn an_error_event_in_mid_stream_is_sent_once_and_ends_the_answer() {
    let gateway = Gateway::start().await;
    let said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \"},\"finish_reason\":null}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n";
    gateway.fake.script("done", Turn::raw("text/event-stream", format!("{said}{error}data: [DONE]\n\n")));
    for model in ["fake/fake-error-3", "fake/done"] {
        let mut events = gateway.router.stream(CHAT, &chat(model, true)).await;
        let id = events.header("x-request-id").to_owned();
        assert_eq!(events.next_text().await.as_deref(), Some("one "));
        let finished = events.finish().await;
        let raw = String::from_utf8_lossy(&finished.raw).into_owned();
        assert!(finished.complete && !finished.folded.done, "{model}: {raw}");
        assert_eq!(raw.matches("\"error\":").count(), 1, "{model}: {raw}");
        let row = gateway.stack.recorded(&id).await;
        assert_eq!(row["status"], "failed", "{model}: {row}");
        assert!(recorded_text(&row).starts_with("one "), "{model}: {row}");
    }
}

#[tokio::test]
async fn unusual_chunks_without_an_end_event_are_complete_with_a_truncated_log() {
    let config = "[journal]\nmax_answer_bytes = \"64B\"\n";
    let gateway = Gateway::launch(Launch::default().config("provider-router", config)).await;
    let text = "x".repeat(2 << 20);
    let odd = format!(
        "data: {{\"id\":null,\"choices\":[{{\"index\":null,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n\
         data: {{\"choices\":[{{\"delta\":null,\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":1.0,\"completion_tokens\":\"2\"}}}}\n\n"
    );
    gateway.fake.script("odd", Turn::raw("text/event-stream", &odd));
    let events = gateway.router.stream(CHAT, &chat("fake/odd", true)).await;
    let id = events.header("x-request-id").to_owned();
    let finished = events.finish().await;
    assert!(finished.complete && finished.folded.error.is_none());
    assert_eq!(finished.raw, odd.as_bytes());
    let row = gateway.stack.recorded(&id).await;
    assert_eq!(row["status"], "completed", "{row}");
    assert_eq!(row["response"]["completion_tokens"], 2, "{row}");
}

#[tokio::test]
async fn an_error_event_before_anything_else_is_an_error_answer() {
    let gateway = Gateway::start().await;
    // The code of the error, overloaded, determines the status.
    refused(&gateway, "fake/fake-error", 503, None).await;
}

#[tokio::test]
async fn fc_52_a_stall_before_the_head_is_504_and_in_mid_stream_a_broken_stream() {
    let config = "[upstream]\nheaders_timeout = \"300ms\"\nidle_timeout = \"300ms\"\n";
    let gateway = Gateway::launch(Launch::default().config("provider-router", config)).await;
    refused(&gateway, "fake/fake-stall", 504, None).await;
    gateway.fake.until(|fake| fake.calls_of("fake-stall").iter().all(|call| call.end() == Some(End::ClientLeft))).await;
    let events = gateway.router.stream(CHAT, &chat("fake/fake-stall-3", true)).await;
    breaks(&gateway, events, &["one ", "two "]).await;
    gateway.fake.until(|fake| fake.calls_of("fake-stall-3")[0].end() == Some(End::ClientLeft)).await;
}

#[tokio::test]
async fn fc_53_a_429_is_passed_on_with_its_retry_after() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask("fake/fake-429").await;
    assert_eq!(error_of(&answer, 429)["code"], "rate_limit_exceeded");
    assert_eq!(answer.header("retry-after"), "2");
    assert_eq!(gateway.stack.recorded(&request_id(&answer)).await["status"], "failed");
}

#[tokio::test]
async fn fc_54_a_status_of_the_provider_is_passed_on_with_its_body() {
    let gateway = Gateway::start().await;
    for status in [400, 404, 500, 503] {
        let answer = gateway.ask(&format!("fake/fake-{status}")).await;
        let message = error_of(&answer, status)["message"].to_string();
        assert!(message.contains(&format!("responds with {status}")), "{message}");
    }
    gateway.fake.script("page", Turn { status: 503, ..Turn::raw("text/html", "<h1>down</h1>") });
    error_of(&gateway.ask("fake/page").await, 503);
}

#[tokio::test]
async fn fc_55_an_invalid_answer_is_502() {
    let gateway = Gateway::start().await;
    for model in ["fake-html", "fake-badjson", "fake-empty"] {
        refused(&gateway, &format!("fake/{model}"), 502, Some("upstream_invalid_response")).await;
    }
}

#[tokio::test]
async fn fc_56_an_endless_line_is_a_broken_stream() {
    let gateway = Gateway::start().await;
    let events = gateway.router.stream(CHAT, &chat("fake/fake-endlessline", true)).await;
    let finished = events.finish().await;
    assert!(!finished.complete && !finished.folded.done && finished.folded.error.is_some());
    gateway.fake.until(|fake| fake.calls_of("fake-endlessline")[0].end() == Some(End::ClientLeft)).await;
}

#[tokio::test]
async fn fc_57_a_slow_response_head_is_504_at_its_deadline() {
    let config = "[upstream]\nheaders_timeout = \"300ms\"\n";
    let gateway = Gateway::launch(Launch::default().config("provider-router", config)).await;
    refused(&gateway, "fake/fake-drip-50", 504, None).await;
}

#[tokio::test]
async fn fc_57_an_answer_of_single_bytes_arrives_whole() {
    let gateway = Gateway::start().await;
    let finished = gateway.router.stream(CHAT, &chat("fake/fake-drip-0", true)).await.finish().await;
    assert!(finished.complete && finished.folded.done);
    assert_eq!(finished.folded.text, "one two three");
}

#[tokio::test]
async fn fc_58_a_whole_answer_without_an_end_is_502() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask("fake/fake-endlessline").await;
    // The first bytes show that it is not JSON.
    assert_eq!(error_of(&answer, 502)["code"], "upstream_invalid_response");
    gateway.fake.until(|fake| fake.calls_of("fake-endlessline")[0].end() == Some(End::ClientLeft)).await;
    assert_eq!(gateway.stack.recorded(&request_id(&answer)).await["status"], "failed");
}

#[tokio::test]
async fn fc_58_a_whole_answer_over_the_limit_is_502() {
    let gateway = Gateway::start().await;
    let body = format!("{{\"choices\":[],\"padding\":\"{}\"}}", "x".repeat(65 << 20));
    gateway.fake.script("large", Turn::raw("application/json", body));
    assert_eq!(error_of(&gateway.ask("fake/large").await, 502)["code"], "upstream_too_large");
}

#[tokio::test]
async fn fc_59_a_wrong_content_length_is_502() {
    let gateway = Gateway::start().await;
    for model in ["fake/fake-short", "fake/fake-long"] {
        let answer = gateway.ask(model).await;
        error_of(&answer, 502);
        assert_eq!(gateway.stack.recorded(&request_id(&answer)).await["status"], "failed", "{model}");
    }
    // Excess bytes must not be taken for the answer to the next request.
    assert_eq!(gateway.ask("fake/m").await.expect(200).json()["model"], "m");
}

#[tokio::test]
async fn fc_62_a_redirect_is_502_and_not_followed() {
    let gateway = Gateway::start().await;
    let elsewhere = format!("{}/elsewhere", gateway.fake.url());
    gateway.fake.script("moved", Turn { status: 307, ..Turn::raw("text/plain", "") }.header("location", &elsewhere));
    refused(&gateway, "fake/moved", 502, None).await;
    assert!(gateway.fake.calls().iter().all(|call| call.path == CHAT), "{:?}", gateway.fake.calls());
}

#[tokio::test]
async fn fc_62_an_unrequested_upgrade_is_502() {
    let gateway = Gateway::start().await;
    gateway.fake.script("switch", Turn { status: 101, ..Turn::raw("text/plain", "") }.header("upgrade", "other/1"));
    refused(&gateway, "fake/switch", 502, None).await;
}

#[tokio::test]
async fn fc_63_a_disconnect_in_mid_stream_cancels_the_provider_request() {
    let gateway = Gateway::start().await;
    let gate = gateway.fake.script("m", Turn::echo().gated());
    gate.release(3);
    let mut events = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
    let id = events.header("x-request-id").to_owned();
    assert_eq!(events.next_text().await.as_deref(), Some("one "));
    assert_eq!(events.next_text().await.as_deref(), Some("two "));
    drop(events);
    // Nothing more is released: only the disconnect of the client can end this call.
    gateway.fake.until(|fake| fake.calls_of("m")[0].end() == Some(End::ClientLeft)).await;
    let row = gateway.stack.recorded(&id).await;
    assert_eq!((row["status"].as_str(), recorded_text(&row).as_str()), (Some("client_disconnected"), "one two "));
}

#[tokio::test]
async fn fc_64_a_disconnect_before_the_head_cancels_the_provider_request() {
    let gateway = Gateway::start().await;
    let body = chat("fake/fake-stall", true).to_string();
    let mut client = TcpStream::connect(("127.0.0.1", gateway.router.port())).await.unwrap();
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all([head, body].concat().as_bytes()).await.unwrap();
    gateway.fake.until(|fake| !fake.calls_of("fake-stall").is_empty()).await;
    drop(client);
    gateway.fake.until(|fake| fake.calls_of("fake-stall")[0].end() == Some(End::ClientLeft)).await;
    let cancelled = signalbox_harness::eventually("the row of the cancelled request", async || {
        let list = gateway.stack.api.get("/api/requests").await.expect(200).json();
        let id = list["requests"][0]["request_id"].as_str()?.to_owned();
        let row = gateway.stack.api.get(&format!("/api/requests/{id}")).await.expect(200).json();
        (row["status"] != "pending").then_some(row)
    })
    .await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
}

#[tokio::test]
async fn i12_disconnects_leak_no_upstream_connection() {
    let gateway = Gateway::start().await;
    for _ in 0..20 {
        let mut events = gateway.router.stream(CHAT, &chat("fake/fake-endless", true)).await;
        events.next_text().await.unwrap();
    }
    let left = |end: Option<End>| end == Some(End::ClientLeft);
    gateway.fake.until(|fake| fake.calls_of("fake-endless").iter().filter(|call| left(call.end())).count() == 20).await;
    gateway.fake.until(|fake| fake.connections() == 0).await;
}

#[tokio::test]
async fn fc_65_a_client_that_does_not_read_causes_backpressure() {
    let gateway = Gateway::start().await;
    let mut events = gateway.router.stream(CHAT, &chat("fake/fake-endless", true)).await;
    events.next_text().await.unwrap();
    let sent = || gateway.fake.calls_of("fake-endless")[0].events_sent;
    // The provider sends as fast as possible; once all buffers on the way are full, it cannot send more.
    signalbox_harness::eventually("backpressure at the provider", async || {
        let before = sent();
        tokio::time::sleep(Duration::from_millis(300)).await;
        (sent() == before).then_some(())
    })
    .await;
    assert_eq!(gateway.router.get("/health/live").await.status, 200);
    assert!(events.next_text().await.is_some());
}
