//! Socket.IO events, as received by the real client.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use signalbox_harness::{Client, Stack, eventually, within};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    dice::times,
    footprint::{descriptors, resident},
    sdk::{clients, is_installed},
};

/// Allowed growth of a process during the second half of the reconnects, in bytes and descriptors: pages of its
/// allocator, and a few connections to the database.
const SLACK: (u64, usize) = (8 << 20, 8);

/// The real client in its own process.
pub(crate) struct Listener {
    _child: Child,
    says: Lines<BufReader<ChildStdout>>,
    ear: ChildStdin,
}

impl Listener {
    /// Connects without reading the snapshot. Returns `None` if the client is not installed.
    pub(crate) async fn connect(api: &Client, transport: &str) -> Option<Self> {
        if !is_installed("node_modules/socket.io-client", "listen.mjs") {
            return None;
        }
        let mut command = Command::new("node");
        command.current_dir(clients()).arg("listen.mjs").arg(api.url()).arg(transport);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap()).lines();
        let ear = child.stdin.take().unwrap();
        let mut listener = Self { _child: child, says, ear };
        let connected = listener.until(|event, _| event == "connect").await;
        assert_eq!(connected, json!({"transport": transport}));
        Some(listener)
    }

    pub(crate) async fn tell(&mut self, word: &str) {
        self.ear.write_all(format!("{word}\n").as_bytes()).await.unwrap();
    }

    /// Returns the next event.
    async fn next(&mut self) -> (String, Value) {
        let line = within("an event", self.says.next_line()).await.unwrap().unwrap();
        let mut event: Value = serde_json::from_str(&line).unwrap();
        (event["event"].as_str().unwrap().to_owned(), event["data"].take())
    }

    /// Returns the data of the next matching event and skips all others.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&str, &Value) -> bool) -> Value {
        loop {
            let (event, data) = self.next().await;
            if wanted(&event, &data) {
                return data;
            }
        }
    }

    /// Returns the reported states of the router, up to and including `last`.
    async fn lifecycle_until(&mut self, last: &str) -> Vec<String> {
        let mut states: Vec<String> = Vec::new();
        while states.last().is_none_or(|state| state != last) {
            let event = self.until(|event, data| event == "lifecycle:update" && data["lifecycle"].is_object()).await;
            let state = event["lifecycle"]["state"].as_str().unwrap().to_owned();
            assert_eq!(event["lifecycle"]["process"], "providerRouter");
            assert_eq!(event["providerRouter"]["state"], state.as_str(), "both are equal");
            assert!(event["timestamp"].is_string() && event["qwenProxy"]["state"].is_string(), "{event}");
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
        states
    }
}

/// Removes the fields of `GET /api/proxy/status` that change with time.
fn lasting(mut status: Value) -> Value {
    status.as_object_mut().unwrap().remove("timestamp");
    for child in ["providerRouter", "qwenProxy"] {
        let fields = status[child].as_object_mut().unwrap();
        fields.retain(|name, _| matches!(name.as_str(), "running" | "port" | "pid" | "state" | "error"));
    }
    status
}

/// `SIGNALBOX_RECONNECTS` sets the number of reconnects over each transport; 1,000 for a long run.
#[tokio::test]
async fn i8_each_connection_begins_with_a_snapshot_and_leaves_nothing_behind() {
    let stack = Stack::start().await;
    stack.running().await;
    let pid = stack.process.pid();
    let rounds = times("SIGNALBOX_RECONNECTS", 20);
    for transport in ["websocket", "polling"] {
        let (mut warm, before) = (0, descriptors(pid));
        let Some(mut listener) = Listener::connect(&stack.api, transport).await else { return };
        for round in 0..rounds {
            if round > 0 {
                listener.tell("reconnect").await;
            }
            if round == rounds / 2 {
                warm = resident(pid);
            }
            let snapshot = listener.until(|event, _| event == "proxy:status").await;
            let status = stack.api.get("/api/proxy/status").await.expect(200).json();
            let mut told = snapshot["status"].clone();
            // Only the snapshot has these two fields.
            for (field, value) in [("hasCredentials", false), ("isExpired", false)] {
                assert_eq!(
                    told["credentials"].as_object_mut().unwrap().remove(field),
                    Some(value.into()),
                    "{transport}"
                );
            }
            assert_eq!(lasting(told), lasting(status), "{transport}");
        }
        let (memory, sockets) = SLACK;
        assert!(resident(pid) <= warm + memory, "{transport}: memory grows from {warm} to {}", resident(pid));
        drop(listener);
        eventually("the end of all sockets", async || (descriptors(pid) <= before + sockets).then_some(())).await;
    }
}

#[tokio::test]
async fn start_and_stop_events_are_in_order() {
    let stack = Stack::start().await;
    stack.running().await;
    let Some(mut listener) = Listener::connect(&stack.api, "websocket").await else { return };
    stack.api.post("/api/proxy/stop", &json!({})).await.expect(200);
    assert_eq!(listener.lifecycle_until("stopped").await, ["stopping", "stopped"]);
    stack.api.post("/api/proxy/start", &json!({})).await.expect(200);
    assert_eq!(listener.lifecycle_until("running").await, ["starting", "running"]);
}

