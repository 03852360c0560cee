//! A request in progress: from the login to the last chunk and the log entry.

use std::sync::Arc;

use signalbox_core::{
    conversation::opening_hash,
    openai::{Chunk, Usage},
    schema::RequestStatus,
};
use signalbox_daemon::{AttemptEnd, KeptTexts, RequestContext};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant},
};
use tracing::{Instrument as _, Span};

use crate::{
    app::App,
    clock,
    conversation::Turn,
    convert::{AnswerBuilder, Completion, ParsedRequest},
    log_policy::LoggedTexts,
    qwen::{Failure, Login, event::Event},
    record::{LogRecord, Outcome},
};

/// The site, as logs and traces name it.
const SITE: &str = "chat.qwen.ai";

/// Maximum time without a chunk before a keep-alive is sent to the client.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Maximum bytes of an answer, which is kept in memory until it is complete, for the log and for non-streaming clients.
const MAX_ANSWER: usize = 64 << 20;

/// An answer in progress. Dropping it before its end means that the client has disconnected: the upstream connection is
/// closed and the outcome is logged.
#[derive(Debug)]
pub struct AnswerStream {
    app: Arc<App>,
    parsed: ParsedRequest,
    /// Texts that may be logged, according to the service that sent the request.
    kept: KeptTexts,
    login: Login,
    /// `None` before the answer begins, and after its end.
    turn: Option<Turn>,
    answer: Option<AnswerBuilder>,
    record: Option<LogRecord>,
    /// Time of the last data sent to the client, if any.
    last_sent_at: Option<Instant>,
    /// Time from the arrival of the request to the first part of the answer.
    first_byte: Option<Duration>,
    context: RequestContext,
    /// Span of the request to the site, open until the answer has ended.
    attempt: Span,
    /// Held until the answer has ended.
    _permit: OwnedSemaphorePermit,
}

/// The next part of an answer.
#[derive(Debug)]
pub struct AnswerChunk {
    /// New chunks. Empty if the answer continues but nothing can be sent yet: a tool call is sent only when it is
    /// complete.
    pub chunks: Vec<Chunk>,
    /// The complete answer at its end, after it has been logged.
    pub whole: Option<Completion>,
}

// === impl AnswerStream ===

impl AnswerStream {
    /// Creates the answer to the request `parsed`, of which the sender allows to log the texts `kept`, with this login.
    /// `id` is the id of the response; `permit` is its permit among the requests in flight.
    #[must_use]
    pub fn new(
        app: Arc<App>,
        id: String,
        (parsed, kept): (ParsedRequest, KeptTexts),
        login: Login,
        record: Option<LogRecord>,
        (context, permit): (RequestContext, OwnedSemaphorePermit),
    ) -> Self {
        let answer = Some(AnswerBuilder::new(id, clock::unix_ms() / 1000, parsed.model.clone(), &parsed.tools));
        let attempt = context.attempt_span(1, SITE, Some(&parsed.model));
        Self {
            app,
            parsed,
            kept,
            login,
            turn: None,
            answer,
            record,
            last_sent_at: None,
            first_byte: None,
            context,
            attempt,
            _permit: permit,
        }
    }

    /// Returns the span of the request, in which everything about it is logged.
    #[must_use]
    pub fn span(&self) -> Span {
        self.context.span().clone()
    }

    /// Sends the request to the site. Returns once the site has begun to answer.
    ///
    /// # Errors
    /// Returns the failure reported by the site, after logging it.
    pub async fn begin(&mut self) -> Result<(), Failure> {
        match self.app.conversations.begin(&self.parsed, &self.login).instrument(self.attempt.clone()).await {
            Ok(turn) => {
                if let Some(record) = &mut self.record {
                    record.started(&turn.active_chat.session_id, &turn.sent);
                }
                self.turn = Some(turn);
                Ok(())
            }
            Err(failure) => {
                self.answer = None;
                self.abort_with(&failure).await;
                Err(failure)
            }
        }
    }

    /// Waits for the next part of the answer. All data received before a failure is returned before it.
    ///
    /// # Errors
    /// Returns a failure if the answer breaks off or is empty, after logging it.
    pub async fn next(&mut self) -> Result<AnswerChunk, Failure> {
        match self.advance().await {
            Ok(step) => {
                self.last_sent_at = Some(Instant::now());
                self.first_byte.get_or_insert_with(|| self.context.arrived().elapsed());
                if self.parsed.stream
                    && let Some(record) = &mut self.record
                {
                    record.first_byte();
                }
                Ok(step)
            }
            Err(failure) => {
                self.abort_with(&failure).await;
                Err(failure)
            }
        }
    }

    /// Ends the answer prematurely and logs the outcome: `failed` if the site reported an error or the client has
    /// received nothing, `truncated` otherwise.
    pub async fn abort_with(&mut self, failure: &Failure) {
        note(&self.app, &self.login, failure).await;
        self.turn = None;
        let left = self.has_sent_head();
        let is_cut = left && !failure.is_reported();
        let status = if is_cut { RequestStatus::Truncated } else { RequestStatus::Failed };
        let code = if left { 200 } else { failure.status().as_u16() };
        let nothing = Outcome { finish_reason: Some("error".to_owned()), ..Outcome::default() };
        let partial = self.answer.take().map_or(nothing, partial);
        let outcome = Outcome { status, status_code: Some(code), error: Some(failure.to_string()), ..partial };
        self.tell_details(&outcome);
        if let Some(record) = self.record.take() {
            record.end(&self.app.log, self.logged_texts(), outcome).await;
        }
    }

