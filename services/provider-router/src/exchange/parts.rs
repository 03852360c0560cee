//! The bytes of the response, on their way into the journal.

use std::task::Context;

use bytes::Bytes;
use signalbox_core::{
    Api,
    openai::ChunkView,
    sse::Splitter,
    typed::{self, TypedReader},
};
use tokio::time::{Duration, Instant};

use super::Exchange;
use crate::journal::Bodies;

/// Maximum bytes of a response buffered in memory before they are appended to the journal.
const MAX_PENDING_PART: usize = 4 << 10;
/// Maximum time that fewer bytes stay buffered, counted from the first pause of the stream after they arrived.
const PART_DELAY: Duration = Duration::from_millis(250);

// === impl Exchange ===

impl Exchange {
    /// Records the next bytes of the response, and appends them to the journal once a stream has `MAX_PENDING_PART` of
    /// them.
    pub fn answer(&mut self, bytes: &[u8]) {
        let room = self.max_answer_len.saturating_sub(self.answer_len);
        let kept = usize::try_from(room).map_or(bytes, |room| &bytes[..bytes.len().min(room)]);
        if self.answer_len == 0 && self.context.is_exported() && self.status_code == Some(200) {
            self.response_model = model_of(self.api, bytes, self.streamed);
        }
        if kept.len() < bytes.len() && self.answer_len == 0 && !self.streamed {
            // In a complete response, the usage may follow the text and so be beyond the part that is kept.
            self.summarize(bytes);
        }
        if self.streamed && self.admitted.is_some() {
            self.stream_length.add(bytes);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.push(bytes);
        }
        self.answer_len += bytes.len() as u64;
        self.live.add_bytes(bytes.len());
        self.answer.extend_from_slice(kept);
        if self.streamed && self.answer.len() >= MAX_PENDING_PART {
            self.part();
        }
    }

    /// Called when the stream pauses: appends the buffered bytes to the journal once `PART_DELAY` has passed, or
    /// registers the waker for that time.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) {
        if self.answer.is_empty() || self.kept.answer != Bodies::Full {
            return;
        }
        if !std::mem::replace(&mut self.is_part_due_set, true) {
            let due = Instant::now() + PART_DELAY;
            match &mut self.part_due {
                Some(timer) => timer.as_mut().reset(due),
                none => *none = Some(Box::pin(tokio::time::sleep_until(due))),
            }
        }
        if let Some(timer) = &mut self.part_due
            && timer.as_mut().poll(cx).is_ready()
        {
            self.is_part_due_set = false;
            self.part();
        }
    }

    /// Appends the buffered bytes to the journal. A response that is to be redacted or dropped stays in memory until
    /// its end, because it has to be parsed as a whole.
    fn part(&mut self) {
        if self.kept.answer == Bodies::Full
            && let Some(entry) = &mut self.entry
        {
            entry.part(&self.answer);
            self.answer.clear();
        }
    }

    /// Reads the token counts and the finish reason of a whole response.
    pub(super) fn summarize(&mut self, whole: &[u8]) {
        if self.api != Api::Chat {
            let answer = typed::fold_answer(self.api, whole).unwrap_or_default();
            self.ending.usage = answer.usage;
            self.ending.finish_reason = answer.finish_reason;
        } else if let Some(answer) = ChunkView::read(whole) {
            self.ending.usage = answer.usage();
            self.ending.finish_reason = answer.finish_reason().map(Into::into);
        }
    }
}

/// Returns the model that a whole response, or the first event of a stream, names.
fn model_of(api: Api, begun: &[u8], streamed: bool) -> Option<String> {
    let model = |json: &[u8]| Some(ChunkView::read(json)?.model?.to_str().into_owned());
    if !streamed {
        return model(begun);
    }
    let mut splitter = Splitter::new(begun.len());
    splitter.push(Bytes::copy_from_slice(begun));
    let frame = splitter.next_frame().ok()??;
    if api == Api::Chat {
        return model(&frame.data()?);
    }
    let mut reader = TypedReader::new(api);
    reader.read(&frame);
    Some(reader.started().model.clone()).filter(|model| !model.is_empty())
}
