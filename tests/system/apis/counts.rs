//! The token counts of the three APIs in the log.

use serde_json::json;
use signalbox_fakes::{
    Turn,
    script::{Tokens, Usage},
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
    let config = json!({"config": {"apis": "chat", "streamUsage": "ask"}});
    gateway.stack.api.put("/api/providers/fake/config", &config).await.expect(200);
    gateway.router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
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
