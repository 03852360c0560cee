//! Tells which events and which items of the final output of a response belong to the same item, whatever a provider
//! makes of ids and indices.
//!
//! # The rule
//! Items of different types are never the same. A call with another `name` is another call; so is one with another
//! `call_id`, except where the rule says otherwise. "Agree" means that one text is the other or its beginning, apart from
//! white space; the input of a call counts as its text.
//!
//! **A piece** (a delta, or the beginning or the end of a part) belongs to the first of:
//! 1. the open item with the same id and index;
//! 2. the open item with the same id, if only one item of that type has had the id;
//! 3. the open item with the same index;
//! 4. the last open item, if an event announced it, or if the piece lacks what tells the two apart;
//! 5. a new item. But a piece with the id and the index of an item that has ended is late, and ignored.
//!
//! **An announcement** (`output_item.added`) repeats an open item with the same id or index that has said nothing yet,
//! or a call with the same `call_id`. It names an item that pieces have begun. Otherwise it begins a new item.
//!
//! **An end** (`output_item.done`) belongs to the open item that agrees and has the same id and index, the same
//! `call_id`, the same id, or the same index; else to the last open item that agrees; else to one of these that does
//! not agree. The `call_id` of a call may change if index, name and input stay. An end that equals one before is a
//! repetition. Otherwise the end is all there is of a new item.
//!
//! **The final output** is matched as a whole, one pass after another, each in the order of the output: same `call_id`,
//! same id and index, same id, each if the texts agree; same text; same index if the texts agree; the text that begins
//! like the streamed one; same `call_id`, id or index without agreement; calls with other `call_id`s but the same name
//! and input. A message or a reasoning item that is left counts as said if the streamed texts of its type, joined, have
//! its text at its place. Everything else is new.
//!
//! A text that was sent is therefore never sent again, and a text that was not sent is never lost.

use std::collections::{HashMap, HashSet};

mod response;

/// Maximum number of open items that an end is compared with.
const MAX_TRIED: usize = 64;

/// The items that the events of one answer named, in order of appearance.
#[derive(Debug, Default)]
pub struct ResponseItems {
    list: Vec<Item>,
    /// The newest items by what tells them apart.
    newest: HashMap<Key, usize>,
    /// Types and ids that several items have.
    shared: HashSet<(String, String)>,
    /// The items of a type that may be open, in order of appearance.
    open: HashMap<String, Vec<usize>>,
    /// The newest piece and its item, because most pieces follow another one of the same item.
    last: Option<(SeenItem, usize)>,
}

/// The properties that tell an item of a type apart; the ids are not empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    IdAndPlace(String, String, u32),
    Call(String, String),
    Id(String, String),
    Place(String, u32),
}

#[derive(Debug)]
struct Item {
    seen: SeenItem,
    is_announced: bool,
    is_done: bool,
}

/// An item, or a piece of one, as an event or a response has it. Texts that are absent are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenItem {
    /// The index in the output.
    pub place: Option<u32>,
    /// The provider's id.
    pub id: String,
    /// The id of a call.
    pub call_id: String,
    /// The type.
    pub kind: String,
    /// The name of a call.
    pub name: String,
    /// The whole text, or the input of a call.
    pub said: String,
}

// === impl SeenItem ===

impl SeenItem {
    fn keys(&self) -> impl Iterator<Item = Key> {
        let Self { place, id, call_id, kind, .. } = self;
        let id = (!id.is_empty()).then_some(id);
        let exact = id.zip(*place).map(|(id, place)| Key::IdAndPlace(kind.clone(), id.clone(), place));
        let call = (!call_id.is_empty()).then(|| Key::Call(kind.clone(), call_id.clone()));
        let id = id.map(|id| Key::Id(kind.clone(), id.clone()));
        exact.into_iter().chain(call).chain(id).chain(place.map(|place| Key::Place(kind.clone(), place)))
    }

    fn is_named_otherwise(&self, other: &Self) -> bool {
        differ(&self.name, &other.name)
    }

    fn is_other_call(&self, other: &Self) -> bool {
        differ(&self.call_id, &other.call_id) || self.is_named_otherwise(other)
    }

    /// Returns whether neither the id nor the index tells two items apart.
    fn may_be(&self, other: &Self) -> bool {
        !differ(&self.id, &other.id) && !self.is_elsewhere(other)
    }

