//! Amounts of the last minute.

/// Length of the window in seconds.
const SECONDS: u64 = 60;
/// Slots of a second each that the window touches: the current one, and those before it that may contain amounts of the
/// last 60 seconds.
const SLOTS: u64 = SECONDS + 1;

/// The amounts of the last minute, by the second of their arrival.
///
/// The amounts admitted while [`Window::wait`] is zero never exceed the limit in any 60 consecutive seconds, while
/// a burst may use the whole limit at once. A bucket that is refilled steadily (GCRA) cannot do both: after a burst, it
/// admits almost twice the limit within the minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Amount of each second, at the second modulo [`SLOTS`]; allocated at first use.
    slots: Vec<u64>,
    /// The newest second that has a slot.
    newest: u64,
    sum: u64,
}

// === impl Window ===

impl Window {
    /// Returns the amount of the window at `now`, in milliseconds.
    pub(super) fn used(&mut self, now: u64) -> u64 {
        self.advance(now);
        self.sum
    }

    /// Returns the milliseconds until `amount` may be added without exceeding `limit`; zero if it may be added now. An
    /// amount beyond the limit may be added to an empty window only.
    pub(super) fn wait(&mut self, now: u64, amount: u64, limit: u64) -> u64 {
        self.advance(now);
        let amount = amount.min(limit);
        let mut sum = self.sum;
        let oldest = self.newest.saturating_sub(SECONDS);
        for second in oldest..=self.newest {
            if sum.saturating_add(amount) <= limit {
                return match second == oldest {
                    true => 0,
                    false => Self::leaves(second - 1).saturating_sub(now),
                };
            }
            sum -= self.slot(second);
        }
        if sum.saturating_add(amount) <= limit { Self::leaves(self.newest).saturating_sub(now) } else { SECONDS * 1000 }
    }

    /// Returns the milliseconds until the window is empty if nothing is added.
    pub(super) fn until_empty(&mut self, now: u64) -> u64 {
        self.advance(now);
        let oldest = self.newest.saturating_sub(SECONDS);
        let last = (oldest..=self.newest).rev().find(|second| self.slot(*second) > 0);
        last.map_or(0, |second| Self::leaves(second).saturating_sub(now))
    }

    /// Adds an amount. Returns the second to which it belongs, for [`Window::correct`].
    pub(super) fn add(&mut self, now: u64, amount: u64) -> u64 {
        self.advance(now);
        let second = self.newest;
        self.change(second, amount, 0);
        second
    }

    /// Replaces an amount that was added in `second`, which may be out of the window by now.
    pub(super) fn correct(&mut self, now: u64, second: u64, from: u64, to: u64) {
        self.advance(now);
        if second <= self.newest && second + SECONDS >= self.newest {
            self.change(second, to, from);
        }
    }

    /// Returns the time at which a second has left the window.
    const fn leaves(second: u64) -> u64 {
        (second + SLOTS) * 1000
    }

    fn slot(&self, second: u64) -> u64 {
        usize::try_from(second % SLOTS).ok().and_then(|slot| self.slots.get(slot)).copied().unwrap_or_default()
    }

    fn change(&mut self, second: u64, add: u64, remove: u64) {
        if self.slots.is_empty() {
            self.slots.resize(usize::try_from(SLOTS).unwrap_or_default(), 0);
        }
        let Some(slot) = usize::try_from(second % SLOTS).ok().and_then(|slot| self.slots.get_mut(slot)) else { return };
        let before = *slot;
        *slot = slot.saturating_add(add).saturating_sub(remove);
        self.sum = self.sum.saturating_add(*slot).saturating_sub(before);
    }

    /// Drops the seconds that have left the window.
    fn advance(&mut self, now: u64) {
        let second = now / 1000;
        if second <= self.newest {
            return;
        }
        if second - self.newest >= SLOTS {
            self.slots.fill(0);
            self.sum = 0;
        } else {
            for passed in self.newest + 1..=second {
                let amount = self.slot(passed);
                self.change_to_zero(passed);
                self.sum -= amount;
            }
        }
        self.newest = second;
    }

