//! The access log: one line per request, with the same id as the response and the log of requests.

use serde_json::Value;
use signalbox_fakes::{Turn, script::FaultKind};
use signalbox_harness::{Launch, Process, QwenProxy, eventually};

use crate::{
    gateway::{CHAT, chat},
    lone_router::LoneRouter,
};

/// Returns the JSON lines of a process that belong to the access log.
fn access_lines(process: &Process) -> Vec<Value> {
    let lines = process.stderr();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "signalbox_access").collect()
}

/// Waits for the access line of a request.
async fn line_of(process: &Process, id: &str) -> Value {
    eventually("an access line", async || access_lines(process).into_iter().find(|line| line["id"] == id)).await
}

async fn router_with(access: &str) -> LoneRouter {
    let launch = Launch::default().arg("--log-format").arg("json").arg("--log-level").arg("warn");
    LoneRouter::launch(launch.env("LOG_ACCESS", access)).await
}

#[tokio::test]
async fn every_request_has_one_line_with_what_became_of_it() {
    let lone = router_with("all").await;
    lone.fake.script("m", Turn::says("one two three"));
    lone.fake.script("broken", Turn::says("one two three").after(1, FaultKind::Close));
    // Providers quote what they were sent.
    let quoting = r#"{"error":{"message":"canary-prompt is not allowed"}}"#;
    lone.fake.script("refused", Turn { status: 429, ..Turn::raw("application/json", quoting) });
    lone.fake.script("unknown", Turn::error(404));
    let router = lone.client();
    let mut ids = Vec::new();
    for (model, stream, status, outcome) in [
        ("fake/m", false, 200, "completed"),
        ("fake/m", true, 200, "completed"),
        ("fake/broken", true, 200, "truncated"),
        ("fake/refused", false, 429, "failed"),
        ("fake/unknown", false, 404, "failed"),
    ] {
        let answer = router.post(CHAT, &chat(model, stream)).await;
        let id = answer.header("x-request-id").to_owned();
        let line = line_of(lone.process(), &id).await;
        assert_eq!((&line["method"], &line["path"]), (&"POST".into(), &CHAT.into()));
        assert_eq!(
            (&line["status"], &line["outcome"], &line["model"]),
            (&status.into(), &outcome.into(), &model.into())
        );
        assert_eq!((&line["provider"], &line["client"]), (&"fake".into(), &"127.0.0.1".into()), "{line}");
        assert!(line["duration_ms"].is_u64(), "{line}");
        if outcome == "completed" {
            assert!(line["ttfb_ms"].is_u64() && line["attempts"] == 1, "{line}");
        }
        if (status, stream) == (200, false) {
            assert!(line["input_tokens"].is_u64() && line["output_tokens"].is_u64(), "{line}");
        }
        ids.push(id);
    }

    // Requests that no provider sees, and queries, which may hold secrets, stay out of the line.
    for path in ["/v1/models?key=sk-canary", "/health", "/nowhere"] {
        let answer = router.get(path).await;
        let line = line_of(lone.process(), answer.header("x-request-id")).await;
        assert_eq!((&line["path"], &line["status"]), (&path.split('?').next().unwrap().into(), &answer.status.into()));
        ids.push(answer.header("x-request-id").to_owned());
    }
    assert!(!lone.process().stderr().contains("canary"));
    for id in ids {
        assert_eq!(access_lines(lone.process()).iter().filter(|line| line["id"] == id.as_str()).count(), 1, "{id}");
    }
}

#[tokio::test]
async fn by_default_only_failures_have_a_line() {
    let lone = LoneRouter::launch(Launch::default().arg("--log-format").arg("json")).await;
    lone.fake.script("m", Turn::says("one two three"));
    let router = lone.client();
    router.post(CHAT, &chat("fake/m", true)).await.expect(200);
    router.get("/health").await.expect(200);
    lone.fake.script("unknown", Turn::error(404));
    let failed = router.post(CHAT, &chat("fake/unknown", false)).await.expect(404);
    line_of(lone.process(), failed.header("x-request-id")).await;
    assert_eq!(access_lines(lone.process()).len(), 1);
}

#[tokio::test]
async fn without_an_access_log_there_is_no_line() {
    let lone = router_with("off").await;
    lone.fake.script("unknown", Turn::error(404));
    lone.client().post(CHAT, &chat("fake/unknown", false)).await.expect(404);
    lone.client().post(CHAT, &chat("fake/m", false)).await.expect(200);
    assert_eq!(access_lines(lone.process()), Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_logged_about_a_request_carries_its_id() {
    let launch = Launch::default().arg("--log-format").arg("json").arg("--log-level").arg("debug");
    let lone = LoneRouter::launch(launch).await;
    lone.fake.script("m", Turn::error(503));
    let answer = lone.client().post(CHAT, &chat("fake/m", true)).await;
    let id = answer.header("x-request-id").to_owned();
    let line = eventually("the line of the attempt", async || {
        let lines = lone.process().stderr();
        let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["span"]["name"] == "attempt")
    })
    .await;
    let spans = line["spans"].as_array().unwrap();
    assert_eq!((&spans[0]["name"], &spans[0]["id"]), (&"request".into(), &id.into()), "{line}");
    assert_eq!(
        (&spans[0]["surface"], &spans[0]["model"], &spans[0]["stream"]),
        (&"chat".into(), &"fake/m".into(), &true.into())
    );
    assert_eq!(
        (&spans[1]["n"], &spans[1]["provider"], &spans[1]["upstream_model"]),
        (&1.into(), &"fake".into(), &"m".into())
    );
}

#[tokio::test]
async fn an_unknown_word_for_the_access_log_is_refused() {
    let (code, said) = Launch::default().env("LOG_ACCESS", "some").run_to_exit("provider-router").await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("LOG_ACCESS takes all, errors or off, not `some`"), "{said}");
}

#[tokio::test]
async fn qwen_proxy_writes_the_same_lines() {
    let launch = Launch::default().arg("--log-format").arg("json").env("LOG_ACCESS", "all");
    let qwen = QwenProxy::start(launch).await;
    let answer = qwen.client.get("/health/live").await.expect(200);
    let line = line_of(&qwen.process, answer.header("x-request-id")).await;
    assert_eq!((&line["path"], &line["status"]), (&"/health/live".into(), &200.into()));
}
