//! A running gateway with a fake provider, as used by most tests.

use serde_json::{Value, json};
use signalbox_fakes::FakeProvider;
use signalbox_harness::{Answer, Client, Launch, Stack, eventually};

/// The path used by most tests.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// The three services with a fake provider named `fake`: its model `m` is requested as `fake/m`.
pub(crate) struct Gateway {
    pub(crate) stack: Stack,
    pub(crate) router: Client,
    pub(crate) fake: FakeProvider,
}

// === impl Gateway ===

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::launch(Launch::default()).await
    }

    pub(crate) async fn launch(launch: Launch) -> Self {
        Self::of("openai", launch).await
    }

    /// Starts a gateway whose provider has the type `kind`.
    pub(crate) async fn of(kind: &str, launch: Launch) -> Self {
        let fake = FakeProvider::start().await.unwrap();
        let stack = Stack::builder().launch(launch).start().await;
        stack.add_provider_of(kind, "fake", &fake.url()).await;
        let router = stack.router().await;
        Self { stack, router, fake }
    }

    /// Creates a key with these fields, and returns a client that has it, once the router knows the key. Without any
    /// key, the router is open for every client.
    pub(crate) async fn client_with_key(&self, grant: &Value) -> Client {
        let made = self.stack.api.post("/api/keys", grant).await.expect(201).json();
        let client = self.router.with_key(Some(&*made["key"].as_str().unwrap().to_owned().leak()));
        let status = async |client: &Client| client.get("/v1/models").await.status;
        let is_known = async || (status(&self.router).await == 401 && status(&client).await == 200).then_some(());
        eventually("the key", is_known).await;
        client
    }

    /// Requests a whole answer from a model.
    pub(crate) async fn ask(&self, model: &str) -> Answer {
        self.router.post(CHAT, &chat(model, false)).await
    }
}

/// Returns a chat request with the user message `one two three`.
pub(crate) fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "one two three"}]})
}

/// Returns a chat request whose stream has token counts, so that the router passes every event of it.
pub(crate) fn counted_chat(model: &str) -> Value {
    let mut body = chat(model, true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// Asserts that an answer is an error in OpenAI's format and returns its `error`.
#[track_caller]
pub(crate) fn error_of(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.header("content-type").starts_with("application/json"), "{:?}", answer.headers);
    assert!(answer.complete, "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", answer.text());
    assert!(error["type"].is_string(), "{}", answer.text());
    let fields = error.as_object().unwrap();
    assert!(fields.contains_key("param") && fields.contains_key("code"), "{}", answer.text());
    error
}

/// Returns the id of a request in the log.
#[track_caller]
pub(crate) fn request_id(answer: &Answer) -> String {
    let id = answer.header("x-request-id");
    assert!(!id.is_empty(), "an answer without x-request-id: {:?}", answer.headers);
    id.to_owned()
}

/// Returns the number of requests in the log, of any status.
pub(crate) async fn logged(stack: &Stack) -> u64 {
    stack.api.get("/api/requests").await.expect(200).json()["total"].as_u64().unwrap()
}

/// Returns the text of the first choice of a recorded answer.
#[track_caller]
pub(crate) fn recorded_text(row: &Value) -> String {
    let answer = &row["response"]["openai_response"];
    // The API may return the answer as JSON or as its text.
    let parsed = answer.as_str().map(|text| serde_json::from_str(text).unwrap());
    let answer = parsed.as_ref().unwrap_or(answer);
    let text = answer["choices"][0]["message"]["content"].as_str();
    assert!(text.is_some(), "no text in {row}");
    text.unwrap_or_default().to_owned()
}
