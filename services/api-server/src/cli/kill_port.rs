//! `kill-port`: ends the process that holds a port, after the user has confirmed it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use signalbox_daemon::listener::{Holder, holder_of};

use super::installation::Installation;
use super::output::{Code, CommandResult, Output};
use super::ports::{self, State};
use super::{end_process, orphans};
use crate::config::Args;
use signalbox_daemon::identity::Identity;

/// Time from SIGTERM to SIGKILL.
const TERMINATE_GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct KillPort {
    /// Port whose process is to be ended
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// End only the process with this id, without asking for confirmation
    #[arg(long, value_name = "PID")]
    expect_pid: Option<u32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn kill_port(command: &KillPort, args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    let port = command.port;
    let installation = Installation::read(args).await?;
    out.line(format!("Checking for processes on port {port}..."));
    let holder = match ports::state(&installation.common.server.host, port)? {
        State::Available => {
            out.line(format!("Port {port} is free"));
            return Ok(CommandResult::done(json!({ "port": port, "free": true, "killed": null })));
        }
        State::Refused(why) => bail!("cannot test port {port}: {why}"),
        State::Held(None) => bail!(
            "port {port} is in use by a process of another user; run this command as that user, \
            or as root"
        ),
        State::Held(Some(holder)) => holder,
    };
    out.line(format!("Found process {} ({}) using {}", holder.pid, holder.name, holder.addr));
    if installation.running.as_ref().is_some_and(|server| server.identity.pid == holder.pid) {
        bail!("the process is api-server itself; use `api-server stop`");
    }
    if !agreed(command, &holder, out)? {
        out.line("Left alone");
        return Ok(CommandResult::new(Code::Failed, json!({ "port": port, "free": false, "killed": null })));
    }
    out.line(format!("Killing process {}...", holder.pid));
    end_holder(&holder, out).await?;
    out.line(format!("Process {} killed successfully", holder.pid));
    let free = ports::state(&installation.common.server.host, port)? == State::Available;
    anyhow::ensure!(
        free,
        "process {} has exited, but port {port} is now in use by another process; try again",
        holder.pid
    );
    out.line(format!("Port {port} is now free"));
    Ok(CommandResult::done(json!({ "port": port, "free": true, "killed": { "pid": holder.pid, "name": holder.name } })))
}

fn agreed(command: &KillPort, holder: &Holder, out: &mut Output) -> anyhow::Result<bool> {
    let pid = holder.pid;
    match command.expect_pid {
        Some(expected) if expected == pid => return Ok(true),
        Some(expected) => bail!("the port is in use by process {pid}, not {expected}; nothing was done"),
        None if command.yes => return Ok(true),
        None => {}
    }
    out.ask(&format!("End {} (PID: {pid})?", holder.name))
        .with_context(|| format!("cannot ask for confirmation without a terminal; add --yes, or --expect-pid {pid}"))
}

/// Ends the process that was found to hold an address, if it still does.
pub(super) async fn end_holder(holder: &Holder, out: &mut Output) -> anyhow::Result<()> {
    let pid = holder.pid;
    anyhow::ensure!(pid != 1, "process 1 is the init process, which is never killed");
    anyhow::ensure!(pid != std::process::id(), "the process is this command itself, which cannot be killed");
    anyhow::ensure!(
        orphans::same_user(pid),
        "process {pid} belongs to another user; run this command as that user, for example with `sudo -u`"
    );
    // Take the identity first: if the process still holds the address after that, it is the one that will be signalled.
    let Some(identity) = Identity::of(pid) else { return Ok(()) };
    anyhow::ensure!(
        holder_of(holder.addr).as_ref() == Some(holder),
        "{} is now in use by another process, and nothing was done; try again",
        holder.addr
    );
    end_process::end_process(&identity, TERMINATE_GRACE, out).await?;
    Ok(())
}
