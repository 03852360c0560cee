//! Decides which attempt follows a failed one.
//!
//! A route without `retries` tries each target once. With `retries`, a target whose failure allows it is asked again
//! after a pause, as long as enough attempts are left for the targets that have not been tried.

use tokio::time::Duration;

use crate::fault::{NextTarget, Rule};
use crate::random::Rng;

/// Maximum number of attempts with one target.
const MAX_PER_TARGET: u8 = 3;
/// Longest pause that a provider may ask for; a longer one leads to the next target.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Longest pause before the second attempt, which doubles with each further one, and its limit.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The attempts of one request so far.
#[derive(Debug)]
pub(super) struct Attempts {
    retries: Option<u8>,
    made: u8,
    /// Attempts with each target, and whether it may be asked again; empty until the first failure.
    past: Vec<Past>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Past {
    tries: u8,
    is_out: bool,
}

/// The attempt that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The target with this place in the plan, after a pause.
    Try { place: usize, pause: Duration },
    /// None, for this reason.
    Stop(&'static str),
}

/// A failed attempt, as far as the next one depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// Place of the target in the plan.
    pub(super) place: usize,
    /// Consequences of the failure.
    pub(super) rule: Rule,
    /// Time that the provider asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// Time left for the request.
    pub(super) left: Duration,
}

// === impl Attempts ===

impl Attempts {
    pub(super) const fn new(retries: Option<u8>) -> Self {
        Self { retries, made: 1, past: Vec::new() }
    }

    /// Decides what follows a failed attempt. `holds` has the tokens that each target holds, if it says so.
    pub(super) fn next(
        &mut self,
        failed: Failed,
        holds: &[Option<u64>],
        take: impl FnOnce() -> bool,
        rng: &mut Rng,
    ) -> Next {
        let Failed { place, rule, retry_after, left } = failed;
        self.past.resize(holds.len(), Past::default());
        if let Some(past) = self.past.get_mut(place) {
            past.tries = past.tries.saturating_add(1);
            let is_far = retry_after.is_some_and(|wait| wait > MAX_WAIT);
            past.is_out |= !rule.again || is_far || past.tries >= MAX_PER_TARGET;
        }
        if rule.next == NextTarget::Larger {
            let held = holds.get(place).copied().flatten().unwrap_or_default();
            for (past, holds) in self.past.iter_mut().zip(holds) {
                past.is_out |= !holds.is_some_and(|holds| holds > held);
            }
        }
        if rule.next == NextTarget::None {
            return Next::Stop("another target would not help");
        }
        if left.is_zero() {
            return Next::Stop("the time for the request is over");
        }
        let remaining = self.retries.map_or(usize::MAX, |retries| usize::from((retries + 1).saturating_sub(self.made)));
        if remaining == 0 {
            return Next::Stop("no attempts are left");
        }
        let untried = |past: &Past| past.tries == 0 && !past.is_out;
        let fresh = self.past.iter().filter(|past| untried(past)).count();
        let pause = retry_after.unwrap_or_else(|| self.pause(place, rng));
        let is_short = pause <= MAX_WAIT && pause < left;
        let mut take = Some(take);
        let mut takes = || take.take().is_some_and(|take| take());
        let is_out = self.past.get(place).is_none_or(|past| past.is_out);
        if self.retries.is_some() && !is_out && remaining > fresh && is_short && takes() {
            return self.try_at(place, pause);
        }
        if let Some(place) = self.past.iter().position(untried) {
            return self.try_at(place, Duration::ZERO);
        }
        // A second round, with the target that was tried least often.
        let again = (0..self.past.len()).filter(|n| *n != place && !self.past[*n].is_out);
        match again.min_by_key(|n| self.past[*n].tries).filter(|_| self.retries.is_some()) {
            Some(place) if takes() => {
                let pause = self.pause(place, rng);
                if pause < left { self.try_at(place, pause) } else { Next::Stop("the time for the request is over") }
            }
            Some(_) => Next::Stop("the budget for repetitions is used up"),
            None => Next::Stop("no other target is left"),
        }
    }

