//! The events of an answer that a provider has kept.
//!
//! They answer no request of a model, so they are not logged. The provider's own words in them are masked like those in
//! other streams, and only whole events are passed on.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use signalbox_core::{Api, masking::Masker};

use super::{
    BoxError, Broken, Source, join,
    typed::{Quotes, Taken, TypedStream, with_blank_line},
};

/// A response body with the events of a kept answer.
#[derive(Debug)]
pub struct KeptEvents {
    source: Source,
    events: TypedStream,
    masker: Masker,
    is_over: bool,
}

// === impl KeptEvents ===

impl KeptEvents {
    /// Passes on the events of `api`, which is not [`Api::Chat`], with the secrets of `masker` masked.
    #[must_use]
    pub fn new(source: Source, api: Api, masker: Masker) -> Self {
        Self { source, events: TypedStream::new(api), masker, is_over: false }
    }
}

impl Body for KeptEvents {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { source, events, masker, is_over } = self.get_mut();
        let mask = |event, quotes: Quotes| quotes.masked(event, masker);
        while !*is_over {
            let taken = match ready!(source.poll_data(cx)) {
                Some(Ok(bytes)) => events.take(bytes, mask),
                None => {
                    *is_over = true;
                    events.take_last(mask)
                }
                Some(Err(error)) => {
                    *is_over = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
            };
            *is_over |= !matches!(taken, Taken::Pass(_));
            let passed = match taken {
                Taken::Pass(events) => events,
                Taken::Done { before, last } => join(&before, &with_blank_line(last)),
                Taken::Failed { all, .. } => with_blank_line(all),
                Taken::Endless(_) => return Poll::Ready(Some(Err(Broken::EndlessEvent.to_string().into()))),
            };
            if !passed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(passed))));
            }
        }
        Poll::Ready(None)
    }
}
