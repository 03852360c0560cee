//! Decides whether the wall clock can be trusted.
//!
//! A clock that is a year ahead for a minute would make everything expire. It is therefore compared with time that
//! cannot jump:
//! - While the process runs, the wall clock may gain at most an hour on the monotonic clock.
//! - At the start, it may be at most a week after the last trusted time of the previous run, which is stored in a file,
//!   or without that file, a week after the newest row that the caller knows.
//!
//! A clock that is further ahead is not trusted, and nothing is deleted. It is trusted again once it has run for a day
//! without another jump, as after a machine was switched off for long, or as soon as it is set back.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

/// Gain on the monotonic clock that does not count as a jump: corrections and leap seconds.
const GAIN: Duration = Duration::from_secs(3600);
/// Time between two runs that is not suspicious.
const ABSENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Time without another jump after which a new wall time is trusted.
const PROBATION: Duration = Duration::from_secs(24 * 3600);

/// A wall time, and the monotonic time at which it was read.
#[derive(Clone, Copy, Debug)]
struct Mark {
    ms: i64,
    at: Instant,
}

/// Interval at which the current time is stored.
const REMEMBER: Duration = Duration::from_secs(3600);

/// The wall clock, checked before old rows are deleted.
#[derive(Debug)]
pub struct WallClock {
    clock: Clock,
    /// File that stores the last trusted time.
    path: Option<PathBuf>,
    /// Time at which the file was last written.
    written: Option<Instant>,
}

/// Compares the wall clock with the monotonic clock.
#[derive(Debug, Default)]
struct Clock {
    /// Last trusted time.
    believed: Option<Mark>,
    /// Time of the last jump, while the clock is not trusted.
    doubted: Option<Mark>,
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The clock is trusted.
    Believed,
    /// The clock is ahead by this much; `new` is true on the first check after the clock was trusted.
    Ahead {
        /// Difference from the expected time.
        by: Duration,
        /// Whether the clock was trusted until now.
        new: bool,
    },
}

// === impl WallClock ===

impl WallClock {
    /// Creates a clock that has not been checked yet. `path` is the file that stores the last trusted time across
    /// restarts.
    #[must_use]
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { clock: Clock::default(), path, written: None }
    }

    /// Returns whether the first check needs the time of the newest row, because no time is stored.
    #[must_use]
    pub fn needs_newest(&self) -> bool {
        self.clock.is_new() && self.remembered_ms().is_none()
    }

    /// Returns whether the wall clock, which shows `now_ms`, is trusted, and logs a warning when it stops being so.
    /// `newest` is the time of the newest row of an earlier run; both are Unix milliseconds. `log` names the rows that
    /// are not deleted meanwhile.
    pub fn is_trusted(&mut self, now_ms: i64, newest: Option<i64>, log: &str) -> bool {
        let verdict = self.check(now_ms, newest);
        if let Verdict::Ahead { by, new: true } = verdict {
            tracing::warn!(
                days = by.as_secs() / 86_400,
                hours = by.as_secs() / 3600 % 24,
                "the clock jumped ahead, so nothing is deleted from {log}. Correct the clock; a time without another jump \
                 is trusted after a day"
            );
        }
        verdict == Verdict::Believed
    }

    fn check(&mut self, now_ms: i64, newest: Option<i64>) -> Verdict {
        let now = Instant::now();
        let verdict = if self.clock.is_new() {
            self.clock.start(self.remembered_ms().or(newest), now_ms, now)
        } else {
            self.clock.look(now_ms, now)
        };
        if verdict == Verdict::Believed {
            self.remember(now_ms, now);
        }
        verdict
    }

    fn remembered_ms(&self) -> Option<i64> {
        let mut text = String::new();
        let file = signalbox_private_files::open_regular(OpenOptions::new().read(true), self.path.as_ref()?);
        file.ok()?.take(32).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    fn remember(&mut self, now_ms: i64, now: Instant) {
        let Some(path) = self.path.as_ref() else { return };
        if self.written.is_some_and(|written| now.duration_since(written) < REMEMBER) {
            return;
        }
        let mut options = signalbox_private_files::options();
        let file = signalbox_private_files::open_regular(options.write(true).create(true).truncate(true), path);
        // If the file cannot be written, the newest row provides the last known time.
        let _ = file.and_then(|mut file| writeln!(file, "{now_ms}"));
        self.written = Some(now);
    }
}

// === impl Clock ===

impl Clock {
    /// Returns whether the clock has not been checked yet.
    const fn is_new(&self) -> bool {
        self.believed.is_none() && self.doubted.is_none()
    }

    /// Checks the wall clock for the first time. `last` is the last known time, in Unix milliseconds.
    fn start(&mut self, last: Option<i64>, now_ms: i64, now: Instant) -> Verdict {
        let earliest = last.map_or(now_ms, |last| last.saturating_add(millis(ABSENCE)));
        self.believed = Some(Mark { ms: earliest.min(now_ms), at: now });
        self.look(now_ms, now)
    }

