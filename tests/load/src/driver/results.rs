//! What a run has shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{probe::JournalState, target::Kind};
use crate::load::Report;

/// Everything; written as `result.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// Scenario, target, one sample per round.
    pub samples: BTreeMap<String, BTreeMap<String, Vec<Sample>>>,
    /// Target, one entry per start.
    pub starts: BTreeMap<String, Vec<StartSample>>,
    /// Target: what is in its database in the end.
    pub audits: BTreeMap<String, Audit>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// What routers warned of, without which a fault could not be understood.
    #[serde(default)]
    pub complaints: Vec<String>,
    /// What could not be measured although it should.
    pub failures: Vec<String>,
}

/// One round of one scenario with one target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// What the client has seen.
    pub load: Report,
    /// Microseconds of processor time per good answer, loading the database included; 0 without a proxy.
    pub cpu_us: f64,
    /// The most memory beyond what it had before, in KB.
    pub grown_kb: f64,
    /// What of that was left a few seconds later, in KB. Only measured where many streams were open at once.
    pub kept_kb: f64,
    /// The request log, where there is one.
    pub journal: Option<Drain>,
    /// How many cores others kept busy meanwhile, on average.
    pub noise: f64,
}

/// How the database got what the journal had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drain {
    /// The most bytes that the journal was seen to hold.
    pub most_bytes: u64,
    /// Seconds from the last answer until nothing waited.
    pub seconds: f64,
    /// As it was then.
    pub after: JournalState,
    /// Whether everything was loaded before patience ended.
    pub complete: bool,
}

/// One start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StartSample {
    /// Milliseconds to the first good answer.
    pub first_answer_ms: f64,
    /// Memory a second later, in KB.
    pub idle_kb: f64,
}

/// What is in the database of a router when all is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Good answers that clients have seen.
    pub answered: u64,
    /// Rows.
    pub rows: u64,
    /// Rows of requests that completed.
    pub completed: u64,
}

/// So many busy cores make figures doubtful.
const DISTURBING: f64 = 0.15;

// === impl Results ===

impl Results {
    /// The samples of one target in one scenario.
    #[must_use]
    pub fn of(&self, scenario: &str, kind: Kind) -> &[Sample] {
        self.samples.get(scenario).and_then(|targets| targets.get(kind.name())).map_or(&[], Vec::as_slice)
    }

    /// The median of a figure over all rounds.
    #[must_use]
    pub fn median(&self, scenario: &str, kind: Kind, figure: fn(&Sample) -> f64) -> Option<f64> {
        median(self.of(scenario, kind).iter().map(figure))
    }

    /// The median of a figure over all starts.
    #[must_use]
    pub fn median_start(&self, kind: Kind, figure: fn(&StartSample) -> f64) -> Option<f64> {
        median(self.starts.get(kind.name())?.iter().map(figure))
    }

    /// Requests of `kind` that went wrong, in all scenarios.
    #[must_use]
    pub fn failed(&self, kind: Kind) -> u64 {
        let samples = self.samples.values().filter_map(|targets| targets.get(kind.name())).flatten();
        samples.map(|sample| sample.load.failed()).sum()
    }

    /// Everything that must not happen in any run, however slow the machine is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.failures.clone();
        for kind in Kind::ALL.into_iter().filter(|&kind| self.failed(kind) > 0) {
            faults.push(format!("{} requests to {} went wrong", self.failed(kind), kind.name()));
        }
        for (name, audit) in self.audits.iter().filter(|(_, audit)| audit.missing() > 0) {
            faults.push(format!("{} of {} answers of {name} are not in its log", audit.missing(), audit.answered));
        }
        faults
    }

    /// How many samples were taken while others used the machine, and how many were taken at all.
    #[must_use]
    pub fn disturbed(&self) -> (usize, usize) {
        let noises = self.samples.values().flat_map(BTreeMap::values).flatten().map(|sample| sample.noise);
        (noises.clone().filter(|&noise| noise > DISTURBING).count(), noises.count())
    }
}

// === impl Audit ===

impl Audit {
    /// Answers that a client has seen and the log has not.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.answered.saturating_sub(self.completed)
    }
}

/// The middle one; of two in the middle the mean. `None` of nothing.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn what_was_not_measured_is_nothing() {
        let results = Results::default();
        assert_eq!(results.median("A", Kind::Null, |sample| sample.cpu_us), None);
        assert_eq!(results.failed(Kind::Null), 0);
        assert_eq!(results.faults(), [""; 0]);
    }

    #[test]
    fn what_went_wrong_is_a_fault() {
        let mut results = Results { failures: vec!["A of null: it is gone".to_owned()], ..Results::default() };
        let load = Report { errors: [("502".to_owned(), 3)].into(), ..Report::default() };
        let sample = Sample { load, ..Sample::default() };
        results.samples.entry("A".to_owned()).or_default().insert("nginx".to_owned(), vec![sample]);
        results.audits.insert("router".to_owned(), Audit { answered: 7, rows: 6, completed: 6 });
        results.audits.insert("router-power".to_owned(), Audit { answered: 7, rows: 7, completed: 7 });
        assert_eq!(
            results.faults(),
            ["A of null: it is gone", "3 requests to nginx went wrong", "1 of 7 answers of router are not in its log"]
        );
    }
}
