//! A client that exposes every byte, because these tests check bytes.

use std::{io, net::SocketAddr};

use signalbox_fakes::FakeProvider;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

/// An answer, with its HTTP chunks as received.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether the body ended as announced by its head.
    pub(crate) whole: bool,
}

// === impl Client ===

impl Client {
    pub(crate) async fn connect(fake: &FakeProvider) -> Self {
        Self::connect_to(fake.addr()).await
    }

    pub(crate) async fn connect_to(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap(), input: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) {
        self.post_with(path, "", body).await;
    }

    /// Sends a body with header lines that each end in CR LF.
    pub(crate) async fn post_with(&mut self, path: &str, headers: &str, body: &str) {
        let len = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: fake\r\n{headers}content-length: {len}\r\n\r\n");
        self.send(format!("{head}{body}").as_bytes()).await;
    }

    pub(crate) async fn ask(&mut self, model: &str, stream: bool) {
        let body = format!(
            r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"one two three"}}]}}"#
        );
        self.post("/v1/chat/completions", &body).await;
    }

    /// Reads more input and returns the number of bytes, 0 at the end.
    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.input).await
    }

    /// Reads up to and including `end`; on failure returns the bytes received so far and the cause.
    pub(crate) async fn until(&mut self, end: &str) -> Result<Vec<u8>, (Vec<u8>, io::Result<usize>)> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end.as_bytes()) {
                let rest = self.input.split_off(at + end.len());
                return Ok(std::mem::replace(&mut self.input, rest));
            }
            match self.fill().await {
                Ok(n) if n > 0 => {}
                over => return Err((std::mem::take(&mut self.input), over)),
            }
        }
    }

    async fn exactly(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.input.len() < len {
            if !self.fill().await.is_ok_and(|n| n > 0) {
                return None;
            }
        }
        let rest = self.input.split_off(len);
        Some(std::mem::replace(&mut self.input, rest))
    }

    pub(crate) async fn head(&mut self) -> String {
        String::from_utf8(self.until("\r\n\r\n").await.unwrap()).unwrap()
    }

    /// Reads the next HTTP chunk: `None` if the body broke off, empty at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.until("\r\n").await.ok()?).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = self.exactly(size + 2).await?;
        chunk.truncate(size);
        Some(chunk)
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let mut chunks = Vec::new();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        if let Some(length) = length {
            let body = self.exactly(length).await;
            let whole = body.is_some();
            return Answer { head, chunks: vec![body.unwrap_or_else(|| std::mem::take(&mut self.input))], whole };
        }
        let whole = loop {
            match self.chunk().await {
                None => break false,
                Some(chunk) if chunk.is_empty() => break true,
                Some(chunk) => chunks.push(chunk),
            }
        };
        Answer { head, chunks, whole }
    }

    /// Reads once after an answer: 0 at the end of the connection, or an error.
    pub(crate) async fn end(&mut self) -> io::Result<usize> {
        self.fill().await
    }
}

/// Sends a request on a new connection.
pub(crate) async fn ask(fake: &FakeProvider, model: &str, stream: bool) -> Answer {
    let mut client = Client::connect(fake).await;
    client.ask(model, stream).await;
    client.answer().await
}

// === impl Answer ===

impl Answer {
    pub(crate) fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body()).unwrap()
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Returns the typed events of a stream; the `event` line of each must repeat its type.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        let text = self.text();
        let blocks = text.split("\n\n").filter(|block| !block.is_empty());
        let parse = |block: &str| {
            let (event, data) = block.split_once('\n').unwrap();
            let data: serde_json::Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(event.strip_prefix("event: "), data["type"].as_str(), "{block}");
            data
        };
        blocks.map(parse).collect()
    }

    pub(crate) fn folded(&self) -> signalbox_core::openai::FoldedAnswer {
        let body = self.body();
        if self.head.contains("text/event-stream") {
            return signalbox_core::openai::fold_stream(&body.into());
        }
        signalbox_core::openai::fold_completion(&body).unwrap()
    }
}
