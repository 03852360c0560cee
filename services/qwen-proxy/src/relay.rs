//! An answer as a stream of events.
//!
//! Every chunk leaves as soon as it is there. A stream that breaks off ends in an error event and a broken connection, never
//! as if it were complete.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use signalbox_core::openai::{Chunk, DONE_EVENT};
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use crate::{
    api::error::{ApiError, Asked},
    app::App,
    convert::text_completion::TextCompletion,
    error_log::ErrorLog,
    exchange::{Exchange, Step},
    metrics::Streaming,
    qwen::Failure,
};

/// The API the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

/// What makes hyper close a connection in the middle of a body.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

struct Relay {
    exchange: Exchange,
    form: Form,
    phase: Phase,
    asked: Asked,
    errors: ErrorLog,
    cut: CancellationToken,
    _streaming: Streaming,
}

enum Phase {
    /// This much has come before it was decided to relay.
    Begun(Box<Step>),
    /// More may come.
    Passing,
    /// The error event has been handed over: now break the connection.
    Breaking,
    /// Nothing follows.
    Over,
}

/// The rest of an answer to `asked`, of which `begun` has come already. The service ends it early when it has to leave.
pub fn body(app: &App, exchange: Exchange, begun: Step, form: Form, asked: Asked) -> Body {
    let relay = Relay {
        exchange,
        form,
        phase: Phase::Begun(Box::new(begun)),
        asked,
        errors: app.errors.clone(),
        cut: app.cut.clone(),
        _streaming: app.metrics.streaming(),
    };
    Body::from_stream(stream::unfold(relay, |mut relay| async move {
        let piece = relay.next().await?;
        Some((piece, relay))
    }))
}

// === impl Relay ===

impl Relay {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        let step = match std::mem::replace(&mut self.phase, Phase::Passing) {
            Phase::Begun(step) => *step,
            Phase::Over => return None,
            Phase::Breaking => {
                // Being pending once makes hyper write out the error event before the connection is broken.
                yield_now().await;
                self.phase = Phase::Over;
                return Some(Err("the stream broke off".into()));
            }
            Phase::Passing => {
                let cut = self.cut.clone();
                let next = tokio::select! {
                    biased;
                    () = cut.cancelled() => None,
                    next = self.exchange.next() => Some(next),
                };
                match next {
                    Some(Ok(step)) => step,
                    Some(Err(failure)) => return Some(Ok(self.broken(&ApiError::Stream(failure)))),
                    None => {
                        let failure = Failure::BrokenOff("the service is shutting down".to_owned());
                        self.exchange.break_off(&failure).await;
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
            // A comment, which clients pass over.
            text.push_str(": more is coming\n\n");
        }
        Some(Ok(text.into()))
    }

    fn write(&self, chunk: Chunk, text: &mut String) {
        match self.form {
            Form::Chat => event(&chunk, text),
            Form::Text => {
                if let Some(chunk) = TextCompletion::from_chunk(chunk) {
                    event(&chunk, text);
                }
            }
        }
    }

    /// The error event.
    fn broken(&mut self, error: &ApiError) -> Bytes {
        self.phase = Phase::Breaking;
        format!("data: {}\n\n", self.errors.report(error, &self.asked)).into()
    }
}

fn event(chunk: &impl Serialize, text: &mut String) {
    // There is nothing in a chunk that is no JSON.
    if let Ok(json) = serde_json::to_string(chunk) {
        text.push_str("data: ");
        text.push_str(&json);
        text.push_str("\n\n");
    }
}
