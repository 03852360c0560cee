//! The tool calls of an answer, put together from their pieces.

use signalbox_core::openai::{Arguments, FunctionView, ToolCallView};

use crate::Loss;
use crate::field::{Joiner, Raw};
use crate::hub::{CallKind, Delta, Event, Json, Opening};
use crate::write::arguments_object;

/// Maximum bytes of arguments that are checked for completeness.
const MAX_CHECKED: usize = 1 << 16;

/// Maximum number of names of fields that are reported as lost.
const MAX_LOST: usize = 16;

/// The calls of one answer, in order of appearance.
#[derive(Debug)]
pub(super) struct Calls {
    /// A prefix for ids of calls that have none.
    id: String,
    list: Vec<Call>,
    has_called: bool,
    /// Names of fields that have been reported as lost.
    lost: Vec<String>,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<i64>,
    id: Option<String>,
    kind: CallKind,
    /// The name so far.
    name: String,
    /// The number of the block, once the name is complete.
    block: Option<u32>,
    /// Arguments that came before the block began.
    early: String,
    /// The `extra_content` of Gemini for the call, until the block begins.
    extra: Option<Json>,
    /// The arguments so far of a call without an index, up to the piece that exceeds [`MAX_CHECKED`].
    anonymous: String,
    joiner: Joiner,
}

// === impl Calls ===

impl Calls {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), list: Vec::new(), has_called: false, lost: Vec::new() }
    }

    /// Returns whether a call has begun.
    pub(super) const fn has_called(&self) -> bool {
        self.has_called
    }

    /// Returns whether a call has arguments and no name.
    pub(super) fn lacks_name(&self) -> bool {
        self.list.iter().any(|call| call.block.is_none() && !call.early.is_empty())
    }

    /// Adds a piece to its call. Passes its arguments on if the block has begun.
    pub(super) fn push(&mut self, view: &ToolCallView<'_>, out: &mut Vec<Event>) {
        self.report(view, out);
        let at = self.find(view);
        let Some(call) = self.list.get_mut(at) else { return };
        let custom = view.others.iter().find(|(name, _)| name == "custom").and_then(|(_, json)| custom_function(json));
        let (name, input) = match custom {
            Some((name, input)) => {
                call.kind = CallKind::Custom;
                (name, input.unwrap_or_default())
            }
            None => {
                let input = read_arguments(&view.function, &mut call.joiner);
                (view.function.name.map(|name| name.to_str().into_owned()), input)
            }
        };
        if call.index.is_none() && call.anonymous.len() <= MAX_CHECKED {
            call.anonymous.push_str(&input);
        }
        let extra = view.others.iter().find(|(name, _)| name == "extra_content");
        let extra = extra.and_then(|(_, json)| Json::parse(std::str::from_utf8(json).ok()?)).filter(Json::is_object);
        match call.block {
            Some(block) => out.extend(extra.map(|extra| Event::Delta { block, delta: Delta::Extra(extra) })),
            None => call.extra = extra.or_else(|| call.extra.take()),
        }
        match call.block {
            Some(block) if !input.is_empty() => out.push(Event::Delta { block, delta: Delta::Input(input) }),
            Some(_) => {}
            None => {
                name.into_iter().for_each(|piece| call.add_name(&piece));
                call.early.push_str(&input);
            }
        }
    }

    /// Reports further fields, such as the signature of a thought, once each.
    fn report(&mut self, view: &ToolCallView<'_>, out: &mut Vec<Event>) {
        for (name, _) in view.others.iter().chain(&view.function.others) {
            if name != "custom" && self.lost.len() < MAX_LOST && !self.lost.iter().any(|known| known == name) {
                out.push(Event::Lost(Loss::of_answer(&format!("tool_calls.{name}"))));
                self.lost.push(name.to_string());
            }
        }
    }

    /// Begins the blocks of calls in their order, each as soon as its arguments begin: its name may come in pieces
    /// until then. `is_end` begins the others, too. Returns the number of the next block.
    pub(super) fn open(&mut self, is_end: bool, mut next: u32, out: &mut Vec<Event>) -> u32 {
        for call in self.list.iter_mut().filter(|call| call.block.is_none()) {
            if call.name.is_empty() && is_end {
                continue;
            }
            if call.name.is_empty() || (call.early.is_empty() && !is_end) {
                break;
            }
            self.has_called = true;
            call.block = Some(next);
            let id = call.id.clone().unwrap_or_else(|| format!("call_{}_{next}", self.id));
            let opening = Opening::Call { id, name: call.name.clone(), namespace: None, kind: call.kind };
            out.push(Event::Open { block: next, opening });
            out.extend(call.extra.take().map(|extra| Event::Delta { block: next, delta: Delta::Extra(extra) }));
            let early = std::mem::take(&mut call.early);
            if !early.is_empty() {
                out.push(Event::Delta { block: next, delta: Delta::Input(early) });
            }
            next += 1;
        }
        next
    }

    /// Returns whether a call has its name and waits for its arguments, or has both and waits for its block.
    pub(super) fn may_open(&self, is_end: bool) -> bool {
        let mut waiting = self.list.iter().filter(|call| call.block.is_none());
        match is_end {
            true => waiting.any(|call| !call.name.is_empty()),
            false => waiting.next().is_some_and(|call| !call.name.is_empty() && !call.early.is_empty()),
        }
    }

    /// Ends all blocks.
    pub(super) fn close(&mut self, out: &mut Vec<Event>) {
        for call in std::mem::take(&mut self.list) {
            out.extend(call.block.map(|block| Event::Close { block }));
        }
    }

    /// Returns the position of the call that a piece belongs to, which may be a new one.
    ///
    /// Pieces are told apart by their index. A piece with another id and a name is a new call even with the same index,
    /// because some providers number all calls 0; so is a name without index and id, once the call before has arguments
    /// and another name, or all of its arguments.
    fn find(&mut self, view: &ToolCallView<'_>) -> usize {
        let id = view.id.map(|id| id.to_str().into_owned()).filter(|id| !id.is_empty());
        let known = match (view.index, &id) {
            (Some(index), _) => self.list.iter().rposition(|call| call.index == Some(index)),
            (None, Some(id)) => self.list.iter().rposition(|call| call.id.as_ref() == Some(id)),
            (None, None) => self.list.len().checked_sub(1),
        };
        let is_other = |call: &Call| {
            let Some(name) = view.function.name else { return false };
            let is_anonymous = view.index.is_none() && id.is_none();
            let differs = call.id.is_some() && id.is_some() && call.id != id;
            differs || (is_anonymous && call.ends_before(&name.to_str()))
        };
        if let Some(at) = known
            && let Some(call) = self.list.get_mut(at)
            && !is_other(call)
        {
            if call.block.is_none() {
                call.id = call.id.take().or(id);
            }
            return at;
        }
        self.list.push(Call { index: view.index, id, ..Call::default() });
        self.list.len() - 1
    }
}

