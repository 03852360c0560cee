//! After api-server has been killed, its services continue until the next api-server adopts them or a grace period
//! ends.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_fakes::Turn;
use signalbox_harness::{Launch, Stack, binary, eventually, processes};

use crate::gateway::{CHAT, Gateway, chat};

const CHILDREN: [&str; 2] = ["providerRouter", "qwenProxy"];

/// Returns how often api-server is killed; set by `SIGNALBOX_SUPERVISOR_KILLS`.
fn kills() -> usize {
    std::env::var("SIGNALBOX_SUPERVISOR_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(2)
}

/// Starts the next api-server in the same home.
async fn successor(stack: &Stack) -> Stack {
    Stack::builder().launch(Launch::default().home(&stack.home)).start().await
}

fn pids(status: &Value) -> [u64; 2] {
    CHILDREN.map(|child| status[child]["pid"].as_u64().unwrap_or_else(|| panic!("{child} has no process: {status}")))
}

/// Settings with a short grace period for adoption.
fn brief() -> Launch {
    Launch::default().config("api-server", "[services]\norphan_grace = \"300ms\"\n")
}

#[tokio::test]
async fn fc_04_a_new_api_server_adopts_services_and_no_stream_ends() {
    let mut gateway = Gateway::start().await;
    let before = gateway.stack.status().await;
    let gate = gateway.fake.script("m", Turn::echo().gated());
    gate.release(2);
    let mut events = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
    assert_eq!(events.next_text().await.as_deref(), Some("one "));

    let mut killed = Vec::new();
    for _ in 0..kills() {
        gateway.stack.process.kill9().await;
        // Without api-server no service can be restarted, but requests are served.
        gateway.ask("echo").await.expect(200);
        let next = successor(&gateway.stack).await;
        killed.push(std::mem::replace(&mut gateway.stack, next));
        let now = gateway.stack.status().await;
        assert_eq!(pids(&now), pids(&before), "{now}");
        for child in CHILDREN {
            assert_eq!((&now[child]["state"], &now[child]["adopted"]), (&json!("running"), &json!(true)), "{now}");
            assert_eq!((&now[child]["healthy"], &now[child]["port"]), (&json!(true), &before[child]["port"]), "{now}");
            assert!(now[child]["uptime"].as_u64() >= before[child]["uptime"].as_u64(), "{now}");
        }
        assert_eq!(processes::of(&gateway.stack.home).len(), 3);
    }
    gate.open();
    let finished = events.finish().await;
    assert!(finished.complete && finished.folded.done, "the stream was cut");

    // Adoption is complete: a restart hands over the same sockets, and a stop ends the services.
    let restarted = gateway.stack.api.post("/api/proxy/restart", &json!({})).await.expect(200).json();
    let after = gateway.stack.running().await;
    for (child, (old, new)) in CHILDREN.iter().zip(pids(&before).into_iter().zip(pids(&after))) {
        assert!(old != new, "{restarted}");
        assert_eq!(
            (&after[child]["port"], &after[child]["adopted"]),
            (&before[child]["port"], &json!(false)),
            "{after}"
        );
    }
    gateway.ask("echo").await.expect(200);
    gateway.stack.process.signal(Signal::SIGTERM);
    assert!(gateway.stack.process.wait_exit().await.success());
    assert_eq!(processes::of(&gateway.stack.home), [0; 0]);
    assert_eq!(left_in_run(&gateway.stack), ["adoption.key", "api-server.lock"]);
}

/// Returns the names of the files in the directory `run`.
fn left_in_run(stack: &Stack) -> Vec<String> {
    let files = std::fs::read_dir(stack.home.data().join("run")).unwrap();
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn adopted_services_are_stopped_and_restarted_normally() {
    let mut stack = Stack::start().await;
    let before = stack.status().await;
    stack.process.kill9().await;
    let stack = successor(&stack).await;
    let router = i32::try_from(pids(&before)[0]).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(router), Signal::SIGKILL).unwrap();
    let after = eventually("another router", async || {
        let now = stack.status().await;
        (now["status"] == "running" && pids(&now)[0] != pids(&before)[0]).then_some(now)
    })
    .await;
    assert_eq!(after["providerRouter"]["lastFailure"]["code"], "crashed", "{after}");
    assert_eq!(after["providerRouter"]["port"], before["providerRouter"]["port"]);
    stack.api.post("/api/proxy/stop", &json!({})).await.expect(200);
    assert_eq!(processes::of(&stack.home), [stack.process.pid()]);
}

#[tokio::test]
async fn fc_05_a_service_with_other_settings_is_adopted_and_replaced() {
    let mut stack = Stack::start().await;
    let before = stack.status().await;
    stack.process.kill9().await;
    let launch = Launch::default().home(&stack.home).env("LOG_LEVEL", "debug");
    let next = Stack::builder().launch(launch).start().await;
    let after = eventually("new services", async || {
        let now = next.running().await;
        pids(&now).iter().zip(pids(&before)).all(|(new, old)| *new != old).then_some(now)
    })
    .await;
    for child in CHILDREN {
        assert_eq!((&after[child]["generation"], &after[child]["lastFailure"]), (&json!(2), &Value::Null), "{after}");
        assert_eq!(after[child]["port"], before[child]["port"]);
    }
}

#[tokio::test]
async fn fc_05_fc_13_a_service_without_the_key_is_stopped_and_not_adopted() {
    let mut stack = Stack::start().await;
    let before = stack.status().await;
    stack.process.kill9().await;
    std::fs::remove_file(stack.home.data().join("run/adoption.key")).unwrap();
    let next = successor(&stack).await;
    let after = next.running().await;
    assert!(pids(&after).iter().all(|pid| !pids(&before).contains(pid)), "{after}");
    assert_eq!(after["providerRouter"]["adopted"], false);
    assert_eq!(processes::of(&next.home).len(), 3);
}

#[tokio::test]
async fn i4_orphans_are_adopted_or_exit_after_each_kill() {
    // Long enough for the next api-server to start on a busy machine; short enough for a test to wait for its end.
    let launch = || Launch::default().config("api-server", "[services]\norphan_grace = \"3s\"\n");
    let mut gateway = Gateway::launch(launch()).await;
    let mut killed = Vec::new();
    for kill in 0..kills() {
        let before = gateway.stack.status().await;
        if kill % 2 == 0 {
            let gate = gateway.fake.script("m", Turn::echo().gated());
            gate.release(2);
            let mut events = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
            assert_eq!(events.next_text().await.as_deref(), Some("one "));
            gateway.stack.process.kill9().await;
            let next = Stack::builder().launch(launch().home(&gateway.stack.home)).start().await;
            killed.push(std::mem::replace(&mut gateway.stack, next));
            assert_eq!(pids(&gateway.stack.status().await), pids(&before), "kill {kill}: adopted");
            gate.open();
            let finished = events.finish().await;
            assert!(finished.complete && finished.folded.done, "kill {kill} cut a stream");
        } else {
            gateway.stack.process.kill9().await;
            let left = async || processes::of(&gateway.stack.home).is_empty().then_some(());
            eventually("the exit of the orphans", left).await;
            let next = Stack::builder().launch(launch().home(&gateway.stack.home)).start().await;
            killed.push(std::mem::replace(&mut gateway.stack, next));
            gateway.router = gateway.stack.router().await;
            assert!(pids(&gateway.stack.status().await).iter().all(|pid| !pids(&before).contains(pid)));
        }
        assert_eq!(processes::of(&gateway.stack.home).len(), 3, "kill {kill}");
    }
}

#[tokio::test]
async fn fc_06_an_orphan_serves_for_the_grace_period_and_exits() {
    let mut stack = Stack::builder().launch(brief()).start().await;
    stack.process.kill9().await;
    eventually("the exit of all processes", async || processes::of(&stack.home).is_empty().then_some(())).await;
    // Files left behind do not affect the next start.
    let next = successor(&stack).await;
    assert_eq!(next.status().await["providerRouter"]["adopted"], false);
}

#[tokio::test]
async fn fc_07_descendants_without_a_leader_are_killed() {
    let program = binary("bad-child");
    let config = format!("[services]\nrouter_program = {:?}\n", program.to_str().unwrap());
    let launch = Launch::default().config("api-server", config);
    std::fs::create_dir_all(launch.home_dir().data()).unwrap();
    std::fs::write(launch.home_dir().data().join("bad-child"), "fork escape").unwrap();
    let mut stack = Stack::builder().launch(launch).start().await;
    let grandchildren = 2;
    assert_eq!(processes::of(&stack.home).len(), 3 + grandchildren);
    stack.process.kill9().await;
    std::fs::remove_file(stack.home.data().join("bad-child")).unwrap();
    let next = successor(&stack).await;
    eventually("the usual processes", async || (processes::of(&next.home).len() == 3).then_some(())).await;
}
