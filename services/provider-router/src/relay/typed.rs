//! Relays a stream of Messages or Responses, whose events name their type.
//!
//! Only whole events are passed on, unchanged, as soon as they are complete: half an event is of no use to a client,
//! and one that breaks off is dropped. Pieces that consist of whole events, as nearly all do, are passed on without a
//! copy.

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use serde::de::IgnoredAny;
use signalbox_core::{
    Api,
    masking::Masker,
    openai::{Ending, ProviderError},
    schema::RequestStatus,
    sse::{self, FrameTooLong, Splitter},
    typed::{TypedEvent, TypedReader, mask_errors},
};
use signalbox_translate::{hub, write_error_event};

use super::{BoxError, Broken, MAX_DRAINED, MAX_EVENT, Phase, Relay};

/// The state of a stream of events.
#[derive(Debug)]
pub(super) struct TypedStream {
    api: Api,
    splitter: Splitter,
    reader: TypedReader,
    /// Bytes that have been pushed and are not part of an event that has been taken.
    pending: usize,
}

/// The events of one piece.
pub(super) enum Taken {
    /// Events that may be passed on.
    Pass(Bytes),
    /// The last of the events ends the answer.
    Done { before: Bytes, last: Bytes },
    /// The last of the events reports an error. An event of the API follows unless clients recognise it.
    Failed { all: Bytes, error: Box<ProviderError>, is_native: bool },
    /// The unfinished event is too long. The events before it may be passed on.
    Endless(Bytes),
}

// === impl TypedStream ===

impl TypedStream {
    pub(super) fn new(api: Api) -> Self {
        Self { api, splitter: Splitter::new(MAX_EVENT), reader: TypedReader::new(api), pending: 0 }
    }

    pub(super) const fn ending(&self) -> &Ending {
        self.reader.ending()
    }

    /// Takes the events that are complete with the next piece. `mask` masks events that may quote a secret.
    pub(super) fn take(&mut self, piece: Bytes, mask: impl Fn(Bytes, Quotes) -> Bytes) -> Taken {
        let whole = piece.clone();
        let is_fresh = self.pending == 0;
        self.pending += piece.len();
        self.splitter.push(piece);
        let mut passed = Passed { joined: BytesMut::new(), begin: is_fresh.then_some(whole), len: 0 };
        loop {
            let frame = match self.splitter.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Taken::Pass(passed.finish()),
                Err(FrameTooLong { .. }) => return Taken::Endless(passed.finish()),
            };
            self.pending -= frame.raw().len().min(self.pending);
            if let Some(last) = passed.add(&frame, &mut self.reader, &mask) {
                return last;
            }
        }
    }

    /// Takes the event at the end of a stream that lacks its blank line.
    pub(super) fn take_last(&mut self, mask: impl Fn(Bytes, Quotes) -> Bytes) -> Taken {
        let mut passed = Passed { joined: BytesMut::new(), begin: None, len: 0 };
        self.pending = 0;
        while let Some(frame) = self.splitter.finish() {
            // Half an event may have half a key, which cannot be found.
            let is_whole = frame.data().is_some_and(|data| serde_json::from_slice::<IgnoredAny>(&data).is_ok());
            if is_whole && let Some(last) = passed.add(&frame, &mut self.reader, &mask) {
                return last;
            }
        }
        // Any other event without its end may be half of one.
        Taken::Pass(Bytes::new())
    }
}

/// Parts of an event that are the provider's own words, which may quote a secret.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quotes {
    /// The errors beside the content.
    Errors,
    /// All of the event.
    Anything,
}

impl Quotes {
    /// Returns the event with the secrets in these parts masked.
    pub(super) fn masked(self, event: Bytes, masker: &Masker) -> Bytes {
        let masked = match self {
            Self::Errors => mask_errors(&event, masker),
            Self::Anything => masker.mask(&event),
        };
        masked.map_or(event, Bytes::from)
    }
}

/// The events of a piece that may be passed on.
struct Passed {
    /// They, joined, once they are not simply the beginning of the piece.
    joined: BytesMut,
    /// The piece, while they are its beginning.
    begin: Option<Bytes>,
    len: usize,
}

impl Passed {
    /// Adds an event. Returns the result if nothing follows it.
    fn add(
        &mut self,
        frame: &sse::Frame,
        reader: &mut TypedReader,
        mask: impl Fn(Bytes, Quotes) -> Bytes,
    ) -> Option<Taken> {
        if reader.is_usual(frame.raw()) {
            self.push(frame.raw());
            return None;
        }
        let raw = frame.raw().clone();
        match reader.read(frame) {
            TypedEvent::Preamble | TypedEvent::Content => self.push(&mask(raw, Quotes::Errors)),
            TypedEvent::Unknown => self.push(&mask(raw, Quotes::Anything)),
            TypedEvent::Done => {
                let last = mask(raw, Quotes::Errors);
                return Some(Taken::Done { before: self.take(), last });
            }
            TypedEvent::Failed { error, is_native } => {
                self.push(&mask(raw, Quotes::Anything));
                return Some(Taken::Failed { all: self.take(), error, is_native });
            }
        }
        None
    }

