//! Judges answers by the guardrails, before the client receives anything of them.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use signalbox_core::{Api, openai::Usage, schema::GuardRules};
use signalbox_daemon::Caller;

use super::{AcceptedAnswer, failure::AttemptError, passed::report, stopped};
use crate::{
    app::App,
    body_memory::Counted,
    direct::DirectApi,
    envelope::Envelope,
    exchange::Exchange,
    guard::{self, About, Refused},
    journal::fold_answer,
    relay::{Source, WindowedStream},
};

/// Maximum bytes of a stream that is held, the same as for a complete response.
const MAX_HELD: usize = 64 << 20;

/// Rules for the answer to a request, and what the hook is told about the request.
pub(super) struct Judging {
    rules: GuardRules,
    caller: Option<Caller>,
    api: Api,
    surface: &'static str,
    model: Option<String>,
}

// === impl Judging ===

impl Judging {
    pub(super) fn new(rules: GuardRules, caller: Option<&Caller>, envelope: &Envelope) -> Self {
        Self {
            rules,
            caller: caller.cloned(),
            api: envelope.api,
            surface: envelope.direct.map_or(envelope.api.as_str(), DirectApi::as_str),
            model: envelope.model.clone(),
        }
    }

    /// Returns the answer with the changes of the rules.
    ///
    /// # Errors
    /// Returns a failure if the rules refuse it, or if a stream breaks off.
    pub(super) async fn judged(
        &self,
        app: &App,
        answer: AcceptedAnswer,
        exchange: &mut Exchange,
    ) -> Result<AcceptedAnswer, AttemptError> {
        let id = exchange.id().to_string();
        let about = About {
            id: &id,
            api: self.surface,
            model: self.model.as_deref(),
            key: self.caller.as_ref().map(Caller::name),
            owner: self.caller.as_ref().and_then(Caller::owner),
        };
        match answer {
            AcceptedAnswer::Whole { headers, body, failure, usage } => {
                match app.guard.answer(&self.rules, &body, false, &about).await {
                    Ok(passed) => {
                        exchange.guarded(passed.notes);
                        let body = passed.replaced.unwrap_or(body);
                        let failure =
                            failure.map(|failure| guard::error_text(&self.rules, &failure).unwrap_or(failure));
                        Ok(AcceptedAnswer::Whole { headers, body, failure, usage })
                    }
                    Err(refused) => {
                        let usage = usage.or_else(|| fold_answer(self.api, &body, false)?.usage);
                        Err(withheld(refused, usage, exchange))
                    }
                }
            }
            AcceptedAnswer::Stream { mut headers, begun, mut rest, has_token } => {
                if let Some(window) = app.guard.window(&self.rules) {
                    let rest = Source::Windowed(Box::new(WindowedStream::new(begun, rest, window)));
                    return Ok(AcceptedAnswer::Stream { headers, begun: Vec::new(), rest, has_token });
                }
                let stop = exchange.stop().clone();
                let held = tokio::select! {
                    biased;
                    held = hold(app, begun, &mut rest, exchange) => Some(held.map_err(|failure| failure.guarded(&self.rules))?),
                    () = stop.cancelled() => None,
                };
                let Some((held, counted)) = held else {
                    exchange.spare_target();
                    return Err(stopped(exchange));
                };
                let hidden = hidden_usage(&rest);
                if let Some(text) = translation_of(&rest) {
                    report(text, &mut headers);
                }
                // Errors are redacted in place; they are not the answer of a model.
                let held = match guard::stream(&self.rules, &held) {
                    Ok(held) => held,
                    Err(refused) => {
                        let usage = hidden.or_else(|| fold_answer(self.api, &held, true)?.usage);
                        return Err(withheld(refused, usage, exchange));
                    }
                };
                let folded = fold_answer(self.api, &held, true).unwrap_or_default();
                // A body that is no answer of the API is judged as it is.
                let content = folded.json.map_or_else(|| held.clone(), Bytes::from);
                if let Err(refused) = app.guard.answer(&self.rules, &content, true, &about).await {
                    return Err(withheld(refused, hidden.or(folded.usage), exchange));
                }
                exchange.note_usage(hidden);
                let begun = vec![counted.hold(held)];
                Ok(AcceptedAnswer::Stream { headers, begun, rest: Source::Ended, has_token })
            }
        }
    }
}

/// Records that the guardrails withhold an answer, which is no failure of its target.
fn withheld(refused: Refused, usage: Option<Usage>, exchange: &mut Exchange) -> AttemptError {
    let failure = AttemptError::from(refused);
    let why = failure.fault().as_str();
    exchange.attempt_span().in_scope(|| tracing::debug!(error = %failure, why, "the answer is withheld"));
    exchange.withheld(usage, why);
    failure
}

/// Reads a stream to its end. Returns it with its part of the memory for bodies.
async fn hold(
    app: &App,
    begun: Vec<Bytes>,
    source: &mut Source,
    exchange: &mut Exchange,
) -> Result<(Bytes, Counted), AttemptError> {
    let (mut held, mut counted) = (BytesMut::new(), app.body_memory.begin());
    let mut add = |piece: &Bytes, exchange: &mut Exchange| {
        counted.grow(piece.len()).inspect_err(|_| {
            // That is no fault of the provider.
            exchange.spare_target();
            app.metrics.refused();
        })?;
        held.extend_from_slice(piece);
        Ok::<_, AttemptError>(held.len())
    };
    for piece in begun {
        add(&piece, exchange)?;
    }
    while let Some(piece) = poll_fn(|cx| source.poll_data(cx)).await {
        if let Source::Resumable(resumable) = source {
            while let Some(switch) = resumable.take_switch() {
                exchange.switched(switch);
            }
        }
        if add(&piece?, exchange)? > MAX_HELD {
            // The provider may send more, but the guardrails cannot hold it.
            exchange.spare_target();
            return Err(AttemptError::TooLarge { limit: MAX_HELD });
        }
    }
    Ok((held.freeze(), counted))
}

/// Returns what the translation of a stream lost, once it has ended.
fn translation_of(source: &Source) -> Option<String> {
    match source {
        Source::Translated(translated) => translated.translation(),
        Source::Resumable(resumable) => translation_of(resumable.source()),
        _ => None,
    }
}

/// Returns the token counts that are not part of a stream.
fn hidden_usage(source: &Source) -> Option<Usage> {
    match source {
        Source::Translated(translated) => translated.usage(),
        Source::Uncounted(uncounted) => uncounted.usage(),
        Source::Resumable(resumable) => hidden_usage(resumable.source()),
        _ => None,
    }
}
