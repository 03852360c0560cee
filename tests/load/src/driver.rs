//! The driver: starts everything, lets the targets take turns, and makes one table of it.
//!
//! # Layout
//! [`scenario`]: what is asked. [`target`]: who is asked, in [`process`]es on [`cores`]. [`measure`]: one scenario with one
//! target, with single questions from [`probe`]; [`others`] who use the machine meanwhile are noticed. [`results`] become a
//! [`table`] and a [`picture`].
//!
//! # Invariants
//! - Dropping the future of [`run`], as an interrupt does, kills every process and removes every file it has made.
//! - Whoever is not being measured stands still.
//! - What is left out is said, in the results too.

pub mod cores;
pub mod measure;
pub mod others;
pub mod picture;
pub mod probe;
pub mod process;
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
use results::{Audit, Results, Sample};
use scenario::{Run, SCENARIOS, START, Scenario};
use target::{Kind, Site, Start, Target};
use tempfile::TempDir;
use tokio::{process::Command, time::Duration, time::sleep};

use crate::{descriptors, prompt::Pool};

/// What to measure, and how long.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// One short round, without D, E and L: shows that everything works, and nothing else
    #[arg(long)]
    pub quick: bool,
    /// Only these scenarios: A, B, C, D2k, D8k, E, F, L, Q, Q50, Q500, R100, R2000 (repeatable)
    #[arg(long)]
    pub scenario: Vec<String>,
    /// Rounds; the figures are their medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// Seconds of a scenario in one round
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Where `provider-router`, `qwen-proxy`, `null-proxy`, `mock-upstream`, `fake-qwen` and `load` are; default: beside this program
    #[arg(long)]
    pub binaries: Option<PathBuf>,
}

/// A run that goes on.
struct Bench {
    site: Site,
    targets: Vec<Target>,
    results: Results,
    options: Options,
    /// What is asked in the end: the mock, the fake of chat.qwen.ai.
    upstreams: [Process; 2],
    /// Last, so that nobody writes there any more when it goes.
    _dir: TempDir,
}

/// Starts everything, measures, and stops everything.
///
/// # Errors
/// When something that has to work does not.
pub async fn run(options: Options) -> anyhow::Result<Results> {
    if let Some(unknown) =
        options.scenario.iter().find(|name| *name != START && !SCENARIOS.iter().any(|scenario| scenario.name == **name))
    {
        anyhow::bail!("there is no scenario {unknown}");
    }
    let limit = descriptors::raise_limit().context("cannot raise the limit of open files")?;
    let mut bench = Bench::start(options).await?;
    if bench.is_wanted(START) && !bench.options.quick {
        bench.starts().await?;
    }
    bench.warm_up().await?;
    bench.rounds(limit).await?;
    bench.audit().await
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
            note(&mut results, "there is only one core: everybody shares it, and no figure means anything".to_owned());
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
        };
        let upstreams = [
            upstream("mock-upstream", &[&site.upstream.to_string()], site.upstream, &site).await?,
            upstream("fake-qwen", &["--port", &site.qwen.to_string()], site.qwen, &site).await?,
        ];
        let mut targets = Vec::new();
        for kind in Kind::ALL {
            let mut target = Target::prepare(kind, &site).await?;
            match target.start(&site).await? {
                Start::Ready(_) => targets.push(target),
                Start::LeftOut(why) => note(&mut results, format!("{}: {why}", kind.name())),
            }
        }
        Ok(Self { site, targets, results, options, upstreams, _dir: dir })
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.options.scenario.is_empty() || self.options.scenario.iter().any(|wanted| wanted == name)
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

    /// Fresh connections, cold caches and journal segments that nobody has written to yet are no one's usual state.
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
                    if self.is_wanted(scenario.name) {
                        self.round(scenario, round as usize).await?;
                    }
                }
            }
        }
        for scenario in SCENARIOS.iter().filter(|scenario| matches!(scenario.run, Run::Once | Run::Long)) {
            if !self.is_wanted(scenario.name) || self.options.quick {
                continue;
            }
            if scenario.descriptors() > descriptors {
                let needs = scenario.descriptors();
                let why = format!("{} needs {needs} open files, and {descriptors} are allowed", scenario.name);
                note(&mut self.results, why);
                continue;
            }
            self.round(scenario, 0).await?;
        }
        Ok(())
    }

    /// One scenario with everybody whom it is for; each round somebody else is first.
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
                    // The others are worth their minutes all the same.
                    let failure = format!("{} of {}: {error:#}", scenario.name, kind.name());
                    say(&format!("FAILED: {failure}"));
                    self.results.failures.push(failure);
                    continue;
                }
            };
            say(&format!(
                "{:>6} {:<13} {:9.0}/s {:8.1} µs cpu, p50 {:8.0} µs, p99 {:8.0} µs, {} errors{}",
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
            ));
            let targets = self.results.samples.entry(scenario.name.to_owned()).or_default();
            targets.entry(kind.name().to_owned()).or_default().push(sample);
        }
        Ok(())
    }

    /// Stops everything, and looks what is in the databases then.
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
                let (rows, completed) = target.rows().await?;
                let audit = Audit { answered: target.answered, rows, completed };
                self.results.audits.insert(target.kind.name().to_owned(), audit);
            }
        }
        Ok(self.results)
    }
}

/// Whose work belongs to a measurement of `target`, beside what this process starts for it.
fn ours<'a>(upstreams: &'a [Process], target: &'a Target) -> Vec<&'a Process> {
    target.process().into_iter().chain(upstreams).collect()
}

/// Starts `program`, and waits until it answers anything at all.
async fn upstream(program: &'static str, args: &[&str], port: u16, site: &Site) -> anyhow::Result<Process> {
    let mut command = Command::new(site.binaries.join(program));
    command.args(args);
    let process = Process::spawn(program, command, site.cores.map(|cores| cores.load), &site.dir)?;
    for _ in 0..1000 {
        if probe::chat(port, &site.pool).await.is_ok() {
            return Ok(process);
        }
        sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("{program} does not answer: {}", process.last_words())
}

/// Leaves something out, loudly.
fn note(results: &mut Results, why: String) {
    say(&format!("LEFT OUT: {why}"));
    results.notes.push(why);
}

/// Tells how it goes. Who has closed stderr does not want to know.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
