//! Callers waiting for a command to be fulfilled.

use tokio::sync::oneshot;
use tracing::Span;

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
pub(super) struct Tickets(Vec<Ticket>);

/// The pending answer to a command.
#[derive(Debug)]
struct Ticket {
    goal: Goal,
    answer: oneshot::Sender<Result<(), Unmet>>,
    /// The span of the command.
    span: Span,
}

// === impl Tickets ===

impl Tickets {
    pub(super) fn add(&mut self, goal: Goal, answer: oneshot::Sender<Result<(), Unmet>>, span: Span) {
        let opposite = |other: Goal| (other == Goal::Down) != (goal == Goal::Down);
        self.answer(opposite, &Err(Unmet::Superseded));
        self.0.push(Ticket { goal, answer, span });
    }

    /// Returns the span of the newest pending command; the disabled span if there is none.
    pub(super) fn span(&self) -> Span {
        self.0.last().map_or_else(Span::none, |ticket| ticket.span.clone())
    }

    /// Answers the tickets with a goal that satisfies `such`.
    pub(super) fn answer(&mut self, such: impl Fn(Goal) -> bool, outcome: &Result<(), Unmet>) {
        for ticket in std::mem::take(&mut self.0) {
            if such(ticket.goal) {
                // The receiver may have been dropped.
                ticket.answer.send(outcome.clone()).ok();
            } else {
                self.0.push(ticket);
            }
        }
    }
}
