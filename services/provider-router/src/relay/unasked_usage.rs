//! A chat stream without the token counts that only the router asked for.

use std::{
    task::{Context, Poll, ready},
    vec::IntoIter,
};

use bytes::Bytes;
use signalbox_core::{
    openai::{ChunkView, Usage},
    sse::{Frame, FrameTooLong, Splitter},
};

use super::Source;

/// Maximum bytes of an unfinished event that are held back.
const MAX_HELD: usize = 1 << 20;

/// A stream of Chat Completions from which the chunk with the token counts is removed. All other bytes stay the same.
///
/// A chunk that also has a choice is not removed: it is the provider's habit, not the answer to the router's question.
/// After an event of more than [`MAX_HELD`] bytes everything passes as it comes: so long an event is not held back, and
/// the relay judges it.
#[derive(Debug)]
pub struct UncountedStream {
    /// Pieces read before the decision to relay the stream.
    prefix: IntoIter<Bytes>,
    source: Source,
    splitter: Splitter,
    usage: Option<Usage>,
    has_ended: bool,
    /// Whether an event was too long, so that nothing is looked for any more.
    is_too_long: bool,
}

// === impl UncountedStream ===

impl UncountedStream {
    /// Relays `prefix` and then `source`.
    #[must_use]
    pub fn new(prefix: Vec<Bytes>, source: Source) -> Self {
        Self {
            prefix: prefix.into_iter(),
            source,
            splitter: Splitter::new(MAX_HELD),
            usage: None,
            has_ended: false,
            is_too_long: false,
        }
    }

    /// Returns the token counts that were removed.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Polls for the next event; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, signalbox_upstream::Error>>> {
        loop {
            let frame = match self.has_ended || self.is_too_long {
                true => self.splitter.finish(),
                false => match self.splitter.next_frame() {
                    Ok(frame) => frame,
                    Err(FrameTooLong { .. }) => {
                        self.is_too_long = true;
                        continue;
                    }
                },
            };
            if let Some(frame) = frame {
                match counts(&frame) {
                    Some(usage) => self.usage = Some(usage),
                    None => return Poll::Ready(Some(Ok(frame.raw().clone()))),
                }
                continue;
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            let next = match self.prefix.next() {
                Some(bytes) => Some(Ok(bytes)),
                None => ready!(self.source.poll_data(cx)),
            };
            match next {
                Some(Ok(bytes)) if self.is_too_long => return Poll::Ready(Some(Ok(bytes))),
                Some(Ok(bytes)) => self.splitter.push(bytes),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.has_ended = true,
            }
        }
    }
}

/// Returns the token counts of a chunk that has nothing else.
fn counts(frame: &Frame) -> Option<Usage> {
    memchr::memmem::find(frame.raw(), b"\"usage\"")?;
    let data = frame.data()?;
    let chunk = ChunkView::read(&data).filter(|chunk| chunk.choices.is_empty() && chunk.reported().is_none())?;
    chunk.usage()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::tests::Script;

    const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\r\n\r\n: ping\n\n";
    const LAST: &str =
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\n";
    const COUNTS: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    fn passed(pieces: &[&'static str]) -> (String, Option<Usage>) {
        let mut stream = UncountedStream::new(Vec::new(), Source::Scripted(Script::of(pieces)));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(Some(Ok(bytes))) = stream.poll_data(&mut cx) {
            all.extend_from_slice(&bytes);
        }
        (String::from_utf8(all).unwrap(), stream.usage())
    }

    #[test]
    fn only_the_chunk_with_the_counts_is_removed_at_any_cut() {
        let whole: &'static str = [TEXT, LAST, COUNTS, DONE].concat().leak();
        for at in 0..=whole.len() {
            let (text, usage) = passed(&[&whole[..at], &whole[at..]]);
            assert_eq!((&*text, usage), (&*[TEXT, LAST, DONE].concat(), Some(Usage::new(7, 2))), "{at}");
        }
    }

    #[test]
    fn an_event_that_does_not_end_passes_as_it_comes() {
        let piece: &'static str = "x".repeat(MAX_HELD / 2).leak();
        let mut stream =
            UncountedStream::new(Vec::new(), Source::Scripted(Script::of(&[TEXT, piece, piece, piece, piece])));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut lengths = Vec::new();
        while let Poll::Ready(Some(Ok(bytes))) = stream.poll_data(&mut cx) {
            lengths.push(bytes.len());
        }
        // Two pieces and the beginning of the third are held, and no more.
        assert_eq!(lengths.iter().sum::<usize>(), TEXT.len() + 4 * piece.len());
        assert!(lengths.iter().all(|length| *length <= 3 * piece.len()), "{lengths:?}");
        assert_eq!(lengths.last(), Some(&piece.len()));
    }

    #[test]
    fn an_unfinished_event_and_an_error_beside_counts_pass() {
        let error = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7},\"error\":{\"message\":\"no\"}}\n\n";
        for text in [&TEXT[..40], error, "data: \"usage\"\n\n"] {
            assert_eq!(passed(&[text.to_owned().leak()]), (text.to_owned(), None));
        }
    }
}
