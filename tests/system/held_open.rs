//! Clients that begin a request and never finish it do not affect other clients, on all three services.

use serde_json::{Value, json};
use signalbox_harness::{Client, Launch, Router, Stack, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gateway::{CHAT, chat};
use crate::lone_router::LoneRouter;

/// More than the maximum number of connections of a service.
const HELD: usize = 2_100;

/// Unfinished bodies, following the request line.
const UNFINISHED: [&str; 5] = [
    "content-length: 100\r\n\r\n",
    "content-length: 100\r\n\r\n{",
    "transfer-encoding: chunked\r\n\r\n",
    "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    "content-length: 100\r\nexpect: 100-continue\r\n\r\n",
];

/// For each service, a route that reads a body and a health route.
const ROUTES: [(&str, &str); 3] = [(CHAT, "/health/live"), (CHAT, "/health/live"), ("/api/providers", "/api/health")];

async fn hold(client: &Client, path: &str, unfinished: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", client.port())).await.ok()?;
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{unfinished}");
    // The connection may have been closed to make room.
    stream.write_all(head.as_bytes()).await.ok();
    Some(stream)
}

#[tokio::test]
async fn fc_71_missing_bodies_do_not_block_others() {
    let probing = "[services]\nprobe_interval = \"100ms\"\nprobe_failures = 4\n";
    let stack = Stack::builder().launch(Launch::default().config("api-server", probing)).start().await;
    let pids = |status: &Value| [status["providerRouter"]["pid"].clone(), status["qwenProxy"]["pid"].clone()];
    let before = pids(&stack.status().await);
    let clients = [stack.router().await, stack.qwen().await, Client::new(stack.api.port())];
    for (client, (path, health)) in clients.iter().zip(ROUTES) {
        let mut held = Vec::new();
        for number in 0..HELD {
            held.extend(hold(client, path, UNFINISHED[number % UNFINISHED.len()]).await);
        }
        // Longer than the supervisor takes to detect an unresponsive service.
        for _ in 0..50 {
            client.get(health).await.expect(200);
            stack.api.get("/api/health").await.expect(200);
        }
        assert!(held.len() > HELD / 2, "{}", held.len());
    }
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "still here"}]});
    clients[0].post(CHAT, &request).await.expect(200);
    let status = stack.status().await;
    assert_eq!(pids(&status), before, "{status}");
    assert_eq!(status["providerRouter"]["healthy"], true, "{status}");
}

#[tokio::test]
async fn fc_71_a_late_body_is_408_in_the_error_shape_of_the_service() {
    let server = "[server]\nbody_timeout = \"300ms\"\n";
    let launch = Launch::default().config("provider-router", server).config("qwen-proxy", server);
    let stack = Stack::builder().launch(launch.config("api-server", server)).start().await;
    let clients = [stack.router().await, stack.qwen().await, Client::new(stack.api.port())];
    for (client, (path, _)) in clients.iter().zip(ROUTES) {
        for unfinished in UNFINISHED {
            let mut stream = hold(client, path, unfinished).await.unwrap();
            let mut answer = Vec::new();
            within("the end of the connection", stream.read_to_end(&mut answer)).await.unwrap();
            let answer = String::from_utf8(answer).unwrap();
            let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path} {unfinished}: {answer}"));
            assert!(head.starts_with("HTTP/1.1 408 "), "{path} {unfinished}: {answer}");
            let error: Value = serde_json::from_str(body).unwrap();
            assert!(error["error"]["message"].as_str().unwrap().contains("did not arrive in time"), "{answer}");
            assert!(error.to_string().contains("request_timeout"), "{answer}");
        }
        // A client that sends a byte at a time, faster than the idle timeout, also exceeds the deadline.
        let mut stream = hold(client, path, UNFINISHED[0]).await.unwrap();
        let drips = async {
            let mut read = [0; 1];
            loop {
                let ended = tokio::time::timeout(std::time::Duration::from_millis(50), stream.read(&mut read)).await;
                if ended.is_ok() || stream.write_all(b" ").await.is_err() {
                    break;
                }
            }
        };
        within("the end of the drip", drips).await;
    }
}

#[tokio::test]
async fn a_request_whose_body_is_missing_is_not_in_flight() {
    let lone = LoneRouter::configured("[limits]\nmax_in_flight = 1\n").await;
    let mut held = Vec::new();
    for unfinished in UNFINISHED {
        held.push(hold(&lone.client(), CHAT, unfinished).await.unwrap());
    }
    for _ in 0..5 {
        lone.client().post(CHAT, &chat("fake/m", false)).await.expect(200);
    }
}

#[tokio::test]
async fn idle_connections_are_closed_for_new_ones() {
    let router = Router::start(Launch::default().config("provider-router", "[server]\nmax_connections = 8\n")).await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(("127.0.0.1", router.client.port())).await.unwrap();
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        within("an answer", stream.read_exact(&mut begin)).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        idle.push(stream);
    }
    router
        .client
        .post(CHAT, &json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]}))
        .await
        .expect(200);
}

#[tokio::test]
async fn repeated_slashes_match_the_same_route() {
    let stack = Stack::start().await;
    let router = stack.router().await;
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]});
    for path in ["//v1/chat/completions", "/v1//chat/completions", "//v1//chat//completions"] {
        router.post(path, &request).await.expect(200);
    }
    router.get("/v1//models").await.expect(200);
    stack.qwen().await.get("//health").await.expect(200);
    stack.api.get("//api//health").await.expect(200);
}
