//! Measures one scenario with one target.

use anyhow::Context as _;
use tokio::{
    process::Command,
    time::{Duration, Instant, sleep, timeout},
};

use super::{
    cores, probe,
    process::Process,
    reload,
    results::{Drain, Sample, StartSample},
    scenario::Scenario,
    target::{Site, Start, Target},
};
use crate::load::{Load, Report};

/// Maximum time for a target to finish the work of the last scenario.
const SETTLING: Duration = Duration::from_secs(5);
/// Maximum time for loading the journal; afterwards the measurement continues without waiting.
const DRAINING: Duration = Duration::from_secs(20);
/// Maximum time for loading the journal at the end of the run; requests not loaded by then count as missing.
const FINISHING: Duration = Duration::from_secs(120);
/// Interval between looks at the journal while the target is under load.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);
/// Interval between looks at the journal while it is being loaded.
const LOOK_AFTER: Duration = Duration::from_millis(20);
/// Time for an allocator to return memory.
const GIVING_BACK: Duration = Duration::from_secs(3);
/// Seconds beyond the expected duration before a scenario is aborted.
const LATENESS: f64 = 60.0;

/// Runs `scenario` once.
///
/// # Errors
/// Fails if the load generator or the target fails.
pub async fn measure(site: &Site, target: &mut Target, scenario: &Scenario, seconds: f64) -> anyhow::Result<Sample> {
    // Short rounds get a shorter deadline.
    let patience = DRAINING.min(Duration::from_secs_f64(seconds * 10.0));
    let load = scenario.load(site, target, seconds);
    let Some(process) = target.process() else {
        let report = run_load(site, &load).await?;
        return Ok(Sample { load: report, ..Sample::default() });
    };
    settle(process).await?;
    process.reset_peak()?;
    let (memory, cpu) = (process.resident_kb()?, process.cpu()?);
    let has_journal = target.kind.has_journal();
    let before = if has_journal { probe::journal(target.port).await? } else { probe::JournalState::default() };
    let backlog = async {
        // Skipped in latency scenarios, where the looks would disturb measurements in milliseconds.
        if has_journal && scenario.is_looked_at() { watch_backlog(target.port, load.seconds).await } else { Ok(0) }
    };
    let changes = async {
        if scenario.changes_keys { reload::change_keys(site, target, load.seconds).await.map(Some) } else { Ok(None) }
    };
    let (report, most_bytes, reloads) = tokio::try_join!(run_load(site, &load), backlog, changes)?;
    let journal =
        if has_journal { Some(drain(target.port, before, most_bytes, report.ok, patience).await?) } else { None };
    if !has_journal {
        // Include work that is done after the answers.
        sleep(Duration::from_millis(200)).await;
    }
    let grown_kb = process.peak_kb()? - memory;
    let cpu = process.cpu()? - cpu;
    let kept_kb = if scenario.is_crowd() {
        sleep(GIVING_BACK).await;
        process.resident_kb()? - memory
    } else {
        0.0
    };
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
    let cpu_us = cpu.as_secs_f64() * 1e6 / (report.ok.max(1) as f64);
    target.note_answered(scenario.provider_id(), report.ok);
    Ok(Sample { load: report, cpu_us, grown_kb, kept_kb, journal, reloads, noise: 0.0 })
}

/// Waits until the database has all requests that `target` has answered since it was started.
///
/// # Errors
/// Fails if the target does not report the state of its journal.
pub async fn finish_loading(target: &Target) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let journal = probe::journal(target.port).await?;
        if journal.loaded + journal.unlogged >= target.answered_by_process || begin.elapsed() > FINISHING {
            return Ok(());
        }
        sleep(SAMPLE_INTERVAL).await;
    }
}

/// Restarts `target` and measures the time to its first answer and its memory one second later.
///
/// # Errors
/// Fails if it does not start again.
pub async fn restart(site: &Site, target: &mut Target) -> anyhow::Result<Option<StartSample>> {
    target.stop().await?;
    let Start::Ready(after) = target.start(site).await? else { return Ok(None) };
    let Some(process) = target.process() else { return Ok(None) };
    sleep(Duration::from_secs(1)).await;
    Ok(Some(StartSample { first_answer_ms: after.as_secs_f64() * 1e3, idle_kb: process.resident_kb()? }))
}

/// Runs the load generator on its core.
async fn run_load(site: &Site, load: &Load) -> anyhow::Result<Report> {
    let mut command = Command::new(site.binaries.join("load"));
    command.args(load.to_args()).kill_on_drop(true);
    let run = cores::on_core(site.cores.map(|cores| cores.load), || command.output())?;
    let limit = Duration::from_secs_f64(load.seconds + load.patience + LATENESS);
    let output = timeout(limit, run).await.context("the load generator did not finish in time")??;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "the load generator exited with {}: {}", output.status, said.trim());
    serde_json::from_slice(&output.stdout).context("cannot read the report of the load generator")
}

/// Waits until a target is idle.
async fn settle(process: &Process) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let before = process.cpu()?;
        sleep(Duration::from_millis(200)).await;
        if process.cpu()? - before <= Duration::from_millis(10) || begin.elapsed() > SETTLING {
            return Ok(());
        }
    }
}

/// Returns the maximum size of the journal observed while the load ran.
async fn watch_backlog(port: u16, seconds: f64) -> anyhow::Result<u64> {
    let (begin, seconds) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut most = 0;
    while begin.elapsed() + SAMPLE_INTERVAL < seconds {
        sleep(SAMPLE_INTERVAL).await;
        most = most.max(probe::journal(port).await?.bytes);
    }
    Ok(most)
}

/// Waits until all answered requests are in the database.
async fn drain(
    port: u16,
    before: probe::JournalState,
    most: u64,
    answered: u64,
    patience: Duration,
) -> anyhow::Result<Drain> {
    let begin = Instant::now();
    let mut most_bytes = most;
    loop {
        let after = probe::journal(port).await?;
        most_bytes = most_bytes.max(after.bytes);
        let done = after.loaded + after.unlogged >= before.loaded + before.unlogged + answered;
        if done || begin.elapsed() > patience {
            return Ok(Drain { most_bytes, seconds: begin.elapsed().as_secs_f64(), after, complete: done });
        }
        sleep(LOOK_AFTER).await;
    }
}
