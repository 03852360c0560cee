//! Bytes of an answer in, its events out; nothing depends on how the bytes were cut or joined on their way.

use std::collections::VecDeque;

use bytes::Bytes;
use signalbox_core::sse::{Frame, FrameTooLong, Splitter};

use super::{
    event::{Decoder, Event},
    failure::Failure,
};

/// Maximum bytes of one event: as many as a whole answer may have.
const MAX_EVENT: usize = 64 << 20;

/// Reads the events of one answer: [`push`](Self::push) bytes as they come, then [`pop`](Self::pop) until there are none.
#[derive(Debug)]
pub struct EventReader {
    splitter: Splitter,
    decoder: Decoder,
    ready: VecDeque<Event>,
}

// === impl EventReader ===

impl EventReader {
    /// Returns a reader that has read nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { splitter: Splitter::new(MAX_EVENT), decoder: Decoder::default(), ready: VecDeque::new() }
    }

    /// Takes the next bytes and reads all events that are complete with them.
    ///
    /// # Errors
    /// [`Failure::Unreadable`] when an event grows past its limit. The events before it can still be popped.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), Failure> {
        self.splitter.push(bytes);
        let too_long = |FrameTooLong { limit }| Failure::Unreadable(format!("an event of more than {limit} bytes"));
        while let Some(frame) = self.splitter.next_frame().map_err(too_long)? {
            self.read(&frame);
        }
        Ok(())
    }

    /// Ends the stream: what is left of it is read as its last event.
    pub fn finish(&mut self) {
        while let Some(frame) = self.splitter.finish() {
            self.read(&frame);
        }
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Puts events before all others.
    pub fn put_first(&mut self, events: impl DoubleEndedIterator<Item = Event>) {
        events.rev().for_each(|event| self.ready.push_front(event));
    }

    /// Puts an event behind all others.
    pub fn put_last(&mut self, event: Event) {
        self.ready.push_back(event);
    }

    fn read(&mut self, frame: &Frame) {
        if let Some(data) = frame.data() {
            let is_error = frame.event().is_some_and(|name| name.eq_ignore_ascii_case(b"error"));
            self.decoder.decode(&data, is_error, &mut self.ready);
        }
    }
}

impl Default for EventReader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
