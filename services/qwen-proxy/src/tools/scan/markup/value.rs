//! One value: what is inside it, and whether it ends.

use std::collections::HashSet;

use super::{
    Mode,
    tag::{Begins, begins, parameter},
};
use crate::tools::{Tools, tool::Tool};

/// A value that has begun.
#[derive(Debug)]
pub(super) struct Value {
    /// The parameter.
    pub(super) name: String,
    /// Where it begins.
    pub(super) start: usize,
    /// How many calls of the same tool have begun inside it and not ended.
    calls: usize,
    /// How many of its own opening tags inside it, outside such calls, wait for a closing tag.
    openings: usize,
}

/// What tells whether a value may end.
pub(super) struct Context<'a> {
    pub(super) tool: &'a Tool,
    pub(super) given: &'a HashSet<String>,
    pub(super) mode: Mode,
}

impl Value {
    /// That of the parameter `name`, which begins at `start`.
    pub(super) fn new(name: &str, start: usize) -> Self {
        Self { name: name.to_owned(), start, calls: 0, openings: 0 }
    }

    /// Sees a parameter's closing tag, its `own` or another's, and the `rest` behind it and its white space. Tells whether the
    /// value ends.
    pub(super) fn close(&mut self, own: bool, rest: &str, context: &Context<'_>) -> Begins {
        let Context { tool, given, mode } = context;
        match begins(rest, &tool.closing) {
            Begins::Perhaps if *mode == Mode::Streaming => return Begins::Perhaps,
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

    /// Sees the tool's opening tag, and the `next` behind it and its white space. Tells how far to go on, `None` when more has
    /// to be seen.
    pub(super) fn open_call(&mut self, rest: &str, next: &str, tool: &Tool, tools: &Tools) -> Option<usize> {
        match parameter(next, tool, |name| tools.get(name).is_none()) {
            Ok(_) => self.calls += 1,
            Err(Begins::Perhaps) => return None,
            Err(_) => self.openings += usize::from(self.own_opening(rest) == Begins::Yes && self.calls == 0),
        }
        Some(tool.opening.len())
    }

    /// Sees a `<` that begins no closing tag of a parameter, and a tool's opening tag only perhaps, as `call` tells. Tells how
    /// far to go on, `None` when more has to be seen.
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

    /// Whether `rest` begins with the opening tag of this parameter.
    fn own_opening(&self, rest: &str) -> Begins {
        let Some(inside) = rest.strip_prefix('<') else { return begins(rest, "<") };
        match inside.strip_prefix(&*self.name) {
            Some(end) => begins(end, ">"),
            None => begins(inside, &self.name),
        }
    }
}