    /// Checks the wall clock again.
    fn look(&mut self, now_ms: i64, now: Instant) -> Verdict {
        let this = Mark { ms: now_ms, at: now };
        let by = self.believed.map_or(Duration::ZERO, |mark| mark.gain(this));
        if by <= GAIN {
            (self.believed, self.doubted) = (Some(this), None);
            return Verdict::Believed;
        }
        match self.doubted {
            Some(since) if since.gain(this) <= GAIN && since.loss(this) <= GAIN => {
                if now.duration_since(since.at) >= PROBATION {
                    (self.believed, self.doubted) = (Some(this), None);
                    return Verdict::Believed;
                }
                Verdict::Ahead { by, new: false }
            }
            // After another jump, the day starts again.
            other => {
                self.doubted = Some(this);
                Verdict::Ahead { by, new: other.is_none() }
            }
        }
    }
}

// === impl Mark ===

impl Mark {
    fn expected(self, at: Instant) -> i64 {
        self.ms.saturating_add(millis(at.duration_since(self.at)))
    }

    /// Returns the wall clock's gain on the monotonic clock since this mark; zero if it lost time.
    fn gain(self, later: Self) -> Duration {
        Duration::from_millis(later.ms.saturating_sub(self.expected(later.at)).try_into().unwrap_or(0))
    }

    /// Returns the wall clock's loss against the monotonic clock since this mark; zero if it gained time.
    fn loss(self, later: Self) -> Duration {
        Duration::from_millis(self.expected(later.at).saturating_sub(later.ms).try_into().unwrap_or(0))
    }
}

/// Converts a duration to milliseconds, saturating at `i64::MAX`.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    const START: i64 = 1_700_000_000_000;

    /// Machine whose clocks are set by the test.
    struct Machine {
        clock: Clock,
        ms: i64,
        at: Instant,
    }

    impl Machine {
        fn start(last: Option<i64>, ms: i64) -> (Self, Verdict) {
            let (mut clock, at) = (Clock::default(), Instant::now());
            let verdict = clock.start(last, ms, at);
            (Self { clock, ms, at }, verdict)
        }

        fn runs(&mut self, span: Duration) -> Verdict {
            let end = self.at + span;
            loop {
                self.at += MINUTE;
                self.ms += millis(MINUTE);
                let verdict = self.clock.look(self.ms, self.at);
                if self.at >= end {
                    return verdict;
                }
            }
        }

        fn jumps(&mut self, days: i64) -> Verdict {
            self.ms += days * millis(DAY);
            self.clock.look(self.ms, self.at)
        }
    }

    fn is_ahead(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Ahead { .. })
    }

    #[test]
    fn a_steady_clock_is_trusted() {
        let (mut machine, verdict) = Machine::start(None, START);
        assert_eq!(verdict, Verdict::Believed);
        assert_eq!(machine.runs(3 * DAY), Verdict::Believed);
    }

    #[test]
    fn a_jump_is_distrusted_until_it_is_reverted() {
        let (mut machine, _) = Machine::start(None, START);
        assert_eq!(machine.jumps(400), Verdict::Ahead { by: 400 * DAY, new: true });
        assert_eq!(machine.runs(10 * MINUTE), Verdict::Ahead { by: 400 * DAY, new: false });
        assert_eq!(machine.jumps(-400), Verdict::Believed);
        assert!(is_ahead(machine.jumps(1)));
    }

    #[test]
    fn the_stored_time_takes_precedence_over_newer_rows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.clock");
        let clock = || WallClock::new(Some(path.clone()));
        assert!(clock().needs_newest());
        assert_eq!(clock().check(START, Some(START - 1)), Verdict::Believed);
        let later = START + 400 * millis(DAY);
        for _ in 0..2 {
            assert!(!clock().needs_newest());
            assert!(is_ahead(clock().check(later, Some(later - 1))), "rows of a run with a wrong clock");
        }
        std::fs::write(&path, "no number").unwrap();
        assert!(clock().needs_newest());
        assert!(is_ahead(clock().check(later, Some(START))));
    }

    #[test]
    fn a_clock_set_back_is_trusted() {
        let (mut machine, _) = Machine::start(None, START);
        assert_eq!(machine.jumps(-400), Verdict::Believed);
        assert!(is_ahead(machine.jumps(400)), "and forward again it is a jump");
    }

    #[test]
    fn a_new_time_is_trusted_after_a_day_without_another_jump() {
        let (mut machine, _) = Machine::start(None, START);
        machine.jumps(400);
        assert!(is_ahead(machine.runs(23 * 60 * MINUTE)));
        assert!(is_ahead(machine.jumps(5)));
        assert!(is_ahead(machine.runs(23 * 60 * MINUTE)));
        assert_eq!(machine.runs(61 * MINUTE), Verdict::Believed);
    }

    #[test]
    fn small_steps_do_not_add_up() {
        let (mut machine, _) = Machine::start(None, START);
        machine.jumps(400);
        for _ in 0..200 {
            machine.ms += millis(50 * MINUTE);
            assert!(is_ahead(machine.runs(MINUTE)));
        }
    }

    #[test]
    fn a_week_of_downtime_is_not_a_jump_and_a_year_is() {
        for (days, believed) in [(-400, true), (0, true), (6, true), (8, false), (400, false)] {
            let (mut machine, verdict) = Machine::start(Some(START), START + days * millis(DAY));
            assert_eq!(verdict == Verdict::Believed, believed, "{days}");
            assert_eq!(machine.runs(25 * 60 * MINUTE), Verdict::Believed, "{days}");
        }
    }
}
