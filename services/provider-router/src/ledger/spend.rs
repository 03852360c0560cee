//! Money that was spent in the present period of a budget.

use signalbox_core::schema::{BudgetPeriod, KeyBudget};

use super::period;

const NANOS: f64 = 1e9;

/// A budget in nano-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) nanos: i64,
    pub(super) period: BudgetPeriod,
}

/// Amounts spent and reserved. All amounts are in nano-dollars, and all times in Unix milliseconds.
///
/// The sums in the database contain the requests of all processes, but late: the requests of this process that are not
/// loaded yet are added to them. Both are brought together in [`Spend::reconcile`], which the loader calls while it
/// writes nothing, so that no request counts twice or not at all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spend {
    /// Beginning of the period that the amounts belong to.
    start: i64,
    /// Time from which the requests of this process are in `settled`.
    since: i64,
    /// Sum in the database at the last reconciliation.
    stored: i64,
    /// Cost of the requests of this process that have ended.
    settled: i64,
    /// Cost of the requests of this process that were loaded.
    loaded: i64,
    /// The part of `loaded` from before the last reconciliation, which `stored` contains.
    loaded_in_stored: i64,
    /// Estimated cost of the requests in flight.
    reserved: i64,
    /// Number of requests in flight.
    in_flight: u32,
}

/// Whether a budget has room for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It has.
    Yes,
    /// It may have, once requests in flight have ended.
    Later,
    /// It is spent.
    No,
}

// === impl Budget ===

impl Budget {
    #[expect(clippy::cast_possible_truncation, reason = "amounts beyond 9 billion dollars are unlimited in effect")]
    pub(super) fn new(budget: &KeyBudget) -> Self {
        Self { nanos: (budget.amount_usd * NANOS).round() as i64, period: budget.period }
    }
}

// === impl Spend ===

impl Spend {
    /// Begins a new period if the present one has ended. Requests in flight stay reserved.
    pub(super) fn advance(&mut self, period: BudgetPeriod, now: i64) {
        let start = period::start(period, now);
        // A time that was read earlier, or a clock that is set back, does not bring an old period back.
        if start > self.start {
            let Self { since, reserved, in_flight, .. } = *self;
            *self = Self { start, since, reserved, in_flight, ..Self::default() };
        }
    }

    /// Forgets all amounts but those of requests in flight, and counts anew.
    pub(super) fn restart(&mut self, now: i64) {
        let Self { reserved, in_flight, .. } = *self;
        *self = Self { start: -1, since: now, reserved, in_flight, ..Self::default() };
    }

    /// Returns the beginning of the present period.
    pub(super) const fn start(&self) -> i64 {
        self.start
    }

    /// Returns what was spent in the present period, without what is reserved.
    pub(super) fn spent(&self) -> i64 {
        self.stored.saturating_add((self.settled - self.loaded_in_stored).max(0))
    }

    /// Returns whether a budget has room for an estimated amount.
    ///
    /// Without requests in flight, a request is admitted as long as anything is left, because estimates are upper bounds:
    /// the last of a budget could not be spent otherwise. Several requests are never admitted beyond the budget.
    pub(super) fn room(&self, budget: i64, estimate: i64) -> Room {
        let left = budget.saturating_sub(self.spent());
        if left <= 0 {
            Room::No
        } else if self.in_flight == 0 || self.reserved.saturating_add(estimate) <= left {
            Room::Yes
        } else {
            Room::Later
        }
    }

    pub(super) fn reserve(&mut self, estimate: i64) {
        self.reserved = self.reserved.saturating_add(estimate);
        self.in_flight += 1;
    }

    /// Replaces a reservation of the period that began at `start` by the cost.
    pub(super) fn settle(&mut self, start: i64, estimate: i64, cost: i64) {
        self.reserved = self.reserved.saturating_sub(estimate);
        self.in_flight = self.in_flight.saturating_sub(1);
        if start == self.start {
            self.settled = self.settled.saturating_add(cost);
        }
    }

    /// Notes that a request of this process was loaded, which arrived at `at`.
    pub(super) fn note_loaded(&mut self, at: i64, cost: i64) {
        if at >= self.start.max(self.since) {
            self.loaded = self.loaded.saturating_add(cost);
        }
    }

