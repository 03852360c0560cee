//! The end of a request, which is written once.

use signalbox_core::{
    openai::{Ending, Usage},
    schema::RequestStatus,
};
use signalbox_daemon::AttemptEnd;

use super::{Exchange, routing::AttemptEnded};
use crate::{
    clock,
    journal::{Bodies, BodyPolicy, CostEstimate, End, Summary, Written},
    live::Ended,
};

/// Maximum characters of the error of an attempt in the explanation.
const MAX_ATTEMPT_ERROR: usize = 1_000;

// === impl Exchange ===

impl Exchange {
    /// Sets the facts for the access log and the exported spans, if they are needed.
    fn tell_details(&mut self, status: RequestStatus) {
        if !self.context.needs_details(status) {
            return;
        }
        // The relay reads the token counts of streams; those of a whole response are otherwise only read by the loader.
        if self.ending.usage.is_none() && !self.streamed && self.status_code == Some(200) {
            let answer = std::mem::take(&mut self.answer);
            self.summarize(&answer);
            self.answer = answer;
        }
        let tokens = |count: fn(&Usage) -> i64| u64::try_from(self.ending.usage.as_ref().map(count)?).ok();
        let response_model = self.response_model.take();
        self.context.update_details(|details| {
            details.provider = self.provider.as_ref().map(|provider| provider.id.clone());
            details.attempts = u64::try_from(self.attempts).unwrap_or_default();
            details.first_byte = self.first_byte;
            details.input_tokens = tokens(|usage| usage.prompt_tokens);
            details.output_tokens = tokens(|usage| usage.completion_tokens);
            details.outcome = Some(status);
            details.response_model.clone_from(&response_model);
        });
        if self.attempt.is_disabled() || !self.context.is_exported() {
            return;
        }
        let end = AttemptEnd {
            status: self.status_code,
            error: status.has_failed().then_some(status.as_str()),
            response_model,
            input_tokens: tokens(|usage| usage.prompt_tokens),
            output_tokens: tokens(|usage| usage.completion_tokens),
        };
        self.context.end_attempt(&self.attempt, &end);
    }

