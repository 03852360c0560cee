//! Several worker processes of provider-router behind one port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use signalbox_fakes::Turn;
use signalbox_harness::{Client, CommandLine, Home, Launch, Stack, eventually, processes};
use tokio::net::TcpStream;

use crate::footprint::descriptors;
use crate::gateway::{CHAT, Gateway, chat};

/// api-server and qwen-proxy.
const OTHERS: usize = 2;

fn workers(number: usize) -> Launch {
    Launch::default().arg("--workers").arg(number.to_string())
}

/// Starts a gateway with this number of workers, each of which has the provider.
async fn gateway(number: usize) -> Gateway {
    start(workers(number), number).await
}

async fn start(launch: Launch, number: usize) -> Gateway {
    let gateway = Gateway::launch(launch).await;
    complete(&gateway.stack, number).await;
    gateway.stack.api.post("/api/providers/fake/reload", &json!({})).await.expect(200);
    gateway
}

fn each(status: &Value) -> Vec<Value> {
    status["providerRouter"]["workers"].as_array().cloned().unwrap_or_default()
}

fn pids(status: &Value) -> Vec<u64> {
    each(status).iter().map(|worker| worker["pid"].as_u64().unwrap_or_else(|| panic!("no process: {worker}"))).collect()
}

fn ready(status: &Value) -> usize {
    each(status).iter().filter(|worker| worker["running"] == true).count()
}

