//! `fake-provider`: a provider of Chat Completions, Messages and Responses whose behaviour is selected by the model name.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use signalbox_fakes::{FakeProvider, script::names::NAMES};

/// A provider of Chat Completions, Messages and Responses whose behaviour is selected by the model name.
#[derive(Debug, Parser)]
#[command(name = "fake-provider", version)]
struct Args {
    /// Port to listen on; 0 selects any free port.
    #[arg(long, default_value_t = 9100)]
    port: u16,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Number of serving threads. Use 1 when the fake shares few cores with the process under measurement.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Refuse requests without this key.
    #[arg(long)]
    key: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let matches = Args::command().after_help(names()).get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let mut builder = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if args.threads > 1 {
        builder.worker_threads(usize::from(args.threads));
    }
    let runtime = builder.enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(run(SocketAddr::new(args.host, args.port), args.key.as_deref()))
}

async fn run(addr: SocketAddr, key: Option<&str>) -> anyhow::Result<()> {
    let fake = FakeProvider::start_on(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
    fake.require_key(key);
    writeln!(std::io::stdout(), "fake-provider listening on {}", fake.url()).context("cannot write to stdout")?;
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")
}

fn names() -> String {
    let mut text = String::from("Model names:\n");
    for name in NAMES {
        text.push_str(&format!("  {:<16} {}\n", name.pattern, name.does));
    }
    text.push_str("\nControl over HTTP: POST /_fake/script, POST /_fake/release, GET and DELETE /_fake/calls.");
    text
}
