//! Continuation of a stream that breaks off after the client has received a part of it.
//!
//! The next target is asked afresh, and its stream is suppressed while it equals what the client has. From there on it
//! is passed on. At the first difference the stream ends as it broke off, with an error. Nothing is invented: the
//! client receives the text of one target, of which another target said the beginning. Text and thinking are compared;
//! an answer with a tool call is not continued.

mod broken;
mod counts;
mod heard;
mod ids;
mod pieces;

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    vec::IntoIter,
};

use broken::{Break, Broken};
use bytes::Bytes;
use counts::Counts;
use heard::{Compared, Heard, Position};
use ids::Ids;
use pieces::{Event, Piece};
use signalbox_core::{
    Api,
    openai::joined_events,
    schema::AttemptRecord,
    sse::{Frame, Splitter},
};
use signalbox_upstream::Error;

use super::{MAX_EVENT, Source, fault, typed::with_blank_line};
use crate::{
    exchange::{NewTarget, Switch},
    fault::Fault,
};

/// The next event for the client, or the end.
type Passed = Option<Result<Bytes, Error>>;

/// Asks the targets that are left.
pub trait Resume: Send {
    /// Asks one after the other until one answers.
    fn resume(self: Box<Self>) -> Pin<Box<dyn Future<Output = Resumed> + Send>>;
}

/// The outcome of asking the targets that were left.
pub struct Resumed {
    /// Attempts that failed.
    pub failed: Vec<AttemptRecord>,
    /// The stream that was found.
    pub answer: Option<NewAnswer>,
}

/// A stream that may continue the one that broke off.
pub struct NewAnswer {
    /// Pieces already read.
    pub begun: Vec<Bytes>,
    /// The remaining source.
    pub rest: Source,
    /// Its target.
    pub target: NewTarget,
    /// Asks the targets that are still left.
    pub next: Option<Box<dyn Resume>>,
}

/// A stream that is continued by another target if it breaks off.
pub struct ResumableStream {
    api: Api,
    /// Pieces read before the decision to relay the stream.
    prefix: IntoIter<Bytes>,
    source: Source,
    splitter: Splitter,
    heard: Heard,
    ids: Ids,
    /// Counts of the target that continues the stream.
    counts: Counts,
    phase: Phase,
    next: Option<Box<dyn Resume>>,
    switches: VecDeque<Switch>,
    /// Whether the last event of the answer has passed.
    has_last: bool,
    /// Whether the source has been closed.
    is_closed: bool,
}

enum Phase {
    /// Events are passed on.
    Passing,
    /// Other targets are asked.
    Asking(Pin<Box<dyn Future<Output = Resumed> + Send>>, Broken),
    /// Events are suppressed while they equal what the client has.
    Comparing(Box<Comparing>),
    /// The stream has ended.
    Over,
}

/// The comparison with the answer of another target.
///
/// Until it has ended, the stream is that of the target before: its errors name that one, and are masked with its key.
struct Comparing {
    at: Position,
    target: NewTarget,
    broken: Broken,
}

// === impl ResumableStream ===

impl ResumableStream {
    /// Relays `prefix` and then `source`, a stream of the client's API.
    #[must_use]
    pub fn new(api: Api, prefix: Vec<Bytes>, source: Source, next: Box<dyn Resume>) -> Self {
        Self {
            api,
            prefix: prefix.into_iter(),
            source,
            splitter: Splitter::new(MAX_EVENT),
            heard: Heard::default(),
            ids: Ids::default(),
            counts: Counts::default(),
            phase: Phase::Passing,
            next: Some(next),
            switches: VecDeque::new(),
            has_last: false,
            is_closed: false,
        }
    }

    /// Stops asking other targets: the client has the end of the stream.
    pub fn stop_resuming(&mut self) {
        self.next = None;
        if matches!(self.phase, Phase::Asking(..) | Phase::Comparing(_)) {
            self.phase = Phase::Over;
        }
    }

