//! The fake of chat.qwen.ai enforces the rules of the site.

use serde_json::{Value, json};
use signalbox_fakes::{
    End, FakeQwen,
    qwen::{Endpoint, Reply, Turn, trouble},
    script::FaultKind,
};

use crate::client::{Answer, Client};

const BROWSER: &str = "user-agent: Mozilla/5.0 (X11)\r\ncookie: token=a; x-ap=b\r\nbx-umidtoken: T2gA\r\n";

/// A client of the site that continues one chat.
struct Visitor<'a> {
    fake: &'a FakeQwen,
    headers: &'static str,
    chat: String,
    parent: Value,
}

impl<'a> Visitor<'a> {
    async fn new(fake: &'a FakeQwen) -> Self {
        let mut visitor = Self { fake, headers: BROWSER, chat: String::new(), parent: Value::Null };
        visitor.chat = visitor.new_chat("qwen3-max").await["data"]["id"].as_str().unwrap().to_owned();
        visitor
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let mut client = self.send(path, body).await;
        client.answer().await
    }

    async fn send(&self, path: &str, body: &Value) -> Client {
        let mut client = Client::connect_to(self.fake.addr()).await;
        let (body, headers) = (body.to_string(), self.headers);
        let len = body.len();
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len}\r\n\r\n{body}");
        client.send(request.as_bytes()).await;
        client
    }

    async fn new_chat(&self, model: &str) -> Value {
        let body = json!({
            "title": "API Chat", "models": [model], "chat_mode": "guest", "chat_type": "t2t",
            "timestamp": 1_763_700_000_000_u64,
        });
        serde_json::from_slice(&self.post("/api/v2/chats/new", &body).await.body()).unwrap_or_default()
    }

    fn body(&self, model: &str, system: Option<&str>, user: &str) -> Value {
        let message = |role: &str, content: &str| {
            json!({
                "fid": "0199a3f0-0000-7000-8000-000000000001", "parentId": self.parent, "parent_id": self.parent,
                "childrenIds": [], "role": role, "content": content, "user_action": "chat", "files": [],
                "timestamp": 1_763_700_000, "models": [model], "chat_type": "t2t", "sub_chat_type": "t2t",
                "feature_config": {"thinking_enabled": false, "output_schema": "phase"},
                "extra": {"meta": {"subChatType": "t2t"}},
            })
        };
        let messages: Vec<Value> =
            system.map(|text| message("system", text)).into_iter().chain([message("user", user)]).collect();
        json!({
            "stream": true, "incremental_output": true, "chat_id": self.chat, "chat_mode": "guest", "model": model,
            "parent_id": self.parent, "timestamp": 1_763_700_000, "messages": messages,
        })
    }

    fn path(&self) -> String {
        format!("/api/v2/chat/completions?chat_id={}", self.chat)
    }

    async fn ask(&self, model: &str, user: &str) -> Answer {
        self.post(&self.path(), &self.body(model, None, user)).await
    }

    /// Sends a turn, makes its answer the parent of the next turn, and returns the text of the answer.
    async fn say(&mut self, system: Option<&str>, user: &str) -> String {
        let events = events(&self.post(&self.path(), &self.body("qwen3-max", system, user)).await);
        self.parent = events[0]["response.created"]["parent_id"].clone();
        text(&events)
    }
}

fn events(answer: &Answer) -> Vec<Value> {
    let data = answer.text();
    data.split("\n\n").filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok()).collect()
}

fn text(events: &[Value]) -> String {
    let deltas = events.iter().map(|event| &event["choices"][0]["delta"]);
    deltas.filter(|delta| delta["phase"] == "answer").filter_map(|delta| delta["content"].as_str()).collect()
}

