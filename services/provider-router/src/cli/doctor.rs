//! `doctor`: examines the installation, and plays faults against its routes.

use std::{io, process::ExitCode};

use signalbox_daemon::{Exit, Shutdown, config::Common};
use signalbox_management::doctor::{Score, Scorecard, Tally, Verdict};
use tokio::sync::oneshot;

use super::{
    output::{Colour, CommandOutcome, CommandResult, Output},
    table::plain,
};
use crate::{
    config::Config,
    doctor::{self, Check, Report, State},
};

const EXAMPLES: &str = "\
Examples:
  provider-router doctor
  provider-router doctor --offline --json
  provider-router doctor --against-fakes --route fast

Exit codes: 0 nothing failed, 1 a check or a scene failed, 2 usage.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Do not call the providers
    #[arg(long)]
    offline: bool,
    /// Play faults against the routes instead, with all providers replaced by fakes; no provider is called
    #[arg(long, conflicts_with = "offline")]
    against_fakes: bool,
    /// Play only this route; may be given several times
    // `requires` alone is not checked beside an option that excludes the required one.
    #[arg(long, value_name = "MODEL", requires = "against_fakes", conflicts_with = "offline")]
    route: Vec<String>,
    /// End when standard input ends: a program that started this command and holds it has gone away
    #[arg(long, hide = true)]
    lifeline: bool,
}

/// Titles of the areas, in the order of the output.
const AREAS: [(&str, &str); 10] = [
    ("config", "Configuration"),
    ("data", "Data directory"),
    ("database", "Database"),
    ("providers", "Providers"),
    ("prices", "Prices"),
    ("provider", "Each provider"),
    ("routes", "Routes"),
    ("route", "Each route"),
    ("key", "Client keys"),
    ("", "Other"),
];
/// Maximum width of the column of ids; longer ones shift their line.
const MAX_ID_WIDTH: usize = 36;

// === impl Doctor ===

impl Doctor {
    /// Runs without the database that other commands open, because a damaged one is a finding.
    pub(super) async fn execute(self, config: Config, common: Common, shutdown: Shutdown) -> Result<ExitCode, Exit> {
        let mut out = Output::new(self.json);
        let done = tokio::select! {
            done = Box::pin(self.act(&config, &common, &mut out)) => done,
            () = shutdown.draining() => return Err(Exit::Interrupted),
            () = self.abandoned() => return Err(Exit::Interrupted),
        };
        Ok(out.finish(done))
    }

    /// Resolves when standard input has ended; never without `--lifeline`.
    async fn abandoned(&self) {
        let (sender, ended) = oneshot::channel();
        if self.lifeline {
            // A thread of its own, which does not hold up the end of this process.
            std::thread::spawn(move || {
                // An input that cannot be read has ended, too.
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                sender.send(()).ok();
            });
            if ended.await.is_ok() {
                return;
            }
        }
        std::future::pending().await
    }

    async fn act(&self, config: &Config, common: &Common, out: &mut Output) -> CommandOutcome {
        let (is_well, document) = if self.against_fakes {
            out.line(
                "Every provider is replaced by a fake on this machine, and all times are a tenth of your deadlines.",
            );
            let card = doctor::play::play(config, common, &self.route).await?;
            scorecard(&card, out);
            (card.is_well(), serde_json::to_value(&card)?)
        } else {
            let report = doctor::examine(config, common, self.offline).await;
            show(&report, out);
            (report.is_well(), serde_json::to_value(&report)?)
        };
        Ok(if is_well { CommandResult::done(document) } else { CommandResult::failed(document) })
    }
}

/// Prints the checks by area, with what to do below those that are not well.
fn show(report: &Report, out: &mut Output) {
    let width = report.checks.iter().map(|check| check.id.chars().count()).max().unwrap_or_default().min(MAX_ID_WIDTH);
    let is_of = |check: &Check, area: &str| match area {
        "" => !AREAS.iter().any(|(known, _)| *known == check.area()),
        area => check.area() == area,
    };
    for (area, title) in AREAS {
        let mut checks = report.checks.iter().filter(|check| is_of(check, area)).peekable();
        if checks.peek().is_none() {
            continue;
        }
        out.line(title);
        for check in checks {
            line(check, width, out);
        }
        out.line("");
    }
    let summary = report.summary;
    out.line(format!(
        "{} ok, {} warnings, {} failures, {} skipped",
        summary.ok, summary.warn, summary.fail, summary.skipped
    ));
}

fn line(check: &Check, width: usize, out: &mut Output) {
    let line = format!("  {:<7}  {:<width$}  {}", check.state.as_str(), plain(&check.id), plain(&check.finding));
    match check.state {
        State::Ok => out.line(line),
        State::Skipped => out.coloured(Colour::BrightBlack, &line),
        State::Warn => out.coloured(Colour::Yellow, &line),
        State::Fail => out.coloured(Colour::Red, &line),
    }
    if let Some(remedy) = &check.remedy {
        let link = check.link.as_ref().map(|link| format!(" ({link})")).unwrap_or_default();
        out.line(format!("           → {}{link}", plain(remedy)));
    }
}

/// Prints the scores of each route, with what was done and expected below those that are not passed.
fn scorecard(card: &Scorecard, out: &mut Output) {
    for route in &card.routes {
        let name = route.route.as_deref().unwrap_or("(requests that name no model)");
        let implied = if route.is_implied { ", implied" } else { "" };
        out.line("");
        out.line(format!("{} ({}{implied}): {}", plain(name), route.policy, plain(&route.targets.join(", "))));
        for score in &route.scores {
            scene(score, out);
        }
        out.line(format!("  {}", tally(route.summary)));
    }
    for reason in &card.not_played {
        out.coloured(Colour::Yellow, &format!("Not played: {}", plain(reason)));
    }
    if card.routes.len() > 1 {
        out.line("");
        out.line(format!("All routes: {}", tally(card.summary)));
    }
}

fn tally(tally: Tally) -> String {
    let Tally { pass, partial, fail, skipped } = tally;
    format!("{pass} passed, {partial} partial, {fail} failed, {skipped} skipped")
}

fn scene(score: &Score, out: &mut Output) {
    let line = format!("  {:<7}  {}  {:<38}  {}", score.verdict.as_str(), score.id, score.name, plain(&score.seen));
    match score.verdict {
        Verdict::Pass => out.line(line),
        Verdict::Skipped => out.coloured(Colour::BrightBlack, &line),
        Verdict::Partial => out.coloured(Colour::Yellow, &line),
        Verdict::Fail => out.coloured(Colour::Red, &line),
    }
    if matches!(score.verdict, Verdict::Partial | Verdict::Fail) {
        out.line(format!("           done:     {}", score.done));
        out.line(format!("           expected: {}", score.expected));
    }
    if let Some(remedy) = &score.remedy {
        out.line(format!("           → {remedy}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_area_has_a_title() {
        for area in ["config", "data", "database", "providers", "prices", "provider", "routes", "route", "key"] {
            assert!(AREAS.iter().any(|(known, _)| *known == area), "{area}");
        }
    }
}
