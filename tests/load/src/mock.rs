//! The upstream: an OpenAI-compatible provider with minimal cost.
//!
//! `fake-provider` records every call, which would distort a benchmark; this provider keeps nothing. The model name
//! determines the shape of a stream: `mock-<chunks>x<milliseconds between them>`. Every chunk is a separate write and
//! carries its send time, `t=<CLOCK_MONOTONIC in ns> `, from which the client computes its latency.

use std::{io::Write as _, str, time::Duration};

use bytes::Buf;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinSet, yield_now},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    clock::monotonic_ns,
    wire::{Framing, Peer, Wire},
};

/// Number of bytes searched for `model` and `stream`, which the load generator sends first.
const LOOKED_AT: usize = 512;
/// Maximum number of chunks in a stream.
const MAX_CHUNKS: u32 = 100_000;

/// About 1 KB, a short answer of a chat.
const COMPLETION: &str = concat!(
    r#"{"id":"chatcmpl-mock0000000000000000","object":"chat.completion","created":1700000000,"model":"mock","#,
    r#""choices":[{"index":0,"message":{"role":"assistant","content":""#,
    "The signalman sets the points before the train comes, and writes down in his book when it came and when it had ",
    "passed. Nothing goes by without a line in the book: neither the express, for which everything else has to wait, ",
    "nor the goods train at four in the morning that nobody sees but him. When the wires are down he writes on, and ",
    "when they are mended he reads out what he has written, line by line, until the office has it all. A book that is ",
    "full goes to the shelf; once the office has copied it, its pages may be used again. So two trains are never on ",
    "one track, and of every train it can be said, years later, where it was and when. That is all there is to it.",
    r#"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":12,"completion_tokens":150,"total_tokens":162}}"#
);

/// The shape of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of chunks with content.
    pub chunks: u32,
    /// Time between two chunks.
    pub delay: Duration,
}

// === impl Shape ===

impl Shape {
    /// Parses a model name; anything up to the last `/` is ignored.
    #[must_use]
    pub fn of_model(model: &str) -> Option<Self> {
        let (chunks, delay) = model.rsplit('/').next()?.strip_prefix("mock-")?.split_once('x')?;
        let chunks = chunks.parse().ok().filter(|&chunks| chunks <= MAX_CHUNKS)?;
        Some(Self { chunks, delay: Duration::from_millis(delay.parse().ok()?) })
    }
}

/// Serves until dropped, which also ends all connections.
pub async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Connection errors are counted by the client.
                Ok((stream, _)) => { connections.spawn(async { drop(connection(stream).await) }); }
                // Most likely out of file descriptors: pause instead of spinning.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream) -> std::io::Result<()> {
    let mut wire = Wire::new(stream)?;
    while let Some(head) = wire.head(Peer::Client).await? {
        let Framing::Length(len) = head.framing else {
            return whole(&mut wire, 411, r#"{"error":{"message":"send a content-length"}}"#).await;
        };
        let body = wire.body(len).await?;
        let asked = &body[..len.min(LOOKED_AT)];
        let stream = memchr::memmem::find(asked, br#""stream":true"#).is_some();
        let model = text(asked, br#""model":""#).unwrap_or_default().to_owned();
        wire.consume(len);
        match (head.path.as_str(), Shape::of_model(&model)) {
            ("/v1/chat/completions", Some(shape)) if stream => answer(&mut wire, &model, shape).await?,
            ("/v1/chat/completions", Some(_)) => whole(&mut wire, 200, COMPLETION).await?,
            _ => whole(&mut wire, 404, r#"{"error":{"message":"this path does not exist"}}"#).await?,
        }
    }
    Ok(())
}

/// Returns the text from the end of `key` to the next quote.
fn text<'a>(json: &'a [u8], key: &[u8]) -> Option<&'a str> {
    let rest = &json[memchr::memmem::find(json, key)? + key.len()..];
    str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

async fn whole(wire: &mut Wire, status: u16, body: &str) -> std::io::Result<()> {
    let len = body.len();
    let head = format!("HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n");
    wire.write(head.as_bytes().chain(body.as_bytes())).await
}

async fn answer(wire: &mut Wire, model: &str, shape: Shape) -> std::io::Result<()> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    let prefix = format!(
        r#"data: {{"id":"chatcmpl-mock0000000000000000","object":"chat.completion.chunk","created":1700000000,"model":"{model}","choices":["#
    );
    let event = |rest: &str| format!("{prefix}{rest}}}\n\n");
    let mut out = HEAD.to_vec();
    let role = event(r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]"#);
    send(wire, &mut out, &role, b"").await?;
    let mut due = Instant::now();
    for _ in 0..shape.chunks {
        if shape.delay.is_zero() {
            // Let other streams run, as a real provider does.
            yield_now().await;
        } else {
            sleep_until(due).await;
            due += shape.delay;
        }
        let now = monotonic_ns();
        let word = event(&format!(r#"{{"index":0,"delta":{{"content":"t={now} "}},"finish_reason":null}}]"#));
        send(wire, &mut out, &word, b"").await?;
    }
    send(wire, &mut out, &event(r#"{"index":0,"delta":{},"finish_reason":"stop"}]"#), b"").await?;
    let (words, total) = (shape.chunks, shape.chunks + 12);
    let usage = format!(r#"],"usage":{{"prompt_tokens":12,"completion_tokens":{words},"total_tokens":{total}}}"#);
    send(wire, &mut out, &event(&usage), b"").await?;
    send(wire, &mut out, "data: [DONE]\n\n", b"0\r\n\r\n").await
}

/// Writes the pending bytes in `out`, then `event` as a chunk, in one call.
async fn send(wire: &mut Wire, out: &mut Vec<u8>, event: &str, after: &[u8]) -> std::io::Result<()> {
    write!(out, "{:x}\r\n{event}\r\n", event.len())?;
    out.extend_from_slice(after);
    wire.write(out.as_slice()).await?;
    out.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_name_defines_the_shape_of_the_stream() {
        let shape = |chunks, ms| Some(Shape { chunks, delay: Duration::from_millis(ms) });
        assert_eq!(Shape::of_model("mock-100x0"), shape(100, 0));
        assert_eq!(Shape::of_model("vendor/mock-24x500"), shape(24, 500));
        for nonsense in ["mock-", "mock-x", "mock-1x", "gpt", "mock-100001x0", "mock--1x0"] {
            assert_eq!(Shape::of_model(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_whole_answer_is_about_1_kb_of_json() {
        let answer: serde_json::Value = serde_json::from_str(COMPLETION).unwrap();
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        assert!((900..1100).contains(&COMPLETION.len()), "{}", COMPLETION.len());
    }
}
