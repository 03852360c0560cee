//! A client that asks without a pause, and keeps only what it saw complete.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};
use signalbox_harness::{Answer, Client};
use tokio::sync::mpsc;

use crate::{dice::Dice, gateway::CHAT};

/// An answer of which a client has the end.
#[derive(Debug)]
pub(super) struct Seen {
    /// `x-request-id`.
    pub(super) id: String,
    pub(super) stream: bool,
    /// Of the bytes of the request.
    pub(super) request: u64,
    /// Of the [`Gist`] of a stream, and of the bytes of a whole answer.
    pub(super) answer: u64,
}

/// What a chat answer says, in whatever way it came.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Gist {
    text: String,
    thoughts: String,
    tool: String,
    arguments: String,
    pub(super) finish_reason: Option<String>,
    /// Of the prompt, and of the answer.
    pub(super) tokens: Option<(i64, i64)>,
}

/// Asks until the router is gone, or nobody takes the answers any more.
pub(super) struct Asker {
    router: Client,
    dice: Dice,
    complete: mpsc::Sender<Seen>,
    /// The conversation so far, which goes with every request.
    messages: Vec<Value>,
}

/// What is asked for: answers of a word and of many journal records, quick ones and slow ones.
/// `fake-idleclose` closes a reused connection as if its idle timeout had expired just then.
const MODELS: [&str; 8] =
    ["m", "m", "fake-tool", "fake-reasoning", "fake-usage", "fake-8x2", "fake-cut-40", "fake-idleclose"];
/// Words of a prompt, which the model `m` says again.
const LENGTHS: [usize; 8] = [1, 1, 10, 10, 100, 100, 1000, 4000];

/// Messages of a conversation before it is over.
const TURNS: usize = 8;

/// A stream that stays open: only the death of the router ends it.
pub(super) const STALLED: &str = "fake-stall-3";

// === impl Asker ===

impl Asker {
    pub(super) fn new(router: Client, dice: Dice, complete: mpsc::Sender<Seen>) -> Self {
        Self { router, dice, complete, messages: Vec::new() }
    }

    /// Asks for this and that. The number of requests that were sent.
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

    /// Asks once, and waits. The number of requests that were sent.
    pub(super) async fn ask_for_an_end_that_never_comes(self) -> usize {
        let messages = json!([{"role": "user", "content": "one two three"}]);
        let request = json!({"model": format!("fake/{STALLED}"), "stream": true, "messages": messages}).to_string();
        let answer = self.send(&request).await;
        let seen = answer.and_then(|answer| Seen::of(&request, &answer, true));
        assert!(seen.is_none(), "an answer that has no end ended");
        1
    }

    /// The next turn of a conversation, or the first of another.
    fn request(&mut self, stream: bool) -> String {
        let model = format!("fake/{}", self.dice.pick(&MODELS));
        let words: Vec<String> =
            (0..*self.dice.pick(&LENGTHS)).map(|_| self.dice.below(1_000_000).to_string()).collect();
        if self.messages.len() > TURNS || self.dice.below(4) == 0 {
            self.messages.clear();
        } else if !self.messages.is_empty() {
            self.messages.push(json!({"role": "assistant", "content": "so be it"}));
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
    /// `None` when the end is missing.
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

/// As a client notes it, and as it is computed of a row.
pub(super) fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

// === impl Gist ===

impl Gist {
    /// Put together here, and not by the code that the log is made with.
    fn of_stream(body: &[u8]) -> Self {
        let mut gist = Self::default();
        for event in String::from_utf8_lossy(body).lines().filter_map(|line| line.strip_prefix("data: ")) {
            let chunk: Value = serde_json::from_str(event).unwrap_or_default();
            gist.add(&chunk["choices"][0]["delta"], &chunk);
        }
        gist
    }

    /// Of a `chat.completion`.
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
