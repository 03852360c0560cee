//! The commands of the server manager, as users run them.

mod strangers;

use std::io::{BufRead as _, BufReader};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use signalbox_harness::{Client, CommandLine, Home, eventually, ports, processes};

/// Returns ports that are free at the moment.
fn free_ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| ports::unused().unwrap())
}

/// Creates a home whose services use any free port.
fn anywhere() -> (Home, CommandLine) {
    let home = Home::new();
    let shell =
        CommandLine::new(&home).env("API_PORT", "0").env("PROVIDER_ROUTER_PORT", "0").env("QWEN_PROXY_PORT", "0");
    (home, shell)
}

fn number(text: &str) -> u32 {
    text.trim_end_matches(')').parse().unwrap()
}

#[tokio::test]
async fn the_transcript_of_the_server_manager_is_stable() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let type_in = async |line: &str| shell.api_server(&line.split(' ').collect::<Vec<_>>()).await;
    let [port, other_port, router, qwen] = free_ports();
    let configured =
        type_in(&format!("config --port {port} --router-port {router} --qwen-port {qwen}")).await.expect(0);
    assert_eq!(configured.after("Updated server.port = "), port.to_string());
    assert!(configured.stdout.contains("Configuration saved"), "{}", configured.stdout);
    assert!(!configured.stdout.contains("Restart the server"), "no server is running yet");

    type_in("status").await.expect(3);
    let started = type_in("start --force").await.expect(0);
    let pid = number(started.after("Server started successfully (PID: "));
    assert_eq!(started.after("API URL: "), format!("http://127.0.0.1:{port}"));
    assert_eq!(started.after("API Docs: "), format!("http://127.0.0.1:{port}/docs"));
    let log = home.data().join("logs/api-server.log");
    assert_eq!(started.after("Logs: "), log.to_str().unwrap());
    let docs = Client::new(port).get("/docs").await.expect(200);
    assert!(docs.header("content-type").starts_with("text/html") && docs.text().contains("/api/proxy/start"));
    let again = type_in("start").await.expect(0);
    assert_eq!(number(again.after("Server is already running (PID: ")), pid);

    let status = type_in("status").await.expect(0);
    assert_eq!((status.after("Status: "), number(status.after("PID: "))), ("RUNNING", pid));
    assert!(status.after("Started: ").ends_with(" UTC") && status.after("CPU Usage: ").ends_with('%'));
    assert!(status.after("Memory Usage: ").ends_with(" MB"), "{}", status.stdout);
    let mut ports = [port, router, qwen];
    ports.sort_unstable();
    assert_eq!(status.after("Listening Ports: "), ports.map(|port| port.to_string()).join(", "));
    assert_eq!(status.after("Log File: "), log.to_str().unwrap());
    assert!(status.after("  provider-router: ").starts_with("running (PID: "), "{}", status.stdout);

    let logs = type_in("logs api-server").await.expect(0);
    assert!(logs.stdout.contains("listening"), "{}", logs.stdout);
    assert_eq!(type_in("logs --lines 1 api-server").await.expect(0).stdout.lines().count(), 1);

    let changed = type_in(&format!("config --port {other_port}")).await.expect(0);
    assert!(changed.stdout.contains("Restart the server for changes to take effect"), "{}", changed.stdout);
    assert!(type_in("config").await.expect(0).stdout.contains(&format!("port = {other_port}")));
    let restarted = type_in("restart").await.expect(0);
    assert_eq!(number(restarted.after("Server stopped successfully (PID: ")), pid);
    let new_pid = number(restarted.after("Server started successfully (PID: "));
    assert!(new_pid != pid && !processes::is_alive(pid));
    assert_eq!(restarted.after("API URL: "), format!("http://127.0.0.1:{other_port}"));

    let stopped = type_in("stop").await.expect(0);
    assert_eq!(number(stopped.after("Sending SIGTERM to process ").trim_end_matches("...")), new_pid);
    assert_eq!(number(stopped.after("Server stopped successfully (PID: ")), new_pid);
    assert_eq!(processes::of(&home), [0; 0]);
    let status = type_in("status").await.expect(3);
    assert_eq!((status.after("Status: "), status.after(&format!("Port {other_port}: "))), ("STOPPED", "Available"));
    type_in("stop").await.expect(3);
    assert!(type_in(&format!("kill-port --port {port}")).await.expect(0).stdout.contains("is free"));
    assert!(type_in("cleanup").await.expect(0).stdout.contains("Nothing to clean up"));
    assert_eq!(type_in(&format!("test-ports {port}")).await.expect(0).after(&format!("Port {port}: ")), "Available");
}

