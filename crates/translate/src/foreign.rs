//! Removes from a body that is not translated what its provider would refuse: thinking that another provider made.
//!
//! A conversation that changes its provider brings reasoning items and thinking blocks along that this gateway made for
//! the client. The provider that speaks the client's API did not sign them, and answers 400. Everything else of the
//! body stays byte for byte.

use std::ops::Range;

use memchr::memmem;
use signalbox_core::json::Reader;

use crate::loss::Losses;
use crate::responses;
use crate::target::Api;

const FOREIGN: &str = "thinking of another provider";

const OTHER_ACCOUNT: &str = "only the account that made it can read it";

const SIGNATURE: &[u8] = b"\"signature\"";

/// Hexadecimal digits of the id of an exchange within the ids of answers and items.
const ID_DIGITS: usize = 32;

/// A body without what its provider would refuse.
#[derive(Debug)]
pub struct Cleaned {
    /// The body.
    pub body: Vec<u8>,
    /// The blocks and items that were removed. Ids that this gateway made tell the provider nothing, so they are not
    /// listed.
    pub losses: Losses,
}

/// The pieces to remove, in order.
#[derive(Debug, Default)]
struct Cuts {
    ranges: Vec<Range<usize>>,
    losses: Losses,
}

/// Returns the body of a request of `api` without the thinking of other providers; `None` if it has none.
///
/// In Responses, that are reasoning items of this gateway, and the ids that it gave to other items. In Messages, that
/// are thinking blocks without a signature. The body must be valid JSON; a body without such parts is searched once and
/// not parsed.
#[must_use]
pub fn without_foreign(api: Api, body: &[u8]) -> Option<Cleaned> {
    let mut cuts = Cuts::default();
    match api {
        Api::Chat => return None,
        Api::Messages if !has_unsigned(body) => return None,
        Api::Messages => cuts.messages(body)?,
        Api::Responses if !has_own_item(body) => return None,
        Api::Responses => cuts.items(body)?,
    }
    cuts.applied_to(body)
}

/// Returns the body of a request of Responses without the items of `input` with these indices, which only another
/// account can read; `None` if it has none of them. Everything else stays byte for byte.
#[must_use]
pub fn without_items(body: &[u8], indices: &[usize]) -> Option<Cleaned> {
    if indices.is_empty() {
        return None;
    }
    let mut cuts = Cuts::default();
    each_element(body, "input", &mut |list| {
        let cut: Vec<bool> = (0..list.len()).map(|at| indices.contains(&at)).collect();
        for at in (0..list.len()).filter(|at| cut.get(*at) == Some(&true)) {
            cuts.losses.dropped(format!("input.{at}"), OTHER_ACCOUNT);
        }
        let places: Vec<Range<usize>> = list.iter().map(|raw| range_of(body, raw)).collect();
        cuts.ranges.extend(without(&places, &cut));
    })?;
    cuts.applied_to(body)
}