    /// Takes over the sum in the database since `start`, which contains all that was noted as loaded.
    pub(super) fn reconcile(&mut self, start: i64, stored: i64) {
        if start == self.start {
            self.stored = stored;
            self.loaded_in_stored = self.loaded;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn amounts_are_converted_to_nano_dollars() {
        let budget = |amount_usd| Budget::new(&KeyBudget { amount_usd, period: BudgetPeriod::Day }).nanos;
        assert_eq!([budget(0.1), budget(50.0), budget(1e-9), budget(1e30)], [100_000_000, 50_000_000_000, 1, i64::MAX]);
    }

    #[test]
    fn reservations_are_replaced_by_costs() {
        let mut spend = Spend::default();
        spend.advance(BudgetPeriod::Day, 5);
        assert_eq!(spend.room(100, 60), Room::Yes);
        spend.reserve(60);
        assert_eq!(spend.room(100, 60), Room::Later);
        spend.settle(0, 60, 10);
        assert_eq!((spend.spent(), spend.room(100, 60)), (10, Room::Yes));
        spend.reserve(60);
        spend.settle(0, 60, 90);
        assert_eq!(spend.room(100, 0), Room::No);
    }

    #[test]
    fn the_rest_of_a_budget_serves_one_request() {
        let mut spend = Spend::default();
        spend.advance(BudgetPeriod::Day, 5);
        assert_eq!(spend.room(10, 1_000), Room::Yes);
        spend.reserve(1_000);
        assert_eq!(spend.room(10, 1), Room::Later);
    }

    #[test]
    fn a_new_period_begins_at_zero_and_ignores_the_old_one() {
        let mut spend = Spend::default();
        spend.advance(BudgetPeriod::Day, DAY - 1);
        spend.reserve(10);
        spend.reserve(10);
        spend.settle(0, 10, 10);
        spend.advance(BudgetPeriod::Day, DAY);
        assert_eq!((spend.spent(), spend.reserved, spend.start()), (0, 10, DAY));
        spend.settle(0, 10, 10);
        spend.note_loaded(DAY - 1, 10);
        spend.reconcile(0, 20);
        assert_eq!((spend.spent(), spend.reserved), (0, 0));
    }

    #[test]
    fn requests_from_before_a_restart_count_once_they_are_loaded() {
        let mut spend = Spend::default();
        spend.restart(1_000);
        spend.advance(BudgetPeriod::Day, 1_000);
        spend.note_loaded(999, 10);
        spend.reconcile(0, 10);
        spend.reserve(5);
        spend.settle(0, 5, 5);
        assert_eq!(spend.spent(), 15);
    }

    /// A process that settles, loads and reconciles in any order.
    #[derive(Clone, Debug)]
    enum Step {
        Settle(i64),
        Load,
        Other(i64),
        Reconcile,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_i64..100).prop_map(Step::Settle),
            Just(Step::Load),
            (0_i64..100).prop_map(Step::Other),
            Just(Step::Reconcile)
        ]
    }

    proptest! {
        #[test]
        fn every_request_counts_once_whenever_it_is_loaded(steps in proptest::collection::vec(step(), 0..100)) {
            let mut spend = Spend::default();
            spend.advance(BudgetPeriod::Day, 5);
            let (mut waiting, mut database, mut own, mut others, mut seen) = (std::collections::VecDeque::new(), 0, 0, 0, 0);
            for step in steps {
                match step {
                    Step::Settle(cost) => {
                        spend.reserve(cost);
                        spend.settle(0, cost, cost);
                        waiting.push_back(cost);
                        own += cost;
                    }
                    Step::Load => if let Some(cost) = waiting.pop_front() {
                        database += cost;
                        spend.note_loaded(5, cost);
                    },
                    Step::Other(cost) => {
                        database += cost;
                        others += cost;
                    }
                    Step::Reconcile => {
                        spend.reconcile(0, database);
                        seen = others;
                    }
                }
                prop_assert_eq!(spend.spent(), own + seen);
            }
        }
    }
}
