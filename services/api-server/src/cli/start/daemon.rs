//! The server as a background process.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::io::{Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use signalbox_daemon::log_file::LOG_FILE;
use tokio::time::{Instant, sleep};

use super::{announced, client};
use crate::cli::installation::Installation;
use crate::config::Args;
use crate::instance::{InstanceRecord, private_directory};
use crate::supervisor::Exit;

/// Interval between checks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Time for the start of the server itself, in addition to that of its services.
const SERVER_START_TIMEOUT: Duration = Duration::from_secs(15);

/// `CREATE_NEW_PROCESS_GROUP` and `CREATE_NO_WINDOW`: protects the server from Ctrl-C and from the end of this console.
#[cfg(windows)]
const DETACHED_FLAGS: u32 = 0x0800_0200;

/// Maximum lines of its log that are shown after a failure.
const MAX_LOG_LINES: usize = 15;

/// A server that has just been spawned.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
    /// Offset at which its part of the log begins.
    begin: u64,
    deadline: Instant,
    services: bool,
}

// === impl Daemon ===

impl Daemon {
    /// Spawns the server, detached from this terminal, with its output in the log.
    pub(super) fn spawn(args: &Args, installation: &Installation) -> anyhow::Result<Self> {
        let log = installation.log_file();
        let refused = || format!("cannot write {}", log.display());
        private_directory(installation.logs().path()).with_context(refused)?;
        let file = signalbox_private_files::options().append(true).create(true).open(&log).with_context(refused)?;
        let begin = file.metadata().with_context(refused)?.len();
        let program = std::env::current_exe().context("cannot find the executable of api-server")?;
        let mut command = Command::new(&program);
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, DETACHED_FLAGS);
        let child = command
            .args(["run", "--detached"])
            .args(args.to_argv())
            .env(LOG_FILE, &log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let services = &installation.config.services;
        let deadline = Instant::now() + SERVER_START_TIMEOUT + services.startup_timeout.get();
        Ok(Self { child, log, begin, deadline, services: services.autostart })
    }

    /// Waits until the server responds and its services are running.
    pub(super) async fn ready(&mut self, installation: &Installation) -> anyhow::Result<InstanceRecord> {
        let mut missing = "it has not reported its address".to_owned();
        loop {
            if let Some(status) = self.child.try_wait().context("cannot query the state of the server process")? {
                let exit = status.code().map_or(Exit::Unknown, Exit::Code);
                bail!("the server {exit} before it was ready{}", self.log_tail());
            }
            if let Some(record) = announced(installation, self.child.id()) {
                match client::get(installation, &record, "/api/proxy/status").await {
                    Ok(status) => match self.progress_of(&status) {
                        StartProgress::Ready => return Ok(record),
                        StartProgress::Failed(why) => bail!(
                            "the server is running (PID: {}), but not all of its services: {why}\nIt keeps running; \
                             use `api-server logs` and `api-server stop`",
                            record.identity.pid
                        ),
                        StartProgress::Pending(what) => missing = what,
                    },
                    Err(error) => missing = format!("{error:#}"),
                }
            }
            if Instant::now() >= self.deadline {
                bail!(
                    "the server (PID: {}) is not ready in time: {missing}. It keeps trying; see `api-server status`{}",
                    self.child.id(),
                    self.log_tail()
                );
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn progress_of(&self, status: &Value) -> StartProgress {
        let word = status["status"].as_str().unwrap_or("in an unknown state");
        if word == "running" || !self.services {
            return StartProgress::Ready;
        }
        // A service that will be started again may still become ready.
        let lost = ["providerRouter", "qwenProxy"].into_iter().map(|service| &status[service]);
        let mut lost = lost.filter(|service| service["state"] == "error" && service["willRestart"] != true);
        match lost.next() {
            Some(service) => StartProgress::Failed(service["error"].as_str().unwrap_or("no reason given").to_owned()),
            None if word == "error" => StartProgress::Failed(status["message"].as_str().unwrap_or_default().to_owned()),
            None => StartProgress::Pending(format!("its services are {word}")),
        }
    }

    /// Returns the end of its log, at most 15 lines.
    fn log_tail(&self) -> String {
        let mut text = Vec::new();
        let read = OpenOptions::new().read(true).open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.begin))?;
            file.take(64 * 1024).read_to_end(&mut text)
        });
        if read.is_err() || text.is_empty() {
            return format!("; see {}", self.log.display());
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(MAX_LOG_LINES)..];
        format!("; last lines of {}:\n{}", self.log.display(), shown.join("\n"))
    }
}

/// Progress of a start, according to the server's status.
enum StartProgress {
    Ready,
    Failed(String),
    Pending(String),
}
