//! `api-server`: the control room.

use std::process::ExitCode;

use api_server::config::{Args, DEFAULTS};
use signalbox_daemon::{Spec, parse_args, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let spec = Spec {
        name: "api-server",
        default_port: 3002,
        defaults: DEFAULTS,
        version: env!("CARGO_PKG_VERSION"),
        env_prefix: Some("API_"),
    };
    match parse_args::<Args>() {
        Ok(args) => {
            let overlay = args.overlay();
            run(spec, args.common, overlay, api_server::serve)
        }
        Err(code) => code,
    }
}
