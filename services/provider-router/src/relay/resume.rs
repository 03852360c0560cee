//! Continuation of a stream that breaks off after the client has received a part of it.
//!
//! The next target is asked afresh, and its stream is suppressed while it equals what the client has. From there on it
//! is passed on. At the first difference the stream ends as it broke off, with an error. Nothing is invented: the
//! client receives the text of one target, of which another target said the beginning. Text and thinking are compared;
//! an answer with a tool call is not continued.

mod heard;
mod pieces;

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    vec::IntoIter,
};

use bytes::Bytes;
use heard::{Compared, Heard, Position};
use pieces::{Event, Piece};
use serde_json::Value;
use signalbox_core::{
    Api,
    openai::{StreamEvent, read_event},
    schema::AttemptRecord,
    sse::{Frame, Splitter},
    typed::{TypedEvent, TypedReader},
};
use signalbox_upstream::Error;

use super::{MAX_EVENT, Source};
use crate::exchange::{NewTarget, Switch};

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
    phase: Phase,
    next: Option<Box<dyn Resume>>,
    switches: VecDeque<Switch>,
    /// Whether the last event of the answer has passed.
    has_last: bool,
}

enum Phase {
    /// Events are passed on.
    Passing,
    /// Other targets are asked.
    Asking(Pin<Box<dyn Future<Output = Resumed> + Send>>, Break),
    /// Events are suppressed while they equal what the client has.
    Comparing(Position, Break),
    /// The stream has ended.
    Over,
}

/// How a stream broke off.
enum Break {
    Failed(Error),
    Closed,
    /// The provider reported an error in this event.
    Reported(Bytes),
}

