//! The three APIs in front of providers of each of them.

mod accounts;
mod counts;
mod kept;
mod models;
mod moved;
mod presets;

use http::Method;
use serde_json::{Value, json};
use signalbox_fakes::{Turn, script::FaultKind};
use signalbox_grammar as grammar;
use signalbox_harness::{Answer, Launch};

use crate::gateway::{Gateway, request_id};

/// An API: its path, and a type of provider that speaks it only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Chat,
    Messages,
    Responses,
}

pub(crate) const APIS: [Api; 3] = [Api::Chat, Api::Messages, Api::Responses];

// === impl Api ===

impl Api {
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
            Self::Responses => "responses",
        }
    }

    /// Starts a gateway whose provider `fake` speaks this API only.
    pub(crate) async fn gateway(self) -> Gateway {
        self.launch(Launch::default()).await
    }

    /// Starts a gateway with these settings.
    pub(crate) async fn launch(self, launch: Launch) -> Gateway {
        let gateway = Gateway::of("openai-compatible", launch).await;
        let config = json!({"config": {"apis": self.name()}});
        gateway.stack.api.put("/api/providers/fake/config", &config).await.expect(200);
        gateway.router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
        gateway
    }

    pub(crate) fn request(self, model: &str, stream: bool, text: &str) -> Value {
        match self {
            Self::Chat => {
                json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]})
            }
            Self::Messages => {
                json!({"model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
            }
            Self::Responses => json!({"model": model, "stream": stream, "input": text}),
        }
    }

    /// Returns the text of a whole answer.
    #[track_caller]
    fn text(self, answer: &Value) -> String {
        let text = match self {
            Self::Chat => &answer["choices"][0]["message"]["content"],
            Self::Messages => &answer["content"][0]["text"],
            Self::Responses => &answer["output"][0]["content"][0]["text"],
        };
        text.as_str().unwrap_or_else(|| panic!("no text: {answer}")).to_owned()
    }

    /// Returns the text of a stream, and whether it has its last event.
    pub(crate) fn streamed(self, stream: &str) -> (String, bool) {
        let (mut text, mut is_complete) = (String::new(), false);
        for data in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let event: Value = serde_json::from_str(data).unwrap_or_default();
            let piece = match self {
                Self::Chat => &event["choices"][0]["delta"]["content"],
                Self::Messages => &event["delta"]["text"],
                Self::Responses if event["type"] == "response.output_text.delta" => &event["delta"],
                Self::Responses => &Value::Null,
            };
            text.push_str(piece.as_str().unwrap_or_default());
            is_complete |= match self {
                Self::Chat => data == "[DONE]",
                Self::Messages => event["type"] == "message_stop",
                Self::Responses => event["type"] == "response.completed",
            };
        }
        (text, is_complete)
    }

    /// Returns the message of an error in this API's form.
    #[track_caller]
    pub(crate) fn error(self, answer: &Answer) -> String {
        let error = answer.json();
        if self == Self::Messages {
            assert!(error["type"] == "error" && error["request_id"].is_string(), "{error}");
        }
        error["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {error}")).to_owned()
    }
}

/// Returns the row of a request in the log, once it has ended.
pub(crate) async fn logged(gateway: &Gateway, answer: &Answer) -> Value {
    gateway.stack.recorded(&request_id(answer)).await
}

