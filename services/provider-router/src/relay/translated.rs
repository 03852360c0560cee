//! A provider's stream, translated to the API of the client.

use std::{
    task::{Context, Poll, ready},
    vec::IntoIter,
};

use bytes::Bytes;
use signalbox_core::{
    Api,
    openai::{ChunkView, Usage},
    sse::{Frame, Splitter},
    token_classes::TokenClasses,
};
use signalbox_translate::{
    Decoder, Emitter, Losses,
    hub::{self, ErrorClass, Event, Failure},
};

use super::{MAX_EVENT, Source};
use crate::reasoning::Recorder;

/// The APIs between which a request was translated, and what the request lost.
#[derive(Clone, Debug)]
pub struct Translated {
    /// API of the client.
    pub client: Api,
    /// API of the provider.
    pub provider: Api,
    /// Losses of the request.
    pub losses: Losses,
}

// === impl Translated ===

impl Translated {
    /// Returns the text that names the APIs and all losses: those of the request, and of the `answer`.
    #[must_use]
    pub fn text(&self, answer: Losses) -> String {
        let mut losses = self.losses.clone();
        losses.append(answer);
        let (lost, separator) = (losses.to_header(), if losses.is_empty() { "" } else { "; " });
        format!("{}-{}{separator}{lost}", self.client, self.provider)
    }
}

/// A stream that is translated event by event.
///
/// A stream that breaks off ends without its terminal event, as it came: the relay tells the client.
#[derive(Debug)]
pub struct TranslatedStream {
    /// Pieces read before the decision to relay the stream.
    prefix: IntoIter<Bytes>,
    source: Source,
    splitter: Splitter,
    decoder: Decoder,
    emitter: Emitter,
    translated: Translated,
    /// Reads what the answer has to get back in the next turn.
    recorder: Option<Recorder>,
    events: Vec<Event>,
    /// The newest token counts, which a client of Chat Completions sees only if it asks for them.
    usage: Option<Usage>,
    /// The cost that a provider of Chat Completions reports beside the counts, in pico-dollars.
    cost_picos: Option<u64>,
    out: Vec<u8>,
    has_ended: bool,
}

// === impl TranslatedStream ===

impl TranslatedStream {
    /// Translates `prefix` and then `source`.
    #[must_use]
    pub fn new(
        prefix: Vec<Bytes>,
        source: Source,
        (decoder, emitter): (Decoder, Emitter),
        translated: Translated,
        recorder: Option<Recorder>,
    ) -> Self {
        Self {
            prefix: prefix.into_iter(),
            source,
            splitter: Splitter::new(MAX_EVENT),
            decoder,
            emitter,
            translated,
            recorder,
            events: Vec::new(),
            usage: None,
            cost_picos: None,
            out: Vec::new(),
            has_ended: false,
        }
    }

    /// Returns the token counts that the provider has sent.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage.map(|usage| Usage { cost_picos: self.cost_picos, ..usage })
    }

    /// Returns the text that names the APIs and everything that was lost so far; `None` if the answer has lost nothing.
    #[must_use]
    pub fn translation(&self) -> Option<String> {
        let losses = self.emitter.losses();
        (!losses.is_empty()).then(|| self.translated.text(losses.clone()))
    }

    /// Polls for the next events of the client's API; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, signalbox_upstream::Error>>> {
        loop {
            if !self.out.is_empty() {
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.out).into())));
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            let next = match self.prefix.next() {
                Some(bytes) => Some(Ok(bytes)),
                None => ready!(self.source.poll_data(cx)),
            };
            match next {
                Some(Ok(bytes)) => {
                    self.splitter.push(bytes);
                    loop {
                        match self.splitter.next_frame() {
                            Ok(Some(frame)) => self.translate(&frame),
                            Ok(None) => break,
                            Err(_) if self.decoder.is_complete() => {
                                self.finish();
                                break;
                            }
                            Err(too_long) => {
                                let message =
                                    format!("The provider sent an event of more than {} bytes.", too_long.limit);
                                self.events.push(Event::Failed(Failure::new(ErrorClass::Foreign, message)));
                                self.emit();
                                break;
                            }
                        }
                    }
                    self.has_ended |= self.emitter.has_ended();
                }
                // Nothing counts after the finish of the answer, as in a chat stream that is not translated.
                Some(Err(error)) if !self.decoder.is_complete() => {
                    self.has_ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Err(_)) | None => self.finish(),
            }
        }
    }

    /// Translates what has come of an unfinished event, and ends the stream if the answer is complete.
    fn finish(&mut self) {
        while let Some(frame) = self.splitter.finish() {
            self.translate(&frame);
        }
        self.decoder.finish(&mut self.events);
        self.events.retain(|event| !matches!(event, Event::Failed(Failure { class: ErrorClass::Incomplete, .. })));
        self.emit();
        self.has_ended = true;
    }

    fn translate(&mut self, frame: &Frame) {
        if let Some(data) = frame.data() {
            if memchr::memmem::find(&data, b"\"cost\"").is_some() {
                let usage = ChunkView::read(&data).and_then(|chunk| chunk.usage());
                self.cost_picos = usage.and_then(|usage| usage.cost_picos).or(self.cost_picos);
            }
            let name = frame.event().and_then(|name| std::str::from_utf8(name).ok());
            self.decoder.push(name, &data, &mut self.events);
            self.emit();
        } else {
            // A comment shows that the provider is alive.
            self.emitter.push(Event::Ping, &mut self.out);
        }
    }

    fn emit(&mut self) {
        for event in self.events.drain(..) {
            if let Event::Usage(usage) = &event {
                self.usage = counts(usage).or(self.usage);
            }
            if let Some(recorder) = &mut self.recorder {
                recorder.push(&event);
            }
            self.emitter.push(event, &mut self.out);
        }
    }
}

/// Converts the counts of the hub; `None` if they are all zero.
pub fn counts(usage: &hub::Usage) -> Option<Usage> {
    let count = |tokens| i64::try_from(tokens).unwrap_or(i64::MAX).min(Usage::MAX_COUNT);
    let (prompt, completion) = (count(usage.prompt()), count(usage.completion()));
    let mut classes = TokenClasses {
        cache_read: count(usage.cache_read),
        cache_write_short: count(usage.cache_write_short),
        cache_write_long: count(usage.cache_write_long),
        input_audio: count(usage.input_audio),
        input_image: count(usage.input_image),
        reasoning: count(usage.reasoning),
        output_audio: count(usage.output_audio),
        output_image: count(usage.output_image),
        is_adjusted: usage.is_odd,
    };
    classes.fit(prompt, completion);
    Usage { classes, web_searches: count(usage.web_searches), ..Usage::new(prompt, completion) }.known()
}
