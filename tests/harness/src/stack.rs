//! api-server with its two children, as a user starts it.

use serde_json::{Value, json};

use crate::{
    Home,
    http::{Answer, Client},
    launch::Launch,
    process::Process,
    waiting::eventually,
};

/// All three services.
#[derive(Debug)]
pub struct Stack {
    /// api-server's process.
    pub process: Process,
    /// A client of api-server.
    pub api: Client,
    /// Their directory.
    pub home: Home,
    client_key: Option<&'static str>,
}

/// How to start a [`Stack`].
#[derive(Clone, Debug)]
pub struct StackBuilder {
    launch: Launch,
    autostart: bool,
    client_key: Option<&'static str>,
}

// === impl StackBuilder ===

impl StackBuilder {
    /// Starts api-server with these settings.
    #[must_use]
    pub fn launch(mut self, launch: Launch) -> Self {
        self.launch = launch;
        self
    }

    /// Whether api-server starts its children at once (it does), or on request.
    #[must_use]
    pub const fn autostart(mut self, autostart: bool) -> Self {
        self.autostart = autostart;
        self
    }

    /// provider-router and qwen-proxy ask for this client key, api-server for the same text as its token, and their clients present it.
    #[must_use]
    pub fn client_key(mut self, key: &'static str) -> Self {
        self.launch = self.launch.env("CLIENT_KEYS", key).env("API_TOKEN", key);
        self.client_key = Some(key);
        self
    }

    /// Starts api-server, and waits until it listens and its children run, if they are started at once.
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn start(self) -> Stack {
        let home = self.launch.home_dir().clone();
        let mut command = self.launch.command("api-server");
        command.args(["--port", "0", "--router-port", "0", "--qwen-port", "0"]);
        command.args(["--autostart", if self.autostart { "true" } else { "false" }]);
        let mut process = Process::spawn("api-server", command, &home);
        let port = process.line_after("API Server listening on http://127.0.0.1:").await;
        let api = Client::new(port.trim().parse().expect("a port")).with_key(self.client_key);
        let stack = Stack { process, api, home, client_key: self.client_key };
        if self.autostart {
            stack.running().await;
        }
        stack
    }
}

// === impl Stack ===

impl Stack {
    /// How to start one.
    #[must_use]
    pub fn builder() -> StackBuilder {
        StackBuilder { launch: Launch::default(), autostart: true, client_key: None }
    }

    /// Starts one without settings.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// `GET /api/proxy/status`.
    pub async fn status(&self) -> Value {
        self.api.get("/api/proxy/status").await.expect(200).json()
    }

    /// Waits until both children run; the status then.
    pub async fn running(&self) -> Value {
        eventually("status `running`", async || {
            let status = self.status().await;
            (status["status"] == "running").then_some(status)
        })
        .await
    }

    /// A client of provider-router, which has to run.
    pub async fn router(&self) -> Client {
        self.child("providerRouter").await
    }

    /// A client of qwen-proxy, which has to run.
    pub async fn qwen(&self) -> Client {
        self.child("qwenProxy").await
    }

    /// Adds an OpenAI-compatible provider, enabled, with a key, and waits until the router knows it.
    ///
    /// # Panics
    /// When api-server refuses it, or the router does not hear of it.
    pub async fn add_provider(&self, id: &str, base_url: &str) {
        self.create_provider(id, base_url).await.expect(201);
        let router = self.router().await;
        let what = format!("the arrival of provider {id} in the router");
        eventually(&what, async || {
            let health = router.get("/health").await.expect(200).json();
            let known = health["registeredProviders"].as_array()?.iter().any(|known| known == id);
            known.then_some(())
        })
        .await;
    }

    /// `POST /api/providers`, whatever comes of it.
    pub async fn create_provider(&self, id: &str, base_url: &str) -> Answer {
        let provider = json!({
            "id": id, "name": id, "type": "openai", "enabled": true, "priority": 50,
            "config": {"baseURL": base_url, "apiKey": "sk-test-0123456789abcdef"},
        });
        self.api.post("/api/providers", &provider).await
    }

    /// The recorded request with this id, once it has an end.
    pub async fn recorded(&self, request_id: &str) -> Value {
        let what = format!("the end of request {request_id} in the log");
        eventually(&what, async || {
            let answer = self.api.get(&format!("/api/requests/{request_id}")).await;
            (answer.status == 200).then(|| answer.json()).filter(|row| row["status"] != "pending")
        })
        .await
    }

    async fn child(&self, name: &str) -> Client {
        let status = self.status().await;
        let port = status[name]["port"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        let port = port.unwrap_or_else(|| panic!("{name} does not run: {status}"));
        Client::new(port).with_key(self.client_key)
    }
}
