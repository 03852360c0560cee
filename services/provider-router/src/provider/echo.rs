//! Built-in provider that repeats the last user message, to test the whole path without an API key.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use signalbox_core::openai::{
    AssistantMessage, ChatRequest, Choice, Chunk, ChunkChoice, Completion, DONE_EVENT, Delta, Usage,
};
use tokio::time::{Duration, Instant, Sleep};

use super::{Config, millis};

/// Default delay between two words: slow enough to see the streaming, and fast enough not to be a nuisance.
const DEFAULT_DELAY: Duration = Duration::from_millis(30);
/// Response to a message without text.
const NO_TEXT_ANSWER: &str = "(the last message has no text)";

/// The echo provider.
#[derive(Debug)]
pub struct Echo {
    delay: Duration,
}

/// A streamed response: the remaining events, and the timer of the next one.
#[derive(Debug)]
pub struct EchoBody {
    events: VecDeque<Bytes>,
    delay: Duration,
    due: Pin<Box<Sleep>>,
}

impl Echo {
    /// Reads `delay`, the milliseconds between two words.
    ///
    /// # Errors
    /// Returns a message for the user if the value is invalid.
    pub fn new(config: &Config) -> Result<Self, String> {
        Ok(Self { delay: millis(config, "delay")?.unwrap_or(DEFAULT_DELAY) })
    }

    /// Returns the whole response as a `chat.completion`; `created` is in Unix seconds.
    #[must_use]
    pub fn completion(&self, id: &str, model: &str, created: i64, body: &[u8]) -> Bytes {
        let (text, usage) = answer(body);
        let message = AssistantMessage { role: "assistant".into(), content: Some(text), ..AssistantMessage::default() };
        let completion = Completion {
            id: format!("chatcmpl-{id}"),
            object: "chat.completion".into(),
            created,
            model: model.into(),
            choices: vec![Choice { index: 0, message, finish_reason: Some("stop".into()) }],
            usage: Some(usage),
        };
        // Serialising strings and numbers cannot fail.
        serde_json::to_vec(&completion).unwrap_or_default().into()
    }

    /// Returns the same response as a stream, word by word.
    #[must_use]
    pub fn stream(&self, id: &str, model: &str, created: i64, body: &[u8], include_usage: bool) -> EchoBody {
        let (text, usage) = answer(body);
        let chunk = |choices, usage| Chunk {
            id: format!("chatcmpl-{id}"),
            object: "chat.completion.chunk".into(),
            created,
            model: model.into(),
            choices,
            usage,
            error: None,
        };
        let piece = |delta, finish_reason: Option<&str>| {
            vec![ChunkChoice { index: 0, delta, finish_reason: finish_reason.map(Into::into) }]
        };
        let role = Delta { role: Some("assistant".into()), content: Some(String::new()), ..Delta::default() };
        let words = text.split_inclusive(char::is_whitespace);
        let words = words.map(|word| piece(Delta { content: Some(word.into()), ..Delta::default() }, None));
        let mut chunks = vec![chunk(piece(role, None), None)];
        chunks.extend(words.map(|choices| chunk(choices, None)));
        chunks.push(chunk(piece(Delta::default(), Some("stop")), None));
        if include_usage {
            chunks.push(chunk(Vec::new(), Some(usage)));
        }
        let event = |chunk: &Chunk| format!("data: {}\n\n", serde_json::to_string(chunk).unwrap_or_default()).into();
        let mut events: VecDeque<Bytes> = chunks.iter().map(event).collect();
        events.push_back(DONE_EVENT.into());
        EchoBody { events, delay: self.delay, due: Box::pin(tokio::time::sleep(Duration::ZERO)) }
    }
}

impl EchoBody {
    /// Polls for the next event, which is ready once it is due; `None` after the last one.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.events.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.due.as_mut().poll(cx));
        let next = Instant::now() + self.delay;
        self.due.as_mut().reset(next);
        Poll::Ready(self.events.pop_front())
    }
}

/// Returns the text of the response, and a usage that counts words instead of tokens.
fn answer(body: &[u8]) -> (String, Usage) {
    let chat: ChatRequest = serde_json::from_slice(body).unwrap_or_default();
    let text = chat.last_text("user").filter(|text| !text.trim().is_empty()).unwrap_or_else(|| NO_TEXT_ANSWER.into());
    let count = |text: &str| i64::try_from(text.split_whitespace().count()).unwrap_or(i64::MAX);
    let prompt_tokens = chat.messages.iter().map(|message| count(&message.text())).sum();
    let completion_tokens = count(&text);
    (text, Usage::new(prompt_tokens, completion_tokens))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use signalbox_core::openai::{fold_completion, fold_stream};

    use super::*;

    const BODY: &[u8] = br#"{"model":"echo","stream_options":{"include_usage":true},"messages":[{"role":"user","content":"one  two\nthree"}]}"#;

    #[tokio::test(start_paused = true)]
    async fn streams_the_exact_message_word_by_word() {
        let echo = Echo::new(&Config::new()).unwrap();
        let mut body = echo.stream("1", "echo", 5, BODY, true);
        let (mut raw, mut events, started) = (Vec::new(), 0, Instant::now());
        while let Some(event) = poll_fn(|cx| body.poll_event(cx)).await {
            raw.extend_from_slice(&event);
            events += 1;
        }
        let answer = fold_stream(&raw.into());
        assert_eq!((answer.text.as_str(), answer.done), ("one  two\nthree", true));
        assert_eq!(answer.usage.unwrap(), Usage::new(3, 3));
        assert_eq!((events, started.elapsed()), (8, DEFAULT_DELAY * 7));
    }

    #[test]
    fn answers_immediately_without_streaming() {
        let whole = Echo::new(&Config::new()).unwrap().completion("1", "echo", 5, BODY);
        assert_eq!(fold_completion(&whole).unwrap().text, "one  two\nthree");
    }

    #[test]
    fn an_empty_message_is_answered() {
        assert_eq!(answer(br#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#).0, NO_TEXT_ANSWER);
    }
}
