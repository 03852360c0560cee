//! Reads from a stream what its answer has to get back.

use std::sync::Arc;

use signalbox_translate::hub::{Answer, Delta, Event, Fold, Opening};

use super::{MAX_ANSWER_BYTES, Origin, ReasoningMemory};
use crate::health;

/// Records the thinking and the tool calls of one answer, and keeps them once the answer is complete.
#[derive(Debug)]
pub struct Recorder {
    memory: Arc<ReasoningMemory>,
    /// `None` once the answer has ended, or is too long.
    recording: Option<(Origin, Fold)>,
    /// Bytes so far.
    bytes: usize,
}

// === impl Recorder ===

impl Recorder {
    /// Creates a recorder of an answer to a request of this origin.
    #[must_use]
    pub fn new(memory: Arc<ReasoningMemory>, origin: Origin) -> Self {
        Self { memory, recording: Some((origin, Fold::default())), bytes: 0 }
    }

    /// Reads an event. At the end of the answer, the memory has it before the client knows that the answer is complete.
    pub fn push(&mut self, event: &Event) {
        let Some((_, fold)) = &mut self.recording else { return };
        match event {
            Event::Open { opening, .. } if is_kept(opening) => fold.push(event.clone()),
            Event::Delta { delta: Delta::Text(_) | Delta::Input(_), .. } => {}
            Event::Delta { delta, .. } => {
                self.bytes += len(delta);
                if self.bytes > MAX_ANSWER_BYTES {
                    self.recording = None;
                    return;
                }
                fold.push(event.clone());
            }
            Event::Finish(_) => {
                fold.push(event.clone());
                let Some((origin, fold)) = self.recording.take() else { return };
                if let Some(carried) = fold.finish().ok().as_ref().and_then(Answer::carried) {
                    self.memory.keep(origin, carried, health::now());
                }
            }
            Event::Failed(_) => self.recording = None,
            _ => {}
        }
    }

    /// Reads a whole answer.
    pub fn answer(self, answer: &Answer) {
        if let (Some((origin, _)), Some(carried)) = (self.recording, answer.carried()) {
            self.memory.keep(origin, carried, health::now());
        }
    }
}

const fn is_kept(opening: &Opening) -> bool {
    matches!(opening, Opening::Thinking | Opening::Redacted { .. } | Opening::Reasoning { .. } | Opening::Call { .. })
}

fn len(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text)
        | Delta::Thinking(text)
        | Delta::Summary { text, .. }
        | Delta::Signature(text)
        | Delta::Encrypted(text)
        | Delta::Input(text) => text.len(),
        Delta::Extra(json) => json.as_str().len(),
    }
}
