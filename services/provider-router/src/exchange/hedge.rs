//! A second attempt beside the current one.

use serde_json::{Map, Value};
use signalbox_core::schema::AttemptRecord;
use signalbox_daemon::AttemptEnd;
use tokio::time::Duration;
use tracing::Span;

use super::{Exchange, FailedAttempt};
use crate::{
    envelope::Envelope,
    health::{self, Trial},
    route::Candidate,
};

/// An attempt that is made while the current one is in flight.
#[derive(Debug)]
pub struct Beside {
    /// The target.
    pub candidate: Candidate,
    /// Its place in the plan.
    pub place: usize,
    /// The attempt, for the health of the target.
    pub trial: Trial,
    /// Its span.
    pub span: Span,
    /// Time from the arrival of the request to the start of the attempt.
    pub began: Duration,
}

// === impl Exchange ===

impl Exchange {
    /// Records that the attempt beside the current one ended without an answer. It may have cost `nanos` nano-dollars.
    pub fn beside_failed(&mut self, beside: Beside, failed: &FailedAttempt, nanos: i64) {
        let Beside { candidate, place, trial, span, began } = beside;
        if failed.counts {
            trial.failed_for(health::now(), failed.retry_after);
        }
        self.context.end_attempt(
            &span,
            &AttemptEnd { status: failed.status, error: Some(failed.code), ..AttemptEnd::default() },
        );
        self.attempts += 1;
        self.cancelled_nanos = self.cancelled_nanos.saturating_add(nanos);
        self.routing.push(vec![AttemptRecord {
            target: place,
            provider: candidate.provider.id.clone(),
            model: candidate.model,
            status: failed.status,
            error: Some(failed.message.clone()),
            start_ms: health::millis(began),
            first_byte_ms: None,
            end_ms: health::millis(self.context.arrived().elapsed()),
            why_next: Some(failed.why_next.clone()),
        }]);
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
        let Beside { candidate, place, trial, span, began } = beside;
        self.attempts += 1;
        self.attempt = span;
        self.routing.go_on(trial, began, &candidate, (place, params));
        self.set_target(&candidate, envelope);
    }
}
