//! Guardrails: what providers, clients and the log see of guarded content.

use serde_json::{Value, json};
use signalbox_fakes::{FakeProvider, Turn, script::Usage};
use signalbox_harness::{Answer, Launch, eventually};

use crate::{
    apis::{APIS, Api},
    gateway::{CHAT, Gateway},
};

const CARD: &str = "4111 1111 1111 1111";
const REDACTED: &str = "[redacted: card number]";

/// A gateway with a route `guarded` to the model `m` of the provider `fake`, which speaks one API.
async fn gateway(api: Api, guard: Value, configuration: &str) -> Gateway {
    let gateway = api.launch(Launch::default().config("provider-router", configuration)).await;
    let route = json!({"model": "guarded", "targets": [{"provider": "fake", "model": "m"}], "guard": guard});
    gateway.stack.api.post("/api/routes", &route).await.expect(201);
    gateway.router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
    let listed = async || (gateway.router.get("/v1/models/guarded").await.status == 200).then_some(());
    eventually("the route", listed).await;
    gateway
}

async fn ask(gateway: &Gateway, api: Api, stream: bool, text: &str) -> Answer {
    gateway.router.post(api.path(), &api.request("guarded", stream, text)).await
}

async fn recorded(gateway: &Gateway, answer: &Answer) -> Value {
    gateway.stack.recorded(answer.header("x-request-id")).await
}

