//! qwen-proxy: the web API of chat.qwen.ai as an OpenAI API.

use std::process::ExitCode;

use clap::Parser;
use qwen_proxy::{DEFAULTS, run};
use signalbox_daemon::{CommonArgs, Spec, parse_args};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The web API of chat.qwen.ai as an OpenAI API. Serves in the foreground.
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
        name: "qwen-proxy",
        default_port: 3000,
        defaults: DEFAULTS,
        version: env!("CARGO_PKG_VERSION"),
        env_prefix: None,
    };
    signalbox_daemon::run(spec, args.common, toml::Table::new(), run)
}
