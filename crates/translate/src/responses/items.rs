//! The items of an answer, whatever a provider makes of their ids and indices.

use std::collections::{HashMap, VecDeque};

use crate::field::Fields;

/// The items that the events of one answer named, in order of appearance.
///
/// Some providers give several items the same index or the same id, number or name them otherwise in the whole
/// response, or leave out items there that they streamed.
#[derive(Debug, Default)]
pub(super) struct Items {
    list: Vec<Item>,
    /// The newest items by what tells them apart.
    newest: HashMap<Key, usize>,
}

/// What tells an item apart; the ids are not empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Id(String),
    Call(String),
    Place(u32),
    PlaceAndId(u32, String),
    PlaceAndKind(u32, String),
}

#[derive(Debug)]
struct Item {
    /// The provider's index.
    place: u32,
    /// The provider's id, which may be empty.
    id: String,
    /// The id of a call, which may be empty.
    call_id: String,
    /// Empty as long as only pieces of the item are known.
    kind: String,
    is_done: bool,
}

/// An item as an event or a response has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    place: u32,
    id: String,
    call_id: String,
    kind: String,
    /// The text, or the input of a call.
    said: String,
}

// === impl Seen ===

impl Seen {
    pub(super) fn new(place: u32, item: &Fields<'_>) -> Self {
        let text = |name: &str| item.string(name).unwrap_or_default();
        let texts = |name: &str| -> String {
            if let Some(text) = item.string(name) {
                return text;
            }
            let parts = item.elements(name).into_iter().filter_map(|part| {
                let part = part.fields()?;
                part.string("text").or_else(|| part.string("refusal"))
            });
            parts.collect()
        };
        let kind = text("type");
        let said = match kind.as_str() {
            "function_call" => text("arguments"),
            "custom_tool_call" => text("input"),
            "reasoning" => texts("summary") + &texts("content"),
            _ => texts("content"),
        };
        Self { place, id: text("id"), call_id: text("call_id"), kind, said }
    }

    /// Returns whether a client sends an item again, perhaps without its id.
    pub(super) fn is_again(&self, stored: &Self) -> bool {
        let has_id = self.id == stored.id || self.id.is_empty() && !self.call_id.is_empty();
        has_id && self.kind == stored.kind && self.call_id == stored.call_id && self.said == stored.said
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn call_id(&self) -> &str {
        &self.call_id
    }
}

// === impl Item ===

impl Item {
    fn new(seen: &Seen) -> Self {
        let Seen { place, id, call_id, kind, .. } = seen;
        Self { place: *place, id: id.clone(), call_id: call_id.clone(), kind: kind.clone(), is_done: false }
    }

    fn has_kind(&self, kind: &str) -> bool {
        self.kind.is_empty() || kind.is_empty() || self.kind == kind
    }

    /// Returns whether the ids of the calls tell two items apart.
    fn is_other_call(&self, seen: &Seen) -> bool {
        !self.call_id.is_empty() && !seen.call_id.is_empty() && self.call_id != seen.call_id
    }

    fn has_id_of(&self, seen: &Seen) -> bool {
        !seen.id.is_empty() && self.id == seen.id
    }

    fn has_call_of(&self, seen: &Seen) -> bool {
        !seen.call_id.is_empty() && self.call_id == seen.call_id
    }

    fn lacks_id(&self, seen: &Seen) -> bool {
        self.id.is_empty() || seen.id.is_empty()
    }
}

// === impl Items ===

impl Items {
    /// Returns the number of the item that a piece belongs to, which may be a new one.
    pub(super) fn of_piece(&mut self, place: u32, id: Option<String>) -> u32 {
        let id = id.unwrap_or_default();
        let by_id = (!id.is_empty()).then(|| [Key::PlaceAndId(place, id.clone()), Key::Id(id.clone())]);
        let known = by_id.into_iter().flatten().find_map(|key| self.newest.get(&key).copied()).or_else(|| {
            let at = self.newest.get(&Key::Place(place)).copied()?;
            self.list.get(at).filter(|item| id.is_empty() || item.id.is_empty()).map(|_| at)
        });
        match known {
            Some(at) => number(at),
            None => self.add(&Seen { place, id, ..Seen::default() }),
        }
    }

    /// Returns the number of an item that an event announces or ends, which may be a new one. `said` returns what
    /// an item has said so far.
    pub(super) fn of_event(&mut self, seen: &Seen, said: impl Fn(u32) -> String) -> u32 {
        let is_it = |at: &usize| {
            let Some(item) = self.list.get(*at) else { return false };
            if !item.has_kind(&seen.kind) || item.is_other_call(seen) {
                return false;
            }
            let (has_id, has_place) = (item.has_id_of(seen), item.place == seen.place);
            let may_be = has_id || (item.lacks_id(seen) && (has_place || item.has_call_of(seen)));
            may_be && ((has_id && has_place) || !item.is_done || said(number(*at)) == seen.said)
        };
        let known = keys(seen).filter_map(|key| self.newest.get(&key).copied()).find(is_it);
        match known {
            Some(at) => {
                self.learn(at, seen);
                number(at)
            }
            None => self.add(seen),
        }
    }

