//! Takeover of the running child processes of a killed supervisor by its successor.
//!
//! # Theory
//! A supervised process belongs to a *family*. The family is an id that is unique on the machine, assigned by the
//! supervisor, and names two files in the directory `run`: a lock file, which the child locks, and a socket, on which
//! it listens; both from before it is ready. If its standard input ends without a shutdown command, its supervisor is
//! gone. It then continues to serve for the grace period. A process that connects to the socket meanwhile and proves
//! knowledge of the [`Key`] of the data directory becomes the new supervisor: that connection is the lifeline from then
//! on, with the same commands and the same meaning of its end.
//!
//! ```text
//!   successor                                   child
//!       |  connects                               |  (its lifeline has ended)
//!       |  <------------------------- challenge   |
//!       |  challenge, proof ----------------->    |  the proof covers both challenges, so it cannot be replayed
//!       |  <--- status, proof, listening sockets  |  the sockets are sent only after a valid proof
//!       |  adopt ---------------------------->    |  (the health check agrees with the status)
//!       |  <--------------------------- adopted   |
//!       |  shutdown, or the end -------------->   |
//! ```
//!
//! # Invariants
//! - A process is adopted only if it holds the lock of its family, proves that it knows the key, and is the process at
//!   the peer end of the socket, to which the successor holds a handle before the adoption is confirmed. A process id
//!   alone proves nothing.
//! - Only the current user can reach the socket: the directory is closed to other users.
//! - No single read or write of the handshake waits longer than [`PEER_TIMEOUT`] for the peer.

mod child;
mod message;
mod proof;
mod successor;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::identity::Identity;

pub(crate) use self::child::{Adoptable, ListeningStatus, StatusReporter};
pub use self::proof::Key;
pub use self::successor::{Adopted, Candidate, Family, FamilyState, families};

/// Environment variable that names the family. All descendants of the child inherit it, too.
pub const FAMILY_ENV: &str = "SIGNALBOX_FAMILY";

/// Environment variable with the time a child waits for adoption, such as `10s`. Without it, the child shuts down at
/// once.
pub const GRACE_ENV: &str = "SIGNALBOX_ORPHAN_GRACE";

/// Environment variable with a digest of the command the supervisor was asked to run. The child returns it to the
/// successor.
pub const FINGERPRINT_ENV: &str = "SIGNALBOX_FINGERPRINT";

/// Maximum time of one read from, or write to, the peer.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(2);

/// Status a child reports to its successor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the program.
    pub service: String,
    /// Id of this run, as reported by its health checks.
    pub instance: String,
    /// Identity of the process.
    pub identity: Identity,
    /// Version of the program.
    pub version: String,
    /// Host it was told to listen on.
    pub host: String,
    /// Port it was told to listen on; 0 means any free port.
    pub port: u16,
    /// Address it is listening on.
    pub addr: SocketAddr,
    /// Address on which it answers health checks.
    pub probe: SocketAddr,
    /// Uptime in milliseconds.
    pub uptime_ms: u64,
    /// Value of [`FINGERPRINT_ENV`] it was started with.
    pub fingerprint: String,
}

/// Files of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Lock file, empty; locked by the child as long as it lives.
    pub lock: PathBuf,
    /// Socket through which the child can be adopted.
    pub socket: PathBuf,
}

/// Returns the directory of the family files in a data directory.
#[must_use]
pub fn run_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run")
}

// === impl Files ===

impl Files {
    /// Returns the files of this family, or `None` if `family` is not a valid id.
    #[must_use]
    pub fn of(run: &Path, family: &str) -> Option<Self> {
        let is_name = !family.is_empty() && family.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        is_name.then(|| Self { lock: run.join(format!("{family}.lock")), socket: run.join(format!("{family}.sock")) })
    }

    /// Removes the files; missing files are not an error. Call this only when no process of the family is left.
    ///
    /// # Errors
    /// Returns the error of the first file that cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        for file in [&self.socket, &self.lock] {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