#[tokio::test]
async fn every_api_works_in_front_of_every_provider() {
    for provider in APIS {
        let gateway = provider.gateway().await;
        for client in APIS {
            let pair = format!("{client:?} to {provider:?}");
            let whole = gateway.router.post(client.path(), &client.request("fake/m", false, "one two three")).await;
            assert_eq!(whole.status, 200, "{pair}: {}", whole.text());
            assert_eq!(client.text(&whole.json()), "one two three", "{pair}");
            let stream = gateway.router.post(client.path(), &client.request("fake/m", true, "one two three")).await;
            assert!(stream.complete && stream.header("content-type").starts_with("text/event-stream"), "{pair}");
            assert_eq!(client.streamed(&stream.text()), ("one two three".to_owned(), true), "{pair}");
            for answer in [&whole, &stream] {
                let translation = answer.header("x-signalbox-translation");
                if client == provider {
                    assert_eq!(translation, "", "{pair}");
                } else {
                    let apis = format!("{}-{}", client.name(), provider.name());
                    assert!(translation.starts_with(&apis), "{pair}: {translation}");
                }
                let row = logged(&gateway, answer).await;
                assert_eq!(
                    (&row["status"], &row["path"]),
                    (&json!("completed"), &json!(client.path())),
                    "{pair}: {row}"
                );
                assert_eq!(client.text(&row["response"]["openai_response"]), "one two three", "{pair}: {row}");
                let total = row["response"]["total_tokens"].as_i64();
                assert!(total.is_some_and(|total| total > 0), "{pair}: {row}");
                // The request as it was sent is in the log, too.
                let sent = gateway.fake.calls().iter().rev().any(|call| {
                    serde_json::from_slice::<Value>(&call.body).is_ok_and(|body| body == row["qwen_request"])
                });
                assert!(sent, "{pair}: {row}");
            }
        }
        for call in gateway.fake.calls() {
            assert_eq!(call.path.trim_start_matches("/v1"), provider.path().trim_start_matches("/v1"), "{provider:?}");
        }
    }
}

