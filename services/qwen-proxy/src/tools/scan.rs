//! Finding calls in text that arrives piece by piece.
//!
//! A call is `<tool>`, one `<parameter>value</parameter>` per argument, `</tool>`, white space between them at will. Only
//! declared tools are looked for; everything else is text and leaves at once. A `<` is held back only as long as it may
//! begin a declared tool's tag, and a tag only as long as a parameter or the tool's end follows: a tool that is merely
//! mentioned is text. [`markup`] decides where a value ends.
//!
//! White space before the first call of an answer, between calls and after the last one is layout, not text, when nothing
//! else is there. All other text passes byte for byte, also behind a call.

mod markup;

use self::markup::{Markup, Progress};
use super::{Call, Tools};

/// What an answer consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text for the user.
    Text(String),
    /// A call of a declared tool.
    Call(Call),
}

/// Takes an answer apart. Without tools it passes everything on as it comes.
///
/// The work is linear in the length of the answer, however it is cut and whatever the model writes: no part of the text is
/// looked at more than a fixed number of times.
#[derive(Debug)]
pub struct Scanner {
    tools: Tools,
    /// What has not left yet, from `start` on: nothing, white space that may be layout, the beginning of a tag, or all of a
    /// call so far.
    held: String,
    /// Where the part of `held` begins that has not left.
    start: usize,
    /// Up to where `held` is known to be text.
    text: usize,
    /// Up to where that text is known to be white space.
    blank: usize,
    /// The call that `held` has behind its text.
    call: Option<Markup>,
    /// Whether there was no text since the beginning or the last call.
    bare: bool,
    /// Whether there was a call.
    called: bool,
}

/// How often a text whose calls do not match up may be read once more to its end.
const MAX_REREADS: usize = 8;

impl Scanner {
    /// A scanner for calls of `tools`.
    #[must_use]
    pub fn new(tools: &Tools) -> Self {
        let tools = tools.clone();
        Self { tools, held: String::new(), start: 0, text: 0, blank: 0, call: None, bare: true, called: false }
    }

    /// Takes the next piece of the answer and adds what is certain to `out`.
    pub fn push(&mut self, text: &str, out: &mut Vec<Piece>) {
        if self.tools.is_empty() {
            add_text(text, out);
            return;
        }
        self.held.push_str(text);
        self.scan(out);
        self.compact();
    }

    /// Ends the answer and adds what was held back to `out`. `complete` tells that the model came to its end: only then is a
    /// call whose tags don't match up still read as one, where that is possible; else it is text.
    pub fn finish(&mut self, complete: bool, out: &mut Vec<Piece>) {
        let mut left = (self.held.len() - self.start).saturating_mul(MAX_REREADS);
        while complete && let Some(markup) = &self.call {
            let Some((call, length)) = markup.settle(&self.held[self.text..], &self.tools) else { break };
            self.take_call(call, length, out);
            let rest = self.held.len() - self.start;
            // Each call that does not match up makes the next ones be read to the end of the text before they are settled,
            // too. Where there are many, that is left out.
            left = left.saturating_sub(rest);
            self.scan_for(if left == 0 { Reading::Settling } else { Reading::Streaming }, out);
        }
        self.call = None;
        self.text = self.held.len();
        // White space is an answer, too, when there is nothing else.
        self.bare &= self.called;
        self.release(out);
        self.held.clear();
        (self.start, self.text, self.blank) = (0, 0, 0);
    }

    fn scan(&mut self, out: &mut Vec<Piece>) {
        self.scan_for(Reading::Streaming, out);
    }

    /// Goes on until more has to be seen. Settling, it stops at the beginning of each call.
    fn scan_for(&mut self, reading: Reading, out: &mut Vec<Piece>) {
        loop {
            if let Some(call) = &mut self.call {
                match call.advance(&self.held[self.text..], &self.tools) {
                    Progress::Undecided => return,
                    Progress::Text => (self.call, self.text) = (None, self.text + 1),
                    Progress::Call(call, length) => self.take_call(call, length, out),
                }
                continue;
            }
            let Some(tag) = self.held[self.text..].find('<') else {
                self.text = self.held.len();
                return self.release(out);
            };
            self.text += tag;
            let rest = &self.held[self.text..];
            if let Some(tool) = self.tools.iter().position(|tool| rest.starts_with(&tool.opening)) {
                self.call = Some(Markup::new(tool, &self.tools));
                self.release(out);
                if reading == Reading::Settling && self.begins_call() {
                    return;
                }
            } else if self.tools.iter().any(|tool| tool.opening.starts_with(rest)) {
                return self.release(out);
            } else {
                self.text += 1;
            }
        }
    }

    /// Whether a parameter or the end follows the opening tag that was just found.
    fn begins_call(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.is_begun(&self.held[self.text..], &self.tools))
    }

    /// Lets the text go, but for white space that may be layout.
    fn release(&mut self, out: &mut Vec<Piece>) {
        if self.bare {
            let looked_at = self.blank.max(self.start);
            let text = &self.held[looked_at..self.text];
            if text.trim_ascii_start().is_empty() {
                self.blank = self.text;
                return;
            }
        }
        self.bare = false;
        add_text(&self.held[self.start..self.text], out);
        self.start = self.text;
    }

    fn take_call(&mut self, call: Call, length: usize, out: &mut Vec<Piece>) {
        out.push(Piece::Call(call));
        self.start = self.text + length;
        (self.call, self.text, self.blank, self.bare, self.called) = (None, self.start, self.start, true, true);
    }

    /// Forgets what has left, once that is at least as much as what is held.
    fn compact(&mut self) {
        if self.start >= self.held.len() - self.start {
            self.held.drain(..self.start);
            self.text -= self.start;
            self.blank = self.blank.saturating_sub(self.start);
            self.start = 0;
        }
    }
}

/// How calls are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As they come.
    Streaming,
    /// Only to be settled.
    Settling,
}

fn add_text(text: &str, out: &mut Vec<Piece>) {
    match out.last_mut() {
        Some(Piece::Text(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => out.push(Piece::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
