//! A running PostgreSQL server with its data.
//!
//! The server runs under a shell that reads from a pipe held open by this process. However this process ends, the pipe
//! is closed: the shell then stops the server and removes its directory.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::installation::Installation;
use crate::ports;

/// Maximum time for a server to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// `$1` is the directory to remove, the rest is the server command. A line on stdin means: stop, but keep the
/// directory.
const SHELL: &str = r#"
directory=$1; shift
"$@" >>"$directory/log" 2>&1 </dev/null &
server=$!
read -r keep || keep=
kill -INT "$server" 2>/dev/null
wait "$server"
[ -n "$keep" ] || rm -rf "$directory"
"#;

/// Durability is switched off: the data of tests is temporary.
const SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=16MB",
    "max_connections=200",
    "jit=off",
];

#[derive(Debug)]
pub(super) struct Cluster {
    directory: TempDir,
    port: u16,
    /// `None` while stopped.
    shell: Option<Child>,
}

// === impl Cluster ===

impl Cluster {
    pub(super) async fn create(installation: &Installation) -> io::Result<Self> {
        let directory = installation.copy_template().await?;
        let mut cluster = Self { directory, port: 0, shell: None };
        loop {
            cluster.port = ports::unused()?;
            match cluster.start(installation).await {
                // Another process took the port before the server did.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                started => return started.map(|()| cluster),
            }
        }
    }

    pub(super) fn url(&self) -> String {
        url(self.port)
    }

    #[cfg(test)]
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the server, unless it is running, and waits until it accepts connections.
    pub(super) async fn start(&mut self, installation: &Installation) -> io::Result<()> {
        if self.shell.is_some() {
            return Ok(());
        }
        let directory = self.directory.path();
        let seen = read(&directory.join("log")).len();
        self.shell = Some(spawn(installation, SHELL, directory, self.port)?);
        let started = ready(directory, seen).await;
        if started.is_err() {
            self.stop().await?;
        }
        started
    }

    /// Stops the server, if it is running: connections break, data is kept.
    pub(super) async fn stop(&mut self) -> io::Result<()> {
        let Some(mut shell) = self.shell.take() else { return Ok(()) };
        if let Some(pipe) = &mut shell.stdin {
            pipe.write_all(b"keep\n")?;
        }
        tokio::task::spawn_blocking(move || shell.wait()).await?.map(drop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // `wait` closes the pipe first. It only fails if the shell has ended already, which is the goal.
        if let Some(mut shell) = self.shell.take() {
            drop(shell.wait());
        }
    }
}

pub(super) fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// Runs the server on the `data` subdirectory of a directory, under a shell.
pub(super) fn spawn(installation: &Installation, shell: &str, directory: &Path, port: u16) -> io::Result<Child> {
    let mut command = installation.command("sh");
    command.args(["-c", shell, "sh"]).arg(directory).arg(installation.program("postgres"));
    command.arg("-D").arg(directory.join("data")).arg("-p").arg(port.to_string());
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    // A separate process group, so that a signal to the test's group leaves the shell alive to clean up.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Waits until the server accepts connections. Log output before the offset `seen` belongs to an earlier start.
pub(super) async fn ready(directory: &Path, seen: usize) -> io::Result<()> {
    let started = async {
        while !is_ready(directory) {
            let log = read(&directory.join("log"));
            let log = log.get(seen..).unwrap_or_default();
            if log.contains("Address already in use") {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, log));
            }
            if log.contains("FATAL:  could not") {
                return Err(io::Error::other(log));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    match tokio::time::timeout(START_TIMEOUT, started).await {
        Ok(started) => started,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, read(&directory.join("log")))),
    }
}

/// Returns whether the server is ready according to its pid file: unlike the port, that file can only belong to this
/// server.
pub(super) fn is_ready(directory: &Path) -> bool {
    let file = read(&directory.join("data/postmaster.pid"));
    file.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

/// Reads a file that may not exist yet.
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
