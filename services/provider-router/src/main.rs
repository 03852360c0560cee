//! provider-router: one OpenAI-compatible endpoint in front of many providers.

use std::process::ExitCode;

use provider_router::{cli::Cli, config, run};
use signalbox_daemon::Spec;

#[global_allocator]
static ALLOCATOR: signalbox_daemon::Allocator = signalbox_daemon::ALLOCATOR;

fn main() -> ExitCode {
    let spec = Spec {
        name: "provider-router",
        default_port: 3001,
        defaults: config::DEFAULTS,
        version: env!("CARGO_PKG_VERSION"),
        env_prefix: None,
        issues_keys: true,
    };
    Cli::of_process().map_or_else(|code| code, |cli| cli.execute(spec, run))
}
