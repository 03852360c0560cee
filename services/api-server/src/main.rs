//! `api-server`: the control server and its command line manager.

use std::process::ExitCode;

use api_server::cli::Cli;
use signalbox_daemon::parse_args;

#[global_allocator]
static ALLOCATOR: signalbox_daemon::Allocator = signalbox_daemon::ALLOCATOR;

fn main() -> ExitCode {
    parse_args::<Cli>().map_or_else(|code| code, Cli::execute)
}
