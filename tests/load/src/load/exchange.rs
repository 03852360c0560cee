//! A request and its answer, in OpenAI's API.

use std::time::Duration;

use memchr::memmem;

use super::Worker;
use crate::{
    clock::monotonic_ns,
    wire::{Framing, Peer, Wire},
};

/// Maximum characters of an error body in a report.
const TOLD: usize = 160;
/// End of a stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Sends one request and reads the complete answer; keeps the connection if it can be reused.
pub(super) async fn exchange(worker: &mut Worker) -> Result<(), String> {
    let mut wire = match worker.kept.take() {
        Some(wire) => wire,
        None => Wire::connect(worker.load.port).await.map_err(|error| format!("connect: {error}"))?,
    };
    wire.write(worker.prompts.request()).await.map_err(|error| format!("send: {error}"))?;
    let head = wire.head(Peer::Server).await.map_err(|error| format!("head: {error}"))?;
    let head = head.ok_or("closed instead of responding")?;
    let complete = match head.framing {
        Framing::Length(len) => {
            let body = wire.body(len).await.map_err(|error| format!("body: {error}"))?;
            if head.status != 200 {
                let text = String::from_utf8_lossy(&body[..len.min(TOLD)]);
                return Err(format!("{}: {text}", head.status));
            }
            let complete = !worker.load.stream && body.ends_with(b"}");
            wire.consume(len);
            complete
        }
        Framing::Chunked => {
            let end: &[u8] = if worker.load.stream { DONE } else { b"}" };
            read_chunks(worker, &mut wire, end).await.map_err(|error| format!("body: {error}"))?
        }
    };
    if !complete || head.status != 200 {
        return Err(format!("{}: incomplete answer", head.status));
    }
    worker.kept = Some(wire);
    Ok(())
}

/// Reads a body and returns whether it was complete, that is, whether it ends with `end`.
pub(super) async fn read_chunks(worker: &Worker, wire: &mut Wire, end: &[u8]) -> std::io::Result<bool> {
    // Keep the newest bytes, because a proxy may cut chunks anywhere.
    let mut newest = Vec::with_capacity(2 * end.len());
    loop {
        let (at, len) = wire.chunk().await?;
        let chunk = &wire.input()[at];
        if chunk.is_empty() {
            wire.consume(len);
            return Ok(newest.ends_with(end));
        }
        if worker.load.stream {
            note_stamps(worker, chunk);
        }
        newest.extend_from_slice(&chunk[chunk.len().saturating_sub(end.len())..]);
        newest.drain(..newest.len().saturating_sub(end.len()));
        wire.consume(len);
    }
}

/// Records the latency of the chunks: the upstream puts its clock into each. Chunks that a proxy has cut in two are
/// skipped.
fn note_stamps(worker: &Worker, chunk: &[u8]) {
    let now = monotonic_ns();
    for at in memmem::find_iter(chunk, b"\"t=") {
        let digits = &chunk[at + 3..];
        let digits = &digits[..memchr::memchr(b' ', digits).unwrap_or_default()];
        if let Some(sent) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok()) {
            worker.tally.borrow_mut().chunk_came(Duration::from_nanos(now.saturating_sub(sent)));
        }
    }
}
