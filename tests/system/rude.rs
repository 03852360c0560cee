//! Providers with unusual formats: however an answer is cut, joined, encoded or formatted, the client gets all of it,
//! and the log has what the client got.
//!
//! The client's view is parsed here by a strict parser that shares no code with the log's.

mod apis;

use serde_json::{Value, json};
use signalbox_fakes::{
    Turn,
    script::{Coding, Dialect, Usage},
};
use signalbox_harness::Client;

use crate::gateway::{CHAT, Gateway, chat, counted_chat};

/// Returns different deliveries of the same answer.
pub(crate) fn deliveries(turn: &Turn) -> Vec<(String, Turn)> {
    let mut ways = vec![("politely".to_owned(), turn.clone()), ("joined".into(), turn.clone().join(usize::MAX))];
    ways.extend([2, 3].map(|events| (format!("{events} at once"), turn.clone().join(events))));
    ways.extend(
        [1, 5, 64].map(|bytes| (format!("cut every {bytes} bytes"), turn.clone().join(usize::MAX).split(bytes))),
    );
    ways.extend(
        ["text/plain", "", "application/octet-stream", "application/json"]
            .map(|media_type| (format!("typed {media_type:?}"), turn.clone().typed(media_type))),
    );
    ways.extend(Coding::ALL.map(|coding| (format!("coded {coding:?}"), turn.clone().coded(coding))));
    ways.extend(Coding::ALL.map(|coding| (format!("coded {coding:?} and cut"), turn.clone().coded(coding).split(3))));
    ways
}

/// Returns answers of every kind: text in many scripts, reasoning, tool calls, several choices, with and without
/// `[DONE]`.
fn answers() -> Vec<(&'static str, Turn)> {
    let text = "één, 二 and \u{1F600}; done";
    vec![
        ("text", Turn::says(text)),
        ("usage", Turn::says(text).chat(|chat| chat.usage = Usage::Always)),
        ("no end event", Turn::says(text).chat(|chat| chat.done = false)),
        ("thoughts", Turn::says(text).chat(|chat| chat.reasoning = Some("hm, let me \u{1F914} see".into()))),
        ("call", Turn::calls("read_file", r#"{"path":"a/b.txt","lines":[1,2],"note":"é \u{1F600}"}"#)),
        ("choices", Turn::says(text).chat(|chat| chat.choices = Some(3))),
    ]
}

/// The content of a stream by choice, in the terms of `chat.completion`.
#[derive(Debug, Default, PartialEq)]
struct Said {
    choices: Vec<Choice>,
    /// Tokens of the prompt and of the answer.
    tokens: Option<(u64, u64)>,
}

#[derive(Debug, Default, PartialEq)]
struct Choice {
    text: String,
    thoughts: String,
    /// Names and arguments.
    calls: Vec<(String, String)>,
    finish: Option<String>,
}

impl Said {
    /// Parses every `data:` line of a stream with LF line ends. Panics at unknown content.
    fn in_stream(raw: &[u8]) -> Self {
        let mut said = Self::default();
        for line in std::str::from_utf8(raw).unwrap().lines() {
            let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") else { continue };
            let chunk: Value = serde_json::from_str(data).unwrap();
            said.count(&chunk["usage"]);
            for (place, piece) in chunk["choices"].as_array().into_iter().flatten().enumerate() {
                let index = piece["index"].as_u64().map_or(place, |index| usize::try_from(index).unwrap());
                if said.choices.len() <= index {
                    said.choices.resize_with(index + 1, Choice::default);
                }
                said.choices[index].add(piece);
            }
        }
        said
    }

    /// Parses a `chat.completion`.
    fn in_completion(answer: &Value) -> Self {
        let mut said = Self::default();
        said.count(&answer["usage"]);
        for choice in answer["choices"].as_array().unwrap() {
            let message = &choice["message"];
            let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| {
                let text = |key: &str| call["function"][key].as_str().unwrap().to_owned();
                (text("name"), text("arguments"))
            });
            said.choices.push(Choice {
                text: message["content"].as_str().unwrap_or_default().to_owned(),
                thoughts: message["reasoning_content"].as_str().unwrap_or_default().to_owned(),
                calls: calls.collect(),
                finish: choice["finish_reason"].as_str().map(str::to_owned),
            });
        }
        said
    }

    fn count(&mut self, usage: &Value) {
        let number = |key: &str| match &usage[key] {
            Value::String(text) => text.parse().ok(),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the fake counts words")]
            number => number.as_f64().map(|number| number as u64),
        };
        self.tokens = number("prompt_tokens").zip(number("completion_tokens")).or(self.tokens);
    }
}

impl Choice {
    fn add(&mut self, piece: &Value) {
        let delta = &piece["delta"];
        match &delta["content"] {
            Value::String(text) => self.text.push_str(text),
            Value::Array(parts) => self.text.extend(parts.iter().map(|part| part["text"].as_str().unwrap())),
            _ => {}
        }
        self.thoughts.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            // The fake makes one call per choice.
            if self.calls.is_empty() {
                self.calls.push((function["name"].as_str().unwrap().to_owned(), String::new()));
            }
            self.calls[0].1.push_str(function["arguments"].as_str().unwrap_or_default());
        }
        if let Some(reason) = piece["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
            self.finish = Some(reason.to_owned());
        }
    }
}