fn signal(pid: u64, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Waits until all workers are running.
async fn complete(stack: &Stack, number: usize) -> Value {
    eventually("all workers", async || {
        let status = stack.status().await;
        (ready(&status) == number && status["providerRouter"]["healthy"] == true).then_some(status)
    })
    .await
}

/// Returns a client for the worker's own address.
fn own(worker: &Value) -> Client {
    let port = worker["address"].as_str().and_then(|address| address.rsplit_once(':')).unwrap().1;
    Client::new(port.parse().unwrap())
}

#[tokio::test]
async fn workers_share_the_port_and_each_is_reported() {
    let gateway = gateway(3).await;
    let status = complete(&gateway.stack, 3).await;
    let router = &status["providerRouter"];
    let names: Vec<&Value> = router["workers"].as_array().unwrap().iter().map(|worker| &worker["name"]).collect();
    assert_eq!(names, ["provider-router", "provider-router-2", "provider-router-3"]);
    assert!(pids(&status).contains(&router["pid"].as_u64().unwrap()), "{router}");
    assert!(each(&status).iter().all(|worker| worker["port"] == router["port"]), "{router}");
    assert_eq!(processes::of(&gateway.stack.home).len(), OTHERS + 3);

    // Each worker answers on its own address and writes its own log.
    let mut instances: Vec<String> = Vec::new();
    for worker in each(&status) {
        let health = own(&worker).get("/health").await.expect(200).json();
        instances.push(health["instance"].as_str().unwrap().to_owned());
        own(&worker).get("/metrics").await.expect(200);
        let log = gateway.stack.api.get(&format!("/api/logs/{}", worker["name"].as_str().unwrap())).await;
        assert!(log.expect(200).text().contains("listening"), "{worker}");
    }
    instances.sort();
    instances.dedup();
    assert_eq!(instances.len(), 3);
    gateway.stack.api.get("/api/logs/provider-router-65").await.expect(404);

    let shell = CommandLine::new(&gateway.stack.home);
    let told = shell.api_server(&["status", "--json"]).await.expect(0).json();
    let told = told["services"]["provider-router"]["workers"].as_object().unwrap();
    assert!(told.len() == 3 && told["provider-router-3"]["memoryBytes"].as_u64().is_some(), "{told:?}");
    gateway.stack.api.post("/api/proxy/stop", &json!({})).await.expect(200);
    assert_eq!(processes::of(&gateway.stack.home), [gateway.stack.process.pid()]);
}

#[tokio::test]
async fn a_crashed_worker_loses_only_its_own_streams_and_they_are_logged() {
    let gateway = gateway(2).await;
    let before = complete(&gateway.stack, 2).await;
    let gate = gateway.fake.script("m", Turn::echo().gated());
    gate.release(2);
    // Requested at the worker's own address, so that it is known which worker has the stream.
    let victim = own(&each(&before)[0]);
    let mut cut = victim.stream(CHAT, &chat("fake/m", true)).await;
    let id = cut.header("x-request-id").to_owned();
    assert_eq!(cut.next_text().await.as_deref(), Some("one "));
    signal(pids(&before)[0], Signal::SIGKILL);
    assert!(!cut.finish().await.complete);
    // The other worker serves, whatever the state of the first.
    for _ in 0..20 {
        gateway.ask("echo").await.expect(200);
    }
    let after = eventually("another worker", async || {
        let status = gateway.stack.status().await;
        (ready(&status) == 2 && pids(&status)[0] != pids(&before)[0]).then_some(status)
    })
    .await;
    assert_eq!(pids(&after)[1], pids(&before)[1], "the other worker was not affected");
    assert_eq!(each(&after)[0]["lastFailure"]["code"], "crashed", "{after}");
    assert_eq!(after["providerRouter"]["port"], before["providerRouter"]["port"]);
    assert_eq!(gateway.stack.recorded(&id).await["status"], "interrupted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_replaces_workers_in_turn_and_refuses_no_request() {
    let gateway = gateway(3).await;
    let before = complete(&gateway.stack, 3).await;
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (router, over) = (gateway.router, Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    router.post(CHAT, &chat("echo", false)).await.expect(200);
                }
            })
        })
        .collect();
    let api = gateway.stack.api;
    let looking = Arc::clone(&over);
    let fewest = tokio::spawn(async move {
        let mut fewest = usize::MAX;
        while !looking.load(Ordering::Relaxed) {
            fewest = fewest.min(ready(&api.get("/api/proxy/status").await.expect(200).json()));
        }
        fewest
    });
    api.post("/api/proxy/restart", &json!({"service": "provider-router"})).await.expect(200);
    let after = complete(&gateway.stack, 3).await;
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(fewest.await.unwrap(), 3, "each new worker is ready before the old one exits");
    assert!(pids(&after).iter().all(|pid| !pids(&before).contains(pid)), "{after}");
    eventually("the exit of the old workers", async || {
        (processes::of(&gateway.stack.home).len() == OTHERS + 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_new_api_server_adopts_every_worker_and_stops_surplus_ones() {
    let mut stack = Stack::builder().launch(workers(3)).start().await;
    let before = complete(&stack, 3).await;
    stack.process.kill9().await;
    let mut next = Stack::builder().launch(workers(3).home(&stack.home)).start().await;
    let after = complete(&next, 3).await;
    assert_eq!(pids(&after), pids(&before), "each worker keeps its position");
    assert!(each(&after).iter().all(|worker| worker["adopted"] == true), "{after}");

    // The next start configures fewer workers, the one after it more.
    next.process.kill9().await;
    let mut fewer = Stack::builder().launch(workers(2).home(&stack.home)).start().await;
    let now = complete(&fewer, 2).await;
    assert_eq!(pids(&now), pids(&before)[..2]);
    eventually("the exit of the third worker", async || (processes::of(&stack.home).len() == OTHERS + 2).then_some(()))
        .await;
    fewer.process.kill9().await;
    let more = Stack::builder().launch(workers(4).home(&stack.home)).autostart(false).start().await;
    let now = complete(&more, 4).await;
    assert_eq!(pids(&now)[..2], pids(&before)[..2]);
}

#[tokio::test]
async fn fc_33_connections_leave_descriptors_in_reserve() {
    let config = "[services]\nprobe_interval = \"100ms\"\n[services.router]\nopen_files = 128\n";
    let gateway = start(workers(2).config("api-server", config), 2).await;
    let before = gateway.stack.status().await;
    let gate = gateway.fake.script("m", Turn::echo().gated());
    gate.release(2);
    let mut open = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
    assert_eq!(open.next_text().await.as_deref(), Some("one "));

    let mut crowd = Vec::new();
    for _ in 0..400 {
        crowd.push(TcpStream::connect(("127.0.0.1", gateway.router.port())).await.unwrap());
    }
    let held = |worker: &Value| descriptors(worker["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap());
    // Of 128 descriptors 32 are for connections; further clients wait in the listen queue.
    eventually("connections to both workers", async || {
        each(&before).iter().all(|worker| held(worker) > 48).then_some(())
    })
    .await;
    for worker in each(&before) {
        for _ in 0..20 {
            own(&worker).get("/health/live").await.expect(200);
        }
        assert!(held(&worker) < 112, "{} descriptors", held(&worker));
    }
    gate.open();
    let finished = open.finish().await;
    assert!(finished.complete && finished.folded.done, "the stream was cut");
    drop(crowd);
    gateway.ask("echo").await.expect(200);
    let after = gateway.stack.status().await;
    assert_eq!(pids(&after), pids(&before));
    assert!(each(&after).iter().all(|worker| worker["failures"] == 0), "{after}");
}

#[tokio::test]
async fn an_invalid_number_of_workers_is_rejected() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let type_in = async |line: &str| shell.api_server(&line.split(' ').collect::<Vec<_>>()).await;
    for wrong in ["0", "65"] {
        let refused = type_in(&format!("config --workers {wrong}")).await.expect(1);
        assert!(refused.stderr.contains("services.workers must be from 1 to 64"), "{}", refused.stderr);
    }
    assert_eq!(type_in("config --workers 2").await.expect(0).after("Updated services.workers = "), "2");
    let (code, message) = Launch::default().env("ROUTER_WORKERS", "65").run_to_exit("api-server").await;
    assert!(code == Some(78) && message.contains("services.workers must be from 1 to 64"), "{message}");
}
