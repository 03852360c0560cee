//! The token counts of the three APIs in the log.

use serde_json::{Value, json};
use signalbox_fakes::{
    Turn,
    script::{Script, Tokens, Usage},
};

use super::{APIS, Api, logged};

#[tokio::test]
async fn tokens_are_in_the_log_by_class_whatever_the_apis() {
    let tokens = Tokens { input: 10, cache_read: 4, cache_write: 2, cache_write_long: 0, reasoning: 3 };
    for provider in APIS {
        let gateway = provider.gateway().await;
        let turn = Turn::says("one two three four five").chat(|chat| {
            chat.tokens = tokens;
            chat.usage = Usage::Always;
        });
        gateway.fake.script("m", turn);
        for client in APIS {
            for stream in [false, true] {
                let pair = format!("{client:?} to {provider:?}, stream {stream}");
                let answer = gateway.router.post(client.path(), &client.request("fake/m", stream, "hello")).await;
                assert_eq!(answer.status, 200, "{pair}: {}", answer.text());
                let row = logged(&gateway, &answer).await;
                let (response, classes) = (&row["response"], &row["response"]["tokens"]);
                let names = ["input", "cache_read", "cache_write_short", "reasoning", "input_audio", "adjusted"];
                assert_eq!(
                    names.map(|name| classes[name].clone()),
                    [json!(10), json!(4), json!(2), json!(3), json!(0), json!(false)],
                    "{pair}: {response}"
                );
                let sum = |names: &[&str]| names.iter().map(|name| classes[name].as_i64().unwrap()).sum::<i64>();
                let prompt = sum(&names[..3]) + sum(&["cache_write_long", "input_audio", "input_image"]);
                let completion = sum(&["output", "reasoning", "output_audio", "output_image"]);
                assert_eq!(
                    (&response["prompt_tokens"], &response["completion_tokens"]),
                    (&json!(prompt), &json!(completion))
                );
                assert_eq!(
                    response["translation"].as_str().unwrap_or_default(),
                    answer.header("x-signalbox-translation"),
                    "{pair}"
                );
            }
        }
    }
}

#[tokio::test]
async fn streams_are_counted_for_clients_that_do_not_ask() {
    let gateway = Api::Chat.gateway().await;
    let request = Api::Chat.request("fake/m", true, "one two three");
    let silent = gateway.router.post(Api::Chat.path(), &request).await;
    assert!(silent.complete && Api::Chat.streamed(&silent.text()) == ("one two three".to_owned(), true));
    assert!(!silent.text().contains("prompt_tokens"), "{}", silent.text());
    let row = logged(&gateway, &silent).await;
    assert!(row["response"]["total_tokens"].as_i64().is_some_and(|total| total > 0), "{row}");
    assert_eq!(row["qwen_request"]["stream_options"], json!({"include_usage": true}), "{row}");

    let mut asking = request.clone();
    asking["stream_options"] = json!({"include_usage": true});
    let counted = gateway.router.post(Api::Chat.path(), &asking).await;
    assert_eq!(counted.text().matches("\"prompt_tokens\"").count(), 1, "{}", counted.text());

    let wrong = json!({"config": {"streamUsage": "sometimes"}});
    let refused = gateway.stack.api.put("/api/providers/fake/config", &wrong).await.expect(400);
    assert!(refused.text().contains("must be ask or client"), "{}", refused.text());
}

/// Returns an error of a server that does not know `stream_options`.
fn unknown_option(status: u16) -> Turn {
    let error = json!({"error": {"message": "Extra inputs are not permitted: stream_options", "code": null}});
    Turn { status, ..Turn::raw("application/json", error.to_string()) }
}

#[tokio::test]
async fn a_server_that_refuses_the_question_is_asked_without_it() {
    for (client, status) in [(Api::Chat, 400), (Api::Chat, 422), (Api::Messages, 400)] {
        let gateway = Api::Chat.gateway().await;
        gateway.fake.script("m", Script::first(1, unknown_option(status)).then(Turn::echo()));
        let request = client.request("fake/m", true, "one two three");
        for calls in [2, 3] {
            let answer = gateway.router.post(client.path(), &request).await;
            assert_eq!(client.streamed(&answer.text()), ("one two three".to_owned(), true), "{client:?} {status}");
            let sent = gateway.fake.calls_of("m");
            let asked = |call: &signalbox_fakes::Call| String::from_utf8_lossy(&call.body).contains("stream_options");
            let asked: Vec<bool> = sent.iter().map(asked).collect();
            assert_eq!(asked, [true, false, false][..calls], "{client:?} {status}: it is remembered");
            let row = logged(&gateway, &answer).await;
            assert_eq!((&row["response"]["attempts"], &row["status"]), (&json!(1), &json!("completed")), "{row}");
            let kept: Value = serde_json::from_slice(&sent[calls - 1].body).unwrap();
            assert_eq!(row["qwen_request"], kept, "{client:?} {status}");
        }
    }

    // A client that asks itself is told.
    let gateway = Api::Chat.gateway().await;
    gateway.fake.script("m", unknown_option(400));
    let mut asking = Api::Chat.request("fake/m", true, "hi");
    asking["stream_options"] = json!({"include_usage": true});
    let refused = gateway.router.post(Api::Chat.path(), &asking).await;
    assert_eq!((refused.status, gateway.fake.calls_of("m").len()), (400, 1), "{}", refused.text());

    // The same for a server that refuses everything else, too.
    let whole = gateway.router.post(Api::Chat.path(), &Api::Chat.request("fake/m", false, "hi")).await;
    assert_eq!((whole.status, gateway.fake.calls_of("m").len()), (400, 2), "{}", whole.text());
}
