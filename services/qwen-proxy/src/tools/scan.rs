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
#[derive(Debug)]
pub struct Scanner {
    tools: Tools,
    /// What has not left yet: nothing, white space that may be layout, the beginning of a tag, or all of a call so far.
    held: String,
    /// How much of `held` is known to be text.
    text: usize,
    /// The call that `held` has behind its text.
    call: Option<Markup>,
    /// Whether there was no text since the beginning or the last call.
    bare: bool,
    /// Whether there was a call.
    called: bool,
}

impl Scanner {
    /// A scanner for calls of `tools`.
    #[must_use]
    pub fn new(tools: &Tools) -> Self {
        Self { tools: tools.clone(), held: String::new(), text: 0, call: None, bare: true, called: false }
    }

    /// Takes the next piece of the answer and adds what is certain to `out`.
    pub fn push(&mut self, text: &str, out: &mut Vec<Piece>) {
        if self.tools.is_empty() {
            add_text(text, out);
            return;
        }
        self.held.push_str(text);
        self.scan(out);
    }

    /// Ends the answer and adds what was held back to `out`. `complete` tells that the model came to its end: only then is a
    /// call whose tags don't match up still read as one, where that is possible; else it is text.
    pub fn finish(&mut self, complete: bool, out: &mut Vec<Piece>) {
        while complete && let Some(markup) = &self.call {
            let Some((call, length)) = markup.settle(&self.held[self.text..], &self.tools) else { break };
            self.take_call(call, length, out);
            self.scan(out);
        }
        self.call = None;
        self.text = self.held.len();
        // White space is an answer, too, when there is nothing else.
        self.bare &= self.called;
        self.release(out);
        self.held.clear();
    }

    fn scan(&mut self, out: &mut Vec<Piece>) {
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
            } else if self.tools.iter().any(|tool| tool.opening.starts_with(rest)) {
                return self.release(out);
            } else {
                self.text += 1;
            }
        }
    }

    /// Lets the text go, but for white space that may be layout.
    fn release(&mut self, out: &mut Vec<Piece>) {
        let text = &self.held[..self.text];
        if self.bare && text.trim_ascii().is_empty() {
            return;
        }
        self.bare = false;
        add_text(text, out);
        self.held.drain(..self.text);
        self.text = 0;
    }

    fn take_call(&mut self, call: Call, length: usize, out: &mut Vec<Piece>) {
        out.push(Piece::Call(call));
        self.held.drain(..self.text + length);
        (self.call, self.text, self.bare, self.called) = (None, 0, true, true);
    }
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
