//! Changes of the target in the middle of a stream.

use std::sync::Arc;

use serde_json::{Map, Value};
use signalbox_core::schema::AttemptRecord;
use signalbox_daemon::{AttemptEnd, RequestContext};

use super::{Exchange, FailedAttempt, InFlight};
use crate::{envelope::Envelope, route::Candidate};

/// Stable word for an answer that broke off.
const INTERRUPTED: &str = "upstream_interrupted";

/// Target of a stream that may continue another one.
#[derive(Debug)]
pub struct NewTarget {
    /// The target.
    pub candidate: Candidate,
    /// Its place in the plan.
    pub place: usize,
    /// Fields that it sets in the body.
    pub params: Map<String, Value>,
    /// The request.
    pub envelope: Arc<Envelope>,
    /// The context of the request.
    pub context: RequestContext,
    /// Its attempt.
    pub attempt: InFlight,
}

/// Facts about a stream that broke off, for the log.
#[derive(Debug)]
pub struct Switch {
    /// How the stream broke off.
    pub why: String,
    /// Whether that counts against the breaker of its target.
    pub counts: bool,
    /// Attempts to continue it that failed.
    pub failed: Vec<AttemptRecord>,
    /// The target that continues it, if one was found.
    pub target: Option<NewTarget>,
}

// === impl NewTarget ===

impl NewTarget {
    /// Ends the attempt, which cannot continue the stream. Returns its record.
    pub fn failed(self, error: &str, why_next: &str, counts: bool) -> AttemptRecord {
        let Self { candidate, place, context, attempt, .. } = self;
        let failed = FailedAttempt {
            status: Some(200),
            code: INTERRUPTED,
            message: error.to_owned(),
            counts,
            retry_after: None,
            why_next: why_next.to_owned(),
        };
        attempt.failed(&context, (&candidate, place), failed)
    }
}

// === impl Exchange ===

impl Exchange {
    /// Records that the answer broke off, and that another target continues it or that none was found.
    pub fn switched(&mut self, switch: Switch) {
        let Switch { why, counts, failed, target } = switch;
        let broken = FailedAttempt {
            status: self.status_code,
            code: INTERRUPTED,
            message: why,
            counts,
            retry_after: None,
            why_next: "the answer broke off: other targets are asked to continue it".to_owned(),
        };
        if let Some(provider) = self.provider.clone() {
            let times = (self.first_byte, self.context.arrived());
            self.routing.failed(&broken, &provider.id, None, times);
        }
        self.attempts += i64::try_from(failed.len()).unwrap_or_default();
        self.routing.push(failed);
        let Some(NewTarget { candidate, place, params, envelope, attempt, .. }) = target else { return };
        let InFlight { trial, span, began } = attempt;
        let end = AttemptEnd { status: broken.status, error: Some(broken.code), ..AttemptEnd::default() };
        self.context.end_attempt(&std::mem::replace(&mut self.attempt, span), &end);
        self.attempts += 1;
        self.routing.go_on(trial, began, &candidate, (place, Some(&params)));
        self.set_target(&candidate, &envelope);
    }
}
