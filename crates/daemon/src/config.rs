//! Process settings, read once at start-up.
//!
//! Four layers are merged key by key: compiled-in defaults, a TOML file, the environment, the command line. Later
//! layers override earlier ones. The defaults are commented TOML (`config/defaults.toml`, and
//! [`Spec::defaults`](crate::Spec) for the sections of a service): documentation and values in one place. An
//! undocumented key is rejected; the error names the key and the file it is in.

mod data_dir;
mod duration;
mod layers;
mod log;
mod mask;
mod quantity;
mod settings;
mod size;
mod tables;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use signalbox_core::secret::Secret;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::host_origin_guard::{HostOriginGuard, Hosts, Origins};
use crate::proxies::TrustedProxies;
use crate::traces::collector;

pub(crate) use data_dir::prepare as prepare_data_dir;
pub use duration::Duration;
pub use layers::{Loaded, load};
pub use log::{AccessLog, LogConfig, LogFormat, LogLevel, UnknownName};
pub use size::Size;

/// Settings all three programs share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// Listening and serving.
    pub server: ServerConfig,
    /// Database.
    pub database: DatabaseConfig,
    /// Logging.
    pub log: LogConfig,
    /// Authentication of clients.
    pub auth: AuthConfig,
    /// TLS of the listener.
    pub tls: TlsConfig,
    /// Directory of the program's files: an absolute path, created with mode 0700.
    pub data_dir: PathBuf,
}

/// Settings of listening and serving.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// IP address, `localhost` or host name to listen on.
    pub host: String,
    /// Port to listen on; 0 takes any free port.
    pub port: u16,
    /// Path of a Unix socket to listen on in addition; empty for none.
    pub unix_socket: PathBuf,
    /// Additional names accepted in the `Host` header: `box.lan`, `*.box.lan`, `*`.
    pub allowed_hosts: Vec<String>,
    /// Additional origins whose pages may call the service from a browser: `https://dashboard.example`, `*`.
    pub allowed_origins: Vec<String>,
    /// Addresses and networks of reverse proxies whose `X-Forwarded-For` and `Forwarded` name the client.
    pub trusted_proxies: Vec<String>,
    /// Maximum time to receive a request head, from its first byte (on a new connection: from accept).
    pub header_timeout: Duration,
    /// Maximum time a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// Maximum time a client may read nothing of a response that is ready to be sent.
    pub write_timeout: Duration,
    /// Maximum time without a byte of a request body while the service is reading it.
    pub body_timeout: Duration,
    /// Minimum average rate of a request body in bytes per second, enforced after the first `body_timeout`.
    pub min_body_rate: Size,
    /// Maximum total bytes of large request bodies that are arriving at the same time.
    pub max_arriving: Size,
    /// Maximum bytes of a response that the operating system buffers per connection.
    pub send_buffer: Size,
    /// Maximum open connections; further ones wait in the backlog of the operating system.
    pub max_connections: usize,
    /// Maximum open connections from one address of another machine; 0 means no limit.
    pub max_connections_per_address: usize,
    /// Maximum bytes of a request head; a larger one is answered with 431.
    pub max_header_bytes: Size,
    /// Maximum time running requests may continue after a shutdown was requested.
    pub drain_timeout: Duration,
    /// Number of runtime threads; 0 means one per core.
    pub worker_threads: usize,
}

/// Settings of the database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:///absolute/path.db` or `postgres://…`; may contain a password.
    pub url: Secret<String>,
}

/// Settings of client authentication.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Accepted keys. An empty list disables authentication.
    pub client_keys: Vec<Secret<String>>,
    /// Whether the service may be reachable from other machines without a key.
    pub insecure_no_auth: bool,
}

/// Settings of TLS on the listener. Both paths are empty if it is off.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate of the server, followed by those of its intermediate authorities.
    pub cert: PathBuf,
    /// PEM file with the private key of the certificate.
    pub key: PathBuf,
}

// === impl ServerConfig ===

impl ServerConfig {
    /// Returns the check of hosts and origins.
    #[must_use]
    pub fn host_origin_guard(&self) -> HostOriginGuard {
        HostOriginGuard::of(&self.host, &self.allowed_hosts, &self.allowed_origins)
    }
}

// === impl Common ===

impl Common {
    /// Returns the defaults, with files in `data_dir` and any free port.
    pub(crate) fn detached(data_dir: &Path, env: &Environment) -> Result<Self, Exit> {
        layers::defaults_only(data_dir, env)
    }

    /// Checks constraints that the types cannot express. The message names the key and the accepted values.
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
        if let Some(entry) = server.allowed_hosts.iter().find(|entry| !Hosts::is_valid_entry(entry)) {
            return Err(format!(
                "server.allowed_hosts takes names without scheme and port, `*.` before a domain, or `*`, not `{entry}`"
            ));
        }
        if let Some(entry) = server.allowed_origins.iter().find(|entry| !Origins::is_valid_entry(entry)) {
            return Err(format!(
                "server.allowed_origins takes origins such as `https://dashboard.example`, or `*`, not `{entry}`"
            ));
        }
        if let Some(entry) = server.trusted_proxies.iter().find(|entry| !TrustedProxies::is_valid_entry(entry)) {
            return Err(format!(
                "server.trusted_proxies (TRUSTED_PROXIES) takes addresses and networks such as `10.0.0.0/8`, not `{entry}`"
            ));
        }
        if self.tls.cert.as_os_str().is_empty() != self.tls.key.as_os_str().is_empty() {
            return Err("tls.cert and tls.key belong together: give both (TLS_CERT and TLS_KEY) or none".to_owned());
        }
        let endpoint = &self.log.otlp_endpoint;
        if !endpoint.is_empty()
            && let Err(error) = collector::target(endpoint)
        {
            // Not quoted, because it may contain a password.
            return Err(format!(
                "log.otlp_endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) takes the URL of an OTLP collector, such as \
                 http://127.0.0.1:4318: {error}"
            ));
        }
        settings::database_url(self.database.url.expose()).map_err(|takes| format!("database.url takes {takes}"))?;
        if self.auth.client_keys.iter().any(|key| key.expose().trim().is_empty()) {
            return Err("auth.client_keys must not contain empty keys".to_owned());
        }
        Ok(())
    }
}

/// Beyond any descriptor limit, and within the range of a semaphore.
const MAX_CONNECTIONS: usize = 1_000_000;

/// Below this range an ordinary request does not fit; beyond it, any client could claim too much memory.
const HEADER_BYTES: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 20;

/// Below this range operating systems refuse or raise the value; beyond it, the value no longer bounds anything.
const SEND_BUFFER_BYTES: std::ops::RangeInclusive<u64> = 4 << 10..=64 << 20;

#[cfg(test)]
mod tests;
