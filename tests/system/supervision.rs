//! Supervision of a misbehaving service by api-server. Names are cases of the fault catalogue.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use signalbox_harness::{Launch, Stack, binary, eventually, processes};

/// api-server with a `bad-child` in place of the router, and with short intervals.
struct Ward {
    stack: Stack,
}

impl Ward {
    async fn new(settings: &str) -> Self {
        let program = binary("bad-child");
        let config = format!(
            "[services]\nrouter_program = {:?}\nrestart_delay = \"20ms\"\nrestart_delay_max = \"100ms\"\n\
             probe_interval = \"100ms\"\n{settings}\n",
            program.to_str().unwrap()
        );
        let stack =
            Stack::builder().launch(Launch::default().config("api-server", config)).autostart(false).start().await;
        Self { stack }
    }

    /// Sets the behaviour of the child from its next start on.
    fn manners(&self, words: &str) {
        std::fs::write(self.stack.home.data().join("bad-child"), words).unwrap();
    }

    async fn start(&self) {
        self.stack.api.post("/api/proxy/start", &json!({})).await.expect(200);
    }

    /// Starts the child and waits until it is running.
    async fn up(&self, words: &str) -> Value {
        self.manners(words);
        self.start().await;
        self.until(|child| child["state"] == "running").await
    }

    async fn stop(&self) {
        self.stack.api.post("/api/proxy/stop", &json!({})).await.expect(200);
    }

    /// Waits until the child's part of the status matches, and returns it.
    async fn until(&self, such: impl Fn(&Value) -> bool) -> Value {
        eventually("the state of the child", async || {
            let child = self.stack.status().await["providerRouter"].take();
            such(&child).then_some(child)
        })
        .await
    }

    /// Starts a child that never becomes ready and returns its status in the error state.
    async fn failure(&self, words: &str) -> Value {
        self.manners(words);
        self.start().await;
        self.until(|child| child["state"] == "error").await
    }

    /// Stops the child and asserts that only api-server is left in the home, without zombies.
    async fn nobody_is_left(self) {
        self.stop().await;
        let api = self.stack.process.pid();
        eventually("only api-server is running", async || {
            (processes::of(&self.stack.home) == [api] && processes::zombies_of(api) == 0).then_some(())
        })
        .await;
    }
}

