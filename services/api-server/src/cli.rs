//! The server manager: `api-server start`, `stop`, `status` and so on.
//!
//! # Layout
//! - [`installation`]: contents of a data directory: the configuration, and the record of the running api-server.
//! - [`client`]: requests to that api-server.
//! - [`output`]: output as text or JSON.
//! - [`end_process`]: ending a process whose identity is verified.
//! - One file per command; `restart` is in `start`.
//!
//! # Theory
//! The lock in the data directory tells whether an api-server is running. If it is, the commands send it HTTP requests;
//! otherwise they inspect files and processes themselves. Every command prints its steps as it performs them, or, with
//! `--json`, one object at the end.
//!
//! # Invariants
//! - A process is signalled only while its identity (number and start time) is proven, never by its name. An unrelated
//!   process is signalled only if the user has named its number, or has confirmed it.
//! - Exit codes: 0 success, 1 failure, 3 not running, 64 bad usage.

mod cleanup;
mod client;
mod declared;
mod end_process;
mod installation;
mod kill_port;
mod logs;
mod openapi;
mod orphans;
mod output;
mod ports;
mod service;
mod settings;
mod start;
mod status;
mod stop;
mod token;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use signalbox_daemon::run;

use self::output::{CommandResult, Output};
use crate::config::{Args, SPEC};

/// The control server of Signalbox: runs provider-router and qwen-proxy, and serves their configuration and log as
/// REST.
///
/// Without a command it runs in the foreground, as `run` does.
#[derive(Debug, Parser)]
#[command(name = "api-server", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    args: Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground
    Run(Run),
    #[command(flatten)]
    Manage(Manage),
}

/// Commands that finish, in contrast to `run`.
#[derive(Debug, Subcommand)]
enum Manage {
    /// Start all three services in the background, and wait until they are ready
    Start(start::Start),
    /// Stop all three services: gracefully, and by SIGKILL after the grace period
    Stop(stop::Stop),
    /// Stop and start all three services
    Restart(start::Restart),
    /// Show the state of the server and its services
    Status(status::Status),
    /// Show the last lines of the logs
    Logs(logs::Logs),
    /// End the process that holds a port
    KillPort(kill_port::KillPort),
    /// Show or change the configuration; `export` and `apply` work on providers, models, settings, routes, keys
    /// and prices
    Config(Box<settings::Config>),
    /// Remove the remains of a server that was killed
    Cleanup(cleanup::Cleanup),
    /// Show which ports are free
    TestPorts(ports::TestPorts),
    /// Print the control token, which clients need where client keys or `--require-token` are set
    Token(token::Token),
    /// Print the OpenAPI document of the control API
    Openapi(openapi::OpenApi),
    /// Install Signalbox in the service manager of this machine, or remove it
    Service(service::Service),
}

#[derive(Debug, clap::Args)]
struct Run {
    #[command(flatten)]
    args: Args,
    /// Detach from the terminal; set by `start`.
    #[arg(long, hide = true)]
    detached: bool,
}

// === impl Cli ===

impl Cli {
    /// Runs the command, and returns the exit code of the process.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        let command = match self.command {
            None => return serve(self.args),
            Some(Command::Run(Run { args, detached })) => {
                if detached {
                    output::leave_terminal();
                }
                return serve(args);
            }
            Some(Command::Manage(_)) if self.args.common.print_config => return serve(self.args),
            Some(Command::Manage(command)) => command,
        };
        // Flags that are accepted after every command are in `args` as well.
        let args = &self.args;
        match command {
            Manage::Start(start) => manage(start.json, async |out| start::start(start, out).await),
            Manage::Stop(stop) => manage(stop.json, async |out| stop::stop(args, out).await),
            Manage::Restart(restart) => manage(restart.json, async |out| start::restart(restart, out).await),
            Manage::Status(status) => manage(status.json, async |out| status::status(args, out).await),
            Manage::Logs(logs) => manage(logs.json, async |out| logs::logs(&logs, args, out).await),
            Manage::KillPort(kill) => manage(kill.json, async |out| kill_port::kill_port(&kill, args, out).await),
            Manage::Config(config) => match config.document {
                Some(command) => manage(command.json(), async |out| command.act(args, out).await),
                None => manage(config.json, async |out| settings::config(&config, args, out).await),
            },
            Manage::Cleanup(cleanup) => manage(cleanup.json, async |out| cleanup::cleanup(args, out).await),
            Manage::Token(token) => manage(token.json, async |out| token::token(args, out).await),
            Manage::Openapi(_) => manage(false, async |out| openapi::openapi(out)),
            Manage::Service(service) => manage(service.json(), async |out| service::service(&service, args, out).await),
            Manage::TestPorts(test) => manage(test.json, async |out| ports::test_ports(&test, args, out).await),
        }
    }

    /// Returns the flags of a server that was started with these arguments.
    fn args_of(arguments: &[String]) -> Option<Args> {
        let program = std::iter::once(SPEC.name.to_owned());
        let cli = Self::try_parse_from(program.chain(arguments.iter().cloned())).ok()?;
        match cli.command {
            None => Some(cli.args),
            Some(Command::Run(run)) => Some(run.args),
            Some(_) => None,
        }
    }
}

fn serve(args: Args) -> ExitCode {
    let overlay = args.overlay();
    run(SPEC, args.common, overlay, crate::serve)
}

/// Runs a command on a single-threaded runtime, and prints its outcome.
fn manage(json: bool, command: impl AsyncFnOnce(&mut Output) -> anyhow::Result<CommandResult>) -> ExitCode {
    let mut out = Output::new(json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let verdict = match runtime {
        Ok(runtime) => runtime.block_on(command(&mut out)),
        Err(error) => Err(error.into()),
    };
    out.finish(verdict)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_server_process_is_recognised_by_its_flags() {
        let args = |line: &str| Cli::args_of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for line in ["--port 9000", "run --port 9000", "run --detached --port 9000"] {
            assert_eq!(args(line).unwrap().common.port.as_deref(), Some("9000"), "{line}");
        }
        assert!(args("status").is_none() && args("--no-such-flag").is_none());
    }

    #[test]
    fn flags_before_a_command_are_rejected() {
        assert!(Cli::try_parse_from(["api-server", "--port", "1", "status"]).is_err());
        let error =
            signalbox_daemon::args::try_parse_from::<Cli>(["api-server", "--data-dir", "X", "config"].map(Into::into));
        let told = error.unwrap_err().to_string();
        assert!(told.contains("tip: write the flag behind the command: `config --data-dir …`"), "{told}");
    }
}
