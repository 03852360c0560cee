//! The figures of the table, with their goals.

use super::{Direct, Goal, JournalOff, JournalOn, JournalPower, Kind, Null, Results, Rules};
use crate::driver::results::Sample;

/// One line of the table.
pub(super) struct Row {
    pub(super) what: &'static str,
    figure: Figure,
    pub(super) show: Show,
    /// Unit of absolute values.
    unit: &'static str,
    goals: &'static [(Kind, Goal)],
}

/// Source of a value.
enum Figure {
    /// The median over the rounds of a scenario.
    Of(&'static str, fn(&Sample) -> f64),
    /// Computed from several figures.
    From(fn(&Results, Kind) -> Option<f64>),
}

/// How a value is shown. The null proxy's own value is always shown unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Ratio to the null proxy's value.
    Ratio,
    /// Difference to the null proxy's value.
    Difference,
    /// Ratio of the overheads over no proxy: the target's to the null proxy's.
    AddedRatio,
    /// Unchanged.
    Absolute,
}

use Figure::{From, Of};
use Goal::{AtLeast, AtMost};

pub(super) const fn per_second(sample: &Sample) -> f64 {
    sample.load.per_second
}

const fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us
}

pub(super) const fn p50(sample: &Sample) -> f64 {
    sample.load.total.p50
}

pub(super) const fn p99(sample: &Sample) -> f64 {
    sample.load.total.p99
}

pub(super) const fn lag(sample: &Sample) -> f64 {
    sample.load.lag.p99
}

pub(super) const fn lag_p50(sample: &Sample) -> f64 {
    sample.load.lag.p50
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand streams")]
pub(super) fn per_stream(sample: &Sample) -> f64 {
    sample.grown_kb / sample.load.peak.max(1) as f64
}

fn kept_mb(sample: &Sample) -> f64 {
    sample.kept_kb.max(0.0) / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "display only")]
fn backlog_mb(sample: &Sample) -> f64 {
    sample.journal.map_or(0.0, |journal| journal.most_bytes as f64 / f64::from(1 << 20))
}

fn drain_s(sample: &Sample) -> f64 {
    sample.journal.map_or(0.0, |journal| journal.seconds)
}

/// Relaying a stream of any API costs about the same.
const AS_CHAT: &[(Kind, Goal)] = &[(JournalOn, AtMost(1.1)), (JournalOff, AtMost(1.1))];
/// Translating a stream costs at most as much as relaying it.
const TWICE: &[(Kind, Goal)] = &[(JournalOn, AtMost(2.0)), (JournalOff, AtMost(2.0))];

