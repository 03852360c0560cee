//! Incremental detection of tool calls in text that arrives in pieces.
//!
//! A call is `<tool>`, one `<parameter>value</parameter>` per argument, `</tool>`, with optional white space between
//! them. Only declared tools are recognised; everything else is text and is emitted at once. A `<` is held back only as
//! long as it may begin the tag of a declared tool, and a tag only until it is clear whether a parameter or the tool's
//! end follows: a tool that is merely mentioned is text. [`markup`] decides where a value ends.
//!
//! White space before the first call of an answer, between calls and after the last one is dropped as layout if there
//! is no other text in the same place. All other text is emitted unchanged, also after a call.

mod markup;

use self::markup::{Markup, Progress};
use super::{Call, Tools};

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Text for the user.
    Text(String),
    /// A call of a declared tool.
    Call(Call),
}

/// Scanner that splits an answer into text and calls. Without tools it emits the text unchanged.
///
/// The work is linear in the length of the answer for any input and any split: no part of the text is examined more
/// than a fixed number of times.
#[derive(Debug)]
pub struct Scanner {
    tools: Tools,
    /// Buffer. From `start` on it contains what has not been emitted: nothing, white space that may be layout, the
    /// beginning of a tag, or an incomplete call.
    held: String,
    /// Start of the part of `held` that has not been emitted.
    start: usize,
    /// Position up to which `held` is known to be text.
    text: usize,
    /// Position up to which that text is known to be white space.
    blank: usize,
    /// The incomplete call after the text in `held`.
    call: Option<Markup>,
    /// Whether there was no text since the beginning or the last call.
    bare: bool,
    /// Whether there was a call.
    called: bool,
}

/// Maximum number of times the rest of a text with unmatched calls is read again.
const MAX_REREADS: usize = 8;

impl Scanner {
    /// Creates a scanner for calls of `tools`.
    #[must_use]
    pub fn new(tools: &Tools) -> Self {
        let tools = tools.clone();
        Self { tools, held: String::new(), start: 0, text: 0, blank: 0, call: None, bare: true, called: false }
    }

    /// Processes the next piece of the answer and appends what is certain to `out`.
    pub fn push(&mut self, text: &str, out: &mut Vec<Segment>) {
        if self.tools.is_empty() {
            add_text(text, out);
            return;
        }
        self.held.push_str(text);
        self.scan(out);
        self.compact();
    }

    /// Ends the answer and appends what was held back to `out`. If the answer is `complete`, a call with unmatched tags
    /// is still interpreted as a call where possible; otherwise it is text.
    pub fn finish(&mut self, complete: bool, out: &mut Vec<Segment>) {
        let mut left = (self.held.len() - self.start).saturating_mul(MAX_REREADS);
        while complete && let Some(markup) = &self.call {
            let Some((call, length)) = markup.settle(&self.held[self.text..], &self.tools) else { break };
            self.take_call(call, length, out);
            let rest = self.held.len() - self.start;
            // Each unmatched call makes the following ones be read to the end of the text before they are settled. The
            // number of such passes is limited, to keep the work linear.
            left = left.saturating_sub(rest);
            self.scan_for(if left == 0 { Reading::Settling } else { Reading::Streaming }, out);
        }
        self.call = None;
        self.text = self.held.len();
        // White space alone is emitted if the answer contains nothing else.
        self.bare &= self.called;
        self.release(out);
        self.held.clear();
        (self.start, self.text, self.blank) = (0, 0, 0);
    }

    fn scan(&mut self, out: &mut Vec<Segment>) {
        self.scan_for(Reading::Streaming, out);
    }

    /// Scans until more input is needed. In the mode `Settling`, stops at the beginning of each call.
    fn scan_for(&mut self, reading: Reading, out: &mut Vec<Segment>) {
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

    /// Returns `true` if a parameter or the end follows the opening tag that was just found.
    fn begins_call(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.is_begun(&self.held[self.text..], &self.tools))
    }

    /// Emits the text, except for white space that may be layout.
    fn release(&mut self, out: &mut Vec<Segment>) {
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

    fn take_call(&mut self, call: Call, length: usize, out: &mut Vec<Segment>) {
        out.push(Segment::Call(call));
        self.start = self.text + length;
        (self.call, self.text, self.blank, self.bare, self.called) = (None, self.start, self.start, true, true);
    }

    /// Discards the emitted part of the buffer, once it is at least as large as the rest.
    fn compact(&mut self) {
        if self.start >= self.held.len() - self.start {
            self.held.drain(..self.start);
            self.text -= self.start;
            self.blank = self.blank.saturating_sub(self.start);
            self.start = 0;
        }
    }
}

/// Mode in which calls are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Read calls as the text arrives.
    Streaming,
    /// Stop at each call, so that it can be settled.
    Settling,
}

fn add_text(text: &str, out: &mut Vec<Segment>) {
    match out.last_mut() {
        Some(Segment::Text(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => out.push(Segment::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