/// An unrelated process that holds a port. It ends with the test.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        let mut command = Command::new(binary("fake-provider"));
        Self(command.args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // The process may have been ended by the tested code.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn port(child: &Value) -> u16 {
    child["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap()
}

fn pid(child: &Value) -> u32 {
    child["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap()
}

fn kill9(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// api-server, qwen-proxy and the child itself.
const USUAL: usize = 3;

#[tokio::test]
async fn fc_01_fc_02_fc_30_all_descendants_exit_with_the_leader() {
    let ward = Ward::new("").await;
    let first = ward.up("fork escape").await;
    assert_eq!(processes::of(&ward.stack.home).len(), USUAL + 2);
    kill9(pid(&first));
    ward.manners("");
    let second = ward.until(|child| child["generation"] == 2 && child["state"] == "running").await;
    assert_eq!(processes::of(&ward.stack.home).len(), USUAL, "{second}");
    assert_eq!((&second["lastFailure"]["code"], &second["lastFailure"]["signal"]), (&json!("crashed"), &json!(9)));
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_12_a_port_in_use_is_reported_avoided_or_reclaimed() {
    let mut stranger = Stranger::start();
    let mut line = String::new();
    BufReader::new(stranger.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let port: u16 = port.and_then(|port| port.parse().ok()).unwrap();

    let ward = Ward::new("").await;
    ward.stack.api.put("/api/settings/server.port", &json!({ "value": port })).await.expect(200);
    let start = async |body: Value| ward.stack.api.post("/api/proxy/start", &body).await;
    let refused = start(json!({})).await.expect(409).json();
    assert_eq!((&refused["code"], &refused["port"]), (&json!("PORT_IN_USE"), &json!(port)), "{refused}");
    assert_eq!(refused["owner"], json!({"pid": stranger.0.id(), "name": "fake-provider"}));
    assert!(stranger.0.try_wait().unwrap().is_none(), "no process is killed without a command");

    start(json!({"autoPort": true})).await.expect(200);
    let elsewhere = ward.until(|child| child["state"] == "running").await;
    assert_ne!(elsewhere["port"], port);
    ward.stop().await;

    // Only the process named by the caller is ended.
    start(json!({"force": true})).await.expect(400);
    start(json!({"force": true, "expectPid": std::process::id()})).await.expect(409);
    assert!(stranger.0.try_wait().unwrap().is_none());
    start(json!({"force": true, "expectPid": stranger.0.id()})).await.expect(200);
    let back = ward.until(|child| child["state"] == "running").await;
    assert_eq!(back["port"], port);
    stranger.0.wait().unwrap();
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_11_a_second_api_server_does_not_take_ports() {
    let ours = Stack::start().await;
    let before = ours.status().await;
    let [api, router] = [ours.api.port(), port(&before["providerRouter"])];

    let (code, said) = Launch::default().arg("--port").arg(api.to_string()).run_to_exit("api-server").await;
    assert_eq!(code, Some(98), "{said}");
    assert!(said.contains(&format!("(pid {})", ours.process.pid())), "{said}");

    let theirs = Stack::builder().autostart(false).start().await;
    theirs.api.put("/api/settings/server.port", &json!({ "value": router })).await.expect(200);
    let refused = theirs.api.post("/api/proxy/start", &json!({})).await.expect(409).json();
    assert_eq!((&refused["code"], &refused["port"]), (&json!("PORT_IN_USE"), &json!(router)), "{refused}");
    let owner = refused["owner"]["pid"].as_u64().unwrap();
    assert!(processes::of(&ours.home).iter().any(|pid| u64::from(*pid) == owner), "{refused}");

    let after = ours.status().await;
    for child in ["providerRouter", "qwenProxy"] {
        assert_eq!(after[child]["pid"], before[child]["pid"]);
    }
    assert_eq!(processes::of(&ours.home).len(), USUAL);
}

#[tokio::test]
async fn fc_16_fc_17_readiness_requires_a_passing_health_check() {
    let ward = Ward::new("startup_timeout = \"1s\"\nrestart_limit = 1").await;
    for (words, reason) in [
        ("silent", "it has not announced its address"),
        ("chatty", "it has not announced its address"),
        ("unready", "its health check returned status 503"),
        ("stranger", "another process responds at its address"),
    ] {
        let child = ward.failure(words).await;
        assert_eq!(child["lastFailure"]["code"], "startup_timeout", "{child}");
        let error = child["error"].as_str().unwrap();
        assert!(error.starts_with(&format!("Startup timeout (1s): {reason}")), "{error}");
        assert!(error.ends_with("bad-child: here I am"), "the last lines are part of the error: {error}");
        ward.stop().await;
    }
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_18_fc_19_a_crash_loop_ends_and_can_be_stopped_earlier() {
    let ward = Ward::new("restart_limit = 4").await;
    let first = ward.failure("exit:0").await;
    assert_eq!(first["lastFailure"]["code"], "exited_early", "{first}");
    let last = ward.until(|child| child["state"] == "error" && child["willRestart"] == false).await;
    assert_eq!((&last["failures"], &last["generation"], &last["restarts"]), (&json!(4), &json!(4), &json!(3)));

    let well = ward.up("").await;
    assert_eq!((&well["failures"], &well["restarts"], &well["lastFailure"]), (&json!(0), &json!(0), &Value::Null));
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_21_bad_configuration_is_final_and_quoted() {
    let ward = Ward::new("").await;
    let child = ward.failure("exit:78").await;
    assert_eq!((&child["willRestart"], &child["lastFailure"]["exitCode"]), (&json!(false), &json!(78)), "{child}");
    assert!(child["error"].as_str().unwrap().ends_with("bad-child: these are my last words"), "{child}");
    eventually("the other service alone", async || (ward.stack.status().await["status"] == "partial").then_some(()))
        .await;
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_23_a_stop_during_a_start_cancels_the_start() {
    let ward = Ward::new("").await;
    ward.manners("silent");
    ward.start().await;
    ward.until(|child| child["state"] == "starting").await;
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_26_a_process_that_ignores_sigterm_is_killed() {
    let ward = Ward::new("stop_grace = \"300ms\"").await;
    let child = ward.up("deaf fork").await;
    ward.stop().await;
    assert!(!processes::is_alive(pid(&child)));
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_28_an_unresponsive_service_is_restarted() {
    let ward = Ward::new("stop_grace = \"300ms\"").await;
    let first = ward.up("deadlock").await;
    ward.manners("");
    let second = ward.until(|child| child["generation"] == 2 && child["state"] == "running").await;
    assert_eq!(second["lastFailure"]["code"], "unhealthy", "{second}");
    assert!(!processes::is_alive(pid(&first)));
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_29_large_output_does_not_block_a_child() {
    let ward = Ward::new("").await;
    let child = ward.up("spam").await;
    assert_eq!(child["healthy"], true);
    ward.nobody_is_left().await;
}

#[tokio::test]
async fn fc_03_fc_35_all_children_exit_with_api_server() {
    for words in ["fork escape", "deaf", "silent fork"] {
        let mut ward = Ward::new("stop_grace = \"300ms\"").await;
        ward.manners(words);
        ward.start().await;
        ward.until(|child| child["pid"].is_u64()).await;
        ward.stack.process.signal(nix::sys::signal::Signal::SIGTERM);
        assert!(ward.stack.process.wait_exit().await.success());
        assert_eq!(processes::of(&ward.stack.home), [0; 0], "{words}");
    }
}

#[tokio::test]
async fn deleted_logs_are_made_again_by_the_next_line() {
    let stack = Stack::start().await;
    let logs = stack.home.data().join("logs");
    let combined = async || std::fs::read_to_string(logs.join("combined.log")).ok();
    eventually("the first line", async || combined().await.filter(|text| text.contains("[provider-router]"))).await;
    std::fs::remove_dir_all(&logs).unwrap();
    let mut count = 0;
    eventually("the logs after a line of the router", async || {
        // The router logs each change of the catalogue.
        count += 1;
        stack.api.put("/api/settings/anything", &json!({"value": count.to_string()})).await.expect(200);
        let own = std::fs::read_to_string(logs.join("provider-router.log")).ok()?;
        let combined = combined().await?;
        (own.contains("catalogue changed") && combined.contains("[provider-router]")).then_some(())
    })
    .await;
}
