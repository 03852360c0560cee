//! One script plays in all three grammars, with the same faults, gates and log.

use serde_json::{Value, json};
use signalbox_fakes::{
    End, FakeProvider, Script, Turn,
    script::{Coding, FaultKind},
};

use crate::client::{Answer, Client};

const ALL: [Api; 3] = [Api::Chat, Api::Messages, Api::Responses];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Chat,
    Messages,
    Responses,
}

// === impl Api ===

impl Api {
    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    fn body(self, model: &str, stream: bool) -> Value {
        let messages = json!([{"role": "user", "content": "one two three"}]);
        match self {
            Self::Chat => json!({"model": model, "stream": stream, "messages": messages}),
            Self::Messages => json!({"model": model, "stream": stream, "max_tokens": 9, "messages": messages}),
            Self::Responses => json!({"model": model, "stream": stream, "input": messages}),
        }
    }

    async fn send(self, fake: &FakeProvider, headers: &str, body: &Value) -> Client {
        let mut client = Client::connect(fake).await;
        let version = if self == Self::Messages { "anthropic-version: 2023-06-01\r\n" } else { "" };
        client.post_with(self.path(), &format!("{version}{headers}"), &body.to_string()).await;
        client
    }

    async fn ask(self, fake: &FakeProvider, model: &str, stream: bool) -> Answer {
        self.send(fake, "", &self.body(model, stream)).await.answer().await
    }

    /// Returns the text of a whole answer.
    fn text(self, answer: &Value) -> &str {
        let text = match self {
            Self::Chat => &answer["choices"][0]["message"]["content"],
            Self::Messages => &answer["content"][0]["text"],
            Self::Responses => &answer["output"][0]["content"][0]["text"],
        };
        text.as_str().unwrap_or_default()
    }

    /// Returns whether a stream has its terminal event.
    fn ends(self, text: &str) -> bool {
        text.contains(match self {
            Self::Chat => "data: [DONE]",
            Self::Messages => "event: message_stop",
            Self::Responses => "event: response.completed",
        })
    }

    fn has_error(self, text: &str) -> bool {
        text.contains(match self {
            Self::Chat => r#"data: {"error""#,
            Self::Messages => "event: error\n",
            Self::Responses => "event: response.failed\n",
        })
    }
}

#[tokio::test]
async fn one_script_plays_in_all_grammars() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script("m", Script::first(3, Turn::error(503)).then(Turn::says("up again")));
    for api in ALL {
        assert_eq!(api.ask(&fake, "m", false).await.status(), 503, "{api:?}");
    }
    for api in ALL {
        let answer = api.ask(&fake, "m", false).await.json();
        assert_eq!(api.text(&answer), "up again", "{api:?}");
    }
}

#[tokio::test]
async fn streams_break_after_any_event() {
    let fake = FakeProvider::start().await.unwrap();
    for api in ALL {
        let usual = api.ask(&fake, "m", true).await;
        assert!(usual.whole && api.ends(&usual.text()), "{api:?}");
        for after in 0..usual.chunks.len() {
            let after_events = u64::try_from(after).unwrap();
            fake.script("broken", Turn::echo().after(after_events, FaultKind::Close));
            let answer = api.ask(&fake, "broken", true).await;
            assert_eq!((answer.chunks.len(), answer.whole, api.ends(&answer.text())), (after, false, false), "{api:?}");
            fake.script("ending", Turn::echo().after(after_events, FaultKind::End));
            let answer = api.ask(&fake, "ending", true).await;
            assert_eq!((answer.chunks.len(), answer.whole, api.ends(&answer.text())), (after, true, false), "{api:?}");
            fake.script("failing", Turn::echo().after(after_events, FaultKind::ErrorEvent));
            let answer = api.ask(&fake, "failing", true).await;
            let text = answer.text();
            assert_eq!((answer.chunks.len(), answer.whole), (after + 1, true), "{api:?}");
            assert!(api.has_error(&text) && !api.ends(&text), "{api:?} {after}: {text}");
        }
        let answer = api.ask(&fake, "fake-nodone", true).await;
        assert!(answer.whole && !api.ends(&answer.text()), "{api:?}");
        assert_eq!(api.text(&api.ask(&fake, "fake-end-2", false).await.json()), "one two three", "{api:?}");
        assert!(api.ask(&fake, "fake-error", false).await.json()["error"].is_object(), "{api:?}");
    }
}