#[tokio::test]
async fn nothing_but_the_model_changes_where_the_provider_speaks_the_api() {
    for api in APIS {
        let gateway = api.gateway().await;
        let answer = match api {
            Api::Chat => {
                r#"{ "id":"c", "choices":[ {"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"} ], "odd": 1e400 }"#
            }
            Api::Messages => {
                r#"{ "type":"message", "content":[ {"type":"text","text":"hi"} ], "stop_reason":"end_turn", "odd": 1e400 }"#
            }
            Api::Responses => r#"{ "object":"response", "status":"completed", "output":[ ], "odd": 1e400 }"#,
        };
        gateway.fake.script("m", Turn::raw("application/json", answer));
        let mut body = serde_json::to_string(&api.request("fake/m", false, "\u{e9} \u{1F600}")).unwrap();
        // The fakes of the other two refuse fields that their vendors do not know.
        let field = match api {
            Api::Chat => r#" "x" : [1.50, 1e400 , {"y":"\u00e9"}] , "#,
            Api::Messages | Api::Responses => r#" "metadata" : { "user_id" : "\u00e9" } ,  "temperature" : 1.0,"#,
        };
        body.insert_str(1, field);
        let passed = gateway.router.request(Method::POST, api.path(), body.clone()).await;
        assert_eq!((passed.status, passed.text().as_str()), (200, answer), "{api:?}");
        let call = gateway.fake.calls_of("m").pop().unwrap();
        assert_eq!(String::from_utf8_lossy(&call.body), body.replace("fake/m", "m"), "{api:?}");

        let stream = match api {
            Api::Chat => {
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"odd\":1e400}]}\r\n\r\n: note\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n"
            }
            Api::Messages => {
                "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"odd\":1e400}}\r\n\r\nevent: odd\r\ndata: {\"type\":\"odd\"}\r\n\r\n: note\r\n\r\ndata:{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"a\"}}\r\n\r\nevent: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n"
            }
            Api::Responses => {
                "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"odd\":1e400}}\n\nevent: response.odd\ndata: {\"type\":\"response.odd\"}\n\n: note\n\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\"}}\n\n"
            }
        };
        gateway.fake.script("s", Turn::raw("text/event-stream", stream));
        let passed = gateway.router.post(api.path(), &api.request("fake/s", true, "hi")).await;
        assert_eq!((passed.status, passed.text().as_str(), passed.complete), (200, stream, true), "{api:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error_in_every_api() {
    for provider in APIS {
        let gateway = provider.gateway().await;
        gateway.fake.script("cut", Turn::says("one two three four").after(4, FaultKind::Reset));
        for client in APIS {
            let pair = format!("{client:?} to {provider:?}");
            let answer = gateway.router.post(client.path(), &client.request("fake/cut", true, "hi")).await;
            let text = answer.text().replace("\r\n", "\n");
            assert!(!answer.complete, "{pair} ended cleanly: {text}");
            assert!(!client.streamed(&text).1, "{pair}: {text}");
            let error = match client {
                Api::Chat => "data: {\"error\":{",
                Api::Messages => "event: error\ndata: {\"type\":\"error\",\"error\":{",
                Api::Responses => "event: response.failed\ndata: {\"type\":\"response.failed\",",
            };
            assert!(text.contains(error), "{pair}: {text}");
            assert_eq!(logged(&gateway, &answer).await["status"], "truncated", "{pair}");
        }
    }
}

#[tokio::test]
async fn comments_of_a_chat_provider_are_pings_for_messages() {
    let gateway = Api::Chat.gateway().await;
    gateway.fake.script("m", Turn::says("one two three").chat(|chat| chat.comments = true));
    let answer = gateway.router.post("/v1/messages", &Api::Messages.request("fake/m", true, "hi")).await;
    let text = answer.text();
    let frames = grammar::frames(text.as_bytes());
    assert_eq!((grammar::messages(&frames).text.as_str(), answer.complete), ("one two three", true), "{text}");
    let pings = frames.iter().filter(|(name, _)| name.as_deref() == Some("ping")).count();
    assert!((3..=8).contains(&pings), "{pings} pings: {text}");
    // They are no part of the answer.
    let row = logged(&gateway, &answer).await;
    assert_eq!(Api::Messages.text(&row["response"]["openai_response"]), "one two three", "{row}");
}

#[tokio::test]
async fn refusals_have_the_form_of_the_clients_api() {
    for provider in APIS {
        let gateway = provider.gateway().await;
        for (model, status) in [("full", 429), ("busy", 503), ("key", 401)] {
            gateway.fake.script(model, Turn::error(status).header("retry-after", "7"));
            for client in APIS {
                let pair = format!("{model}: {client:?} to {provider:?}");
                let answer =
                    gateway.router.post(client.path(), &client.request(&format!("fake/{model}"), true, "hi")).await;
                assert_eq!(answer.status, status, "{pair}: {}", answer.text());
                assert!(!client.error(&answer).is_empty(), "{pair}");
                assert_eq!(answer.header("retry-after"), "7", "{pair}");
            }
        }
        for client in APIS {
            let answer = gateway.router.request(Method::POST, client.path(), "{").await;
            assert_eq!(answer.status, 400);
            assert!(client.error(&answer).contains("not valid JSON"), "{}", answer.text());
            let wrong_method = gateway.router.request(Method::PATCH, client.path(), "{}").await;
            assert_eq!(wrong_method.status, 405, "{client:?}: {}", wrong_method.text());
        }
    }
}

#[tokio::test]
async fn losses_are_told_or_refused() {
    let gateway = Api::Chat.gateway().await;
    let mut body = Api::Messages.request("fake/m", false, "hi");
    body["top_k"] = json!(5);
    let lossy = gateway.router.post("/v1/messages", &body).await;
    assert_eq!((lossy.status, lossy.header("x-signalbox-translation")), (200, "messages-chat; top_k=dropped"));
    let strict = gateway.router.with_header("x-signalbox-strict", "true");
    let refused = strict.post("/v1/messages", &body).await;
    assert_eq!(refused.status, 400);
    assert!(Api::Messages.error(&refused).contains("`top_k`"), "{}", refused.text());
    let sent = gateway.fake.calls_of("m").len();
    assert_eq!(sent, 1, "a refused request is not sent");
}

#[tokio::test]
async fn answers_of_responses_can_be_read_and_continued_in_front_of_any_provider() {
    let gateway = Api::Chat.gateway().await;
    let router = &gateway.router;
    let first = router.post("/v1/responses", &json!({"model": "fake/m", "input": "remember seven"})).await.expect(200);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let second = router
        .post(
            "/v1/responses",
            &json!({"model": "fake/m", "stream": true, "input": "and eight", "previous_response_id": id}),
        )
        .await;
    assert!(second.complete && Api::Responses.streamed(&second.text()).1, "{}", second.text());
    let sent: Value = serde_json::from_slice(&gateway.fake.calls_of("m").pop().unwrap().body).unwrap();
    let said: Vec<_> =
        sent["messages"].as_array().unwrap().iter().map(|message| (&message["role"], &message["content"])).collect();
    assert_eq!(said.len(), 3, "{sent}");
    assert_eq!((said[1].0, said[1].1), (&json!("assistant"), &json!("remember seven")), "{sent}");

    let item = first.json()["output"][0]["id"].clone();
    let referring = json!({"model": "fake/m", "input": [
        {"role": "user", "content": "remember seven"}, {"type": "item_reference", "id": item}, {"role": "user", "content": "go on"},
    ]});
    router.post("/v1/responses", &referring).await.expect(200);
    let sent: Value = serde_json::from_slice(&gateway.fake.calls_of("m").pop().unwrap().body).unwrap();
    assert_eq!(sent["messages"][1]["content"], "remember seven", "{sent}");

    let path = format!("/v1/responses/{id}");
    assert_eq!(router.get(&path).await.expect(200).json()["output"], first.json()["output"]);
    let items = router.get(&format!("{path}/input_items")).await.expect(200).json();
    assert_eq!(items["data"][0]["content"][0]["text"], "remember seven", "{items}");
    assert_eq!(router.request(Method::POST, &format!("{path}/cancel"), "").await.status, 400);
    assert_eq!(router.delete(&path).await.expect(200).json()["deleted"], true);
    assert_eq!(router.get(&path).await.status, 404);

    for (body, field) in [
        (json!({"model": "fake/m", "input": "x", "previous_response_id": id}), "not stored"),
        (json!({"model": "fake/m", "input": "x", "previous_response_id": "resp_unknown"}), "not stored"),
    ] {
        let refused = router.post("/v1/responses", &body).await;
        assert_eq!(refused.status, 404, "{}", refused.text());
        assert!(Api::Responses.error(&refused).contains(field), "{}", refused.text());
    }
    let unstored = json!({"model": "fake/m", "input": "x", "store": false});
    let id = router.post("/v1/responses", &unstored).await.expect(200).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(router.get(&format!("/v1/responses/{id}")).await.status, 404);
}

#[tokio::test]
async fn answers_that_a_provider_keeps_are_read_there() {
    let gateway = Api::Responses.gateway().await;
    let router = &gateway.router;
    let answer = router.post("/v1/responses", &Api::Responses.request("fake/m", false, "one two")).await.expect(200);
    let path = format!("/v1/responses/{}", answer.json()["id"].as_str().unwrap());
    assert_eq!(router.get(&path).await.expect(200).json()["output"], answer.json()["output"]);
    router.delete(&path).await.expect(200);
    let missing = router.get(&path).await;
    assert_eq!(missing.status, 404);
    assert!(Api::Responses.error(&missing).contains("not stored"), "{}", missing.text());
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider_or_estimated() {
    let gateway = Api::Messages.gateway().await;
    let body = Api::Messages.request("fake/m", false, "one two three");
    let counted = gateway.router.post("/v1/messages/count_tokens", &body).await.expect(200);
    assert!(counted.json()["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{}", counted.text());
    assert_eq!(counted.header("x-signalbox-estimate"), "");
    for (path, body) in [
        ("/v1/messages/count_tokens", Api::Messages.request("echo", false, "one two three")),
        ("/v1/responses/input_tokens", Api::Responses.request("echo", false, "one two three")),
    ] {
        let estimated = gateway.router.post(path, &body).await.expect(200);
        assert!(estimated.json()["input_tokens"].as_u64().is_some_and(|tokens| tokens > 3), "{}", estimated.text());
        assert_eq!(estimated.header("x-signalbox-estimate"), "true");
    }
}

#[tokio::test]
async fn every_route_to_a_provider_refuses_loops_and_compressed_bodies() {
    let gateway = Api::Responses.gateway().await;
    let looping = gateway.router.with_header("x-signalbox-hops", "4");
    let encoded = gateway.router.with_header("content-encoding", "gzip");
    for (path, body) in [
        ("/v1/responses", Api::Responses.request("fake/m", false, "hi")),
        ("/v1/responses/input_tokens", Api::Responses.request("fake/m", false, "hi")),
        ("/v1/messages/count_tokens", Api::Messages.request("fake/m", false, "hi")),
    ] {
        assert_eq!(looping.post(path, &body).await.status, 508, "{path}");
        assert_eq!(encoded.post(path, &body).await.status, 415, "{path}");
    }
    assert_eq!(looping.get("/v1/responses/resp_1").await.status, 508);
    assert!(gateway.fake.calls().is_empty());
}

#[tokio::test]
async fn clients_find_their_own_models_sessions_and_upgrades() {
    let gateway = Api::Chat.gateway().await;
    let anthropic = gateway.router.with_header("anthropic-version", "2023-06-01");
    let models = anthropic.get("/v1/models?limit=1000").await.expect(200).json();
    assert!(models["data"][0]["type"] == "model" && models["has_more"] == false, "{models}");
    let name = models["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(anthropic.get(&format!("/v1/models/{name}")).await.expect(200).json()["display_name"], name);
    assert_eq!(gateway.router.get("/v1/models").await.expect(200).json()["object"], "list");

    let claude = gateway.router.with_header("x-claude-code-session-id", "session-7");
    let answer = claude.post("/v1/messages", &Api::Messages.request("fake/m", false, "hi")).await.expect(200);
    assert_eq!(logged(&gateway, &answer).await["session_id"], "session-7");

    let upgrading = gateway.router.with_header("upgrade", "websocket");
    assert_eq!(upgrading.get("/v1/responses").await.status, 426);
    // Without it, the path shows the logged answers.
    assert!(gateway.router.get("/v1/responses").await.expect(200).json()["responses"].is_array());
    assert_eq!(gateway.router.get("/v1/messages").await.status, 405);
    for path in ["/v1/messages/nothing", "/v1/chat/nothing", "/v1/responses/x/y", "/v1/settings/x/y", "/v1/nothing"] {
        let missing = gateway.router.get(path).await;
        assert_eq!(missing.status, 404, "{path}");
        let api = if path.starts_with("/v1/messages") { Api::Messages } else { Api::Responses };
        assert!(api.error(&missing).contains(path), "{path}: {}", missing.text());
        let is_managed = path == "/v1/settings/x/y";
        assert_eq!(missing.json()["error"]["type"] == "not_found_error", is_managed || api == Api::Messages, "{path}");
    }
}

#[tokio::test]
async fn a_page_may_read_the_ids_and_what_was_translated() {
    let gateway = Api::Chat.gateway().await;
    let page = gateway.router.with_header("origin", "http://localhost:5173");
    let answer = page.post("/v1/messages", &Api::Messages.request("fake/m", false, "hi")).await.expect(200);
    let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
    let names: Vec<&str> = exposed.split(", ").collect();
    let own = answer.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-signalbox-"));
    for name in own.chain(["x-signalbox-translation", "x-request-id", "request-id", "retry-after"]) {
        assert!(names.contains(&name), "{name} is not in {exposed}");
    }
}

crate::manner::rudely! {
    every_api_works_in_front_of_every_provider,
    nothing_but_the_model_changes_where_the_provider_speaks_the_api,
    comments_of_a_chat_provider_are_pings_for_messages,
    refusals_have_the_form_of_the_clients_api,
    answers_of_responses_can_be_read_and_continued_in_front_of_any_provider,
}
