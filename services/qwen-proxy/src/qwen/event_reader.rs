//! Conversion of the bytes of an answer to its events, independent of how the bytes were split into reads.

use std::collections::VecDeque;

use bytes::Bytes;
use signalbox_core::sse::{Frame, FrameTooLong, Splitter};

use super::{
    event::{Decoder, Event},
    failure::Failure,
};

/// Maximum bytes of one event, equal to the limit of a whole answer.
const MAX_EVENT: usize = 64 << 20;

/// Incremental reader of the events of one answer: [`push`](Self::push) bytes as they arrive, then [`pop`](Self::pop)
/// until there are none.
#[derive(Debug)]
pub struct EventReader {
    splitter: Splitter,
    decoder: Decoder,
    ready: VecDeque<Event>,
}

// === impl EventReader ===

impl EventReader {
    /// Creates an empty reader.
    #[must_use]
    pub fn new() -> Self {
        Self { splitter: Splitter::new(MAX_EVENT), decoder: Decoder::default(), ready: VecDeque::new() }
    }

    /// Processes the next bytes and decodes all events they complete.
    ///
    /// # Errors
    /// Returns [`Failure::Unreadable`] when an event exceeds its limit. The events before it can still be popped.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), Failure> {
        self.splitter.push(bytes);
        let too_long = |FrameTooLong { limit }| Failure::Unreadable(format!("an event of more than {limit} bytes"));
        while let Some(frame) = self.splitter.next_frame().map_err(too_long)? {
            self.read(&frame);
        }
        Ok(())
    }

    /// Ends the stream: the remaining bytes are decoded as its last event.
    pub fn finish(&mut self) {
        while let Some(frame) = self.splitter.finish() {
            self.read(&frame);
        }
    }

    /// Removes and returns the next event.
    pub fn pop(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Inserts events before all others.
    pub fn put_first(&mut self, events: impl DoubleEndedIterator<Item = Event>) {
        events.rev().for_each(|event| self.ready.push_front(event));
    }

    /// Appends an event after all others.
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
