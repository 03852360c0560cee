//! qwen-proxy: the web API of chat.qwen.ai as an OpenAI API.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use qwen_proxy::{Config, DEFAULTS, config, login, run};
use signalbox_daemon::{CommonArgs, Spec, parse_args, run_command, user_name, variable};
use signalbox_store::audit::{Actor, with_actor};

#[global_allocator]
static ALLOCATOR: signalbox_daemon::Allocator = signalbox_daemon::ALLOCATOR;

/// The web API of chat.qwen.ai as an OpenAI API. Without a command, it serves in the foreground.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Log in at chat.qwen.ai: in a browser window, or with pasted cookies
    Login(login::Args),
    /// List the stored logins, choose the active one, forget one
    #[command(subcommand)]
    Credentials(login::StoredCommand),
}

fn main() -> ExitCode {
    let args: Args = match parse_args() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let spec = Spec {
        name: "qwen-proxy",
        default_port: 3000,
        defaults: DEFAULTS,
        version: env!("CARGO_PKG_VERSION"),
        env_prefix: None,
        issues_keys: false,
    };
    let overlay = match config::of_environment(variable) {
        Ok(overlay) => overlay,
        Err(exit) => {
            // If stderr is closed, the exit code is the only report.
            let _ = writeln!(std::io::stderr(), "{}: {exit}", spec.name);
            return exit.exit_code();
        }
    };
    match args.command {
        None => signalbox_daemon::run(spec, args.common, overlay, run),
        Some(Command::Login(args_of_login)) => {
            run_command(spec, args.common, overlay, async |config: Config, common, shutdown| {
                let work = login::login(args_of_login, config.upstream.base_url(), common, shutdown);
                with_actor(Actor::command_line(&user_name()), work).await
            })
        }
        Some(Command::Credentials(command)) => {
            run_command(spec, args.common, overlay, |_: Config, common, shutdown| {
                with_actor(Actor::command_line(&user_name()), login::stored(command, common, shutdown))
            })
        }
    }
}
