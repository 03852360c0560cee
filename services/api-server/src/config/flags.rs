//! Command line flags and their environment variables.

use std::ffi::OsString;
use std::str::FromStr;

use clap::Parser;
use signalbox_daemon::CommonArgs;
use toml::{Table, Value};

use super::SPEC;

// Flags of a server; flatten them into the arguments of a command.
#[expect(missing_docs, reason = "clap would print them as the description of the whole command")]
#[derive(Clone, Debug, Default, Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,
    /// Port of provider-router; 0 takes any free one [env: PROVIDER_ROUTER_PORT] [default: 3001]
    #[arg(long, value_name = "PORT", env = "PROVIDER_ROUTER_PORT", hide_env = true, value_parser = given::<u16>)]
    pub router_port: Option<Given<u16>>,
    /// Port of qwen-proxy; 0 takes any free one [env: QWEN_PROXY_PORT] [default: 3000]
    #[arg(long, value_name = "PORT", env = "QWEN_PROXY_PORT", hide_env = true, value_parser = given::<u16>)]
    pub qwen_port: Option<Given<u16>>,
    /// Number of provider-router processes, 1 to 64 [env: ROUTER_WORKERS] [default: 1]
    #[arg(long, value_name = "N", env = "ROUTER_WORKERS", hide_env = true, value_parser = given::<u16>)]
    pub workers: Option<Given<u16>>,
    /// Start both services with the server [env: AUTO_START] [default: false]
    #[arg(long, value_name = "BOOL", env = "AUTO_START", hide_env = true, value_parser = given::<bool>)]
    pub autostart: Option<Given<bool>>,
    /// Require the control token from every client, as is always the case where client keys are configured [env:
    /// REQUIRE_TOKEN]
    #[arg(long, env = "REQUIRE_TOKEN", hide_env = true, value_parser = given::<bool>, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub require_token: Option<Given<bool>>,
    /// Print the addresses and an example request when the started services are ready
    #[arg(long)]
    pub welcome: bool,
}

/// A value, or the empty text of a variable, which counts as not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given<T>(Option<T>);

// === impl Args ===

impl Args {
    /// Returns the flags and their variables in the structure of the configuration file.
    #[must_use]
    pub fn overlay(&self) -> Table {
        let number = |given: Option<Given<u16>>| given?.0.map(|number| Value::Integer(number.into()));
        let values = [
            ("router_port", number(self.router_port)),
            ("qwen_port", number(self.qwen_port)),
            ("workers", number(self.workers)),
            ("autostart", self.autostart.and_then(|autostart| autostart.0).map(Value::Boolean)),
            ("welcome", self.welcome.then_some(Value::Boolean(true))),
        ];
        let services: Table = values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        let require = self.require_token.and_then(|require| require.0);
        // The token itself has no flag, because other users can read command lines.
        let token = std::env::var("API_TOKEN").ok().filter(|token| !token.is_empty());
        let values = [("require_token", require.map(Value::Boolean)), ("token", token.map(Value::String))];
        let api: Table = values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        let sections = [("services", services), ("api", api)];
        sections.into_iter().map(|(name, section)| (name.to_owned(), Value::Table(section))).collect()
    }

    /// Returns the flags as command line arguments.
    #[must_use]
    pub fn to_argv(&self) -> Vec<OsString> {
        let mut argv = self.common.to_argv();
        let given = [
            ("--router-port", self.router_port.and_then(|port| port.0).map(|port| port.to_string())),
            ("--qwen-port", self.qwen_port.and_then(|port| port.0).map(|port| port.to_string())),
            ("--workers", self.workers.and_then(|workers| workers.0).map(|workers| workers.to_string())),
            ("--autostart", self.autostart.and_then(|autostart| autostart.0).map(|autostart| autostart.to_string())),
            ("--require-token", self.require_token.and_then(|require| require.0).map(|require| require.to_string())),
        ];
        for (flag, value) in given {
            argv.extend(value.into_iter().flat_map(|value| [OsString::from(flag), value.into()]));
        }
        if self.welcome {
            argv.push("--welcome".into());
        }
        argv
    }

    /// Returns whether the command line only selects the installation. Values of variables are ignored, because they
    /// apply to the new server as well.
    #[must_use]
    pub fn says_only_where(&self) -> bool {
        let variables = Self::try_parse_from([SPEC.name]).unwrap_or_default();
        let CommonArgs { data_dir, config, .. } = self.common.clone();
        let place = CommonArgs { data_dir, config, ..variables.common };
        self.to_argv() == Self { common: place, ..variables }.to_argv()
    }

    /// Enables `autostart` unless it is given.
    pub fn start_services_unless_told(&mut self) {
        let told = self.autostart.is_some_and(|autostart| autostart.0.is_some());
        if !told {
            self.autostart = Some(Given(Some(true)));
        }
    }
}

fn given<T: FromStr>(text: &str) -> Result<Given<T>, T::Err> {
    if text.is_empty() { Ok(Given(None)) } else { text.parse().map(|value| Given(Some(value))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_set_configuration_keys() {
        let args = Args::try_parse_from(["api-server", "--router-port", "0", "--autostart", "true", "--require-token"])
            .unwrap();
        assert_eq!(
            args.overlay().to_string(),
            "[api]\nrequire_token = true\n\n[services]\nautostart = true\nrouter_port = 0\n"
        );
        assert!(Args::try_parse_from(["api-server", "--router-port", "65536"]).is_err());
    }

    #[test]
    fn flags_are_reproduced_as_arguments() {
        let line = [
            "--host",
            "localhost",
            "--config",
            "a.toml",
            "--insecure-no-auth",
            "--qwen-port",
            "7",
            "--workers",
            "3",
            "--welcome",
        ];
        let args = Args::try_parse_from(["api-server"].into_iter().chain(line)).unwrap();
        assert_eq!(args.to_argv(), line);
        assert!(!args.says_only_where());
        let place = Args::try_parse_from(["api-server", "--data-dir", "/d", "--config", "a.toml"]).unwrap();
        assert!(place.says_only_where());
    }

    #[test]
    fn empty_variables_count_as_unset() {
        let args = Args::try_parse_from(["api-server", "--router-port", ""]).unwrap();
        assert_eq!(args.overlay().to_string(), "[api]\n\n[services]\n");
    }
}