    fn is_elsewhere(&self, other: &Self) -> bool {
        self.place.zip(other.place).is_some_and(|(one, other)| one != other)
    }

    fn lacks_id(&self, other: &Self) -> bool {
        self.id.is_empty() || other.id.is_empty()
    }
}

fn differ(one: &str, other: &str) -> bool {
    !one.is_empty() && !other.is_empty() && one != other
}

// === impl ResponseItems ===

impl ResponseItems {
    /// Returns the number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether no event has named an item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns whether an item has ended.
    #[must_use]
    pub fn is_done(&self, number: u32) -> bool {
        self.list.get(number as usize).is_some_and(|item| item.is_done)
    }

    /// Ends an item.
    pub fn end(&mut self, number: u32) {
        if let Some(item) = self.list.get_mut(number as usize) {
            item.is_done = true;
            self.last = None;
            let open = self.open.entry(item.seen.kind.clone()).or_default();
            while open.last().and_then(|at| self.list.get(*at)).is_some_and(|item| item.is_done) {
                open.pop();
            }
        }
    }

    /// Returns the index of an item, if the provider told one.
    #[must_use]
    pub fn place(&self, number: u32) -> Option<u32> {
        self.list.get(number as usize)?.seen.place
    }

    /// Returns the number of the item that a piece belongs to, which may be a new one. Only the type, the id and the
    /// index of the piece count.
    pub fn of_piece(&mut self, piece: SeenItem) -> u32 {
        if let Some((last, at)) = &self.last
            && *last == piece
        {
            return number(*at);
        }
        let at = self.find_of_piece(&piece).unwrap_or_else(|| self.add(piece.clone(), false));
        self.last = Some((piece, at));
        number(at)
    }

    fn find_of_piece(&self, piece: &SeenItem) -> Option<usize> {
        for key in piece.keys() {
            let Some(at) = self.newest.get(&key).copied() else { continue };
            let is_open = self.list.get(at).is_some_and(|item| !item.is_done);
            match key {
                Key::IdAndPlace(..) => return Some(at),
                Key::Id(kind, id) if self.shared.contains(&(kind.clone(), id.clone())) => {}
                Key::Id(..) if is_open || piece.place.is_none() => return Some(at),
                Key::Place(..) if is_open => return Some(at),
                _ => {}
            }
        }
        let at = self.open_of(&piece.kind).next()?;
        let item = self.list.get(at)?;
        let is_told_apart = item.seen.is_elsewhere(piece) || !item.seen.lacks_id(piece);
        (item.is_announced || !is_told_apart).then_some(at)
    }

    /// Returns the number of an item that an event announces, which may be a new one. `said` returns what an item has
    /// said so far.
    pub fn of_announcement(&mut self, seen: &SeenItem, said: impl Fn(u32) -> String) -> u32 {
        let is_it = |at: &usize| {
            let Some(item) = self.list.get(*at).filter(|item| !item.seen.is_other_call(seen)) else { return false };
            let is_same_call = !seen.call_id.is_empty() && item.seen.call_id == seen.call_id;
            match (item.is_done, item.is_announced) {
                _ if !item.seen.may_be(seen) => false,
                (true, _) => is_same_call,
                (false, true) => is_same_call || said(number(*at)).is_empty(),
                (false, false) => true,
            }
        };
        let found = self.candidates(seen).find(is_it);
        number(self.learn(found, seen))
    }

    /// Returns the number of an item that an event ends, which may be a new one. `said` returns what an item has said
    /// so far.
    pub fn of_end(&mut self, seen: &SeenItem, said: impl Fn(u32) -> String) -> u32 {
        let agrees = |at: usize| agree(&said(number(at)), &seen.said);
        let is_open = |at: usize| self.list.get(at).is_some_and(|item| !item.is_done);
        let is_other = |at: usize| self.list.get(at).is_none_or(|item| item.seen.is_other_call(seen));
        let is_repetition = |at: usize| {
            let may_be = self.list.get(at).is_some_and(|item| item.is_done && item.seen.may_be(seen));
            may_be && !is_other(at) && said(number(at)) == seen.said
        };
        let has_new_call_id = |at: usize| {
            let is_it = self.list.get(at).is_some_and(|item| {
                !item.seen.is_named_otherwise(seen) && item.seen.place.is_some() && item.seen.place == seen.place
            });
            is_it && !seen.said.is_empty() && !said(number(at)).is_empty() && agrees(at)
        };
        let may_disagree = |at: usize| {
            let has_evidence = self.list.get(at).is_some_and(|item| {
                item.seen.lacks_id(seen) || item.seen.id == seen.id || item.seen.call_id == seen.call_id
            });
            has_evidence && !is_other(at) && is_open(at)
        };
        let found = None
            .or_else(|| self.candidates(seen).find(|at| is_open(*at) && !is_other(*at) && agrees(*at)))
            .or_else(|| self.candidates(seen).find(|at| is_repetition(*at)))
            .or_else(|| self.open_of(&seen.kind).find(|at| !is_other(*at) && agrees(*at)))
            .or_else(|| self.candidates(seen).find(|at| is_open(*at) && has_new_call_id(*at)))
            .or_else(|| self.candidates(seen).find(|at| may_disagree(*at)));
        number(self.learn(found, seen))
    }

