//! One server shared by all tests that run at about the same time, in any process.
//!
//! Starting a server takes a second or more, so the first test that needs it starts it and later ones join. Each user
//! holds a pipe open for writing, and the kernel counts the writers: after the last one has ended, for whatever reason,
//! the shell at the reading end sees the end of file. It waits a little because the next test may be about to start;
//! then it renames the pipe so that no more tests can join, waits for those that joined before, stops the server and
//! removes its directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;

use super::cluster;
use super::installation::{self, Installation};
use crate::ports;

/// `$1` is the directory, the rest is the server command. Each user that joins writes a byte.
const SHELL: &str = r#"
directory=$1; shift
exec 3<"$directory/users"
"$@" >>"$directory/log" 2>&1 </dev/null 3<&- &
server=$!
while
    cat <&3 >/dev/null
    sleep 3
    [ "$(cat <&3 | wc -c)" -gt 0 ]
do :; done
mv "$directory/users" "$directory/closed"
cat <&3 >/dev/null
kill -INT "$server" 2>/dev/null
wait "$server"
rm -rf "$directory"
"#;

/// A share in the shared server.
#[derive(Debug)]
pub(super) struct Shared {
    port: u16,
    /// The server is kept running while this pipe is open.
    _users: File,
}

// === impl Shared ===

impl Shared {
    pub(super) async fn join(installation: &Installation) -> io::Result<Self> {
        let this = installation.clone();
        let home = tokio::task::spawn_blocking(move || this.home()).await??;
        // Lock, so that only one process at a time starts a server.
        let turn = File::create(home.join("turn"))?;
        let turn = tokio::task::spawn_blocking(move || turn.lock().map(|()| turn)).await??;
        let current = home.join("current");
        let shared = match join_running(&current) {
            Some(shared) => shared,
            None => Self::start(installation, &current).await?,
        };
        drop(turn);
        Ok(shared)
    }

    pub(super) fn url(&self) -> String {
        cluster::url(self.port)
    }

    async fn start(installation: &Installation, current: &Path) -> io::Result<Self> {
        loop {
            match Self::try_start(installation, current).await {
                // Another process took the port before the server did. The shell cleans up.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                started => return started,
            }
        }
    }

    async fn try_start(installation: &Installation, current: &Path) -> io::Result<Self> {
        // The shell removes the directory.
        let directory = installation.copy_template().await?.keep();
        let pipe = directory.join("users");
        let mut mkfifo = installation.command("mkfifo");
        mkfifo.arg(&pipe);
        installation::run(mkfifo).await?;
        // Opened for reading as well, because opening only for writing would block until the shell opens the pipe.
        let users = OpenOptions::new().read(true).write(true).open(&pipe)?;
        let port = ports::unused()?;
        cluster::spawn(installation, SHELL, &directory, port)?;
        cluster::ready(&directory, 0).await?;
        fs::write(directory.join("port"), port.to_string())?;
        let next = current.with_extension("next");
        fs::write(&next, directory.as_os_str().as_encoded_bytes())?;
        fs::rename(next, current)?;
        Ok(Self { port, _users: users })
    }
}

/// Joins the running server, if any.
fn join_running(current: &Path) -> Option<Shared> {
    let directory = fs::read_to_string(current).ok().map(PathBuf::from)?;
    // Fails at once if the pipe has no reader. Afterwards the shell waits for this process.
    let mut users = OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(directory.join("users")).ok()?;
    users.write_all(b"x").ok()?;
    let port = fs::read_to_string(directory.join("port")).ok()?.parse().ok()?;
    cluster::is_ready(&directory).then_some(Shared { port, _users: users })
}
