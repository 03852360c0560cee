//! The attempts of one request, for the health of their targets and for the explanation of the request.

use serde_json::{Map, Value};
use signalbox_core::schema::{AttemptRecord, CacheRecord, RequestStatus, RoutingRecord};
use tokio::time::{Duration, Instant};

use crate::{
    health::{self, Began, Trial},
    ledger::Taken,
    route::Candidate,
};

/// Fields that a target sets in the body.
type Params = Box<Map<String, Value>>;

/// State of the attempts of a request.
#[derive(Debug, Default)]
pub(super) struct Routing {
    /// Plan and ended attempts; kept only for a request with a route, or with more than one attempt.
    record: Option<Box<RoutingRecord>>,
    /// The current attempt.
    trial: Option<Trial>,
    place: usize,
    model: Option<String>,
    began: Duration,
    /// Fields that the current target sets in the body.
    params: Option<Params>,
    /// Outcome of the cache of the route; added to the record.
    cache: Option<Box<CacheRecord>>,
    /// Changes by guardrails; added to the record.
    guard: Vec<String>,
    /// Why guardrails withhold the answer, if they do.
    withheld: Option<&'static str>,
}

/// An attempt that failed.
#[derive(Debug)]
pub struct FailedAttempt {
    /// Status of the provider's response, if any.
    pub status: Option<u16>,
    /// Stable word for the failure.
    pub code: &'static str,
    /// Message of the failure.
    pub message: String,
    /// Whether the failure counts against the breaker of the target.
    pub counts: bool,
    /// Time that the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// Why another attempt follows, or why none does.
    pub why_next: String,
}

// === impl Routing ===

impl Routing {
    pub(super) fn begin(
        &mut self,
        candidate: &Candidate,
        place: usize,
        params: Option<&Map<String, Value>>,
        arrived: Instant,
    ) {
        self.trial = Some(candidate.health.begin(health::now()));
        self.place = place;
        self.params = params.filter(|params| !params.is_empty()).cloned().map(Box::new);
        if let Some(record) = &self.record {
            // Attempts without a record are not timed.
            debug_assert!(place < record.targets.len());
            self.began = arrived.elapsed();
        }
        self.model = self.record.as_ref().and_then(|_| candidate.model.clone());
    }

    /// Takes over an attempt that began `began` after the request arrived.
    pub(super) fn go_on(
        &mut self,
        trial: Trial,
        began: Duration,
        candidate: &Candidate,
        (place, params): (usize, Option<&Map<String, Value>>),
    ) {
        self.trial = Some(trial);
        self.place = place;
        self.began = began;
        self.params = params.filter(|params| !params.is_empty()).cloned().map(Box::new);
        self.model = self.record.as_ref().and_then(|_| candidate.model.clone());
    }

    /// Keeps what the current attempt uses of the limits of its provider.
    pub(super) fn hold(&mut self, taken: Option<Taken>) {
        if let Some(trial) = &mut self.trial {
            trial.hold(taken);
        }
    }

    /// Returns whether the provider of the current attempt has limits.
    pub(super) fn is_limited(&self) -> bool {
        self.trial.as_ref().is_some_and(Trial::is_limited)
    }

    /// Settles the limits of the provider that answered, with the tokens that it reported.
    pub(super) fn settle(&mut self, tokens: Option<u64>) {
        if let Some(trial) = &mut self.trial {
            trial.settle(tokens);
        }
    }

    pub(super) fn record(&mut self, record: RoutingRecord) {
        let (cache, guard) = (self.cache.as_deref().cloned(), self.guard.clone());
        self.record = Some(Box::new(RoutingRecord { cache, guard, ..record }));
    }

    /// Takes what guardrails changed.
    pub(super) fn guarded(&mut self, notes: Vec<String>) {
        if let Some(record) = &mut self.record {
            record.guard.extend(notes.iter().cloned());
        }
        self.guard.extend(notes);
    }

