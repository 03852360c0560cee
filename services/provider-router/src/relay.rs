//! Relays a streamed response to the client.
//!
//! Bytes are passed on as they arrive. Only the event `data: [DONE]` is held back until the end of the request is
//! written to the journal; bytes before it in the same piece are passed on at once, and bytes after it are dropped. A
//! stream that breaks off ends with an error event and an aborted connection, never as if it were complete. If the
//! provider itself reports an error, its error event is the last: nothing follows it, and the response ends normally,
//! because clients that receive two errors, or see the connection break, discard the whole response as damaged.
//!
//! An unfinished line is withheld until it is complete, up to 1 MiB: if the stream breaks off within it, it is dropped,
//! so that the next event that clients parse is the error and not the half of an event. Clients cannot use half a line
//! earlier anyway, and providers nearly always send whole events, so usually nothing is withheld and nothing is copied.
//! Of a line beyond 1 MiB, and of an event that breaks off between two of its lines, clients do see the half.
//!
//! Providers quote the key they refuse, so the credentials of the provider are masked in events that are no chunks or
//! report errors; such an event is withheld as a whole. Text of the model is never changed.
//!
//! A stream that breaks off after the finish reason of every answer is complete: it ends as if it had been closed
//! there.
//!
//! The end is recognised in the relayed bytes ([`EndScanner`]), independently of what the log keeps of them.
//!
//! This is the way of Chat Completions. Streams of the other APIs are relayed by whole events ([`typed`]). Where the
//! provider speaks another API than the client, the stream is translated first ([`translated`]).

