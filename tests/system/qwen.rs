//! qwen-proxy alone, with a scriptable fake of chat.qwen.ai.

mod bad_input;
mod conversations;
mod failures;
mod limits;
mod logins;
mod other_routes;
mod routed;
mod rude;
mod streaming;
mod tools;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_core::openai;
use signalbox_fakes::{FakeQwen, qwen::Endpoint};
use signalbox_harness::{Answer, Client, Launch, QwenProxy};
use sqlx::{Connection as _, SqliteConnection};

use crate::gateway::CHAT;

const TOKEN: &str = "T2gAtest0123456789";
const COOKIES: &str = "token=eyJ0ZXN0.eyJ0ZXN0.test0123456789; x-ap=ap-southeast-1";

/// qwen-proxy, the fake site, and a login in the environment.
pub(crate) struct LoneQwen {
    launch: Launch,
    /// `None` between a stop and the next start.
    proxy: Option<QwenProxy>,
    pub(crate) site: FakeQwen,
}

/// The client's state of a conversation: all messages so far.
#[derive(Clone)]
struct Talk {
    model: String,
    messages: Vec<Value>,
    tools: Option<Value>,
}

// === impl LoneQwen ===

impl LoneQwen {
    pub(crate) async fn start() -> Self {
        Self::launch(Self::logged_in()).await
    }

    fn logged_in() -> Launch {
        Launch::default().env("QWEN_TOKEN", TOKEN).env("QWEN_COOKIES", COOKIES)
    }

    /// Starts it with these settings; without a login if they have none.
    async fn launch(launch: Launch) -> Self {
        let site = FakeQwen::start().await.unwrap();
        let url = site.url();
        Self::launch_at(launch, site, &url).await
    }

    /// Starts it with these settings and with another address for the site.
    async fn launch_at(launch: Launch, site: FakeQwen, url: &str) -> Self {
        let launch = launch.env("QWEN_BASE_URL", url);
        let proxy = Some(QwenProxy::start(launch.clone()).await);
        Self { launch, proxy, site }
    }

    pub(crate) fn client(&self) -> Client {
        self.proxy.as_ref().unwrap().client
    }

    /// Stops qwen-proxy with SIGTERM, as a service manager does.
    async fn stop(&mut self) {
        if let Some(mut proxy) = self.proxy.take() {
            proxy.process.signal(Signal::SIGTERM);
            assert!(proxy.process.wait_exit().await.success());
        }
    }

    /// Stops qwen-proxy and starts it again in the same home.
    async fn restart(&mut self) {
        self.stop().await;
        self.proxy = Some(QwenProxy::start(self.launch.clone()).await);
    }

    fn database_url(&self) -> String {
        format!("sqlite://{}", self.launch.home_dir().data().join("signalbox.db").display())
    }

    /// Opens the database, as another process would.
    async fn database(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.database_url()).await.unwrap()
    }

    /// Requests a whole answer.
    async fn ask(&self, model: &str, text: &str) -> Answer {
        self.client().post(CHAT, &request(model, false, text)).await
    }

    /// Returns the number of calls of this kind that the site received.
    fn asked(&self, endpoint: Endpoint) -> usize {
        self.site.calls_of(endpoint).len()
    }

    /// Returns the last user text that the site received.
    fn last_prompt(&self) -> String {
        let call = self.site.calls_of(Endpoint::Completion).pop().unwrap();
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
    }

    /// Asserts that the site recorded no complaints.
    fn is_content(&self) {
        assert_eq!(self.site.complaints(), Vec::<String>::new());
    }
}

// === impl Talk ===

impl Default for Talk {
    fn default() -> Self {
        Self { model: "qwen3-max".into(), messages: Vec::new(), tools: None }
    }
}

impl Talk {
    fn with_tools(tools: Value) -> Self {
        Self { tools: Some(tools), ..Self::default() }
    }

    /// Creates a conversation with this system message.
    fn instructed(system: &str) -> Self {
        Self { messages: vec![json!({"role": "system", "content": system})], ..Self::default() }
    }

    /// Sends a user message and returns the text of the answer, which is added to the conversation.
    async fn say(&mut self, client: Client, stream: bool, text: &str) -> String {
        self.messages.push(json!({"role": "user", "content": text}));
        let message = self.go_on(client, stream).await;
        message["content"].as_str().unwrap().to_owned()
    }

    /// Requests the next message and adds it to the conversation.
    async fn go_on(&mut self, client: Client, stream: bool) -> Value {
        let folded = self.answer(client, stream).await;
        assert!(folded.error.is_none(), "{:?}", folded.error);
        let answer: Value = serde_json::from_str(&folded.json.unwrap()).unwrap();
        let message = answer["choices"][0]["message"].clone();
        let kept = ["role", "content", "tool_calls"].map(|name| (name, message[name].clone()));
        let kept = kept.into_iter().filter(|(_, value)| !value.is_null());
        self.messages.push(kept.map(|(name, value)| (name.to_owned(), value)).collect());
        message
    }

    async fn answer(&self, client: Client, stream: bool) -> openai::FoldedAnswer {
        let mut request = json!({"model": self.model, "stream": stream, "messages": self.messages});
        if let Some(tools) = &self.tools {
            request["tools"] = tools.clone();
        }
        if stream {
            let finished = client.stream(CHAT, &request).await.finish().await;
            assert!(finished.complete);
            return finished.folded;
        }
        openai::fold_completion(&client.post(CHAT, &request).await.expect(200).body).unwrap()
    }
}

fn request(model: &str, stream: bool, text: &str) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]})
}
