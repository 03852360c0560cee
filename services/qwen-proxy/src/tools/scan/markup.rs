//! Where a call and its values end.
//!
//! Values are written unescaped, so one may contain anything, its own closing tag and whole calls included. The rule:
//!
//! - A closing tag ends its value when the tool's closing tag follows, or the tag of a declared parameter that the call does
//!   not have yet. Any other closing tag is part of the value.
//! - Calls of the same tool inside a value (a document about calls) are counted as they begin and end, and belong to it.
//! - Before another parameter, a closing tag belongs to an opening tag of the same name inside the value, if there is one.
//! - When an answer has ended in the middle of a call, it is read once more without the third rule, and undeclared
//!   parameters end a value, too.
//!
//! So a call leaves the moment its last character is there. What is misread is a value with unmatched closing tags of its
//! own parameter and tool in a row. What never matches up stays text, with all that looks like a call inside: an answer may
//! have been cut off within a document about calls.

mod tag;
mod value;

use std::{collections::HashSet, ops::Range};

use self::{
    tag::{Begins, begins, closing, parameter},
    value::{Context, Value},
};
use super::super::{Call, Tools, schema::Schema, tool::Tool};

/// A call being read. Positions count from the `<` of its opening tag.
#[derive(Debug)]
pub(super) struct Markup {
    /// Its place in the list.
    tool: usize,
    /// The values read so far.
    given: Vec<(String, Range<usize>)>,
    /// The names of their parameters.
    names: HashSet<String>,
    /// The value being read.
    value: Option<Value>,
    /// Up to where everything has been looked at.
    at: usize,
    /// Up to where only white space is behind the tag at `at`.
    blank: usize,
    mode: Mode,
}

/// How far a call has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More has to be seen.
    Undecided,
    /// It is none.
    Text,
    /// It is complete, and so many bytes long.
    Call(Call, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// More may come.
    Streaming,
    /// This is all, and it did not match up.
    Settling,
}

impl Markup {
    /// A call of the `tool`th of `tools`, whose opening tag has just been seen.
    pub(super) fn new(tool: usize, tools: &Tools) -> Self {
        let at = tools.0[tool].opening.len();
        Self { tool, given: Vec::new(), names: HashSet::new(), value: None, at, blank: 0, mode: Mode::Streaming }
    }

    /// Reads on in `text`, which begins with the opening tag and has grown since the last time.
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
            match begins(rest, &tool.closing) {
                Begins::Yes => return Progress::Call(self.call(text, tool), self.at + tool.closing.len()),
                Begins::Perhaps => return Progress::Undecided,
                Begins::No => {}
            }
            match parameter(rest, tool, |name| tools.get(name).is_none()) {
                Ok(name) => {
                    self.at += name.len() + "<>".len();
                    self.value = Some(Value::new(name, self.at));
                }
                Err(Begins::Perhaps) => return Progress::Undecided,
                Err(_) => return Progress::Text,
            }
        }
    }

    /// Whether a parameter or the end of the call follows the opening tag of `text`.
    pub(super) fn is_begun(&self, text: &str, tools: &Tools) -> bool {
        let tool = &tools.0[self.tool];
        let rest = text[self.at..].trim_ascii_start();
        begins(rest, &tool.closing) == Begins::Yes || parameter(rest, tool, |name| tools.get(name).is_none()).is_ok()
    }

    /// Reads a call that did not come to its end, once no more will follow. Gives it and its length.
    pub(super) fn settle(&self, text: &str, tools: &Tools) -> Option<(Call, usize)> {
        let mut again = Self { mode: Mode::Settling, ..Self::new(self.tool, tools) };
        match again.advance(text, tools) {
            Progress::Call(call, length) => Some((call, length)),
            Progress::Undecided | Progress::Text => None,
        }
    }

    /// Reads on in the current value; false when more has to be seen.
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
                        Begins::Yes => {
                            let range = value.start..self.at;
                            self.at += length;
                            if let Some(value) = self.value.take() {
                                self.names.insert(value.name.clone());
                                self.given.push((value.name, range));
                            }
                            return true;
                        }
                        Begins::No => Some(length),
                        Begins::Perhaps => None,
                    }
                }
                Err(Begins::Perhaps) => None,
                Err(_) => match begins(rest, &tool.opening) {
                    Begins::Yes => {
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

/// What is behind the tag that ends at `end` and the white space after it. `blank` remembers how far that goes, so that it
/// is not looked at again with each new piece.
fn behind<'a>(text: &'a str, end: usize, blank_to: &mut usize) -> &'a str {
    let known = end.max(*blank_to);
    *blank_to = known + blank(&text[known..]);
    &text[*blank_to..]
}

/// How many bytes of white space `text` begins with.
fn blank(text: &str) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// A value without the line breaks that set it apart from its tags.
fn unwrap(value: &str) -> &str {
    let value = value.strip_prefix('\n').unwrap_or(value);
    value.strip_suffix('\n').unwrap_or(value)
}
