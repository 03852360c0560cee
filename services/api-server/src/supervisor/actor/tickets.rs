//! Callers waiting for a command to be fulfilled.

use tokio::sync::oneshot;

use crate::supervisor::Unmet;

/// Goal of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Up,
    /// Up, with a process other than the present one.
    Replaced,
    Down,
}

/// All pending tickets. They never want opposite goals: a new command answers the tickets of opposite ones.
#[derive(Debug, Default)]
pub(super) struct Tickets(Vec<(Goal, oneshot::Sender<Result<(), Unmet>>)>);

// === impl Tickets ===

impl Tickets {
    pub(super) fn add(&mut self, goal: Goal, ticket: oneshot::Sender<Result<(), Unmet>>) {
        let opposite = |other: Goal| (other == Goal::Down) != (goal == Goal::Down);
        self.answer(opposite, &Err(Unmet::Superseded));
        self.0.push((goal, ticket));
    }

    /// Answers the tickets with a goal that satisfies `such`.
    pub(super) fn answer(&mut self, such: impl Fn(Goal) -> bool, outcome: &Result<(), Unmet>) {
        for (goal, ticket) in std::mem::take(&mut self.0) {
            if such(goal) {
                // The receiver may have been dropped.
                ticket.send(outcome.clone()).ok();
            } else {
                self.0.push((goal, ticket));
            }
        }
    }
}
