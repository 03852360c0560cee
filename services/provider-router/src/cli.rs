//! Commands that configure providers and models, and that show the request log. They use the database directly, so they
//! work whether or not a router is running. A running router applies changes within a second.
//!
//! # Layout
//! - [`context`]: state shared by commands. [`output`], [`table`]: text or JSON output. [`prompt`]: interactive
//!   questions.
//! - [`doctor`]: examines the installation.
//! - [`provider`], [`model`], [`route`], [`key`], [`price`]: subcommands of the same names; [`document`]: their files. [`active`]: the provider in the setting `active_provider`.
//!   [`log`]: the request log. [`migrate`]: import of the environment variables of the Node.js version.
//!
//! # Invariants
//! - A command asks all its questions before it writes, and writes in a single transaction. Only [`migrate`] uses two:
//!   it stores the login separately.
//! - Secrets are never printed, and not echoed while they are typed; only a new client key is printed, once.
//! - Without a terminal, no questions are asked: a missing value is an error that names the flag.
//! - Exit codes: 0 success, 1 failure, 64 usage (`doctor`: 2), 78 configuration, 130 interrupted.

mod active;
mod context;
mod doctor;
mod document;
mod format;
mod key;
mod log;
mod migrate;
mod model;
mod output;
mod price;
mod prompt;
mod provider;
mod route;
mod table;
mod values;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use signalbox_daemon::{
    CommonArgs, Context, Exit, Shutdown, Spec, config::Common, parse_args_from, run_command, user_name, variable,
};
use signalbox_store::audit::{Actor, with_actor};

pub(crate) use self::migrate::import_once;
use self::{context::CliContext, output::Output};
use crate::config::{self, Config};

/// The Chat Completions, Messages and Responses APIs in front of many providers. Without a command, it serves in the
/// foreground.
#[derive(Debug, Parser)]
#[command(name = "provider-router", version, about)]
pub struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    /// Refuse providers in private networks, for installations that other people configure (env DENY_PRIVATE_UPSTREAMS)
    #[arg(long)]
    deny_private_upstreams: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List, add, edit, remove, switch and test providers
    Provider(SubcommandGroup<provider::Command>),
    /// List and add models, and link them to providers
    Model(SubcommandGroup<model::Command>),
    /// List, show, set and delete routes: the targets that serve a model name
    Route(SubcommandGroup<route::Command>),
    /// List, create, rotate, revoke and delete the keys of clients
    Key(SubcommandGroup<key::Command>),
    /// Show the prices, and set or reset your own
    Price(SubcommandGroup<price::Command>),
    /// Choose the active provider, which is tried first
    Set(active::Set),
    /// List the providers, and mark the active one
    #[command(alias = "ls")]
    List(JsonOnly),
    /// Show which provider is active
    Status(JsonOnly),
    /// Test whether a provider answers; without a name, the active one
    Test(active::Test),
    /// Show the newest requests
    History(log::History),
    /// Show statistics for each provider
    Stats(JsonOnly),
    /// Import the variables of the Node.js version: providers, the active provider, the login at chat.qwen.ai
    Migrate(migrate::Migrate),
    /// Examine the configuration, the database, the providers, the routes and the keys
    Doctor(doctor::Doctor),
    /// Print a completion script: `provider-router completions bash > /etc/bash_completion.d/provider-router`
    Completions {
        /// Shell to print the script for
        shell: Shell,
    },
}

/// A subcommand group, such as `provider`, and its `--json` flag.
#[derive(Debug, clap::Args)]
struct SubcommandGroup<C: Subcommand> {
    /// Print one JSON object instead of text, and ask no questions
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: C,
}

/// Arguments of a command that has only a `--json` flag.
#[derive(Debug, clap::Args)]
struct JsonOnly {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

// === impl Cli ===

impl Cli {
    /// Parses the command line of this process.
    ///
    /// # Errors
    /// Returns the exit code after printing the message.
    pub fn of_process() -> Result<Self, ExitCode> {
        let words = normalize_args(std::env::args_os().collect());
        let is_doctor = words.iter().any(|word| word == "doctor");
        parse_args_from(words).map_err(|code| usage_code(code, is_doctor))
    }