    fn change_to_zero(&mut self, second: u64) {
        if let Some(slot) = usize::try_from(second % SLOTS).ok().and_then(|slot| self.slots.get_mut(slot)) {
            *slot = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_may_use_the_whole_limit_and_then_waits_for_it_to_pass() {
        let mut window = Window::default();
        for _ in 0..10 {
            assert_eq!(window.wait(5_500, 1, 10), 0);
            window.add(5_500, 1);
        }
        assert_eq!(window.wait(5_500, 1, 10), 60_500, "second 5 leaves at 66 s");
        assert_eq!(window.wait(65_999, 1, 10), 1);
        assert_eq!(window.wait(66_000, 1, 10), 0);
        assert_eq!(window.used(66_000), 0);
    }

    #[test]
    fn an_amount_beyond_the_limit_needs_an_empty_window() {
        let mut window = Window::default();
        assert_eq!(window.wait(0, 1_000, 10), 0);
        window.add(0, 1);
        assert_eq!(window.wait(0, 1_000, 10), 61_000);
        assert_eq!(window.wait(61_000, 1_000, 10), 0);
    }

    #[test]
    fn amounts_are_corrected_in_their_second() {
        let mut window = Window::default();
        let second = window.add(1_000, 100);
        window.add(2_000, 5);
        window.correct(3_000, second, 100, 30);
        assert_eq!(window.used(3_000), 35);
        assert_eq!(window.until_empty(3_000), 60_000);
        // More than was reserved: the limit is exceeded, and others wait.
        window.correct(3_000, second, 30, 300);
        assert_eq!(window.wait(3_000, 1, 100), 59_000);
        window.correct(62_000, second, 300, 0);
        assert_eq!(window.used(62_000), 5, "out of the window, and not subtracted twice");
    }

    #[test]
    fn a_clock_that_stands_still_or_jumps_is_harmless() {
        let mut window = Window::default();
        window.add(100_000, 3);
        assert_eq!(window.used(99_000), 3);
        assert_eq!(window.used(10_000_000), 0);
        assert_eq!(window.until_empty(10_000_000), 0);
    }

    proptest! {
        #[test]
        fn no_window_of_a_minute_exceeds_the_limit(
            limit in 1_u64..40,
            steps in proptest::collection::vec((0_u64..9_000, 1_u64..12), 1..200),
        ) {
            let (mut window, mut now, mut admitted) = (Window::default(), 0, Vec::new());
            for (pause, amount) in steps {
                now += pause;
                let amount = amount.min(limit);
                if window.wait(now, amount, limit) == 0 {
                    window.add(now, amount);
                    admitted.push((now, amount));
                }
            }
            for (end, _) in &admitted {
                let within = admitted.iter().filter(|(at, _)| at <= end && at + 60_000 > *end);
                prop_assert!(within.map(|(_, amount)| amount).sum::<u64>() <= limit);
            }
        }

        #[test]
        fn the_wait_is_exact(
            limit in 1_u64..20,
            steps in proptest::collection::vec((0_u64..4_000, 1_u64..9), 1..60),
            amount in 1_u64..20,
        ) {
            let (mut window, mut now) = (Window::default(), 0);
            for (pause, amount) in steps {
                now += pause;
                if window.wait(now, amount, limit) == 0 {
                    window.add(now, amount.min(limit));
                }
            }
            let wait = window.wait(now, amount, limit);
            if wait > 0 {
                prop_assert!(window.clone().wait(now + wait - 1, amount, limit) > 0);
                prop_assert_eq!(window.wait(now + wait, amount, limit), 0);
            }
        }

        #[test]
        fn the_sum_is_that_of_the_seconds(steps in proptest::collection::vec((0_u64..70_000, 0_u64..9, 0_u64..20), 1..50)) {
            let (mut window, mut now) = (Window::default(), 0);
            for (pause, amount, corrected) in steps {
                now += pause;
                let second = window.add(now, amount);
                window.correct(now + pause / 2, second, amount, corrected);
                now += pause / 2;
                prop_assert_eq!(window.sum, window.slots.iter().sum::<u64>());
            }
        }
    }
}
