//! A supervisor was killed, and another one takes over its children while they serve.
//!
//! # Theory
//! A supervised process belongs to a *family*: an id that nobody else of the machine has, given to it by its supervisor, and
//! the name of its files in the directory `run`. It locks the one and listens on the other, a socket, from before it is
//! ready. When its standard input ends without a request to leave, its supervisor is gone. It serves on for the grace, and
//! whoever connects to the socket meanwhile and knows the [`Key`] of the data directory becomes its supervisor: the
//! connection is its lifeline from then on, with the same commands and the same meaning of its end.
//!
//! ```text
//!   successor                                   child
//!       |  connects                               |  (its lifeline has ended)
//!       |  <------------------------- challenge   |
//!       |  challenge, proof ----------------->    |  the proof covers both challenges: no recorded one fits
//!       |  <--- status, proof, listening sockets  |  the sockets are only for who has proven himself
//!       |  adopt ---------------------------->    |  (the health check agrees with the status)
//!       |  <--------------------------- adopted   |
//!       |  shutdown, or the end -------------->   |
//! ```
//!
//! # Invariants
//! - A process is adopted when it holds the lock of its family, proves that it knows the key, and is the process at the other
//!   end of the socket, held by a handle before it says that it is adopted. Its number alone says nothing.
//! - Nobody but our user can reach the socket: the directory is closed to others.
//! - Nothing here waits longer than [`PATIENCE`] for the other side.

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

pub(crate) use self::child::{Adoptable, Facts, Teller};
pub use self::proof::Key;
pub use self::successor::{Adopted, Candidate, Family, Found, families};

/// The variable that names the family. It is in the environment of all descendants, too.
pub const FAMILY: &str = "SIGNALBOX_FAMILY";

/// The variable that says how long a child waits to be adopted, such as `10s`. Without it, it leaves at once.
pub const GRACE: &str = "SIGNALBOX_ORPHAN_GRACE";

/// The variable that stands for what the supervisor was asked to run; the successor gets it back.
pub const FINGERPRINT: &str = "SIGNALBOX_FINGERPRINT";

/// One answer of the other side may take this long.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What a child says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The name of the program.
    pub service: String,
    /// The id of its run, as its health checks answer.
    pub instance: String,
    /// Which process.
    pub identity: Identity,
    /// Of which version it is.
    pub version: String,
    /// The host it was told to listen on, and the port: 0 is any.
    pub host: String,
    /// See `host`.
    pub port: u16,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where it answers health checks.
    pub probe: SocketAddr,
    /// How long it has been running, in milliseconds.
    pub uptime_ms: u64,
    /// What its supervisor gave it as [`FINGERPRINT`].
    pub fingerprint: String,
}

/// The files of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Locked by the child for life. Empty.
    pub lock: PathBuf,
    /// What it can be adopted through.
    pub socket: PathBuf,
}

/// The directory of such files in a data directory.
#[must_use]
pub fn run_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run")
}

// === impl Files ===

impl Files {
    /// Those of this family; `None` for a text that is no name.
    #[must_use]
    pub fn of(run: &Path, family: &str) -> Option<Self> {
        let is_name = !family.is_empty() && family.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        is_name.then(|| Self { lock: run.join(format!("{family}.lock")), socket: run.join(format!("{family}.sock")) })
    }

    /// Removes them. To be called when nobody of the family is left; that there are none is no error.
    ///
    /// # Errors
    /// When one of them cannot be removed.
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
