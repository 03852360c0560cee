//! Restarts that clients do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use signalbox_harness::{Client, eventually, processes};

use crate::{
    footprint::{descriptors, resident},
    gateway::{CHAT, Gateway, chat},
};

/// A stream of half a second: longer than a restart takes, shorter than the drain timeout.
const STREAM: &str = "fake/fake-25x20";

/// Allowed growth in bytes. The allocator keeps memory; a leak of 17 KiB per restart would exceed it in 500 restarts.
const GROWTH: u64 = 8 << 20;

/// Returns the number of restarts; set by `SIGNALBOX_RESTARTS`.
fn restarts() -> usize {
    std::env::var("SIGNALBOX_RESTARTS").ok().and_then(|count| count.parse().ok()).unwrap_or(10)
}

/// Sends requests until `over` is set; returns their number and the errors.
async fn client(router: Client, streams: bool, over: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut asked, mut wrong) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        asked += 1;
        if streams {
            let events = router.stream(CHAT, &chat(STREAM, true)).await;
            let status = events.status;
            let finished = events.finish().await;
            if status != 200 || !finished.complete || !finished.folded.done {
                wrong.push(format!("stream: {status}, complete {}", finished.complete));
            }
        } else {
            match router.try_request("POST".parse().unwrap(), CHAT, chat("echo", false).to_string()).await {
                Ok(answer) if answer.status == 200 && answer.complete => {}
                Ok(answer) => wrong.push(format!("{} {}", answer.status, answer.text())),
                Err(error) => wrong.push(error),
            }
        }
    }
    (asked, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i11_i21_restarts_under_load_refuse_no_request_cut_no_stream_and_leave_nothing_behind() {
    let gateway = Gateway::start().await;
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8).map(|n| tokio::spawn(client(gateway.router, n % 2 == 0, Arc::clone(&over)))).collect();
    let api = gateway.stack.process.pid();
    let before = gateway.stack.status().await;
    let open = descriptors(api);
    let mut memory = 0;
    for n in 0..restarts() {
        let service = json!({"service": "provider-router"});
        let answer = gateway.stack.api.post("/api/proxy/restart", &service).await.expect(200).json();
        assert_eq!(answer["status"], "running", "{answer}");
        // By now all one-time allocations have been made.
        if n == restarts() / 2 {
            memory = resident(api);
        }
    }
    let grown = resident(api).saturating_sub(memory);
    println!("{} restarts: api-server has grown by {} KiB in the second half", restarts(), grown >> 10);
    assert!(grown < GROWTH, "api-server has grown by {grown} bytes in half of {} restarts", restarts());
    over.store(true, Ordering::Relaxed);
    let mut asked = 0;
    for client in clients {
        let (times, wrong) = client.await.unwrap();
        assert_eq!(wrong, Vec::<String>::new());
        asked += times;
    }
    assert!(asked > restarts(), "only {asked} requests");
    let after = gateway.stack.status().await;
    let router = |status: &Value, what: &str| status["providerRouter"][what].as_u64().unwrap();
    assert_eq!(router(&after, "generation") - router(&before, "generation"), restarts() as u64);
    assert_eq!(router(&after, "port"), router(&before, "port"));
    assert_eq!(after["qwenProxy"]["pid"], before["qwenProxy"]["pid"]);
    eventually("the end of what was replaced", async || {
        // api-server and its two children; one or two connections of the harness may be open.
        let left = processes::of(&gateway.stack.home).len() == 3 && processes::zombies_of(api) == 0;
        (left && descriptors(api) <= open + 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn commands_for_different_services_do_not_supersede_each_other() {
    let gateway = Gateway::start().await;
    let api = gateway.stack.api;
    let before = gateway.stack.status().await;
    let restart = async |service: &str| api.post("/api/proxy/restart", &json!({"service": service})).await.expect(200);
    tokio::join!(restart("provider-router"), restart("qwen-proxy"));
    let after = gateway.stack.status().await;
    for service in ["providerRouter", "qwenProxy"] {
        let generation = |status: &Value| status[service]["generation"].as_u64().unwrap();
        assert_eq!(generation(&after), generation(&before) + 1, "{service}: {after}");
    }
}

#[tokio::test]
async fn a_router_that_fails_to_start_does_not_replace_the_running_one() {
    let gateway = Gateway::start().await;
    let before = gateway.stack.status().await;
    // With this configuration the new process cannot start.
    std::fs::write(gateway.stack.home.data().join("provider-router.toml"), "[nonsense]\n").unwrap();
    let refused =
        gateway.stack.api.post("/api/proxy/restart", &json!({"service": "provider-router"})).await.expect(500);
    let refused = refused.json();
    assert_eq!(refused["code"], "handover_failed", "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("nonsense"), "the last lines are part of the error: {refused}");
    let after = gateway.stack.status().await;
    assert_eq!(after["providerRouter"]["pid"], before["providerRouter"]["pid"]);
    assert_eq!(after["status"], "running");
    gateway.ask("echo").await.expect(200);
}
