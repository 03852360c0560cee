//! The part of a request that the cache of a route and the guardrails have.

use signalbox_core::{
    openai::Usage,
    schema::{CacheOutcome, CacheRecord, RequestStatus},
};
use uuid::Uuid;

use super::Exchange;
use crate::{
    cache::{Recorded, Recorder},
    health,
};

// === impl Exchange ===

impl Exchange {
    /// Records what the cache of the route had. `recorder` takes the answer of the target.
    pub fn cache(&mut self, outcome: CacheOutcome, recorder: Option<Box<Recorder>>) {
        self.routing.cache(CacheRecord { outcome, request_id: None, age_ms: None });
        self.recorder = recorder;
    }

    /// Records that the answer of another request is given again, which is so many milliseconds old.
    pub fn cache_hit(&mut self, request: Uuid, age_ms: u64) {
        let request_id = Some(request.to_string());
        self.routing.cache(CacheRecord { outcome: CacheOutcome::Hit, request_id, age_ms: Some(age_ms) });
    }

    /// Records what guardrails changed.
    pub fn guarded(&mut self, notes: Vec<String>) {
        self.routing.guarded(notes);
    }

    /// Records why guardrails withhold the answer, whose tokens were counted: its target has not failed, and the error is
    /// in the router's own words.
    pub fn withheld(&mut self, usage: Option<Usage>, why: &'static str) {
        self.note_usage(usage);
        self.note_own_error();
        self.routing.withheld(why);
    }

    /// Stores the recorded answer in the cache, before the client has taken it: it is complete.
    pub fn store_answer(&mut self) {
        self.finish_recording(self.id(), RequestStatus::Completed);
    }

    /// Stores the answer of a completed request.
    pub(super) fn finish_recording(&mut self, request: Uuid, status: RequestStatus) {
        let Some(recorder) = self.recorder.take() else { return };
        if status == RequestStatus::Completed {
            recorder.finish(&Recorded {
                request,
                provider: self.provider.as_ref().map(|provider| &*provider.id),
                model: self.upstream_model.as_deref(),
                now: health::now(),
            });
        }
    }
}
