//! Configuration of the router. The sections that all services share are defined in `signalbox_daemon`.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;
use signalbox_daemon::{
    Exit,
    config::{Duration, Size},
};
use signalbox_upstream::{AddressPolicy, ClientConfig, ConfigError, Deadlines, EnvironmentProxies};
use toml::{Table, Value};

use crate::{
    cache::CacheConfig,
    guard::GuardConfig,
    journal::{JournalConfig, MAX_BODY, RetentionConfig},
    private_keys::PrivateKeysConfig,
    streams::StreamsConfig,
};

/// Default configuration, which also documents every key.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// Returns the configuration that the router's own flag and environment variable set, in the form of a configuration
/// file. An empty variable counts as unset.
///
/// # Errors
/// Returns [`Exit::Config`], which names the variable and its accepted values.
pub fn overlay(deny_private: bool, variable: impl Fn(&str) -> Option<String>) -> Result<Table, Exit> {
    let given = variable("DENY_PRIVATE_UPSTREAMS").filter(|given| !given.is_empty());
    let deny_private = match given.as_deref() {
        _ if deny_private => Some(true),
        None => None,
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        Some(_) => return Err(Exit::Config("DENY_PRIVATE_UPSTREAMS takes true, false, 1 or 0".to_owned())),
    };
    let Some(deny_private) = deny_private else { return Ok(Table::new()) };
    let upstream = Table::from_iter([("deny_private".to_owned(), Value::Boolean(deny_private))]);
    Ok(Table::from_iter([("upstream".to_owned(), Value::Table(upstream))]))
}

/// All sections of the configuration that belong to the router.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Limits on requests from clients.
    pub limits: Limits,
    /// Connections to providers.
    pub upstream: Upstream,
    /// The request log.
    pub journal: JournalConfig,
    /// Client keys whose requests are logged in less detail.
    pub private_keys: PrivateKeysConfig,
    /// Answers that are given again.
    pub cache: CacheConfig,
    /// Streams that can be resumed.
    pub streams: StreamsConfig,
    /// Rules for the content of requests and answers.
    pub guard: GuardConfig,
    /// The management routes.
    pub management: Management,
    /// How long the request log is kept.
    pub retention: RetentionConfig,
}

/// Section `[limits]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Maximum size of a request body.
    pub max_body: Size,
    /// Maximum number of requests in flight.
    pub max_in_flight: usize,
    /// Maximum memory for the bodies of requests in flight; by default, a quarter of the memory of the machine.
    #[serde(default)]
    pub max_body_memory: Option<Size>,
}

/// Section `[management]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Management {
    /// Whether callers need the control token even on loopback and without client keys.
    pub require_token: bool,
}

/// Section `[upstream]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    connect_timeout: Duration,
    headers_timeout: Duration,
    idle_timeout: Duration,
    total_timeout: Duration,
    /// Maximum time for which the comments before the first event of a stream are held back.
    pub preamble_timeout: Duration,
    max_idle_connections: usize,
    idle_connection_timeout: Duration,
    deny_private: bool,
    ca_file: PathBuf,
}

impl Limits {
    /// Checks constraints that the types cannot express.
    ///
    /// # Errors
    /// Returns [`Exit::Config`], which names the key and its accepted values.
    pub fn check(&self) -> Result<(), Exit> {
        if self.max_body.bytes() > MAX_BODY {
            return Err(Exit::Config(format!(
                "limits.max_body takes a size of at most {}: a longer request does not fit into the request log",
                Size::from_bytes(MAX_BODY)
            )));
        }
        Ok(())
    }
}

impl Upstream {
    /// Returns the deadlines of a request to a provider.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        Deadlines {
            connect: self.connect_timeout.get(),
            headers: self.headers_timeout.get(),
            idle: self.idle_timeout.get(),
            total: self.total_timeout.get(),
        }
    }

    /// Returns the settings of the client of a router that listens on `own_addresses`. The proxies are those of the
    /// environment.
    ///
    /// # Errors
    /// [`ConfigError`] for a variable that is not the URL of a proxy.
    pub fn client(&self, own_addresses: Vec<SocketAddr>) -> Result<ClientConfig, ConfigError> {
        Ok(ClientConfig {
            proxies: EnvironmentProxies::from_variables(signalbox_daemon::variable)?,
            max_idle_per_target: self.max_idle_connections,
            idle_timeout: self.idle_connection_timeout.get(),
            extra_ca_file: (!self.ca_file.as_os_str().is_empty()).then(|| self.ca_file.clone()),
            own_addresses,
        })
    }

    /// Returns which addresses of providers are allowed.
    #[must_use]
    pub fn policy(&self) -> AddressPolicy {
        AddressPolicy { allow_private: !self.deny_private, ..AddressPolicy::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_to_fit_into_the_log() {
        let limits = |bytes| Limits { max_body: Size::from_bytes(bytes), max_in_flight: 1, max_body_memory: None };
        assert_eq!(limits(MAX_BODY).check(), Ok(()));
        let refused = limits(MAX_BODY + 1).check().unwrap_err();
        assert_eq!(refused.code(), 78);
        assert!(refused.to_string().starts_with("limits.max_body takes a size of at most 1GiB: "), "{refused}");
    }

    #[test]
    fn private_networks_are_denied_by_flag_or_variable() {
        let overlay = |flag, variable: Option<&str>| overlay(flag, |_| variable.map(str::to_owned));
        let denied = |table: Table| table.get("upstream").map(|upstream| upstream["deny_private"].as_bool().unwrap());
        for (flag, variable, expected) in [
            (false, None, None),
            (false, Some(""), None),
            (false, Some("1"), Some(true)),
            (false, Some("false"), Some(false)),
            (true, None, Some(true)),
            (true, Some("false"), Some(true)),
        ] {
            assert_eq!(denied(overlay(flag, variable).unwrap()), expected, "{flag} {variable:?}");
        }
        assert_eq!(overlay(false, Some("maybe")).unwrap_err().code(), 78);
    }
}
