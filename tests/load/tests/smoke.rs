//! Checks that the benchmark works, without looking at the speed.

use std::process::Command;

use signalbox_load::driver::{
    results::Results,
    scenario::{Run, SCENARIOS},
    target::Kind,
};

#[test]
fn a_quick_run_has_figures_and_no_errors_in_every_scenario() {
    let out = tempfile::tempdir().expect("a directory");
    let picture = out.path().join("bench.svg");
    let run = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("--quick")
        .arg("--out")
        .arg(out.path())
        .arg("--picture")
        .arg(&picture)
        .output()
        .expect("bench runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let text = std::fs::read(out.path().join("result.json")).expect("a result");
    let results: Results = serde_json::from_slice(&text).expect("JSON");
    for scenario in SCENARIOS.iter().filter(|scenario| matches!(scenario.run, Run::Rounds | Run::HeavyRounds)) {
        for &kind in scenario.targets {
            let samples = results.of(scenario.name, kind);
            if samples.is_empty() && results.notes.iter().any(|note| note.starts_with(kind.name())) {
                continue;
            }
            let [sample] = samples else { panic!("{} of {}: {samples:?}", scenario.name, kind.name()) };
            let what = format!("{} of {}: {:?}", scenario.name, kind.name(), sample.load);
            assert!(sample.load.ok > 0 && sample.load.per_second > 0.0 && sample.load.total.p99 > 0.0, "{what}");
            assert_eq!(sample.load.failed(), 0, "{what}");
            assert_eq!(sample.reloads.is_some_and(|reloads| reloads.count > 0), scenario.changes_keys, "{what}");
        }
    }
    for kind in [Kind::JournalOn, Kind::Rules, Kind::QwenProxy] {
        let audit = results.audits[kind.name()];
        assert!(
            audit.rows == audit.completed && audit.completed > 0 && audit.missing == 0,
            "{}: {audit:?}",
            kind.name()
        );
    }
    let table = String::from_utf8(run.stdout).expect("text");
    assert!(table.contains("| **A** 1 KB answers: throughput"), "{table}");
    assert!(table.contains("| KR: p99 over that without changes"), "{table}");
    assert!(table.contains("| MT: processor time over that of C"), "{table}");
    assert!(table.contains("| **Q** streams of 100 chunks"), "{table}");
    assert!(picture.is_file());
}