    /// Returns the numbers of the items of a whole response: those that were streamed keep theirs.
    ///
    /// Items are the same if their ids are, else if they have the same index and kind and what was streamed agrees, else
    /// if they have the same kind and what was streamed is the text or its beginning.
    pub(super) fn of_response(&mut self, all: &[Seen], said: impl Fn(u32) -> String) -> Vec<u32> {
        let mut pairs = Pairs {
            texts: (0..self.list.len()).map(|at| said(number(at))).collect(),
            found: vec![None; all.len()],
            taken: vec![false; self.list.len()],
        };
        let list = &self.list;
        pairs.find(list, all, |item, _| item.id.clone(), |seen| seen.id.clone(), |_, _, _| true);
        pairs.find(list, all, |item, _| item.call_id.clone(), |seen| seen.call_id.clone(), |_, _, _| true);
        let place = |seen: &Seen| seen.place.to_string();
        pairs.find(list, all, |item, _| item.place.to_string(), place, |_, text, seen| agree(text, &seen.said));
        pairs.find(list, all, |_, text| text.to_owned(), |seen| seen.said.clone(), |_, _, _| true);
        let begins = |_: &Item, text: &str, seen: &Seen| is_beginning(text, &seen.said);
        pairs.find(list, all, |item, _| item.kind.clone(), |seen| seen.kind.clone(), begins);
        // The last word of the provider about an item that only the index tells.
        pairs.find(list, all, |item, _| item.place.to_string(), place, |item, _, seen| item.lacks_id(seen));
        let found = pairs.found.into_iter().zip(all);
        found.map(|(found, seen)| found.map_or_else(|| self.add(seen), number)).collect()
    }

    /// Returns whether the item has ended.
    pub(super) fn is_done(&self, number: u32) -> bool {
        self.list.get(number as usize).is_some_and(|item| item.is_done)
    }

    pub(super) fn end(&mut self, number: u32) {
        if let Some(item) = self.list.get_mut(number as usize) {
            item.is_done = true;
        }
    }

    fn add(&mut self, seen: &Seen) -> u32 {
        let at = self.list.len();
        self.list.push(Item::new(seen));
        self.newest.extend(keys(seen).map(|key| (key, at)));
        number(at)
    }

    fn learn(&mut self, at: usize, seen: &Seen) {
        let Some(item) = self.list.get_mut(at) else { return };
        for (own, new) in [(&mut item.id, &seen.id), (&mut item.call_id, &seen.call_id), (&mut item.kind, &seen.kind)] {
            if own.is_empty() {
                own.clone_from(new);
            }
        }
        self.newest.extend(keys(seen).map(|key| (key, at)));
    }
}

/// Returns what tells an item apart, the surest first.
fn keys(seen: &Seen) -> impl Iterator<Item = Key> {
    let Seen { place, id, call_id, kind, .. } = seen;
    let id = (!id.is_empty()).then(|| [Key::PlaceAndId(*place, id.clone()), Key::Id(id.clone())]);
    let call = (!call_id.is_empty()).then(|| Key::Call(call_id.clone()));
    let place = [Key::PlaceAndKind(*place, kind.clone()), Key::Place(*place)];
    id.into_iter().flatten().chain(call).chain(place)
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The pairs of an item that was streamed and the same one in the whole response.
struct Pairs {
    /// What the streamed items have said.
    texts: Vec<String>,
    /// The position of the streamed item for each one of the response.
    found: Vec<Option<usize>>,
    taken: Vec<bool>,
}

// === impl Pairs ===

impl Pairs {
    /// Pairs the items that have the same key, which is not empty, if they may be the same and `is_same` holds.
    fn find(
        &mut self,
        list: &[Item],
        all: &[Seen],
        key: impl Fn(&Item, &str) -> String,
        key_of_seen: impl Fn(&Seen) -> String,
        is_same: impl Fn(&Item, &str, &Seen) -> bool,
    ) {
        let mut by_key: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (at, (item, text)) in list.iter().zip(&self.texts).enumerate() {
            if self.taken.get(at) == Some(&false) {
                by_key.entry(key(item, text)).or_default().push_back(at);
            }
        }
        by_key.remove("");
        for (found, seen) in self.found.iter_mut().zip(all).filter(|(found, _)| found.is_none()) {
            let Some(candidates) = by_key.get_mut(&key_of_seen(seen)) else { continue };
            let may_be = |at: &usize| {
                let (Some(item), Some(text)) = (list.get(*at), self.texts.get(*at)) else { return false };
                item.has_kind(&seen.kind) && !item.is_other_call(seen) && is_same(item, text, seen)
            };
            // Few of many items with the same key are tried, so that the time is linear.
            let Some(at) = candidates.iter().take(16).position(may_be).and_then(|at| candidates.remove(at)) else {
                continue;
            };
            *found = Some(at);
            if let Some(taken) = self.taken.get_mut(at) {
                *taken = true;
            }
        }
    }
}

/// Returns whether a text that was streamed may be the beginning of the whole one, whatever spaces surround them.
fn agree(streamed: &str, whole: &str) -> bool {
    let (streamed, whole) = (streamed.trim(), whole.trim());
    streamed.is_empty() || whole.is_empty() || whole.starts_with(streamed) || streamed.starts_with(whole)
}

/// Returns whether a text that was streamed is the whole one or its beginning.
fn is_beginning(streamed: &str, whole: &str) -> bool {
    whole == streamed || (!streamed.is_empty() && whole.starts_with(streamed))
}
