//! Puts events into an order that every surface can show.

use std::collections::{BTreeSet, VecDeque};

use crate::hub::{CallKind, Delta, Event, Opening, Start};

/// Passes events on in order: one start, additions to open blocks only, one end for every block, one end of the answer
/// and nothing after it.
///
/// A guard for surfaces whose blocks follow one another holds back blocks that begin while another one is open.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Whether blocks may be open at the same time.
    overlaps: bool,
    has_started: bool,
    has_ended: bool,
    /// All blocks that ever began.
    seen: BTreeSet<u32>,
    open: Vec<Open>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Open {
    block: u32,
    /// Whether it is a function call without any arguments so far.
    lacks_input: bool,
}

#[derive(Debug)]
struct Waiting {
    block: u32,
    opening: Opening,
    deltas: Vec<Delta>,
    is_closed: bool,
}

// === impl Guard ===

impl Guard {
    pub(crate) const fn new(overlaps: bool) -> Self {
        Self {
            overlaps,
            has_started: false,
            has_ended: false,
            seen: BTreeSet::new(),
            open: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Returns whether the answer has ended.
    pub(crate) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(crate) fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.has_ended {
            return;
        }
        match event {
            Event::Ping | Event::Lost(_) => out.push(event),
            Event::Failed(failure) => {
                self.has_ended = true;
                self.waiting.clear();
                out.push(Event::Failed(failure));
            }
            Event::Start(start) => self.start(start, out),
            event => {
                self.start(Start::default(), out);
                self.push_content(event, out);
            }
        }
    }

    fn start(&mut self, start: Start, out: &mut Vec<Event>) {
        if !self.has_started {
            self.has_started = true;
            out.push(Event::Start(start));
        }
    }

    fn push_content(&mut self, event: Event, out: &mut Vec<Event>) {
        match event {
            Event::Open { block, opening } => {
                if !self.seen.insert(block) {
                    return;
                }
                if self.overlaps || self.open.is_empty() {
                    self.open(block, opening, out);
                } else {
                    self.waiting.push_back(Waiting { block, opening, deltas: Vec::new(), is_closed: false });
                }
            }
            Event::Delta { block, delta } => self.delta(block, delta, out),
            Event::Close { block } => {
                if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.block == block) {
                    waiting.is_closed = true;
                } else {
                    self.close(block, out);
                    self.promote(out);
                }
            }
            Event::Finish(finish) => {
                self.has_ended = true;
                for waiting in &mut self.waiting {
                    waiting.is_closed = true;
                }
                while let Some(block) = self.open.first().map(|open| open.block) {
                    self.close(block, out);
                }
                self.promote(out);
                out.push(Event::Finish(finish));
            }
            event => out.push(event),
        }
    }

    fn open(&mut self, block: u32, opening: Opening, out: &mut Vec<Event>) {
        let lacks_input = matches!(opening, Opening::Call { kind: CallKind::Function, .. });
        self.open.push(Open { block, lacks_input });
        out.push(Event::Open { block, opening });
    }

    fn delta(&mut self, block: u32, delta: Delta, out: &mut Vec<Event>) {
        if let Some(open) = self.open.iter_mut().find(|open| open.block == block) {
            if matches!(&delta, Delta::Input(input) if !input.is_empty()) {
                open.lacks_input = false;
            }
            out.push(Event::Delta { block, delta });
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.block == block) {
            // Joined, so that what waits takes no more memory than its text.
            let rest = match waiting.deltas.last_mut() {
                Some(last) => last.join(delta),
                None => Some(delta),
            };
            waiting.deltas.extend(rest);
        }
    }

    fn close(&mut self, block: u32, out: &mut Vec<Event>) {
        let Some(at) = self.open.iter().position(|open| open.block == block) else { return };
        if self.open.remove(at).lacks_input {
            out.push(Event::Delta { block, delta: Delta::Input("{}".into()) });
        }
        out.push(Event::Close { block });
    }

    /// Passes on the blocks that wait, up to the first one that is still open.
    fn promote(&mut self, out: &mut Vec<Event>) {
        while self.open.is_empty()
            && let Some(next) = self.waiting.pop_front()
        {
            self.open(next.block, next.opening, out);
            next.deltas.into_iter().for_each(|delta| self.delta(next.block, delta, out));
            if next.is_closed {
                self.close(next.block, out);
            }
        }
    }
}