    /// Returns whether another attempt may follow the one with this target, if it fails.
    pub(super) fn may_follow(&self, place: usize, targets: usize) -> bool {
        match self.retries {
            Some(retries) => self.made <= retries,
            None => (0..targets).any(|other| other != place && self.is_untried(other)),
        }
    }

    /// Marks a target as unusable for this request without an attempt, and returns the next one that has not been tried.
    pub(super) fn pass_by(&mut self, place: usize, targets: usize) -> Option<usize> {
        self.past.resize(targets, Past::default());
        let next = (0..targets).find(|n| *n != place && self.past[*n].tries == 0 && !self.past[*n].is_out)?;
        self.past.get_mut(place)?.is_out = true;
        Some(next)
    }

    /// Counts an attempt that was made beside another one.
    pub(super) const fn add(&mut self) {
        self.made = self.made.saturating_add(1);
    }

    /// Marks the target of such an attempt as tried, because it answered or failed: it is not asked again. One whose attempt
    /// was cancelled without a failure may be.
    pub(super) fn mark(&mut self, place: usize, targets: usize) {
        self.past.resize(targets, Past::default());
        if let Some(past) = self.past.get_mut(place) {
            past.tries = past.tries.saturating_add(1);
            past.is_out = true;
        }
    }

    /// Returns the places of the targets that have not been tried and may be. The target that answers is not among them.
    pub(super) fn untried(&self, answering: usize, targets: usize) -> Vec<usize> {
        (0..targets).filter(|place| *place != answering && self.is_untried(*place)).collect()
    }

    fn is_untried(&self, place: usize) -> bool {
        self.past.get(place).is_none_or(|past| past.tries == 0 && !past.is_out)
    }

    fn try_at(&mut self, place: usize, pause: Duration) -> Next {
        self.made = self.made.saturating_add(1);
        Next::Try { place, pause }
    }

