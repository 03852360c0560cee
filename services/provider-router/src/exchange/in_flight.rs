//! An attempt in flight that is not the current one of its request: beside it, or to continue its stream.

use signalbox_core::schema::AttemptRecord;
use signalbox_daemon::{AttemptEnd, RequestContext};
use tokio::time::Duration;
use tracing::Span;

use super::FailedAttempt;
use crate::{
    health::{self, Trial},
    ledger::Taken,
    route::Candidate,
};

/// An attempt in flight.
#[derive(Debug)]
pub struct InFlight {
    /// The attempt, for the health of the target.
    pub trial: Trial,
    /// Its span.
    pub span: Span,
    /// Time from the arrival of the request to its begin.
    pub began: Duration,
}

// === impl InFlight ===

impl InFlight {
    /// Begins the attempt number `n` of a request, which has `taken` that much of the limits of the provider.
    #[must_use]
    pub fn begin(context: &RequestContext, candidate: &Candidate, n: u64, taken: Option<Taken>) -> Self {
        let began = context.arrived().elapsed();
        let span = context.attempt_span(n, &candidate.provider.id, candidate.model.as_deref());
        let mut trial = candidate.health.begin(health::now());
        trial.hold(taken);
        Self { trial, span, began }
    }

    /// Ends the attempt with the target at this place of the plan as failed. Returns its record.
    #[must_use]
    pub fn failed(
        self,
        context: &RequestContext,
        (candidate, place): (&Candidate, usize),
        failed: FailedAttempt,
    ) -> AttemptRecord {
        let Self { trial, span, began } = self;
        if failed.counts {
            trial.failed_for(health::now(), failed.retry_after);
        }
        let end = AttemptEnd { status: failed.status, error: Some(failed.code), ..AttemptEnd::default() };
        context.end_attempt(&span, &end);
        AttemptRecord {
            target: place,
            provider: candidate.provider.id.clone(),
            model: candidate.model.clone(),
            key: candidate.provider.key.as_deref().map(str::to_owned),
            status: failed.status,
            error: Some(failed.message),
            start_ms: health::millis(began),
            first_byte_ms: None,
            end_ms: health::millis(context.arrived().elapsed()),
            why_next: Some(failed.why_next),
        }
    }
}
