//! What only one account of Responses can use: encrypted reasoning, and ids that the provider keeps.

use http::Method;
use serde_json::{Value, json};
use signalbox_fakes::Turn;
use signalbox_harness::{Answer, Launch};

use super::{Api, logged};
use crate::gateway::{Gateway, error_of};

/// Starts a gateway whose providers `gpt` and `other` speak Responses with different keys, and the route `both` to the
/// models `a` and `b` there.
async fn gateway() -> Gateway {
    let gateway = Gateway::of("openai-compatible", Launch::default()).await;
    for id in ["gpt", "other"] {
        gateway.stack.add_provider_of("openai", id, &gateway.fake.url()).await;
    }
    let config = json!({"config": {"apiKey": "sk-other-0123456789"}});
    gateway.stack.api.put("/api/providers/other/config", &config).await.expect(200);
    let route = json!({"model": "both", "retries": 1,
        "targets": [{"provider": "gpt", "model": "a"}, {"provider": "other", "model": "b"}]});
    gateway.stack.api.post("/api/routes", &route).await.expect(201);
    gateway.router.post("/v1/providers/other/reload", &json!({})).await.expect(200);
    gateway
}

/// Returns the newest body that the fake received for a model.
fn sent(gateway: &Gateway, model: &str) -> Value {
    serde_json::from_slice(&gateway.fake.calls_of(model).pop().unwrap().body).unwrap()
}

/// Returns the items of an answer.
fn output(answer: &Answer, stream: bool) -> Vec<Value> {
    let whole = if stream {
        let text = answer.text();
        let mut events =
            text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
        let last = events.next_back().unwrap_or_default();
        last["response"].clone()
    } else {
        answer.json()
    };
    whole["output"].as_array().unwrap_or_else(|| panic!("no output: {whole}")).clone()
}

fn has_reasoning(body: &Value) -> bool {
    body["input"].as_array().unwrap().iter().any(|item| item["type"] == "reasoning")
}

#[tokio::test]
async fn encrypted_reasoning_goes_only_to_the_account_that_made_it() {
    for stream in [false, true] {
        let gateway = gateway().await;
        gateway.fake.script("a", Turn::says("seven").thinks(format!("of the first account, {stream}")));
        let first = json!({"model": "gpt/a", "input": "a number", "store": false, "stream": stream,
            "include": ["reasoning.encrypted_content"]});
        let first = gateway.router.post("/v1/responses", &first).await;
        assert!(first.complete && first.status == 200, "{}", first.text());
        let mut input = vec![json!({"type": "message", "role": "user", "content": "a number"})];
        input.extend(output(&first, stream));
        input.push(json!({"type": "message", "role": "user", "content": "another"}));
        let body = |model: &str| json!({"model": model, "input": input, "store": false});

        let back = gateway.router.post("/v1/responses", &body("gpt/a")).await.expect(200);
        assert_eq!(back.header("x-signalbox-translation"), "", "stream {stream}");
        assert!(has_reasoning(&sent(&gateway, "a")));

        let elsewhere = gateway.router.post("/v1/responses", &body("other/b")).await.expect(200);
        assert_eq!(elsewhere.header("x-signalbox-translation"), "responses-responses; input.*=dropped");
        let upstream = sent(&gateway, "b");
        assert!(!has_reasoning(&upstream), "{upstream}");
        assert_eq!(upstream["input"].as_array().map(Vec::len), Some(input.len() - 1), "{upstream}");
        assert_eq!(logged(&gateway, &elsewhere).await["qwen_request"], upstream, "the log has what was sent");

        let strict = gateway.router.with_header("x-signalbox-strict", "true");
        let refused = strict.post("/v1/responses", &body("other/b")).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(Api::Responses.error(&refused).contains("`input.1`"), "{}", refused.text());

        // As a fallback, too.
        gateway.fake.script("a", Turn::error(503));
        let fallback = gateway.router.post("/v1/responses", &body("both")).await.expect(200);
        assert_eq!(fallback.header("x-signalbox-provider"), "other");
        assert!(!has_reasoning(&sent(&gateway, "b")));
    }
}

#[tokio::test]
async fn encrypted_content_of_an_unknown_maker_stays_at_the_first_target() {
    let gateway = gateway().await;
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "FakeEncrypted0"});
    let said = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "seven"}]});
    let next = json!({"type": "message", "role": "user", "content": "another"});
    let body = json!({"model": "both", "input": [reasoning, said, next], "store": false});
    gateway.router.post("/v1/responses", &body).await.expect(200);
    assert!(has_reasoning(&sent(&gateway, "a")));
    gateway.fake.script("a", Turn::error(503));
    let fallback = gateway.router.post("/v1/responses", &body).await.expect(200);
    assert_eq!(fallback.header("x-signalbox-translation"), "responses-responses; input.*=dropped");
    assert!(!has_reasoning(&sent(&gateway, "b")));

    // A compaction stands for the conversation before it, so it is not left out.
    let calls = gateway.fake.calls_of("b").len();
    let compaction = json!({"type": "compaction", "encrypted_content": "FakeEncrypted1"});
    let compacted = json!({"model": "both", "input": [compaction, next], "store": false});
    let refused = gateway.router.post("/v1/responses", &compacted).await;
    let error = error_of(&refused, 400);
    assert_eq!((&error["code"], &error["param"]), (&json!("unsupported_parameter"), &json!("input.0")), "{error}");
    assert_eq!(gateway.fake.calls_of("b").len(), calls);
}

#[tokio::test]
async fn an_id_that_nobody_knows_is_sent_to_no_fallback() {
    let gateway = gateway().await;
    let reference = json!([{"type": "item_reference", "id": "msg_68a1b2c3d4e5f607"}, {"role": "user", "content": "x"}]);
    let previous = json!({"model": "both", "input": "x", "previous_response_id": "resp_68a1b2c3d4e5f607"});
    let bodies = [
        ("previous_response_id", previous.clone()),
        ("item_reference", json!({"model": "both", "input": reference})),
        ("conversation", json!({"model": "both", "input": "x", "conversation": {"id": "conv_1"}})),
    ];
    // The provider's own refusal is the answer.
    let refused = gateway.router.post("/v1/responses", &previous).await;
    assert!(matches!(refused.status, 400 | 404), "{}", refused.text());
    assert!(error_of(&refused, refused.status)["message"].is_string());
    gateway.fake.script("a", Turn::error(503));
    for (what, body) in &bodies {
        let calls = gateway.fake.calls_of("a").len();
        let refused = gateway.router.post("/v1/responses", body).await;
        assert_eq!(refused.status, 503, "{what}: {}", refused.text());
        assert!(gateway.fake.calls_of("a").len() > calls, "{what}");
        assert!(gateway.fake.calls_of("b").is_empty(), "{what}");
        // The failures may have opened the breaker of the first target.
        gateway.router.post("/v1/routes/reset-breakers", &json!({})).await.expect(200);
    }
    let plan = gateway.router.post("/v1/responses?explain=dry-run", &previous).await.expect(200);
    assert!(plan.text().contains("an id that only its provider may know"), "{}", plan.text());

    // A request without such an id still has its fallback.
    gateway.router.post("/v1/responses", &json!({"model": "both", "input": "x"})).await.expect(200);
    assert_eq!(gateway.fake.calls_of("b").len(), 1);

    let route = gateway.router.request(Method::POST, "/v1/conversations", "{}").await;
    let error = error_of(&route, 404);
    assert!(error["message"].as_str().unwrap().contains("previous_response_id"), "{error}");
}
