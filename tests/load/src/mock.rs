//! The upstream: a provider of Chat Completions, Messages and Responses with minimal cost.
//!
//! `fake-provider` records every call, which would distort a benchmark; this provider keeps nothing. The model name
//! determines the shape of a stream: `mock-<chunks>x<milliseconds between them>`. Every chunk is a separate write and
//! carries its send time, `t=<CLOCK_MONOTONIC in ns> `, from which the client computes its latency. In each API a stream
//! consists of as many writes: one before the chunks, three after them.

mod events;

use std::{io::Write as _, str, time::Duration};

use bytes::Buf;
use events::Events;
use signalbox_core::Api;
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

/// Returns a complete stream of `api` with `chunks` texts, as the upstream sends it.
#[must_use]
pub fn stream(api: Api, chunks: u32) -> String {
    let events = Events::new(api, "mock");
    let mut stream = events.opening();
    let mut said = String::new();
    for number in 0..chunks {
        let word = format!("t={} ", monotonic_ns());
        stream.push_str(&events.text(number, &word));
        said.push_str(&word);
    }
    stream.push_str(&events.closing(chunks, &said).concat());
    stream
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
        match (Api::of_path(&head.path), Shape::of_model(&model)) {
            (Some(api), Some(shape)) if stream => answer(&mut wire, &Events::new(api, &model), shape).await?,
            (Some(Api::Chat), Some(_)) => whole(&mut wire, 200, COMPLETION).await?,
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

async fn answer(wire: &mut Wire, events: &Events, shape: Shape) -> std::io::Result<()> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut out = HEAD.to_vec();
    send(wire, &mut out, &events.opening(), b"").await?;
    let mut said = String::new();
    let mut due = Instant::now();
    for number in 0..shape.chunks {
        if shape.delay.is_zero() {
            // Let other streams run, as a real provider does.
            yield_now().await;
        } else {
            sleep_until(due).await;
            due += shape.delay;
        }
        let word = format!("t={} ", monotonic_ns());
        send(wire, &mut out, &events.text(number, &word), b"").await?;
        if events.repeats_text() {
            said.push_str(&word);
        }
    }
    let [first, second, last] = events.closing(shape.chunks, &said);
    send(wire, &mut out, &first, b"").await?;
    send(wire, &mut out, &second, b"").await?;
    send(wire, &mut out, &last, b"0\r\n\r\n").await
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