/// Asserts that an answer is a refusal in the form of the API, and returns its message.
fn refusal(api: Api, answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{api:?}: {}", answer.text());
    let body = answer.json();
    assert_eq!(body["type"] == "error", api == Api::Messages, "{api:?}: {body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn requests_are_redacted_for_the_provider_and_the_log() {
    for api in APIS {
        let gateway = gateway(api, json!({"cards": "redact"}), "").await;
        gateway.fake.script("m", Turn::says("done"));
        let answer = ask(&gateway, api, false, &format!("pay with {CARD}")).await.expect(200);
        let sent = String::from_utf8(gateway.fake.calls_of("m").pop().unwrap().body.to_vec()).unwrap();
        assert!(sent.contains(&format!("pay with {REDACTED}")) && !sent.contains(CARD), "{api:?}: {sent}");
        let row = recorded(&gateway, &answer).await;
        assert!(row.to_string().contains(REDACTED) && !row.to_string().contains(CARD), "{row}");
        let path = format!("/api/requests/{}/explain", answer.header("x-request-id"));
        let explained = gateway.stack.api.get(&path).await.expect(200).json();
        assert_eq!(explained["guard"], json!(["request: 1 redacted"]), "{explained}");
    }
}

#[tokio::test]
async fn a_refused_request_reaches_no_provider_and_is_not_quoted() {
    for api in APIS {
        let gateway = gateway(api, json!({"cards": "refuse", "max_request_bytes": 2000}), "").await;
        gateway.fake.script("m", Turn::says("done"));
        let answer = ask(&gateway, api, true, &format!("pay with {CARD}")).await;
        let message = refusal(api, &answer, 400);
        assert!(message.contains("contains what looks like a card number"), "{message}");
        let row = recorded(&gateway, &answer).await;
        assert_eq!((&row["status"], &row["response"]["status_code"]), (&json!("failed"), &json!(400)), "{row}");
        assert_eq!(row["response"]["error"], json!(message));
        assert!(!row.to_string().contains("4111"), "{row}");
        let long = ask(&gateway, api, false, &"x ".repeat(1_000)).await;
        assert!(refusal(api, &long, 400).contains("at most 2000 are allowed"));
        assert_eq!(gateway.fake.calls_of("m").len(), 0, "{api:?}");
        ask(&gateway, api, false, "hello").await.expect(200);
    }
}

#[tokio::test]
async fn answers_are_judged_before_the_client_sees_them() {
    for api in APIS {
        let gateway = gateway(api, json!({"answer_cards": "redact"}), "").await;
        let says = Turn::says(format!("use {CARD} now")).chat(|chat| chat.usage = Usage::Always);
        gateway.fake.script("m", says);
        let whole = ask(&gateway, api, false, "hi").await.expect(200);
        assert!(whole.text().contains(REDACTED) && !whole.text().contains(CARD), "{api:?}: {}", whole.text());
        let row = recorded(&gateway, &whole).await;
        assert!(!row.to_string().contains(CARD), "{row}");

        let stream = ask(&gateway, api, true, "hi").await;
        let message = refusal(api, &stream, 400);
        assert!(message.starts_with("a guardrail refused the answer"), "{message}");
        let row = recorded(&gateway, &stream).await;
        assert_eq!((&row["status"], &row["provider_id"]), (&json!("failed"), &json!("fake")), "{row}");
        assert!(row["response"]["total_tokens"].as_i64().is_some_and(|tokens| tokens > 0), "{row}");
        assert!(!row.to_string().contains(CARD), "{row}");

        gateway.fake.script("m", Turn::says("one two three"));
        let clean = ask(&gateway, api, true, "hi").await.expect(200);
        assert_eq!(api.streamed(&clean.text()).0, "one two three", "{api:?}: {}", clean.text());
        assert_eq!(recorded(&gateway, &clean).await["status"], "completed");
    }
}

#[tokio::test]
async fn a_hook_allows_refuses_and_replaces() {
    let hook = FakeProvider::start().await.unwrap();
    let url = format!("{}/chat/completions", hook.url());
    let configuration = format!("[guard]\nhook_url = \"{url}\"\nhook_for = \"named\"\n");
    let gateway = gateway(Api::Chat, json!({"hook": true}), &configuration).await;
    gateway.fake.script("m", Turn::says("done"));
    // The fake plays the script of the model that a body names, and a question names the model of the request.
    let reply = |verdict: Value| hook.script("guarded", Turn::raw("application/json", verdict.to_string()));

    reply(json!({"action": "allow"}));
    ask(&gateway, Api::Chat, false, "hello").await.expect(200);
    let question: Value = serde_json::from_slice(&hook.calls_of("guarded").pop().unwrap().body).unwrap();
    assert_eq!((&question["stage"], &question["api"]), (&json!("before"), &json!("chat")), "{question}");
    assert_eq!(question["request"]["messages"][0]["content"], "hello", "{question}");

    reply(json!({"action": "refuse", "message": "Ask the help desk."}));
    let refused = ask(&gateway, Api::Chat, false, "hello").await;
    assert_eq!(refusal(Api::Chat, &refused, 400), "a guardrail refused the request: Ask the help desk.");
    assert_eq!(refused.json()["error"]["code"], "guardrail_refused");

    reply(json!({"action": "replace", "request": {"messages": [{"role": "user", "content": "replaced"}]}}));
    let replaced = ask(&gateway, Api::Chat, false, "hello").await.expect(200);
    let sent: Value = serde_json::from_slice(&gateway.fake.calls_of("m").pop().unwrap().body).unwrap();
    assert_eq!(sent["messages"][0]["content"], "replaced");
    assert!(recorded(&gateway, &replaced).await.to_string().contains("replaced"));

    hook.script("guarded", Turn::error(500));
    let away = ask(&gateway, Api::Chat, false, "hello").await;
    assert!(refusal(Api::Chat, &away, 503).contains("it answered with status 500"), "{}", away.text());
    assert_eq!(away.json()["error"]["code"], "guardrail_unavailable");

    // Requests without the route are not judged.
    let asked = hook.calls().len();
    gateway.router.post(CHAT, &Api::Chat.request("fake/m", false, "hi")).await.expect(200);
    assert_eq!(hook.calls().len(), asked);
}

#[tokio::test]
async fn limits_come_before_the_hook() {
    let hook = FakeProvider::start().await.unwrap();
    let configuration = format!("[guard]\nhook_url = \"{}/chat/completions\"\n", hook.url());
    let gateway = gateway(Api::Chat, json!({}), &configuration).await;
    gateway.fake.script("m", Turn::says("done"));
    hook.script("guarded", Turn::raw("application/json", json!({"action": "allow"}).to_string()));
    let grant = json!({"name": "one", "models": ["guarded"], "limits": {"rpm": 1}});
    let client = gateway.client_with_key(&grant).await;
    let asked = async || client.post(CHAT, &Api::Chat.request("guarded", false, "hi")).await.status;
    assert_eq!((asked().await, hook.calls().len()), (200, 1));
    assert_eq!((asked().await, hook.calls().len()), (429, 1), "the hook is not asked about a request beyond the limit");
    // A prompt to be counted leaves the gateway only after the hook has judged it, so this one stays.
    let count = json!({"model": "guarded", "messages": [{"role": "user", "content": "hi"}]});
    let counted = client.post("/v1/messages/count_tokens", &count).await.expect(200);
    assert_eq!(counted.header("x-signalbox-estimate"), "true");
    assert_eq!(hook.calls().len(), 1);
}

#[tokio::test]
async fn the_whole_prompt_is_judged_once() {
    let hook = FakeProvider::start().await.unwrap();
    let configuration = format!("[guard]\nhook_url = \"{}/chat/completions\"\nhook_for = \"named\"\n", hook.url());
    let gateway = gateway(Api::Chat, json!({"hook": true, "cards": "redact"}), &configuration).await;
    gateway.fake.script("m", Turn::says("done"));
    hook.script("guarded", Turn::raw("application/json", json!({"action": "allow"}).to_string()));
    // No rule has judged the first turn, which goes past the route.
    let first = json!({"model": "fake/m", "input": format!("pay with {CARD}")});
    let first = gateway.router.post("/v1/responses", &first).await.expect(200);
    recorded(&gateway, &first).await;
    let next = json!({"model": "guarded", "input": "go on", "previous_response_id": first.json()["id"]});
    let answer = gateway.router.post("/v1/responses", &next).await.expect(200);
    let sent = String::from_utf8(gateway.fake.calls_of("m").pop().unwrap().body.to_vec()).unwrap();
    assert!(sent.contains(REDACTED) && sent.contains("go on") && !sent.contains(CARD), "{sent}");
    let questions = hook.calls_of("guarded");
    assert_eq!(questions.len(), 1);
    let question: Value = serde_json::from_slice(&questions[0].body).unwrap();
    assert_eq!((&question["api"], &question["request"]["input"]), (&json!("responses"), &json!("go on")), "{question}");
    assert!(question["earlier"].to_string().contains(REDACTED), "{question}");
    recorded(&gateway, &answer).await;
    let path = format!("/api/requests/{}/explain", answer.header("x-request-id"));
    let explained = gateway.stack.api.get(&path).await.expect(200).json();
    assert_eq!(explained["guard"], json!(["earlier turns: 1 redacted"]), "{explained}");

    hook.script("guarded", Turn::raw("application/json", json!({"action": "refuse"}).to_string()));
    let calls = gateway.fake.calls_of("m").len();
    let refused = gateway.router.post("/v1/responses", &next).await;
    assert!(refusal(Api::Responses, &refused, 400).contains("the hook gave no reason"));
    assert_eq!((gateway.fake.calls_of("m").len(), hook.calls_of("guarded").len()), (calls, 2));
}

#[tokio::test]
async fn errors_and_comments_of_providers_are_judged_too() {
    let gateway = gateway(Api::Chat, json!({"answer_cards": "refuse"}), "").await;
    let error = json!({"error": {"message": format!("no {CARD}"), "type": "invalid_request_error"}}).to_string();
    gateway.fake.script("m", Turn { status: 400, ..Turn::raw("application/json", error) });
    for stream in [false, true] {
        let refused = ask(&gateway, Api::Chat, stream, "hi").await;
        assert_eq!(refusal(Api::Chat, &refused, 400), format!("no {REDACTED}"));
        let row = recorded(&gateway, &refused).await;
        assert!(row.to_string().contains(REDACTED) && !row.to_string().contains("4111"), "{row}");
    }
    let chunk = |text: &str, reason: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let play = |events: String| gateway.fake.script("m", Turn::raw("text/event-stream", events + "data: [DONE]\n\n"));
    play(chunk("one", "null") + &format!(": {CARD}\n\n") + &chunk(" two", "\"stop\""));
    let passed = ask(&gateway, Api::Chat, true, "hi").await.expect(200);
    assert_eq!(Api::Chat.streamed(&passed.text()), ("one two".to_owned(), true));
    assert!(!passed.text().contains("4111"), "{}", passed.text());
    play(chunk("one ", "\"stop\"") + &chunk("4111 1111 ", "null") + &chunk("1111 1111", "null"));
    let late = ask(&gateway, Api::Chat, true, "hi").await;
    assert!(refusal(Api::Chat, &late, 400).starts_with("a guardrail refused the answer"), "{}", late.text());
    let path = format!("/api/requests/{}/explain", late.header("x-request-id"));
    recorded(&gateway, &late).await;
    let explained = gateway.stack.api.get(&path).await.expect(200).json().to_string();
    assert!(explained.contains("a guardrail refused the answer: no other target is asked"), "{explained}");
}

#[tokio::test]
async fn a_stream_behind_a_window_stops_at_what_is_split_over_its_events() {
    for api in APIS {
        let configuration = "[guard]\nstream_window = \"64B\"\nanswer_cards = \"refuse\"\n";
        let gateway = gateway(api, json!({}), configuration).await;
        let (before, after) = ("before ".repeat(40), "after ".repeat(40));
        gateway.fake.script("m", Turn::says(format!("{before}{after}")));
        let clean = ask(&gateway, api, true, "Say it.").await.expect(200);
        assert!(clean.complete && clean.text().matches("before").count() >= 40, "{api:?}: {}", clean.text());
        assert!(clean.text().matches("after").count() >= 40, "{api:?}: the end is released");

        gateway.fake.script("m", Turn::says(format!("{before}{CARD} {after}")));
        let stopped = ask(&gateway, api, true, "Say it.").await;
        let text = stopped.text();
        assert!(stopped.status == 200 && !stopped.complete && text.contains("before"), "{api:?}: {text}");
        assert!(text.contains("a guardrail stopped the answer") && !text.contains("4111"), "{api:?}: {text}");
        let row = recorded(&gateway, &stopped).await;
        assert!(row["status"] == "failed" && !row.to_string().contains("4111"), "{api:?}: {row}");
    }
}