    /// Returns the items that have something in common with another one, the surest first.
    fn candidates(&self, seen: &SeenItem) -> impl Iterator<Item = usize> {
        seen.keys().filter_map(|key| match key {
            Key::Id(kind, id) if self.shared.contains(&(kind.clone(), id.clone())) => None,
            key => self.newest.get(&key).copied(),
        })
    }

    /// Returns the open items of a type, the last first.
    fn open_of(&self, kind: &str) -> impl Iterator<Item = usize> {
        let open = self.open.get(kind).into_iter().flatten().rev().take(MAX_TRIED).copied();
        open.filter(|at| self.list.get(*at).is_some_and(|item| !item.is_done))
    }

    fn add(&mut self, seen: SeenItem, is_announced: bool) -> usize {
        let at = self.list.len();
        self.open.entry(seen.kind.clone()).or_default().push(at);
        self.index(at, &seen);
        self.list.push(Item { seen: SeenItem { said: String::new(), ..seen }, is_announced, is_done: false });
        at
    }

    /// Adds what an event tells of an item, or a new item.
    fn learn(&mut self, found: Option<usize>, seen: &SeenItem) -> usize {
        let Some(at) = found else { return self.add(seen.clone(), true) };
        if let Some(item) = self.list.get_mut(at) {
            item.is_announced = true;
            item.seen.place = item.seen.place.or(seen.place);
            let own = &mut item.seen;
            for (own, new) in [(&mut own.id, &seen.id), (&mut own.call_id, &seen.call_id), (&mut own.name, &seen.name)]
            {
                if own.is_empty() {
                    own.clone_from(new);
                }
            }
        }
        self.index(at, seen);
        at
    }

    fn index(&mut self, at: usize, seen: &SeenItem) {
        self.last = None;
        for key in seen.keys() {
            let before = self.newest.insert(key.clone(), at);
            if let (Key::Id(kind, id), true) = (key, before.is_some_and(|before| before != at)) {
                self.shared.insert((kind, id));
            }
        }
    }
}

/// Returns the type of the item that a piece belongs to, by the type of its event without `response.` and the type of
/// its part; `None` if the event is not about a piece.
#[must_use]
pub fn kind_of_piece(event: &str, part: &str) -> Option<&'static str> {
    let (of, what) = event.rsplit_once('.')?;
    match (of, what) {
        ("output_text" | "refusal", "delta" | "done") => Some("message"),
        ("reasoning_text" | "reasoning_summary_text", "delta" | "done")
        | ("reasoning_summary_part", "added" | "done") => Some("reasoning"),
        ("function_call_arguments", "delta" | "done") => Some("function_call"),
        ("custom_tool_call_input", "delta" | "done") => Some("custom_tool_call"),
        ("content_part", "added" | "done") => Some(if part == "reasoning_text" { "reasoning" } else { "message" }),
        _ => None,
    }
}

/// Returns the text of a part that was announced with a text and then had deltas, which may repeat it.
#[must_use]
pub fn with_announced(announced: &str, deltas: &str) -> String {
    match () {
        () if deltas.starts_with(announced) => deltas.to_owned(),
        () if announced.starts_with(deltas) => announced.to_owned(),
        () => format!("{announced}{deltas}"),
    }
}

/// Returns whether one text is the other or its beginning, apart from white space. An empty text agrees with every one.
fn agree(one: &str, other: &str) -> bool {
    let letters = |text| str::chars(text).filter(|letter| !letter.is_whitespace());
    letters(one).zip(letters(other)).all(|(one, other)| one == other)
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
