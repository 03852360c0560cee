//! `load`: sends requests to a chat service on 127.0.0.1 and prints the results as JSON.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Parser;
use signalbox_load::{descriptors, load::Load};

#[global_allocator]
static ALLOCATOR: signalbox_daemon::Allocator = signalbox_daemon::ALLOCATOR;

/// Sends requests to a chat service on 127.0.0.1 and prints the results as JSON; times are microseconds.
#[derive(Parser)]
#[command(name = "load")]
struct Args {
    #[command(flatten)]
    load: Load,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Args { load } = Args::parse();
    descriptors::raise_limit().context("cannot raise the limit of open files")?;
    let report = load.run().await;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?).context("cannot write to stdout")
}
