//! The driver: starts everything, measures the targets in turn, and produces one table.
//!
//! # Layout
//! [`scenario`]: the requests. [`target`]: the programs under measurement, run as [`process`]es on [`cores`].
//! [`measure`]: one scenario with one target, with single requests from [`probe`] and changes of keys by [`reload`];
//! [`others`] detects other load on the machine. [`results`] are shown as a [`table`] and a [`picture`].
//!
//! # Invariants
//! - Dropping the future of [`run`], as an interrupt does, kills every process and removes every file of the run.
//! - Targets that are not being measured are paused.
//! - Everything left out is reported, also in the results.

pub mod cores;
pub mod measure;
pub mod others;
pub mod picture;
pub mod probe;
pub mod process;
pub mod reload;
pub mod results;
pub mod scenario;
pub mod table;
pub mod target;

use std::{io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use cores::Cores;
use others::Watch;
use process::Process;
use results::{Results, Sample};
use scenario::{Run, SCENARIOS, START, Scenario};
use target::{Kind, Site, Start, Target};
use tempfile::TempDir;
use tokio::{process::Command, time::Duration, time::sleep};

use crate::{
    descriptors,
    prompt::Pool,
    rules::{KEYS, Keys},
};

/// Number of client keys of a quick run.
const QUICK_KEYS: usize = 100;

/// Options of a run.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// One short round, without D, E and L: only shows that everything works
    #[arg(long)]
    pub quick: bool,
    /// Only these scenarios: A, B, C, CT, D2k, D8k, DT, E, F, K, K2000, KC, KR, L, M, MT, P, PT, Q, Q50,
    /// Q500, R100, R2000 (repeatable)
    #[arg(long)]
    pub scenario: Vec<String>,
    /// Number of rounds; the figures are their medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// Seconds per scenario and round
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Directory of `provider-router`, `qwen-proxy`, `null-proxy`, `mock-upstream`, `fake-qwen` and `load`; default:
    /// that of this program
    #[arg(long)]
    pub binaries: Option<PathBuf>,
}

/// A run in progress.
struct Bench {
    site: Site,
    targets: Vec<Target>,
    results: Results,
    options: Options,
    /// The upstreams: the mock and, if it is needed, the fake of chat.qwen.ai.
    upstreams: Vec<Process>,
    /// Last field, so that it is removed after the processes that write to it.
    _dir: TempDir,
}

/// Starts everything, measures, and stops everything.
///
/// # Errors
/// Fails if a required step fails.
pub async fn run(options: Options) -> anyhow::Result<Results> {
    if let Some(unknown) =
        options.scenario.iter().find(|name| *name != START && !SCENARIOS.iter().any(|scenario| scenario.name == **name))
    {
        anyhow::bail!("unknown scenario {unknown}");
    }
    let limit = descriptors::raise_limit().context("cannot raise the limit of open files")?;
    let mut bench = Bench::start(options).await?;
    if bench.options.wants(START) && !bench.options.quick {
        bench.starts().await?;
    }
    bench.warm_up().await?;
    bench.rounds(limit).await?;
    bench.audit().await
}

// === impl Options ===

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.scenario.is_empty() || self.scenario.iter().any(|wanted| wanted == name)
    }

    /// Returns whether a scenario to be run has this kind of target. Starts are measured with all of them.
    fn needs(&self, kind: Kind) -> bool {
        self.wants(START)
            || SCENARIOS.iter().any(|scenario| self.wants(scenario.name) && scenario.targets.contains(&kind))
    }
}

// === impl Bench ===

