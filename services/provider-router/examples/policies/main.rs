//! Draws what `latency` and `round-robin` do when one of four targets becomes slow, fails or refuses:
//! `cargo run --example policies > docs/images/policies.svg`.

mod simulation;

use std::{fmt::Write as _, io::Write as _};

use signalbox_core::schema::RoutePolicy;

use self::simulation::{DISTURBED, LENGTH, Run, Scenario, run};

/// Seed of the runs, which the page shows.
const SEED: u64 = 42;
/// Milliseconds of a point of a line.
const STEP: u64 = 5_000;
/// Size of a plot, and the space around it.
const SIZE: (f64, f64) = (640.0, 130.0);
const LEFT: f64 = 56.0;
const TOP: f64 = 60.0;
const GAP: f64 = 58.0;
/// The policies with their colours.
const POLICIES: [(RoutePolicy, &str, &str); 2] =
    [(RoutePolicy::RoundRobin, "round-robin", "#c2410c"), (RoutePolicy::Latency, "latency", "#1d4ed8")];

fn main() -> std::io::Result<()> {
    let runs = Scenario::ALL.map(|scenario| (scenario, POLICIES.map(|(policy, ..)| run(scenario, policy, SEED))));
    let svg = drawn(&runs).map_err(std::io::Error::other)?;
    std::io::stdout().write_all(svg.as_bytes())
}

/// Returns the points of a line: the 95th percentile in each step, in milliseconds.
fn points(run: &Run) -> Vec<f64> {
    (0..LENGTH / STEP).map(|n| run.quantile(0.95, (n * STEP, (n + 1) * STEP)).unwrap_or_default()).collect()
}

fn x(millis: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some minutes in milliseconds")]
    let share = millis as f64 / LENGTH as f64;
    LEFT + share * SIZE.0
}

fn drawn(runs: &[(Scenario, [Run; 2])]) -> Result<String, std::fmt::Error> {
    let mut svg = String::new();
    #[expect(clippy::cast_precision_loss, reason = "three")]
    let height = TOP + runs.len() as f64 * (SIZE.1 + GAP);
    let width = LEFT + SIZE.0 + 16.0;
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\" fill=\"#111827\">95th percentile of the time to the first token, \
         20 requests/s, seed {SEED}</text>"
    )?;
    let mut left = LEFT;
    for (_, name, colour) in POLICIES {
        writeln!(svg, "<text x=\"{left}\" y=\"38\" fill=\"{colour}\">― {name}</text>")?;
        left += 110.0;
    }
    writeln!(svg, "<text x=\"{left}\" y=\"38\" fill=\"#6b7280\">grey: the target is disturbed</text>")?;
    let mut top = TOP;
    for (scenario, runs) in runs {
        panel(&mut svg, *scenario, runs, top)?;
        top += SIZE.1 + GAP;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn panel(svg: &mut String, scenario: Scenario, runs: &[Run; 2], top: f64) -> std::fmt::Result {
    let lines = runs.each_ref().map(points);
    let highest = lines.iter().flatten().fold(0.0_f64, |highest, point| highest.max(*point));
    let scale = (highest / 1_000.0).ceil().max(1.0) * 1_000.0;
    let bottom = top + 16.0 + SIZE.1;
    let y = |millis: f64| bottom - millis / scale * SIZE.1;
    let [round_robin, latency] = runs.each_ref().map(|run| run.mean(DISTURBED) / 1_000.0);
    let failed = runs.each_ref().map(|run| run.failed_attempts + run.failures);
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#111827\">{}: mean {round_robin:.2} s and {latency:.2} s, {} and {} \
         failed attempts, {} and {} answers of the target</text>",
        top + 8.0,
        scenario.title(),
        failed[0],
        failed[1],
        runs[0].by_disturbed,
        runs[1].by_disturbed
    )?;
    let (from, to) = (x(DISTURBED.0), x(DISTURBED.1));
    writeln!(
        svg,
        "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"#f3f4f6\"/>",
        top + 16.0,
        to - from,
        SIZE.1
    )?;
    for share in [0.0, 0.5, 1.0] {
        let (at, label) = (y(scale * share), scale * share / 1_000.0);
        writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#d1d5db\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#6b7280\">{label} s</text>",
            LEFT + SIZE.0,
            LEFT - 6.0,
            at + 4.0
        )?;
    }
    for minute in 0..=LENGTH / 60_000 {
        let at = x(minute * 60_000);
        writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#6b7280\">{minute} min</text>",
            bottom + 16.0
        )?;
    }
    for (line, (_, _, colour)) in lines.iter().zip(POLICIES) {
        let points =
            line.iter().zip(0_u64..).map(|(point, n)| format!("{:.1},{:.1}", x(n * STEP + STEP / 2), y(*point)));
        let points = points.collect::<Vec<_>>().join(" ");
        writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>")?;
    }
    Ok(())
}