#[tokio::test]
async fn every_write_emits_an_event_regardless_of_its_source() {
    let stack = Stack::start().await;
    let Some(mut listener) = Listener::connect(&stack.api, "polling").await else { return };
    let provider = json!({"id": "acme", "name": "Acme", "type": "openai", "config": {"apiKey": "sk-canary"}});
    stack.api.post("/api/providers", &provider).await.expect(201);
    let created = listener.until(|event, data| event == "providers:updated" && data["action"] == "created").await;
    assert_eq!(
        (&created["providerId"], &created["total"], &created["enabled"]),
        (&json!("acme"), &json!(4), &json!(3))
    );
    assert_eq!((&created["items"], created["items"].as_array().map(Vec::len)), (&created["providers"], Some(4)));
    assert!(!created.to_string().contains("canary"));

    let action = async |listener: &mut Listener, event: &str| {
        listener.until(|name, _| name == event).await["action"].as_str().unwrap().to_owned()
    };
    stack.api.put("/api/providers/acme/config", &json!({"config": {"timeout": 7}})).await.expect(200);
    assert_eq!(action(&mut listener, "providers:updated").await, "updated");
    stack.api.post("/api/providers/acme/disable", &json!({})).await.expect(200);
    assert_eq!(action(&mut listener, "providers:updated").await, "disabled");
    stack.api.delete("/api/providers/acme").await.expect(200);
    assert_eq!(action(&mut listener, "providers:updated").await, "deleted");

    let mut database = crate::catalog::database(&stack.home).await;
    sqlx::query("INSERT INTO models (id, name, created_at, updated_at) VALUES ('by-hand', 'By hand', 1, 1)")
        .execute(&mut database)
        .await
        .unwrap();
    let model = listener.until(|event, _| event == "models:updated").await;
    assert_eq!((&model["action"], &model["modelId"]), (&json!("created"), &json!("by-hand")));

    stack.api.put("/api/settings/server.timeout", &json!({"value": 5000})).await.expect(200);
    let setting = listener.until(|event, _| event == "settings:updated").await;
    assert_eq!((&setting["key"], &setting["value"]), (&json!("server.timeout"), &json!("5000")));

    let router = stack.router().await;
    let chat = json!({"model": "echo", "messages": [{"role": "user", "content": "hello"}]});
    router.post("/v1/chat/completions", &chat).await.expect(200);
    let requests = listener.until(|event, _| event == "requests:new").await;
    assert_eq!((&requests["count"], &requests["requests"][0]["model"]), (&json!(1), &json!("echo")));
}

#[tokio::test]
async fn the_extension_is_counted_and_gets_no_events() {
    let stack = Stack::start().await;
    let Some(mut dashboard) = Listener::connect(&stack.api, "websocket").await else { return };
    let Some(mut extension) = Listener::connect(&stack.api, "websocket").await else { return };
    extension.until(|event, _| event == "proxy:status").await;
    extension.tell("extension:connect").await;
    let connected = |connected: bool| {
        move |event: &str, data: &Value| event == "proxy:status" && data["status"]["extensionConnected"] == connected
    };
    dashboard.until(connected(true)).await;
    stack.api.put("/api/settings/server.timeout", &json!({"value": 5000})).await.expect(200);
    dashboard.until(|event, _| event == "settings:updated").await;
    extension.tell("ping").await;
    let (event, data) = extension.next().await;
    assert_eq!(event, "pong", "the first event since it identified itself");
    assert!(data["timestamp"].is_string());
    drop(extension);
    dashboard.until(connected(false)).await;
}

