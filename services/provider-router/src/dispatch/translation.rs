//! Translates a request to the API of a provider, and its answer back to the API of the client.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use signalbox_core::{
    Api,
    openai::{ErrorBody, ProviderError},
    provider_type::ProviderType,
};
use signalbox_translate::{
    Action, Decoder, EmitOptions, Emitter, Loss, Losses, RequestError, hub, read_answer, read_continued_request,
    read_request, write_answer, write_request,
};

use super::{AcceptedAnswer, ClientRequest, failure::AttemptError, framing::Framing, passed::report};
use crate::{
    clock,
    provider::target,
    reasoning::{Maker, ReasoningMemory, Recorder},
    relay::{Source, Translated, TranslatedStream, counts},
};

/// Header with which clients of Messages ask for features that are being tried.
const BETAS: HeaderName = HeaderName::from_static("anthropic-beta");

/// A request in the API of a provider, and what the way back needs.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) body: Bytes,
    /// Whether the provider is asked for a stream.
    pub(super) stream: bool,
    translated: Translated,
    options: EmitOptions,
    /// Reads what the answer has to get back in the next turn.
    recorder: Option<Recorder>,
}

/// Inputs of a translation beside the request and its target.
pub(super) struct Context<'a> {
    /// Id of the exchange.
    pub(super) id: &'a str,
    /// Whether the client, its key or the route allows no loss.
    pub(super) is_strict: bool,
    /// Whether the stream is asked for its token counts.
    pub(super) counts: bool,
    /// Losses before the translation.
    pub(super) lost: Losses,
    /// Memory of what earlier answers have to get back, the client, and the model that is asked.
    pub(super) memory: Option<(&'a Arc<ReasoningMemory>, u64, Maker)>,
}

impl Translation {
    /// Translates a request, which continues the `stored` items. `model` is the name of the model at the provider.
    ///
    /// # Errors
    /// Fails if the request cannot be read or translated, or if a field is lost and the client, its key or the route does not
    /// allow it.
    pub(super) fn new(
        ClientRequest { headers, body, envelope, .. }: ClientRequest<'_>,
        stored: Option<&[hub::Json]>,
        (kind, provider): (&ProviderType, Api),
        model: Option<&str>,
        Context { id, is_strict, counts, lost: mut losses, memory }: Context<'_>,
    ) -> Result<Self, RequestError> {
        let mut request = match stored {
            Some(stored) => read_continued_request(body, stored)?,
            None => read_request(envelope.api, body)?,
        };
        // Without tools, there are no calls to give something back to.
        let memory = memory.filter(|_| !request.tools.is_empty());
        let recorder = memory.map(|(memory, scope, maker)| {
            let (known, origin) = memory.give_back(&mut request, scope, maker);
            losses.append(known);
            Recorder::new(Arc::clone(memory), origin)
        });
        let mut target = target(kind, provider, model);
        target.usage_option &= counts;
        let written = write_request(provider, &request, &target)?;
        let own = losses.without(&written.losses);
        let mut losses = written.losses;
        losses.append(own);
        if envelope.api == Api::Messages && headers.contains_key(BETAS) {
            losses.add(no_betas());
        }
        if let Some(error) = losses.to_error().filter(|_| is_strict) {
            return Err(error);
        }
        let options = EmitOptions {
            id: id.to_owned(),
            created: u64::try_from(clock::unix_ms() / 1000).unwrap_or_default(),
            model: String::new(),
            include_usage: envelope.include_usage,
            summaries: true,
            tools: written.tools,
            stops: written.stops,
            previous: envelope.previous.clone(),
        };
        let translated = Translated { client: envelope.api, provider, losses };
        Ok(Self { body: written.body.into(), stream: written.stream, translated, options, recorder })
    }

    /// Translates an answer of the provider.
    pub(super) fn answer(self, answer: AcceptedAnswer) -> Result<AcceptedAnswer, AttemptError> {
        match answer {
            AcceptedAnswer::Stream { mut headers, begun, rest, has_token } => {
                report(self.translated.text(Losses::default()), &mut headers);
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Events.content_type()));
                let decoder = Decoder::new(self.translated.provider, &self.options.id);
                let emitter = Emitter::new(self.translated.client, self.options);
                let stream = TranslatedStream::new(begun, rest, (decoder, emitter), self.translated, self.recorder);
                let rest = Source::Translated(Box::new(stream));
                Ok(AcceptedAnswer::Stream { headers, begun: Vec::new(), rest, has_token })
            }
            AcceptedAnswer::Whole { mut headers, body, .. } => {
                let Translated { client, provider, .. } = self.translated;
                let answer = read_answer(provider, &body).map_err(|failure| reported(failure, &body))?;
                let usage = answer.usage.as_ref().and_then(counts);
                if let Some(recorder) = self.recorder {
                    recorder.answer(&answer);
                }
                let (body, lost) =
                    write_answer(client, answer, self.options.clone()).map_err(|failure| reported(failure, &body))?;
                report(self.translated.text(lost), &mut headers);
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Json.content_type()));
                Ok(AcceptedAnswer::Whole { headers, body: body.into(), failure: None, usage })
            }
        }
    }
}

/// Returns the loss of the betas of Messages, which mean nothing in another API.
fn no_betas() -> Loss {
    Loss {
        field: "betas".to_owned(),
        action: Action::Dropped,
        from: None,
        to: None,
        why: "the provider's API has no such header".into(),
    }
}

/// Converts a failure that an answer reports.
pub(super) fn reported(failure: hub::Failure, body: &Bytes) -> AttemptError {
    let hub::Failure { status, message, kind, code, param, .. } = failure;
    let error = ProviderError { message, status, code, kind, param };
    let body =
        if body.starts_with(b"{") { body.clone() } else { ErrorBody { error: error.to_object() }.to_json().into() };
    AttemptError::Reported { error: Box::new(error), body }
}
