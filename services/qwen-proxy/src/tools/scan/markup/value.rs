//! A value being read: its nested tags, and the decision whether it ends.

use std::collections::HashSet;

use super::{
    Mode,
    tag::{Begins, begins, parameter},
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
    pub(super) fn close(&mut self, own: bool, rest: &str, context: &Context<'_>) -> Begins {
        let Context { tool, given, mode } = context;
        match begins(rest, &tool.closing) {
            Begins::Perhaps if *mode == Mode::Streaming => return Begins::Perhaps,
            // The tool's closing tag ends a nested call first, and only then the call itself.
            Begins::Yes if self.calls > 0 => self.calls -= 1,
            Begins::Yes if own => return Begins::Yes,
            _ if !own || self.calls > 0 => {}
            _ => {
                let new = |name: &str| name != self.name && !given.contains(name);
                let next = match parameter(rest, tool, |_| *mode == Mode::Settling) {
                    Ok(name) if new(name) => Begins::Yes,
                    Ok(_) => Begins::No,
                    Err(begins) => begins,
                };
                match next {
                    Begins::Perhaps if *mode == Mode::Streaming => return Begins::Perhaps,
                    Begins::Yes if self.openings == 0 || *mode == Mode::Settling => return Begins::Yes,
                    _ => self.openings = self.openings.saturating_sub(1),
                }
            }
        }
        Begins::No
    }

    /// Processes the tool's opening tag, followed by `next` after white space. Returns the number of bytes to advance,
    /// or `None` if more input is needed.
    pub(super) fn open_call(&mut self, rest: &str, next: &str, tool: &Tool, tools: &Tools) -> Option<usize> {
        match parameter(next, tool, |name| tools.get(name).is_none()) {
            Ok(_) => self.calls += 1,
            Err(Begins::Perhaps) => return None,
            Err(_) => self.openings += usize::from(self.own_opening(rest) == Begins::Yes && self.calls == 0),
        }
        Some(tool.opening.len())
    }

    /// Processes a `<` that does not begin a closing tag of a parameter; `call` tells whether it may begin the tool's
    /// opening tag. Returns the number of bytes to advance, or `None` if more input is needed.
    pub(super) fn open(&mut self, rest: &str, call: Begins) -> Option<usize> {
        match (call, self.own_opening(rest)) {
            (_, Begins::Yes) => {
                self.openings += usize::from(self.calls == 0);
                Some(self.name.len() + "<>".len())
            }
            (Begins::Perhaps, _) | (_, Begins::Perhaps) => None,
            _ => Some(1),
        }
    }

    /// Matches the opening tag of this parameter at the beginning of `rest`.
    fn own_opening(&self, rest: &str) -> Begins {
        let Some(inside) = rest.strip_prefix('<') else { return begins(rest, "<") };
        match inside.strip_prefix(&*self.name) {
            Some(end) => begins(end, ">"),
            None => begins(inside, &self.name),
        }
    }
}