mod broken;
mod drain;
mod fault;
mod kept;
mod line_end;
mod resume;
mod source;
mod translated;
mod typed;
mod unasked_usage;
mod unfinished;
mod whole;
mod windowed;

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use broken::Broken;
use bytes::{Bytes, BytesMut};
use http::Version;
use http_body::Frame;
pub use kept::KeptEvents;
use line_end::{end_event, is_blank_line};
pub use resume::{NewAnswer, ResumableStream, Resume, Resumed};
use signalbox_core::{
    Api,
    openai::{EndScanner, ErrorBody, Failed, Scan},
    schema::RequestStatus,
};
pub use source::Source;
use tokio::{
    task::coop::has_budget_remaining,
    time::{Duration, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
pub use translated::{Translated, TranslatedStream, counts};
use typed::TypedStream;
pub use unasked_usage::UncountedStream;
pub use whole::{PIECE, WholeAnswer};
pub use windowed::WindowedStream;

use crate::{exchange::Exchange, journal::Written};

/// Error that makes hyper abort the connection in the middle of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Maximum bytes of one event, the same as for a complete response. They are counted, not buffered.
const MAX_EVENT: usize = 64 << 20;
/// Maximum bytes after the end event that are read and dropped, so that the connection can be reused.
const MAX_DRAINED: usize = 64 << 10;
/// Maximum time for which the end of the response waits for that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes passed on without a pause from which the connection may have a backlog.
const BACKLOG: usize = 64 << 10;
/// Time for the last frames of an HTTP/2 stream, or of a connection with a backlog, to be written before it is reset.
pub(crate) const FLUSH_PAUSE: Duration = Duration::from_millis(100);

/// A stream being relayed.
pub struct Relay {
    /// Declared before `source` to be dropped first: when a client disconnects, its permit is free before the
    /// connection to the provider is closed.
    exchange: Exchange,
    source: Source,
    /// Pieces read before the decision to relay the stream.
    prefix: std::vec::IntoIter<Bytes>,
    scanner: EndScanner,
    /// State of a stream of another API than Chat Completions.
    typed: Option<Box<TypedStream>>,
    /// Possible beginning of the end event.
    held: Bytes,
    /// An unfinished line, or an unfinished event that may quote a secret. It precedes the bytes in `held`.
    withheld: BytesMut,
    /// Bytes that follow those of the last frame and need no further processing.
    queued: Option<Bytes>,
    phase: Phase,
    /// The end is written, but perhaps not synced yet; the bytes are released once it is.
    last: Option<(Written, Bytes)>,
    /// Line ends of the end event released so far, while its blank line is incomplete.
    line_end: Option<&'static str>,
    /// Time at which a provider that does not end its stream is given up.
    drained_by: Option<Pin<Box<Sleep>>>,
    /// Whether the response goes over HTTP/2.
    is_http2: bool,
    /// Bytes passed on since the provider paused last, when the connection could write what it had.
    unpaused: usize,
    /// Whether the error event waits in a backlog of the connection.
    has_backlog: bool,
    /// Ready once the request has been cancelled, or the shutdown stops waiting for streams.
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Bytes are passed on.
    Passing,
    /// The client has everything; the provider may still send `left` bytes before it has to end its stream.
    Draining { left: usize },
    /// The error event has been handed to hyper and has to be flushed.
    Broken,
    /// The error event has been flushed; the connection is aborted next.
    Breaking,
    /// The response has ended.
    Over,
}

// === impl Relay ===

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("exchange", &self.exchange.id())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Relays `prefix` and then `source`, a stream of `api` with `choices` answers. Cancelling [`Exchange::stop`] ends the
    /// stream early.
    #[must_use]
    pub fn new((prefix, source): (Vec<Bytes>, Source), exchange: Exchange, api: Api, choices: u32) -> Self {
        let stop = Box::pin(exchange.stop().clone().cancelled_owned());
        Self {
            typed: (api != Api::Chat).then(|| Box::new(TypedStream::new(api))),
            source,
            prefix: prefix.into_iter(),
            scanner: EndScanner::new(choices),
            held: Bytes::new(),
            withheld: BytesMut::new(),
            queued: None,
            exchange,
            phase: Phase::Passing,
            last: None,
            line_end: None,
            drained_by: None,
            is_http2: false,
            unpaused: 0,
            has_backlog: false,
            stop,
        }
    }

    /// Returns the request of a stream that is not passed on.
    #[cfg(test)]
    fn into_exchange(self) -> Exchange {
        self.exchange
    }

    /// Relays over this version of HTTP.
    #[must_use]
    pub fn over(self, version: Version) -> Self {
        Self { is_http2: version == Version::HTTP_2, ..self }
    }

    /// Returns the token that is cancelled when the request has to end at once.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        self.exchange.stop()
    }

    /// Returns whether an operator has cancelled the request.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.exchange.is_cancelled()
    }

    /// Polls for the next frame; see [`http_body::Body::poll_frame`].
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = self.poll_next(cx);
        match &next {
            Poll::Pending => self.unpaused = 0,
            Poll::Ready(Some(Ok(frame))) => self.unpaused += frame.data_ref().map_or(0, Bytes::len),
            Poll::Ready(_) => {}
        }
        next
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            // Events that have been judged already come before anything that a later phase adds.
            if let Some(bytes) = self.queued.take() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            // The terminal event leaves only after the journal has the end of the request: a client that has seen it
            // finds the request in the log, even if the process dies at that moment.
            if let Some((written, _)) = &mut self.last {
                ready!(Pin::new(written).poll(cx));
                let (_, bytes) = self.last.take().unwrap_or_default();
                if !bytes.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
            }
            match self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Broken => {
                    // A reset of an HTTP/2 stream, or of a connection with a backlog, drops the frames that have not been
                    // written yet.
                    if self.is_http2 || self.has_backlog {
                        ready!(self.poll_flush_pause(cx));
                    }
                    // Returning `Pending` once makes hyper flush the error event before the connection is aborted. If the
                    // task has used up its budget of Tokio, sockets write nothing before the next poll.
                    if has_budget_remaining() {
                        self.phase = Phase::Breaking;
                    }
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Phase::Breaking => {
                    self.phase = Phase::Over;
                    return Poll::Ready(Some(Err("stream was interrupted".into())));
                }
                Phase::Draining { left } => {
                    // A break of the stream behind its end must not call, and charge, another provider.
                    if let Source::Resumable(resumable) = self.source.unguarded_mut() {
                        resumable.stop_resuming();
                    }
                    // Some providers send the blank line of the terminal event in a packet of its own.
                    if let Some(begun) = self.line_end {
                        return self.poll_line_end(begun, cx).map(|bytes| Some(Ok(Frame::data(bytes))));
                    }
                    // A connection whose response has been read to its end can serve another request.
                    ready!(self.poll_drained(left, cx));
                    self.phase = Phase::Over;
                    return Poll::Ready(None);
                }
                Phase::Passing => {}
            }
            let next = match self.prefix.next() {
                // A provider that never pauses must not outrun the cancellation.
                _ if self.exchange.is_cancelled() => Some(Err(Broken::Cancelled)),
                Some(bytes) => Some(Ok(bytes)),
                // The shutdown is asked only while the provider is silent: bytes that are there reach the client first.
                None => match self.poll_source(cx) {
                    Poll::Ready(next) => next.map(|next| next.map_err(Broken::Upstream)),
                    Poll::Pending if self.stop.as_mut().poll(cx).is_ready() => Some(Err(self.stopped())),
                    // The client has everything that was received, so the journal gets it soon, too.
                    Poll::Pending => {
                        self.exchange.poll_part(cx);
                        return Poll::Pending;
                    }
                },
            };
            let frame = match next {
                Some(Ok(bytes)) if self.typed.is_some() => self.pass_events(bytes),
                Some(Ok(bytes)) => self.pass(bytes),
                Some(Err(why)) => self.ended_by(why),
                None => self.ended_by_itself(),
            };
            if let Some(frame) = frame {
                return Poll::Ready(Some(frame));
            }
        }
    }

    /// Returns why the request has to end at once.
    fn stopped(&self) -> Broken {
        if self.exchange.is_cancelled() { Broken::Cancelled } else { Broken::ShuttingDown }
    }

    /// Polls the source, and records a change of the target that it made.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, signalbox_upstream::Error>>> {
        let next = self.source.poll_data(cx);
        if let Source::Resumable(resumable) = self.source.unguarded_mut() {
            while let Some(switch) = resumable.take_switch() {
                self.exchange.switched(switch);
            }
        }
        next
    }

    /// Handles the end of a stream without its terminal event.
    fn ended_by(&mut self, why: Broken) -> Option<Result<Frame<Bytes>, BoxError>> {
        if self.typed.is_some() { self.ended_events(&why) } else { self.ended(why) }
    }

    /// Handles the end of a stream that the provider, or a guardrail, has ended without its terminal event.
    fn ended_by_itself(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        match &self.source {
            Source::Windowed(windowed) => match windowed.stopped() {
                Some(stopped) => Some(self.broken(&Broken::Guarded(stopped), &[])),
                None => self.ended_by(Broken::Unfinished),
            },
            _ => self.ended_by(Broken::Unfinished),
        }
    }

    /// Processes the next bytes, and returns those that may be passed on.
    fn pass(&mut self, bytes: Bytes) -> Option<Result<Frame<Bytes>, BoxError>> {
        let mut bytes = if self.held.is_empty() { bytes } else { join(&std::mem::take(&mut self.held), &bytes) };
        let scan = self.scanner.scan(&bytes);
        if self.scanner.ending().is_known() {
            self.exchange.observe(self.scanner.ending());
        }
        if self.scanner.event_len() > MAX_EVENT {
            return Some(self.broken(&Broken::EndlessEvent, &[]));
        }
        match scan {
            // Even bytes that may pass can end in the beginning of a secret, which only the next ones tell.
            Scan::Pass => return self.withhold(bytes),
            // The beginning of what may become the terminal event or an error waits for its rest, or else a stream that
            // breaks off there would look complete.
            Scan::Hold(at) => {
                self.held = bytes.split_off(at);
                return self.withhold(bytes);
            }
            Scan::Done(at) => {
                // Bytes behind the terminal event are none of the answer. They are read while draining, and dropped.
                let (last, begun) = end_event(&bytes.split_off(at));
                self.line_end = (!is_blank_line(begun)).then_some(begun);
                bytes = self.released_masked(bytes);
                self.exchange.answer(&bytes);
                self.exchange.answer(&last);
                self.complete(last);
            }
            Scan::Failed(failed) => {
                bytes.truncate(failed.end);
                let bytes = self.released_masked(bytes);
                let blank_line = if bytes.ends_with(b"\r") { "\n" } else { "" };
                return Some(self.failed(&bytes, blank_line, &failed));
            }
        }
        (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)))
    }

    /// Returns the source that is being passed on.
    fn passed_source(&self) -> &Source {
        match self.source.unguarded() {
            Source::Resumable(resumable) => resumable.source(),
            source => source,
        }
    }

    /// Takes over what the translation of the answer lost, which its head could not tell.
    fn note_losses(&mut self) {
        if let Source::Translated(translated) = self.passed_source()
            && let Some(text) = translated.translation()
        {
            self.exchange.note_losses(text);
        }
    }

    /// Takes over the token counts that the client has not seen.
    fn note_usage(&mut self) {
        match self.passed_source() {
            Source::Translated(translated) => self.exchange.note_usage(translated.usage()),
            Source::Uncounted(uncounted) => self.exchange.note_usage(uncounted.usage()),
            _ => {}
        }
    }

    /// Writes the end of a complete response; `last` is released once it is written.
    fn complete(&mut self, last: Bytes) {
        let failure = self.scanner.ending().failure.as_deref();
        let failure = failure.map(|failure| self.exchange.masker().mask_text(failure).into_owned());
        let status = if failure.is_some() { RequestStatus::Failed } else { RequestStatus::Completed };
        self.note_usage();
        self.note_losses();
        self.last = Some((self.exchange.finish(status, failure), last));
        self.phase = Phase::Draining { left: MAX_DRAINED };
    }

    /// Ends the request with the provider's own error event, the last one in `bytes`, where it is masked. An event in
    /// OpenAI's format follows if clients would not recognise the provider's format.
    fn failed(&mut self, bytes: &[u8], blank_line: &str, failed: &Failed) -> Result<Frame<Bytes>, BoxError> {
        // Providers quote the key they refuse.
        let masker = self.exchange.masker();
        let message = masker.mask_text(&failed.error.message).into_owned();
        let mut last = [bytes, blank_line.as_bytes()].concat();
        if !failed.is_plain {
            let event = ErrorBody { error: failed.error.to_object() }.to_event();
            last.extend_from_slice(masker.mask_text(&event).as_bytes());
        }
        self.exchange.answer(bytes);
        self.judge(&failed.error);
        self.note_losses();
        // The response is incomplete anyway, so no last byte has to be held back.
        drop(self.exchange.finish(RequestStatus::Failed, Some(message)));
        self.phase = Phase::Draining { left: MAX_DRAINED };
        Ok(Frame::data(last.into()))
    }

    /// Ends the request as broken off, and returns the error event for the client, after the bytes in `before`.
    fn broken(&mut self, why: &Broken, before: &[u8]) -> Result<Frame<Bytes>, BoxError> {
        let typed = self.typed.as_ref().map(|stream| {
            let id = self.exchange.id().simple().to_string();
            self.error_event(stream, why, &id)
        });
        if !why.fault().rule().counts {
            self.exchange.spare_target();
        }
        self.note_losses();
        // A provider that never paused has left the connection no time to write.
        let is_late = matches!(why, Broken::Upstream(signalbox_upstream::Error::TotalTimeout { .. }));
        self.has_backlog = is_late && self.unpaused > BACKLOG;
        // The response is incomplete anyway, so no last byte has to be held back.
        drop(self.exchange.finish(why.status(), Some(why.to_string())));
        self.phase = Phase::Broken;
        if let Some(event) = typed {
            return Ok(Frame::data(join(before, &event)));
        }
        let body = ErrorBody::new(why.kind(), why.code(), why.to_string());
        // Start with a blank line, because the stream may have broken off in the middle of an event.
        Ok(Frame::data(join(before, format!("\n\n{}", body.to_event()).as_bytes())))
    }
}

fn join(first: &[u8], second: &[u8]) -> Bytes {
    let mut joined = BytesMut::with_capacity(first.len() + second.len());
    joined.extend_from_slice(first);
    joined.extend_from_slice(second);
    joined.freeze()
}

#[cfg(test)]
pub(crate) mod tests;