    /// Takes what is to be told about a change of the target.
    pub fn take_switch(&mut self) -> Option<Switch> {
        self.switches.pop_front()
    }

    /// Returns the source that is being passed on.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Polls for the next event; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Passed> {
        loop {
            match &mut self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Asking(asking, _) => {
                    let resumed = ready!(asking.as_mut().poll(cx));
                    if let Some(end) = self.resumed(resumed) {
                        return Poll::Ready(end);
                    }
                }
                Phase::Passing | Phase::Comparing(_) => {}
            }
            match self.splitter.next_frame() {
                Ok(Some(frame)) => {
                    if let Some(passed) = self.take(&frame) {
                        return Poll::Ready(passed);
                    }
                    continue;
                }
                Ok(None) => {}
                // The beginning of the event is lost, so nothing can follow it.
                Err(_) => {
                    self.next = None;
                    return Poll::Ready(self.breaks(Break::Endless).flatten());
                }
            }
            let next = match self.prefix.next() {
                Some(bytes) => Some(Ok(bytes)),
                None if self.is_closed => None,
                None => ready!(self.source.poll_data(cx)),
            };
            let passed = match next {
                Some(Ok(bytes)) => {
                    self.splitter.push(bytes);
                    None
                }
                Some(Err(error)) => self.breaks(Break::Failed(error)),
                None => self.closes(),
            };
            if let Some(passed) = passed {
                return Poll::Ready(passed);
            }
        }
    }

    /// Takes an event. Returns what is passed on.
    fn take(&mut self, frame: &Frame) -> Option<Passed> {
        let is_comparing = matches!(self.phase, Phase::Comparing(_));
        if self.heard.can_continue()
            && (is_comparing || self.next.is_some())
            && let Some(error) = fault::error_of(self.api, frame)
        {
            let class = fault::class_of(&error);
            let is_refusal = class == Fault::ContentRefused;
            if is_refusal {
                self.next = None;
            }
            // A refusal of the content is the answer.
            if is_comparing || !is_refusal {
                return self.breaks(Break::Reported { event: frame.raw().clone(), fault: class });
            }
        }
        let event = Event::read(self.api, frame);
        let Phase::Comparing(comparing) = &mut self.phase else { return self.pass(frame, event) };
        let mut event = event?;
        match self.heard.compare(&mut comparing.at, &event) {
            Compared::Had => {
                self.counts.keep(&event.value);
                None
            }
            Compared::Differs => {
                let Comparing { target, mut broken, .. } = self.left()?;
                broken.failed.push(target.failed(
                    "it says something else",
                    "it differs from what the client has received",
                    false,
                ));
                Some(self.end(broken))
            }
            Compared::New => {
                self.goes_on();
                self.pass(frame, Some(event))
            }
            Compared::Rest(n, text) => {
                self.goes_on();
                let mut pieces = event.pieces[n..].to_vec();
                if let Some(Piece::Text { text: whole, .. }) = pieces.first_mut() {
                    whole.clone_from(&text);
                }
                self.heard.add(&pieces);
                self.ids.rewrite(&mut event.value);
                Some(Some(Ok(event.with_tail(self.api, n, &text).into())))
            }
        }
    }

    fn pass(&mut self, frame: &Frame, event: Option<Event>) -> Option<Passed> {
        let Some(mut event) = event else { return Some(Some(Ok(frame.raw().clone()))) };
        self.heard.add(&event.pieces);
        self.has_last |= event.value["type"] == "message_stop";
        if self.api == Api::Messages && self.counts.complete(&mut event.value) {
            return Some(Some(Ok(event.to_text(self.api).into())));
        }
        if self.api == Api::Responses && event.value.is_object() {
            if self.ids.is_continued {
                self.ids.rewrite(&mut event.value);
                return Some(Some(Ok(event.to_text(self.api).into())));
            }
            self.ids.read(&event.value);
        }
        Some(Some(Ok(frame.raw().clone())))
    }

    /// Handles the end of the source.
    fn closes(&mut self) -> Option<Passed> {
        self.is_closed = true;
        if let Some(frame) = self.splitter.finish() {
            let data = frame.data()?;
            let is_whole =
                Event::is_read(&data) || joined_events(&data).is_some() || fault::error_of(self.api, &frame).is_some();
            if is_whole {
                // It only lacks its blank line.
                let passed = self.take(&frame);
                return passed.map(|passed| passed.map(|passed| passed.map(with_blank_line)));
            }
            let is_continued = self.heard.can_continue() && self.next.is_some();
            if !is_continued && !matches!(self.phase, Phase::Comparing(_)) {
                // The relay decides about half an event.
                return self.pass(&frame, Event::read(self.api, &frame));
            }
        }
        if self.heard.is_finished()
            && !self.has_last
            && self.api == Api::Messages
            && !matches!(self.phase, Phase::Comparing(_))
        {
            // The stop reason has come, and nothing but the last event is missing.
            self.phase = Phase::Over;
            return Some(Some(Ok(Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"))));
        }
        self.breaks(Break::Closed)
    }

    /// Handles a stream that broke off: asks other targets, or returns its end.
    fn breaks(&mut self, why: Break) -> Option<Passed> {
        let broken = match self.left() {
            // The stream that is to be continued broke off before.
            Some(Comparing { target, mut broken, .. }) => {
                let why_next = "the answer broke off before it went on from what the client has received";
                broken.failed.push(target.failed(&why.to_string(), why_next, why.fault().rule().counts));
                broken
            }
            None => Broken { why, failed: Vec::new() },
        };
        let can_continue = self.heard.can_continue();
        match self.next.take().filter(|_| can_continue) {
            Some(next) => {
                self.phase = Phase::Asking(next.resume(), broken);
                None
            }
            None => Some(self.end(broken)),
        }
    }

    /// Takes the outcome of asking other targets. Returns the end of the stream if there is no other one.
    fn resumed(&mut self, resumed: Resumed) -> Option<Passed> {
        let Phase::Asking(_, mut broken) = std::mem::replace(&mut self.phase, Phase::Over) else { return None };
        let Resumed { failed, answer } = resumed;
        broken.failed.extend(failed);
        let Some(NewAnswer { begun, rest, target, next }) = answer else { return Some(self.end(broken)) };
        self.prefix = begun.into_iter();
        self.source = rest;
        self.splitter = Splitter::new(MAX_EVENT);
        self.is_closed = false;
        self.next = next;
        self.counts = Counts::default();
        self.phase = Phase::Comparing(Box::new(Comparing { at: Position::default(), target, broken }));
        None
    }

    /// Leaves the comparison, if there is one, and closes the connection to its target.
    fn left(&mut self) -> Option<Comparing> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Comparing(comparing) => {
                self.source = Source::Ended;
                Some(*comparing)
            }
            _ => None,
        }
    }

    /// Ends the comparison: the client has received the beginning, and the rest is passed on.
    fn goes_on(&mut self) {
        if let Phase::Comparing(comparing) = std::mem::replace(&mut self.phase, Phase::Passing) {
            let Comparing { target, mut broken, .. } = *comparing;
            self.switches.push_back(broken.switch(Some(target)));
            self.ids.is_continued = true;
        }
    }

    /// Ends the stream as it broke off.
    fn end(&mut self, mut broken: Broken) -> Passed {
        self.phase = Phase::Over;
        if !broken.failed.is_empty() {
            self.switches.push_back(broken.switch(None));
        }
        match broken.why {
            Break::Failed(error) => Some(Err(error)),
            Break::Closed | Break::Endless => None,
            Break::Reported { event, .. } => Some(Ok(event)),
        }
    }
}

impl std::fmt::Debug for ResumableStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResumableStream").field("api", &self.api).field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