    fn push(&mut self, event: &Bytes) {
        let at = self.len;
        self.len += event.len();
        let is_next =
            |whole: &Bytes| whole.get(at..at + event.len()).is_some_and(|next| next.as_ptr() == event.as_ptr());
        if self.begin.as_ref().is_some_and(is_next) {
            return;
        }
        if let Some(whole) = self.begin.take() {
            self.joined.extend_from_slice(&whole[..at]);
        }
        self.joined.extend_from_slice(event);
    }

    fn take(&mut self) -> Bytes {
        match self.begin.take() {
            Some(whole) => whole.slice(..self.len),
            None => self.joined.split().freeze(),
        }
    }

    fn finish(mut self) -> Bytes {
        self.take()
    }
}

/// Adds the blank line that an event lacks.
pub(super) fn with_blank_line(event: Bytes) -> Bytes {
    if [&b"\n\n"[..], b"\r\r", b"\r\n\r\n"].iter().any(|line| event.ends_with(line)) {
        return event;
    }
    super::join(&event, b"\n\n")
}

// === impl Relay ===

impl Relay {
    /// Processes the next bytes of a stream of events, and returns those that may be passed on.
    pub(super) fn pass_events(&mut self, bytes: Bytes) -> Option<Result<Frame<Bytes>, BoxError>> {
        let Some(stream) = &mut self.typed else { return None };
        let masker = self.exchange.masker();
        let taken = stream.take(bytes, |event, quotes| quotes.masked(event, masker));
        if stream.ending().is_known() {
            self.exchange.observe(stream.ending());
        }
        self.passed_events(taken)
    }

    /// Handles the end of a stream of events that has no terminal event.
    pub(super) fn ended_events(&mut self, why: &Broken) -> Option<Result<Frame<Bytes>, BoxError>> {
        if matches!(why, Broken::Unfinished)
            && let Some(stream) = &mut self.typed
        {
            let masker = self.exchange.masker();
            match stream.take_last(|event, quotes| quotes.masked(event, masker)) {
                Taken::Done { before, last } => {
                    let last = with_blank_line(last);
                    self.exchange.observe(stream.ending());
                    return self.passed_events(Taken::Done { before, last });
                }
                Taken::Failed { all, error, is_native } => {
                    let all = with_blank_line(all);
                    return self.passed_events(Taken::Failed { all, error, is_native });
                }
                Taken::Pass(_) | Taken::Endless(_) => {}
            }
        }
        Some(self.broken(why, &[]))
    }

    fn passed_events(&mut self, taken: Taken) -> Option<Result<Frame<Bytes>, BoxError>> {
        let passed = match taken {
            Taken::Pass(events) => {
                self.exchange.answer(&events);
                events
            }
            Taken::Done { before, last } => {
                self.exchange.answer(&before);
                self.exchange.answer(&last);
                self.exchange.note_sealed(&last);
                self.note_usage();
                self.note_losses();
                self.last = Some((self.exchange.finish(RequestStatus::Completed, None), last));
                self.phase = Phase::Draining { left: MAX_DRAINED };
                before
            }
            Taken::Failed { all, error, is_native } => {
                let message = self.exchange.masker().mask_text(&error.message).into_owned();
                let id = self.exchange.id().simple().to_string();
                self.exchange.answer(&all);
                let own = self.typed.as_ref().filter(|_| !is_native).map(|stream| {
                    let failure = hub::Failure::new(hub::ErrorClass::Server, message.clone());
                    write_error_event(stream.api, &failure, stream.reader.started(), &id)
                });
                let all = own.map_or_else(|| all.clone(), |own| super::join(&all, &own));
                self.judge(&error);
                self.note_losses();
                // The response is incomplete anyway, so no last byte has to be held back.
                drop(self.exchange.finish(RequestStatus::Failed, Some(message)));
                self.phase = Phase::Draining { left: MAX_DRAINED };
                all
            }
            Taken::Endless(events) => {
                self.exchange.answer(&events);
                return Some(self.broken(&Broken::EndlessEvent, &events));
            }
        };
        (!passed.is_empty()).then(|| Ok(Frame::data(passed)))
    }

    /// Returns the error event of the client's API for a stream that broke off.
    pub(super) fn error_event(&self, stream: &TypedStream, why: &Broken, request_id: &str) -> Vec<u8> {
        let class = match why {
            Broken::Upstream(error) if error.is_timeout() => hub::ErrorClass::Timeout,
            Broken::ShuttingDown => hub::ErrorClass::Overloaded,
            _ => hub::ErrorClass::Server,
        };
        let failure = hub::Failure { code: Some(why.code().to_owned()), ..hub::Failure::new(class, why.to_string()) };
        write_error_event(stream.api, &failure, stream.reader.started(), request_id)
    }
}
