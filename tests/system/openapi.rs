//! The API conforms to `/openapi.json`: schemathesis generates valid and invalid requests from the document and checks
//! the responses against it.

use std::process::Stdio;

use signalbox_harness::Stack;
use tokio::{
    process::Command,
    time::{Duration, timeout},
};

use crate::sdk::{clients, is_installed};

/// Timeout for the requests of about a hundred routes on a busy machine, and for each further request per operation.
const RUN_TIMEOUT: Duration = Duration::from_secs(600);
const PER_CASE: Duration = Duration::from_secs(10);

/// Returns the number of requests for each operation, besides those for boundary values. `SIGNALBOX_CASES=400` makes
/// 20,000 in all.
fn cases() -> u32 {
    std::env::var("SIGNALBOX_CASES").map_or(5, |cases| cases.parse().unwrap())
}

#[tokio::test]
async fn i18_responses_match_the_openapi_document() {
    if !is_installed(".venv/bin/st", "openapi.rs") {
        return;
    }
    let stack = Stack::start().await;
    let mut command = Command::new(clients().join(".venv/bin/st"));
    command.current_dir(stack.home.path()).arg("--config-file").arg(clients().join("schemathesis.toml"));
    command.args(["run", &format!("{}/openapi.json", stack.api.url()), "--no-color", "--continue-on-failure"]);
    command.args([
        "--phases",
        "coverage,fuzzing",
        "--checks",
        "all",
        "--seed",
        "1",
        "--max-examples",
        &cases().to_string(),
    ]);
    command.args(["--generation-database", "none"]);
    // The developer's own proxy settings must not apply to local requests.
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let Ok(output) = timeout(RUN_TIMEOUT + PER_CASE * cases(), command.output()).await else {
        panic!("schemathesis hangs")
    };
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // A pass is only valid if requests were made.
    assert!(said.contains("Coverage") && said.contains("Fuzzing") && !said.contains("Tested: 0"), "{said}");
}