    /// Runs the command, or the service by `serve` if there is none. Returns the exit code of the process.
    #[must_use]
    pub fn execute<S, F>(self, spec: Spec, serve: S) -> ExitCode
    where
        S: FnOnce(Config, Context) -> F,
        F: Future<Output = Result<(), Exit>>,
    {
        let Self { common, deny_private_upstreams, command } = self;
        let overlay = match config::overlay(deny_private_upstreams, variable) {
            Ok(overlay) => overlay,
            Err(exit) => {
                output::print_error(&format!("{}: {exit}", spec.name));
                return exit.exit_code();
            }
        };
        match command {
            None => signalbox_daemon::run(spec, common, overlay, serve),
            Some(Command::Completions { shell }) => completions(shell),
            Some(command) => {
                // The command reports its own result. An error of the framework, such as an interruption, takes
                // precedence.
                let mut code = ExitCode::SUCCESS;
                let said = &mut code;
                let framed = run_command(spec, common, overlay, async |config, common, shutdown| {
                    *said = command.execute(config, common, shutdown).await?;
                    Ok(())
                });
                if framed == ExitCode::SUCCESS { code } else { framed }
            }
        }
    }
}

/// Returns the exit code after a usage error: `doctor` has that of other programs that check files, because scripts that
/// run it tell a wrong flag from a finding by it.
fn usage_code(code: ExitCode, is_doctor: bool) -> ExitCode {
    let usage = Exit::Usage(String::new()).exit_code();
    if is_doctor && code == usage { ExitCode::from(2) } else { code }
}

/// Renames `--config KEY=VALUE` after `provider add` and `provider edit` to `--set`, for compatibility with the Node.js
/// version. In this program `--config FILE` is the configuration file, so only arguments that contain `=` are renamed.
fn normalize_args(mut words: Vec<OsString>) -> Vec<OsString> {
    let is = |at: usize, wanted: &[&str]| words.get(at).is_some_and(|word| wanted.iter().any(|wanted| word == wanted));
    // The index of the verb, which follows `provider` directly or after `--json`.
    let verb = (0..words.len()).find(|at| is(*at, &["add", "edit"]) && *at > 1 && is(*at - 1, &["provider", "--json"]));
    let assigns = |word: &OsString| word.to_str().is_some_and(|word| word.contains('='));
    for at in verb.unwrap_or(words.len())..words.len() {
        if words[at] == "--config" && words.get(at + 1).is_some_and(assigns) {
            words[at] = "--set".into();
        } else if let Some(rest) = words[at].to_str().and_then(|word| word.strip_prefix("--config="))
            && rest.contains('=')
        {
            words[at] = format!("--set={rest}").into();
        }
    }
    words
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    let mut out = Output::new(false);
    clap_complete::generate(shell, &mut Cli::command(), "provider-router", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end());
    out.finish(Ok(output::CommandResult::done(serde_json::Value::Null)))
}

// === impl Command ===

impl Command {
    async fn execute(self, config: Config, common: Common, shutdown: Shutdown) -> Result<ExitCode, Exit> {
        if let Self::Doctor(doctor) = self {
            return doctor.execute(config, common, shutdown).await;
        }
        let mut out = Output::new(self.json());
        let context = match CliContext::open(config, &common, !self.json()).await {
            Ok(context) => context,
            Err(error) => return Ok(out.finish(Err(error))),
        };
        let done = tokio::select! {
            done = with_actor(Actor::command_line(&user_name()), self.act(&context, &mut out)) => Some(done),
            () = shutdown.draining() => None,
        };
        context.store.close().await;
        done.map(|done| out.finish(done)).ok_or(Exit::Interrupted)
    }

    fn json(&self) -> bool {
        match self {
            Self::Provider(noun) => noun.json,
            Self::Model(noun) => noun.json,
            Self::Route(noun) => noun.json,
            Self::Key(noun) => noun.json,
            Self::Price(noun) => noun.json,
            Self::Set(command) => command.json,
            Self::List(plain) | Self::Status(plain) | Self::Stats(plain) => plain.json,
            Self::Test(command) => command.json,
            Self::History(command) => command.json,
            Self::Migrate(command) => command.json,
            Self::Doctor(doctor) => doctor.json,
            Self::Completions { .. } => false,
        }
    }

    async fn act(self, context: &CliContext, out: &mut Output) -> output::CommandOutcome {
        match self {
            Self::Provider(noun) => noun.command.act(context, out).await,
            Self::Model(noun) => noun.command.act(context, out).await,
            Self::Route(noun) => noun.command.act(context, out).await,
            Self::Key(noun) => noun.command.act(context, out).await,
            Self::Price(noun) => noun.command.act(context, out).await,
            Self::Set(set) => active::set(&set, context, out).await,
            Self::List(_) => active::list(context, out).await,
            Self::Status(_) => active::status(context, out).await,
            Self::Test(test) => active::test(&test, context, out).await,
            Self::History(history) => log::history(&history, context, out).await,
            Self::Stats(_) => log::stats(context, out).await,
            Self::Migrate(migrate) => migrate::migrate(&migrate, context, out).await,
            Self::Doctor(_) | Self::Completions { .. } => Ok(output::CommandResult::done(serde_json::Value::Null)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_spellings_of_the_nodejs_version_are_accepted() {
        let ours = |line: &str| {
            let words = normalize_args(line.split(' ').map(OsString::from).collect());
            words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        for (line, same) in [
            ("x provider add --config a=b --config=c=d", "x provider add --set a=b --set=c=d"),
            ("x provider --json edit p --config a=b", "x provider --json edit p --set a=b"),
            ("x provider add --config file.toml", "x provider add --config file.toml"),
            ("x --config a=b provider add --config", "x --config a=b provider add --config"),
            ("x model add --config a=b", "x model add --config a=b"),
        ] {
            assert_eq!(ours(line), same);
        }
    }

    #[test]
    fn the_json_flag_may_precede_or_follow_a_subcommand() {
        for line in ["provider --json list", "provider list --json", "model list --json", "ls --json"] {
            let cli = Cli::try_parse_from(["provider-router"].into_iter().chain(line.split(' '))).unwrap();
            assert!(cli.command.unwrap().json(), "{line}");
        }
    }
}
