//! A stream that passes through the window of the guardrails.

use std::{
    collections::VecDeque,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::Source;
use crate::guard::{Stopped, StreamWindow};

/// A stream behind a window.
#[derive(Debug)]
pub struct WindowedStream {
    begun: VecDeque<Bytes>,
    source: Source,
    window: StreamWindow,
    stopped: Option<Stopped>,
    is_over: bool,
}

// === impl WindowedStream ===

impl WindowedStream {
    /// Passes `begun` and then `source` through `window`.
    #[must_use]
    pub(crate) fn new(begun: Vec<Bytes>, source: Source, window: StreamWindow) -> Self {
        Self { begun: begun.into(), source, window, stopped: None, is_over: false }
    }

    /// Returns the stream that it passes on.
    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the stream that it passes on.
    pub(super) const fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    /// Returns why the guardrails have stopped it.
    pub(super) const fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// Polls for the next bytes; `None` at the end, also if the guardrails have stopped it.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, signalbox_upstream::Error>>> {
        while !self.is_over {
            let next = match self.begun.pop_front() {
                Some(bytes) => Some(Ok(bytes)),
                None => ready!(self.source.poll_data(cx)),
            };
            let passed = match next {
                Some(Ok(bytes)) => self.window.push(bytes),
                // The bytes that are held may be the beginning of a secret.
                Some(Err(error)) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.is_over = true;
                    self.window.finish()
                }
            };
            match passed {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Err(stopped) => {
                    self.is_over = true;
                    self.stopped = Some(stopped);
                    // The connection to the provider is of no use any more.
                    self.source = Source::Ended;
                }
            }
        }
        Poll::Ready(None)
    }
}
