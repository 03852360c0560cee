//! A running server with its data.
//!
//! The server runs under a shell that reads from a pipe whose other end is ours. However this process ends, the pipe
//! breaks: the shell stops the server and removes its directory.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::installation::Installation;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// `$1` is the directory to remove, the rest is the server. A line says: stop, but keep the directory.
const SHELL: &str = r#"
directory=$1; shift
"$@" >>"$directory/log" 2>&1 </dev/null &
server=$!
read -r keep || keep=
kill -INT "$server" 2>/dev/null
wait "$server"
[ -n "$keep" ] || rm -rf "$directory"
"#;

/// Data of tests need not survive anything.
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
            cluster.port = free_port()?;
            match cluster.start(installation).await {
                // Somebody else took the port before the server did.
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

    /// Starts the server, unless it runs, and waits until it takes connections.
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

    /// Stops the server, if it runs: connections break, data stays.
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
        // `wait` closes the pipe first. A failure means that the shell is gone already, which is what we want.
        if let Some(mut shell) = self.shell.take() {
            drop(shell.wait());
        }
    }
}

pub(super) fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Runs the server on the `data` of a directory, under a shell.
pub(super) fn spawn(installation: &Installation, shell: &str, directory: &Path, port: u16) -> io::Result<Child> {
    let mut command = installation.command("sh");
    command.args(["-c", shell, "sh"]).arg(directory).arg(installation.program("postgres"));
    command.arg("-D").arg(directory.join("data")).arg("-p").arg(port.to_string());
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    // A group of its own, so that a signal to the test's group leaves the shell alive to clean up.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Waits until the server takes connections. What its log said before `seen` was about an earlier start.
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
    match tokio::time::timeout(PATIENCE, started).await {
        Ok(started) => started,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, read(&directory.join("log")))),
    }
}

/// What the server writes into its pid file: only ours writes there, while anybody might answer on the port.
pub(super) fn is_ready(directory: &Path) -> bool {
    let file = read(&directory.join("data/postmaster.pid"));
    file.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

/// A file that may not be there yet.
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
