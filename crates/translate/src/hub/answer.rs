//! A whole answer.

use crate::Losses;

use super::{Block, Delta, Event, Finish, Opening, Start, Usage};

/// A whole answer, of a body or of a stream that was folded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's id.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The content, in order.
    pub blocks: Vec<Block>,
    /// Token counts, if the provider sent them.
    pub usage: Option<Usage>,
    /// Why the answer ended.
    pub finish: Finish,
    /// Parts of the answer that have no place here.
    pub losses: Losses,
}

// === impl Answer ===

impl Answer {
    /// Returns the events of the answer, with one delta for each part.
    pub fn into_events(self) -> Vec<Event> {
        let mut events = vec![Event::Start(Start { id: self.id, model: self.model })];
        for (block, content) in (0_u32..).zip(self.blocks) {
            let Some((opening, deltas)) = parts(content) else { continue };
            events.push(Event::Open { block, opening });
            events.extend(deltas.into_iter().map(|delta| Event::Delta { block, delta }));
            events.push(Event::Close { block });
        }
        events.extend(self.usage.map(Event::Usage));
        events.push(Event::Finish(self.finish));
        events
    }
}

/// Splits a block into its beginning and its additions. Blocks that no answer has are left out.
fn parts(block: Block) -> Option<(Opening, Vec<Delta>)> {
    let some = |text: String, delta: fn(String) -> Delta| if text.is_empty() { vec![] } else { vec![delta(text)] };
    Some(match block {
        Block::Text(text) => (Opening::Text { phase: text.phase }, some(text.text, Delta::Text)),
        Block::Refusal(text) => (Opening::Refusal, some(text, Delta::Text)),
        Block::Thinking(thinking) => {
            let mut deltas = some(thinking.text, Delta::Thinking);
            deltas.extend(thinking.signature.map(Delta::Signature));
            (Opening::Thinking, deltas)
        }
        Block::RedactedThinking { data } => (Opening::Redacted { data }, vec![]),
        Block::Reasoning(item) => {
            let summary = (0_u32..).zip(item.summary).map(|(part, text)| Delta::Summary { part, text });
            let mut deltas: Vec<Delta> = summary.collect();
            deltas.extend(some(item.text, Delta::Thinking));
            deltas.extend(item.encrypted.map(Delta::Encrypted));
            (Opening::Reasoning { id: item.id }, deltas)
        }
        Block::ToolCall(call) => {
            let opening = Opening::Call { id: call.id, name: call.name, namespace: call.namespace, kind: call.kind };
            let mut deltas: Vec<Delta> = call.extra.map(Delta::Extra).into_iter().collect();
            deltas.extend(some(call.input, Delta::Input));
            (opening, deltas)
        }
        Block::Opaque { api, kind, json } => (Opening::Opaque { api, kind, json }, vec![]),
        Block::Image(_) | Block::Document(_) | Block::Audio { .. } | Block::ToolResult(_) => return None,
    })
}
