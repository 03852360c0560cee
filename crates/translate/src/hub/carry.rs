//! Gives thinking back to the vendor that made it, for clients whose API cannot carry it.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use super::{Answer, Block, Json, Message, Request, Role, Source};
use crate::loss::Losses;

/// The parts of an answer with tool calls that its vendor needs in the next turn, and that its client cannot carry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carried {
    /// The calls of the answer, in order.
    pub calls: Vec<CarriedCall>,
}

/// A tool call, with its thinking and signature.
#[derive(Clone, Debug, PartialEq)]
pub struct CarriedCall {
    /// The id of the call.
    pub id: String,
    /// The thinking between the call before and this one.
    pub thinking: Vec<Block>,
    /// The `extra_content` of the call.
    pub extra: Option<Json>,
}

/// Result of a search for the parts of an answer that its vendor needs.
#[derive(Clone, Debug)]
pub enum Found {
    /// The target made the answer.
    Carried(Arc<Carried>),
    /// Another target made the answer, or its parts do not fit, for the reason given.
    Foreign(&'static str),
    /// Nothing is known about the answer.
    Unknown,
}

/// Adds to answers with tool calls the parts that their vendor needs and the client could not carry.
///
/// `find` gets the id of a call and the [hash](conversation_hash) of the conversation before its answer. An answer that
/// has signed thinking of its own, or other calls than the known ones, stays as it is. Returns the parts that are known
/// and not given back, and the hash of the whole conversation.
pub fn restore_reasoning(request: &mut Request, mut find: impl FnMut(&str, u64) -> Found) -> (Losses, u64) {
    let (mut before, mut losses) = (DefaultHasher::new(), Losses::default());
    for message in &mut request.messages {
        if message.role == Role::Assistant {
            restore(message, before.finish(), &mut find, &mut losses);
        }
        hash_message(message, &mut before);
    }
    (losses, before.finish())
}

/// Returns a hash of a conversation. Thinking, cache breakpoints and names do not count, because clients leave them out
/// or change them.
#[must_use]
pub fn conversation_hash(messages: &[Message]) -> u64 {
    let mut hasher = DefaultHasher::new();
    messages.iter().for_each(|message| hash_message(message, &mut hasher));
    hasher.finish()
}

fn restore(message: &mut Message, before: u64, find: &mut impl FnMut(&str, u64) -> Found, losses: &mut Losses) {
    let is_own = |block: &Block| match block {
        Block::Thinking(thinking) => thinking.signature().is_some(),
        Block::Reasoning(item) => item.encrypted.is_some(),
        block => block.is_thinking(),
    };
    if message.blocks.iter().any(is_own) {
        return;
    }
    let ids: Vec<&str> = message.blocks.iter().filter_map(call_id).collect();
    let Some(first) = ids.first() else { return };
    let carried = match find(first, before) {
        Found::Carried(carried) => carried,
        Found::Foreign(why) => return losses.dropped(format!("{}.content.0", message.at), why),
        Found::Unknown => return,
    };
    if !carried.calls.iter().map(|call| call.id.as_str()).eq(ids) {
        return losses.dropped(format!("{}.content.0", message.at), "the calls of the answer have changed");
    }
    message.give_back(&carried);
}

const fn call_id(block: &Block) -> Option<&str> {
    match block {
        Block::ToolCall(call) => Some(call.id.as_str()),
        _ => None,
    }
}

fn hash_message(message: &Message, hasher: &mut DefaultHasher) {
    hasher.write_u8(match message.role {
        Role::System | Role::Developer => 0,
        Role::User => 1,
        Role::Assistant => 2,
    });
    message.blocks.iter().for_each(|block| hash_block(block, hasher));
}

fn hash_block(block: &Block, hasher: &mut DefaultHasher) {
    let mut part = |kind: u8, texts: &[&str]| {
        hasher.write_u8(kind);
        for text in texts {
            hasher.write(text.as_bytes());
            // No text of UTF-8 has this byte.
            hasher.write_u8(0xFF);
        }
    };
    match block {
        Block::Thinking(_) | Block::RedactedThinking { .. } | Block::Reasoning(_) => {}
        Block::Text(text) if text.text.is_empty() => {}
        Block::Text(text) => part(10, &[&text.text]),
        Block::Refusal(text) => part(11, &[text]),
        Block::Image(image) => hash_source(12, &image.source, hasher),
        Block::Document(media) => hash_source(13, &media.source, hasher),
        Block::Audio { data, format } => part(14, &[data, format]),
        Block::ToolCall(call) => part(15, &[&call.id, &call.name, &call.input]),
        Block::ToolResult(result) => {
            part(16, &[&result.call_id]);
            result.content.iter().for_each(|block| hash_block(block, hasher));
        }
        Block::Opaque { kind, json, .. } => part(17, &[kind, json.as_str()]),
    }
}

fn hash_source(kind: u8, source: &Source, hasher: &mut DefaultHasher) {
    hasher.write_u8(kind);
    match source {
        Source::Base64 { data, .. } => hasher.write(data.as_bytes()),
        Source::Url(text) | Source::File(text) | Source::Text(text) => hasher.write(text.as_bytes()),
    }
    hasher.write_u8(0xFF);
}

// === impl Carried ===

impl Carried {
    /// Returns whether there is nothing to give back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.iter().all(|call| call.thinking.is_empty() && call.extra.is_none())
    }

