//! Answers of Responses that the request log keeps.

use serde_json::{Value, json};
use signalbox_fakes::{Turn, script::FaultKind};
use signalbox_harness::{Launch, eventually};

use super::{Api, logged};
use crate::{
    catalog::database,
    gateway::{Gateway, error_of},
};

/// Starts a gateway whose provider speaks Chat Completions only.
async fn gateway(launch: Launch) -> Gateway {
    Gateway::of("openai-compatible", launch).await
}

#[tokio::test]
async fn input_items_are_paged_in_both_orders() {
    let gateway = gateway(Launch::default()).await;
    let texts = ["a", "b", "c", "d", "e"];
    let input: Vec<Value> =
        texts.iter().map(|text| json!({"type": "message", "role": "user", "content": text})).collect();
    let answer = gateway.router.post("/v1/responses", &json!({"model": "fake/m", "input": input})).await.expect(200);
    let path = format!("/v1/responses/{}/input_items", answer.json()["id"].as_str().unwrap());
    for (order, expected) in [("", "e d c b a"), ("order=asc&", "a b c d e"), ("order=desc&", "e d c b a")] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = gateway.router.get(&format!("{path}?{order}limit=2{after}")).await.expect(200).json();
            seen.extend(
                page["data"].as_array().unwrap().iter().map(|item| item["content"].as_str().unwrap().to_owned()),
            );
            if page["has_more"] == false {
                break;
            }
            after = format!("&after={}", page["last_id"].as_str().unwrap());
        }
        assert_eq!(seen.join(" "), expected, "{order}");
    }
    for query in ["limit=0", "limit=101", "limit=x", "order=up", "after=nothing"] {
        let refused = gateway.router.get(&format!("{path}?{query}")).await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.text());
    }
}

#[tokio::test]
async fn an_answer_that_the_log_has_cut_is_not_continued() {
    let config = "[journal]\nmax_answer_bytes = \"2KiB\"\n";
    let gateway = gateway(Launch::default().config("provider-router", config)).await;
    gateway.fake.script("m", Turn::says("word ".repeat(2000)));
    for stream in [false, true] {
        let answer = gateway.router.post("/v1/responses", &Api::Responses.request("fake/m", stream, "hi")).await;
        assert!(answer.complete && answer.status == 200);
        let row = logged(&gateway, &answer).await;
        assert_eq!((&row["status"], &row["response"]["truncated"]), (&json!("completed"), &json!(true)), "{row}");
        let id = format!("resp_{}", row["request_id"].as_str().unwrap().replace('-', ""));
        assert!(answer.text().contains(&id));
        let calls = gateway.fake.calls().len();
        let next = json!({"model": "fake/m", "input": "go on", "previous_response_id": id});
        for refused in [
            gateway.router.get(&format!("/v1/responses/{id}")).await,
            gateway.router.post("/v1/responses", &next).await,
        ] {
            assert_eq!(refused.status, 404, "{stream}: {}", refused.text());
            assert!(refused.text().contains("keeps only its beginning"), "{stream}: {}", refused.text());
        }
        assert_eq!(gateway.fake.calls().len(), calls, "no provider gets half a conversation");
    }
}

#[tokio::test]
async fn a_continued_answer_shares_its_session_and_is_named() {
    for (provider, stream) in [(Api::Chat, false), (Api::Chat, true), (Api::Responses, false), (Api::Responses, true)] {
        let gateway = provider.gateway().await;
        let ask = async |text: &str, previous: Option<&str>| {
            let mut body = Api::Responses.request("fake/m", stream, text);
            body["previous_response_id"] = previous.into();
            let answer = gateway.router.post("/v1/responses", &body).await;
            assert!(answer.complete && answer.status == 200, "{}", answer.text());
            let row = logged(&gateway, &answer).await;
            let kept = match &row["response"]["openai_response"] {
                Value::String(text) => serde_json::from_str(text).unwrap(),
                other => other.clone(),
            };
            (
                kept["id"].as_str().unwrap().to_owned(),
                row["session_id"].as_str().unwrap().to_owned(),
                answer.text(),
                kept,
            )
        };
        let what = format!("{}, stream {stream}", provider.name());
        let (first, session, ..) = ask("remember seven", None).await;
        let (_, other, ..) = ask("another conversation", None).await;
        assert_ne!(session, other, "{what}");
        let (second, next, text, kept) = ask("and eight", Some(&first)).await;
        assert_eq!(next, session, "{what}");
        assert_eq!(ask("and nine", Some(&second)).await.1, session, "{what}");
        if provider == Api::Chat {
            // In the answer, in all of its events, and when it is read later.
            let named = format!("\"previous_response_id\":\"{first}\"");
            assert_eq!(text.matches(&named).count(), if stream { 3 } else { 1 }, "{what}: {text}");
            assert_eq!(kept["previous_response_id"], json!(first), "{what}");
            let read = gateway.router.get(&format!("/v1/responses/{second}")).await.expect(200).json();
            assert_eq!(read["previous_response_id"], json!(first), "{what}");
        }
    }
}