#[tokio::test]
async fn gates_and_the_log_work_in_all_grammars() {
    let fake = FakeProvider::start().await.unwrap();
    for api in ALL {
        let model = format!("{api:?}");
        let gate = fake.script(model.clone(), Turn::echo().gated());
        gate.release(2);
        let body = api.body(&model, true);
        let mut client = api.send(&fake, "x-mark: 7\r\n", &body).await;
        client.head().await;
        for _ in 0..2 {
            client.chunk().await.unwrap();
        }
        drop(client);
        fake.until(|fake| fake.calls_of(&model)[0].end() == Some(End::ClientLeft)).await;
        let call = &fake.calls_of(&model)[0];
        assert_eq!((call.events_sent, call.path.as_str(), call.header("x-mark")), (2, api.path(), Some("7")));
        assert_eq!(call.body, body.to_string());
    }
}

#[tokio::test]
async fn delivery_changes_no_byte_of_the_events() {
    let fake = FakeProvider::start().await.unwrap();
    // The ids of an answer depend on the number of its request.
    let first = async |api: Api, turn: Turn| {
        let fake = FakeProvider::start().await.unwrap();
        fake.script("m", turn);
        api.ask(&fake, "m", true).await
    };
    for api in ALL {
        let usual = first(api, Turn::echo()).await.text();
        for turn in [Turn::echo().join(usize::MAX), Turn::echo().split(7), Turn::echo().join(3).split(100)] {
            assert_eq!(first(api, turn).await.text(), usual, "{api:?}");
        }
        let crlf = api.ask(&fake, "fake-crlf", true).await.text();
        assert!(crlf.ends_with("\r\n\r\n") && crlf.replace("\r\n", "").find('\n').is_none(), "{api:?}");
        assert!(api.ask(&fake, "fake-comments", true).await.text().contains(": keep-alive\n\n"), "{api:?}");
        assert!(api.ask(&fake, "fake-unknown", true).await.text().contains("event: x-progress\n"), "{api:?}");
        fake.script("gzip", Turn::echo().coded(Coding::Gzip));
        assert!(api.ask(&fake, "gzip", true).await.head.contains("\r\ncontent-encoding: gzip\r\n"), "{api:?}");
    }
}

#[tokio::test]
async fn errors_are_those_of_the_vendor() {
    let fake = FakeProvider::start().await.unwrap();
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (429, "rate_limit_error"),
        (529, "overloaded_error"),
    ] {
        for api in ALL {
            let answer = api.ask(&fake, &format!("fake-{status}"), true).await;
            assert_eq!(answer.status(), status);
            assert_eq!(answer.head.contains("\r\nretry-after: 2\r\n"), status == 429, "{api:?}");
            let error = answer.json();
            assert!(error["error"]["message"].is_string(), "{api:?}: {error}");
            let anthropic = api == Api::Messages;
            assert_eq!((error["type"] == "error", error["request_id"].is_string()), (anthropic, anthropic));
            assert!(!anthropic || error["error"]["type"] == kind, "{error}");
        }
    }
}

#[tokio::test]
async fn a_flaky_model_refuses_its_first_call() {
    let fake = FakeProvider::start().await.unwrap();
    for api in ALL {
        let model = format!("vendor/fake-flaky-{api:?}");
        let answer = api.ask(&fake, &model, true).await;
        assert!(answer.status() == 429 && answer.head.contains("\r\nretry-after: 1\r\n"), "{}", answer.head);
        assert_eq!(api.ask(&fake, &model, true).await.status(), 200);
    }
}

#[tokio::test]
async fn a_required_key_is_checked() {
    let fake = FakeProvider::start().await.unwrap();
    fake.require_key(Some("sk-1"));
    for api in ALL {
        let body = api.body("m", false);
        for (headers, admitted) in [
            ("", false),
            ("authorization: Bearer sk-2\r\n", false),
            ("authorization: Bearer sk-1\r\n", true),
            ("x-api-key: sk-1\r\n", api == Api::Messages),
        ] {
            let status = api.send(&fake, headers, &body).await.answer().await.status();
            assert_eq!(status, if admitted { 200 } else { 401 }, "{api:?} {headers}");
        }
    }
    fake.require_key(None);
    assert_eq!(Api::Messages.ask(&fake, "m", false).await.status(), 200);
}

#[tokio::test]
async fn a_forced_call_gets_the_scripted_json() {
    let fake = FakeProvider::start().await.unwrap();
    let parameters = json!({"type": "object"});
    for (api, tool, choice) in [
        (Api::Chat, json!({"type": "function", "function": {"name": "f"}}), json!("required")),
        (Api::Messages, json!({"name": "f", "input_schema": parameters}), json!({"type": "any"})),
        (Api::Responses, json!({"type": "function", "name": "f"}), json!({"type": "function", "name": "f"})),
    ] {
        let mut body = api.body("fake-json", false);
        body["tools"] = json!([tool]);
        body["tool_choice"] = choice;
        let answer = api.send(&fake, "", &body).await.answer().await.text();
        assert!(answer.contains(r#""name":"f""#) && answer.contains("Oslo"), "{api:?}: {answer}");
    }
}
