//! Puts events into an order that every surface can show.

use std::collections::{BTreeSet, HashSet, VecDeque};

use crate::hub::{CallKind, Delta, Event, FinishReason, Json, Opening, Start};
use crate::{Action, Loss};

/// Maximum bytes of text that wait for another text of the same field. Beyond, the texts mix.
const MAX_HELD: usize = 1 << 20;

/// Maximum bytes of the input of a call that are checked for completeness.
const MAX_CHECKED: usize = 1 << 20;

/// Passes events on in order: one start, additions to open blocks only, one end for every block, one end of the answer
/// and nothing after it.
///
/// Holds back blocks that begin while another one is open and would mix with it: any block on a surface whose blocks
/// follow one another, and another text of the same field on one that has a single text of each kind.
///
/// Calls get ids that differ within the answer, and calls without arguments the arguments `{}`. The last call of an
/// answer that was cut off gets none.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Whether blocks may be open at the same time.
    overlaps: bool,
    /// A prefix for ids of calls that have none.
    id: String,
    has_started: bool,
    has_ended: bool,
    /// The ids of all calls.
    calls: HashSet<String>,
    /// The block that began last, and its input if it is a call.
    last: Option<(u32, Option<Input>)>,
    /// A call without arguments that has ended, until it is known whether it was cut off.
    held: Option<u32>,
    /// All blocks that ever began.
    seen: BTreeSet<u32>,
    open: Vec<Open>,
    waiting: VecDeque<Waiting>,
    /// Bytes of text that wait.
    held_bytes: usize,
}

/// The input of a call so far, up to the piece that exceeds [`MAX_CHECKED`].
#[derive(Debug)]
struct Input {
    kind: CallKind,
    text: String,
}

/// The group of blocks that must not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// The only lane of a surface whose blocks follow one another.
    All,
    Text,
    Refusal,
    Thinking,
    /// A block that may overlap every other one.
    Free,
}

#[derive(Debug)]
struct Open {
    block: u32,
    lane: Lane,
    /// Whether it is a function call without any arguments so far.
    lacks_input: bool,
}

#[derive(Debug)]
struct Waiting {
    block: u32,
    lane: Lane,
    opening: Opening,
    deltas: Vec<Delta>,
    is_closed: bool,
}

// === impl Guard ===

impl Guard {
    pub(crate) fn new(overlaps: bool, id: &str) -> Self {
        Self {
            overlaps,
            id: id.to_owned(),
            has_started: false,
            has_ended: false,
            calls: HashSet::new(),
            last: None,
            held: None,
            seen: BTreeSet::new(),
            open: Vec::new(),
            waiting: VecDeque::new(),
            held_bytes: 0,
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
        if !matches!(event, Event::Usage(_) | Event::Finish(_)) {
            self.release(false, out);
        }
        match event {
            Event::Open { block, opening } => {
                if !self.seen.insert(block) {
                    return;
                }
                let opening = self.with_id(block, opening);
                let input = match &opening {
                    Opening::Call { kind, .. } => Some(Input { kind: *kind, text: String::new() }),
                    _ => None,
                };
                self.last = Some((block, input));
                let lane = self.lane(&opening);
                if self.is_free(lane) {
                    self.open(block, lane, opening, out);
                } else {
                    self.waiting.push_back(Waiting { block, lane, opening, deltas: Vec::new(), is_closed: false });
                }
            }
            Event::Delta { block, delta } => {
                if let (Some((last, Some(input))), Delta::Input(more)) = (&mut self.last, &delta)
                    && *last == block
                    && input.text.len() <= MAX_CHECKED
                {
                    input.text.push_str(more);
                }
                self.delta(block, delta, out);
            }
            Event::Close { block } => {
                if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.block == block) {
                    waiting.is_closed = true;
                } else if self.is_empty_call(block) {
                    self.held = Some(block);
                } else {
                    self.close(block, true, out);
                    self.promote(false, out);
                }
            }
            Event::Finish(finish) => {
                self.has_ended = true;
                let is_cut = !matches!(
                    finish.reason,
                    FinishReason::Stop | FinishReason::StopSequence | FinishReason::Tool | FinishReason::Pause
                );
                self.release(is_cut, out);
                for waiting in &mut self.waiting {
                    waiting.is_closed = true;
                }
                while let Some(block) = self.open.first().map(|open| open.block) {
                    self.close(block, !(is_cut && self.is_last(block)), out);
                }
                self.promote(is_cut, out);
                out.extend(self.cut_input(is_cut).map(Event::Lost));
                out.push(Event::Finish(finish));
            }
            event => out.push(event),
        }
    }

    /// Gives a call an id that no other call of the answer has.
    fn with_id(&mut self, block: u32, opening: Opening) -> Opening {
        let Opening::Call { id, name, namespace, kind } = opening else { return opening };
        let own = if id.is_empty() { format!("call_{}_{block}", self.id) } else { id };
        let mut id = own.clone();
        for number in 2.. {
            if self.calls.insert(id.clone()) {
                break;
            }
            id = format!("{own}_{number}");
        }
        Opening::Call { id, name, namespace, kind }
    }

