//! The client of a scene: sends requests to the router of the stage, and keeps what arrives.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use signalbox_core::Api;
use signalbox_upstream::loopback::{Streamed, open_stream};
use tokio::time::{Duration, Instant, timeout, timeout_at};

/// Maximum time for connecting to the router.
const CONNECT: Duration = Duration::from_secs(5);

/// Answer as a client got it.
#[derive(Debug, Default)]
pub(super) struct Got {
    /// Status; 0 without a head.
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// Times at which parts of the body arrived, since the request.
    pub(super) arrivals: Vec<Duration>,
    pub(super) took: Duration,
    /// Whether the connection was lost.
    pub(super) is_cut: bool,
    /// Whether there was no end within the time.
    pub(super) has_hung: bool,
}

/// How a stream ended, as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The whole answer.
    Whole,
    /// An error that the client notices.
    Error(String),
    /// Less than the whole answer, which looks complete.
    Truncated,
    /// An end without an error and without the last event.
    Unfinished,
    /// No end within the time.
    Hung,
}

/// An event of a stream, as far as outcomes depend on it.
#[derive(Debug, Default)]
struct Heard {
    text: String,
    is_complete: bool,
    error: Option<String>,
}

/// Address and key of a router.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) addr: SocketAddr,
    pub(super) key: String,
}

// === impl Caller ===

impl Caller {
    /// Sends a request, and waits for the end of the answer for this time.
    pub(super) async fn send(&self, path: &str, body: Bytes, limit: Duration) -> Got {
        let began = Instant::now();
        let due = began + limit;
        let mut got = Got::default();
        match timeout_at(due, open_stream(self.addr, self.request(path, &body), CONNECT)).await {
            Err(_elapsed) => got.has_hung = true,
            Ok(Err(error)) => {
                got.is_cut = true;
                got.body = error.to_string();
            }
            Ok(Ok(answer)) => {
                let (head, mut body) = answer.into_parts();
                got.status = head.status.as_u16();
                got.headers = head.headers;
                let mut bytes = Vec::new();
                got.has_hung = timeout_at(due, collect(&mut body, &mut bytes, &mut got, began)).await.is_err();
                got.body = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        got.took = began.elapsed();
        got
    }

    /// Sends a request, reads this number of parts of the answer, and leaves. Returns the id of the request.
    pub(super) async fn leave(&self, path: &str, body: Bytes, parts: usize) -> Option<String> {
        let opened = timeout(CONNECT, open_stream(self.addr, self.request(path, &body), CONNECT)).await;
        let mut answer = opened.ok()?.ok()?;
        for _ in 0..parts {
            timeout(CONNECT, answer.body_mut().frame()).await.ok()??.ok()?;
        }
        request_id(answer.headers())
    }

    fn request(&self, path: &str, body: &Bytes) -> Request<Bytes> {
        let mut request = Request::new(body.clone());
        if !body.is_empty() {
            *request.method_mut() = http::Method::POST;
        }
        if let Ok(uri) = path.parse() {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        if let Ok(key) = format!("Bearer {}", self.key).parse() {
            headers.insert(header::AUTHORIZATION, key);
        }
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        request
    }
}

async fn collect(body: &mut Streamed, bytes: &mut Vec<u8>, got: &mut Got, began: Instant) {
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => {
                got.arrivals.push(began.elapsed());
                bytes.extend_from_slice(&data);
            }
            Ok(Err(_trailers)) => {}
            Err(_) => {
                got.is_cut = true;
                return;
            }
        }
    }
}

/// Returns the id that the router gave a request.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned)
}

// === impl Got ===

impl Got {
    /// Returns the events of a stream, as JSON.
    pub(super) fn events(&self) -> impl Iterator<Item = Value> {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok())
    }

    /// Returns the text of a stream.
    pub(super) fn text(&self, api: Api) -> String {
        self.heard(api).text
    }

    /// Returns a header as text; empty without it.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Judges a stream that should say `expected`.
    pub(super) fn outcome(&self, api: Api, expected: &str) -> Outcome {
        if self.has_hung {
            return Outcome::Hung;
        }
        if self.status != 200 {
            return Outcome::Error(format!("status {}: {}", self.status, self.message()));
        }
        match self.heard(api) {
            Heard { error: Some(error), .. } => Outcome::Error(error),
            Heard { is_complete: true, text, .. } if text == expected => Outcome::Whole,
            Heard { is_complete: true, .. } => Outcome::Truncated,
            _ if self.is_cut => Outcome::Error("the connection was lost".to_owned()),
            _ => Outcome::Unfinished,
        }
    }

    /// Returns the message of an answer that is an error.
    pub(super) fn message(&self) -> String {
        let answer: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let message = answer["error"]["message"].as_str();
        message.map_or_else(|| self.body.chars().take(120).collect(), str::to_owned)
    }

    fn heard(&self, api: Api) -> Heard {
        let mut heard = Heard::default();
        for event in self.events() {
            let piece = match api {
                Api::Chat => &event["choices"][0]["delta"]["content"],
                Api::Messages => &event["delta"]["text"],
                Api::Responses if event["type"] == "response.output_text.delta" => &event["delta"],
                Api::Responses => &Value::Null,
            };
            heard.text.push_str(piece.as_str().unwrap_or_default());
            heard.is_complete |= match api {
                // Clients accept an answer with its finish reason and without `[DONE]`.
                Api::Chat => event["choices"][0]["finish_reason"].is_string(),
                Api::Messages => event["type"] == "message_stop",
                Api::Responses => event["type"] == "response.completed",
            };
            let error = [&event["error"]["message"], &event["response"]["error"]["message"]];
            let is_error = event["type"] == "error" || event["type"] == "response.failed";
            let said = error.iter().find_map(|said| said.as_str());
            if said.is_some() || is_error {
                heard.error = Some(said.or_else(|| event["message"].as_str()).unwrap_or("an error event").to_owned());
            }
        }
        heard.is_complete |= api == Api::Chat && self.body.contains("data: [DONE]");
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(body: &str) -> Got {
        Got { status: 200, body: body.to_owned(), ..Got::default() }
    }

    #[test]
    fn outcomes_are_those_that_a_client_sees() {
        let word = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        let error = "data: {\"error\":{\"message\":\"broken\"}}\n\n";
        for (body, outcome) in [
            (format!("{word}{word}data: [DONE]\n\n"), Outcome::Whole),
            (format!("{word}data: [DONE]\n\n"), Outcome::Truncated),
            ("data: [DONE]\n\n".to_owned(), Outcome::Truncated),
            (word.to_owned(), Outcome::Unfinished),
            (format!("{word}{error}"), Outcome::Error("broken".to_owned())),
        ] {
            assert_eq!(got(&body).outcome(Api::Chat, "aa"), outcome, "{body}");
        }
        assert_eq!(Got { has_hung: true, ..got(word) }.outcome(Api::Chat, "aa"), Outcome::Hung);
        let refused = Got { status: 402, ..got(r#"{"error":{"message":"no money"}}"#) };
        assert_eq!(refused.outcome(Api::Chat, "aa"), Outcome::Error("status 402: no money".to_owned()));
    }
}
