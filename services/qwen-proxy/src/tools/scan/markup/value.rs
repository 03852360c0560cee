//! One value: what is inside it, and whether it ends.

use std::ops::Range;

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
    pub(super) given: &'a [(String, Range<usize>)],
    pub(super) mode: Mode,
}

impl Value {
    /// That of the parameter `name`, which begins at `start`.
    pub(super) fn new(name: &str, start: usize) -> Self {
        Self { name: name.to_owned(), start, calls: 0, openings: 0 }
    }

    /// Sees a parameter's closing tag, its `own` or another's, and `rest` behind it. Tells whether the value ends.
    pub(super) fn close(&mut self, own: bool, rest: &str, context: &Context<'_>) -> Begins {
        let Context { tool, given, mode } = context;
        let rest = rest.trim_ascii_start();
        match begins(rest, &tool.closing) {
            Begins::Perhaps if *mode == Mode::Streaming => return Begins::Perhaps,
            Begins::Yes if self.calls > 0 => self.calls -= 1,
            Begins::Yes if own => return Begins::Yes,
            _ if !own || self.calls > 0 => {}
            _ => {
                let new = |name: &str| name != self.name && given.iter().all(|(earlier, _)| earlier != name);
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

    /// Sees a `<` that is no closing tag. Tells how far to go on, `None` when more has to be seen.
    pub(super) fn open(&mut self, rest: &str, tool: &Tool, tools: &Tools) -> Option<usize> {
        let own = format!("<{}>", self.name);
        match (begins(rest, &tool.opening), begins(rest, &own)) {
            (Begins::Yes, own) => {
                match parameter(rest[tool.opening.len()..].trim_ascii_start(), tool, |name| tools.get(name).is_none()) {
                    Ok(_) => self.calls += 1,
                    Err(Begins::Perhaps) => return None,
                    Err(_) => self.openings += usize::from(own == Begins::Yes && self.calls == 0),
                }
                Some(tool.opening.len())
            }
            (_, Begins::Yes) => {
                self.openings += usize::from(self.calls == 0);
                Some(own.len())
            }
            (Begins::Perhaps, _) | (_, Begins::Perhaps) => None,
            (Begins::No, Begins::No) => Some(1),
        }
    }
}