pub(super) const ROWS: &[Row] = &[
    row(
        "**A** 1 KB answers: throughput",
        Of("A", per_second),
        Show::Ratio,
        "/s",
        &[(JournalOn, AtLeast(0.75)), (JournalOff, AtLeast(0.95))],
    ),
    row("A: processor time per request", Of("A", cpu), Show::Absolute, " µs", &[]),
    row("A: journal and loader, processor time", From(journal_us), Show::Absolute, " µs", &[(JournalOn, AtMost(10.0))]),
    row(
        "A: throughput of `process` over that of `power`",
        From(power),
        Show::Absolute,
        "",
        &[(JournalPower, AtMost(1.10))],
    ),
    row(
        "**B** 100 KB prompts, 90 % repeated: throughput",
        Of("B", per_second),
        Show::Ratio,
        "/s",
        &[(JournalOn, AtLeast(0.50)), (JournalOff, AtLeast(0.85))],
    ),
    row(
        "**F** 100 KB prompts, all fresh: throughput",
        Of("F", per_second),
        Show::Ratio,
        "/s",
        &[(JournalOn, AtLeast(0.30))],
    ),
    row("**C** streams of 100 chunks: processor time", Of("C", cpu), Show::Ratio, " µs", &[(JournalOn, AtMost(0.92))]),
    row("C: p99 of the delay of a chunk", Of("C", lag), Show::Ratio, " µs", &[(JournalOn, AtMost(0.7))]),
    row("**M** streams of Messages: processor time", Of("M", cpu), Show::Ratio, " µs", &[]),
    row(
        "M: processor time over that of C",
        From(|results, kind| over(results, kind, "M", "C")),
        Show::Absolute,
        "",
        AS_CHAT,
    ),
    row("M: throughput", Of("M", per_second), Show::Ratio, "/s", &[]),
    row("M: p99 of the delay of a chunk", Of("M", lag), Show::Ratio, " µs", &[]),
    row("**P** streams of Responses: processor time", Of("P", cpu), Show::Ratio, " µs", &[]),
    row(
        "P: processor time over that of C",
        From(|results, kind| over(results, kind, "P", "C")),
        Show::Absolute,
        "",
        AS_CHAT,
    ),
    row("P: throughput", Of("P", per_second), Show::Ratio, "/s", &[]),
    row("P: p99 of the delay of a chunk", Of("P", lag), Show::Ratio, " µs", &[]),
    row("**MT** Messages in front of Chat: processor time", Of("MT", cpu), Show::Ratio, " µs", &[]),
    row(
        "MT: processor time over that of C",
        From(|results, kind| translated(results, kind, "MT", "C")),
        Show::Absolute,
        "",
        TWICE,
    ),
    row("MT: throughput", Of("MT", per_second), Show::Ratio, "/s", &[]),
    row("MT: p99 of the delay of a chunk", Of("MT", lag), Show::Ratio, " µs", &[]),
    row("**CT** Chat in front of Messages: processor time", Of("CT", cpu), Show::Ratio, " µs", &[]),
    row(
        "CT: processor time over that of M",
        From(|results, kind| translated(results, kind, "CT", "M")),
        Show::Absolute,
        "",
        TWICE,
    ),
    row("CT: throughput", Of("CT", per_second), Show::Ratio, "/s", &[]),
    row("CT: p99 of the delay of a chunk", Of("CT", lag), Show::Ratio, " µs", &[]),
    row("**PT** Responses in front of Chat: processor time", Of("PT", cpu), Show::Ratio, " µs", &[]),
    row(
        "PT: processor time over that of C",
        From(|results, kind| translated(results, kind, "PT", "C")),
        Show::Absolute,
        "",
        TWICE,
    ),
    row("PT: throughput", Of("PT", per_second), Show::Ratio, "/s", &[]),
    row("PT: p99 of the delay of a chunk", Of("PT", lag), Show::Ratio, " µs", &[]),
    row("**K** A with a key: throughput", Of("K", per_second), Show::Absolute, "/s", &[]),
    row("K: processor time per request", Of("K", cpu), Show::Absolute, " µs", &[]),
    row(
        "K: throughput with rules over that without",
        From(|r, kind| ruled(r, kind, "K", per_second)),
        Show::Absolute,
        "",
        &[(Rules, AtLeast(0.95))],
    ),
    row(
        "K: processor time with rules over that without",
        From(|r, kind| ruled(r, kind, "K", cpu)),
        Show::Absolute,
        "",
        &[(Rules, AtMost(1.05))],
    ),
    row("**KC** C with a key: processor time", Of("KC", cpu), Show::Absolute, " µs", &[]),
    row(
        "KC: throughput with rules over that without",
        From(|r, kind| ruled(r, kind, "KC", per_second)),
        Show::Absolute,
        "",
        &[(Rules, AtLeast(0.95))],
    ),
    row(
        "KC: processor time with rules over that without",
        From(|r, kind| ruled(r, kind, "KC", cpu)),
        Show::Absolute,
        "",
        &[(Rules, AtMost(1.05))],
    ),
    row("**K2000** R2000 with rules: p99", Of("K2000", p99), Show::Absolute, " µs", &[]),
    row(
        "**KR** K2000 while keys change: longest reading of the catalogue",
        Of("KR", reload_ms),
        Show::Absolute,
        " ms",
        &[(Rules, AtMost(100.0))],
    ),
    row("KR: p99 over that without changes", From(p99_of_reloads), Show::Absolute, "", &[(Rules, AtMost(1.5))]),
    row("**R100** 100 requests/s: p50", Of("R100", p50), Show::Difference, " µs", &[(JournalOn, AtMost(20.0))]),
    row("R100: added to p99", Of("R100", p99), Show::AddedRatio, " µs", &[(JournalOn, AtMost(1.5))]),
    row("**R2000** 2,000 requests/s: p50", Of("R2000", p50), Show::Difference, " µs", &[(JournalOn, AtMost(20.0))]),
    row("R2000: added to p99", Of("R2000", p99), Show::AddedRatio, " µs", &[(JournalOn, AtMost(1.5))]),
    row(
        "**D** 2,000 streams: p99 of the delay of a chunk",
        Of("D2k", lag),
        Show::Ratio,
        " µs",
        &[(JournalOn, AtMost(1.3))],
    ),
    row("D, 2,000: memory per stream", Of("D2k", per_stream), Show::Absolute, " KB", &[(JournalOn, AtMost(40.0))]),
    row("D, 2,000: memory kept afterwards", Of("D2k", kept_mb), Show::Absolute, " MB", &[]),
    row(
        "**D** 8,000 streams: p99 of the delay of a chunk",
        Of("D8k", lag),
        Show::Ratio,
        " µs",
        &[(JournalOn, AtMost(1.3))],
    ),
    row("D, 8,000: memory per stream", Of("D8k", per_stream), Show::Absolute, " KB", &[(JournalOn, AtMost(40.0))]),
    row("D, 8,000: memory kept afterwards", Of("D8k", kept_mb), Show::Absolute, " MB", &[]),
    row("**DT** D, 2,000, as MT: p99 of the delay of a chunk", Of("DT", lag), Show::Ratio, " µs", &[]),
    row("DT: memory per stream", Of("DT", per_stream), Show::Absolute, " KB", &[(JournalOn, AtMost(60.0))]),
    row("DT: memory kept afterwards", Of("DT", kept_mb), Show::Absolute, " MB", &[]),
    row("**E** start to first answer", From(first_answer), Show::Absolute, " ms", &[(JournalOn, AtMost(50.0))]),
    row("E: memory when idle", From(idle_mb), Show::Absolute, " MB", &[(JournalOn, AtMost(15.0))]),
    row("**L** A for a minute: maximum size of the journal", Of("L", backlog_mb), Show::Absolute, " MB", &[]),
    row("L: time until everything was loaded", Of("L", drain_s), Show::Absolute, " s", &[(JournalOn, AtMost(10.0))]),
];

