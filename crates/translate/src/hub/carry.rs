//! Gives thinking back to the vendor that made it, for clients whose API cannot carry it.

use super::{Block, Message, Request, Role};

/// Inserts thinking before the first tool call of every assistant message that has none.
///
/// `find` returns the thinking of the answer that made the call with this id: see
/// [`reasoning_of_calls`](super::Answer::reasoning_of_calls). It must return `None` if another vendor, account or model
/// family would receive the thinking, or if the conversation before it has changed. Returns the number of messages that
/// got thinking.
pub fn restore_reasoning(request: &mut Request, mut find: impl FnMut(&str) -> Option<Vec<Block>>) -> usize {
    let mut restored = 0;
    for message in &mut request.messages {
        restored += usize::from(restore(message, &mut find).is_some());
    }
    restored
}

fn restore(message: &mut Message, find: &mut impl FnMut(&str) -> Option<Vec<Block>>) -> Option<()> {
    let is_own = |block: &Block| match block {
        Block::Thinking(thinking) => thinking.signature().is_some(),
        Block::Reasoning(item) => item.encrypted.is_some(),
        block => block.is_thinking(),
    };
    if message.role != Role::Assistant || message.blocks.iter().any(is_own) {
        return None;
    }
    let id = message.blocks.iter().find_map(|block| match block {
        Block::ToolCall(call) => Some(call.id.as_str()),
        _ => None,
    })?;
    let thinking = find(id)?;
    // The client only has the text of the thinking; the whole block takes its place, before the text of the answer.
    message.blocks.retain(|block| !block.is_thinking());
    message.blocks.splice(0..0, thinking);
    Some(())
}
