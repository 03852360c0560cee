//! Conversations that change their provider, and what the tool calls of an answer get back.

use serde_json::{Value, json};
use signalbox_fakes::{ClosedPort, Turn, script::Script};
use signalbox_harness::{Answer, Launch};

use super::{Api, logged};
use crate::gateway::{Gateway, request_id};

/// Starts a gateway whose providers `fake`, `claude` and `gpt` speak Chat Completions, Messages, and Responses.
async fn gateway() -> Gateway {
    let gateway = Gateway::of("openai-compatible", Launch::default()).await;
    gateway.stack.add_provider_of("anthropic", "claude", &gateway.fake.url()).await;
    gateway.stack.add_provider_of("openai", "gpt", &gateway.fake.url()).await;
    gateway
}

/// Returns the newest body that the fake received for a model.
fn sent(gateway: &Gateway, model: &str) -> Value {
    serde_json::from_slice(&gateway.fake.calls_of(model).pop().unwrap().body).unwrap()
}

/// Asks, and checks the APIs and the losses that the answer names.
async fn ask(gateway: &Gateway, api: Api, body: &Value, translation: &str) -> Answer {
    let answer = gateway.router.post(api.path(), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-signalbox-translation"), translation, "{body}");
    answer
}

fn tools(api: Api) -> Value {
    let schema = json!({"type": "object", "properties": {}});
    match api {
        Api::Chat => json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]),
        Api::Messages => json!([{"name": "f", "input_schema": schema}]),
        Api::Responses => json!([{"type": "function", "name": "f", "parameters": schema}]),
    }
}

#[tokio::test]
async fn a_conversation_of_responses_goes_on_at_the_vendor_itself() {
    let gateway = gateway().await;
    gateway.fake.script("m", Turn::says("seven").thinks("hm"));
    let mut body = Api::Responses.request("fake/m", false, "a number");
    let first = ask(&gateway, Api::Responses, &body, "responses-chat").await.json();
    assert!(first.to_string().contains("signalbox.thinking.v1:"), "{first}");
    let question = json!({"type": "message", "role": "user", "content": "a number"});
    let mut input = vec![question];
    input.extend(first["output"].as_array().unwrap().iter().cloned());
    input.push(json!({"type": "message", "role": "user", "content": "another"}));
    body["input"] = input.into();
    body["model"] = "gpt/n".into();
    let second = ask(&gateway, Api::Responses, &body, "responses-responses; input.*=dropped").await;
    let upstream = sent(&gateway, "n");
    assert_eq!(upstream["input"].as_array().map(Vec::len), Some(3), "{upstream}");
    assert_eq!((&upstream["input"][1]["type"], upstream["input"][1].get("id")), (&json!("message"), None));
    let row = logged(&gateway, &second).await;
    assert_eq!(row["response"]["translation"], "responses-responses; input.*=dropped", "{row}");
    assert_eq!(row["qwen_request"], upstream, "the log has what was sent");

    // A strict client is told what would be lost.
    let strict = gateway.router.with_header("x-signalbox-strict", "true").post("/v1/responses", &body).await;
    assert_eq!(strict.status, 400, "{}", strict.text());
    assert!(Api::Responses.error(&strict).contains("`input.1`"), "{}", strict.text());

    // And back: what only the vendor can read stays away from other providers.
    gateway.fake.script("n", Turn::says("eight").thinks("hm"));
    let vendor = json!({"model": "gpt/n", "input": "a number", "store": false, "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content"]});
    let vendor = ask(&gateway, Api::Responses, &vendor, "").await.json();
    let mut input = vendor["output"].as_array().unwrap().clone();
    input.push(json!({"type": "message", "role": "user", "content": "another"}));
    let answer = gateway.router.post("/v1/responses", &json!({"model": "fake/m", "input": input})).await.expect(200);
    assert!(answer.header("x-signalbox-translation").contains("=dropped"), "{vendor}");
}

#[tokio::test]
async fn a_conversation_of_messages_goes_on_at_the_vendor_itself() {
    let gateway = gateway().await;
    gateway.fake.script("m", Turn::says("seven").thinks("hm"));
    let mut body = Api::Messages.request("fake/m", false, "a number");
    let answer = gateway.router.post("/v1/messages", &body).await.expect(200).json();
    assert_eq!((&answer["content"][0]["type"], &answer["content"][0]["signature"]), (&json!("thinking"), &json!("")));
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": answer["content"]}));
    messages.push(json!({"role": "user", "content": "another"}));
    body["model"] = "claude/n".into();
    let second = ask(&gateway, Api::Messages, &body, "messages-messages; messages.*.content.*=dropped").await;
    let upstream = sent(&gateway, "n");
    let text = json!([{"type": "text", "text": "seven"}]);
    assert_eq!((&upstream["messages"][1]["content"], upstream["messages"].as_array().map(Vec::len)), (&text, Some(3)));
    assert_eq!(logged(&gateway, &second).await["qwen_request"], upstream);

    // And back: signed thinking stays away from other providers.
    gateway.fake.script("n", Turn::says("eight").thinks("hm"));
    body["thinking"] = json!({"type": "adaptive"});
    let signed = gateway.router.post("/v1/messages", &body).await.expect(200).json();
    assert_ne!(signed["content"][0]["signature"], "", "{signed}");
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": signed["content"]}));
    messages.push(json!({"role": "user", "content": "a last one"}));
    body["model"] = "fake/m".into();
    let back = gateway.router.post("/v1/messages", &body).await.expect(200);
    assert!(back.header("x-signalbox-translation").contains("messages.*.content.*=dropped"));
}

