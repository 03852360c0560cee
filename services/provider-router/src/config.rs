//! The router's own configuration; the sections every service has are the daemon's.

use std::path::PathBuf;

use serde::Deserialize;
use signalbox_daemon::config::{Duration, Size};
use signalbox_upstream::{AddressPolicy, ClientConfig, Deadlines};

use crate::journal::{JournalConfig, RetentionConfig};

/// The defaults, which are also the documentation.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// All sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What a client may ask of us.
    pub limits: Limits,
    /// What we ask of providers.
    pub upstream: Upstream,
    /// The request log.
    pub journal: JournalConfig,
    /// How long it is kept.
    pub retention: RetentionConfig,
}

/// Section `[limits]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest request body.
    pub max_body: Size,
    /// Requests in flight.
    pub max_in_flight: usize,
}

/// Section `[upstream]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    connect_timeout: Duration,
    headers_timeout: Duration,
    idle_timeout: Duration,
    total_timeout: Duration,
    max_idle_connections: usize,
    idle_connection_timeout: Duration,
    deny_private: bool,
    ca_file: PathBuf,
}

impl Upstream {
    /// The deadlines of an exchange.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        Deadlines {
            connect: self.connect_timeout.get(),
            headers: self.headers_timeout.get(),
            idle: self.idle_timeout.get(),
            total: self.total_timeout.get(),
        }
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        ClientConfig {
            max_idle_per_target: self.max_idle_connections,
            idle_timeout: self.idle_connection_timeout.get(),
            extra_ca_file: (!self.ca_file.as_os_str().is_empty()).then(|| self.ca_file.clone()),
        }
    }

    /// Which addresses may be called.
    #[must_use]
    pub fn policy(&self) -> AddressPolicy {
        AddressPolicy { allow_private: !self.deny_private, ..AddressPolicy::default() }
    }
}
