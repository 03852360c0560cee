//! The blocks of the items of an answer, while they are streamed.

use std::collections::BTreeMap;

use signalbox_core::json::Text;

use super::items::texts;
use crate::field::{Fields, Joiner};
use crate::hub::{CallKind, Delta, Event, Opening};
use crate::write::arguments_object;

/// The place of a block: the number of its item, and the index of the part within it.
pub(super) type Place = (u32, u32);

/// The blocks that ever began, by their places.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    list: BTreeMap<Place, Block>,
    /// The places of parts whose index another part of the item had before.
    moved: BTreeMap<Place, Place>,
    /// The input so far of calls whose name is not known yet.
    early: BTreeMap<u32, (Joiner, String)>,
}

#[derive(Debug)]
struct Block {
    number: u32,
    joiner: Joiner,
    /// The text or the input so far.
    said: String,
    /// The text that the block was announced with, which its deltas may repeat.
    announced: String,
    /// The text of the deltas, as long as it may be a repetition of the announced text.
    repeated: String,
    /// The parts of the summary so far.
    summary: BTreeMap<u32, String>,
    /// The parts of the summary that the block was announced with.
    announced_summary: Vec<String>,
    delta: fn(String) -> Delta,
    is_open: bool,
}

/// Arguments of a call have ended as other ones than their pieces were.
#[derive(Debug)]
pub(super) struct Contradiction;

// === impl Blocks ===

impl Blocks {
    /// Returns what an item has said so far: its texts, or its input.
    pub(super) fn said(&self, item: u32) -> String {
        let blocks = self.list.range((item, 0)..=(item, u32::MAX));
        let texts = blocks.flat_map(|(_, block)| block.summary.values().chain([&block.said]));
        let early = self.early.get(&item).map(|(_, early)| early);
        early.into_iter().chain(texts).map(String::as_str).collect()
    }

    pub(super) fn contains(&self, place: Place) -> bool {
        self.list.contains_key(&place)
    }

    /// Begins a block at a place that has none.
    pub(super) fn open(&mut self, place: Place, opening: Opening, out: &mut Vec<Event>) {
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let delta = match opening {
            Opening::Thinking | Opening::Reasoning { .. } => Delta::Thinking,
            Opening::Call { .. } => Delta::Input,
            _ => Delta::Text,
        };
        let mut block = Block {
            number,
            joiner: Joiner::default(),
            said: String::new(),
            announced: String::new(),
            repeated: String::new(),
            summary: BTreeMap::new(),
            announced_summary: Vec::new(),
            delta,
            is_open: true,
        };
        out.push(Event::Open { block: number, opening });
        if let Some((joiner, early)) = self.early.remove(&place.0) {
            block.joiner = joiner;
            block.say(early, out);
        }
        self.list.insert(place, block);
    }

    /// Returns the place for more text of a part: another one if the part has ended, because some providers give all
    /// parts of an item the same index.
    pub(super) fn place_for_more(&mut self, place: Place) -> Place {
        let own = place;
        let place = self.latest(own);
        if self.list.get(&place).is_none_or(|block| block.is_open) {
            return place;
        }
        let next = self.next_place(place.0);
        self.moved.insert(own, next);
        next
    }

    /// Returns the place of the newest part that has the index of another one.
    pub(super) fn latest(&self, place: Place) -> Place {
        self.moved.get(&place).copied().unwrap_or(place)
    }

    /// Returns the place of a further part of an item.
    pub(super) fn next_place(&self, item: u32) -> Place {
        let last = self.list.range((item, 0)..=(item, u32::MAX)).next_back();
        (item, last.map_or(0, |((_, part), _)| part.saturating_add(1)))
    }

    /// Returns whether a block is open.
    pub(super) fn is_open(&self, place: Place) -> bool {
        self.list.get(&place).is_some_and(|block| block.is_open)
    }

    fn find(&mut self, place: Place) -> Option<&mut Block> {
        self.list.get_mut(&place).filter(|block| block.is_open)
    }

    /// Notes the text that a block is announced with. It is sent when the deltas go beyond it, or the block ends.
    pub(super) fn announce(&mut self, place: Place, text: String) {
        if let Some(block) = self.find(place).filter(|block| block.said.is_empty() && block.announced.is_empty()) {
            block.announced = text;
        }
    }

    /// Notes the summary and the text that a reasoning item is announced with.
    pub(super) fn announce_reasoning(&mut self, item: u32, fields: &Fields<'_>) {
        self.announce((item, 0), texts(fields, "content").concat());
        if let Some(block) = self.find((item, 0)).filter(|block| block.announced_summary.is_empty()) {
            block.announced_summary = texts(fields, "summary");
        }
    }

    pub(super) fn add(&mut self, place: Place, text: Option<Text<'_>>, out: &mut Vec<Event>) {
        let Some(block) = self.find(place) else { return };
        let Some(text) = text.map(|text| block.joiner.push(text)).filter(|text| !text.is_empty()) else { return };
        block.add(text, out);
    }

    /// Adds to the input of a call, whose name may not be known yet.
    pub(super) fn add_input(&mut self, item: u32, text: Option<Text<'_>>, out: &mut Vec<Event>) {
        if self.contains((item, 0)) {
            return self.add((item, 0), text, out);
        }
        let (joiner, early) = self.early.entry(item).or_default();
        text.into_iter().for_each(|text| early.push_str(&joiner.push(text)));
    }

