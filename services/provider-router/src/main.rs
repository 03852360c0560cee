//! provider-router: one OpenAI-compatible endpoint in front of many providers.

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
    signalbox_daemon::run(spec, args.common, toml::Table::new(), run)
}
