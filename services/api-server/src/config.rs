//! Our own sections of the configuration; `config.default.toml` documents every key.

use std::str::FromStr;

use clap::Parser;
use serde::Deserialize;
use signalbox_daemon::CommonArgs;
use signalbox_daemon::config::{Duration, Size};
use toml::{Table, Value};

/// The control room of Signalbox: runs provider-router and qwen-proxy, and serves their configuration and log as REST.
#[derive(Debug, Parser)]
#[command(name = "api-server", version, about)]
pub struct Args {
    /// What all three programs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Port of provider-router; 0 takes any free one [env: PROVIDER_ROUTER_PORT] [default: 3001]
    #[arg(long, value_name = "PORT", env = "PROVIDER_ROUTER_PORT", hide_env = true, value_parser = given::<u16>)]
    pub router_port: Option<Given<u16>>,
    /// Port of qwen-proxy; 0 takes any free one [env: QWEN_PROXY_PORT] [default: 3000]
    #[arg(long, value_name = "PORT", env = "QWEN_PROXY_PORT", hide_env = true, value_parser = given::<u16>)]
    pub qwen_port: Option<Given<u16>>,
    /// Start both services at once [env: AUTO_START] [default: false]
    #[arg(long, value_name = "BOOL", env = "AUTO_START", hide_env = true, value_parser = given::<bool>)]
    pub autostart: Option<Given<bool>>,
    /// Print the addresses and a first request when the started services are ready
    #[arg(long)]
    pub welcome: bool,
}

/// A value, or the empty text of a variable that is set to nothing, which counts as not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given<T>(Option<T>);

/// Our own sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The services we run.
    pub services: Services,
    /// The REST interface.
    pub api: Api,
}

/// The services we run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// provider-router's port; 0 means any.
    pub router_port: u16,
    /// qwen-proxy's port; 0 means any.
    pub qwen_port: u16,
    /// Whether both are started at once.
    pub autostart: bool,
    /// Whether the addresses and a first request are printed when they are ready.
    pub welcome: bool,
    /// From start to ready.
    pub startup_timeout: Duration,
    /// From asking to leave to killing.
    pub stop_grace: Duration,
}

/// The REST interface.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The largest body.
    pub body_limit: Size,
    /// Further names we answer to.
    pub allowed_hosts: Vec<String>,
    /// Further pages that may use us.
    pub allowed_origins: Vec<String>,
}

/// The defaults, and their documentation.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

// === impl Args ===

impl Args {
    /// What the flags and their variables say, as it would stand in a file.
    #[must_use]
    pub fn overlay(&self) -> Table {
        let port = |port: Option<Given<u16>>| port?.0.map(|port| Value::Integer(port.into()));
        let values = [
            ("router_port", port(self.router_port)),
            ("qwen_port", port(self.qwen_port)),
            ("autostart", self.autostart.and_then(|autostart| autostart.0).map(Value::Boolean)),
            ("welcome", self.welcome.then_some(Value::Boolean(true))),
        ];
        let services: Table = values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        Table::from_iter([("services".to_owned(), Value::Table(services))])
    }
}

fn given<T: FromStr>(text: &str) -> Result<Given<T>, T::Err> {
    if text.is_empty() { Ok(Given(None)) } else { text.parse().map(|value| Given(Some(value))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let config: Config = toml::from_str(DEFAULTS).unwrap();
        assert_eq!((config.services.router_port, config.services.qwen_port), (3001, 3000));
        assert!(!config.services.autostart);
        assert_eq!(config.api.body_limit, Size::from_mib(1));
    }

    #[test]
    fn flags_become_keys() {
        let args = Args::try_parse_from(["api-server", "--router-port", "0", "--autostart", "true"]).unwrap();
        assert_eq!(args.overlay().to_string(), "[services]\nautostart = true\nrouter_port = 0\n");
        assert!(Args::try_parse_from(["api-server", "--router-port", "65536"]).is_err());
    }

    #[test]
    fn nothing_counts_as_not_set() {
        let args = Args::try_parse_from(["api-server", "--router-port", ""]).unwrap();
        assert_eq!(args.overlay().to_string(), "[services]\n");
    }
}