fn details(answer: &Answer) -> String {
    assert!(answer.head.starts_with("HTTP/1.1 200 "), "{}", answer.head);
    let body: Value = serde_json::from_slice(&answer.body()).unwrap();
    assert_eq!(body["success"], false);
    body["data"]["details"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_chat_remembers_only_its_own_chain() {
    let fake = FakeQwen::start().await.unwrap();
    let (mut one, mut two) = (Visitor::new(&fake).await, Visitor::new(&fake).await);
    assert_eq!(one.say(Some("Be kind."), "remember n=7").await, "noted n");
    assert_eq!(two.say(Some("Be kind."), "remember n=8").await, "noted n");
    assert_eq!(one.say(None, "hello").await, "hello");
    assert_eq!((one.say(None, "recall n").await, two.say(None, "recall n").await), ("7".into(), "8".into()));
    one.parent = Value::Null;
    assert_eq!(one.say(None, "recall n").await, "n is unknown");
    assert_eq!(fake.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_message_id_is_a_parent_without_memory_and_an_unknown_id_is_rejected() {
    let fake = FakeQwen::start().await.unwrap();
    let mut visitor = Visitor::new(&fake).await;
    let answer = events(&visitor.ask("qwen3-max", "remember n=7").await);
    visitor.parent = answer[0]["response.created"]["response_id"].clone();
    assert_eq!(visitor.say(None, "recall n").await, "n is unknown");
    visitor.parent = json!("root");
    let refused = details(&visitor.ask("qwen3-max", "recall n").await);
    assert_eq!(refused, "Invalid input chat parent_id root is not exist.");
    fake.forget_chats();
    assert!(details(&visitor.ask("qwen3-max", "recall n").await).contains("is not exist"));
}

#[tokio::test]
async fn a_late_system_message_gets_an_empty_answer() {
    let fake = FakeQwen::start().await.unwrap();
    let mut visitor = Visitor::new(&fake).await;
    assert_eq!(visitor.say(Some("Be kind."), "one").await, "one");
    let mut body = visitor.body("qwen3-max", Some("Be kind."), "two");
    for name in ["parentId", "parent_id"] {
        body["messages"][0][name] = Value::Null;
    }
    assert_eq!(text(&events(&visitor.post(&visitor.path(), &body).await)), "");
    assert_eq!(fake.complaints(), ["a system message was sent after the first turn"]);
}

#[tokio::test]
async fn without_a_stream_the_answer_has_no_usage() {
    let fake = FakeQwen::start().await.unwrap();
    let visitor = Visitor::new(&fake).await;
    let mut body = visitor.body("qwen3-max", None, "hello");
    body["stream"] = json!(false);
    let answer: Value = serde_json::from_slice(&visitor.post(&visitor.path(), &body).await.body()).unwrap();
    assert_eq!(answer["data"]["choices"][0]["message"]["content"], "hello");
    assert!(answer["data"]["parent_id"].is_string() && answer.get("usage").is_none());
}

#[tokio::test]
async fn non_browsers_get_a_page_and_invalid_requests_a_reason() {
    let fake = FakeQwen::start().await.unwrap();
    let mut visitor = Visitor::new(&fake).await;
    let mut wrong = visitor.body("qwen3-max", None, "hello");
    wrong["timestamp"] = json!(1_763_700_000_000_u64);
    assert_eq!(details(&visitor.post(&visitor.path(), &wrong).await), "timestamp must be unix seconds");
    assert_eq!(fake.complaints().len(), 1);
    let long = visitor.ask("qwen3-max", &"x".repeat(130 << 10)).await;
    visitor.headers = "user-agent: curl/8\r\n";
    for answer in [long, visitor.ask("qwen3-max", "hello").await] {
        assert!(answer.head.starts_with("HTTP/1.1 200 ") && answer.text().starts_with("<!doctype"), "{}", answer.head);
    }
}

#[tokio::test]
async fn a_new_login_invalidates_the_old_one() {
    let fake = FakeQwen::start().await.unwrap();
    let mut visitor = Visitor::new(&fake).await;
    fake.accept_only("another");
    assert!(visitor.ask("qwen3-max", "hello").await.head.starts_with("HTTP/1.1 401 "));
    visitor.headers = "user-agent: Mozilla/5.0\r\ncookie: token=b\r\nbx-umidtoken: another\r\n";
    assert_eq!(visitor.say(None, "hello").await, "hello");
}

#[tokio::test]
async fn scripts_and_model_names_select_failures() {
    let fake = FakeQwen::start().await.unwrap();
    let visitor = Visitor::new(&fake).await;
    let named = visitor.ask("fake-captcha", "hello").await;
    assert!(named.text().contains("FAIL_SYS_USER_VALIDATE"));
    assert_eq!(visitor.new_chat("fake-new-refused").await["success"], false);
    assert_eq!(visitor.new_chat("fake-captcha").await["success"], true);
    fake.script(Endpoint::Completion, trouble::too_many(Some(3)));
    let answer = visitor.ask("fake-captcha", "hello").await;
    assert!(answer.head.starts_with("HTTP/1.1 429 ") && answer.head.contains("\r\nretry-after: 3\r\n"));
    fake.script(Endpoint::Completion, Reply::says("as told"));
    assert_eq!(text(&events(&visitor.ask("qwen3-max", "hello").await)), "as told");
    let calls = fake.calls_of(Endpoint::NewChat);
    assert_eq!((calls.len(), calls[1].model.as_str()), (3, "fake-new-refused"));
}

#[tokio::test]
async fn streams_break_stall_and_end_early() {
    let fake = FakeQwen::start().await.unwrap();
    let visitor = Visitor::new(&fake).await;
    let reset = Turn::default().after(2, FaultKind::Reset);
    fake.script(Endpoint::Completion, reset);
    let answer = visitor.ask("qwen3-max", "one two three").await;
    assert_eq!((events(&answer).len(), answer.whole), (2, false));
    for (turn, last) in [(trouble::unfinished(), "typing"), (Turn::default(), "finished")] {
        fake.script(Endpoint::Completion, turn);
        let answer = visitor.ask("qwen3-max", "one").await;
        assert!(answer.whole);
        assert_eq!(events(&answer).last().unwrap()["choices"][0]["delta"]["status"], last);
    }
    let gate = fake.script(Endpoint::Completion, Turn::default().gated());
    gate.release(2);
    let mut client = visitor.send(&visitor.path(), &visitor.body("qwen3-max", None, "one two")).await;
    client.head().await;
    for _ in 0..2 {
        client.chunk().await.unwrap();
    }
    drop(client);
    fake.until(|fake| fake.calls().last().unwrap().end() == Some(End::ClientLeft)).await;
    assert_eq!(fake.calls().last().unwrap().events_sent, 2);
}

#[tokio::test]
async fn every_control_route_works_over_http() {
    let fake = FakeQwen::start().await.unwrap();
    let visitor = Visitor::new(&fake).await;
    let script = json!({"call": "completion", "script": {"turns": [
        {"body": {"chat": {"text": "first", "pieces": 1}}}, {"status": 503, "body": {"raw": {"content_type": null, "body": ""}}},
    ]}});
    assert_eq!(visitor.post("/_fake/script", &script).await.text(), r#"{"ok":true}"#);
    assert_eq!(text(&events(&visitor.ask("qwen3-max", "hello").await)), "first");
    assert!(visitor.ask("qwen3-max", "hello").await.head.starts_with("HTTP/1.1 503 "));
    assert!(visitor.post("/_fake/token", &json!({"token": 1})).await.head.starts_with("HTTP/1.1 400 "));
    assert_eq!(visitor.post("/_fake/token", &json!({"token": "x"})).await.text(), r#"{"ok":true}"#);
    assert!(visitor.ask("qwen3-max", "hello").await.head.starts_with("HTTP/1.1 401 "));
    assert_eq!(visitor.post("/_fake/token", &json!({"token": null})).await.text(), r#"{"ok":true}"#);
    assert_eq!(visitor.post("/_fake/forget", &json!({})).await.text(), r#"{"ok":true}"#);
    let mistaken = json!({"call": "completion", "script": {"turns": [{"body": {"chat": {"says": "x"}}}]}});
    let answer = visitor.post("/_fake/script", &mistaken).await;
    assert!(answer.head.starts_with("HTTP/1.1 400 ") && answer.text().contains("says"), "{}", answer.text());
}

#[tokio::test]
async fn models_are_listed_for_browsers() {
    let fake = FakeQwen::start().await.unwrap();
    let mut client = Client::connect_to(fake.addr()).await;
    client.send(format!("GET /api/models HTTP/1.1\r\nhost: x\r\n{BROWSER}\r\n").as_bytes()).await;
    let models: Value = serde_json::from_slice(&client.answer().await.body()).unwrap();
    let ids: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["qwen3-max", "qwen3-coder-plus", "qwen3-vl-plus", "qwen-retired"]);
    assert_eq!(models["data"][0]["info"]["meta"]["max_context_length"], 262_144);
    client.send(b"GET /api/v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.answer().await.head.starts_with("HTTP/1.1 404 "));
}
