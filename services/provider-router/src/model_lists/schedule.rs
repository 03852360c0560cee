//! Schedule of when to fetch the list of which provider. Performs no I/O; the caller passes the time.

use std::collections::HashMap;

use tokio::time::{Duration, Instant};

/// Maximum number of lists fetched at once.
const MAX_CONCURRENT: usize = 8;
/// Delay after the first failure. It doubles with each consecutive failure.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(1);
/// Maximum delay after failures.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(600);
/// Minimum age of the active provider's list before a reader causes it to be fetched again.
const MIN_REFETCH_AGE: Duration = Duration::from_secs(10);
/// Time until the next check if no provider is due.
const IDLE_INTERVAL: Duration = Duration::from_secs(3600);

/// A provider whose list can be fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) id: &'a str,
    /// Changes with everything that may affect the list.
    pub(super) fingerprint: u64,
}

/// State of each provider, and when its list is due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    known: HashMap<String, State>,
    active: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    fingerprint: u64,
    due: Option<Instant>,
    asked: Option<Instant>,
    asking: bool,
    failures: u32,
}

// === impl Schedule ===

impl Schedule {
    /// Returns the providers whose lists are to be fetched now. The caller reports the outcome of each to
    /// [`Self::note`].
    ///
    /// `was_read` is `true` if a client has read the list of `active`, the active provider.
    pub(super) fn due<'a>(
        &mut self,
        candidates: impl Iterator<Item = Candidate<'a>>,
        active: Option<&str>,
        was_read: bool,
        now: Instant,
    ) -> Vec<String> {
        let switched = self.active.as_deref() != active;
        self.active = active.map(str::to_owned);
        let mut busy = self.known.values().filter(|state| state.asking).count();
        let mut before = std::mem::take(&mut self.known);
        let mut due = Vec::new();
        for Candidate { id, fingerprint } in candidates {
            let found = before.remove(id);
            let changed = found.as_ref().is_none_or(|state| state.fingerprint != fingerprint);
            let mut state = State { fingerprint, ..found.unwrap_or_default() };
            let is_active = active == Some(id);
            let stale = state.asked.is_none_or(|asked| now >= asked + MIN_REFETCH_AGE) && !state.asking;
            // A change, a switch of the active provider or a reader ends the delay after failures.
            if changed || (is_active && (switched || (was_read && stale))) {
                (state.due, state.failures) = (Some(now), 0);
            }
            if !state.asking && busy < MAX_CONCURRENT && state.due.is_some_and(|due| due <= now) {
                busy += 1;
                (state.asking, state.asked, state.due) = (true, Some(now), None);
                due.push(id.to_owned());
            }
            self.known.insert(id.to_owned(), state);
        }
        due
    }

    /// Records the outcome of a fetch: whether the provider returned a list.
    pub(super) fn note(&mut self, id: &str, listed: bool, now: Instant) {
        let Some(state) = self.known.get_mut(id) else { return };
        state.asking = false;
        if listed {
            state.failures = 0;
        } else {
            let pause = FIRST_RETRY_DELAY.saturating_mul(1 << state.failures.min(16)).min(MAX_RETRY_DELAY);
            state.failures += 1;
            // If the provider was changed during the fetch, it is due already and is not delayed.
            state.due.get_or_insert(now + pause);
        }
    }

    /// Returns the time of the next call of [`Self::due`], if nothing else causes one.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let waiting = self.known.values().filter(|state| !state.asking).filter_map(|state| state.due);
        // Providers that are due already wait for a running fetch to end, not for a time.
        waiting.filter(|due| *due > now).min().unwrap_or(now + IDLE_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// A schedule and its current time.
    struct Clock(Schedule, Instant);

    impl Clock {
        fn new() -> Self {
            Self(Schedule::default(), Instant::now())
        }

        fn due(&mut self, candidates: &[(&'static str, u64)], active: Option<&str>, was_read: bool) -> Vec<String> {
            let candidates = candidates.iter().map(|&(id, fingerprint)| Candidate { id, fingerprint });
            self.0.due(candidates, active, was_read, self.1)
        }

        fn answers(&mut self, id: &str, listed: bool) {
            self.0.note(id, listed, self.1);
        }
    }

    #[test]
    fn each_provider_is_fetched_at_start_and_when_it_changes() {
        let mut clock = Clock::new();
        assert_eq!(clock.due(&[("a", 1), ("b", 1)], None, false), ["a", "b"]);
        assert!(clock.due(&[("a", 1), ("b", 1)], None, false).is_empty(), "they are being fetched");
        clock.answers("a", true);
        clock.answers("b", true);
        assert!(clock.due(&[("a", 1), ("b", 1)], None, false).is_empty());
        assert_eq!(clock.due(&[("a", 1), ("b", 2)], None, false), ["b"]);
        clock.answers("b", true);
        assert!(clock.due(&[("b", 2)], None, false).is_empty(), "`a` is disabled");
        assert_eq!(clock.due(&[("a", 1), ("b", 2)], None, false), ["a"], "`a` is enabled");
    }

    #[test]
    fn a_change_during_a_fetch_is_not_lost() {
        let mut clock = Clock::new();
        clock.due(&[("a", 1)], None, false);
        assert!(clock.due(&[("a", 2)], None, false).is_empty());
        clock.answers("a", false);
        assert_eq!(clock.due(&[("a", 2)], None, false), ["a"]);
    }

    #[test]
    fn a_switch_fetches_at_once_and_readers_refresh_stale_lists() {
        let mut clock = Clock::new();
        clock.due(&[("a", 1), ("b", 1)], Some("a"), false);
        clock.answers("a", true);
        clock.answers("b", true);
        assert_eq!(clock.due(&[("a", 1), ("b", 1)], Some("b"), false), ["b"]);
        clock.answers("b", true);
        assert!(clock.due(&[("a", 1), ("b", 1)], Some("b"), true).is_empty(), "it is fresh");
        clock.1 += MIN_REFETCH_AGE;
        assert!(clock.due(&[("a", 1), ("b", 1)], Some("b"), false).is_empty(), "no reader");
        assert_eq!(clock.due(&[("a", 1), ("b", 1)], Some("b"), true), ["b"]);
    }

    #[test]
    fn an_unreachable_provider_is_retried_with_back_off() {
        let mut clock = Clock::new();
        let mut pauses = Vec::new();
        clock.due(&[("a", 1)], None, false);
        for _ in 0..40 {
            clock.answers("a", false);
            let next = clock.0.next(clock.1);
            pauses.push(next - clock.1);
            clock.1 = next - S / 10;
            assert!(clock.due(&[("a", 1)], None, false).is_empty(), "it is too early");
            clock.1 = next;
            assert_eq!(clock.due(&[("a", 1)], None, false), ["a"]);
        }
        assert_eq!(pauses[..4], [S, 2 * S, 4 * S, 8 * S]);
        assert_eq!(pauses[39], MAX_RETRY_DELAY);
        clock.answers("a", true);
        assert_eq!(clock.0.next(clock.1), clock.1 + IDLE_INTERVAL);
        assert_eq!(clock.due(&[("a", 2)], None, false), ["a"]);
        clock.answers("a", false);
        assert_eq!(clock.0.next(clock.1), clock.1 + S, "a successful answer resets the back-off");
    }

    #[test]
    fn concurrent_fetches_are_limited_and_fair() {
        const IDS: [&str; 20] =
            ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"];
        let all = IDS.map(|id| (id, 1));
        let (mut clock, mut asked) = (Clock::new(), Vec::new());
        let mut busy = clock.due(&all, None, false);
        while !busy.is_empty() {
            assert!(busy.len() <= MAX_CONCURRENT);
            let done = busy.remove(0);
            clock.answers(&done, true);
            asked.push(done);
            busy.extend(clock.due(&all, None, false));
        }
        assert_eq!(asked, IDS);
    }
}
