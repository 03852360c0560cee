//! Detection of the end of a call and of its values.
//!
//! Values are written without escaping, so they may contain anything, including their own closing tag and complete
//! calls. The rules:
//!
//! - A closing tag ends its value if it is followed by the tool's closing tag, or by the tag of a declared parameter
//!   that the call does not have yet. Any other closing tag is part of the value.
//! - Calls of the same tool inside a value (a document about calls) are counted as they begin and end, and belong to
//!   the value.
//! - Before another parameter, a closing tag belongs to an opening tag of the same name inside the value, if there is
//!   one.
//! - If an answer has ended in the middle of a call, the call is read again without the third rule, and undeclared
//!   parameters end a value, too.
//!
//! As a result, a call is emitted as soon as its last character arrives. A value is misread only if it contains
//! unmatched closing tags of its own parameter and tool in a row. A call that never matches up stays text, including
//! everything in it that looks like a call, because the answer may have been truncated within a document about calls.

mod tag;
mod value;

use std::{collections::HashSet, ops::Range};

use self::{
    tag::{TagMatch, closing, match_tag, parameter},
    value::{Context, Value},
};
use super::super::{Call, Tools, schema::Schema, tool::Tool};

/// A call being read. Positions are relative to the `<` of its opening tag.
#[derive(Debug)]
pub(super) struct Markup {
    /// Index of the tool in the list.
    tool: usize,
    /// Values read so far.
    given: Vec<(String, Range<usize>)>,
    /// Names of their parameters.
    names: HashSet<String>,
    /// Value being read.
    value: Option<Value>,
    /// Position up to which everything has been examined.
    at: usize,
    /// Position up to which only white space follows the tag at `at`.
    blank: usize,
    mode: Mode,
}

/// Progress of reading a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More input is needed.
    Undecided,
    /// It is not a call.
    Text,
    /// The call is complete, with its length in bytes.
    Call(Call, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// More input may follow.
    Streaming,
    /// The input is complete, and the call did not match up.
    Settling,
}

impl Markup {
    /// Creates a call of the `tool`th of `tools`, whose opening tag was just found.
    pub(super) fn new(tool: usize, tools: &Tools) -> Self {
        let at = tools.0[tool].opening.len();
        Self { tool, given: Vec::new(), names: HashSet::new(), value: None, at, blank: 0, mode: Mode::Streaming }
    }

    /// Continues to read `text`, which begins with the opening tag and has grown since the last call.
    pub(super) fn advance(&mut self, text: &str, tools: &Tools) -> Progress {
        let tool = &tools.0[self.tool];
        loop {
            if self.value.is_some() {
                if !self.read_value(text, tools) {
                    return Progress::Undecided;
                }
                continue;
            }
            self.at += blank(&text[self.at..]);
            let rest = &text[self.at..];
            match match_tag(rest, &tool.closing) {
                TagMatch::Yes => return Progress::Call(self.call(text, tool), self.at + tool.closing.len()),
                TagMatch::Partial => return Progress::Undecided,
                TagMatch::No => {}
            }
            match parameter(rest, tool, |name| tools.get(name).is_none()) {
                Ok(name) => {
                    self.at += name.len() + "<>".len();
                    self.value = Some(Value::new(name, self.at));
                }
                Err(TagMatch::Partial) => return Progress::Undecided,
                Err(_) => return Progress::Text,
            }
        }
    }

    /// Returns `true` if a parameter or the end of the call follows the opening tag of `text`.
    pub(super) fn is_begun(&self, text: &str, tools: &Tools) -> bool {
        let tool = &tools.0[self.tool];
        let rest = text[self.at..].trim_ascii_start();
        match_tag(rest, &tool.closing) == TagMatch::Yes
            || parameter(rest, tool, |name| tools.get(name).is_none()).is_ok()
    }

    /// Reads an unfinished call again after the end of the input. Returns the call and its length.
    pub(super) fn settle(&self, text: &str, tools: &Tools) -> Option<(Call, usize)> {
        let mut again = Self { mode: Mode::Settling, ..Self::new(self.tool, tools) };
        match again.advance(text, tools) {
            Progress::Call(call, length) => Some((call, length)),
            Progress::Undecided | Progress::Text => None,
        }
    }

    /// Continues to read the current value; returns `false` if more input is needed.
    fn read_value(&mut self, text: &str, tools: &Tools) -> bool {
        let Some(value) = &mut self.value else { return true };
        let tool = &tools.0[self.tool];
        while let Some(tag) = text[self.at..].find('<') {
            self.at += tag;
            let rest = &text[self.at..];
            let step = match closing(rest, tool, &value.name).map(|name| (name.len() + "</>".len(), name == value.name))
            {
                Ok((length, own)) => {
                    let context = Context { tool, given: &self.names, mode: self.mode };
                    match value.close(own, behind(text, self.at + length, &mut self.blank), &context) {
                        TagMatch::Yes => {
                            let range = value.start..self.at;
                            self.at += length;
                            if let Some(value) = self.value.take() {
                                self.names.insert(value.name.clone());
                                self.given.push((value.name, range));
                            }
                            return true;
                        }
                        TagMatch::No => Some(length),
                        TagMatch::Partial => None,
                    }
                }
                Err(TagMatch::Partial) => None,
                Err(_) => match match_tag(rest, &tool.opening) {
                    TagMatch::Yes => {
                        let next = behind(text, self.at + tool.opening.len(), &mut self.blank);
                        value.open_call(rest, next, tool, tools)
                    }
                    call => value.open(rest, call),
                },
            };
            match step {
                Some(length) => self.at += length,
                None => return false,
            }
        }
        self.at = text.len();
        false
    }

    fn call(&self, text: &str, tool: &Tool) -> Call {
        let undeclared = Schema::any();
        let arguments = self.given.iter().map(|(name, value)| {
            let schema = tool.parameter(name).map_or(&undeclared, |parameter| &parameter.schema);
            format!("{}:{}", serde_json::Value::from(name.as_str()), schema.read(unwrap(&text[value.clone()])))
        });
        let arguments: Vec<String> = arguments.collect();
        Call { name: tool.name.clone(), arguments: format!("{{{}}}", arguments.join(",")) }
    }
}

/// Returns the text after the tag that ends at `end` and the white space behind it. `blank_to` caches the end of that
/// white space, so that it is not examined again with each new piece.
fn behind<'a>(text: &'a str, end: usize, blank_to: &mut usize) -> &'a str {
    let known = end.max(*blank_to);
    *blank_to = known + blank(&text[known..]);
    &text[*blank_to..]
}

/// Returns the number of bytes of leading white space.
fn blank(text: &str) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// Strips the pair of line breaks that separates a value of several lines from its tags. A line break at one end only
/// belongs to the value; one on its own is an empty value on a line of its own.
fn unwrap(value: &str) -> &str {
    if value == "\n" {
        return "";
    }
    value.strip_prefix('\n').and_then(|value| value.strip_suffix('\n')).unwrap_or(value)
}
