//! Joins messages of the user to the results of tools that they follow, for providers that refuse such messages.
//!
//! Nothing is added in between, because no text is ever added to a prompt.

use crate::hub::{Block, Message, Request, Role};
use crate::loss::Losses;

/// Returns the request with what the user says after results of tools as parts of the last one, and what was moved;
/// `None` if nothing is.
pub(super) fn joined(request: &Request) -> Option<(Request, Losses)> {
    let is_result = |block: &Block| matches!(block, Block::ToolResult(_));
    let (mut messages, mut losses) = (Vec::<Message>::new(), Losses::default());
    for message in &request.messages {
        let has_results = message.blocks.iter().any(is_result);
        let follows = messages.last().is_some_and(|last| last.blocks.last().is_some_and(is_result));
        if message.role != Role::User || !has_results && !follows {
            messages.push(message.clone());
            continue;
        }
        let (results, said): (Vec<_>, Vec<_>) =
            message.blocks.iter().enumerate().partition(|(_, block)| is_result(block));
        if has_results {
            let blocks = results.into_iter().map(|(_, block)| block.clone()).collect();
            messages.push(Message { blocks, ..message.clone() });
        }
        let last = messages.last_mut().and_then(|last| last.blocks.last_mut());
        let Some(Block::ToolResult(result)) = last else { continue };
        for (index, block) in said {
            if matches!(block, Block::Text(text) if text.text.is_empty()) {
                continue;
            }
            let at = format!("{}.content.{index}", message.at);
            losses.altered(at, "the provider takes it only as a part of the result before it");
            result.content.push(block.clone());
        }
    }
    (!losses.is_empty()).then(|| (Request { messages, ..request.clone() }, losses))
}
