//! provider-router alone.

use crate::{Home, http::Client, launch::Launch, process::Process};

/// provider-router without api-server.
#[derive(Debug)]
pub struct Router {
    /// Its process.
    pub process: Process,
    /// A client of it.
    pub client: Client,
    /// Its directory.
    pub home: Home,
}

// === impl Router ===

impl Router {
    /// Starts provider-router, on a free port unless `launch` names one, and waits until it listens.
    ///
    /// # Panics
    /// Panics if it does not listen.
    pub async fn start(launch: Launch) -> Self {
        let home = launch.home_dir().clone();
        let mut command = launch.command("provider-router");
        if !launch.has_arg("--port") {
            command.args(["--port", "0"]);
        }
        let mut process = Process::spawn("provider-router", command, &home);
        let address = process.line_after("Server listening on http://").await;
        let port = address.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let client = Client::new(port.expect("a port"));
        Self { process, client, home }
    }
}
