//! Requests above the limits are refused at once, and other requests are not affected.

use serde_json::json;
use signalbox_fakes::{
    End,
    qwen::{Endpoint, Turn},
};
use signalbox_harness::within;

use super::{LoneQwen, request};
use crate::gateway::{CHAT, error_of};

/// Returns the response to a chat request with this header, as text.
async fn with_header(lone: &LoneQwen, header: &str) -> String {
    let body = request("qwen3-max", false, "hello").to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    String::from_utf8_lossy(&lone.client().raw((head + &body).as_bytes()).await).into_owned()
}

#[tokio::test]
async fn requests_over_the_limit_are_503_until_one_ends() {
    const LIMIT: usize = 2;
    let lone = LoneQwen::launch(LoneQwen::logged_in().config("qwen-proxy", "[api]\nmax_in_flight = 2\n")).await;
    let (mut gates, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..LIMIT {
        // A separate gate for each stream, so that releases apply to this stream only.
        let gate = lone.site.script(Endpoint::Completion, Turn::default().gated());
        // The ids, and the first word.
        gate.release(2);
        gates.push(gate);
        let mut events = lone.client().stream(CHAT, &request("qwen3-max", true, "one two")).await;
        assert_eq!(events.next_text().await.as_deref(), Some("one "));
        streams.push(events);
    }
    for stream in [false, true] {
        let answer = lone.client().post(CHAT, &request("qwen3-max", stream, "hello")).await;
        let error = error_of(&answer, 503);
        assert_eq!((&error["type"], &error["code"]), (&json!("overloaded_error"), &json!("overloaded")));
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    }
    assert_eq!(lone.asked(Endpoint::Completion), LIMIT, "the site is not called");
    lone.client().get("/v1/models").await.expect(200);
    drop(streams.pop());
    let left = lone.site.until(|site| site.calls().iter().any(|call| call.end() == Some(End::ClientLeft)));
    within("the call to the site", left).await;
    gates.iter().for_each(signalbox_fakes::Gate::open);
    lone.client().post(CHAT, &request("qwen3-max", false, "hello")).await.expect(200);
    assert!(streams.pop().unwrap().finish().await.folded.done);
    lone.client().post(CHAT, &request("qwen3-max", true, "hello")).await.expect(200);
}

#[tokio::test]
async fn a_request_loop_is_508() {
    let lone = LoneQwen::start().await;
    let answer = with_header(&lone, "x-signalbox-hops: 4").await;
    assert!(answer.starts_with("HTTP/1.1 508") && answer.contains("loop_detected"), "{answer}");
    assert_eq!(lone.asked(Endpoint::Completion), 0);
    for header in ["x-signalbox-hops: 3", "x-signalbox-hops: many"] {
        assert!(with_header(&lone, header).await.starts_with("HTTP/1.1 200"), "{header}");
    }
    let sent = lone.site.calls_of(Endpoint::Completion).pop().unwrap();
    assert!(sent.headers.iter().all(|(name, _)| !name.starts_with("x-signalbox")), "the site sees a browser");
}
