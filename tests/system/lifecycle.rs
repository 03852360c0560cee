//! Start, stop and crash: no process is left behind, and the log stays complete.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_fakes::Turn;
use signalbox_harness::{Launch, Stack, eventually, processes};
use tokio::net::TcpStream;

use crate::gateway::{CHAT, Gateway, chat, recorded_text, request_id};

const CHILDREN: [&str; 2] = ["providerRouter", "qwenProxy"];

async fn command(stack: &Stack, name: &str) -> Value {
    let answer = stack.api.post(&format!("/api/proxy/{name}"), &json!({})).await.expect(200).json();
    assert_eq!(answer["success"], true, "{answer}");
    answer
}

fn pid(status: &Value, child: &str) -> u32 {
    status[child]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap()
}

fn port(status: &Value, child: &str) -> u16 {
    status[child]["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap()
}

async fn refuses(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).await.is_err()
}

async fn stopped(stack: &Stack) -> Value {
    eventually("status `stopped`", async || {
        let status = stack.status().await;
        (status["status"] == "stopped").then_some(status)
    })
    .await
}

#[tokio::test]
async fn status_has_the_shape_of_the_contract() {
    let stack = Stack::start().await;
    let status = stack.status().await;
    assert_eq!(status["status"], "running");
    assert_eq!(status["message"], "All proxy servers are running");
    for child in CHILDREN {
        assert_eq!(status[child]["running"], true, "{status}");
        assert!(port(&status, child) > 0 && processes::is_alive(pid(&status, child)), "{status}");
        assert!(status[child]["uptime"].is_u64(), "{status}");
    }
    for list in ["providers", "models"] {
        let items = status[list]["items"].as_array().unwrap();
        assert_eq!(status[list]["total"], items.len(), "{status}");
        assert!(!items.is_empty());
    }
    assert!(status["providers"]["enabled"].is_u64() && status["credentials"]["valid"].is_boolean(), "{status}");
    assert!(status["extensionConnected"].is_boolean(), "{status}");
}

#[tokio::test]
async fn stop_frees_both_ports_and_start_restores_the_services() {
    let stack = Stack::start().await;
    let before = stack.status().await;
    assert_eq!(command(&stack, "start").await["message"], "Proxy servers are already running");
    command(&stack, "stop").await;
    let after = stopped(&stack).await;
    for child in CHILDREN {
        assert_eq!((&after[child]["running"], &after[child]["pid"]), (&json!(false), &Value::Null), "{after}");
        eventually("the end of a child", async || (!processes::is_alive(pid(&before, child))).then_some(())).await;
        assert!(refuses(port(&before, child)).await, "{child} still listens");
    }
    assert_eq!(processes::of(&stack.home), [stack.process.pid()]);
    command(&stack, "stop").await;

    command(&stack, "start").await;
    let again = stack.running().await;
    for child in CHILDREN {
        assert_ne!(pid(&again, child), pid(&before, child));
    }
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "again"}]});
    stack.router().await.post(CHAT, &request).await.expect(200);
}

#[tokio::test]
async fn without_autostart_no_service_runs_before_a_start() {
    let stack = Stack::builder().autostart(false).start().await;
    assert_eq!(stack.status().await["status"], "stopped");
    assert_eq!(processes::of(&stack.home), [stack.process.pid()]);
    command(&stack, "start").await;
    stack.running().await;
}

#[tokio::test]
async fn i4_catchable_signals_leave_no_orphan() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut stack = Stack::start().await;
        let status = stack.status().await;
        stack.process.signal(signal);
        let exit = stack.process.wait_exit().await;
        assert!(exit.success(), "{signal}: {exit}");
        assert_eq!(processes::of(&stack.home), [0; 0], "{signal} left processes behind");
        for child in CHILDREN {
            assert!(refuses(port(&status, child)).await, "{child} still listens after {signal}");
        }
        assert!(refuses(stack.api.port()).await);
    }
}

#[tokio::test]
async fn i4_children_exit_when_api_server_is_killed() {
    let at_once = Launch::default().config("api-server", "[services]\norphan_grace = \"0s\"\n");
    let mut stack = Stack::builder().launch(at_once).start().await;
    assert_eq!(processes::of(&stack.home).len(), 3);
    stack.process.kill9().await;
    eventually("the exit of the children", async || processes::of(&stack.home).is_empty().then_some(())).await;
}

#[tokio::test]
async fn fc_66_a_stream_longer_than_the_drain_ends_with_an_error_event_and_a_final_row() {
    let config = "[server]\ndrain_timeout = \"200ms\"\n";
    let gateway = Gateway::launch(Launch::default().config("provider-router", config)).await;
    let gate = gateway.fake.script("m", Turn::echo().gated());
    gate.release(2);
    let mut events = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
    let id = events.header("x-request-id").to_owned();
    assert_eq!(events.next_text().await.as_deref(), Some("one "));
    command(&gateway.stack, "stop").await;
    let finished = events.finish().await;
    assert!(!finished.complete && !finished.folded.done && finished.folded.error.is_some());
    stopped(&gateway.stack).await;
    command(&gateway.stack, "start").await;
    let row = gateway.stack.recorded(&id).await;
    assert_eq!((row["status"].as_str(), recorded_text(&row).as_str()), (Some("truncated"), "one "), "{row}");
}

