//! The result table: figures as ratios to the null proxy, with their goals.

mod qwen;
mod rows;

use std::fmt::Write as _;

use rows::ROWS;

use super::{
    results::Results,
    target::Kind::{self, Direct, JournalOff, JournalOn, JournalPower, Nginx, Null, Rules},
};

const COLUMNS: [Kind; 6] = [Null, Nginx, JournalOff, JournalPower, JournalOn, Rules];

/// A bound for a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Lower bound.
    AtLeast(f64),
    /// Upper bound.
    AtMost(f64),
}

/// Formats the results as Markdown that is also readable as plain text.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let shown: Vec<Kind> = COLUMNS.into_iter().filter(|&kind| was_measured(results, kind)).collect();
    let mut titles = vec!["figure".to_owned(), "goal".to_owned()];
    titles.extend(shown.iter().map(|kind| kind.label().to_owned()));
    lines.push(titles);
    for row in ROWS {
        let cells: Vec<Option<f64>> = shown.iter().map(|&kind| row.value(results, kind)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let mut line = vec![row.what.to_owned(), row.goal_text()];
        line.extend(shown.iter().zip(cells).map(|(&kind, value)| {
            let Some(value) = value else { return String::new() };
            format!("{}{}", row.text(kind, value), mark(row.goal(kind), value))
        }));
        lines.push(line);
    }
    for audit in [errors(results, &shown), audits(results, &shown)].into_iter().flatten() {
        lines.push(audit);
    }
    let mut text = if shown.is_empty() { String::new() } else { render(&lines) };
    if let Some(lines) = qwen::lines(results) {
        text.push('\n');
        text.push_str(&render(&lines));
    }
    if let (disturbed @ 1.., all) = results.disturbed() {
        let _ =
            write!(text, "\nDoubtful: other processes used the machine during {disturbed} of {all} measurements.\n");
    }
    for failure in &results.failures {
        let _ = write!(text, "\nFailed: {failure}\n");
    }
    for complaint in &results.complaints {
        let _ = write!(text, "\nLogged by {complaint}\n");
    }
    for note in &results.notes {
        let _ = write!(text, "\nOmitted: {note}\n");
    }
    text
}

fn was_measured(results: &Results, kind: Kind) -> bool {
    kind != Direct && results.samples.values().any(|targets| targets.contains_key(kind.name()))
        || results.starts.contains_key(kind.name())
}

fn mark(goal: Option<Goal>, value: f64) -> &'static str {
    // Compare the rounded value, so that the mark agrees with the figure shown.
    let value = (value * 100.0).round() / 100.0;
    match goal {
        None => "",
        Some(Goal::AtLeast(bound)) if value >= bound => " ✓",
        Some(Goal::AtMost(bound)) if value <= bound => " ✓",
        Some(_) => " ✗",
    }
}

fn errors(results: &Results, shown: &[Kind]) -> Option<Vec<String>> {
    let mut line = vec!["failed requests, all scenarios".to_owned(), "0".to_owned()];
    for &kind in shown {
        let failed = results.failed(kind);
        line.push(format!("{failed}{}", if failed == 0 { " ✓" } else { " ✗" }));
    }
    (!shown.is_empty()).then_some(line)
}

fn audits(results: &Results, shown: &[Kind]) -> Option<Vec<String>> {
    let mut line = vec!["answers that are not in the log".to_owned(), "0".to_owned()];
    for kind in shown {
        line.push(results.audits.get(kind.name()).map_or_else(String::new, |audit| {
            let missing = audit.missing;
            format!("{missing} of {}{}", audit.answered, if missing == 0 { " ✓" } else { " ✗" })
        }));
    }
    (!results.audits.is_empty()).then_some(line)
}

fn render(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                text.push_str(if column < 2 { "|-" } else { "|:" });
                text.push_str(&dashes);
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests;
