//! No secret leaks: every secret is a marker, the services log at their highest level, and all of their output is
//! searched for the markers.

use std::fs;
use std::path::Path;

use http::Method;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_fakes::{ClosedPort, FakeProvider, FakeQwen, Turn};
use signalbox_harness::{Answer, Client, Home, Launch, Stack, eventually, processes};

use crate::gateway::{CHAT, chat};

const CLIENT_KEY: &str = "sk-canary-client-5b1f0e7d2c9a4e63";
const API_KEY: &str = "sk-canary-provider-8d3c6a1f9e4b7052";
/// In a header configured by the user.
const HEADER: &str = "canary-header-1f7e5d9c3b8a6420";
const TOKEN: &str = "canary-token-3e9b7d5f1a8c6024";
const COOKIE: &str = "canary-cookie-6c4a2e8f0b9d7153";
/// Never configured, but sent in a wrong place.
const STRAY: &str = "canary-stray-9f8e7d6c5b4a3210";

const ALL: [&str; 6] = [CLIENT_KEY, API_KEY, HEADER, TOKEN, COOKIE, STRAY];

/// The markers found, and where.
#[derive(Debug, Default)]
struct Search {
    found: Vec<String>,
}

// === impl Search ===

impl Search {
    fn bytes(&mut self, place: &str, bytes: &[u8]) {
        self.all_but(&[], place, bytes);
    }

    fn all_but(&mut self, allowed: &[&str], place: &str, bytes: &[u8]) {
        for marker in ALL.iter().filter(|marker| !allowed.contains(marker)) {
            if let Some(at) = bytes.windows(marker.len()).position(|window| window == marker.as_bytes()) {
                let around = &bytes[at.saturating_sub(60)..(at + marker.len() + 20).min(bytes.len())];
                self.found.push(format!("{marker} in {place}: …{}…", String::from_utf8_lossy(around)));
            }
        }
    }

    fn answer(&mut self, place: &str, answer: &Answer) {
        self.bytes(place, format!("{:?}", answer.headers).as_bytes());
        self.bytes(place, &answer.body);
    }

    /// Searches all files below a directory: logs, outputs, the database with its write-ahead log, the journal.
    fn files(&mut self, path: &Path) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.files(&entry.unwrap().path());
            }
        } else {
            // Some files come and go while the services run.
            self.bytes(&path.display().to_string(), &fs::read(path).unwrap_or_default());
        }
    }

    /// Searches what other programs can see of the processes. Client keys are expected in the environment, where the
    /// user puts them and which only the user can read.
    fn processes(&mut self, home: &Home) {
        for pid in processes::of(home) {
            for (file, allowed) in [("cmdline", &[][..]), ("comm", &[]), ("environ", &[CLIENT_KEY])] {
                let path = format!("/proc/{pid}/{file}");
                self.all_but(allowed, &path, &fs::read(&path).unwrap_or_default());
            }
        }
    }
}

/// The requests of a run; each answer is searched.
struct Calls<'a> {
    search: &'a mut Search,
}

impl Calls<'_> {
    async fn send(&mut self, client: &Client, method: Method, path: &str, body: &str) -> Answer {
        let answer = client.request(method.clone(), path, body.to_owned()).await;
        self.search.answer(&format!("the answer to {method} {path} {body}"), &answer);
        answer
    }

    async fn json(&mut self, client: &Client, method: Method, path: &str, body: &Value) -> Answer {
        self.send(client, method, path, &body.to_string()).await
    }

    async fn get(&mut self, client: &Client, path: &str) -> Answer {
        self.send(client, Method::GET, path, "").await
    }
}

/// Stores every secret and reads it back.
async fn configure(calls: &mut Calls<'_>, stack: &Stack, provider: &FakeProvider) {
    let api = &stack.api;
    let login = json!({"token": TOKEN, "cookies": format!("token={COOKIE}; a=1"), "expiresAt": 4_000_000_000_u32});
    calls.json(api, Method::POST, "/api/qwen/credentials", &login).await.expect(200);
    let closed = ClosedPort::take().unwrap();
    for (id, url) in [("fake", provider.url()), ("dead", closed.url().unwrap())] {
        let config = json!({"baseURL": url, "apiKey": API_KEY, "headers": {"x-secret": HEADER}});
        let row = json!({"id": id, "name": id, "type": "openai", "enabled": true, "config": config});
        calls.json(api, Method::POST, "/api/providers", &row).await.expect(201);
    }
    let config = json!({"config": {"apiKey": API_KEY, "headers": {"x-secret": HEADER}}});
    calls.json(api, Method::PUT, "/api/providers/fake/config", &config).await.expect(200);
    let patch = json!({"value": API_KEY});
    calls.json(api, Method::PATCH, "/api/providers/fake/config/apiKey", &patch).await.expect(200);

    // Invalid requests, some of them truncated in the middle of a secret.
    for (path, body) in [
        ("/api/qwen/credentials", json!({"token": [TOKEN], "cookies": COOKIE}).to_string()),
        ("/api/qwen/credentials", format!("{{\"token\": \"{TOKEN}\", \"cookies\": \"{COOKIE}")),
        (
            "/api/qwen/credentials",
            json!({"token": format!("{TOKEN}\n"), "cookies": COOKIE, "expiresAt": STRAY}).to_string(),
        ),
        ("/api/qwen/credentials", json!(TOKEN).to_string()),
        (
            "/api/providers",
            json!({"id": "fake", "name": "x", "type": "openai", "config": {"apiKey": API_KEY}}).to_string(),
        ),
        ("/api/providers", json!({"id": "bad", "config": {"apiKey": null, "headers": HEADER}}).to_string()),
    ] {
        let answer = calls.send(api, Method::POST, path, &body).await;
        assert!((400..500).contains(&answer.status), "{path} {body}: {}", answer.text());
    }
    for path in [
        "/api/qwen/credentials",
        "/api/providers",
        "/api/providers/fake",
        "/api/providers/fake/config",
        "/api/fake/config",
        "/api/proxy/status",
        "/api/settings",
        "/api/models",
    ] {
        calls.get(api, path).await.expect(200);
    }
}

