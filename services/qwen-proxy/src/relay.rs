//! The response as a stream of events.
//!
//! Every chunk is sent as soon as it is available. A stream that breaks off ends with an error event and an aborted
//! connection, so that it never looks complete. If chat.qwen.ai itself reports an error, its event is the last one and
//! the response ends normally, without `[DONE]`: clients that also see the connection break report a second error in
//! place of the first.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use signalbox_core::openai::{Chunk, DONE_EVENT};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    answer_stream::{AnswerChunk, AnswerStream},
    api::error::{ApiError, ReportedRequest},
    app::App,
    convert::text_completion::TextCompletion,
    error_log::ErrorLog,
    metrics::Streaming,
    qwen::Failure,
};

/// Time for the last bytes of a stream to be written before its connection is aborted.
const FLUSH_PAUSE: Duration = Duration::from_millis(100);

/// API used by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFormat {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

impl ApiFormat {
    /// Returns the name of the API in logs and traces.
    pub const fn surface(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Text => "completions",
        }
    }
}

/// Error type that makes hyper abort a connection in the middle of a body.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

struct Relay {
    answer_stream: AnswerStream,
    form: ApiFormat,
    phase: Phase,
    reported_request: ReportedRequest,
    errors: ErrorLog,
    abort: CancellationToken,
    _streaming: Streaming,
}

enum Phase {
    /// The first step, received before the response was started.
    Begun(Box<AnswerChunk>),
    /// More data may follow.
    Passing,
    /// The error event has been passed to hyper; the connection is to be aborted next.
    Breaking,
    /// The stream has ended.
    Over,
}

/// Returns the response body for `answer_stream`, whose first step is `begun`. It is cut when the shutdown reaches that
/// stage. `reported_request` describes the request for an error report.
pub fn body(
    app: &App,
    answer_stream: AnswerStream,
    begun: AnswerChunk,
    form: ApiFormat,
    reported_request: ReportedRequest,
) -> Body {
    let relay = Relay {
        answer_stream,
        form,
        phase: Phase::Begun(Box::new(begun)),
        reported_request,
        errors: app.errors.clone(),
        abort: app.abort_streams.clone(),
        _streaming: app.metrics.streaming(),
    };
    // The body is polled by the connection, outside the span of the request.
    let span = relay.answer_stream.span();
    Body::from_stream(stream::unfold(relay, move |mut relay| {
        async move {
            let piece = relay.next().await?;
            Some((piece, relay))
        }
        .instrument(span.clone())
    }))
}

// === impl Relay ===

impl Relay {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        let step = match std::mem::replace(&mut self.phase, Phase::Passing) {
            Phase::Begun(step) => *step,
            Phase::Over => return None,
            Phase::Breaking => {
                // hyper has to write the error event before the connection is aborted; over HTTP/2, a reset drops what
                // has not been written.
                sleep(FLUSH_PAUSE).await;
                self.phase = Phase::Over;
                return Some(Err("the stream ended early".into()));
            }
            Phase::Passing => {
                let abort = self.abort.clone();
                let next = tokio::select! {
                    biased;
                    () = abort.cancelled() => None,
                    next = self.answer_stream.next() => Some(next),
                };
                match next {
                    Some(Ok(step)) => step,
                    Some(Err(failure)) => return Some(Ok(self.broken(&ApiError::Stream(failure)))),
                    None => {
                        let failure = Failure::BrokenOff("the service is shutting down".to_owned());
                        self.answer_stream.abort_with(&failure).await;
                        return Some(Ok(self.broken(&ApiError::ShuttingDown)));
                    }
                }
            }
        };
        let mut text = String::new();
        for chunk in step.chunks {
            self.write(chunk, &mut text);
        }
        if step.whole.is_some() {
            self.phase = Phase::Over;
            text.push_str(DONE_EVENT);
        }
        if text.is_empty() {
            // Send a comment, which clients ignore, as a keep-alive.
            text.push_str(": more is coming\n\n");
        }
        Some(Ok(text.into()))
    }

    fn write(&self, chunk: Chunk, text: &mut String) {
        match self.form {
            ApiFormat::Chat => event(&chunk, text),
            ApiFormat::Text => {
                if let Some(chunk) = TextCompletion::from_chunk(chunk) {
                    event(&chunk, text);
                }
            }
        }
    }

    /// Reports the error and returns its event.
    fn broken(&mut self, error: &ApiError) -> Bytes {
        let is_reported = matches!(error, ApiError::Stream(failure) if failure.is_reported());
        self.phase = if is_reported { Phase::Over } else { Phase::Breaking };
        format!("data: {}\n\n", self.errors.report(error, &self.reported_request)).into()
    }
}

fn event(chunk: &impl Serialize, text: &mut String) {
    // Serialising a chunk never fails.
    if let Ok(json) = serde_json::to_string(chunk) {
        text.push_str("data: ");
        text.push_str(&json);
        text.push_str("\n\n");
    }
}