#[tokio::test]
async fn items_of_the_log_are_found_for_the_vendor_itself() {
    let gateway = gateway().await;
    let first =
        gateway.router.post("/v1/responses", &Api::Responses.request("fake/m", false, "seven")).await.expect(200);
    logged(&gateway, &first).await;
    let item = &first.json()["output"][0]["id"];
    let input =
        json!([{"type": "item_reference", "id": item}, {"type": "message", "role": "user", "content": "go on"}]);
    gateway.router.post("/v1/responses", &json!({"model": "gpt/n", "input": input})).await.expect(200);
    assert_eq!(sent(&gateway, "n")["input"][0]["content"][0]["text"], "seven");
}

#[tokio::test]
async fn tool_calls_get_their_thinking_back_through_a_chat_client() {
    for (provider, stream) in [("claude", false), ("claude", true), ("gpt", false), ("gpt", true)] {
        let gateway = gateway().await;
        let model = if provider == "gpt" { "gpt-6-sol" } else { "m" };
        let first = Turn::calls("f", "{}").thinks("let me see");
        gateway.fake.script(model, Script::first(1, first).then(Turn::says("done")));
        let ask = json!({"role": "user", "content": "hi"});
        let mut body = json!({"model": format!("{provider}/{model}"), "tools": tools(Api::Chat), "stream": stream,
            "reasoning_effort": "low", "messages": [ask]});
        let answer = gateway.router.post("/v1/chat/completions", &body).await.expect(200);
        let call = tool_call(&answer, stream);
        body["messages"] = json!([
            ask,
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "ok"},
        ]);
        let next = gateway.router.post("/v1/chat/completions", &body).await;
        assert_eq!(next.status, 200, "{provider}, stream {stream}: {}", next.text());
        assert!(next.text().contains("done"), "{provider}, stream {stream}: {}", next.text());
        let upstream = sent(&gateway, model);
        match provider {
            "claude" => {
                let thinking = &upstream["messages"][1]["content"][0];
                let signature = thinking["signature"].as_str().unwrap_or_default();
                assert!(thinking["type"] == "thinking" && !signature.is_empty(), "{upstream}");
            }
            _ => {
                let items = upstream["input"].as_array().unwrap();
                let at = items.iter().position(|item| item["type"] == "reasoning").expect("reasoning");
                assert!(items[at]["encrypted_content"].is_string(), "{upstream}");
                assert_eq!(items[at + 1]["type"], "function_call", "{upstream}");
            }
        }

        // A conversation that was changed gets nothing, and the loss is told.
        body["messages"][0]["content"] = "ho".into();
        let changed = gateway.router.post("/v1/chat/completions", &body).await.expect(200);
        let lost = changed.header("x-signalbox-translation");
        assert!(lost.contains("messages.*.content.*=dropped"), "{provider}, stream {stream}: {lost}");
        assert!(!sent(&gateway, model).to_string().contains("let me see"));
    }
}

/// Returns the call of an answer of Chat Completions.
fn tool_call(answer: &Answer, stream: bool) -> Value {
    if !stream {
        return answer.json()["choices"][0]["message"]["tool_calls"][0].clone();
    }
    let text = answer.text();
    let chunks = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let mut calls =
        chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["id"].as_str().map(str::to_owned));
    let id = calls.next_back().unwrap_or_else(|| panic!("no call: {text}"));
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
}

#[tokio::test]
async fn a_continued_answer_stays_at_its_target() {
    let gateway = gateway().await;
    gateway.stack.add_provider_of("openai", "other", &gateway.fake.url()).await;
    let route = json!({"model": "both", "policy": "round-robin", "retries": 1,
        "targets": [{"provider": "gpt", "model": "a"}, {"provider": "other", "model": "b"}]});
    gateway.stack.api.post("/api/routes", &route).await.expect(201);
    // The name alone says nothing: a provider of the gateway takes every model.
    gateway.router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
    let ask = async |text: &str, previous: Option<&Value>| {
        let mut body = Api::Responses.request("both", false, text);
        body["previous_response_id"] = previous.cloned().unwrap_or_default();
        let answer = gateway.router.post("/v1/responses", &body).await.expect(200);
        let (provider, id) = (answer.header("x-signalbox-provider").to_owned(), answer.json()["id"].clone());
        (provider, id, answer)
    };
    let (owner, first, answer) = ask("one", None).await;
    let mut previous = first.clone();
    for text in ["two", "three", "four"] {
        let (provider, id, _) = ask(text, Some(&previous)).await;
        assert_eq!(provider, owner, "{text}");
        previous = id;
    }
    // Others still take their turns.
    let (next, ..) = ask("x", None).await;
    let (after, ..) = ask("y", None).await;
    assert_ne!(next, after);

    // The owner is away: the other target gets the turns before from the log, and no id that it does not know.
    logged(&gateway, &answer).await;
    let (own, fallback) = if owner == "gpt" { ("a", "b") } else { ("b", "a") };
    gateway.fake.script(own, Turn::error(503));
    let (provider, ..) = ask("and now", Some(&first)).await;
    assert_ne!(provider, owner);
    let upstream = sent(&gateway, fallback);
    assert_eq!(upstream.get("previous_response_id"), None, "{upstream}");
    let texts = upstream["input"].to_string();
    assert!(texts.contains("one") && texts.contains("and now"), "{upstream}");
}

