//! The disk of all services is full for a while: both the database and the journal.

use nix::sys::signal::Signal;
use serde_json::Value;
use signalbox_harness::{CommandLine, Home, Launch, Stack, eventually};

use super::SmallDisk;
use crate::gateway::{CHAT, Gateway, chat, logged, recorded_text, request_id};

/// Number of requests while the disk is full.
const REQUESTS: usize = 10;

async fn health(gateway: &Gateway) -> Value {
    gateway.router.get("/health").await.expect(200).json()
}

#[tokio::test]
async fn an_api_server_that_dies_starts_again_on_a_full_disk() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount_sized(&home.data(), "40m") else { return };
    let mut stack = Stack::builder().launch(Launch::default().home(&home)).start().await;
    disk.fill();
    stack.process.signal(Signal::SIGKILL);
    stack.process.wait_exit().await;
    let stack = Stack::builder().launch(Launch::default().home(&home)).start().await;
    let router = stack.router().await;
    router.post(CHAT, &chat("echo", false)).await.expect(200);
    disk.free();
    eventually("the record of the api-server", async || {
        let status = CommandLine::new(&home).api_server(&["status"]).await;
        (status.code == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn fc_37_after_a_full_disk_every_service_writes_again() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount_sized(&home.data(), "40m") else { return };
    let gateway = Gateway::launch(Launch::default().home(&home)).await;
    let qwen = gateway.stack.qwen().await;
    for round in 0..3 {
        let before = (logged(&gateway.stack).await, health(&gateway).await["journal"]["unlogged"].as_u64().unwrap());
        disk.fill();
        let mut ids = Vec::new();
        for _ in 0..REQUESTS {
            ids.push(request_id(&gateway.ask("fake/m").await.expect(200)));
        }
        // The loader fails on the full disk, and so do writes of api-server; some may still fit into an allocated page.
        for number in 0..5 {
            let status =
                gateway.stack.create_provider(&format!("full-{round}-{number}"), &gateway.fake.url()).await.status;
            assert!([201, 503].contains(&status), "{status}");
        }
        // Without a login this request causes an error, which is recorded.
        qwen.post(CHAT, &chat("qwen3-max", false)).await;
        eventually("the loader to fail to write", async || {
            let health = health(&gateway).await;
            let waits = health["database"]["status"] == "degraded";
            let unlogged = health["journal"]["unlogged"].as_u64().unwrap() - before.1;
            (waits || unlogged == REQUESTS as u64).then_some(())
        })
        .await;
        disk.free();

        eventually("a write of api-server", async || {
            let answer = gateway.stack.create_provider(&format!("after-{round}"), &gateway.fake.url()).await;
            // A request answered with 503 had no effect.
            (answer.status == 201).then_some(())
        })
        .await;
        let last = request_id(&gateway.ask("fake/m").await.expect(200));
        assert_eq!(recorded_text(&gateway.stack.recorded(&last).await), "one two three");
        eventually("health `ok`", async || (health(&gateway).await["status"] == "ok").then_some(())).await;
        eventually("qwen-proxy to write to the database", async || {
            let known = qwen.get("/health").await.expect(200).json();
            (known["checks"]["database"] == "ok").then_some(())
        })
        .await;
        let errors = async || qwen.get("/health/detailed").await.expect(200).json()["errors"]["recent_count"].as_i64();
        let known = errors().await.unwrap();
        qwen.post(CHAT, &chat("qwen3-max", false)).await;
        eventually("qwen-proxy to store an error", async || errors().await.filter(|now| *now > known)).await;

        // Each answer is in the log once, or was counted as unlogged.
        let journal = health(&gateway).await["journal"].clone();
        let unlogged = journal["unlogged"].as_u64().unwrap() - before.1;
        let expected = before.0 + REQUESTS as u64 + 1 - unlogged;
        eventually("all rows", async || (logged(&gateway.stack).await >= expected).then_some(())).await;
        assert_eq!((&journal["refused"], &journal["set_aside"]), (&0.into(), &0.into()), "{journal}");
    }
}