    /// Sets the facts for the access log, if a line will be written.
    fn tell_details(&self, outcome: &Outcome) {
        if !self.context.needs_details(outcome.status) {
            return;
        }
        let tokens = |count: fn(&Usage) -> i64| u64::try_from(outcome.usage.as_ref().map(count)?).ok();
        self.context.update_details(|details| {
            details.provider = Some(SITE.to_owned());
            details.attempts = 1;
            details.first_byte = self.first_byte;
            details.input_tokens = tokens(|usage| usage.prompt_tokens);
            details.output_tokens = tokens(|usage| usage.completion_tokens);
            details.outcome = Some(outcome.status);
        });
        let has_failed = outcome.status.has_failed();
        let end = AttemptEnd {
            // The status of the response to the client says nothing about the site's.
            status: (!has_failed).then_some(200),
            error: has_failed.then_some(outcome.status.as_str()),
            response_model: None,
            input_tokens: tokens(|usage| usage.prompt_tokens),
            output_tokens: tokens(|usage| usage.completion_tokens),
        };
        self.context.end_attempt(&self.attempt, &end);
    }

    /// Returns the texts that are logged of the exchange.
    fn logged_texts(&self) -> LoggedTexts {
        self.app.log_policy.now().at_most(self.kept)
    }

    /// Returns `true` if the client has received at least the response head.
    fn has_sent_head(&self) -> bool {
        self.last_sent_at.is_some() && self.parsed.stream
    }

    async fn advance(&mut self) -> Result<AnswerChunk, Failure> {
        let mut chunks = Vec::new();
        let (Some(turn), Some(answer)) = (&mut self.turn, &mut self.answer) else {
            return Err(Failure::BrokenOff("it has ended".to_owned()));
        };
        while chunks.is_empty() {
            let Some(event) = turn.events.next().await? else {
                // Send what was held back; the next call returns the error for the missing end.
                answer.flush(&mut chunks);
                if chunks.is_empty() {
                    return Err(match answer.is_empty() {
                        true => Failure::Empty,
                        false => Failure::BrokenOff("the stream ended without its last event".to_owned()),
                    });
                }
                break;
            };
            answer.push(&event, &mut chunks);
            if answer.bytes() > MAX_ANSWER {
                return Err(Failure::Unreadable(format!("an answer of more than {MAX_ANSWER} bytes")));
            }
            match &event {
                // Boxed because the future is large and runs once per answer.
                Event::Finished { .. } => return Box::pin(self.end(chunks)).await,
                // A tool call may take minutes to complete; return an empty step so that the client sees that the
                // answer continues.
                Event::Delta { text, .. }
                    if !text.is_empty()
                        && self
                            .last_sent_at
                            .is_none_or(|last_sent_at| last_sent_at.elapsed() >= KEEP_ALIVE_INTERVAL) =>
                {
                    break;
                }
                _ => {}
            }
        }
        Ok(AnswerChunk { chunks, whole: None })
    }

    /// Ends a complete answer. The turn is recorded before the client receives the end, so that its next request finds
    /// it.
    async fn end(&mut self, mut chunks: Vec<Chunk>) -> Result<AnswerChunk, Failure> {
        let (Some(turn), Some(mut answer)) = (self.turn.take(), self.answer.take()) else {
            return Err(Failure::BrokenOff("it has ended".to_owned()));
        };
        answer.finish(&mut chunks);
        if answer.is_empty() {
            return Err(Failure::Empty);
        }
        let Turn { active_chat, mut events, .. } = turn;
        let kept = self.logged_texts();
        {
            let noted = async {
                self.app.conversations.end(&self.parsed, &active_chat, &answer, kept).await;
                self.app.logins.record_success(&self.login).await;
            };
            tokio::pin!(noted);
            // Read to the end of the stream meanwhile, so that its connection can be reused.
            tokio::select! {
                biased;
                () = &mut noted => {}
                () = events.drain() => noted.await,
            }
        }
        let opening_hash =
            self.parsed.opening_hash().or_else(|| Some(opening_hash(self.parsed.first_user_text(), answer.text())));
        let completion = answer.into_completion();
        let outcome =
            Outcome { status: RequestStatus::Completed, status_code: Some(200), opening_hash, ..of(&completion) };
        self.tell_details(&outcome);
        if let Some(mut record) = self.record.take() {
            record.first_byte();
            record.end(&self.app.log, kept, outcome).await;
        }
        Ok(AnswerChunk { chunks, whole: Some(completion) })
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        let Some(record) = self.record.take() else { return };
        let left = self.has_sent_head();
        let status = if left { RequestStatus::ClientDisconnected } else { RequestStatus::Cancelled };
        let partial = self.answer.take().map(partial).unwrap_or_default();
        let status_code = left.then_some(200);
        let outcome = Outcome { status, status_code, ..partial };
        self.tell_details(&outcome);
        let (log, kept) = (self.app.log.clone(), self.logged_texts());
        self.app.tasks.spawn(async move { record.end(&log, kept, outcome).await }.instrument(self.span()));
    }
}

/// Records a failure in the metrics and in the state of the login.
async fn note(app: &App, login: &Login, failure: &Failure) {
    app.metrics.failed(failure.code());
    app.logins.record_failure(login, failure, clock::unix_ms()).await;
}

/// Returns the outcome of a partial answer.
fn partial(answer: AnswerBuilder) -> Outcome {
    let mut completion = answer.into_completion();
    for choice in &mut completion.completion.choices {
        choice.finish_reason = None;
    }
    Outcome { finish_reason: Some("error".to_owned()), ..of(&completion) }
}

fn of(completion: &Completion) -> Outcome {
    Outcome {
        // Serialising a completion never fails.
        completion: serde_json::to_string(completion).ok(),
        usage: completion.completion.usage,
        finish_reason: completion.completion.choices.first().and_then(|choice| choice.finish_reason.clone()),
        ..Outcome::default()
    }
}