    /// Returns the pause before another attempt with a target: at random up to a limit that doubles.
    fn pause(&self, place: usize, rng: &mut Rng) -> Duration {
        let tries = self.past.get(place).map_or(1, |past| past.tries);
        let limit = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(MAX_PAUSE);
        limit.mul_f64(rng.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    /// Plays a request whose attempts fail with the faults given by the target. Returns the targets tried.
    fn tried(retries: Option<u8>, holds: &[Option<u64>], fault: impl Fn(usize) -> Fault) -> Vec<usize> {
        let (mut attempts, mut rng, mut place, mut tried) = (Attempts::new(retries), Rng::new(3), 0, vec![0]);
        loop {
            let failed = Failed { place, rule: fault(place).rule(), retry_after: None, left: Duration::from_secs(60) };
            match attempts.next(failed, holds, || true, &mut rng) {
                Next::Stop(_) => return tried,
                Next::Try { place: next, pause } => {
                    assert!(pause <= MAX_PAUSE);
                    place = next;
                    tried.push(next);
                }
            }
        }
    }

    #[test]
    fn without_retries_each_target_is_tried_once() {
        assert_eq!(tried(None, &[None; 3], |_| Fault::Server), [0, 1, 2]);
        assert_eq!(tried(None, &[None], |_| Fault::Server), [0]);
    }

    #[test]
    fn attempts_are_kept_for_the_targets_not_yet_tried() {
        for (retries, targets, expected) in [
            (0, 2, &[0][..]),
            (1, 2, &[0, 1]),
            (2, 2, &[0, 0, 1]),
            (3, 2, &[0, 0, 0, 1]),
            (5, 2, &[0, 0, 0, 1, 1, 1]),
            (9, 2, &[0, 0, 0, 1, 1, 1]),
            (2, 1, &[0, 0, 0]),
            (2, 4, &[0, 1, 2]),
        ] {
            assert_eq!(
                tried(Some(retries), &vec![None; targets], |_| Fault::Overloaded),
                expected,
                "{retries} {targets}"
            );
        }
    }

    #[test]
    fn a_second_round_asks_only_targets_that_may_answer() {
        let fault = |place| if place == 0 { Fault::Timeout } else { Fault::Server };
        assert_eq!(tried(Some(9), &[None; 2], fault), [0, 1, 1, 1]);
        let fault = |place| if place == 1 { Fault::Credentials } else { Fault::Server };
        assert_eq!(tried(Some(2), &[None; 2], fault), [0, 0, 1]);
        assert_eq!(tried(Some(3), &[None; 3], fault), [0, 0, 1, 2]);
    }

    #[test]
    fn refusals_end_the_request_and_overflows_go_to_larger_targets() {
        assert_eq!(tried(Some(5), &[None; 3], |_| Fault::ContentRefused), [0]);
        assert_eq!(tried(Some(5), &[None; 3], |_| Fault::BadRequest), [0]);
        let overflow = |_| Fault::ContextLength;
        assert_eq!(tried(Some(5), &[None; 3], overflow), [0]);
        assert_eq!(tried(Some(5), &[Some(8), Some(4), Some(16)], overflow), [0, 2]);
        assert_eq!(tried(None, &[Some(8), Some(16), Some(12), Some(32)], overflow), [0, 1, 3]);
        assert_eq!(tried(None, &[None, None, Some(12)], overflow), [0, 2]);
    }

    #[test]
    fn a_wait_is_kept_if_it_is_short() {
        let next = |retry_after: u64, left: u64, targets: usize| {
            let failed = Failed {
                place: 0,
                rule: Fault::RateLimit.rule(),
                retry_after: Some(Duration::from_secs(retry_after)),
                left: Duration::from_secs(left),
            };
            Attempts::new(Some(2)).next(failed, &vec![None; targets], || true, &mut Rng::new(1))
        };
        assert_eq!(next(2, 60, 2), Next::Try { place: 0, pause: Duration::from_secs(2) });
        assert_eq!(next(11, 60, 2), Next::Try { place: 1, pause: Duration::ZERO });
        assert_eq!(next(5, 4, 2), Next::Try { place: 1, pause: Duration::ZERO });
        assert!(matches!(next(11, 60, 1), Next::Stop(_)));
        assert_eq!(next(2, 0, 2), Next::Stop("the time for the request is over"));
    }

    #[test]
    fn repetitions_need_the_budget_and_changes_of_the_target_do_not() {
        let failed = Failed { place: 0, rule: Fault::Server.rule(), retry_after: None, left: Duration::from_secs(9) };
        let mut attempts = Attempts::new(Some(5));
        let next = attempts.next(failed, &[None; 2], || false, &mut Rng::new(1));
        assert_eq!(next, Next::Try { place: 1, pause: Duration::ZERO });
        let next = attempts.next(Failed { place: 1, ..failed }, &[None; 2], || false, &mut Rng::new(1));
        assert_eq!(next, Next::Stop("the budget for repetitions is used up"));
    }

    #[test]
    fn only_a_target_whose_attempt_was_cancelled_is_left_after_a_race() {
        let mut attempts = Attempts::new(None);
        attempts.add();
        assert_eq!(attempts.untried(1, 3), [0, 2], "the first one was cancelled, the second one answers");
        attempts.mark(0, 3);
        assert_eq!(attempts.untried(1, 3), [2], "the first one has failed");
    }

    #[test]
    fn another_attempt_may_follow_while_a_target_or_a_retry_is_left() {
        let mut attempts = Attempts::new(None);
        assert!(!attempts.may_follow(0, 1) && attempts.may_follow(0, 2));
        let failed = Failed { place: 0, rule: Fault::Server.rule(), retry_after: None, left: Duration::from_secs(9) };
        assert!(matches!(attempts.next(failed, &[None; 2], || true, &mut Rng::new(1)), Next::Try { place: 1, .. }));
        assert!(!attempts.may_follow(1, 2), "both targets have been asked");
        let mut attempts = Attempts::new(Some(1));
        assert!(attempts.may_follow(0, 1), "the same target may be asked again");
        attempts.next(failed, &[None; 2], || true, &mut Rng::new(1));
        assert!(!attempts.may_follow(1, 2) && !Attempts::new(Some(0)).may_follow(0, 3));
    }

    #[test]
    fn a_target_is_passed_by_only_for_another_one() {
        let mut attempts = Attempts::new(None);
        assert_eq!(attempts.pass_by(0, 2), Some(1));
        assert_eq!(attempts.pass_by(1, 2), None);
    }
}