/// Returns the recorded answer of a request, and its row.
async fn logged(gateway: &Gateway, id: &str) -> (Value, Value) {
    let row = gateway.stack.recorded(id).await;
    let answer = &row["response"]["openai_response"];
    let parsed = answer.as_str().map(|text| serde_json::from_str(text).unwrap());
    (parsed.unwrap_or_else(|| answer.clone()), row)
}

#[tokio::test]
async fn the_log_equals_the_answer_in_every_dialect() {
    let gateway = Gateway::start().await;
    for (name, turn) in answers() {
        for dialect in Dialect::ALL {
            for (manner, turn) in [turn.clone(), turn.clone().join(usize::MAX), turn.clone().join(usize::MAX).split(5)]
                .map(|turn| turn.chat(|chat| chat.dialect = dialect))
                .into_iter()
                .enumerate()
            {
                let what = format!("{name}, {dialect:?}, delivery {manner}");
                gateway.fake.script("m", turn);
                let events = gateway.router.stream(CHAT, &chat("fake/m", true)).await;
                let id = events.header("x-request-id").to_owned();
                let finished = events.finish().await;
                assert!(finished.complete, "{what}: {}", String::from_utf8_lossy(&finished.raw));
                let (answer, row) = logged(&gateway, &id).await;
                assert_eq!(row["status"], "completed", "{what}: {row}");
                let got = Said::in_stream(&finished.raw);
                assert!(!got.choices.is_empty() && got.choices.iter().all(|choice| choice.finish.is_some()), "{what}");
                assert_eq!(Said::in_completion(&answer), got, "{what}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn the_client_gets_the_same_events_with_any_chunking() {
    let gateway = Gateway::start().await;
    let direct = Client::new(gateway.fake.addr().port());
    for (name, turn) in answers() {
        gateway.fake.script("m", turn.clone());
        let expected = direct.stream(CHAT, &counted_chat("m")).await.finish().await;
        for (manner, turn) in deliveries(&turn) {
            gateway.fake.script("m", turn);
            let relayed = gateway.router.stream(CHAT, &counted_chat("fake/m")).await.finish().await;
            let (text, wanted) = (String::from_utf8_lossy(&relayed.raw), String::from_utf8_lossy(&expected.raw));
            assert!(relayed.complete, "{name}, {manner}: {text}");
            assert_eq!(text, wanted, "{name}, {manner}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_is_the_same_with_any_encoding_and_type() {
    let gateway = Gateway::start().await;
    for (name, turn) in answers() {
        gateway.fake.script("m", turn.clone());
        let expected = gateway.ask("fake/m").await.expect(200).json();
        for (manner, turn) in deliveries(&turn) {
            gateway.fake.script("m", turn);
            let answer = gateway.ask("fake/m").await.expect(200);
            assert_eq!(answer.json(), expected, "{name}, {manner}");
            let (row, _) = logged(&gateway, answer.header("x-request-id")).await;
            assert_eq!(row["choices"], expected["choices"], "{name}, {manner}");
        }
    }
}

#[tokio::test]
async fn requests_on_closed_idle_connections_are_retried() {
    let gateway = Gateway::start().await;
    for stream in [true, false].repeat(4) {
        // A used connection returns to the pool, and the next request finds it closed.
        gateway.ask("fake/fake-echo").await.expect(200);
        let answer = gateway.router.post(CHAT, &chat("fake/fake-idleclose", stream)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.complete && answer.text().contains("three"), "{}", answer.text());
    }
    assert!(gateway.fake.calls_of("fake-idleclose").len() > 8, "no request met a closed connection");
}

#[tokio::test]
async fn errors_of_every_shape_keep_their_message() {
    let gateway = Gateway::start().await;
    let words = "the moon is \"in\" the wrong house";
    let shapes = [
        json!({"error": {"message": words, "type": "server_error", "param": null, "code": null}}),
        json!({"error": {"message": words, "code": 429, "metadata": {"provider_name": "other"}}}),
        json!({"error": words}),
        json!({"object": "error", "message": words, "type": "BadRequestError", "param": null, "code": 400}),
        json!({"detail": words}),
        json!({"detail": [{"loc": ["body", "messages"], "msg": words, "type": "value_error"}]}),
        json!({"code": "Throttling", "message": words, "request_id": "r"}),
        json!({"base_resp": {"status_code": 1002, "status_msg": words}}),
        json!([{"error": {"code": 503, "message": words, "status": "UNAVAILABLE"}}]),
        json!({"error_message": words}),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": words}}),
        json!({"choices": null, "error": {"message": words}}),
        json!({"choices": [], "error": {"message": words}}),
        json!({"choices": [{"index": 0, "finish_reason": "error", "error": {"message": words}}]}),
    ];
    for shape in shapes {
        let event = format!("data: {shape}\n\n");
        let typed = format!("event: error\ndata: {shape}\n\n");
        let turns = [
            (
                "as a whole answer with 500",
                false,
                Turn { status: 500, ..Turn::raw("application/json", shape.to_string()) },
            ),
            ("as a whole answer with 200", false, Turn::raw("application/json", shape.to_string())),
            ("as the first event", true, Turn::raw("text/event-stream", event.clone())),
            (
                "as the first event, then [DONE]",
                true,
                Turn::raw("text/event-stream", format!("{event}data: [DONE]\n\n")),
            ),
            ("as the first event of type error", true, Turn::raw("text/event-stream", typed)),
            (
                "compressed",
                false,
                Turn { status: 500, ..Turn::raw("application/json", shape.to_string()) }.coded(Coding::Gzip),
            ),
        ];
        for (manner, stream, turn) in turns {
            gateway.fake.script("m", turn);
            let answer = gateway.router.post(CHAT, &chat("fake/m", stream)).await;
            assert!(answer.status >= 400, "{shape} {manner}: {} {}", answer.status, answer.text());
            let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
            assert!(message.contains(words), "{shape} {manner}: {}", answer.text());
            let row = gateway.stack.recorded(answer.header("x-request-id")).await;
            assert_eq!(row["status"], "failed", "{shape} {manner}: {row}");
            assert!(row["response"]["error"].as_str().unwrap_or_default().contains(words), "{shape} {manner}: {row}");
        }
    }
}