#[tokio::test]
async fn a_kept_answer_is_asked_for_at_its_provider() {
    let gateway = gateway().await;
    let closed = ClosedPort::take().unwrap();
    gateway.stack.add_provider_of("openai", "before", &closed.url().unwrap()).await;
    let first = gateway.router.post("/v1/responses", &Api::Responses.request("gpt/n", false, "hi")).await.expect(200);
    let path = format!("/v1/responses/{}", first.json()["id"].as_str().unwrap());
    logged(&gateway, &first).await;
    gateway.router.get(&path).await.expect(200);
    let streamed = gateway.router.get(&format!("{path}?stream=true")).await.expect(200);
    assert!(streamed.header("content-type").starts_with("text/event-stream") && streamed.complete);
    assert!(streamed.text().contains("event: response.completed"), "{}", streamed.text());
    // The fake quotes the key in an error event.
    let failed = gateway.router.get(&format!("{path}?stream=true&starting_after=9")).await.expect(200).text();
    assert!(
        failed.contains("no such event for ") && failed.contains("***MASKED***") && !failed.contains("sk-test"),
        "{failed}"
    );
    gateway.router.delete(&path).await.expect(200);
    // No provider has it, and one cannot be asked.
    gateway.router.get(&path).await.expect(502);

    // The log has whole answers only.
    let own = gateway.router.post("/v1/responses", &Api::Responses.request("fake/m", false, "hi")).await.expect(200);
    let path = format!("/v1/responses/{}", own.json()["id"].as_str().unwrap());
    logged(&gateway, &own).await;
    gateway.router.get(&path).await.expect(200);
    let refused = gateway.router.get(&format!("{path}?stream=true")).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(Api::Responses.error(&refused).contains("without `stream=true`"), "{}", refused.text());
}

#[tokio::test]
async fn tools_of_a_chat_client_reach_models_that_call_them_only_in_responses() {
    let gateway = gateway().await;
    let body = |model: &str, effort: &str| {
        json!({"model": model, "tools": tools(Api::Chat), "reasoning_effort": effort,
            "messages": [{"role": "user", "content": "hi"}]})
    };
    for (model, effort, path) in [
        ("gpt-6-sol", "low", "/v1/responses"),
        ("gpt-6-sol", "none", "/v1/chat/completions"),
        ("gpt-6-astra", "none", "/v1/responses"),
        ("gpt-5", "low", "/v1/chat/completions"),
    ] {
        gateway.router.post("/v1/chat/completions", &body(&format!("gpt/{model}"), effort)).await.expect(200);
        assert_eq!(gateway.fake.calls_of(model).pop().unwrap().path, path, "{model} {effort}");
    }
    // The files of the account are the same in both APIs.
    let mut with_file = body("gpt/gpt-6-sol", "low");
    with_file["messages"][0]["content"] = json!([{"type": "file", "file": {"file_id": "file-1"}}]);
    let answer = gateway.router.post("/v1/chat/completions", &with_file).await.expect(200);
    assert_eq!(answer.header("x-signalbox-translation"), "chat-responses");
    let part = json!({"type": "input_file", "file_id": "file-1"});
    assert_eq!(sent(&gateway, "gpt-6-sol")["input"][0]["content"], json!([part]));
    // A route says so for models with other names, also against what the provider is configured to speak.
    let target = json!({"provider": "fake", "model": "my-deployment", "api": "responses"});
    gateway.stack.api.post("/api/routes", &json!({"model": "r", "targets": [target]})).await.expect(201);
    gateway.router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
    let answer = gateway.router.post("/v1/chat/completions", &body("r", "low")).await.expect(200);
    assert_eq!(gateway.fake.calls_of("my-deployment").pop().unwrap().path, "/v1/responses");
    let row = gateway.stack.recorded(&request_id(&answer)).await;
    assert!(row["response"]["translation"].as_str().unwrap().starts_with("chat-responses"), "{row}");
    let plan = gateway.router.post("/v1/chat/completions?explain=dry-run", &body("r", "low")).await.expect(200).json();
    assert_eq!((&plan["targets"][0]["api"], &plan["targets"][0]["translated"]), (&json!("responses"), &json!(true)));
}
