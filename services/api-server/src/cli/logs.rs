//! `logs`: shows the last lines of a log, and follows it. Reads the files, so that it does not depend on a running
//! server.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::installation::Installation;
use super::output::{CommandResult, Output};
use crate::config::Args;
use crate::logs::{COMBINED, Follow, LogDir, MAX_LINES, SERVICES, last_lines};

/// Interval between reads.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// Log to show: api-server, provider-router (further workers: provider-router-2 and so on), qwen-proxy, or
    /// combined, which merges all of them
    #[arg(value_name = "SERVICE", default_value = COMBINED, value_parser = service)]
    service: String,
    /// Number of lines, at most 5000
    #[arg(long, value_name = "N", default_value = "50", value_parser = lines)]
    lines: usize,
    /// Keep printing as the log grows, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object instead of text, or one per line with --follow
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn logs(command: &Logs, args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    // Installed before the first output: a reader of the output may send an interrupt at once.
    let mut interrupts = interrupts()?;
    let installation = Installation::read(args).await?;
    let logs = installation.logs();
    let file = logs.file(&command.service).context("the log does not exist")?;
    // Opened before the last lines are read: a line written in between is printed twice instead of never.
    let follow = Follow::from_end(file.clone());
    let last = last_lines(&file, command.lines).with_context(|| format!("cannot read {}", file.display()))?;
    if last.is_empty() {
        out.line(empty(&file));
    }
    for line in &last {
        out.line(line);
        if command.follow {
            out.value(&json!({ "service": command.service, "line": line }));
        }
    }
    if !command.follow {
        return Ok(CommandResult::done(json!({ "service": command.service, "file": file, "lines": last })));
    }
    tokio::select! {
        error = tail(&command.service, follow, out) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        _ = interrupts.recv() => Ok(CommandResult::done(serde_json::Value::Null)),
    }
}

#[cfg(unix)]
fn interrupts() -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(windows)]
fn interrupts() -> std::io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}

async fn tail(service: &str, mut follow: Follow, out: &mut Output) -> std::io::Error {
    loop {
        match follow.poll() {
            Ok(output) => {
                if output.left_out > 0 {
                    out.line(format!("… {} bytes omitted …", output.left_out));
                }
                for line in String::from_utf8_lossy(&output.text).lines() {
                    out.line(line);
                    out.value(&json!({ "service": service, "line": line }));
                }
            }
            Err(error) => return error,
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn empty(file: &Path) -> String {
    format!(
        "{} is empty. Under a service manager, the log of api-server is kept by the service manager, for example in \
         `journalctl`.",
        file.display()
    )
}

fn service(text: &str) -> Result<String, String> {
    match LogDir::of(Path::new("")).file(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("the logs are {COMBINED}, {}", SERVICES.join(", "))),
    }
}

fn lines(text: &str) -> Result<usize, String> {
    let lines = text.parse().ok().filter(|lines| (1..=MAX_LINES).contains(lines));
    lines.ok_or_else(|| format!("the number of lines must be from 1 to {MAX_LINES}"))
}