/// Names of the parts of a response of Responses as the client knows them.
#[derive(Debug, Default)]
struct Ids {
    response: Option<Value>,
    items: HashMap<u64, Value>,
    sequence: Option<u64>,
    /// Whether the events come from another target than the first.
    is_continued: bool,
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
            phase: Phase::Passing,
            next: Some(next),
            switches: VecDeque::new(),
            has_last: false,
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
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match &mut self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Asking(asking, _) => {
                    let resumed = ready!(asking.as_mut().poll(cx));
                    if let Some(end) = self.resumed(resumed) {
                        return Poll::Ready(end);
                    }
                }
                Phase::Passing | Phase::Comparing(..) => {}
            }
            match self.splitter.next_frame() {
                Ok(Some(frame)) => {
                    if let Some(passed) = self.take(&frame) {
                        return Poll::Ready(passed);
                    }
                    continue;
                }
                Ok(None) => {}
                // The relay refuses what is too long.
                Err(_) => return self.poll_raw(cx),
            }
            let next = match self.prefix.next() {
                Some(bytes) => Some(Ok(bytes)),
                None => ready!(self.source.poll_data(cx)),
            };
            match next {
                Some(Ok(bytes)) => self.splitter.push(bytes),
                Some(Err(error)) => {
                    if let Some(end) = self.breaks(Break::Failed(error)) {
                        return Poll::Ready(end);
                    }
                }
                None => {
                    if let Some(end) = self.closes() {
                        return Poll::Ready(end);
                    }
                }
            }
        }
    }

    fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.next = None;
        match self.prefix.next() {
            Some(bytes) => Poll::Ready(Some(Ok(bytes))),
            None => self.source.poll_data(cx),
        }
    }

    /// Takes an event. Returns what is passed on.
    fn take(&mut self, frame: &Frame) -> Option<Option<Result<Bytes, Error>>> {
        if self.heard.can_continue() && self.next.is_some() && self.reports_error(frame) {
            return self.breaks(Break::Reported(frame.raw().clone()));
        }
        let event = Event::read(self.api, frame);
        if let Phase::Comparing(at, _) = &mut self.phase {
            let event = event?;
            return match self.heard.compare(at, &event) {
                Compared::Had => None,
                Compared::Differs => {
                    let Phase::Comparing(_, why) = std::mem::replace(&mut self.phase, Phase::Over) else { return None };
                    Some(self.end(why))
                }
                Compared::New => {
                    self.phase = Phase::Passing;
                    self.pass(frame, Some(event))
                }
                Compared::Rest(n, text) => {
                    self.phase = Phase::Passing;
                    let mut pieces = event.pieces[n..].to_vec();
                    if let Some(Piece::Text { text: whole, .. }) = pieces.first_mut() {
                        whole.clone_from(&text);
                    }
                    self.heard.add(&pieces);
                    let mut event = event;
                    self.ids.rewrite(&mut event.value);
                    Some(Some(Ok(event.with_tail(self.api, n, &text).into())))
                }
            };
        }
        self.pass(frame, event)
    }

    fn pass(&mut self, frame: &Frame, event: Option<Event>) -> Option<Option<Result<Bytes, Error>>> {
        let Some(mut event) = event else { return Some(Some(Ok(frame.raw().clone()))) };
        self.heard.add(&event.pieces);
        self.has_last |= event.value["type"] == "message_stop";
        if self.api == Api::Responses {
            if self.ids.is_continued {
                self.ids.rewrite(&mut event.value);
                return Some(Some(Ok(event.to_text(self.api).into())));
            }
            self.ids.read(&event.value);
        }
        Some(Some(Ok(frame.raw().clone())))
    }

    fn reports_error(&self, frame: &Frame) -> bool {
        let Some(data) = frame.data() else { return false };
        match self.api {
            Api::Chat => matches!(read_event(&data), StreamEvent::Error(_)),
            api => matches!(TypedReader::new(api).read(frame), TypedEvent::Failed { .. }),
        }
    }

    /// Handles the end of the source.
    fn closes(&mut self) -> Option<Option<Result<Bytes, Error>>> {
        if let Some(frame) = self.splitter.finish()
            && !matches!(self.phase, Phase::Comparing(..))
            && let Some(event) = Event::read(self.api, &frame)
        {
            // An event without its blank line.
            self.splitter = Splitter::new(MAX_EVENT);
            let passed = self.pass(&frame, Some(event));
            let ended = passed.map(|passed| passed.map(|passed| passed.map(|bytes| super::join(&bytes, b"\n\n"))));
            self.source = Source::Ended;
            return ended;
        }
        if self.heard.is_finished()
            && !self.has_last
            && self.api == Api::Messages
            && !matches!(self.phase, Phase::Comparing(..))
        {
            // The stop reason has come, and nothing but the last event is missing.
            self.phase = Phase::Over;
            return Some(Some(Ok(Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"))));
        }
        self.breaks(Break::Closed)
    }

    /// Handles a stream that broke off: asks other targets, or returns its end.
    fn breaks(&mut self, why: Break) -> Option<Option<Result<Bytes, Error>>> {
        let can_continue = self.heard.can_continue();
        match self.next.take().filter(|_| can_continue) {
            Some(next) => {
                // A difference from the first answer ends the stream as that one broke off.
                let why = match std::mem::replace(&mut self.phase, Phase::Over) {
                    Phase::Comparing(_, first) => first,
                    _ => why,
                };
                self.phase = Phase::Asking(next.resume(), why);
                None
            }
            None => {
                let why = match std::mem::replace(&mut self.phase, Phase::Over) {
                    Phase::Comparing(_, first) => first,
                    _ => why,
                };
                Some(self.end(why))
            }
        }
    }

    /// Takes the outcome of asking other targets. Returns the end of the stream if there is no other one.
    fn resumed(&mut self, resumed: Resumed) -> Option<Option<Result<Bytes, Error>>> {
        let Phase::Asking(_, why) = std::mem::replace(&mut self.phase, Phase::Over) else { return None };
        let Resumed { failed, answer } = resumed;
        let (words, target) = (why.to_string(), answer.is_some());
        let Some(NewAnswer { begun, rest, target: new, next }) = answer else {
            self.switches.push_back(Switch { why: words, failed, target: None });
            return Some(self.end(why));
        };
        debug_assert!(target);
        self.switches.push_back(Switch { why: words, failed, target: Some(new) });
        self.prefix = begun.into_iter();
        self.source = rest;
        self.splitter = Splitter::new(MAX_EVENT);
        self.next = next;
        self.ids.is_continued = true;
        self.phase = Phase::Comparing(Position::default(), why);
        None
    }

    fn end(&mut self, why: Break) -> Option<Result<Bytes, Error>> {
        self.phase = Phase::Over;
        match why {
            Break::Failed(error) => Some(Err(error)),
            Break::Closed => None,
            Break::Reported(event) => Some(Ok(event)),
        }
    }
}

impl std::fmt::Debug for ResumableStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResumableStream").field("api", &self.api).field("source", &self.source).finish_non_exhaustive()
    }
}

// === impl Break ===

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("the answer ended before it was complete"),
            Self::Reported(_) => f.write_str("the provider reported an error within its answer"),
        }
    }
}

// === impl Ids ===

impl Ids {
    /// Remembers the names in an event that the client receives.
    fn read(&mut self, event: &Value) {
        if let Some(number) = event["sequence_number"].as_u64() {
            self.sequence = Some(number);
        }
        if self.response.is_none() {
            self.response = Some(event["response"]["id"].clone()).filter(Value::is_string);
        }
        if let (Some(index), true) = (event["output_index"].as_u64(), event["item"]["id"].is_string()) {
            self.items.entry(index).or_insert_with(|| event["item"]["id"].clone());
        }
    }

    /// Gives an event of another target the names that the client knows.
    fn rewrite(&mut self, event: &mut Value) {
        if let (Some(number), Some(last)) = (event.get_mut("sequence_number"), &mut self.sequence) {
            *last += 1;
            *number = (*last).into();
        }
        let item = event["output_index"].as_u64().and_then(|index| self.items.get(&index));
        if let Some(id) = item {
            for place in [event.get("item_id").is_some().then_some("/item_id"), Some("/item/id")].into_iter().flatten()
            {
                if let Some(known) = event.pointer_mut(place) {
                    known.clone_from(id);
                }
            }
        }
        if let (Some(known), Some(id)) = (event.pointer_mut("/response/id"), &self.response) {
            known.clone_from(id);
        }
        for (index, id) in &self.items {
            if let Some(known) = event.pointer_mut(&format!("/response/output/{index}/id")) {
                known.clone_from(id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
