//! Every fault of the site becomes an error that says what to do: never an empty success, never a burst of retries.

use serde_json::{Value, json};
use signalbox_fakes::{
    ClosedPort, FakeQwen,
    qwen::{Endpoint, Extra, Reply, Turn, trouble},
    script::FaultKind,
};
use signalbox_harness::{Answer, eventually};

use super::{LoneQwen, request};
use crate::gateway::{CHAT, error_of};

/// The expected result of a fault.
struct Expected {
    status: u16,
    code: &'static str,
    /// Text that the message has to contain: the remedy.
    says: &'static str,
    /// Maximum number of calls to the site.
    asks: usize,
}

const fn expect(status: u16, code: &'static str, says: &'static str, asks: usize) -> Expected {
    Expected { status, code, says, asks }
}

/// Returns faults before the first event. They apply to creating a chat and to completions alike.
fn troubles() -> Vec<(&'static str, Turn, Expected)> {
    let expired = trouble::refused("Unauthorized", "The token has expired.");
    vec![
        ("firewall", trouble::waf_page(), expect(401, "waf_challenge", "in your browser", 1)),
        ("captcha", trouble::captcha(), expect(401, "captcha_required", "in your browser", 1)),
        ("login page", trouble::login_page(), expect(401, "invalid_credentials", "log in again", 1)),
        ("401", trouble::status(401), expect(401, "invalid_credentials", "log in again", 1)),
        ("expired", expired, expect(401, "invalid_credentials", "log in again", 1)),
        ("403", trouble::status(403), expect(403, "forbidden", "log in again", 1)),
        ("404", trouble::status(404), expect(404, "upstream_not_found", "base_url", 1)),
        ("418", trouble::status(418), expect(418, "upstream_rejected", "HTTP 418", 1)),
        ("500", trouble::status(500), expect(500, "upstream_server_error", "try again later", 2)),
        ("503", trouble::status(503), expect(503, "upstream_server_error", "try again later", 2)),
        ("refused", trouble::refused("Bad", "Not like this."), expect(502, "qwen_api_error", "Not like this.", 1)),
        ("garbage", Turn::raw("application/json", "{\"succ"), expect(502, "upstream_invalid_response", "try again", 1)),
        ("nothing", Turn::raw("application/json", ""), expect(502, "upstream_invalid_response", "try again", 1)),
        ("429", trouble::too_many(None), expect(429, "rate_limit_exceeded", "wait", 1)),
        ("quota", trouble::quota(), expect(429, "insufficient_quota", "17 hours", 1)),
    ]
}

/// Starts a proxy whose site has this fault.
async fn with(endpoint: Endpoint, turn: &Turn) -> LoneQwen {
    let lone = LoneQwen::start().await;
    lone.site.script(endpoint, turn.clone());
    lone
}

#[track_caller]
fn check(what: &str, answer: &Answer, expected: &Expected) -> Value {
    let error = error_of(answer, expected.status);
    assert_eq!(error["code"], expected.code, "{what}: {error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(expected.says), "{what}: {message}");
    assert!(error["error_id"].is_string(), "{what}: {error}");
    error
}

#[tokio::test]
async fn each_failure_is_reported_before_a_stream_begins() {
    for (what, turn, expected) in troubles() {
        for stream in [false, true] {
            let lone = with(Endpoint::Completion, &turn).await;
            let answer = lone.client().post(CHAT, &request("qwen3-max", stream, "hello")).await;
            check(what, &answer, &expected);
            let asked = lone.asked(Endpoint::Completion);
            assert!((1..=expected.asks).contains(&asked), "{what}: asked {asked} times");
        }
    }
}

#[tokio::test]
async fn each_failure_is_reported_when_a_chat_is_opened() {
    for (what, turn, expected) in troubles() {
        let lone = with(Endpoint::NewChat, &turn).await;
        check(what, &lone.ask("qwen3-max", "hello").await, &expected);
        let asked = lone.asked(Endpoint::NewChat);
        assert!((1..=expected.asks).contains(&asked), "{what}: asked {asked} times");
        assert_eq!(lone.asked(Endpoint::Completion), 0, "{what}");
    }
}

#[tokio::test]
async fn an_empty_answer_is_an_error() {
    let lone = with(Endpoint::Completion, &Reply::says("")).await;
    let expected = expect(502, "empty_answer", "try again", 1);
    for stream in [false, true] {
        check("empty", &lone.client().post(CHAT, &request("qwen3-max", stream, "hello")).await, &expected);
    }
}

#[tokio::test]
async fn a_broken_stream_is_never_marked_complete() {
    let lone = LoneQwen::start().await;
    let turns =
        [("reset", Turn::default().after(3, FaultKind::Reset)), ("close", Turn::default().after(3, FaultKind::Close))];
    for (what, turn) in turns {
        lone.site.script(Endpoint::Completion, turn);
        let stream = lone.client().stream(CHAT, &request("qwen3-max", true, "one two three four")).await;
        assert_eq!(stream.status, 200);
        let finished = stream.finish().await;
        assert!(!finished.complete, "{what}");
        let folded = finished.folded;
        assert!(folded.error.is_some() && !folded.done && folded.finish_reason.is_none(), "{what}: {folded:?}");
        assert_eq!(folded.text, "one two ", "{what}");
        assert_eq!(last_status(&lone).await, "truncated", "{what}");
        let answer = lone.ask("qwen3-max", "one two three four").await;
        error_of(&answer, 502);
    }
    assert_eq!(lone.asked(Endpoint::Completion), 4, "a broken answer is not retried");
}

/// The body of a stream is polled by its connection, long after the handler has returned.
#[tokio::test]
async fn what_is_logged_about_a_stream_carries_the_id_of_its_request() {
    let launch = LoneQwen::logged_in().arg("--log-format").arg("json").arg("--log-level").arg("info");
    let lone = LoneQwen::launch(launch).await;
    lone.site.script(Endpoint::Completion, Turn::default().after(3, FaultKind::Close));
    let stream = lone.client().stream(CHAT, &request("qwen3-max", true, "one two three four")).await;
    let id = stream.headers["x-request-id"].to_str().unwrap().to_owned();
    assert!(!stream.finish().await.complete);
    let line = eventually("the line of the failure", async || {
        let lines = lone.proxy.as_ref().unwrap().process.stderr();
        let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["error_id"].is_string())
    })
    .await;
    assert_eq!((&line["spans"][0]["name"], &line["spans"][0]["id"]), (&"request".into(), &id.into()), "{line}");
}

