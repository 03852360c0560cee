//! Configuration of api-server; `config.default.toml` documents every key.

mod flags;

use std::num::NonZeroU32;

use serde::Deserialize;
use signalbox_core::secret::Secret;
use signalbox_daemon::config::{Duration, Size};
use signalbox_daemon::listener::check_host;
use signalbox_daemon::{Common, Exit, MIN_TOKEN, Spec, Tls};

pub use flags::{Args, Given};

use crate::fleet::MAX_WORKERS;
use crate::logs::Retention;
use crate::notify;
use crate::server::check_origins;
use crate::supervisor::Resources;

/// Sections of the configuration that belong to api-server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Services that api-server runs.
    pub services: Services,
    /// REST API.
    pub api: Api,
    /// Log files.
    pub logs: Logs,
    /// Audit log.
    pub audit: Audit,
    /// Webhook.
    pub notify: notify::Config,
}

/// Services that api-server runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Port of provider-router; 0 means any.
    pub router_port: u16,
    /// Port of qwen-proxy; 0 means any.
    pub qwen_port: u16,
    /// Number of provider-router processes.
    pub workers: usize,
    /// Whether the next free port is taken when one is in use.
    pub auto_port: bool,
    /// Executable of provider-router; empty: next to our own.
    pub router_program: String,
    /// Executable of qwen-proxy; empty: next to our own.
    pub qwen_program: String,
    /// Whether both services are started together with api-server.
    pub autostart: bool,
    /// Whether the addresses and an example request are printed once the services are ready.
    pub welcome: bool,
    /// Timeout from start to ready.
    pub startup_timeout: Duration,
    /// Time from the request to exit until a service is killed.
    pub stop_grace: Duration,
    /// Time a service waits to be adopted after api-server was killed.
    pub orphan_grace: Duration,
    /// Delay before the first restart after a failure.
    pub restart_delay: Duration,
    /// Maximum delay before a restart.
    pub restart_delay_max: Duration,
    /// Failures in a row after which a service is not restarted.
    pub restart_limit: NonZeroU32,
    /// Time of being ready after which earlier failures no longer count.
    pub restart_reset: Duration,
    /// Interval between health checks.
    pub probe_interval: Duration,
    /// Failed health checks in a row after which a service is restarted.
    pub probe_failures: NonZeroU32,
    /// Whether a service is restarted when its executable has been rebuilt.
    pub reload: bool,
    /// Time a service may exceed its memory limit before it is replaced.
    pub memory_patience: Duration,
    /// Resource limits of each provider-router process.
    pub router: Usage,
    /// Resource limits of qwen-proxy.
    pub qwen: Usage,
}

/// Resource limits of a service. Zero: inherited from api-server.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Resident memory above which the service is replaced.
    pub memory_limit: Size,
    /// Maximum open files and sockets.
    pub open_files: u64,
    /// Niceness, from 0 to 19.
    pub niceness: u8,
}

/// REST API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Maximum size of a request body.
    pub body_limit: Size,
    /// Whether clients need the control token even without client keys.
    pub require_token: bool,
    /// Control token; empty: that of the data directory.
    pub token: Secret<String>,
}

/// Audit log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Retention of entries; zero: for ever.
    pub keep: Duration,
}

/// Log files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Size from which on a file is rotated.
    pub max_size: Size,
    /// Number of rotated files kept.
    pub keep: u32,
}

/// Description of api-server for the shared daemon code.
pub const SPEC: Spec = Spec {
    name: "api-server",
    default_port: 3002,
    defaults: DEFAULTS,
    version: env!("CARGO_PKG_VERSION"),
    env_prefix: Some("API_"),
    issues_keys: false,
};

/// Default configuration, with its documentation.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

// === impl Config ===

impl Config {
    /// Checks the constraints that the types do not express, also those of api-server for the sections that all
    /// programs share.
    ///
    /// # Errors
    /// [`Exit::Config`] names the key and its permitted values.
    pub fn check_with(&self, common: &Common) -> Result<(), Exit> {
        check_origins(&common.server.allowed_origins)?;
        self.check()
    }

    /// Checks that a start with this configuration would not be refused: [`Config::check_with`], and what depends on
    /// this machine. Ports that are taken do not count.
    ///
    /// # Errors
    /// The error of the start.
    pub async fn check_start(&self, common: &Common) -> Result<(), Exit> {
        self.check_with(common)?;
        Tls::load(&common.tls)?;
        let guarded = !common.auth.client_keys.is_empty() || common.auth.insecure_no_auth;
        check_host(&common.server.host, guarded).await.map_err(|exit| match exit {
            Exit::Config(message) => Exit::Config(format!("server.host: {message}")),
            other => other,
        })
    }

    fn check(&self) -> Result<(), Exit> {
        if self.logs.max_size < MIN_LOG {
            return Err(Exit::Config("logs.max_size must be at least 64KiB".to_owned()));
        }
        if self.logs.keep > MAX_LOGS {
            return Err(Exit::Config(format!("logs.keep must be at most {MAX_LOGS}")));
        }
        let token = self.api.token.expose();
        if !token.is_empty() && (token.len() < MIN_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Exit::Config(format!(
                "api.token (API_TOKEN) must have at least {MIN_TOKEN} printable ASCII \
                characters"
            )));
        }
        for (key, duration) in
            [("startup_timeout", self.services.startup_timeout), ("probe_interval", self.services.probe_interval)]
        {
            if duration.get().is_zero() {
                return Err(Exit::Config(format!("services.{key} must be greater than zero")));
            }
        }
        if !(1..=MAX_WORKERS).contains(&self.services.workers) {
            return Err(Exit::Config(format!("services.workers must be from 1 to {MAX_WORKERS}")));
        }
        if self.services.workers > 1 && cfg!(not(unix)) {
            return Err(Exit::Config(
                "services.workers must be 1: several processes can share a port on Unix only".to_owned(),
            ));
        }
        self.services.router.check("router")?;
        self.services.qwen.check("qwen")?;
        self.notify.check()
    }
}