/// Uses the secrets in valid and invalid requests.
async fn work(calls: &mut Calls<'_>, stack: &Stack) {
    let (router, qwen) = (stack.router().await, stack.qwen().await);
    for model in ["fake/m", "fake/leaky", "fake/fake-401", "fake/fake-error-2", "fake/fake-html", "dead/m", "no/such"] {
        for stream in [false, true] {
            calls.json(&router, Method::POST, CHAT, &chat(model, stream)).await;
        }
    }
    for model in ["qwen3-max", "fake-waf", "fake-captcha", "fake-new-waf"] {
        for stream in [false, true] {
            calls.json(&qwen, Method::POST, CHAT, &chat(model, stream)).await;
        }
    }
    for client in [&router, &qwen] {
        for path in ["/health", "/health/detailed", "/metrics", "/v1/models", "/v1/sessions", "/v1/requests", "/"] {
            calls.get(client, path).await;
        }
        calls.send(client, Method::POST, CHAT, "{\"model\": ").await;
    }
    for path in ["/api/providers/fake/test", "/api/providers/dead/test", "/api/providers/fake/reload"] {
        calls.send(&stack.api, Method::POST, path, "").await;
    }
    // With a wrong key, and with a secret in a place where it does not belong.
    for client in [&stack.api, &router, &qwen] {
        let stranger = client.with_key(Some(STRAY));
        calls.json(&stranger, Method::POST, CHAT, &chat("fake/m", false)).await.expect(401);
        calls.get(client, &format!("/v1/models?key={STRAY}")).await;
        calls.json(client, Method::POST, &format!("{CHAT}?api_key={STRAY}"), &chat("fake/m", false)).await;
    }
}

/// Reads the log through the API, because the compressed data in the database cannot be searched.
async fn read_log(calls: &mut Calls<'_>, stack: &Stack) {
    let api = &stack.api;
    for path in ["/api/requests", "/api/responses", "/api/sessions", "/api/audit?limit=1000"] {
        calls.get(api, path).await.expect(200);
    }
    let list = api.get("/api/requests?limit=200").await.expect(200).json();
    let rows = list["requests"].as_array().unwrap();
    assert!(rows.len() > 10, "{list}");
    for row in rows {
        let id = row["request_id"].as_str().unwrap();
        stack.recorded(id).await;
        calls.get(api, &format!("/api/requests/{id}")).await.expect(200);
    }
}

#[tokio::test]
async fn i15_no_secret_appears_in_any_output() {
    let (provider, site) = (FakeProvider::start().await.unwrap(), FakeQwen::start().await.unwrap());
    let complaint = json!({"error": {"message": format!("Incorrect API key provided: {API_KEY}"), "type": "x"}});
    let leaky = Turn::raw("application/json", complaint.to_string()).header("x-echo", API_KEY);
    provider.script("leaky", Turn { status: 400, ..leaky });
    let launch = Launch::default().arg("--log-level").arg("trace").env("QWEN_BASE_URL", site.url());
    let mut stack = Stack::builder().launch(launch).client_key(CLIENT_KEY).start().await;

    let mut search = Search::default();
    let mut calls = Calls { search: &mut search };
    configure(&mut calls, &stack, &provider).await;
    let router = stack.router().await;
    eventually("the router to load the providers", async || {
        (router.post(CHAT, &chat("fake/m", false)).await.status == 200).then_some(())
    })
    .await;
    work(&mut calls, &stack).await;
    read_log(&mut calls, &stack).await;

    // The markers were really used: the fake has received them.
    let sent = provider.calls_of("m");
    assert_eq!(sent[0].header("authorization"), Some(format!("Bearer {API_KEY}").as_str()));
    assert_eq!(sent[0].header("x-secret"), Some(HEADER));

    search.processes(&stack.home);
    search.files(stack.home.path());
    stack.process.signal(Signal::SIGTERM);
    assert!(stack.process.wait_exit().await.success());
    search.files(stack.home.path());
    assert!(search.found.is_empty(), "{:#?}", search.found);
}
