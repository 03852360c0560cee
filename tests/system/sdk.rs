//! The official SDKs work through the router, unchanged.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use signalbox_fakes::End;
use signalbox_harness::within;
use tokio::process::Command;

use crate::gateway::Gateway;

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Runs one of the client scripts, if it is installed; in CI it has to be.
async fn run(installed: &str, program: &str, script: &str) {
    if !clients().join(installed).exists() {
        assert!(std::env::var_os("CI").is_none(), "tests/clients/{installed} is missing: run tests/clients/install");
        let mut out = std::io::stderr().lock();
        writeln!(out, "SKIPPED: the SDK test of {script} needs tests/clients/install").unwrap();
        return;
    }
    let gateway = Gateway::start().await;
    let mut command = Command::new(program);
    command.current_dir(clients()).arg(script).arg(format!("{}/v1", gateway.router.url())).arg("fake/");
    // A proxy that is set for the developer's own use must not stand between the client and the router.
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NODE_OPTIONS", "OPENAI_BASE_URL"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = within(script, command.output()).await.unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{said}\n{complained}", output.status);

    // What the script did not read to its end was cancelled all the way.
    let left = |end: Option<End>| end == Some(End::ClientLeft);
    within("the close of the aborted stream", gateway.fake.until(|fake| left(fake.calls_of("fake-endless")[0].end())))
        .await;
}

#[tokio::test]
async fn the_python_sdk_works_through_the_router() {
    let python = clients().join(".venv/bin/python");
    run(".venv/bin/python", &python.to_string_lossy(), "chat.py").await;
}

#[tokio::test]
async fn the_node_sdk_works_through_the_router() {
    run("node_modules/openai", "node", "chat.mjs").await;
}
