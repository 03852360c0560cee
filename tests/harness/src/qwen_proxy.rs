//! qwen-proxy alone.

use crate::{Home, http::Client, launch::Launch, process::Process};

/// qwen-proxy without api-server.
#[derive(Debug)]
pub struct QwenProxy {
    /// Its process.
    pub process: Process,
    /// A client of it.
    pub client: Client,
    /// Its directory.
    pub home: Home,
}

// === impl QwenProxy ===

impl QwenProxy {
    /// Starts qwen-proxy and waits until it listens.
    ///
    /// # Panics
    /// Panics if it does not listen.
    pub async fn start(launch: Launch) -> Self {
        let home = launch.home_dir().clone();
        let mut command = launch.command("qwen-proxy");
        command.args(["--port", "0"]);
        let mut process = Process::spawn("qwen-proxy", command, &home);
        let port = process.line_after("✓ Server running on port ").await;
        let client = Client::new(port.trim().parse().expect("a port"));
        Self { process, client, home }
    }
}
