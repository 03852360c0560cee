//! The SDKs work with the router, in front of providers of each API, and with qwen-proxy without changes.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::json;
use signalbox_fakes::{End, FakeProvider};
use signalbox_harness::{Launch, within};
use tokio::{
    process::Command,
    time::{Duration, timeout},
};

use crate::{gateway::Gateway, qwen::LoneQwen};

/// Timeout of a script, which makes dozens of requests in sequence and may share its cores with many others.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(300);

/// Returns the directory of the client scripts.
pub(crate) fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Returns whether the requirements of `script` are installed; in CI they are required.
pub(crate) fn is_installed(package: &str, script: &str) -> bool {
    let installed = clients().join(package).exists();
    if !installed {
        assert!(std::env::var_os("CI").is_none(), "tests/clients/{package} is missing; run tests/clients/install");
        let mut out = std::io::stderr().lock();
        writeln!(out, "SKIPPED: the test of {script} needs tests/clients/install").unwrap();
    }
    installed
}

/// Runs one of the client scripts, with a timeout.
async fn run(script: &str, url: &str, arguments: &[&str]) {
    let python = clients().join(".venv/bin/python");
    let program = if script.ends_with(".py") { python.as_path() } else { Path::new("node") };
    let mut command = Command::new(program);
    command.current_dir(clients()).arg(script).arg(url).args(arguments);
    // The developer's own proxy settings must not apply to local requests.
    for name in
        ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NODE_OPTIONS", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let Ok(output) = timeout(SCRIPT_TIMEOUT, command.output()).await else { panic!("{script} hangs") };
    let output = output.unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{said}\n{complained}", output.status);
}

/// The API that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Chat,
    Messages,
    Responses,
}

// === impl Api ===

impl Api {
    /// Starts a gateway whose provider `fake` speaks this API only.
    async fn gateway(self) -> Gateway {
        let kind = match self {
            Self::Chat => "openai-compatible",
            Self::Messages => "anthropic",
            Self::Responses => "openai",
        };
        let gateway = Gateway::of(kind, Launch::default()).await;
        if self == Self::Responses {
            // The type speaks Chat Completions, too.
            let config = json!({"config": {"apis": "responses"}});
            gateway.stack.api.put("/api/providers/fake/config", &config).await.expect(200);
            gateway.router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
        }
        gateway
    }

    /// Returns the path of the provider's endpoints that the router may call.
    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }
}

/// Runs a script in front of a provider that speaks the API `upstream`. `native` says that the script speaks it, too.
async fn through_the_router(client: &str, script: &str, upstream: Api, native: bool) {
    if !is_installed(client, script) {
        return;
    }
    let gateway = upstream.gateway().await;
    let arguments: &[&str] = if native { &["fake/", "native"] } else { &["fake/"] };
    run(script, &format!("{}/v1", gateway.router.url()), arguments).await;
    for call in gateway.fake.calls() {
        let path = call.path.split('?').next().unwrap_or_default();
        assert!(path.starts_with(upstream.path()), "{script} made a call of {path} with {upstream:?}");
    }
    // Streams that the script did not read to their end were cancelled at the provider.
    let left = |fake: &FakeProvider| {
        let endless = fake.calls_of("fake-endless");
        !endless.is_empty() && endless.iter().all(|call| call.end() == Some(End::ClientLeft))
    };
    within("the close of the aborted stream", gateway.fake.until(left)).await;
}

async fn with_qwen(client: &str, script: &str) {
    if !is_installed(client, script) {
        return;
    }
    let lone = LoneQwen::start().await;
    run(script, &format!("{}/v1", lone.client().url()), &[]).await;
    assert_eq!(lone.site.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn the_python_sdk_loops_over_tools_with_qwen() {
    with_qwen(".venv/bin/python", "qwen.py").await;
}

#[tokio::test]
async fn the_node_sdk_loops_over_tools_with_qwen() {
    with_qwen("node_modules/openai", "qwen.mjs").await;
}

#[tokio::test]
async fn the_ai_sdk_loops_over_tools_with_qwen() {
    with_qwen("node_modules/ai", "qwen_ai.mjs").await;
}

/// Defines a test of each script in front of each provider, named `script::provider`.
macro_rules! scripts {
    ($($name:ident: $client:literal, $script:literal, $native:expr;)*) => { $(
        mod $name {
            use super::{Api, through_the_router};

            #[tokio::test]
            async fn in_front_of_chat() {
                through_the_router($client, $script, Api::Chat, $native == Some(Api::Chat)).await;
            }

            #[tokio::test]
            async fn in_front_of_messages() {
                through_the_router($client, $script, Api::Messages, $native == Some(Api::Messages)).await;
            }

            #[tokio::test]
            async fn in_front_of_responses() {
                through_the_router($client, $script, Api::Responses, $native == Some(Api::Responses)).await;
            }
        }
    )* };
}

scripts! {
    openai_for_python: ".venv/bin/python", "chat.py", Some(Api::Chat);
    openai_for_node: "node_modules/openai", "chat.mjs", Some(Api::Chat);
    anthropic_for_python: ".venv/bin/python", "messages.py", Some(Api::Messages);
    anthropic_for_node: "node_modules/@anthropic-ai/sdk", "messages.mjs", Some(Api::Messages);
    responses_for_python: ".venv/bin/python", "responses.py", Some(Api::Responses);
    responses_for_node: "node_modules/openai", "responses.mjs", Some(Api::Responses);
    ai_sdk: "node_modules/@ai-sdk/anthropic", "ai_sdk.mjs", None;
    agents: "node_modules/@openai/agents", "agents.mjs", None;
    langchain: ".venv/bin/python", "langchain_clients.py", None;
    pydantic_ai: ".venv/bin/python", "pydantic_ai_clients.py", None;
}