/// Appends lines to a log, as the service would.
fn say(stack: &Stack, service: &str, text: &str) {
    let file = stack.home.data().join("logs").join(format!("{service}.log"));
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Returns the lines of the log events up to the one that contains `last`, and how many lines were omitted among them.
async fn lines_until(listener: &mut Listener, service: &str, last: &str) -> (Vec<String>, u64) {
    let (mut lines, mut missed): (Vec<String>, u64) = (Vec::new(), 0);
    while !lines.iter().any(|line| line == last) {
        let event = listener.until(|event, _| event == "logs:line").await;
        assert_eq!(event["service"], service, "{event}");
        missed += event["missed"].as_u64().unwrap();
        lines.extend(event["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()));
    }
    (lines, missed)
}

#[tokio::test]
async fn log_lines_are_sent_to_subscribers() {
    let stack = Stack::start().await;
    say(&stack, "qwen-proxy", "the last line\n");
    for transport in ["websocket", "polling"] {
        let Some(mut listener) = Listener::connect(&stack.api, transport).await else { return };
        listener.tell(r#"logs:subscribe {"service": "qwen-proxy", "lines": 2}"#).await;
        let begun = listener.until(|event, _| event == "logs:subscribed").await;
        let lines = begun["lines"].as_array().unwrap();
        assert_eq!((&begun["service"], lines.len()), (&json!("qwen-proxy"), 2), "{begun}");
        say(&stack, "qwen-proxy", "one\ntw");
        let (lines, _) = lines_until(&mut listener, "qwen-proxy", "one").await;
        assert!(!lines.iter().any(|line| line == "tw"), "only complete lines are sent: {lines:?}");
        say(&stack, "qwen-proxy", "o\n");
        assert_eq!(lines_until(&mut listener, "qwen-proxy", "two").await, (vec!["two".to_owned()], 0));

        // All logs at once, each line with the name of its service; the single subscription has ended.
        listener.tell(r#"logs:unsubscribe {"service": "qwen-proxy"}"#).await;
        listener.tell(r#"logs:subscribe {"service": "combined", "lines": 0}"#).await;
        let begun = listener.until(|event, _| event == "logs:subscribed").await;
        assert_eq!(begun["lines"], json!([]));
        say(&stack, "qwen-proxy", "the last line\n");
        lines_until(&mut listener, "combined", "[qwen-proxy] the last line").await;

        // Only the end of a flood of lines is sent, with the number of lines omitted before it.
        let flood: String = (1..=5000).map(|n| format!("line {n:05} {}\n", "x".repeat(89))).collect();
        say(&stack, "provider-router", &format!("{flood}over {transport}\n"));
        let (lines, missed) =
            lines_until(&mut listener, "combined", &format!("[provider-router] over {transport}")).await;
        let told = lines.iter().filter(|line| line.contains("] line ")).count();
        assert!(told > 0 && missed > 0 && told as u64 + missed >= 5000, "{told} lines, {missed} missed");
    }
}

#[tokio::test]
async fn unknown_logs_cannot_be_read() {
    let stack = Stack::start().await;
    let Some(mut listener) = Listener::connect(&stack.api, "websocket").await else { return };
    for (said, why) in [
        (r#"logs:subscribe {"service": "../signalbox"}"#, "the log does not exist"),
        (r#"logs:subscribe {"service": "provider-router-65"}"#, "the log does not exist"),
        (r#"logs:subscribe {"service": "combined", "lines": 5001}"#, "lines must be at most 5000"),
        (r#"logs:subscribe {"service": 7}"#, "name a log"),
        ("logs:subscribe", "name a log"),
        ("logs:unsubscribe", "name a log"),
    ] {
        listener.tell(said).await;
        let refused = listener.until(|event, _| event == "logs:error").await;
        assert!(refused["error"].as_str().unwrap().starts_with(why), "{said}: {refused}");
    }
    listener.tell("ping").await;
    listener.until(|event, _| event == "pong").await;
}

#[tokio::test]
async fn a_foreign_origin_cannot_connect() {
    let stack = Stack::start().await;
    let port = stack.api.url().rsplit_once(':').unwrap().1.to_owned();
    let ask = async |host: &str, origin: &str| {
        let request = format!(
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\r\n"
        );
        let answer = stack.api.raw(request.as_bytes()).await;
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    };
    let own = format!("127.0.0.1:{port}");
    assert!(ask(&own, "").await.contains("200"));
    assert!(ask(&own, "Origin: http://localhost:5173\r\n").await.contains("200"));
    assert!(ask(&own, "Origin: http://evil.example\r\n").await.contains("403"));
    assert!(ask(&format!("evil.example:{port}"), "").await.contains("421"));
}

#[tokio::test]
async fn process_stats_come_every_two_seconds_until_the_subscription_ends() {
    let stack = Stack::start().await;
    stack.running().await;
    let Some(mut listener) = Listener::connect(&stack.api, "websocket").await else { return };
    let status = stack.api.get("/api/proxy/status").await.expect(200).json();
    for service in ["providerRouter", "qwenProxy"] {
        let stats = &status[service]["stats"];
        for name in ["cpu_percent", "rss_bytes", "open_files", "threads"] {
            assert!(stats[name].as_f64().is_some_and(|value| value >= 0.0), "{service}: {status}");
        }
        assert!(stats["rss_bytes"].as_u64() > Some(1 << 20) && stats["threads"].as_u64() > Some(0), "{service}");
    }
    listener.tell("process:subscribe").await;
    let begun = tokio::time::Instant::now();
    for _ in 0..3 {
        let stats = listener.until(|event, _| event == "process:stats").await;
        for service in ["providerRouter", "qwenProxy"] {
            assert_eq!(stats[service]["pid"], status[service]["pid"]);
            assert!(stats[service]["stats"]["rss_bytes"].as_u64() > Some(1 << 20), "{stats}");
        }
    }
    // The first one comes at once.
    assert!((3..8).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    listener.tell("process:unsubscribe").await;
    listener.tell("ping").await;
    listener.until(|event, _| event == "pong").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    listener.tell("ping").await;
    listener
        .until(|event, data| {
            assert_ne!(event, "process:stats", "{data}");
            event == "pong"
        })
        .await;
}