    /// Notes why guardrails withhold the answer.
    pub(super) const fn withheld(&mut self, why: &'static str) {
        self.withheld = Some(why);
    }

    /// Takes what the cache of the route had, before the plan is recorded.
    pub(super) fn cache(&mut self, cache: CacheRecord) {
        self.cache = Some(Box::new(cache));
    }

    /// Adds attempts that failed.
    pub(super) fn push(&mut self, failed: Vec<AttemptRecord>) {
        if let Some(record) = &mut self.record {
            record.attempts.extend(failed);
        }
    }

    pub(super) const fn has_record(&self) -> bool {
        self.record.is_some()
    }

    pub(super) fn answered(&self, began: Began) {
        if let Some(trial) = &self.trial {
            trial.answered(health::now(), began);
        }
    }

    /// Ends the current attempt as failed. `first_byte` is the time to the first byte that went to the client.
    pub(super) fn failed(
        &mut self,
        failed: &FailedAttempt,
        provider: &str,
        model: Option<&str>,
        (first_byte, arrived): (Option<Duration>, Instant),
    ) {
        let now = health::now();
        if let Some(trial) = self.trial.take().filter(|_| failed.counts) {
            trial.failed_for(now, failed.retry_after);
        }
        let first_byte_ms = self.own_first_byte(first_byte);
        if let Some(record) = &mut self.record {
            let key = record.targets.get(self.place).and_then(|target| target.key.clone());
            record.attempts.push(AttemptRecord {
                target: self.place,
                provider: provider.to_owned(),
                model: model.map_or_else(|| self.model.take(), |model| Some(model.to_owned())),
                key,
                status: failed.status,
                error: Some(failed.message.clone()),
                start_ms: health::millis(self.began),
                first_byte_ms,
                end_ms: health::millis(arrived.elapsed()),
                why_next: Some(failed.why_next.clone()),
            });
        }
    }

    /// Returns the milliseconds to the first byte that went to the client, if it came from the current attempt.
    fn own_first_byte(&self, first_byte: Option<Duration>) -> Option<u64> {
        first_byte.filter(|first_byte| *first_byte >= self.began).map(health::millis)
    }

    /// Takes the end of the request. Returns the plan with all attempts, if it is kept, and the fields that the target
    /// set.
    pub(super) fn finish(
        &mut self,
        status: RequestStatus,
        provider: Option<&str>,
        ended: &AttemptEnded<'_>,
    ) -> (Option<Box<RoutingRecord>>, Option<Params>) {
        // An attempt that broke off and that no other one continues has been added already.
        let trial = self.trial.take();
        if let Some(trial) = &trial {
            let now = health::now();
            match status {
                _ if self.withheld.is_some() => trial.completed(now),
                RequestStatus::Completed => trial.completed(now),
                RequestStatus::Failed | RequestStatus::Truncated if ended.counts => trial.failed(now),
                _ => {}
            }
        }
        let first_byte_ms = self.own_first_byte(ended.first_byte);
        if let (Some(record), Some(provider), true) = (&mut self.record, provider, trial.is_some()) {
            let key = record.targets.get(self.place).and_then(|target| target.key.clone());
            record.attempts.push(AttemptRecord {
                target: self.place,
                provider: provider.to_owned(),
                model: self.model.take(),
                key,
                status: ended.status,
                error: ended.error.map(str::to_owned),
                start_ms: health::millis(self.began),
                first_byte_ms,
                end_ms: health::millis(ended.duration),
                why_next: self.withheld.map(|why| format!("{why}: no other target is asked")),
            });
        }
        (self.record.take(), self.params.take())
    }
}

/// The end of the attempt that was answered.
#[derive(Debug)]
pub(super) struct AttemptEnded<'a> {
    pub(super) status: Option<u16>,
    pub(super) error: Option<&'a str>,
    /// Whether a failure counts against the breaker of the target.
    pub(super) counts: bool,
    pub(super) first_byte: Option<Duration>,
    pub(super) duration: Duration,
}