#[tokio::test]
async fn json_output_has_the_same_facts() {
    let (home, shell) = anywhere();
    let stopped = shell.api_server(&["status", "--json"]).await.expect(3).json();
    assert_eq!(stopped, json!({"success": false, "running": false, "ports": []}));
    let started = shell.api_server(&["start", "--json"]).await.expect(0).json();
    assert_eq!((&started["success"], &started["message"]), (&json!(true), &json!("started")));
    let status = shell.api_server(&["status", "--json"]).await.expect(0).json();
    assert_eq!(
        (&status["status"], &status["pid"], &status["url"]),
        (&json!("running"), &started["pid"], &started["url"])
    );
    assert_eq!(status["ports"].as_array().unwrap().len(), 3, "{status}");
    for service in ["provider-router", "qwen-proxy"] {
        let service = &status["services"][service];
        assert!(service["running"] == true && service["memoryBytes"].as_u64().unwrap() > 0, "{status}");
    }
    let logs = shell.api_server(&["logs", "--json", "--lines", "3", "api-server"]).await.expect(0).json();
    assert_eq!(logs["lines"].as_array().unwrap().len(), 3);
    let config = shell.api_server(&["config", "--json"]).await.expect(0).json();
    assert_eq!(config["settings"]["services"]["router_port"], 0);
    let stopped = shell.api_server(&["stop", "--json"]).await.expect(0).json();
    assert_eq!((&stopped["pid"], &stopped["forced"]), (&started["pid"], &json!(false)));
    assert_eq!(processes::of(&home), [0; 0]);
}

#[tokio::test]
async fn a_started_server_outlives_its_terminal_and_keeps_its_flags() {
    let (home, shell) = anywhere();
    let started = shell.api_server(&["start", "--log-level", "debug"]).await.expect(0);
    let pid = number(started.after("Server started successfully (PID: "));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session: u32 = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(3).unwrap().parse().unwrap();
    assert_eq!(session, pid, "it has its own session");
    let restarted = shell.api_server(&["restart"]).await.expect(0);
    let pid = number(restarted.after("Server started successfully (PID: "));
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(line.contains("--log-level\0debug\0"), "{line:?}");
    drop(home);
}

#[tokio::test]
async fn followed_logs_continue_until_interrupted() {
    let (home, shell) = anywhere();
    let logs = home.data().join("logs");
    std::fs::create_dir(&logs).unwrap();
    std::fs::write(logs.join("qwen-proxy.log"), "one\ntwo\n").unwrap();
    let mut follow = shell.begin(&["logs", "--follow", "--lines", "1", "qwen-proxy"]);
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "two");
    let mut log = std::fs::OpenOptions::new().append(true).open(logs.join("qwen-proxy.log")).unwrap();
    std::io::Write::write_all(&mut log, b"three\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "three");
    kill(Pid::from_raw(i32::try_from(follow.id()).unwrap()), Signal::SIGINT).unwrap();
    let exit = eventually("the end of `logs --follow`", async || follow.try_wait().unwrap()).await;
    assert_eq!(exit.code(), Some(0));
}

#[tokio::test]
async fn invalid_arguments_are_reported_and_change_nothing() {
    let (home, shell) = anywhere();
    let file = home.data().join("api-server.toml");
    let before = "# mine\n[services]\nqwen_port = 7 # seven\n";
    std::fs::write(&file, before).unwrap();
    for (words, complaint) in [
        (&["config", "--set", "server.prot=1"][..], "prot"),
        (&["config", "--set", "logs.max_size=1KiB"], "64KiB"),
        (&["config", "--log-level", "loud"], "loud"),
        (&["config", "--set", "nonsense"], "KEY=VALUE"),
        // Values that a start refuses, too.
        (&["config", "--set", "server.host=0.0.0.0"], "server.host: 0.0.0.0 can be reached from other machines"),
        (&["config", "--host", "no such"], "server.host: cannot listen on `no such`"),
        (&["config", "--set", "server.allowed_origins=[\"*\"]"], "server.allowed_origins"),
        (&["config", "--set", "notify.secret=short"], "notify.secret"),
        (&["config", "--set", "services.startup_timeout=0s"], "services.startup_timeout"),
        (&["config", "--set", "tls={cert=\"/nonexistent\",key=\"/nonexistent\"}"], "/nonexistent"),
    ] {
        let typed = shell.api_server(words).await.expect(1);
        assert!(typed.stderr.contains(complaint), "{words:?}: {}", typed.stderr);
        assert!(typed.stderr.contains("nothing was changed") || words.contains(&"nonsense"), "{}", typed.stderr);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "{words:?}");
        assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 1, "{words:?} left files behind");
    }
    for words in
        [&["config", "--port", "70000"][..], &["logs", "--lines", "0"], &["logs", "nginx"], &["kill-port"], &["fly"]]
    {
        shell.api_server(words).await.expect(64);
    }
    let failed = shell.api_server(&["status", "--json", "--config", "/nonexistent.toml"]).await.expect(1).json();
    assert!(failed["success"] == false && failed["error"].as_str().unwrap().contains("/nonexistent.toml"));
    shell.api_server(&["config", "--set", "services.qwen_port=8"]).await.expect(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before.replace("= 7", "= 8"));
}

#[tokio::test]
async fn a_failed_start_reports_its_reason() {
    let (home, shell) = anywhere();
    let broken = shell.api_server(&["start", "--database-url", "sqlite:///dev/null/signalbox.db"]).await.expect(1);
    assert!(broken.stderr.contains("exited with code 73") && broken.stderr.contains("database"), "{}", broken.stderr);
    assert_eq!(processes::of(&home), [0; 0]);
    std::fs::write(home.data().join("provider-router.toml"), "nonsense = 1\n").unwrap();
    let failed = shell.api_server(&["start"]).await.expect(1);
    assert!(
        failed.stderr.contains("not all of its services") && failed.stderr.contains("nonsense"),
        "{}",
        failed.stderr
    );
    shell.api_server(&["stop"]).await.expect(0);
}
