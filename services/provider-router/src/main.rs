//! provider-router: one OpenAI-compatible endpoint in front of many providers.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use provider_router::{config, run};
use signalbox_daemon::{CommonArgs, Spec, parse_args};

#[global_allocator]
static ALLOCATOR: signalbox_daemon::Allocator = signalbox_daemon::ALLOCATOR;

/// One OpenAI-compatible endpoint in front of many providers. Serves in the foreground.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Refuse providers in private networks, for installations that others configure (env DENY_PRIVATE_UPSTREAMS)
    #[arg(long)]
    deny_private_upstreams: bool,
}

fn main() -> ExitCode {
    let args: Args = match parse_args() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let spec = Spec {
        name: "provider-router",
        default_port: 3001,
        defaults: config::DEFAULTS,
        version: env!("CARGO_PKG_VERSION"),
        env_prefix: None,
    };
    let overlay = match config::overlay(args.deny_private_upstreams, |name| std::env::var(name).ok()) {
        Ok(overlay) => overlay,
        Err(exit) => {
            // Where stderr is gone, too, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "{}: {exit}", spec.name);
            return exit.exit_code();
        }
    };
    signalbox_daemon::run(spec, args.common, overlay, run)
}
