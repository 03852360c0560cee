//! The blocks of the items of an answer, while they are streamed.

use std::collections::BTreeMap;

use signalbox_core::json::Text;

use crate::field::{Fields, Joiner, Raw};
use crate::hub::{CallKind, Delta, Event, Opening};
use crate::write::arguments_object;

/// The place of a block: the number of its item, and the index of the part within it.
pub(super) type Place = (u32, u32);

/// The blocks that ever began, by their places.
#[derive(Debug, Default)]
pub(super) struct Blocks(BTreeMap<Place, Block>);

#[derive(Debug)]
struct Block {
    number: u32,
    joiner: Joiner,
    /// The text or the input so far.
    said: String,
    /// The parts of the summary so far.
    summary: BTreeMap<u32, String>,
    is_open: bool,
}

/// Arguments of a call have ended as other ones than their pieces were.
#[derive(Debug)]
pub(super) struct Contradiction;

// === impl Blocks ===

impl Blocks {
    /// Returns what an item has said so far: its texts, or its input.
    pub(super) fn said(&self, item: u32) -> String {
        let blocks = self.0.range((item, 0)..=(item, u32::MAX));
        let texts = blocks.flat_map(|(_, block)| block.summary.values().chain([&block.said]));
        texts.map(String::as_str).collect()
    }

    pub(super) fn contains(&self, place: Place) -> bool {
        self.0.contains_key(&place)
    }

    /// Begins a block at a place that has none.
    pub(super) fn open(&mut self, place: Place, opening: Opening, out: &mut Vec<Event>) {
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let block =
            Block { number, joiner: Joiner::default(), said: String::new(), summary: BTreeMap::new(), is_open: true };
        self.0.insert(place, block);
        out.push(Event::Open { block: number, opening });
    }

    fn find(&mut self, place: Place) -> Option<&mut Block> {
        self.0.get_mut(&place).filter(|block| block.is_open)
    }

    pub(super) fn add(
        &mut self,
        place: Place,
        text: Option<Text<'_>>,
        delta: fn(String) -> Delta,
        out: &mut Vec<Event>,
    ) {
        let Some(block) = self.find(place) else { return };
        let Some(text) = text.map(|text| block.joiner.push(text)).filter(|text| !text.is_empty()) else { return };
        block.said.push_str(&text);
        out.push(Event::Delta { block: block.number, delta: delta(text) });
    }

    /// Adds to a part of the summary of a reasoning item.
    pub(super) fn add_summary(&mut self, item: u32, part: u32, text: Option<Text<'_>>, out: &mut Vec<Event>) {
        let Some(block) = self.find((item, 0)) else { return };
        let Some(text) = text.map(|text| block.joiner.push(text)) else { return };
        block.summary.entry(part).or_default().push_str(&text);
        out.push(Event::Delta { block: block.number, delta: Delta::Summary { part, text } });
    }

    /// Adds the end of a text that its deltas did not bring.
    pub(super) fn complete(
        &mut self,
        place: Place,
        text: Option<Raw<'_>>,
        delta: fn(String) -> Delta,
        out: &mut Vec<Event>,
    ) -> Result<(), Contradiction> {
        let Some(block) = self.find(place) else { return Ok(()) };
        let Some(text) = text.and_then(Raw::str) else { return Ok(()) };
        let Some(rest) = text.strip_prefix(block.said.as_str()) else {
            // The client has seen another text already. Complete arguments may only be formatted in another way; others
            // must not become a call.
            let is_input = matches!(delta(String::new()), Delta::Input(_));
            return if is_input && arguments_object(&block.said).is_none() { Err(Contradiction) } else { Ok(()) };
        };
        if !rest.is_empty() {
            out.push(Event::Delta { block: block.number, delta: delta(rest.to_owned()) });
            block.said.push_str(rest);
            block.joiner = Joiner::default();
        }
        Ok(())
    }

    /// Adds what the deltas of a reasoning item did not bring.
    pub(super) fn complete_reasoning(&mut self, number: u32, item: &Fields<'_>, out: &mut Vec<Event>) {
        let Some(block) = self.find((number, 0)) else { return };
        for (part, value) in (0_u32..).zip(item.elements("summary")) {
            let text = value.fields().and_then(|part| part.string("text")).unwrap_or_default();
            if !block.summary.contains_key(&part) && !text.is_empty() {
                block.summary.insert(part, text.clone());
                out.push(Event::Delta { block: block.number, delta: Delta::Summary { part, text } });
            }
        }
        if block.said.is_empty() {
            let texts = item.elements("content").into_iter().filter_map(|part| part.fields()?.string("text"));
            let text: String = texts.collect();
            if !text.is_empty() {
                block.said.clone_from(&text);
                out.push(Event::Delta { block: block.number, delta: Delta::Thinking(text) });
            }
        }
        if let Some(data) = item.string("encrypted_content") {
            out.push(Event::Delta { block: block.number, delta: Delta::Encrypted(data) });
        }
    }

    /// Ends all blocks of an item.
    pub(super) fn close(&mut self, item: u32, out: &mut Vec<Event>) {
        for (_, block) in self.0.range_mut((item, 0)..=(item, u32::MAX)) {
            block.close(out);
        }
    }

    pub(super) fn close_all(&mut self, out: &mut Vec<Event>) {
        self.0.values_mut().for_each(|block| block.close(out));
    }
}

// === impl Block ===

impl Block {
    fn close(&mut self, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.is_open, false) {
            out.push(Event::Close { block: self.number });
        }
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
