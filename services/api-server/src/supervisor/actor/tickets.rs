//! Who waits for a command to be fulfilled.

use tokio::sync::oneshot;

use crate::supervisor::Unmet;

/// What a command wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Up,
    /// Up, and not the one that was up.
    Replaced,
    Down,
}

/// All who wait. They want the same: whoever wanted the opposite of the newest has been told so.
#[derive(Debug, Default)]
pub(super) struct Tickets(Vec<(Goal, oneshot::Sender<Result<(), Unmet>>)>);

// === impl Tickets ===

impl Tickets {
    pub(super) fn add(&mut self, goal: Goal, ticket: oneshot::Sender<Result<(), Unmet>>) {
        let opposite = |other: Goal| (other == Goal::Down) != (goal == Goal::Down);
        self.answer(opposite, &Err(Unmet::Superseded));
        self.0.push((goal, ticket));
    }

    /// Answers those whose goal is such.
    pub(super) fn answer(&mut self, such: impl Fn(Goal) -> bool, outcome: &Result<(), Unmet>) {
        for (goal, ticket) in std::mem::take(&mut self.0) {
            if such(goal) {
                // Nobody has to wait for an answer.
                ticket.send(outcome.clone()).ok();
            } else {
                self.0.push((goal, ticket));
            }
        }
    }
}