/// Returns whether an id is one that this gateway gives to an answer or an item: `PREFIX_ID` or `PREFIX_ID_NUMBER`,
/// where `ID` is that of the exchange.
#[must_use]
pub fn is_own_id(id: &str) -> bool {
    let part = id.split('_').nth(1).unwrap_or_default();
    part.len() == ID_DIGITS && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns whether a body may have thinking without a signature: an empty signature, or fewer signatures than blocks.
fn has_unsigned(body: &[u8]) -> bool {
    let before = |at: usize| body.get(..at).and_then(|text| text.trim_ascii_end().last());
    let blocks = memmem::find_iter(body, b"\"thinking\"").filter(|at| before(*at) == Some(&b':')).count();
    if blocks == 0 {
        return false;
    }
    let (mut signatures, mut is_any_empty) = (0, false);
    for at in memmem::find_iter(body, SIGNATURE) {
        let after = body.get(at + SIGNATURE.len()..).unwrap_or_default().trim_ascii_start();
        let Some(value) = after.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else { continue };
        signatures += 1;
        is_any_empty |= value.starts_with(b"\"\"") || value.starts_with(b"null");
    }
    is_any_empty || blocks > signatures
}

/// Returns whether a body may have a reasoning item or an id of this gateway.
fn has_own_item(body: &[u8]) -> bool {
    if memmem::find(body, responses::HANDLE.as_bytes()).is_some() {
        return true;
    }
    // The id of an exchange begins with its time, so that its first digit is 0 for the next eight thousand years.
    memmem::find_iter(body, b"_0").any(|at| {
        let digits = body.get(at + 1..at + 1 + ID_DIGITS);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

// === impl Cuts ===

impl Cuts {
    /// Returns the body without the pieces; `None` if there are none.
    fn applied_to(self, body: &[u8]) -> Option<Cleaned> {
        if self.ranges.is_empty() {
            return None;
        }
        let (mut kept, mut at) = (Vec::with_capacity(body.len()), 0);
        for cut in self.ranges {
            kept.extend_from_slice(body.get(at..cut.start)?);
            at = cut.end;
        }
        kept.extend_from_slice(body.get(at..)?);
        Some(Cleaned { body: kept, losses: self.losses })
    }

    /// Finds the thinking blocks of Messages that have no signature.
    fn messages(&mut self, body: &[u8]) -> Option<()> {
        let place = |raw: &[u8]| range_of(body, raw);
        each_element(body, "messages", &mut |list| {
            let messages: Vec<Message> = list.iter().map(|raw| Message::read(raw, &place)).collect();
            let is_cut = |message: &Message| !message.blocks.is_empty() && message.is_foreign.iter().all(|is| *is);
            for (index, message) in messages.iter().enumerate() {
                for at in (0..message.blocks.len()).filter(|at| message.is_foreign.get(*at) == Some(&true)) {
                    self.losses.dropped(format!("messages.{index}.content.{at}"), FOREIGN);
                }
            }
            let places: Vec<Range<usize>> = list.iter().map(|raw| place(raw)).collect();
            // A message without content is refused, so it goes with its last block.
            let whole: Vec<bool> = messages.iter().map(is_cut).collect();
            self.ranges.extend(without(&places, &whole));
            for message in messages.iter().filter(|message| !is_cut(message)) {
                self.ranges.extend(without(&message.blocks, &message.is_foreign));
            }
        })?;
        self.ranges.sort_unstable_by_key(|range| range.start);
        Some(())
    }

    /// Finds the reasoning items of Responses that this gateway made, and the ids of its other items.
    fn items(&mut self, body: &[u8]) -> Option<()> {
        let place = |raw: &[u8]| range_of(body, raw);
        each_element(body, "input", &mut |list| {
            let items: Vec<Item> = list.iter().map(|raw| Item::read(raw, &place)).collect();
            let whole: Vec<bool> = items.iter().map(|item| item.is_reasoning && item.is_own).collect();
            for index in (0..items.len()).filter(|index| whole.get(*index) == Some(&true)) {
                self.losses.dropped(format!("input.{index}"), FOREIGN);
            }
            let places: Vec<Range<usize>> = list.iter().map(|raw| place(raw)).collect();
            self.ranges.extend(without(&places, &whole));
            for item in items.into_iter().filter(|item| item.is_own && !item.is_reasoning && !item.is_reference) {
                let is_id: Vec<bool> = (0..item.members.len()).map(|at| Some(at) == item.id_at).collect();
                self.ranges.extend(without(&item.members, &is_id));
            }
        })?;
        self.ranges.sort_unstable_by_key(|range| range.start);
        Some(())
    }
}

/// A message, as far as its thinking matters.
#[derive(Default)]
struct Message {
    blocks: Vec<Range<usize>>,
    /// Whether each block is thinking without a signature.
    is_foreign: Vec<bool>,
}

/// An item, as far as its origin matters.
#[derive(Default)]
struct Item {
    members: Vec<Range<usize>>,
    /// The position of `id` among the members.
    id_at: Option<usize>,
    is_reasoning: bool,
    is_reference: bool,
    /// Whether this gateway made it.
    is_own: bool,
}

// === impl Message ===

impl Message {
    fn read(raw: &[u8], place: &impl Fn(&[u8]) -> Range<usize>) -> Self {
        let mut message = Self::default();
        // Items that are no messages are left to the provider to refuse.
        let _ = Reader::lenient(raw).fields(|name, value| {
            if name != "content" || value.peek()? != b'[' {
                return value.skip();
            }
            value.array(|block| {
                let raw = block.raw()?;
                message.blocks.push(place(raw));
                message.is_foreign.push(is_unsigned(raw));
                Some(())
            })
        });
        message
    }
}

fn is_unsigned(block: &[u8]) -> bool {
    let (mut is_thinking, mut is_signed) = (false, false);
    let read = Reader::lenient(block).fields(|name, value| {
        let raw = value.raw()?;
        match &*name {
            "type" => is_thinking = raw == b"\"thinking\"",
            "signature" => is_signed = !matches!(raw, b"\"\"" | b"null"),
            _ => {}
        }
        Some(())
    });
    read.is_some() && is_thinking && !is_signed
}

// === impl Item ===

impl Item {
    fn read(raw: &[u8], place: &impl Fn(&[u8]) -> Range<usize>) -> Self {
        let mut item = Self::default();
        let _ = Reader::lenient(raw).fields_as_written(|name, written, value| {
            let raw = value.raw()?;
            item.members.push(place(written).start..place(raw).end);
            match &*name {
                "type" => {
                    item.is_reasoning = raw == b"\"reasoning\"";
                    item.is_reference = raw == b"\"item_reference\"";
                }
                "id" => {
                    item.id_at = Some(item.members.len() - 1);
                    item.is_own |= Reader::new(raw).string().is_some_and(|id| is_own_id(&id));
                }
                "encrypted_content" => {
                    item.is_own |= Reader::new(raw).string().is_some_and(|data| data.starts_with(responses::HANDLE));
                }
                _ => {}
            }
            Some(())
        });
        // An item with a handle and another id keeps its id.
        item.is_own &= item.is_reasoning || item.id_at.is_some();
        item
    }
}

/// Calls `each` with the elements of the top-level array `name`.
fn each_element<'a>(body: &'a [u8], name: &str, each: &mut dyn FnMut(&[&'a [u8]])) -> Option<()> {
    Reader::lenient(body).fields(|member, value| {
        if member != name || value.peek()? != b'[' {
            return value.skip();
        }
        let mut list = Vec::new();
        value.array(|element| {
            list.push(element.raw()?);
            Some(())
        })?;
        each(&list);
        Some(())
    })
}

/// Returns the place of a part in the body.
fn range_of(body: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(body.as_ptr().addr());
    start..start + part.len()
}

/// Returns the bytes to remove so that a list keeps only the elements that are not cut, with the commas between them.
fn without(places: &[Range<usize>], cut: &[bool]) -> Vec<Range<usize>> {
    let is_cut = |at: usize| cut.get(at).copied().unwrap_or_default();
    let Some(last) = places.last() else { return Vec::new() };
    let kept = (0..places.len()).rev().find(|at| !is_cut(*at));
    let Some(kept) = kept else { return places.first().map(|first| first.start..last.end).into_iter().collect() };
    let mut ranges = Vec::new();
    for at in (0..kept).filter(|at| is_cut(*at)) {
        // Up to the element that follows, with the comma.
        if let (Some(one), Some(next)) = (places.get(at), places.get(at + 1)) {
            ranges.push(one.start..next.start);
        }
    }
    if let Some(place) = places.get(kept).filter(|_| kept + 1 < places.len()) {
        ranges.push(place.end..last.end);
    }
    ranges
}

#[cfg(test)]
mod tests;