/// Minimum size; smaller logs would be rotated permanently.
const MIN_LOG: Size = Size::from_bytes(64 * 1024);

/// Maximum number of rotated files, each of which is renamed in every rotation.
const MAX_LOGS: u32 = 1000;

/// Minimum that a service needs, including its database.
const MIN_FILES: u64 = 64;

/// Minimum memory limit: an idle service uses about as much.
const MIN_MEMORY: Size = Size::from_mib(16);

// === impl Usage ===

impl Usage {
    fn check(&self, service: &str) -> Result<(), Exit> {
        let refused = |what: &str| Err(Exit::Config(format!("services.{service}.{what}")));
        if self.memory_limit.bytes() > 0 && self.memory_limit < MIN_MEMORY {
            return refused("memory_limit must be 0B (no limit) or at least 16MiB");
        }
        if self.open_files > 0 && self.open_files < MIN_FILES {
            return refused("open_files must be 0 (no limit) or at least 64");
        }
        if self.niceness > 19 {
            return refused("niceness must be from 0 to 19");
        }
        Ok(())
    }

    /// Converts the limits for the supervisor.
    #[must_use]
    pub fn resources(&self) -> Resources {
        let given = |number: u64| (number > 0).then_some(number);
        Resources {
            memory: given(self.memory_limit.bytes()),
            open_files: given(self.open_files),
            niceness: (self.niceness > 0).then_some(self.niceness),
        }
    }
}

// === impl Logs ===

impl Logs {
    /// Converts the settings for the log rotator.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention { max_size: self.max_size.bytes(), keep: self.keep }
    }
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::*;

    #[test]
    fn defaults_match_the_documentation() {
        let config: Config = toml::from_str(DEFAULTS).unwrap();
        assert_eq!((config.services.router_port, config.services.qwen_port, config.services.workers), (3001, 3000, 1));
        assert!(!config.services.autostart);
        let (services, limits) = (config.services, crate::supervisor::Limits::default());
        assert_eq!(services.startup_timeout.get(), limits.startup);
        assert_eq!(services.restart_delay.get(), limits.restart_delay);
        assert_eq!(services.restart_delay_max.get(), limits.restart_delay_max);
        let counts = (services.restart_limit.get(), services.probe_failures.get());
        assert_eq!(counts, (limits.restart_limit, limits.probe_failures));
        assert_eq!(
            (services.restart_reset.get(), services.probe_interval.get()),
            (limits.restart_reset, limits.probe_interval)
        );
        assert_eq!(services.memory_patience.get(), limits.memory_patience);
        assert_eq!((services.router.resources(), services.qwen.resources()), Default::default());
        assert_eq!(config.api.body_limit, Size::from_mib(1));
        assert_eq!((config.logs.max_size, config.logs.keep), (Size::from_mib(10), 5));
    }

    #[test]
    fn invalid_log_limits_are_rejected() {
        let read = |logs: &str| -> Config {
            let mut defaults: Table = DEFAULTS.parse().unwrap();
            defaults.insert("logs".to_owned(), Value::Table(logs.parse().unwrap()));
            defaults.try_into().unwrap()
        };
        assert!(read("max_size = \"64KiB\"\nkeep = 0").check().is_ok());
        for logs in ["max_size = \"63KiB\"\nkeep = 5", "max_size = \"1MiB\"\nkeep = 1001"] {
            assert_eq!(read(logs).check().unwrap_err().code(), 78, "{logs}");
        }
    }

    #[test]
    fn the_number_of_workers_is_checked() {
        for (workers, code) in [(1, None), (64, None), (0, Some(78)), (65, Some(78))] {
            let mut config: Config = toml::from_str(DEFAULTS).unwrap();
            config.services.workers = workers;
            assert_eq!(config.check().err().map(|exit| exit.code()), code, "{workers}");
        }
    }

    #[test]
    fn times_without_which_no_service_becomes_ready_are_checked() {
        for key in ["startup_timeout", "probe_interval"] {
            let mut defaults: Table = DEFAULTS.parse().unwrap();
            defaults["services"][key] = "0s".into();
            let exit = defaults.try_into::<Config>().unwrap().check().unwrap_err();
            assert!(exit.code() == 78 && exit.to_string().starts_with(&format!("services.{key} ")), "{exit}");
        }
    }

    #[test]
    fn resource_limits_are_checked() {
        let usage =
            |memory, open_files, niceness| Usage { memory_limit: Size::from_bytes(memory), open_files, niceness };
        assert!(usage(0, 0, 0).check("qwen").is_ok() && usage(16 << 20, 64, 19).check("qwen").is_ok());
        for (bad, key) in
            [(usage(1, 0, 0), "memory_limit"), (usage(0, 63, 0), "open_files"), (usage(0, 0, 20), "niceness")]
        {
            let exit = bad.check("qwen").unwrap_err();
            assert!(
                exit.code() == 78 && exit.to_string().starts_with(&format!("services.qwen.{key} must be")),
                "{exit}"
            );
        }
    }
}