// === impl Call ===

impl Call {
    /// Returns whether a piece with a name, without index and id, belongs to another call.
    fn ends_before(&self, name: &str) -> bool {
        let has_input = !self.anonymous.is_empty() && !self.name.is_empty();
        let may_be_whole = self.anonymous.ends_with('}') && self.anonymous.len() <= MAX_CHECKED;
        has_input && (self.name != name || (may_be_whole && arguments_object(&self.anonymous).is_some()))
    }

    /// Adds a piece of the name. A piece that begins with the name so far is the whole name: some providers repeat it
    /// in every chunk.
    fn add_name(&mut self, piece: &str) {
        if piece.starts_with(&self.name) {
            self.name.clear();
        }
        self.name.push_str(piece);
    }
}

fn read_arguments(function: &FunctionView<'_>, joiner: &mut Joiner) -> String {
    match function.arguments {
        Some(Arguments::Text(text)) => joiner.push(text),
        Some(Arguments::Json(json)) => String::from_utf8_lossy(json).into_owned(),
        None => String::new(),
    }
}

/// Reads the name and the input of a call of a custom tool.
fn custom_function(json: &[u8]) -> Option<(Option<String>, Option<String>)> {
    let json = Json::parse(std::str::from_utf8(json).ok()?)?;
    let fields = Raw::document(json.as_str()).fields()?;
    Some((fields.string("name"), fields.string("input")))
}
