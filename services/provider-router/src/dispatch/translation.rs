//! Translates a request to the API of a provider, and its answer back to the API of the client.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use signalbox_core::{
    Api,
    openai::{ErrorBody, ProviderError},
    provider_type::ProviderType,
};
use signalbox_translate::{
    Action, Decoder, EmitOptions, Emitter, Loss, Losses, RequestError, hub, read_answer, read_continued_request,
    read_request, write_answer, write_request,
};

use super::{AcceptedAnswer, ClientRequest, failure::AttemptError, framing::Framing};
use crate::{
    clock,
    exchange::TRANSLATION,
    provider::target,
    relay::{Source, Translated, TranslatedStream, counts},
};

/// Header with which clients of Messages ask for features that are being tried.
const BETAS: HeaderName = HeaderName::from_static("anthropic-beta");

/// A client that sends `true` has its request refused instead of losing a field.
const STRICT: HeaderName = HeaderName::from_static("x-signalbox-strict");

/// A request in the API of a provider, and what the way back needs.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) body: Bytes,
    translated: Translated,
    options: EmitOptions,
}

impl Translation {
    /// Translates a request, which continues the `stored` items. `model` is the name of the model at the provider, `id`
    /// the id of the exchange.
    ///
    /// # Errors
    /// Fails if the request cannot be read or translated, or if a field is lost and the client, its key or the route does not
    /// allow it.
    pub(super) fn new(
        ClientRequest { headers, body, envelope, .. }: ClientRequest<'_>,
        stored: Option<&[hub::Json]>,
        (kind, provider): (&ProviderType, Api),
        model: Option<&str>,
        (id, is_strict): (&str, bool),
    ) -> Result<Self, RequestError> {
        let request = match stored {
            Some(stored) => read_continued_request(body, stored)?,
            None => read_request(envelope.api, body)?,
        };
        let written = write_request(provider, &request, &target(kind, provider, model))?;
        let mut losses = written.losses;
        if envelope.api == Api::Messages && headers.contains_key(BETAS) {
            losses.add(no_betas());
        }
        let is_asked = headers.get(STRICT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
        let is_strict = is_strict || is_asked;
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
        Ok(Self { body: written.body.into(), translated, options })
    }

    /// Translates an answer of the provider.
    pub(super) fn answer(self, answer: AcceptedAnswer) -> Result<AcceptedAnswer, AttemptError> {
        match answer {
            AcceptedAnswer::Stream { mut headers, begun, rest } => {
                report(self.translated.text(Losses::default()), &mut headers);
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Events.content_type()));
                let decoder = Decoder::new(self.translated.provider, &self.options.id);
                let emitter = Emitter::new(self.translated.client, self.options);
                let stream = TranslatedStream::new(begun, rest, (decoder, emitter), self.translated);
                Ok(AcceptedAnswer::Stream { headers, begun: Vec::new(), rest: Source::Translated(Box::new(stream)) })
            }
            AcceptedAnswer::Whole { mut headers, body, .. } => {
                let Translated { client, provider, .. } = self.translated;
                let answer = read_answer(provider, &body).map_err(|failure| reported(failure, &body))?;
                let usage = answer.usage.as_ref().and_then(counts);
                let (body, lost) =
                    write_answer(client, answer, self.options.clone()).map_err(|failure| reported(failure, &body))?;
                report(self.translated.text(lost), &mut headers);
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Framing::Json.content_type()));
                Ok(AcceptedAnswer::Whole { headers, body: body.into(), failure: None, usage })
            }
        }
    }
}

/// Sets the header that tells which APIs were translated and what was lost.
pub(super) fn report(text: String, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TRANSLATION, value);
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
