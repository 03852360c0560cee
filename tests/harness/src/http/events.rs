//! Streamed answers, read event by event.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{HeaderMap, Response, body::Incoming};
use serde_json::Value;
use signalbox_core::{
    openai,
    sse::{Frame, Splitter},
};

use crate::waiting::within;

/// Maximum event size in bytes; larger than any event of the tests.
const LONGEST: usize = 16 << 20;

/// A streamed answer. Dropping it before its end closes the connection.
#[derive(Debug)]
pub struct Events {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
    splitter: Splitter,
    raw: BytesMut,
    over: Option<bool>,
}

// === impl Events ===

impl Events {
    pub(super) fn new(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let splitter = Splitter::new(LONGEST);
        let status = head.status.as_u16();
        Self { status, headers: head.headers, body, splitter, raw: BytesMut::new(), over: None }
    }

    /// Returns the next event, or `None` at the end of the answer, whether proper or not.
    ///
    /// # Panics
    /// Panics if nothing is received for 30 seconds.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.splitter.next_frame().expect("no event is that long") {
                return Some(frame);
            }
            let piece = self.next_piece().await?;
            self.splitter.push(piece);
        }
    }

    /// Returns the content added to the first choice by the next event that has any; `None` at the end of the answer.
    pub async fn next_text(&mut self) -> Option<String> {
        loop {
            let frame = self.next().await?;
            let chunk: Value = serde_json::from_slice(&frame.data().unwrap_or_default()).unwrap_or_default();
            match chunk["choices"][0]["delta"]["content"].as_str() {
                None | Some("") => {}
                Some(text) => return Some(text.to_owned()),
            }
        }
    }

    /// Reads the rest of the answer.
    pub async fn finish(mut self) -> Finished {
        while self.next_piece().await.is_some() {}
        let raw = self.raw.freeze();
        Finished { folded: openai::fold_stream(&raw), raw, complete: self.over == Some(true) }
    }

    /// Returns the value of the header `name`; empty if missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    async fn next_piece(&mut self) -> Option<Bytes> {
        while self.over.is_none() {
            match within("the next piece of a stream", self.body.frame()).await {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.raw.extend_from_slice(&data);
                    return Some(data);
                }
                Some(Err(_)) => self.over = Some(false),
                None => self.over = Some(true),
            }
        }
        None
    }
}

/// A finished streamed answer.
#[derive(Debug)]
pub struct Finished {
    /// All bytes of the body.
    pub raw: Bytes,
    /// Whether the body ended properly rather than with a broken connection.
    pub complete: bool,
    /// The answer folded from its events.
    pub folded: openai::FoldedAnswer,
}
