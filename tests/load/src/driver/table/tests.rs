//! Tests of the table with made-up results.

use super::*;
use crate::{
    driver::{
        results::{Audit, Reloads, Sample, StartSample},
        target::Kind::{QwenProxy, QwenSite},
    },
    load::{Quantiles, Report},
};

fn sample(per_second: f64, cpu_us: f64, p99: f64) -> Sample {
    let total = Quantiles { count: 1, p50: p99 / 2.0, p99, max: p99 };
    let load = Report { ok: 1, per_second, peak: 1, total, lag: total, ..Report::default() };
    Sample { load, cpu_us, ..Sample::default() }
}

fn results(rows: &[(&str, Kind, Sample)]) -> Results {
    let mut results = Results::default();
    for (scenario, kind, sample) in rows {
        let targets = results.samples.entry((*scenario).to_owned()).or_default();
        targets.entry(kind.name().to_owned()).or_default().push(sample.clone());
    }
    results
}

/// Returns the cells of the line that begins with `what`.
fn line(text: &str, what: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.starts_with(&format!("| {what}"))).expect(what);
    line.trim_matches('|').split('|').skip(1).map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn figures_are_ratios_compared_with_their_goals() {
    let text = markdown(&results(&[
        ("A", Null, sample(50_000.0, 18.0, 100.0)),
        ("A", JournalOff, sample(40_000.0, 20.0, 100.0)),
        ("A", JournalOn, sample(40_000.0, 25.0, 100.0)),
    ]));
    assert_eq!(line(&text, "**A**"), ["≥ 0.75, off: ≥ 0.95", "50,000/s", "0.80 ✗", "0.80 ✓"]);
    assert_eq!(line(&text, "A: journal and"), ["≤ 10 µs", "", "", "5.0 µs ✓"]);
    assert_eq!(line(&text, "failed requests"), ["0", "0 ✓", "0 ✓", "0 ✓"]);
    assert!(!text.contains("**C**"), "missing measurements are not shown");
}

#[test]
fn translation_is_compared_with_the_same_stream_passed_through() {
    let text = markdown(&results(&[
        ("C", Null, sample(1.0, 500.0, 1.0)),
        ("C", JournalOn, sample(1.0, 600.0, 1.0)),
        ("M", Null, sample(1.0, 550.0, 1.0)),
        ("M", JournalOn, sample(1.0, 720.0, 1.0)),
        ("MT", Null, sample(1.0, 500.0, 1.0)),
        ("MT", JournalOn, sample(1.0, 900.0, 1.0)),
        ("CT", JournalOn, sample(1.0, 1512.0, 1.0)),
    ]));
    let goal = |bound| format!("≤ {bound}, off: ≤ {bound}");
    assert_eq!(line(&text, "M: processor"), [&goal("1.10"), "1.10", "1.20 ✗"]);
    assert_eq!(line(&text, "**MT**"), ["", "500 µs", "1.80"]);
    assert_eq!(line(&text, "MT: processor"), [&goal("2.00"), "", "1.50 ✓"]);
    assert_eq!(line(&text, "CT: processor"), [&goal("2.00"), "", "2.10 ✗"]);
    assert!(!text.contains("PT"), "missing measurements are not shown");
}

#[test]
fn rules_are_compared_with_the_router_without_them() {
    let reloads = Some(Reloads { count: 6, longest_ms: 120.0 });
    let text = markdown(&results(&[
        ("K", JournalOn, sample(10_000.0, 50.0, 1.0)),
        ("K", Rules, sample(9_700.0, 53.0, 1.0)),
        ("K2000", Rules, sample(2_000.0, 50.0, 1000.0)),
        ("KR", Rules, Sample { reloads, ..sample(2_000.0, 60.0, 1400.0) }),
    ]));
    assert_eq!(line(&text, "**K** A"), ["", "10,000/s", "9,700/s"]);
    assert_eq!(line(&text, "K: throughput with"), ["≥ 0.95", "", "0.97 ✓"]);
    assert_eq!(line(&text, "K: processor time with"), ["≤ 1.05", "", "1.06 ✗"]);
    assert_eq!(line(&text, "**KR**"), ["≤ 100 ms", "", "120 ms ✗"]);
    assert_eq!(line(&text, "KR: p99"), ["≤ 1.50", "", "1.40 ✓"]);
    assert!(!text.contains("KC"), "missing measurements are not shown");
}

#[test]
fn latency_is_the_difference_to_the_upstream() {
    let text = markdown(&results(&[
        ("R2000", Direct, sample(1.0, 0.0, 100.0)),
        ("R2000", Null, sample(1.0, 0.0, 200.0)),
        ("R2000", JournalOn, sample(1.0, 0.0, 260.0)),
    ]));
    assert_eq!(line(&text, "**R2000**"), ["≤ +20 µs", "100 µs", "+30 µs ✗"]);
    assert_eq!(line(&text, "R2000: added"), ["≤ 1.50", "200 µs", "1.60 ✗"]);
}

#[test]
fn noisy_measurements_are_marked() {
    let loud = Sample { noise: 1.2, ..sample(1.0, 1.0, 1.0) };
    let text = markdown(&results(&[("A", Null, sample(1.0, 1.0, 1.0)), ("A", JournalOn, loud)]));
    assert!(text.ends_with("\nDoubtful: other processes used the machine during 1 of 2 measurements.\n"), "{text}");
}

#[test]
fn omitted_measurements_are_listed() {
    let mut results = results(&[("A", Null, sample(1.0, 1.0, 1.0))]);
    results.notes.push("nginx is not installed".to_owned());
    results.failures.push("A of null: it has exited".to_owned());
    results.starts.insert("router".to_owned(), vec![StartSample { first_answer_ms: 12.0, idle_kb: 10_240.0 }]);
    results.audits.insert("router".to_owned(), Audit { answered: 7, rows: 6, completed: 6, missing: 1 });
    let text = markdown(&results);
    assert!(text.ends_with("\nFailed: A of null: it has exited\n\nOmitted: nginx is not installed\n"), "{text}");
    assert_eq!(line(&text, "E: memory"), ["≤ 15 MB", "", "10.0 MB ✓"]);
    assert_eq!(line(&text, "answers that are not"), ["0", "", "1 of 7 ✗"]);
}

#[test]
fn qwen_proxy_has_its_own_table() {
    let text = markdown(&results(&[
        ("Q50", QwenSite, sample(50.0, 0.0, 1000.0)),
        ("Q50", QwenProxy, sample(50.0, 300.0, 1500.0)),
        ("Q", QwenSite, sample(400.0, 0.0, 1000.0)),
        ("Q", QwenProxy, sample(300.0, 300.0, 1500.0)),
    ]));
    assert_eq!(line(&text, "**Q** "), ["400/s", "300/s", "× 0.75"]);
    assert_eq!(line(&text, "Q: processor"), ["", "300 µs", ""]);
    assert_eq!(line(&text, "Q50: p99 of a whole"), ["1,000 µs", "1,500 µs", "500 µs"]);
    assert!(!text.contains("goal"), "no other target was measured: {text}");
}
