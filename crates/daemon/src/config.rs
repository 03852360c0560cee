//! Process settings: fixed at boot, read once.
//!
//! Four layers lie over each other: compiled-in defaults, a TOML file, the environment, the command line. The later wins, key by key.
//! The defaults are commented TOML (`config/defaults.toml`, and [`Spec::defaults`](crate::Spec) for what a service adds):
//! documentation and values in one place. A key that nobody documents is refused, with its name and the place it stands in.

mod data_dir;
mod duration;
mod environment;
mod layers;
mod mask;
mod quantity;
mod settings;
mod size;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use signalbox_core::secret::Secret;

use crate::doors::{Hosts, Origins};
use crate::exit::Exit;

pub(crate) use data_dir::prepare as prepare_data_dir;
pub use duration::Duration;
pub(crate) use environment::Environment;
pub use layers::{Loaded, load};
pub use size::Size;

/// The settings all three programs share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// Listening and serving.
    pub server: ServerConfig,
    /// Where state lives.
    pub database: DatabaseConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Who may call.
    pub auth: AuthConfig,
    /// The directory of the program's files: absolute, made with mode 0700.
    pub data_dir: PathBuf,
}

/// Listening and serving.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// An IP address, `localhost` or a host name.
    pub host: String,
    /// 0 takes any free port.
    pub port: u16,
    /// Further names we answer to: `box.lan`, `*.box.lan`, `*`.
    pub allowed_hosts: Vec<String>,
    /// Further pages that may use us from a browser: `https://dashboard.example`, `*`.
    pub allowed_origins: Vec<String>,
    /// How long a client may take to send the head of a request, from its first byte (on a new connection: from accept).
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// How long a client may take none of an answer that is waiting for it.
    pub write_timeout: Duration,
    /// Maximum time without a byte of a request's body while the service waits for it.
    pub body_timeout: Duration,
    /// Bytes per second that a request's body has to bring on average, beyond the first `body_timeout`.
    pub min_body_rate: Size,
    /// Maximum bytes of large request bodies that are arriving at the same time.
    pub max_arriving: Size,
    /// How much of an answer the operating system may hold for one client.
    pub send_buffer: Size,
    /// Open connections; more wait in the backlog of the operating system.
    pub max_connections: usize,
    /// Maximum open connections of one address of another machine; 0 means as many as there are.
    pub max_connections_per_address: usize,
    /// Bytes of the head of a request; beyond them the answer is 431.
    pub max_header_bytes: Size,
    /// How long running requests may go on after the process was asked to stop.
    pub drain_timeout: Duration,
    /// Threads of the runtime; 0 takes as many as there are cores.
    pub worker_threads: usize,
}

/// Where state lives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:///absolute/path.db` or `postgres://…`; may contain a password.
    pub url: Secret<String>,
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The least important level that is logged.
    pub level: LogLevel,
    /// The shape of a line.
    pub format: LogFormat,
}

/// The importance of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something is lost or broken.
    Error,
    /// Something a person should look at.
    Warn,
    /// What happens, in large steps.
    Info,
    /// What happens, in small steps.
    Debug,
    /// Everything.
    Trace,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text, coloured on a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// Who may call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Any of these opens the door; none at all means it stands open.
    pub client_keys: Vec<Secret<String>>,
    /// Whether it may stand open to other machines, too.
    pub insecure_no_auth: bool,
}

// === impl Common ===

impl Common {
    /// The defaults, with files in `data_dir` and any free port.
    pub(crate) fn detached(data_dir: &Path, env: &Environment) -> Result<Self, Exit> {
        layers::defaults_only(data_dir, env)
    }

    /// What types cannot say. The message names the key and what it takes.
    fn check(&self) -> Result<(), String> {
        let server = &self.server;
        for (key, duration) in [
            ("header_timeout", server.header_timeout),
            ("idle_timeout", server.idle_timeout),
            ("write_timeout", server.write_timeout),
            ("body_timeout", server.body_timeout),
        ] {
            if duration.get().is_zero() {
                return Err(format!("server.{key} takes a duration above zero"));
            }
        }
        if !(1..=MAX_CONNECTIONS).contains(&server.max_connections) {
            return Err(format!("server.max_connections takes a number from 1 to {MAX_CONNECTIONS}"));
        }
        if server.min_body_rate.bytes() == 0 {
            return Err("server.min_body_rate takes a size per second of at least 1B".to_owned());
        }
        if !(HEADER_BYTES.contains(&server.max_header_bytes.bytes())) {
            return Err("server.max_header_bytes takes a size from 1KiB to 1MiB".to_owned());
        }
        if !(SEND_BUFFER_BYTES.contains(&server.send_buffer.bytes())) {
            return Err("server.send_buffer takes a size from 4KiB to 64MiB".to_owned());
        }
        if let Some(entry) = server.allowed_hosts.iter().find(|entry| !Hosts::takes(entry)) {
            return Err(format!(
                "server.allowed_hosts takes names without scheme and port, `*.` before a domain, or `*`, not `{entry}`"
            ));
        }
        if let Some(entry) = server.allowed_origins.iter().find(|entry| !Origins::takes(entry)) {
            return Err(format!(
                "server.allowed_origins takes origins such as `https://dashboard.example`, or `*`, not `{entry}`"
            ));
        }
        settings::database_url(self.database.url.expose()).map_err(|takes| format!("database.url takes {takes}"))?;
        if self.auth.client_keys.iter().any(|key| key.expose().trim().is_empty()) {
            return Err("auth.client_keys takes keys that are not empty".to_owned());
        }
        Ok(())
    }
}

/// Beyond any descriptor limit, and within what a semaphore can count.
const MAX_CONNECTIONS: usize = 1_000_000;

/// Less cannot hold an ordinary request; more is memory anybody may claim.
const HEADER_BYTES: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 20;

/// Less is refused or raised by operating systems; more bounds nothing.
const SEND_BUFFER_BYTES: std::ops::RangeInclusive<u64> = 4 << 10..=64 << 20;

#[cfg(test)]
mod tests;
