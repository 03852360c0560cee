//! The translation of a stream of 100 chunks: splitting it into events, reading them, and writing those of the client's
//! API.

use std::hint::black_box;

use bytes::Bytes;
use signalbox_core::{Api, sse::Splitter};
use signalbox_translate::{Decoder, EmitOptions, Emitter};

use crate::mock;

/// Maximum bytes of an event.
const MAX_EVENT: usize = 1 << 20;

/// Translates a stream of the API `from` to the API `to`, `times` times.
pub(super) fn translate(from: Api, to: Api, times: u64) -> anyhow::Result<()> {
    let stream = Bytes::from(mock::stream(from, super::CHUNKS));
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let id = "0199a3f0000070008000000000000001".to_owned();
        let mut decoder = Decoder::new(from, &id);
        let mut emitter = Emitter::new(to, EmitOptions { id, include_usage: true, ..EmitOptions::default() });
        let mut splitter = Splitter::new(MAX_EVENT);
        splitter.push(stream.clone());
        while let Ok(Some(frame)) = splitter.next_frame() {
            let Some(data) = frame.data() else { continue };
            let name = frame.event().and_then(|name| std::str::from_utf8(name).ok());
            decoder.push(name, &data, &mut events);
            for event in events.drain(..) {
                emitter.push(event, &mut out);
            }
            // The router passes on what one event of the provider becomes before it reads the next one.
            black_box(&out);
            out.clear();
        }
        anyhow::ensure!(emitter.has_ended(), "the translated stream is incomplete");
    }
    Ok(())
}
