//! Streams of typed server-sent events, as Messages and Responses have them.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::{
    plan::{Word, Words},
    play::Stream,
    script::{Chat, Dialect, FaultKind},
};

/// An event: its type and its other fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) data: Value,
}

pub(crate) const fn event(name: &'static str, data: Value) -> Event {
    Event { name, data }
}

/// The events of one grammar.
pub(crate) trait Grammar {
    /// Body of a whole answer whose scripted fault can only be expressed in a stream.
    const ERROR_BODY: &'static str;

    /// Returns the event of a word.
    fn word(&self, text: &str) -> Event;

    /// Returns the events after the text, which had `words` words.
    fn after(&mut self, text: &str, words: u32) -> Vec<Event>;

    fn error(&mut self, kind: FaultKind) -> Event;

    /// Completes an event at the time when it is sent.
    fn send(&mut self, _event: &mut Event) {}
}

/// The remaining events of a stream.
#[derive(Debug)]
pub(crate) struct Events<G> {
    grammar: G,
    queue: VecDeque<Event>,
    words: Words,
    /// The text so far.
    text: String,
    ended: bool,
    line_end: &'static str,
    comments: bool,
    unknown: bool,
}

/// The next event of a stream.
#[derive(Debug)]
pub(crate) enum Piece {
    Event(Event),
    Word(Word),
}

// === impl Events ===

impl<G: Grammar> Events<G> {
    /// Creates a stream of the events `before`, those of the words, and those after them.
    pub(crate) fn new(grammar: G, chat: &Chat, before: Vec<Event>, words: Words) -> Self {
        Self {
            grammar,
            queue: before.into(),
            words,
            text: String::new(),
            ended: false,
            line_end: if chat.crlf { "\r\n" } else { "\n" },
            comments: chat.comments,
            unknown: chat.dialect == Dialect::UnknownFields,
        }
    }

    fn write(&mut self, mut event: Event, out: &mut String) {
        self.grammar.send(&mut event);
        if self.unknown {
            event.data["x_provider"] = json!({"region": "north", "trace": [1, 2.5, null]});
        }
        let data = event.data.to_string();
        let fields = data.strip_prefix('{').unwrap_or(&data);
        let comma = if fields == "}" { "" } else { "," };
        let Event { name, .. } = event;
        for line in [&format!("event: {name}"), &format!(r#"data: {{"type":"{name}"{comma}{fields}"#), ""] {
            out.push_str(line);
            out.push_str(self.line_end);
        }
    }
}

impl<G: Grammar> Stream for Events<G> {
    type Piece = Piece;

    const ERROR_BODY: &'static str = G::ERROR_BODY;

    fn next(&mut self) -> Option<Piece> {
        if let Some(event) = self.queue.pop_front() {
            return Some(Piece::Event(event));
        }
        if let Some((_, word)) = self.words.next() {
            return Some(Piece::Word(word));
        }
        if !std::mem::replace(&mut self.ended, true) {
            self.queue = self.grammar.after(&self.text, self.words.sent).into();
        }
        self.queue.pop_front().map(Piece::Event)
    }

    fn is_word(&self, piece: &Piece) -> bool {
        matches!(piece, Piece::Word(_))
    }

    fn render(&mut self, piece: &Piece, out: &mut String) {
        if self.comments {
            for line in [": keep-alive", ""] {
                out.push_str(line);
                out.push_str(self.line_end);
            }
        }
        if self.unknown {
            self.write(event("x-progress", json!({"progress": 0.5})), out);
        }
        let event = match piece {
            Piece::Event(event) => event.clone(),
            Piece::Word(word) => {
                let text = word.text();
                // Endless text has no end that would need all of it.
                if !self.words.is_endless() {
                    self.text.push_str(&text);
                }
                self.grammar.word(&text)
            }
        };
        self.write(event, out);
    }

    fn render_error(&mut self, kind: FaultKind, out: &mut String) {
        let event = self.grammar.error(kind);
        self.write(event, out);
    }
}