#[tokio::test]
async fn fc_66_a_whole_answer_longer_than_the_drain_is_refused_in_words() {
    let config = "[server]\ndrain_timeout = \"200ms\"\n";
    for stream in [false, true] {
        let gateway = Gateway::launch(Launch::default().config("provider-router", config)).await;
        let _gate = gateway.fake.script("m", Turn::echo().gated());
        let router = gateway.router;
        let waiting = tokio::spawn(async move { router.post(CHAT, &chat("fake/m", stream)).await });
        eventually("the call", async || (!gateway.fake.calls().is_empty()).then_some(())).await;
        command(&gateway.stack, "stop").await;
        let refused = waiting.await.unwrap().expect(503);
        assert_eq!((&refused.json()["error"]["code"], refused.header("retry-after")), (&"shutting_down".into(), "1"));
        let id = refused.header("x-request-id").to_owned();
        stopped(&gateway.stack).await;
        command(&gateway.stack, "start").await;
        let row = gateway.stack.recorded(&id).await;
        assert_eq!((row["status"].as_str(), &row["response"]["status_code"]), (Some("failed"), &503.into()), "{row}");
    }
}

#[tokio::test]
async fn i1_i3_completed_answers_survive_kill_9_and_others_are_interrupted_once() {
    let gateway = Gateway::start().await;
    let mut complete = Vec::new();
    for _ in 0..20 {
        let finished = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
        let id = finished.header("x-request-id").to_owned();
        assert!(finished.finish().await.folded.done);
        complete.push(id);
    }
    let gate = gateway.fake.script("open", Turn::echo().gated());
    gate.release(3);
    let mut open = gateway.router.stream(CHAT, &chat("fake/open", true)).await;
    let interrupted = open.header("x-request-id").to_owned();
    assert_eq!(open.next_text().await.as_deref(), Some("one "));

    let before = gateway.stack.status().await;
    kill9(pid(&before, "providerRouter"));
    assert!(!open.finish().await.complete);
    let after = eventually("another router", async || {
        let status = gateway.stack.status().await;
        let another = status["status"] == "running" && pid(&status, "providerRouter") != pid(&before, "providerRouter");
        another.then_some(status)
    })
    .await;
    assert_eq!(after["providerRouter"]["lastFailure"]["code"], "crashed", "{after}");
    assert_eq!(port(&after, "providerRouter"), port(&before, "providerRouter"));
    assert_eq!(pid(&after, "qwenProxy"), pid(&before, "qwenProxy"), "the other child was not affected");
    for id in &complete {
        let row = gateway.stack.recorded(id).await;
        assert_eq!((row["status"].as_str(), recorded_text(&row).as_str()), (Some("completed"), "one two three"));
    }
    assert_eq!(gateway.stack.recorded(&interrupted).await["status"], "interrupted");
    let list = gateway.stack.api.get("/api/requests?limit=1000").await.expect(200).json();
    let rows = list["requests"].as_array().unwrap();
    assert_eq!(
        rows.len(),
        gateway.fake.calls().iter().filter(|call| call.method == "POST").count(),
        "I2: a row for each call"
    );
}

#[tokio::test]
async fn a_shutdown_by_another_process_is_not_a_crash() {
    let stack = Stack::start().await;
    let before = stack.status().await;
    let asked = stack.router().await.post("/v1/admin/shutdown", &json!({})).await.expect(200);
    assert_eq!(asked.json()["success"], true, "{}", asked.text());
    let after = eventually("another router", async || {
        let status = stack.status().await;
        let another = status["status"] == "running" && pid(&status, "providerRouter") != pid(&before, "providerRouter");
        another.then_some(status)
    })
    .await;
    let last = &after["providerRouter"]["lastFailure"];
    assert_eq!((&last["code"], &last["exitCode"]), (&json!("left"), &json!(0)), "{after}");
    assert!(last["message"].as_str().unwrap().starts_with("provider-router exited normally"), "{last}");
    assert_eq!(port(&after, "providerRouter"), port(&before, "providerRouter"));
}

#[tokio::test]
async fn an_http_shutdown_stops_api_server_and_its_services() {
    let mut stack = Stack::start().await;
    let looked = stack.api.get("/v1/admin/shutdown").await;
    assert_eq!(looked.status, 405, "{}", looked.text());
    let asked = stack.api.post("/v1/admin/shutdown", &json!({})).await.expect(200);
    assert_eq!(asked.json()["success"], true, "{}", asked.text());
    assert!(stack.process.wait_exit().await.success());
    assert_eq!(processes::of(&stack.home), [0; 0]);
}

#[tokio::test]
async fn a_restarted_api_server_has_its_data() {
    let mut stack = Stack::start().await;
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "remember me"}]});
    let id = request_id(&stack.router().await.post(CHAT, &request).await.expect(200));
    stack.recorded(&id).await;
    stack.process.signal(Signal::SIGTERM);
    stack.process.wait_exit().await;
    let again = Stack::builder().launch(Launch::default().home(&stack.home)).start().await;
    assert_eq!(recorded_text(&again.recorded(&id).await), "remember me");
}

fn kill9(pid: u32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
}
