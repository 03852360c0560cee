//! `stop`: stops the server gracefully, and by SIGKILL after the grace period.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::installation::Installation;
use super::output::{Code, CommandResult, Output};
use super::{client, end_process};
use crate::api::SHUTDOWN;
use crate::config::Args;
use crate::instance::{InstanceRecord, running};

/// Interval between checks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Time that a shutdown may need beyond its two deadlines.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Stop {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn stop(args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    let installation = Installation::read(args).await?;
    out.line("Stopping Signalbox...");
    let Some(server) = &installation.running else {
        out.line("Server is not running");
        return Ok(CommandResult::new(Code::NotRunning, json!({ "running": false })));
    };
    let forced = stop_running(&installation, server, out).await?;
    Ok(CommandResult::done(json!({ "running": false, "pid": server.identity.pid, "forced": forced })))
}

/// Stops the server, which stops its children. Returns whether it had to be killed.
pub(super) async fn stop_running(
    installation: &Installation,
    server: &InstanceRecord,
    out: &mut Output,
) -> anyhow::Result<bool> {
    // The server stops its children while it completes its last requests.
    let deadlines = installation.common.server.drain_timeout.get() + installation.config.services.stop_grace.get() * 2;
    let forced = if cfg!(unix) {
        end_process::end_process(&server.identity, deadlines + SHUTDOWN_MARGIN, out).await?
    } else {
        leave(installation, server, deadlines + SHUTDOWN_MARGIN, out).await?;
        false
    };
    let pid = server.identity.pid;
    if forced {
        let (grace, drain) = (installation.config.services.orphan_grace, installation.common.server.drain_timeout);
        out.line(format!("Server was killed (PID: {pid})"));
        out.line(format!(
            "Its services keep running for {grace}, then finish their streams within {drain} and exit; `api-server \
             cleanup` stops them now"
        ));
    } else {
        out.line(format!("Server stopped successfully (PID: {pid})"));
    }
    Ok(forced)
}

/// Asks the server to exit, on platforms without signals, and waits until it has.
async fn leave(
    installation: &Installation,
    server: &InstanceRecord,
    patience: Duration,
    out: &mut Output,
) -> anyhow::Result<()> {
    let pid = server.identity.pid;
    out.line(format!("Requesting process {pid} to exit..."));
    client::send(installation, server, Method::POST, SHUTDOWN).await?;
    let deadline = Instant::now() + patience;
    // During its shutdown it holds the lock, but may have no record of its process any more.
    while !matches!(running(&installation.common.data_dir), Ok(None)) {
        anyhow::ensure!(
            Instant::now() < deadline,
            "process {pid} is still running after {} s; end it with the task manager, which also ends its services",
            patience.as_secs()
        );
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
