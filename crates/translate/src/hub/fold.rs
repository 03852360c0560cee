//! Folds the events of an answer.

use std::collections::BTreeMap;

use super::{Answer, Block, Delta, Event, Failure, Opening, Reasoning, Text, Thinking, ToolCall};

/// Collects the events of an answer until its end.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    answer: Answer,
    blocks: BTreeMap<u32, Block>,
    end: Option<Result<(), Failure>>,
}

// === impl Fold ===

impl Fold {
    /// Adds an event. Events after the end, and additions to blocks that are not there, are ignored.
    pub fn push(&mut self, event: Event) {
        if self.end.is_some() {
            return;
        }
        match event {
            Event::Start(start) => {
                self.answer.id = start.id;
                self.answer.model = start.model;
            }
            Event::Open { block, opening } => {
                self.blocks.entry(block).or_insert_with(|| opened(opening));
            }
            Event::Delta { block, delta } => {
                if let Some(block) = self.blocks.get_mut(&block) {
                    grow(block, delta);
                }
            }
            Event::Usage(usage) => self.answer.usage = Some(usage),
            Event::Finish(finish) => {
                self.answer.finish = finish;
                self.end = Some(Ok(()));
            }
            Event::Failed(failure) => self.end = Some(Err(failure)),
            Event::Lost(loss) => self.answer.losses.add_once(loss),
            Event::Close { .. } | Event::Ping => {}
        }
    }

    /// Returns the answer. An answer that failed or has not ended is the error.
    ///
    /// # Errors
    /// Fails with the failure of the answer, or with [`Failure::incomplete`].
    pub fn finish(mut self) -> Result<Answer, Failure> {
        self.end.unwrap_or_else(|| Err(Failure::incomplete()))?;
        self.answer.blocks = self.blocks.into_values().collect();
        Ok(self.answer)
    }
}

fn opened(opening: Opening) -> Block {
    match opening {
        Opening::Text { phase } => Block::Text(Text { phase, ..Text::default() }),
        Opening::Refusal => Block::Refusal(String::new()),
        Opening::Thinking => Block::Thinking(Thinking::default()),
        Opening::Redacted { data } => Block::RedactedThinking { data },
        Opening::Reasoning { id } => Block::Reasoning(Reasoning { id, ..Reasoning::default() }),
        Opening::Call { id, name, namespace, kind } => {
            Block::ToolCall(ToolCall { id, name, namespace, kind, input: String::new(), cache: None, extra: None })
        }
        Opening::Opaque { api, kind, json } => Block::Opaque { api, kind, json },
    }
}

fn grow(block: &mut Block, delta: Delta) {
    match (block, delta) {
        (Block::Text(Text { text, .. }) | Block::Refusal(text), Delta::Text(more))
        | (Block::Thinking(Thinking { text, .. }) | Block::Reasoning(Reasoning { text, .. }), Delta::Thinking(more))
        | (Block::ToolCall(ToolCall { input: text, .. }), Delta::Input(more)) => append(text, more),
        (Block::Thinking(thinking), Delta::Signature(signature)) => thinking.signature = Some(signature),
        (Block::Reasoning(item), Delta::Encrypted(data)) => item.encrypted = Some(data),
        (Block::ToolCall(call), Delta::Extra(extra)) => call.extra = Some(extra),
        (Block::Reasoning(item), Delta::Summary { part, text }) => {
            // A part that leaves a gap is put at the end, so that its number cannot make the list long.
            match item.summary.get_mut(part as usize) {
                Some(known) => append(known, text),
                None => item.summary.push(text),
            }
        }
        _ => {}
    }
}

/// Appends a text, without copying the first one.
fn append(text: &mut String, more: String) {
    if text.is_empty() {
        *text = more;
    } else {
        text.push_str(&more);
    }
}
