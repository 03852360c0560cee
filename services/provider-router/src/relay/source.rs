//! The source of the bytes of a response.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body as _;

use super::{ResumableStream, TranslatedStream, UncountedStream, WindowedStream};
use crate::provider::EchoBody;

/// Source of the bytes of a response.
#[derive(Debug)]
pub enum Source {
    /// A provider's response body.
    Upstream(signalbox_upstream::Body),
    /// The built-in echo provider.
    Echo(EchoBody),
    /// A stream that is translated to the client's API.
    Translated(Box<TranslatedStream>),
    /// A chat stream whose client did not ask for the token counts.
    Uncounted(Box<UncountedStream>),
    /// A stream that another target continues if it breaks off.
    Resumable(Box<ResumableStream>),
    /// A stream that passes through the window of the guardrails.
    Windowed(Box<WindowedStream>),
    /// Nothing more.
    Ended,
    /// Steps scripted by a test.
    #[cfg(test)]
    #[expect(private_interfaces, reason = "only the tests construct this variant")]
    Scripted(super::tests::Script),
}

// === impl Source ===

impl Source {
    /// Returns the stream before the guardrails.
    #[must_use]
    pub(crate) fn unguarded(&self) -> &Self {
        if let Self::Windowed(windowed) = self { windowed.source() } else { self }
    }

    /// Returns the stream before the guardrails.
    pub(super) fn unguarded_mut(&mut self) -> &mut Self {
        if let Self::Windowed(windowed) = self { windowed.source_mut() } else { self }
    }

    /// Polls for the next bytes; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, signalbox_upstream::Error>>> {
        match self {
            Self::Echo(echo) => echo.poll_event(cx).map(|event| event.map(Ok)),
            Self::Translated(translated) => translated.poll_data(cx),
            Self::Uncounted(uncounted) => uncounted.poll_data(cx),
            Self::Resumable(resumable) => resumable.poll_data(cx),
            Self::Windowed(windowed) => windowed.poll_data(cx),
            Self::Ended => Poll::Ready(None),
            #[cfg(test)]
            Self::Scripted(script) => script.poll(),
            Self::Upstream(body) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    // Trailers have no use for clients of this API.
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                }
            },
        }
    }
}
