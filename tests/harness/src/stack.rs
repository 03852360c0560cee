//! api-server with its two child processes, as users start it.

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
    /// The process of api-server.
    pub process: Process,
    /// A client of api-server.
    pub api: Client,
    /// The shared directory.
    pub home: Home,
    client_key: Option<&'static str>,
}

/// Settings for starting a [`Stack`].
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

    /// Sets whether api-server starts its children at once (the default) or on request.
    #[must_use]
    pub const fn autostart(mut self, autostart: bool) -> Self {
        self.autostart = autostart;
        self
    }

    /// Makes provider-router and qwen-proxy require this client key, and api-server the same text as its token; their
    /// clients send it.
    #[must_use]
    pub fn client_key(mut self, key: &'static str) -> Self {
        self.launch = self.launch.env("CLIENT_KEYS", key).env("API_TOKEN", key);
        self.client_key = Some(key);
        self
    }

    /// Starts api-server and waits until it listens and, with autostart, its children are running.
    ///
    /// # Panics
    /// Panics if that does not happen.
    pub async fn start(self) -> Stack {
        let home = self.launch.home_dir().clone();
        let mut command = self.launch.command("api-server");
        command.args(["--port", "0", "--router-port", "0", "--qwen-port", "0"]);
        command.args(["--autostart", if self.autostart { "true" } else { "false" }]);
        let mut process = Process::spawn("api-server", command, &home);
        // `http://127.0.0.1:PORT`, or `https://…` with TLS.
        let url = process.line_after("API Server listening on ").await;
        let port = url.rsplit(':').next().and_then(|port| port.trim().parse().ok());
        let api = Client::new(port.expect("a port")).with_key(self.client_key);
        let stack = Stack { process, api, home, client_key: self.client_key };
        if self.autostart {
            stack.running().await;
        }
        stack
    }
}

// === impl Stack ===

impl Stack {
    /// Returns the default settings.
    #[must_use]
    pub fn builder() -> StackBuilder {
        StackBuilder { launch: Launch::default(), autostart: true, client_key: None }
    }

    /// Starts a stack with the default settings.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Returns the answer to `GET /api/proxy/status`.
    pub async fn status(&self) -> Value {
        self.api.get("/api/proxy/status").await.expect(200).json()
    }

    /// Waits until both children are running and returns the status.
    pub async fn running(&self) -> Value {
        eventually("status `running`", async || {
            let status = self.status().await;
            (status["status"] == "running").then_some(status)
        })
        .await
    }

    /// Returns a client of provider-router, which has to be running.
    pub async fn router(&self) -> Client {
        self.child("providerRouter").await
    }

    /// Returns a client of qwen-proxy, which has to be running.
    pub async fn qwen(&self) -> Client {
        self.child("qwenProxy").await
    }

    /// Adds an enabled provider of type `openai` with a key and waits until the router has it.
    ///
    /// # Panics
    /// Panics if api-server refuses it, or the router does not get it.
    pub async fn add_provider(&self, id: &str, base_url: &str) {
        self.add_provider_of("openai", id, base_url).await;
    }

    /// Adds an enabled provider of the type `kind` with a key and waits until the router has it.
    ///
    /// # Panics
    /// Panics if api-server refuses it, or the router does not get it.
    pub async fn add_provider_of(&self, kind: &str, id: &str, base_url: &str) {
        self.create_provider_of(kind, id, base_url).await.expect(201);
        let router = self.router().await;
        let what = format!("the router to load provider {id}");
        eventually(&what, async || {
            let health = router.get("/health").await.expect(200).json();
            let known = health["registeredProviders"].as_array()?.iter().any(|known| known == id);
            known.then_some(())
        })
        .await;
    }

    /// Sends `POST /api/providers` and returns the answer, whatever its status.
    pub async fn create_provider(&self, id: &str, base_url: &str) -> Answer {
        self.create_provider_of("openai", id, base_url).await
    }

    async fn create_provider_of(&self, kind: &str, id: &str, base_url: &str) -> Answer {
        let provider = json!({
            "id": id, "name": id, "type": kind, "enabled": true, "priority": 50,
            "config": {"baseURL": base_url, "apiKey": "sk-test-0123456789abcdef"},
        });
        self.api.post("/api/providers", &provider).await
    }

    /// Waits until the request with this id has ended in the log and returns it.
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