const fn row(
    what: &'static str,
    figure: Figure,
    show: Show,
    unit: &'static str,
    goals: &'static [(Kind, Goal)],
) -> Row {
    Row { what, figure, show, unit, goals }
}

fn journal_us(results: &Results, kind: Kind) -> Option<f64> {
    if !kind.has_journal() {
        return None;
    }
    Some(results.median("A", kind, cpu)? - results.median("A", JournalOff, cpu)?)
}

/// Returns the processor time of one scenario as a multiple of that of another one.
fn over(results: &Results, kind: Kind, scenario: &str, other: &str) -> Option<f64> {
    Some(results.median(scenario, kind, cpu)? / results.median(other, kind, cpu)?)
}

/// Returns the same for a router that translates in `scenario` the stream that it passes through in `other`.
fn translated(results: &Results, kind: Kind, scenario: &str, other: &str) -> Option<f64> {
    if kind.is_router() { over(results, kind, scenario, other) } else { None }
}

/// Returns a figure of the router with rules as a multiple of that of the one without.
fn ruled(results: &Results, kind: Kind, scenario: &str, figure: fn(&Sample) -> f64) -> Option<f64> {
    let of = |kind| results.median(scenario, kind, figure);
    if kind == Rules { Some(of(Rules)? / of(JournalOn)?) } else { None }
}

fn p99_of_reloads(results: &Results, kind: Kind) -> Option<f64> {
    Some(results.median("KR", kind, p99)? / results.median("K2000", kind, p99)?)
}

fn reload_ms(sample: &Sample) -> f64 {
    sample.reloads.map_or(f64::NAN, |reloads| reloads.longest_ms)
}

fn power(results: &Results, kind: Kind) -> Option<f64> {
    let throughput = |kind| results.median("A", kind, per_second);
    if kind == JournalPower { Some(throughput(JournalOn)? / throughput(JournalPower)?) } else { None }
}

fn first_answer(results: &Results, kind: Kind) -> Option<f64> {
    results.median_start(kind, |start| start.first_answer_ms)
}

fn idle_mb(results: &Results, kind: Kind) -> Option<f64> {
    results.median_start(kind, |start| start.idle_kb / 1024.0)
}

// === impl Row ===

impl Row {
    /// Returns the value in the column of `kind`.
    pub(super) fn value(&self, results: &Results, kind: Kind) -> Option<f64> {
        let of = |kind| match self.figure {
            Of(scenario, figure) => results.median(scenario, kind, figure),
            From(compute) => compute(results, kind),
        };
        let own = of(kind)?;
        if kind == Null {
            return Some(own);
        }
        match self.show {
            Show::Absolute => Some(own),
            Show::Ratio => Some(own / of(Null)?),
            Show::Difference => Some(own - of(Null)?),
            Show::AddedRatio => {
                let direct = of(Direct)?;
                Some((own - direct) / (of(Null)? - direct))
            }
        }
    }

    pub(super) fn goal(&self, kind: Kind) -> Option<Goal> {
        self.goals.iter().find(|(of, _)| *of == kind).map(|(_, goal)| *goal)
    }

    /// Formats the goals.
    pub(super) fn goal_text(&self) -> String {
        let plus = if self.show == Show::Difference { "+" } else { "" };
        let unit = if matches!(self.show, Show::Absolute | Show::Difference) { self.unit } else { "" };
        let one = |&(kind, goal): &(Kind, Goal)| {
            let whose = if kind == JournalOff { "off: " } else { "" };
            match goal {
                AtLeast(bound) => format!("{whose}≥ {bound:.2}"),
                AtMost(bound) if unit.is_empty() => format!("{whose}≤ {bound:.2}"),
                AtMost(bound) => format!("{whose}≤ {plus}{bound}{unit}"),
            }
        };
        self.goals.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Formats a value.
    pub(super) fn text(&self, kind: Kind, value: f64) -> String {
        let unit = self.unit;
        match self.show {
            _ if kind == Null && self.show != Show::Absolute => format!("{}{unit}", grouped(value)),
            Show::Ratio | Show::AddedRatio => format!("{value:.2}"),
            Show::Difference => format!("{value:+.0}{unit}"),
            Show::Absolute if unit.is_empty() => format!("{value:.2}"),
            Show::Absolute if value < 100.0 => format!("{value:.1}{unit}"),
            Show::Absolute => format!("{}{unit}", grouped(value)),
        }
    }
}

/// Formats a whole number with thousands separators.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (value, text) in [(0.4, "0"), (999.0, "999"), (1000.0, "1,000"), (-1234.0, "-1,234"), (1e6, "1,000,000")] {
            assert_eq!(grouped(value), text);
        }
    }
}
