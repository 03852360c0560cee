//! Results of a run.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{probe::JournalState, target::Kind};
use crate::load::Report;

/// All results; written as `result.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// One sample per round, by scenario and target.
    pub samples: BTreeMap<String, BTreeMap<String, Vec<Sample>>>,
    /// One entry per start, by target.
    pub starts: BTreeMap<String, Vec<StartSample>>,
    /// Final contents of the database, by target.
    pub audits: BTreeMap<String, Audit>,
    /// Scenarios and targets left out, with reasons.
    pub notes: Vec<String>,
    /// Warnings logged by routers, which help to explain faults.
    #[serde(default)]
    pub complaints: Vec<String>,
    /// Measurements that failed.
    pub failures: Vec<String>,
}

/// One round of one scenario with one target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Results of the client.
    pub load: Report,
    /// Microseconds of processor time per successful answer, including loading into the database; 0 without a proxy.
    pub cpu_us: f64,
    /// Peak memory above the initial value, in KB.
    pub grown_kb: f64,
    /// The part of that still in use a few seconds later, in KB. Only measured with many concurrent streams.
    pub kept_kb: f64,
    /// The request log, if any.
    pub journal: Option<Drain>,
    /// Readings of the catalogue during the measurement. Only counted while keys are changed.
    #[serde(default)]
    pub reloads: Option<Reloads>,
    /// Average number of cores kept busy by others during the measurement.
    pub noise: f64,
}

/// Progress of loading the journal into the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drain {
    /// Maximum observed size of the journal in bytes.
    pub most_bytes: u64,
    /// Seconds from the last answer until nothing was left to load.
    pub seconds: f64,
    /// State of the journal at that time.
    pub after: JournalState,
    /// Whether everything was loaded before the timeout.
    pub complete: bool,
}

/// Readings of the catalogue, each because of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reloads {
    /// Number of observed readings; two in a row that took the same nanoseconds count as one.
    pub count: u32,
    /// Milliseconds of the longest one.
    pub longest_ms: f64,
}

/// One start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StartSample {
    /// Milliseconds to the first successful answer.
    pub first_answer_ms: f64,
    /// Memory one second later, in KB.
    pub idle_kb: f64,
}

/// Contents of a router's database at the end of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Successful answers received by clients.
    pub answered: u64,
    /// Rows of requests.
    pub rows: u64,
    /// Rows of completed requests.
    pub completed: u64,
    /// Answers that the log does not have.
    #[serde(default)]
    pub missing: u64,
}

/// Number of cores kept busy by others above which figures are doubtful.
const DISTURBING: f64 = 0.15;

// === impl Results ===

impl Results {
    /// Returns the samples of one target in one scenario.
    #[must_use]
    pub fn of(&self, scenario: &str, kind: Kind) -> &[Sample] {
        self.samples.get(scenario).and_then(|targets| targets.get(kind.name())).map_or(&[], Vec::as_slice)
    }

    /// Returns the median of a figure over all rounds.
    #[must_use]
    pub fn median(&self, scenario: &str, kind: Kind, figure: fn(&Sample) -> f64) -> Option<f64> {
        median(self.of(scenario, kind).iter().map(figure))
    }

    /// Returns the median of a figure over all starts.
    #[must_use]
    pub fn median_start(&self, kind: Kind, figure: fn(&StartSample) -> f64) -> Option<f64> {
        median(self.starts.get(kind.name())?.iter().map(figure))
    }

    /// Returns the number of failed requests of `kind` in all scenarios.
    #[must_use]
    pub fn failed(&self, kind: Kind) -> u64 {
        let samples = self.samples.values().filter_map(|targets| targets.get(kind.name())).flatten();
        samples.map(|sample| sample.load.failed()).sum()
    }

    /// Returns all findings that must not occur in any run, however slow the machine is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.failures.clone();
        for kind in Kind::ALL.into_iter().filter(|&kind| self.failed(kind) > 0) {
            faults.push(format!("{} requests to {} failed", self.failed(kind), kind.name()));
        }
        for (name, audit) in self.audits.iter().filter(|(_, audit)| audit.missing > 0) {
            faults.push(format!("{} of {} answers of {name} are not in its log", audit.missing, audit.answered));
        }
        faults
    }

    /// Returns the number of samples taken under other load, and the total number of samples.
    #[must_use]
    pub fn disturbed(&self) -> (usize, usize) {
        let noises = self.samples.values().flat_map(BTreeMap::values).flatten().map(|sample| sample.noise);
        (noises.clone().filter(|&noise| noise > DISTURBING).count(), noises.count())
    }
}

// === impl Reloads ===

impl Reloads {
    /// Counts a reading whose duration differs from that of the `last` one.
    pub fn note(&mut self, last: &mut Duration, took: Duration) {
        if took != *last {
            *last = took;
            self.count += 1;
            self.longest_ms = self.longest_ms.max(took.as_secs_f64() * 1e3);
        }
    }
}

// === impl Audit ===

impl Audit {
    /// Adds the answers and the completed requests of one kind, so that too many rows of one kind do not hide that one
    /// of another kind is missing.
    pub fn add(&mut self, answered: u64, completed: u64) {
        self.answered += answered;
        self.completed += completed;
        self.missing += answered.saturating_sub(completed);
    }
}

/// Returns the median: the middle value, or the mean of the two middle values. `None` if there are no values.
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
    fn the_median_is_the_middle_value() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn missing_measurements_have_no_figure() {
        let results = Results::default();
        assert_eq!(results.median("A", Kind::Null, |sample| sample.cpu_us), None);
        assert_eq!(results.failed(Kind::Null), 0);
        assert_eq!(results.faults(), [""; 0]);
    }

    #[test]
    fn a_reading_is_counted_once() {
        let (mut reloads, mut last) = (Reloads::default(), Duration::from_millis(900));
        for millis in [900, 40, 40, 20, 30] {
            reloads.note(&mut last, Duration::from_millis(millis));
        }
        assert_eq!((reloads.count, reloads.longest_ms), (3, 40.0));
    }

    #[test]
    fn rows_of_one_kind_do_not_stand_for_those_of_another() {
        let mut audit = Audit::default();
        audit.add(7, 9);
        audit.add(3, 2);
        assert_eq!((audit.answered, audit.completed, audit.missing), (10, 11, 1));
    }

    #[test]
    fn failures_are_listed_as_faults() {
        let mut results = Results { failures: vec!["A of null: it has exited".to_owned()], ..Results::default() };
        let load = Report { errors: [("502".to_owned(), 3)].into(), ..Report::default() };
        let sample = Sample { load, ..Sample::default() };
        results.samples.entry("A".to_owned()).or_default().insert("nginx".to_owned(), vec![sample]);
        results.audits.insert("router".to_owned(), Audit { answered: 7, rows: 6, completed: 6, missing: 1 });
        results.audits.insert("router-power".to_owned(), Audit { answered: 7, rows: 7, completed: 7, missing: 0 });
        assert_eq!(
            results.faults(),
            ["A of null: it has exited", "3 requests to nginx failed", "1 of 7 answers of router are not in its log"]
        );
    }
}