    /// Returns about how many bytes it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.iter().map(CarriedCall::len).sum()
    }
}

// === impl CarriedCall ===

impl CarriedCall {
    /// Creates a call without anything that belongs to it.
    #[must_use]
    pub const fn new(id: String) -> Self {
        Self { id, thinking: Vec::new(), extra: None }
    }

    fn len(&self) -> usize {
        let of_block = |block: &Block| match block {
            Block::Thinking(thinking) => thinking.text.len() + thinking.signature().map_or(0, str::len),
            Block::RedactedThinking { data } => data.len(),
            Block::Reasoning(item) => {
                let texts = item.summary.iter().chain(&item.id).chain(&item.encrypted).chain([&item.text]);
                texts.map(String::len).sum()
            }
            _ => 0,
        };
        let thinking: usize = self.thinking.iter().map(of_block).sum();
        size_of::<Self>() + self.id.len() + thinking + self.extra.as_ref().map_or(0, |extra| extra.as_str().len())
    }
}

// === impl Answer ===

impl Answer {
    /// Returns what has to come back with the tool calls of the answer; `None` if it has no calls, or nothing that its
    /// vendor needs.
    #[must_use]
    pub fn carried(&self) -> Option<Carried> {
        let (mut carried, mut thinking) = (Carried::default(), Vec::new());
        for block in &self.blocks {
            match block {
                Block::ToolCall(call) => carried.calls.push(CarriedCall {
                    id: call.id.clone(),
                    thinking: std::mem::take(&mut thinking),
                    extra: call.extra.clone(),
                }),
                block if block.is_thinking() => thinking.push(block.clone()),
                _ => {}
            }
        }
        (!carried.is_empty()).then_some(carried)
    }
}

// === impl Message ===

impl Message {
    /// Puts the thinking of each call before it, and that of the first one before everything else: a client may have
    /// put the text of the answer anywhere.
    fn give_back(&mut self, carried: &Carried) {
        // The client has only the text of the thinking, without the signature.
        if carried.calls.iter().any(|call| !call.thinking.is_empty()) {
            self.blocks.retain(|block| !block.is_thinking());
        }
        let mut calls = carried.calls.iter();
        let mut blocks = Vec::with_capacity(self.blocks.len() + carried.calls.len());
        blocks.extend(carried.calls.first().into_iter().flat_map(|call| call.thinking.iter().cloned()));
        let mut is_first = true;
        for mut block in std::mem::take(&mut self.blocks) {
            if let Block::ToolCall(call) = &mut block
                && let Some(known) = calls.next()
            {
                call.extra = call.extra.take().or_else(|| known.extra.clone());
                let own = known.thinking.iter().filter(|_| !is_first).cloned();
                blocks.extend(own);
                is_first = false;
            }
            blocks.push(block);
        }
        self.blocks = blocks;
    }
}
