//! Ending a process with a verified identity: gracefully, then by SIGKILL.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use super::output::Output;
use signalbox_daemon::identity::{Handle, Identity, ProcessSignal};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Timeout after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the process to exit, and kills it if it is still running after `grace`. Returns whether it had to be killed.
pub(super) async fn end_process(identity: &Identity, grace: Duration, out: &mut Output) -> anyhow::Result<bool> {
    let pid = identity.pid;
    let refused = || format!("cannot signal process {pid}, which may belong to another user");
    let Some(process) = identity.open().with_context(refused)? else { return Ok(false) };
    out.line(format!("Sending SIGTERM to process {pid}..."));
    process.send(ProcessSignal::Terminate).with_context(refused)?;
    if gone(&process, grace).await {
        return Ok(false);
    }
    out.line(format!("Process {pid} is still running after {} s, killing it...", grace.as_secs()));
    process.send(ProcessSignal::Kill).with_context(refused)?;
    anyhow::ensure!(
        gone(&process, KILL_TIMEOUT).await,
        "process {pid} is still running after SIGKILL; it waits for a device or a network file system, and exits once \
         that responds"
    );
    Ok(true)
}

async fn gone(process: &Handle, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while !process.has_ended() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(POLL_INTERVAL).await;
    }
    true
}
