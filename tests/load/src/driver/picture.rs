//! The picture in the README: throughput as a share of the null proxy's.

use std::fmt::Write as _;

use super::{
    results::{Results, Sample},
    target::Kind::{self, JournalOff, JournalOn, JournalPower, Nginx, Null},
};

/// A group of bars.
struct Group {
    title: &'static str,
    scenario: &'static str,
    figure: fn(&Sample) -> f64,
}

const GROUPS: [Group; 3] = [
    Group { title: "Requests per second, 1 KB answers", scenario: "A", figure: |sample| sample.load.per_second },
    Group {
        title: "Requests per second, 100 KB prompts of a growing conversation",
        scenario: "B",
        figure: |sample| sample.load.per_second,
    },
    Group {
        title: "Streams of 100 chunks per second of processor time",
        scenario: "C",
        figure: |sample| 1e6 / sample.cpu_us.max(1.0),
    },
];
const BARS: [(Kind, &str, &str); 5] = [
    (Null, "null proxy (hyper, does nothing)", "null"),
    (Nginx, "nginx", "peer"),
    (JournalOff, "provider-router, journal off", "off"),
    (JournalPower, "provider-router, every request on the disk", "power"),
    (JournalOn, "provider-router, every request logged", "on"),
];
const WIDTH: u32 = 820;
const LABELS: u32 = 300;
/// Length in pixels of the null proxy's bar.
const ONE: f64 = 340.0;
const BAR: u32 = 20;
const STEP: u32 = 26;
const STYLE: &str = "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}\
.title{font-weight:600}.foot{font-size:11px;fill:#656d76}.axis{stroke:#8c959f;stroke-dasharray:3 3}\
.null,.peer{fill:#afb8c1}.off,.power{fill:#79b8ff}.on{fill:#0969da}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.foot{fill:#8d96a0}.null,.peer{fill:#545d68}\
.off,.power{fill:#316dca}.on{fill:#58a6ff}}";

/// Draws the results as SVG; `None` if a figure was not measured.
#[must_use]
pub fn svg(results: &Results) -> Option<String> {
    let mut body = String::new();
    let mut y = 10;
    for group in &GROUPS {
        let median = |kind| results.median(group.scenario, kind, group.figure);
        let null = median(Null)?;
        median(JournalOn)?;
        y += 24;
        // Writing to a `String` cannot fail.
        let _ = writeln!(body, r#"<text class="title" x="16" y="{y}">{}</text>"#, group.title);
        y += 10;
        let top = y;
        for (kind, label, class) in BARS {
            let Some(value) = median(kind) else { continue };
            let (ratio, text_y, end) = (value / null, y + 15, LABELS - 10);
            let length = (ratio * ONE).min(f64::from(WIDTH - LABELS) - 50.0);
            let after = f64::from(LABELS) + length + 6.0;
            let _ = writeln!(
                body,
                r#"<text x="{end}" y="{text_y}" text-anchor="end">{label}</text><rect class="{class}" x="{LABELS}" y="{y}" width="{length:.1}" height="{BAR}" rx="3"/><text x="{after:.1}" y="{text_y}">{ratio:.2}</text>"#
            );
            y += STEP;
        }
        let one = f64::from(LABELS) + ONE;
        let _ = writeln!(body, r#"<line class="axis" x1="{one}" y1="{top}" x2="{one}" y2="{}"/>"#, y - STEP + BAR);
    }
    y += 24;
    let foot = "Multiples of the null proxy in the same run; one core each; longer is better. Reproduce: scripts/bench";
    let _ = writeln!(body, r#"<text class="foot" x="16" y="{y}">{foot}</text>"#);
    let height = y + 14;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Speed of provider-router as a multiple of a proxy that does nothing\">\n<style>{STYLE}</style>\n{body}</svg>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Report;

    fn results(scenarios: &[&str]) -> Results {
        let mut results = Results::default();
        for scenario in scenarios {
            let targets = results.samples.entry((*scenario).to_owned()).or_default();
            for (kind, per_second) in [(Null, 1000.0), (JournalOn, 780.0)] {
                let load = Report { per_second, ..Report::default() };
                let sample = Sample { load, cpu_us: 1e6 / per_second, ..Sample::default() };
                targets.insert(kind.name().to_owned(), vec![sample]);
            }
        }
        results
    }

    #[test]
    fn bar_lengths_are_proportional_to_figures() {
        let svg = svg(&results(&["A", "B", "C"])).unwrap();
        assert_eq!(svg.matches(r#"class="on" x="300""#).count(), 3);
        assert_eq!(svg.matches(r#"width="265.2""#).count(), 3, "0.78 of 340");
        assert_eq!(svg.matches(">0.78<").count(), 3);
        assert!(!svg.contains("nginx"), "missing measurements are not drawn");
    }

    #[test]
    fn an_incomplete_run_has_no_picture() {
        assert_eq!(svg(&results(&["A", "B"])), None);
    }
}
