//! A second attempt beside the current one.

use serde_json::{Map, Value};

use super::{Exchange, FailedAttempt, InFlight};
use crate::{envelope::Envelope, route::Candidate};

/// An attempt that is made while the current one is in flight.
#[derive(Debug)]
pub struct Beside {
    /// The target.
    pub candidate: Candidate,
    /// Its place in the plan.
    pub place: usize,
    /// The attempt.
    pub attempt: InFlight,
}

// === impl Exchange ===

impl Exchange {
    /// Records that the attempt beside the current one ended without an answer. It may have cost `nanos` nano-dollars.
    pub fn beside_failed(&mut self, beside: Beside, failed: FailedAttempt, nanos: i64) {
        let Beside { candidate, place, attempt } = beside;
        self.attempts += 1;
        self.cancelled_nanos = self.cancelled_nanos.saturating_add(nanos);
        let record = attempt.failed(&self.context, (&candidate, place), failed);
        self.routing.push(vec![record]);
    }

    /// Ends the current attempt, with `candidate`, and replaces it by the one beside it, whose target sets `params` in
    /// the body. The current one may have cost `nanos` nano-dollars.
    pub fn overtaken(
        &mut self,
        (candidate, failed, nanos): (&Candidate, &FailedAttempt, i64),
        beside: Beside,
        params: Option<&Map<String, Value>>,
        envelope: &Envelope,
    ) {
        self.attempt_failed(failed, candidate);
        self.cancelled_nanos = self.cancelled_nanos.saturating_add(nanos);
        let Beside { candidate, place, attempt: InFlight { trial, span, began } } = beside;
        self.attempts += 1;
        self.attempt = span;
        self.routing.go_on(trial, began, &candidate, (place, params));
        self.set_target(&candidate, envelope);
    }
}