#[tokio::test]
async fn an_error_event_of_the_site_is_the_last_event_and_ends_the_answer() {
    let lone = LoneQwen::start().await;
    lone.site.script(Endpoint::Completion, Turn::default().after(3, FaultKind::ErrorEvent));
    for path in [CHAT, "/v1/completions"] {
        let body = match path {
            CHAT => request("qwen3-max", true, "one two three four"),
            _ => json!({"model": "qwen3-max", "stream": true, "prompt": "one two three four"}),
        };
        let finished = lone.client().stream(path, &body).await.finish().await;
        let raw = String::from_utf8_lossy(&finished.raw).into_owned();
        assert!(finished.complete, "{path}: the connection breaks after {raw}");
        let last = raw.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with("data: {\"error\":") && !raw.contains("[DONE]"), "{path}: {raw}");
        assert_eq!(raw.matches("\"error\":").count(), 1, "{path}: {raw}");
        assert!(finished.folded.finish_reason.is_none(), "{path}: {raw}");
        assert_eq!(last_status(&lone).await, "failed", "{path}");
    }
    error_of(&lone.ask("qwen3-max", "one two three four").await, 502);
    assert_eq!(lone.asked(Endpoint::Completion), 3, "it is not asked for again");
}

/// Returns the status of the last logged request.
async fn last_status(lone: &LoneQwen) -> String {
    let list = lone.client().get("/v1/requests").await.expect(200).json();
    list["data"][0]["status"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_answer_without_its_last_event_is_not_lost() {
    let lone = with(Endpoint::Completion, &trouble::unfinished()).await;
    let folded = lone.client().stream(CHAT, &request("qwen3-max", true, "one two three")).await.finish().await.folded;
    assert_eq!(folded.text, "one two three", "the received text is relayed");
    let whole = lone.ask("qwen3-max", "one two three").await;
    if whole.status == 200 {
        assert_eq!(whole.json()["choices"][0]["message"]["content"], "one two three");
    } else {
        error_of(&whole, 502);
    }
}

#[tokio::test]
async fn invalid_data_between_events_is_not_part_of_the_answer() {
    let lone = with(Endpoint::Completion, &trouble::mixed_with(Extra::Garbage)).await;
    let whole = lone.ask("qwen3-max", "one two three").await;
    if whole.status == 200 {
        assert_eq!(whole.json()["choices"][0]["message"]["content"], "one two three");
    } else {
        error_of(&whole, 502);
    }
}

#[tokio::test]
async fn an_unresponsive_site_is_reported() {
    let closed = ClosedPort::take().unwrap();
    let url = closed.url().unwrap().replace("/v1", "");
    let launch = LoneQwen::logged_in();
    let lone = LoneQwen::launch_at(launch.clone(), FakeQwen::start().await.unwrap(), &url).await;
    let error = error_of(&lone.ask("qwen3-max", "hello").await, 502);
    assert_eq!(error["code"], "upstream_unreachable");
    let lone = LoneQwen::launch(launch.env("QWEN_TIMEOUT", "200")).await;
    lone.site.script(Endpoint::Completion, Turn::default().before_head(FaultKind::Stall));
    let error = error_of(&lone.ask("qwen3-max", "hello").await, 504);
    assert_eq!(error["code"], "upstream_timeout");
}

#[tokio::test]
async fn a_prompt_over_the_size_limit_is_not_sent() {
    let lone = LoneQwen::start().await;
    let error = error_of(&lone.ask("qwen3-max", &"long ".repeat(30_000)).await, 400);
    assert_eq!(error["code"], "context_length_exceeded");
    assert_eq!(lone.site.calls().len(), 0);
    // A slightly shorter text is sent.
    let text = format!("{}\n\nsay fine", "long ".repeat(25_000));
    let answer = lone.ask("qwen3-max", &text).await.expect(200).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "fine");
}

#[tokio::test]
async fn the_next_request_works_after_any_failure() {
    let lone = LoneQwen::start().await;
    for model in
        ["fake-waf", "fake-captcha", "fake-401", "fake-403", "fake-500", "fake-refused", "fake-new-waf", "fake-reset-2"]
    {
        assert!(lone.ask(model, "hello").await.status >= 400, "{model}");
        let answer = lone.ask("qwen3-max", "say fine").await.expect(200).json();
        assert_eq!(answer["choices"][0]["message"]["content"], "fine", "after {model}");
    }
}
