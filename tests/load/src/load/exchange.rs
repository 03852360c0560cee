//! A request and its answer, in an API of the router's clients.

use std::time::Duration;

use super::{Worker, grammar::Checker};
use crate::{
    clock::monotonic_ns,
    mock::Shape,
    wire::{Framing, Peer, Wire},
};

/// Maximum characters of an error body in a report.
const TOLD: usize = 160;

/// Sends one request and reads the complete answer; keeps the connection if it can be reused.
pub(super) async fn exchange(worker: &mut Worker) -> Result<(), String> {
    let mut wire = match worker.kept.take() {
        Some(wire) => wire,
        None => Wire::connect(worker.load.port).await.map_err(|error| format!("connect: {error}"))?,
    };
    wire.write(worker.prompts.request()).await.map_err(|error| format!("send: {error}"))?;
    let head = wire.head(Peer::Server).await.map_err(|error| format!("head: {error}"))?;
    let head = head.ok_or("closed instead of responding")?;
    match head.framing {
        Framing::Length(len) => {
            let body = wire.body(len).await.map_err(|error| format!("body: {error}"))?;
            if head.status != 200 {
                let text = String::from_utf8_lossy(&body[..len.min(TOLD)]);
                return Err(format!("{}: {text}", head.status));
            }
            if worker.load.stream || !body.ends_with(b"}") {
                return Err("200: incomplete answer".to_owned());
            }
            wire.consume(len);
        }
        Framing::Chunked if head.status != 200 => return Err(format!("{}: incomplete answer", head.status)),
        Framing::Chunked if worker.load.stream => read_stream(worker, &mut wire).await?,
        Framing::Chunked => {
            if !read_chunks(&mut wire, b"}", |_| {}).await.map_err(|error| format!("body: {error}"))? {
                return Err("200: incomplete answer".to_owned());
            }
        }
    }
    worker.kept = Some(wire);
    Ok(())
}

/// Reads a stream, checks that it is complete, and records the delays of its texts.
async fn read_stream(worker: &Worker, wire: &mut Wire) -> Result<(), String> {
    let shape = Shape::of_model(&worker.load.model).ok_or("the model has no number of chunks")?;
    let mut checker = Checker::new(worker.load.api.known(), shape.chunks);
    loop {
        let (at, len) = wire.chunk().await.map_err(|error| format!("body: {error}"))?;
        let chunk = &wire.input()[at];
        if chunk.is_empty() {
            wire.consume(len);
            return checker.finish();
        }
        let now = monotonic_ns();
        checker.read(chunk, |sent| {
            worker.tally.borrow_mut().chunk_came(Duration::from_nanos(now.saturating_sub(sent)));
        })?;
        wire.consume(len);
    }
}

/// Reads a body, calls `seen` with each of its chunks, and returns whether it was complete, that is, whether it ends
/// with `end`.
pub(super) async fn read_chunks(wire: &mut Wire, end: &[u8], mut seen: impl FnMut(&[u8])) -> std::io::Result<bool> {
    // Keep the newest bytes, because a proxy may cut chunks anywhere.
    let mut newest = Vec::with_capacity(2 * end.len());
    loop {
        let (at, len) = wire.chunk().await?;
        let chunk = &wire.input()[at];
        if chunk.is_empty() {
            wire.consume(len);
            return Ok(newest.ends_with(end));
        }
        seen(chunk);
        newest.extend_from_slice(&chunk[chunk.len().saturating_sub(end.len())..]);
        newest.drain(..newest.len().saturating_sub(end.len()));
        wire.consume(len);
    }
}