    /// Returns whether a block is the last one, and a function call without arguments.
    fn is_empty_call(&self, block: u32) -> bool {
        self.is_last(block) && self.open.iter().any(|open| open.block == block && open.lacks_input)
    }

    fn is_last(&self, block: u32) -> bool {
        self.last.as_ref().is_some_and(|(last, _)| *last == block)
    }

    /// Ends the call that was held back.
    fn release(&mut self, is_cut: bool, out: &mut Vec<Event>) {
        if let Some(block) = self.held.take() {
            self.close(block, !is_cut, out);
            self.promote(is_cut, out);
        }
    }

    /// Returns the loss of the last call if its input is not, or may not be, complete.
    fn cut_input(&self, is_cut: bool) -> Option<Loss> {
        let Some((_, Some(input))) = &self.last else { return None };
        let (field, why) = match input.kind {
            CallKind::Function if input.text.trim_ascii().is_empty() && !is_cut => return None,
            CallKind::Function if input.text.len() > MAX_CHECKED && !is_cut => return None,
            CallKind::Function if Json::parse(&input.text).is_some() => return None,
            CallKind::Function => ("tool_calls.arguments", "the arguments are cut off"),
            CallKind::Custom if is_cut => ("tool_calls.input", "the input may be cut off"),
            CallKind::Custom => return None,
        };
        Some(Loss { field: field.to_owned(), action: Action::Altered, from: None, to: None, why: why.into() })
    }

    fn lane(&self, opening: &Opening) -> Lane {
        match opening {
            _ if !self.overlaps => Lane::All,
            Opening::Text { .. } => Lane::Text,
            Opening::Refusal => Lane::Refusal,
            Opening::Thinking | Opening::Reasoning { .. } => Lane::Thinking,
            Opening::Redacted { .. } | Opening::Call { .. } | Opening::Opaque { .. } => Lane::Free,
        }
    }

    /// Returns whether a block may begin: no block of its lane is open.
    fn is_free(&self, lane: Lane) -> bool {
        lane == Lane::Free || !self.open.iter().any(|open| open.lane == lane)
    }

    fn open(&mut self, block: u32, lane: Lane, opening: Opening, out: &mut Vec<Event>) {
        let lacks_input = matches!(opening, Opening::Call { kind: CallKind::Function, .. });
        self.open.push(Open { block, lane, lacks_input });
        out.push(Event::Open { block, opening });
    }

    fn delta(&mut self, block: u32, delta: Delta, out: &mut Vec<Event>) {
        if let Some(open) = self.open.iter_mut().find(|open| open.block == block) {
            if matches!(&delta, Delta::Input(input) if !input.is_empty()) {
                open.lacks_input = false;
            }
            out.push(Event::Delta { block, delta });
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.block == block) {
            self.held_bytes = self.held_bytes.saturating_add(delta.len());
            // Joined, so that what waits takes no more memory than its text.
            let rest = match waiting.deltas.last_mut() {
                Some(last) => last.join(delta),
                None => Some(delta),
            };
            waiting.deltas.extend(rest);
            if self.overlaps && self.held_bytes > MAX_HELD {
                self.release_all(out);
            }
        }
    }

    /// Passes on all blocks that wait, although they mix with others.
    fn release_all(&mut self, out: &mut Vec<Event>) {
        self.held_bytes = 0;
        for next in std::mem::take(&mut self.waiting) {
            self.open(next.block, next.lane, next.opening, out);
            next.deltas.into_iter().for_each(|delta| self.delta(next.block, delta, out));
            if next.is_closed {
                self.close(next.block, true, out);
            }
        }
    }

    /// Ends a block. `fills` gives a call without arguments an empty object.
    fn close(&mut self, block: u32, fills: bool, out: &mut Vec<Event>) {
        let Some(at) = self.open.iter().position(|open| open.block == block) else { return };
        if self.open.remove(at).lacks_input && fills {
            out.push(Event::Delta { block, delta: Delta::Input("{}".into()) });
        }
        out.push(Event::Close { block });
    }

    /// Passes on the blocks that wait, up to the first one that is still open. The last call of an answer that was cut
    /// off gets no arguments.
    fn promote(&mut self, is_cut: bool, out: &mut Vec<Event>) {
        while let Some(at) = self.waiting.iter().position(|waiting| self.is_free(waiting.lane))
            && let Some(next) = self.waiting.remove(at)
        {
            self.open(next.block, next.lane, next.opening, out);
            next.deltas.into_iter().for_each(|delta| self.delta(next.block, delta, out));
            if next.is_closed && !self.has_ended && self.is_empty_call(next.block) {
                self.held = Some(next.block);
            } else if next.is_closed {
                self.close(next.block, !(is_cut && self.is_last(next.block)), out);
            }
        }
        if self.waiting.is_empty() {
            self.held_bytes = 0;
        }
    }
}