impl Bench {
    async fn start(mut options: Options) -> anyhow::Result<Self> {
        if options.quick {
            (options.rounds, options.seconds) = (1, 0.3);
        }
        let mut results = Results::default();
        let cores = Cores::choose()?;
        if cores.is_none() {
            note(
                &mut results,
                "there is only one core, which all processes share; the figures are meaningless".to_owned(),
            );
        }
        let dir = tempfile::Builder::new().prefix("signalbox-bench-").tempdir()?;
        let beside = || Ok::<_, anyhow::Error>(std::env::current_exe()?.with_file_name(""));
        let binaries = options.binaries.clone().map_or_else(beside, Ok)?;
        let site = Site {
            binaries,
            dir: dir.path().to_owned(),
            cores,
            upstream: target::free_port()?,
            qwen: target::free_port()?,
            pool: Pool::new(),
            keys: Keys::new(if options.quick { QUICK_KEYS } else { KEYS })?,
        };
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|&kind| options.needs(kind)).collect();
        let mut upstreams = vec![upstream("mock-upstream", &[&site.upstream.to_string()], site.upstream, &site).await?];
        if kinds.iter().any(|kind| kind.is_qwen()) {
            upstreams.push(upstream("fake-qwen", &["--port", &site.qwen.to_string()], site.qwen, &site).await?);
        }
        let mut targets = Vec::new();
        for kind in kinds {
            let mut target = Target::prepare(kind, &site).await?;
            match target.start(&site).await? {
                Start::Ready(_) => targets.push(target),
                Start::LeftOut(why) => note(&mut results, format!("{}: {why}", kind.name())),
            }
        }
        Ok(Self { site, targets, results, options, upstreams, _dir: dir })
    }

    async fn starts(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.options.rounds {
            for target in &mut self.targets {
                if let Some(start) = measure::restart(&self.site, target).await? {
                    say(&format!("{START:>6} {:<13} {:6.1} ms", target.kind.name(), start.first_answer_ms));
                    self.results.starts.entry(target.kind.name().to_owned()).or_default().push(start);
                }
            }
        }
        Ok(())
    }

    /// Measures each target once, because fresh connections, cold caches and new journal segments are not
    /// representative.
    async fn warm_up(&mut self) -> anyhow::Result<()> {
        for target in &mut self.targets {
            let first = SCENARIOS.iter().find(|scenario| scenario.targets.contains(&target.kind));
            measure::measure(&self.site, target, first.unwrap_or(&SCENARIOS[0]), self.options.seconds.min(1.0)).await?;
            target.process().map_or(Ok(()), Process::pause)?;
        }
        Ok(())
    }

    async fn rounds(&mut self, descriptors: u64) -> anyhow::Result<()> {
        for run in [Run::Rounds, Run::HeavyRounds] {
            for round in 0..self.options.rounds {
                for scenario in SCENARIOS.iter().filter(|scenario| scenario.run == run) {
                    if self.options.wants(scenario.name) {
                        self.round(scenario, round as usize).await?;
                    }
                }
            }
        }
        for scenario in SCENARIOS.iter().filter(|scenario| matches!(scenario.run, Run::Once | Run::Long)) {
            if !self.options.wants(scenario.name) || self.options.quick {
                continue;
            }
            if scenario.descriptors() > descriptors {
                let needs = scenario.descriptors();
                let why = format!("{} needs {needs} open files, but the limit is {descriptors}", scenario.name);
                note(&mut self.results, why);
                continue;
            }
            self.round(scenario, 0).await?;
        }
        Ok(())
    }

    /// Runs one scenario with all of its targets; the first target changes with each round.
    async fn round(&mut self, scenario: &Scenario, round: usize) -> anyhow::Result<()> {
        for turn in 0..scenario.targets.len() {
            let kind = scenario.targets[(turn + round) % scenario.targets.len()];
            let Some(target) = self.targets.iter_mut().find(|target| target.kind == kind) else { continue };
            target.process().map_or(Ok(()), Process::resume)?;
            let watch = Watch::begin(&ours(&self.upstreams, target))?;
            let measured = measure::measure(&self.site, target, scenario, self.options.seconds).await;
            let noise = watch.end(&ours(&self.upstreams, target));
            target.process().map_or(Ok(()), Process::pause)?;
            let sample = match measured {
                Ok(sample) => Sample { noise: noise?, ..sample },
                Err(error) => {
                    // The other measurements are still worth taking.
                    let failure = format!("{} of {}: {error:#}", scenario.name, kind.name());
                    say(&format!("FAILED: {failure}"));
                    self.results.failures.push(failure);
                    continue;
                }
            };
            say(&format!(
                "{:>6} {:<13} {:9.0}/s {:8.1} µs cpu, p50 {:8.0} µs, p99 {:8.0} µs, {} errors{}{}",
                scenario.name,
                kind.name(),
                sample.load.per_second,
                sample.cpu_us,
                sample.load.total.p50,
                sample.load.total.p99,
                sample.load.failed(),
                sample.journal.map_or_else(String::new, |drain| format!(
                    ", loaded after {:.1} s{}",
                    drain.seconds,
                    if drain.complete { "" } else { ": NOT ALL" }
                )),
                sample.reloads.map_or_else(String::new, |reloads| format!(
                    ", {} reloads of at most {:.1} ms",
                    reloads.count, reloads.longest_ms
                )),
            ));
            let targets = self.results.samples.entry(scenario.name.to_owned()).or_default();
            targets.entry(kind.name().to_owned()).or_default().push(sample);
        }
        Ok(())
    }

    /// Stops everything and then counts the rows in the databases.
    async fn audit(mut self) -> anyhow::Result<Results> {
        for target in &mut self.targets {
            target.process().map_or(Ok(()), Process::resume)?;
            if target.kind.has_journal() {
                measure::finish_loading(target).await?;
            }
            let complaints = target.process().map_or_else(Vec::new, Process::complaints);
            self.results.complaints.extend(complaints.iter().map(|line| format!("{}: {line}", target.kind.name())));
            target.stop().await?;
            if target.kind.is_logged() {
                self.results.audits.insert(target.kind.name().to_owned(), target.audit().await?);
            }
        }
        Ok(self.results)
    }
}

/// Returns the processes that belong to a measurement of `target`, besides those started for it.
fn ours<'a>(upstreams: &'a [Process], target: &'a Target) -> Vec<&'a Process> {
    target.process().into_iter().chain(upstreams).collect()
}

/// Starts `program` and waits until it answers a request.
async fn upstream(program: &'static str, args: &[&str], port: u16, site: &Site) -> anyhow::Result<Process> {
    let mut command = Command::new(site.binaries.join(program));
    command.args(args);
    let process = Process::spawn(program, command, site.cores.map(|cores| cores.load), &site.dir)?;
    for _ in 0..1000 {
        if probe::chat(port, &site.pool, None).await.is_ok() {
            return Ok(process);
        }
        sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("{program} does not respond: {}", process.last_words())
}

/// Records and reports that something is left out.
fn note(results: &mut Results, why: String) {
    say(&format!("OMITTED: {why}"));
    results.notes.push(why);
}

/// Reports progress on stderr and ignores errors, such as a closed stderr.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