#[tokio::test]
async fn a_conversation_needs_a_provider_of_responses() {
    let body = json!({"model": "fake/m", "input": "x", "conversation": "conv_1"});
    let gateway = Api::Responses.gateway().await;
    gateway.router.post("/v1/responses", &body).await;
    let sent: Value = serde_json::from_slice(&gateway.fake.calls_of("m").pop().unwrap().body).unwrap();
    assert_eq!(sent["conversation"], "conv_1");

    for provider in [Api::Chat, Api::Messages] {
        let gateway = provider.gateway().await;
        for (stream, conversation) in
            [(false, json!("conv_1")), (true, json!("conv_1")), (false, json!({"id": "conv_1"}))]
        {
            let mut body = body.clone();
            body["stream"] = stream.into();
            body["conversation"] = conversation;
            let refused = gateway.router.post("/v1/responses", &body).await;
            let error = error_of(&refused, 400);
            assert_eq!((&error["code"], &error["param"]), (&json!("unsupported_parameter"), &json!("conversation")));
            assert!(error["message"].as_str().unwrap().contains("`conversation`"), "{error}");
            assert_eq!(logged(&gateway, &refused).await["status"], "failed");
        }
        assert!(gateway.fake.calls_of("m").is_empty());
    }
}

#[tokio::test]
async fn an_answer_that_broke_off_has_failed() {
    let gateway = gateway(Launch::default()).await;
    gateway.fake.script("m", Turn::says("one two three four").after(3, FaultKind::Close));
    let broken = gateway.router.post("/v1/responses", &Api::Responses.request("fake/m", true, "hi")).await;
    let row = logged(&gateway, &broken).await;
    assert_eq!(row["status"], "truncated", "{row}");
    let id = format!("resp_{}", row["request_id"].as_str().unwrap().replace('-', ""));
    let kept = gateway.router.get(&format!("/v1/responses/{id}")).await.expect(200).json();
    assert_eq!((&kept["status"], kept["error"].is_object()), (&json!("failed"), true), "{kept}");
    let open = kept["output"].as_array().unwrap().iter().filter(|item| item["status"] == "in_progress").count();
    assert_eq!(open, 0, "{kept}");
}

#[tokio::test]
async fn a_new_answer_is_unavailable_and_not_missing_while_the_database_is_behind() {
    let gateway = gateway(Launch::default()).await;
    let mut database = database(&gateway.stack.home).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut database).await.unwrap();
    let answer = gateway.router.post("/v1/responses", &Api::Responses.request("fake/m", false, "hi")).await.expect(200);
    let path = format!("/v1/responses/{}", answer.json()["id"].as_str().unwrap());
    let behind = gateway.router.get(&path).await.expect(503);
    assert_eq!((&behind.json()["error"]["code"], behind.header("retry-after")), (&json!("log_behind"), "1"));
    sqlx::query("ROLLBACK").execute(&mut database).await.unwrap();
    eventually("the answer in the log", async || (gateway.router.get(&path).await.status == 200).then_some(())).await;
}

crate::manner::rudely! {
    an_answer_that_the_log_has_cut_is_not_continued,
    a_continued_answer_shares_its_session_and_is_named,
}
