//! A client that sends requests without pause and reports the answers that it saw complete.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};
use signalbox_harness::{Answer, Client};
use tokio::sync::mpsc;

use crate::{dice::Dice, gateway::CHAT};

/// An answer that a client has received completely.
#[derive(Debug)]
pub(super) struct Seen {
    /// `x-request-id`.
    pub(super) id: String,
    pub(super) stream: bool,
    /// Hash of the request body.
    pub(super) request: u64,
    /// Hash of the [`Gist`] of a stream, or of the body of a whole answer.
    pub(super) answer: u64,
}

/// The content of a chat answer, independent of the way it was delivered.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Gist {
    text: String,
    thoughts: String,
    tool: String,
    arguments: String,
    pub(super) finish_reason: Option<String>,
    /// Tokens of the prompt and of the answer.
    pub(super) tokens: Option<(i64, i64)>,
}

/// Sends requests until the router is gone or the answers are no longer received.
pub(super) struct Asker {
    router: Client,
    dice: Dice,
    complete: mpsc::Sender<Seen>,
    /// The conversation so far, which is sent with every request.
    messages: Vec<Value>,
}

/// Models for answers of one word and of many journal records, fast and slow. `fake-idleclose` closes a reused
/// connection as if its idle timeout had just expired.
const MODELS: [&str; 8] =
    ["m", "m", "fake-tool", "fake-reasoning", "fake-usage", "fake-8x2", "fake-cut-40", "fake-idleclose"];
/// Words of a prompt, which the model `m` echoes.
const LENGTHS: [usize; 8] = [1, 1, 10, 10, 100, 100, 1000, 4000];

/// Maximum number of messages in a conversation.
const TURNS: usize = 8;

/// A stream that stays open until the router dies.
pub(super) const STALLED: &str = "fake-stall-3";

// === impl Asker ===

impl Asker {
    pub(super) fn new(router: Client, dice: Dice, complete: mpsc::Sender<Seen>) -> Self {
        Self { router, dice, complete, messages: Vec::new() }
    }

    /// Sends different requests and returns how many were sent.
    pub(super) async fn ask(mut self) -> usize {
        let mut sent = 0;
        loop {
            let stream = self.dice.below(2) == 0;
            let request = self.request(stream);
            sent += 1;
            let Some(answer) = self.send(&request).await else { return sent };
            let Some(seen) = Seen::of(&request, &answer, stream) else { return sent };
            if self.complete.send(seen).await.is_err() {
                return sent;
            }
        }
    }

    /// Sends one request, waits, and returns the number of requests sent.
    pub(super) async fn ask_for_an_end_that_never_comes(self) -> usize {
        let messages = json!([{"role": "user", "content": "one two three"}]);
        let request = json!({"model": format!("fake/{STALLED}"), "stream": true, "messages": messages}).to_string();
        let answer = self.send(&request).await;
        let seen = answer.and_then(|answer| Seen::of(&request, &answer, true));
        assert!(seen.is_none(), "an endless answer ended");
        1
    }

    /// Returns the next turn of the conversation, or the first turn of a new one.
    fn request(&mut self, stream: bool) -> String {
        let model = format!("fake/{}", self.dice.pick(&MODELS));
        let words: Vec<String> =
            (0..*self.dice.pick(&LENGTHS)).map(|_| self.dice.below(1_000_000).to_string()).collect();
        if self.messages.len() > TURNS || self.dice.below(4) == 0 {
            self.messages.clear();
        } else if !self.messages.is_empty() {
            self.messages.push(json!({"role": "assistant", "content": "a message"}));
        }
        self.messages.push(json!({"role": "user", "content": words.join(" ")}));
        let mut request = json!({"model": model, "stream": stream, "messages": self.messages});
        if stream && self.dice.below(2) == 0 {
            request["stream_options"] = json!({"include_usage": true});
        }
        request.to_string()
    }

    async fn send(&self, request: &str) -> Option<Answer> {
        let answer = self.router.try_request("POST".parse().unwrap(), CHAT, request.to_owned()).await.ok()?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Some(answer)
    }
}

// === impl Seen ===

impl Seen {
    /// Returns `None` if the answer is incomplete.
    fn of(request: &str, answer: &Answer, stream: bool) -> Option<Self> {
        let whole = if stream { answer.body.ends_with(b"data: [DONE]\n\n") } else { answer.complete };
        whole.then(|| Self {
            id: answer.header("x-request-id").to_owned(),
            stream,
            request: hash(request),
            answer: if stream { hash(&Gist::of_stream(&answer.body)) } else { hash(&answer.body[..]) },
        })
    }
}

/// Hashes a request or an answer, as received by a client or as computed from a row.
pub(super) fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

// === impl Gist ===

impl Gist {
    /// Parsed here, independently of the code that writes the log.
    fn of_stream(body: &[u8]) -> Self {
        let mut gist = Self::default();
        for event in String::from_utf8_lossy(body).lines().filter_map(|line| line.strip_prefix("data: ")) {
            let chunk: Value = serde_json::from_str(event).unwrap_or_default();
            gist.add(&chunk["choices"][0]["delta"], &chunk);
        }
        gist
    }

    /// Returns the gist of a `chat.completion`.
    pub(super) fn of_whole(answer: &Value) -> Self {
        let mut gist = Self::default();
        gist.add(&answer["choices"][0]["message"], answer);
        gist
    }

    fn add(&mut self, message: &Value, around: &Value) {
        let call = &message["tool_calls"][0]["function"];
        for (known, more) in [
            (&mut self.text, &message["content"]),
            (&mut self.thoughts, &message["reasoning_content"]),
            (&mut self.tool, &call["name"]),
            (&mut self.arguments, &call["arguments"]),
        ] {
            known.push_str(more.as_str().unwrap_or_default());
        }
        if let Some(reason) = around["choices"][0]["finish_reason"].as_str() {
            self.finish_reason = Some(reason.to_owned());
        }
        let tokens = |key: &str| around["usage"][key].as_i64();
        self.tokens = tokens("prompt_tokens").zip(tokens("completion_tokens")).or(self.tokens);
    }
}
