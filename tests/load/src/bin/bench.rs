//! `bench`: measures provider-router against a minimal proxy; `scripts/bench` builds and runs it.

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Parser;
use signalbox_load::driver::{Options, picture, run, table};
use tokio::signal::unix::{SignalKind, signal};

/// Measures provider-router against a minimal proxy.
#[derive(Parser)]
#[command(name = "bench")]
struct Args {
    #[command(flatten)]
    options: Options,
    /// Directory for result.json and result.md
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// File for the picture; not drawn by default
    #[arg(long)]
    picture: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let results = tokio::select! {
        results = run(args.options) => results?,
        // Dropping the future of the run ends its processes and removes its files.
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    };
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let write =
        |path: PathBuf, text: &str| fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()));
    let markdown = table::markdown(&results);
    write(args.out.join("result.json"), &serde_json::to_string_pretty(&results)?)?;
    write(args.out.join("result.md"), &markdown)?;
    let faults = results.faults();
    if let Some(path) = args.picture.filter(|_| faults.is_empty()) {
        write(path, &picture::svg(&results).context("no picture was drawn, because A, B or C was not measured")?)?;
    }
    write!(std::io::stdout(), "\n{markdown}").context("cannot write to stdout")?;
    anyhow::ensure!(faults.is_empty(), "the run failed, and its figures are not valid:\n{}", faults.join("\n"));
    Ok(())
}
