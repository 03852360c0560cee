//! `start`: starts the server in the background, and returns when it is ready. `restart`: stops it, then starts it.

mod daemon;
mod free_ports;

use serde_json::{Value, json};

use self::daemon::Daemon;
use super::installation::Installation;
use super::output::{Code, CommandResult, Output};
use super::{Cli, client, stop};
use crate::config::Args;
use crate::instance::reachable;
use crate::instance::{self, InstanceRecord};

#[derive(Debug, clap::Args)]
pub(super) struct Start {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    force: free_ports::Force,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Restart {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    force: free_ports::Force,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn start(command: Start, out: &mut Output) -> anyhow::Result<CommandResult> {
    let installation = Installation::read(&command.args).await?;
    out.line("Starting Signalbox...");
    if let Some(server) = &installation.running {
        let url = server.url();
        out.line(format!("Server is already running (PID: {})", server.identity.pid));
        out.line(format!("API URL: {url}"));
        return Ok(CommandResult::done(facts(&installation, server, "already running")));
    }
    bring_up(command.args, &command.force, out).await
}

/// Stops and starts the server. Without own flags, the new server gets those of the old one.
pub(super) async fn restart(command: Restart, out: &mut Output) -> anyhow::Result<CommandResult> {
    let mut args = command.args;
    let installation = Installation::read(&args).await?;
    out.line("Restarting Signalbox...");
    match &installation.running {
        Some(server) => {
            out.line("Stopping Signalbox...");
            if args.says_only_where() {
                args = Cli::args_of(&server.args).unwrap_or(args);
            }
            // Validate before stopping: a server that could not start again keeps running.
            Installation::read(&args).await?;
            stop::stop_running(&installation, server, out).await?;
        }
        None => out.line("Server is not running"),
    }
    out.line("Starting Signalbox...");
    bring_up(args, &command.force, out).await
}

async fn bring_up(mut args: Args, force: &free_ports::Force, out: &mut Output) -> anyhow::Result<CommandResult> {
    // `start` implies starting the services.
    args.start_services_unless_told();
    let installation = Installation::read(&args).await?;
    free_ports::clear(&installation, force, out).await?;
    let server = &installation.common.server;
    out.line(format!("Starting server on {}:{}...", server.host, server.port));
    let mut daemon = Daemon::spawn(&args, &installation)?;
    let record = daemon.ready(&installation).await?;
    let facts = facts(&installation, &record, "started");
    let url = record.url();
    out.line(format!("Server started successfully (PID: {})", record.identity.pid));
    out.line(format!("API URL: {url}"));
    out.line(format!("API Docs: {url}/docs"));
    if let Ok(status) = client::get(&installation, &record, "/api/proxy/status").await
        && let Some(port) = status["providerRouter"]["port"].as_u64()
    {
        let router = std::net::SocketAddr::new(reachable(record.addr).ip(), u16::try_from(port)?);
        let scheme = if record.tls { "https" } else { "http" };
        out.line(format!("OpenAI URL: {scheme}://{router}/v1"));
    }
    out.line(format!("Logs: {}", installation.log_file().display()));
    Ok(CommandResult::new(Code::Done, facts))
}

fn facts(installation: &Installation, server: &InstanceRecord, message: &str) -> Value {
    let url = server.url();
    json!({
        "running": true,
        "pid": server.identity.pid,
        "url": url,
        "docsUrl": format!("{url}/docs"),
        "logFile": installation.log_file(),
        "message": message,
    })
}

/// Returns the record of the server that was spawned as `pid`, once it has announced its address.
fn announced(installation: &Installation, pid: u32) -> Option<InstanceRecord> {
    // While the server starts, its lock may be held without a record.
    let record = instance::running(&installation.common.data_dir).ok().flatten();
    record.filter(|record| record.identity.pid == pid)
}