    /// Writes the end of the request to the journal. The last byte may be sent to the client once [`Written`] is ready.
    pub fn finish(&mut self, status: RequestStatus, error: Option<String>) -> Written {
        let Some(entry) = self.entry.take() else { return Written::default() };
        self.finish_recording(entry.id(), status);
        let duration = self.context.arrived().elapsed();
        // The API of the client may have no place for some of the counts.
        let is_hidden = self.hidden_usage.is_some() && self.hidden_usage != self.ending.usage;
        self.ending.usage = self.hidden_usage.or(self.ending.usage);
        if let Some(provider) = &self.provider {
            provider.metrics.ended(status, duration, self.first_byte);
        }
        self.tell_details(status);
        let BodyPolicy { request, answer } = self.kept;
        // A response that is not kept cannot be read by the loader, and a limit is settled before it reads.
        let is_needed = self.admitted.is_some() || self.routing.is_limited() || self.live.is_watched();
        let is_read_now = answer == Bodies::Off || is_needed;
        if is_read_now && self.ending.usage.is_none() && !self.streamed && self.status_code == Some(200) {
            let whole = std::mem::take(&mut self.answer);
            self.summarize(&whole);
            self.answer = whole;
        }
        let streamed = self.streamed && answer == Bodies::Full;
        // Providers quote the request in their errors.
        let quotable = request.max(answer) == Bodies::Full;
        let is_kept = quotable || self.is_own_error || self.live.is_cancelled();
        let error = error.map(|error| if is_kept { error } else { "not kept".to_owned() });
        let truncated = self.answer_len > self.max_answer_len;
        let Ending { finish_reason, usage, .. } = std::mem::take(&mut self.ending);
        self.routing.settle(usage.map(|usage| tokens(&usage)));
        self.live.end(&Ended { status, status_code: self.status_code, duration, usage, error: error.as_deref() });
        let ended = AttemptEnded {
            status: self.status_code,
            error: error.as_deref(),
            counts: !self.is_target_spared,
            first_byte: self.first_byte,
            duration,
        };
        let provider = self.provider.as_ref().map(|provider| &*provider.id);
        let (mut plan, params) = self.routing.finish(status, provider, &ended);
        for error in plan.iter_mut().flat_map(|plan| &mut plan.attempts).filter_map(|attempt| attempt.error.as_mut()) {
            if !quotable {
                "not kept".clone_into(error);
            } else if let Some((end, _)) = error.char_indices().nth(MAX_ATTEMPT_ERROR) {
                error.truncate(end);
            }
        }
        // The question may have been left out only for this answer.
        let is_uncounted = self.provider.as_ref().is_some_and(|provider| provider.refuses_usage());
        if let Some(sent_as) = &mut self.sent_as {
            sent_as.is_uncounted = is_uncounted;
        }
        let is_broken = self.provider.is_some() && self.streamed && status != RequestStatus::Completed;
        let is_kept = request == Bodies::Full && answer == Bodies::Full && !truncated;
        let mut end = End {
            status,
            ended_at: clock::unix_ms(),
            provider_id: self.provider.as_ref().map(|provider| provider.id.clone()),
            provider_type: self.provider.as_ref().map(|provider| provider.row.kind.clone()),
            upstream_model: self.upstream_model.take(),
            sent_as: self.sent_as.take().map(|sent_as| Box::new(sent_as.kept(request.max(answer)))),
            counted: self.counted && !is_uncounted,
            status_code: self.status_code,
            duration_ms: clock::millis(duration),
            first_byte_ms: self.first_byte.map(clock::millis),
            attempts: self.attempts,
            cancelled_nanos: self.cancelled_nanos,
            estimate: None,
            error,
            streamed,
            truncated,
            parts: 0,
            summary: (truncated || is_hidden || answer == Bodies::Off)
                .then(|| Box::new(Summary { usage, finish_reason })),
            plan,
            params,
        };
        if let Some(admitted) = self.admitted.take() {
            let guessed = if self.streamed { self.stream_length.tokens() } else { self.answer_len / 4 };
            // Without an estimate of its own: the texts of the answer are not at hand here, but their length is.
            let estimated = admitted.settle(&end, usage, guessed).filter(|_| is_broken);
            end.estimate = estimated.map(CostEstimate::Nanos);
        }
        if end.estimate.is_none() && is_broken && is_kept {
            end.estimate = Some(CostEstimate::Bodies);
        }
        match answer {
            Bodies::Full => entry.end(end, &self.answer),
            bodies => entry.end(end, &bodies.of_answer(self.api, &self.answer, self.streamed)),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The client may have received all but the last bytes.
        self.recorder = None;
        let Ending { finish_reason, failure, .. } = &mut self.ending;
        let failure = failure.take();
        let status = match (self.status_code, &failure, finish_reason) {
            (None, ..) => RequestStatus::Cancelled,
            (Some(_), Some(_), _) => RequestStatus::Failed,
            // The finish reason of a whole answer is known before the client has any of it.
            _ if !self.streamed => RequestStatus::ClientDisconnected,
            // Many clients close the connection after the finish reason without waiting for `[DONE]`; they have the
            // whole response.
            (Some(_), None, Some(_)) => RequestStatus::Completed,
            (Some(_), None, None) => RequestStatus::ClientDisconnected,
        };
        // No client is waiting for this write.
        drop(self.finish(status, failure));
    }
}

/// Returns all tokens of an answer and its prompt.
fn tokens(usage: &Usage) -> u64 {
    let sum = usage.prompt_tokens.saturating_add(usage.completion_tokens);
    u64::try_from(usage.total_tokens.max(sum)).unwrap_or_default()
}
