//! The stream of events of an answer.

use std::{future::poll_fn, pin::Pin};

use bytes::{Buf as _, Bytes};
use http_body::Body as _;
use signalbox_upstream::Body;

use super::{event::Event, event_reader::EventReader, failure::Failure, login::Login};

/// An answer being received. Dropping it closes the connection.
#[derive(Debug)]
pub struct Events {
    body: Body,
    login: Login,
    reader: EventReader,
    /// Whether the body has been read to its end.
    has_ended: bool,
    /// Bytes that were read to detect the kind of the body, and have not been passed to the reader yet.
    begun: Bytes,
}

/// Kind of a body, detected from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Server-sent events.
    Events,
    /// Only white space.
    Nothing,
    /// JSON, a web page, or any other text.
    Text,
}

impl Events {
    /// Creates a stream of the events in this body, requested with this login.
    #[must_use]
    pub fn new(body: Body, login: Login) -> Self {
        Self { body, login, reader: EventReader::new(), has_ended: false, begun: Bytes::new() }
    }

    /// Reads until the kind of the body is known. The content type is not used, because errors may be declared as
    /// events and events as text.
    ///
    /// # Errors
    /// Returns a failure when the connection breaks.
    pub async fn kind(&mut self) -> Result<Kind, Failure> {
        loop {
            if let Some(kind) = kind_of(&self.begun) {
                return Ok(kind);
            }
            match self.data().await? {
                Some(data) if self.begun.is_empty() => self.begun = data,
                Some(data) => self.begun = [&*self.begun, &*data].concat().into(),
                None if self.begun.is_empty() => return Ok(Kind::Nothing),
                None => return Ok(Kind::Text),
            }
            // Discard leading white space, so that no amount of it uses memory.
            let blank = self.begun.len() - without_blank(&self.begun).len();
            self.begun.advance(blank);
        }
    }

    /// Returns the bytes read so far and the rest of the body.
    pub fn into_rest(self) -> (Bytes, Body) {
        (self.begun, self.body)
    }

    /// Creates a stream of exactly these events, for an answer that came as one body.
    #[must_use]
    pub fn whole(body: Body, login: Login, events: impl DoubleEndedIterator<Item = Event>) -> Self {
        let mut whole = Self { has_ended: true, ..Self::new(body, login) };
        whole.reader.put_first(events);
        whole
    }

    /// Waits until there is an event, or the end of the stream.
    ///
    /// # Errors
    /// Same as [`next`](Self::next).
    pub async fn wait(&mut self) -> Result<(), Failure> {
        let first = self.next().await?;
        self.reader.put_first(first.into_iter());
        Ok(())
    }

    /// Reads and discards the rest of the body.
    pub async fn drain(&mut self) {
        while matches!(self.data().await, Ok(Some(_))) {}
    }

    /// Returns the next event; `None` at the end. Events received before an error are returned before it.
    ///
    /// # Errors
    /// Returns the error reported by the site, or a failure when the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            match self.reader.pop() {
                Some(Event::Failure(failure)) => return Err(failure.scrubbed(&self.login)),
                Some(event) => return Ok(Some(event)),
                None if self.has_ended => return Ok(None),
                None => {}
            }
            let begun = std::mem::take(&mut self.begun);
            let data = if begun.is_empty() { self.data().await? } else { Some(begun) };
            match data {
                Some(data) => {
                    if let Err(failure) = self.reader.push(data) {
                        self.reader.put_last(Event::Failure(failure));
                    }
                }
                None => {
                    self.has_ended = true;
                    self.reader.finish();
                }
            }
        }
    }

    async fn data(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
            if let Ok(data) = frame.map_err(Failure::from)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// Detects the kind of a body from its beginning; `None` if more bytes are needed.
fn kind_of(begun: &[u8]) -> Option<Kind> {
    let begun = without_blank(begun);
    if begun.is_empty() || b"\xEF\xBB\xBF".starts_with(begun) {
        return None;
    }
    let fields: [&[u8]; 5] = [b":", b"data", b"event", b"id", b"retry"];
    let is_field = |field: &[u8]| match begun.strip_prefix(field) {
        Some(rest) if field == b":" || matches!(rest.first(), Some(b':' | b'\n' | b'\r')) => Some(Kind::Events),
        Some([]) => None,
        Some(_) => Some(Kind::Text),
        None if field.starts_with(begun) => None,
        None => Some(Kind::Text),
    };
    let kinds = fields.map(is_field);
    if kinds.contains(&Some(Kind::Events)) {
        return Some(Kind::Events);
    }
    (!kinds.contains(&None)).then_some(Kind::Text)
}

/// Strips leading white space and a byte order mark.
fn without_blank(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_recognised_by_its_first_bytes() {
        for events in ["data: x", "data:", "data\n", ": comment", "event: error\n", "id:7", "retry: 3", "\n\r\n data:x"]
        {
            assert_eq!(kind_of(events.as_bytes()), Some(Kind::Events), "{events}");
        }
        for text in
            ["{", " [", "<html>", "database is away", "Internal Server Error", "idle", "\u{feff}{}", "eventually"]
        {
            assert_eq!(kind_of(text.as_bytes()), Some(Kind::Text), "{text}");
        }
        for open in ["", "  \n", "d", "dat", "data", "e", "i", "retr", "\u{feff}"] {
            assert_eq!(kind_of(open.as_bytes()), None, "{open:?}");
        }
        assert_eq!(kind_of(b"\xEF\xBB"), None);
        assert_eq!(kind_of("\u{feff}data: x".as_bytes()), Some(Kind::Events));
    }
}
