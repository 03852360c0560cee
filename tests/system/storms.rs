//! Many concurrent commands.

use std::collections::HashSet;
use std::fs;
use std::pin::pin;
use std::time::Duration;

use serde_json::json;
use signalbox_harness::{Client, Launch, Stack, eventually, ports, processes, within};

/// Returns the number of commands in a test; set by `SIGNALBOX_COMMANDS`.
fn commands() -> usize {
    std::env::var("SIGNALBOX_COMMANDS").ok().and_then(|count| count.parse().ok()).unwrap_or(50)
}

/// Number of concurrent callers.
const CALLERS: usize = 10;

/// Interval between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(5);

/// Returns the inodes of the sockets that listen on a port.
fn listening(port: u16) -> HashSet<String> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // State 0A is LISTEN.
    let found = rows.filter(|row| row.len() > 9 && row[1].ends_with(&suffix) && row[3] == "0A");
    found.map(|row| row[9].to_owned()).collect()
}

/// Returns the number of router processes in this home.
fn routers(stack: &Stack) -> usize {
    let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    // The kernel truncates process names to 15 bytes.
    processes::of(&stack.home).iter().filter(|pid| name(pid).starts_with("provider-router"[..15].trim_end())).count()
}

/// Starts a stack whose router uses a known port, and returns that port.
async fn known_port() -> (Stack, u16) {
    let port = ports::unused().unwrap();
    let stack = Stack::builder().launch(Launch::default()).autostart(false).start().await;
    stack.api.put("/api/settings/server.port", &json!({ "value": port })).await.expect(200);
    (stack, port)
}

async fn command(api: Client, command: &str) {
    let path = format!("/api/proxy/{command}");
    let answer = within("the answer to a command", api.post(&path, &json!({}))).await;
    // A restart that is superseded by a stop may find that the process it waited for is gone.
    assert!(matches!(answer.status, 200 | 409), "{command}: {} {}", answer.status, answer.text());
}

/// Runs ten callers at once, round after round. After each round a final command follows, whose result must prevail.
async fn storm(stack: &Stack, words: &'static [&'static str]) {
    for round in 0..commands().div_ceil(CALLERS) {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| tokio::spawn(command(stack.api, words[(caller * 7 + round * 3) % words.len()])))
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        let (last, state) = if round % 2 == 0 { ("start", "running") } else { ("stop", "stopped") };
        command(stack.api, last).await;
        eventually(&format!("status `{state}` after `{last}`"), async || {
            (stack.status().await["status"] == state).then_some(())
        })
        .await;
    }
}

/// Takes samples while `storm` runs; returns their number and the largest value.
async fn during(storm: impl Future<Output = ()>, look: impl Fn() -> usize) -> (usize, usize) {
    let (mut samples, mut most) = (0, 0);
    let mut storm = pin!(storm);
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    loop {
        tokio::select! {
            () = &mut storm => return (samples, most),
            _ = ticks.tick() => {
                most = most.max(look());
                samples += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fc_25_concurrent_commands_never_make_two_listeners_of_a_port() {
    let (stack, port) = known_port().await;
    let (samples, most) = during(storm(&stack, &["start", "stop", "restart"]), || listening(port).len()).await;
    println!("{samples} samples");
    assert!(samples > 10 && most == 1, "{most} sockets listened on port {port} at once");

    command(stack.api, "start").await;
    stack.running().await;
    eventually("one process of each", async || (processes::of(&stack.home).len() == 3).then_some(())).await;
    command(stack.api, "stop").await;
    assert_eq!(processes::of(&stack.home), [stack.process.pid()]);
    eventually("no zombie", async || (processes::zombies_of(stack.process.pid()) == 0).then_some(())).await;
    assert!(listening(port).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_concurrent_starts_and_stops_never_make_two_processes() {
    let (stack, _) = known_port().await;
    let (samples, most) = during(storm(&stack, &["start", "stop"]), || routers(&stack)).await;
    println!("{samples} samples");
    assert!(samples > 10 && most == 1, "{most} routers at once");
}
