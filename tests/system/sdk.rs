//! The official SDKs work with the router and with qwen-proxy without changes.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use signalbox_fakes::End;
use signalbox_harness::within;
use tokio::{
    process::Command,
    time::{Duration, timeout},
};

use crate::{gateway::Gateway, qwen::LoneQwen};

/// Timeout of a script, which makes dozens of requests in sequence.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(120);

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
async fn run(script: &str, url: &str, prefix: &str) {
    let python = clients().join(".venv/bin/python");
    let program = if script.ends_with(".py") { python.as_path() } else { Path::new("node") };
    let mut command = Command::new(program);
    command.current_dir(clients()).arg(script).arg(url).arg(prefix);
    // The developer's own proxy settings must not apply to local requests.
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NODE_OPTIONS", "OPENAI_BASE_URL"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let Ok(output) = timeout(SCRIPT_TIMEOUT, command.output()).await else { panic!("{script} hangs") };
    let output = output.unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{said}\n{complained}", output.status);
}

async fn through_the_router(client: &str, script: &str) {
    if !is_installed(client, script) {
        return;
    }
    let gateway = Gateway::start().await;
    run(script, &format!("{}/v1", gateway.router.url()), "fake/").await;
    // A stream that the script did not read to its end was cancelled at the provider.
    let left = |end: Option<End>| end == Some(End::ClientLeft);
    within("the close of the aborted stream", gateway.fake.until(|fake| left(fake.calls_of("fake-endless")[0].end())))
        .await;
}

async fn with_qwen(client: &str, script: &str) {
    if !is_installed(client, script) {
        return;
    }
    let lone = LoneQwen::start().await;
    run(script, &format!("{}/v1", lone.client().url()), "").await;
    assert_eq!(lone.site.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn the_python_sdk_works_through_the_router() {
    through_the_router(".venv/bin/python", "chat.py").await;
}

#[tokio::test]
async fn the_node_sdk_works_through_the_router() {
    through_the_router("node_modules/openai", "chat.mjs").await;
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
