//! A value being read: its nested tags, and the decision whether it ends.

use std::collections::HashSet;

use super::{
    Mode,
    tag::{TagMatch, match_tag, parameter},
};
use crate::tools::{Tools, tool::Tool};

/// A value that has begun.
#[derive(Debug)]
pub(super) struct Value {
    /// Name of the parameter.
    pub(super) name: String,
    /// Start of the value.
    pub(super) start: usize,
    /// Number of open calls of the same tool inside it.
    calls: usize,
    /// Number of its own unclosed opening tags inside it, outside such calls.
    openings: usize,
}

/// Context for the decision whether a value ends.
pub(super) struct Context<'a> {
    pub(super) tool: &'a Tool,
    pub(super) given: &'a HashSet<String>,
    pub(super) mode: Mode,
}

impl Value {
    /// Creates the value of the parameter `name`, which begins at `start`.
    pub(super) fn new(name: &str, start: usize) -> Self {
        Self { name: name.to_owned(), start, calls: 0, openings: 0 }
    }

    /// Processes the closing tag of a parameter, its `own` or another's, followed by `rest` after white space. Returns
    /// whether the value ends.
    pub(super) fn close(&mut self, own: bool, rest: &str, context: &Context<'_>) -> TagMatch {
        let Context { tool, given, mode } = context;
        match match_tag(rest, &tool.closing) {
            TagMatch::Partial if *mode == Mode::Streaming => return TagMatch::Partial,
            // The tool's closing tag ends a nested call first, and only then the call itself.
            TagMatch::Yes if self.calls > 0 => self.calls -= 1,
            TagMatch::Yes if own => return TagMatch::Yes,
            _ if !own || self.calls > 0 => {}
            _ => {
                let new = |name: &str| name != self.name && !given.contains(name);
                let next = match parameter(rest, tool, |_| *mode == Mode::Settling) {
                    Ok(name) if new(name) => TagMatch::Yes,
                    Ok(_) => TagMatch::No,
                    Err(match_tag) => match_tag,
                };
                match next {
                    TagMatch::Partial if *mode == Mode::Streaming => return TagMatch::Partial,
                    TagMatch::Yes if self.openings == 0 || *mode == Mode::Settling => return TagMatch::Yes,
                    _ => self.openings = self.openings.saturating_sub(1),
                }
            }
        }
        TagMatch::No
    }

    /// Processes the tool's opening tag, followed by `next` after white space. Returns the number of bytes to advance,
    /// or `None` if more input is needed.
    pub(super) fn open_call(&mut self, rest: &str, next: &str, tool: &Tool, tools: &Tools) -> Option<usize> {
        match parameter(next, tool, |name| tools.get(name).is_none()) {
            Ok(_) => self.calls += 1,
            Err(TagMatch::Partial) => return None,
            Err(_) => self.openings += usize::from(self.own_opening(rest) == TagMatch::Yes && self.calls == 0),
        }
        Some(tool.opening.len())
    }

    /// Processes a `<` that does not begin a closing tag of a parameter; `call` tells whether it may begin the tool's
    /// opening tag. Returns the number of bytes to advance, or `None` if more input is needed.
    pub(super) fn open(&mut self, rest: &str, call: TagMatch) -> Option<usize> {
        match (call, self.own_opening(rest)) {
            (_, TagMatch::Yes) => {
                self.openings += usize::from(self.calls == 0);
                Some(self.name.len() + "<>".len())
            }
            (TagMatch::Partial, _) | (_, TagMatch::Partial) => None,
            _ => Some(1),
        }
    }

    /// Matches the opening tag of this parameter at the beginning of `rest`.
    fn own_opening(&self, rest: &str) -> TagMatch {
        let Some(inside) = rest.strip_prefix('<') else { return match_tag(rest, "<") };
        match inside.strip_prefix(&*self.name) {
            Some(end) => match_tag(end, ">"),
            None => match_tag(inside, &self.name),
        }
    }
}
