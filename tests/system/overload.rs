//! Requests above the limits are refused at once, in the format clients expect, and other requests are not affected.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use signalbox_fakes::{End, Turn};
use signalbox_harness::{eventually, within};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    gateway::{CHAT, chat, error_of},
    lone_router::LoneRouter,
};

#[tokio::test]
async fn requests_over_the_limit_are_503_and_permits_are_released_at_once() {
    const LIMIT: usize = 4;
    let lone = LoneRouter::configured("[limits]\nmax_in_flight = 4\n").await;
    let router = lone.client();
    let mut streams = Vec::new();
    for number in 0..LIMIT {
        let model = format!("m{number}");
        let gate = lone.fake.script(&model, Turn::echo().gated());
        // Release the first event, because the client receives nothing before it.
        gate.release(1);
        streams.push((router.stream(CHAT, &chat(&format!("fake/{model}"), true)).await, gate));
    }
    assert_eq!(lone.metric("signalbox_requests_in_flight").await, LIMIT as u64);
    for refused in 1..=3 {
        let answer = router.post(CHAT, &chat("fake/other", refused % 2 == 0)).await;
        let error = error_of(&answer, 503);
        assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("overloaded_error"), Some("overloaded")));
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        assert_eq!(lone.metric("signalbox_requests_refused_total").await, refused);
    }
    let message = json!({"model": "fake/other", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let answer = router.post("/v1/messages", &message).await;
    let error = answer.json();
    assert_eq!((answer.status, &error["error"]["type"]), (529, &json!("overloaded_error")), "{error}");
    assert!(error["type"] == "error" && error["request_id"].is_string(), "{error}");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    assert!(lone.fake.calls_of("other").is_empty());
    // Refused requests and other routes take no permit.
    assert_eq!(lone.health().await["status"], "ok");

    drop(streams.pop());
    let left = lone.fake.until(|fake| fake.calls().iter().any(|call| call.end() == Some(End::ClientLeft)));
    within("the provider to receive the request", left).await;
    router.post(CHAT, &chat("fake/other", false)).await.expect(200);
    for (events, gate) in streams {
        gate.open();
        assert!(events.finish().await.folded.done);
        router.post(CHAT, &chat("fake/other", true)).await.expect(200);
    }
    lone.becomes_idle().await;
}

#[tokio::test]
async fn large_bodies_in_flight_are_bounded_and_smaller_ones_pass() {
    // A body of 2 MiB counts twice. Three quarters of the memory are for bodies of this size, so two fit.
    let lone = LoneRouter::configured("[limits]\nmax_body_memory = \"12MiB\"\n").await;
    let post = |path: &str, body: Value, len: usize| {
        let (router, path, body) = (lone.client(), path.to_owned(), body.to_string() + &" ".repeat(len));
        tokio::spawn(async move { router.request(Method::POST, &path, body).await })
    };
    let gate = lone.fake.script("silent", Turn::echo().gated());
    let silent = chat("fake/silent", false);
    let held: Vec<_> = (0..2).map(|_| post(CHAT, silent.clone(), 2 << 20)).collect();
    within("the provider to receive them", lone.fake.until(|fake| fake.calls_of("silent").len() == 2)).await;
    let memory = lone.metric("signalbox_body_memory_bytes").await;
    assert!((7 << 20..8 << 20).contains(&memory), "{memory}");

    let refused = post(CHAT, chat("fake/other", false), 2 << 20).await.unwrap();
    let error = error_of(&refused, 503);
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("overloaded_error"), Some("overloaded")));
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    let message = json!({"model": "fake/other", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let refused = post("/v1/messages", message, 2 << 20).await.unwrap();
    let error = refused.json();
    assert_eq!((refused.status, &error["error"]["type"]), (529, &json!("overloaded_error")), "{error}");
    assert_eq!(lone.metric("signalbox_requests_refused_total").await, 2);
    assert!(lone.fake.calls_of("other").is_empty());
    for len in [0, 200 << 10] {
        post(CHAT, chat("fake/other", false), len).await.unwrap().expect(200);
    }

    gate.open();
    for answer in held {
        answer.await.unwrap().expect(200);
    }
    post(CHAT, chat("fake/other", false), 2 << 20).await.unwrap().expect(200);
    lone.becomes_idle().await;
    assert_eq!(lone.metric("signalbox_body_memory_bytes").await, 0);
}

#[tokio::test]
async fn streams_that_guardrails_hold_share_the_memory_for_bodies() {
    let config = "[limits]\nmax_body_memory = \"64KiB\"\n[guard]\nanswer_secrets = \"redact\"\n";
    let lone = LoneRouter::configured(config).await;
    let long = || Turn::says("x".repeat(200 << 10));
    let gate = lone.fake.script("slow", long().gated());
    // The role and the text.
    gate.release(2);
    let router = lone.client();
    let first = tokio::spawn(async move { router.post(CHAT, &chat("fake/slow", true)).await });
    eventually("the text to be held", async || {
        (lone.metric("signalbox_body_memory_bytes").await > 200 << 10).then_some(())
    })
    .await;
    lone.fake.script("fast", long());
    let refused = lone.client().post(CHAT, &chat("fake/fast", true)).await;
    assert_eq!(error_of(&refused, 503)["code"], "overloaded");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    // A short one fits.
    lone.client().post(CHAT, &chat("fake/short", true)).await.expect(200);
    gate.open();
    first.await.unwrap().expect(200);
    lone.client().post(CHAT, &chat("fake/fast", true)).await.expect(200);
    lone.becomes_idle().await;
    assert_eq!(lone.metric("signalbox_body_memory_bytes").await, 0);
}

#[tokio::test]
async fn fc_67_bodies_and_heads_over_their_limits_are_rejected() {
    let config = "[limits]\nmax_body = \"8KiB\"\n[server]\nmax_header_bytes = \"8KiB\"\n";
    let lone = LoneRouter::configured(config).await;
    let router = lone.client();
    let post = |len: usize| {
        let body = chat("fake/m", false).to_string();
        let padding = " ".repeat(len - body.len());
        router.request("POST".parse().unwrap(), CHAT, body + &padding)
    };
    post(8 << 10).await.expect(200);
    assert_eq!(error_of(&post((8 << 10) + 1).await, 413)["code"], "request_too_large");
    let head = |len: usize| {
        format!(
            "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-long: {}\r\n\r\n",
            "x".repeat(len)
        )
    };
    assert!(router.raw(head(4 << 10).as_bytes()).await.starts_with(b"HTTP/1.1 200 "));
    let answer = router.raw(head(64 << 10).as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    post(4 << 10).await.expect(200);
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_another_to_close() {
    const LIMIT: usize = 3;
    let lone = LoneRouter::configured("[server]\nmax_connections = 3\n").await;
    let ask = async |stream: &mut TcpStream| {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
    };
    let connect = || TcpStream::connect(("127.0.0.1", lone.client().port()));
    let mut open = Vec::new();
    // Busy connections, because idle ones would be closed to make room.
    for _ in 0..LIMIT {
        lone.fake.script("slow", Turn::echo().gated()).release(1);
        let mut stream = connect().await.unwrap();
        let body = chat("fake/slow", true).to_string();
        let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        within("the head of a stream", stream.read_exact(&mut begin)).await.unwrap();
        open.push(stream);
    }
    let mut waiting = connect().await.unwrap();
    // A short timeout can only miss an unexpected answer; it cannot fail a correct run.
    assert!(timeout(Duration::from_millis(100), ask(&mut waiting)).await.is_err());
    drop(open.pop());
    let mut begin = [0; 12];
    within("the delayed answer", waiting.read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
}

#[tokio::test]
async fn fc_71_unfinished_request_heads_are_closed_and_block_no_others() {
    const DRIPS: usize = 50;
    let lone = LoneRouter::configured("[server]\nheader_timeout = \"500ms\"\n").await;
    let mut drips = Vec::new();
    for _ in 0..DRIPS {
        let mut stream = TcpStream::connect(("127.0.0.1", lone.client().port())).await.unwrap();
        stream.write_all(format!("POST {CHAT} HTTP/1.1\r\nhost: lo").as_bytes()).await.unwrap();
        drips.push(stream);
    }
    for _ in 0..10 {
        lone.client().post(CHAT, &chat("fake/m", false)).await.expect(200);
    }
    for mut stream in drips {
        let mut rest = Vec::new();
        // Closed with or without a response.
        let end = within("the end of a connection", stream.read_to_end(&mut rest)).await;
        assert!(
            end.is_err() || rest.is_empty() || rest.starts_with(b"HTTP/1.1 408 "),
            "{}",
            String::from_utf8_lossy(&rest)
        );
    }
}
