//! `instructions`: counts the instructions of the router's work for one request.
//!
//! Time is noisy on a shared machine; instruction counts are not. Every operation runs under callgrind in two processes
//! with different counts; the difference of the instructions divided by the difference of the counts is the cost of one
//! operation, without start-up. Work of the kernel is not counted.

use std::{fs, io::Write as _, path::PathBuf, process::Command};

use anyhow::Context as _;
use clap::{Parser, ValueEnum as _};
use serde_json::json;
use signalbox_load::operation::Operation;

#[global_allocator]
static ALLOCATOR: signalbox_daemon::Allocator = signalbox_daemon::ALLOCATOR;

const FEW: u64 = 50;
const MANY: u64 = 250;

/// Counts the instructions of the router's work for one request. Needs valgrind.
#[derive(Parser)]
#[command(name = "instructions")]
struct Args {
    /// Run this operation without counting …
    #[arg(long, value_enum, requires = "times")]
    operation: Option<Operation>,
    /// … this number of times
    #[arg(long, requires = "operation")]
    times: Option<u64>,
    /// Directory for instructions.json
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let (Some(operation), Some(times)) = (args.operation, args.times) {
        return operation.repeat(times).await;
    }
    let mut counts = serde_json::Map::new();
    for operation in Operation::value_variants() {
        let name = operation.name();
        let each = (count(&name, MANY)? - count(&name, FEW)?) / (MANY - FEW);
        writeln!(std::io::stdout(), "{name:<22} {each:>10} instructions").context("cannot write to stdout")?;
        counts.insert(name, json!(each));
    }
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let path = args.out.join("instructions.json");
    fs::write(&path, serde_json::to_string_pretty(&counts)?).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the instructions of a process that runs `operation` `times` times.
fn count(operation: &str, times: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--operation", operation, "--times", &times.to_string()])
        .output()
        .context("cannot start valgrind (Debian: apt-get install valgrind)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{operation}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, number)| number.trim());
    collected.context("callgrind reported no count")?.parse().context("the count of callgrind is not a number")
}
