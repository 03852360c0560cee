//! The table of qwen-proxy: the overhead compared with direct requests to the fake of chat.qwen.ai.

use super::{
    Kind, Results,
    rows::{grouped, lag, lag_p50, p50, p99, per_second, per_stream},
};
use crate::driver::{
    results::Sample,
    target::Kind::{QwenProxy, QwenSite},
};

/// One line of the table.
struct Row {
    what: &'static str,
    scenario: &'static str,
    figure: fn(&Sample) -> f64,
    unit: &'static str,
    /// Whether the figure also exists for requests without a proxy.
    both: bool,
}

const ROWS: &[Row] = &[
    Row { what: "**Q** streams of 100 chunks, 16 connections", figure: per_second, unit: "/s", ..Q },
    Row { what: "Q: processor time per stream", figure: |sample| sample.cpu_us, unit: " µs", both: false, ..Q },
    Row { what: "**Q50** 50 conversations begun per second: p50 of a whole answer", scenario: "Q50", figure: p50, ..Q },
    Row { what: "Q50: p99 of a whole answer", scenario: "Q50", figure: p99, ..Q },
    Row { what: "Q50: p50 of the delay of a chunk", scenario: "Q50", figure: lag_p50, ..Q },
    Row { what: "Q50: p99 of the delay of a chunk", scenario: "Q50", figure: lag, ..Q },
    Row { what: "**Q500** 500 streams at once: p99 of the delay of a chunk", scenario: "Q500", figure: lag, ..Q },
    Row { what: "Q500: memory per stream", scenario: "Q500", figure: per_stream, unit: " KB", both: false },
    Row {
        what: "Q500: memory kept afterwards",
        scenario: "Q500",
        figure: |sample| sample.kept_kb.max(0.0),
        unit: " KB",
        both: false,
    },
];

const Q: Row = Row { what: "", scenario: "Q", figure: per_second, unit: " µs", both: true };

/// Returns the cells, headings first; `None` if no figure was measured.
pub(super) fn lines(results: &Results) -> Option<Vec<Vec<String>>> {
    let titles = ["figure", QwenSite.label(), QwenProxy.label(), "added"];
    let mut lines = vec![titles.map(str::to_owned).to_vec()];
    for row in ROWS {
        let median = |kind| results.median(row.scenario, kind, row.figure);
        let Some(own) = median(QwenProxy) else { continue };
        let text = |value: f64| format!("{}{}", grouped(value), row.unit);
        let mut line = vec![row.what.to_owned(), String::new(), text(own), String::new()];
        if let Some(without) = median(QwenSite).filter(|_| row.both) {
            line[1] = text(without);
            line[3] = if row.unit == " µs" { text(own - without) } else { format!("× {:.2}", own / without) };
        }
        lines.push(line);
    }
    for (what, figure) in [("**E** start to first answer", start_ms as fn(_, _) -> _), ("E: memory when idle", idle_mb)]
    {
        if let Some(value) = figure(results, QwenProxy) {
            lines.push(vec![what.to_owned(), String::new(), value, String::new()]);
        }
    }
    if lines.len() == 1 {
        return None;
    }
    let failed = |kind| results.failed(kind).to_string();
    lines.push(vec!["failed requests".to_owned(), failed(QwenSite), failed(QwenProxy), String::new()]);
    if let Some(audit) = results.audits.get(QwenProxy.name()) {
        let missing = format!("{} of {}", audit.missing, audit.answered);
        lines.push(vec!["answers that are not in the log".to_owned(), String::new(), missing, String::new()]);
    }
    Some(lines)
}

fn start_ms(results: &Results, kind: Kind) -> Option<String> {
    results.median_start(kind, |start| start.first_answer_ms).map(|value| format!("{value:.1} ms"))
}

fn idle_mb(results: &Results, kind: Kind) -> Option<String> {
    results.median_start(kind, |start| start.idle_kb / 1024.0).map(|value| format!("{value:.1} MB"))
}
