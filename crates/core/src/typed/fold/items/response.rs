//! Matches the items of the final output with those that were streamed.

use std::collections::{HashMap, VecDeque};

use super::{Item, ResponseItems, SeenItem, agree, differ, number};

/// Maximum number of items with the same key that are tried, so that the time is linear.
const MAX_TRIED: usize = 16;

impl ResponseItems {
    /// Returns the numbers of the items of a whole response: those that were streamed keep theirs, and others get new
    /// ones. `None` stands for an item whose text was streamed in items of other lengths. `said` returns what an item
    /// has said so far.
    pub fn of_response(&mut self, all: &[SeenItem], said: impl Fn(u32) -> String) -> Vec<Option<u32>> {
        let texts: Vec<String> = (0..self.list.len()).map(|at| said(number(at))).collect();
        let found = if self.list.is_empty() { vec![None; all.len()] } else { pairs(&self.list, &texts, all) };
        let mut is_said = vec![false; all.len()];
        for kind in ["message", "reasoning"] {
            self.mark_said(kind, &texts, all, &mut is_said);
        }
        let place = |((found, is_said), seen): ((Option<usize>, bool), &SeenItem)| match found {
            Some(at) => Some(number(at)),
            None if is_said => None,
            None => Some(number(self.add(seen.clone(), true))),
        };
        found.into_iter().zip(is_said).zip(all).map(place).collect()
    }

    /// Marks the items of a type whose text the streamed items, joined, have at its place.
    fn mark_said(&self, kind: &str, texts: &[String], all: &[SeenItem], is_said: &mut [bool]) {
        let streamed = self.list.iter().zip(texts).filter(|(item, _)| item.seen.kind == kind);
        let streamed = letters(streamed.map(|(_, text)| text.as_str()));
        let of_kind = all.iter().zip(is_said).filter(|(seen, _)| seen.kind == kind);
        let mut rest = streamed.as_str();
        for (seen, is_said) in of_kind {
            let text = letters([seen.said.as_str()].into_iter());
            let Some(more) = rest.strip_prefix(&text) else { return };
            *is_said = !text.is_empty();
            rest = more;
        }
    }
}

fn letters<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.flat_map(str::chars).filter(|letter| !letter.is_whitespace()).collect()
}

/// Returns the position of the streamed item for each item of the response.
fn pairs(list: &[Item], texts: &[String], all: &[SeenItem]) -> Vec<Option<usize>> {
    let mut pairs = Pairs { list, texts, all, found: vec![None; all.len()], taken: vec![false; list.len()] };
    let agrees =
        |item: &SeenItem, text: &str, seen: &SeenItem| !differ(&item.call_id, &seen.call_id) && agree(text, &seen.said);
    let call = |item: &SeenItem, _: &str| item.call_id.clone();
    let id = |item: &SeenItem, _: &str| item.id.clone();
    let place = |item: &SeenItem, _: &str| item.place.map(|place| place.to_string()).unwrap_or_default();
    let exact = |item: &SeenItem, text: &str| match (id(item, text), place(item, text)) {
        (id, place) if id.is_empty() || place.is_empty() => String::new(),
        (id, place) => format!("{place} {id}"),
    };
    let text = |_: &SeenItem, text: &str| letters([text].into_iter());
    let any = |_: &SeenItem, _: &str| "any".to_owned();
    pairs.find(call, agrees);
    pairs.find(exact, agrees);
    pairs.find(id, agrees);
    pairs.find(text, |item, _, seen| !differ(&item.call_id, &seen.call_id));
    pairs.find(place, agrees);
    pairs.find(any, |item, text, seen| !text.is_empty() && agrees(item, text, seen));
    pairs.find(call, |_, _, _| true);
    pairs.find(id, |item, _, seen| !differ(&item.call_id, &seen.call_id));
    pairs.find(place, |item, _, seen| item.lacks_id(seen) && !differ(&item.call_id, &seen.call_id));
    // Calls whose ids are others than before.
    pairs.find(text, |_, _, _| true);
    pairs.find(place, |item, text, seen| !item.name.is_empty() && agree(text, &seen.said));
    pairs.find(any, |item, text, seen| !item.name.is_empty() && !text.is_empty() && agree(text, &seen.said));
    pairs.found
}

/// The pairs of an item of the response and the same one that was streamed.
struct Pairs<'p> {
    list: &'p [Item],
    /// The texts that the streamed items have said.
    texts: &'p [String],
    all: &'p [SeenItem],
    found: Vec<Option<usize>>,
    /// Whether a streamed item has its pair.
    taken: Vec<bool>,
}

// === impl Pairs ===

impl Pairs<'_> {
    /// Pairs the items that have the same type and the same key, which is not empty, if `is_same` holds.
    fn find(&mut self, key: impl Fn(&SeenItem, &str) -> String, is_same: impl Fn(&SeenItem, &str, &SeenItem) -> bool) {
        let mut by_key: HashMap<(&str, String), VecDeque<usize>> = HashMap::new();
        for (at, (item, text)) in self.list.iter().zip(self.texts).enumerate() {
            let key = key(&item.seen, text);
            if self.taken.get(at) == Some(&false) && !key.is_empty() {
                by_key.entry((&item.seen.kind, key)).or_default().push_back(at);
            }
        }
        for (found, seen) in self.found.iter_mut().zip(self.all).filter(|(found, _)| found.is_none()) {
            let Some(candidates) = by_key.get_mut(&(seen.kind.as_str(), key(seen, &seen.said))) else { continue };
            let may_be = |at: &usize| {
                let (Some(item), Some(text)) = (self.list.get(*at), self.texts.get(*at)) else { return false };
                !item.seen.is_named_otherwise(seen) && is_same(&item.seen, text, seen)
            };
            let Some(at) = candidates.iter().take(MAX_TRIED).position(may_be).and_then(|at| candidates.remove(at))
            else {
                continue;
            };
            *found = Some(at);
            if let Some(taken) = self.taken.get_mut(at) {
                *taken = true;
            }
        }
    }
}
