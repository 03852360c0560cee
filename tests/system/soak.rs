//! Under long and varied use of the router, its resource usage does not grow.
//!
//! `SOAK_REQUESTS` sets the number of requests; `SOAK_REQUESTS=50000` takes more than ten minutes.

use serde_json::{Value, json};
use signalbox_core::schema::RequestStatus;
use signalbox_harness::{Client, Process, steadily};
use tokio::task::JoinSet;

use crate::{
    dice::{Dice, times},
    footprint::{descriptors, resident},
    gateway::CHAT,
    lone_router::LoneRouter,
};

const CLIENTS: usize = 16;
/// Number of measurements during the run. The first half is for warming up.
const LOOKS: usize = 16;
/// Allowed difference between measurements in bytes: pages of allocators and of SQLite's cache.
const SLACK: u64 = 12 << 20;
/// Models for whole answers and streams, successful and failing.
const MODELS: [&str; 10] = [
    "m",
    "m",
    "m",
    "fake-tool",
    "fake-reasoning",
    "fake-20x0",
    "fake-503",
    "fake-reset-3",
    "fake-html",
    "fake-error-2",
];
/// Words of a message.
const LENGTHS: [usize; 6] = [1, 10, 10, 100, 1000, 8000];
/// Maximum number of messages in a conversation.
const TURNS: usize = 12;

/// Resource usage of a process.
#[derive(Clone, Copy, Debug)]
struct Look {
    memory: u64,
    descriptors: usize,
}

// === impl Look ===

impl Look {
    fn at(process: &Process) -> Self {
        Self { memory: resident(process.pid()), descriptors: descriptors(process.pid()) }
    }
}

/// Sends this number of requests in conversations, and cancels some of the streams.
async fn client(router: Client, mut dice: Dice, requests: usize) {
    let mut messages: Vec<Value> = Vec::new();
    for _ in 0..requests {
        if messages.len() > TURNS || dice.below(4) == 0 {
            messages.clear();
        }
        let words: Vec<String> = (0..*dice.pick(&LENGTHS)).map(|_| dice.below(1_000_000).to_string()).collect();
        messages.push(json!({"role": "user", "content": words.join(" ")}));
        let stream = dice.below(2) == 0;
        let request = json!({"model": format!("fake/{}", dice.pick(&MODELS)), "stream": stream, "messages": messages});
        if stream && dice.below(10) == 0 {
            let mut events = router.stream(CHAT, &request).await;
            events.next_text().await;
        } else {
            // The result is covered by other tests.
            drop(router.try_request("POST".parse().unwrap(), CHAT, request.to_string()).await);
        }
        messages.push(json!({"role": "assistant", "content": "a message"}));
    }
}

#[tokio::test]
async fn i10_memory_and_descriptors_do_not_grow_with_work() {
    let requests = times("SOAK_REQUESTS", 1600);
    let mut dice = Dice::new();
    let lone = LoneRouter::configured("").await;
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(lone.client(), dice.split(), requests / (LOOKS * CLIENTS)));
        }
        clients.join_all().await;
        lone.becomes_idle().await;
        looks.push(Look::at(lone.process()));
    }
    let (warm, late) = looks[LOOKS / 2..].split_at(LOOKS / 4);
    let least = |looks: &[Look]| looks.iter().map(|look| look.memory).min().unwrap();
    assert!(least(late) <= least(warm) + SLACK, "memory grows: {looks:?}");
    let most = |looks: &[Look]| looks.iter().map(|look| look.descriptors).max().unwrap();
    assert!(most(late) <= most(warm) + CLIENTS, "descriptors grow: {looks:?}");
    steadily("the end of every row", async || {
        let pending = lone.rows(Some(RequestStatus::Pending)).await;
        if pending == 0 { Ok(()) } else { Err(pending) }
    })
    .await;
}