    /// Adds to a part of the summary of a reasoning item.
    pub(super) fn add_summary(&mut self, item: u32, part: u32, text: Option<Text<'_>>, out: &mut Vec<Event>) {
        let Some(block) = self.find((item, 0)) else { return };
        let Some(text) = text.map(|text| block.joiner.push(text)) else { return };
        block.summary.entry(part).or_default().push_str(&text);
        out.push(Event::Delta { block: block.number, delta: Delta::Summary { part, text } });
    }

    /// Forgets the text that a block was announced with, because its end is known.
    pub(super) fn drop_announced(&mut self, place: Place) {
        self.find(place).into_iter().for_each(|block| block.announced.clear());
    }

    /// Adds text that no delta has brought.
    pub(super) fn add_rest(&mut self, place: Place, rest: &str, out: &mut Vec<Event>) {
        if let Some(block) = self.find(place) {
            block.say(rest.to_owned(), out);
            block.joiner = Joiner::default();
        }
    }

    /// Adds the end of a text that its deltas did not bring. Returns whether the block now has the whole text.
    pub(super) fn complete(&mut self, place: Place, text: &str, out: &mut Vec<Event>) -> Result<bool, Contradiction> {
        let Some(block) = self.find(place) else { return Ok(false) };
        let Some(rest) = text.strip_prefix(block.said.as_str()) else {
            // The client has seen another text already. Complete arguments may only be formatted in another way; others
            // must not become a call.
            let is_input = matches!((block.delta)(String::new()), Delta::Input(_));
            return if is_input && arguments_object(&block.said).is_none() { Err(Contradiction) } else { Ok(false) };
        };
        block.announced.clear();
        if !rest.is_empty() {
            block.say(rest.to_owned(), out);
            block.joiner = Joiner::default();
        }
        Ok(true)
    }

    /// Adds what the deltas of a reasoning item did not bring.
    pub(super) fn complete_reasoning(&mut self, number: u32, item: &Fields<'_>, out: &mut Vec<Event>) {
        let (summary, content) = (texts(item, "summary"), texts(item, "content").concat());
        let Some(block) = self.find((number, 0)) else { return };
        block.complete_summary(summary, out);
        if block.said.is_empty() && !content.is_empty() {
            block.announced.clear();
            block.say(content, out);
        } else if let Some(rest) = content.strip_prefix(block.said.as_str()).filter(|rest| !rest.is_empty()) {
            block.announced.clear();
            block.say(rest.to_owned(), out);
        }
        if let Some(data) = item.string("encrypted_content") {
            out.push(Event::Delta { block: block.number, delta: Delta::Encrypted(data) });
        }
    }

    /// Ends one block.
    pub(super) fn close_part(&mut self, place: Place, out: &mut Vec<Event>) {
        self.find(place).into_iter().for_each(|block| block.close(out));
    }

    /// Ends all blocks of an item.
    pub(super) fn close(&mut self, item: u32, out: &mut Vec<Event>) {
        for (_, block) in self.list.range_mut((item, 0)..=(item, u32::MAX)) {
            block.close(out);
        }
    }

    pub(super) fn close_all(&mut self, out: &mut Vec<Event>) {
        self.list.values_mut().for_each(|block| block.close(out));
    }
}

// === impl Block ===

impl Block {
    fn say(&mut self, text: String, out: &mut Vec<Event>) {
        if !text.is_empty() {
            self.said.push_str(&text);
            out.push(Event::Delta { block: self.number, delta: (self.delta)(text) });
        }
    }

    /// Adds a delta. Deltas that repeat the announced text are the text; others follow it.
    fn add(&mut self, text: String, out: &mut Vec<Event>) {
        if self.announced.is_empty() {
            return self.say(text, out);
        }
        self.repeated.push_str(&text);
        if self.announced.starts_with(&self.repeated) {
            return self.say(text, out);
        }
        let announced = std::mem::take(&mut self.announced);
        if self.repeated.starts_with(&announced) {
            return self.say(text, out);
        }
        let rest = announced.get(self.said.len()..).unwrap_or_default().to_owned();
        self.say(rest, out);
        let repeated = std::mem::take(&mut self.repeated);
        self.say(repeated, out);
    }

    fn complete_summary(&mut self, summary: Vec<String>, out: &mut Vec<Event>) {
        let said: String = self.summary.values().map(String::as_str).collect();
        if !said.is_empty() && said == summary.concat() {
            return;
        }
        for (part, text) in (0_u32..).zip(summary) {
            let said = self.summary.entry(part).or_default();
            if let Some(rest) = text.strip_prefix(said.as_str()).filter(|rest| !rest.is_empty()).map(str::to_owned) {
                said.push_str(&rest);
                out.push(Event::Delta { block: self.number, delta: Delta::Summary { part, text: rest } });
            }
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        let announced = std::mem::take(&mut self.announced);
        if let Some(rest) = announced.strip_prefix(self.said.as_str()).map(str::to_owned) {
            self.say(rest, out);
        }
        if self.summary.values().all(String::is_empty) {
            let summary = std::mem::take(&mut self.announced_summary);
            self.complete_summary(summary, out);
        }
        out.push(Event::Close { block: self.number });
    }
}

/// Returns the kind of a call by the type of its item, and the name of its input.
pub(super) fn call_kind(kind: &str) -> Option<(CallKind, &'static str)> {
    match kind {
        "function_call" => Some((CallKind::Function, "arguments")),
        "custom_tool_call" => Some((CallKind::Custom, "input")),
        _ => None,
    }
}
