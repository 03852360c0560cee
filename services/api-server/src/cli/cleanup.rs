//! `cleanup`: removes the remains of a server that was killed.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::installation::Installation;
use super::output::{CommandResult, Output};
use super::{end_process, orphans};
use crate::config::Args;
use crate::instance;

/// Time beyond the drain timeout before a service is killed.
const KILL_MARGIN: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Cleanup {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn cleanup(args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    let installation = Installation::read(args).await?;
    if let Some(server) = &installation.running {
        let pid = server.identity.pid;
        out.line(format!("Server is running (PID: {pid}), nothing to clean up"));
        return Ok(CommandResult::done(json!({ "running": true, "pid": pid, "ended": [], "recordRemoved": false })));
    }
    let mut ended = Vec::new();
    let grace = installation.common.server.drain_timeout.get() + KILL_MARGIN;
    for orphan in orphans::of(&installation.common.data_dir) {
        out.line(format!("Found {} (PID: {}) without a server", orphan.name, orphan.identity.pid));
        end_process::end_process(&orphan.identity, grace, out).await?;
        ended.push(json!({ "pid": orphan.identity.pid, "name": orphan.name }));
    }
    let data_dir = &installation.common.data_dir;
    let removed = instance::remove_stale_record(data_dir).with_context(|| {
        format!("cannot remove the record of a server that is not running in {}", data_dir.display())
    })?;
    if removed {
        out.line("Removed the record of a server that is not running");
    }
    if ended.is_empty() && !removed {
        out.line("Nothing to clean up");
    } else {
        out.line(format!("Cleaned up: {} process(es) stopped", ended.len()));
    }
    Ok(CommandResult::done(json!({ "running": false, "ended": ended, "recordRemoved": removed })))
}
