//! Costs of requests, from the price table to the log.

use serde_json::{Value, json};
use signalbox_fakes::{
    Turn,
    script::{FaultKind, Tokens, Usage},
};
use signalbox_harness::{Answer, eventually};

use crate::apis::{APIS, Api, logged};
use crate::gateway::Gateway;

/// Prices of the provider `fake` in dollars per million tokens, which are thousands of nano-dollars per token.
fn prices() -> Value {
    json!({"prices": [{
        "id": "fake-m", "provider_id": "fake", "match": ["m"],
        "base": {"in": "2", "cr": "0.5", "cw_s": "2.5", "cw_l": "4", "out": "8", "rs": "6"},
    }]})
}

/// Sets the prices, and waits until the router has them. Returns their version.
async fn set_prices(gateway: &Gateway) -> String {
    let shown = gateway.stack.api.put("/api/prices", &prices()).await.expect(200).json();
    gateway.router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);
    assert_eq!(gateway.router.get("/v1/prices").await.expect(200).json(), shown);
    shown["version"].as_str().unwrap().to_owned()
}

async fn ask(gateway: &Gateway, api: Api, model: &str, stream: bool) -> Value {
    let answer: Answer = gateway.router.post(api.path(), &api.request(model, stream, "hello")).await;
    assert_eq!(answer.status, 200, "{api:?}: {}", answer.text());
    logged(gateway, &answer).await["response"].clone()
}

#[tokio::test]
async fn whole_answers_name_their_cost() {
    for provider in APIS {
        let gateway = provider.gateway().await;
        let turn = Turn::says("one two three four five").chat(|chat| {
            chat.tokens = Tokens { input: 10, ..Tokens::default() };
            chat.usage = Usage::Always;
        });
        gateway.fake.script("m", turn.clone());
        gateway.fake.script("unknown", turn);
        set_prices(&gateway).await;
        for client in APIS {
            let answer =
                gateway.router.post(client.path(), &client.request("fake/m", false, "hello")).await.expect(200);
            let logged = logged(&gateway, &answer).await["response"]["cost"]["amount_usd"].as_f64().unwrap();
            let named: f64 = answer.header("x-signalbox-cost").parse().unwrap();
            assert!((named - logged).abs() < 1e-12 && named > 0.0, "{client:?} to {provider:?}: {named}, {logged}");
            for (model, stream) in [("fake/m", true), ("fake/unknown", false)] {
                let answer =
                    gateway.router.post(client.path(), &client.request(model, stream, "hello")).await.expect(200);
                assert!(!answer.headers.contains_key("x-signalbox-cost"), "{model}, stream {stream}");
            }
        }
    }
}

#[tokio::test]
async fn each_class_of_tokens_is_priced_in_every_api() {
    let tokens = Tokens { input: 10, cache_read: 4, cache_write: 2, cache_write_long: 0, reasoning: 3 };
    // 10 × 2,000 + 4 × 500 + 2 × 2,500 + 5 × 8,000 + 3 × 6,000 nano-dollars.
    let amount = 0.000_085;
    for provider in APIS {
        let gateway = provider.gateway().await;
        let turn = Turn::says("one two three four five").chat(|chat| {
            chat.tokens = tokens;
            chat.usage = Usage::Always;
        });
        gateway.fake.script("m", turn.clone());
        gateway.fake.script("unknown", turn);
        let version = set_prices(&gateway).await;
        let mut requests = 0;
        for client in APIS {
            for stream in [false, true] {
                let response = ask(&gateway, client, "fake/m", stream).await;
                let expected = json!({"amount_usd": amount, "origin": "computed", "price_version": version});
                assert_eq!(response["cost"], expected, "{client:?} to {provider:?}, stream {stream}: {response}");
                requests += 1;
            }
        }
        let response = ask(&gateway, provider, "fake/unknown", false).await;
        let unknown = json!({"amount_usd": null, "origin": "unknown: price", "price_version": version});
        assert_eq!(response["cost"], unknown, "{provider:?}");

        let stats = gateway.stack.api.get("/api/responses/stats").await.expect(200).json();
        assert_eq!((requests, &stats["unpriced"]), (6, &json!(1)), "{stats}");
        assert_eq!(stats["total_cost_usd"], json!(0.000_51), "{stats}");
        let stats = gateway.stack.api.get("/api/activity/stats").await.expect(200).json();
        assert_eq!((&stats["stats"]["total_cost_usd"], &stats["stats"]["unpriced"]), (&json!(0.000_51), &json!(1)));
        let listed = gateway.stack.api.get("/api/requests").await.expect(200).json();
        let costs: Vec<_> =
            listed["requests"].as_array().unwrap().iter().map(|row| &row["response_summary"]["cost_usd"]).collect();
        assert_eq!((costs[0], costs[1]), (&Value::Null, &json!(amount)), "{listed}");
        let metrics = gateway.router.get("/metrics").await.expect(200).text();
        assert!(metrics.contains(r#"signalbox_cost_dollars_total{gen_ai_provider_name="fake"} 0.0005"#), "{metrics}");
        assert!(metrics.contains(r#"signalbox_unpriced_total{gen_ai_provider_name="fake"} 1"#), "{metrics}");
    }
}

#[tokio::test]
async fn a_reported_cost_wins_and_prices_change_while_running() {
    let gateway = Api::Chat.gateway().await;
    set_prices(&gateway).await;
    let usage = r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.0123456}"#;
    let choice = r#""index":0,"finish_reason":"stop""#;
    let whole = format!(r#"{{"choices":[{{{choice},"message":{{"role":"assistant","content":"hi"}}}}],{usage}}}"#);
    let stream =
        format!("data: {{\"choices\":[{{{choice},\"delta\":{{\"content\":\"hi\"}}}}],{usage}}}\n\ndata: [DONE]\n\n");
    let reported = json!({"amount_usd": 0.012_345_6, "origin": "reported", "price_version": null});
    gateway.fake.script("m", Turn::raw("application/json", &whole));
    assert_eq!(ask(&gateway, Api::Chat, "fake/m", false).await["cost"], reported);
    gateway.fake.script("m", Turn::raw("text/event-stream", &stream));
    assert_eq!(ask(&gateway, Api::Chat, "fake/m", true).await["cost"], reported);

    // The API of the client has no place for the cost, but the log has.
    assert_eq!(ask(&gateway, Api::Messages, "fake/m", true).await["cost"], reported);

    let computed = whole.replace(",\"cost\":0.0123456", ",\"cost\":null");
    gateway.fake.script("m", Turn::raw("application/json", &computed));
    let cost = ask(&gateway, Api::Chat, "fake/m", false).await["cost"].clone();
    assert_eq!((&cost["amount_usd"], &cost["origin"]), (&json!(0.000_06), &json!("computed")));

    // Without the override, the price is unknown, and the sum keeps what is known.
    gateway.router.delete("/v1/prices").await.expect(200);
    let cost = eventually("the prices are removed", async || {
        let cost = ask(&gateway, Api::Chat, "fake/m", false).await["cost"].clone();
        (cost["origin"] == "unknown: price").then_some(cost)
    })
    .await;
    assert_eq!(cost["amount_usd"], Value::Null);

    // A failed request costs nothing known, and is not counted as unpriced.
    gateway.fake.script("m", Turn::error(400));
    let failed = gateway.router.post("/v1/chat/completions", &Api::Chat.request("fake/m", false, "hello")).await;
    assert_eq!(logged(&gateway, &failed).await["response"]["cost"], Value::Null);
}

/// Computes the cost of a row from its tokens, in nano-dollars.
fn recomputed(tokens: &Value) -> i64 {
    let of = |class: &str| tokens[class].as_i64().unwrap_or_else(|| panic!("no {class} in {tokens}"));
    of("input") * 2_000
        + of("cache_read") * 500
        + of("cache_write_short") * 2_500
        + of("cache_write_long") * 4_000
        + of("output") * 8_000
        + of("reasoning") * 6_000
}

#[tokio::test]
async fn costs_recomputed_from_the_rows_are_those_of_the_rows_and_of_the_sums() {
    let gateway = Api::Messages.gateway().await;
    set_prices(&gateway).await;
    let (mut sum, mut number) = (0, 0);
    for n in 0..8_u32 {
        let tokens = Tokens {
            input: 10 + 7 * n,
            cache_read: 13 * (n % 3),
            cache_write: 5 * (n % 2),
            cache_write_long: 3 * (n % 4),
            reasoning: n,
        };
        let turn = Turn::says("one two three").chat(|chat| {
            chat.tokens = tokens;
            chat.usage = Usage::Always;
        });
        gateway.fake.script("m", turn);
        for client in APIS {
            let response = ask(&gateway, client, "fake/m", n % 2 == 0).await;
            let nanos = recomputed(&response["tokens"]);
            assert!(nanos > 0, "{response}");
            let cost = json!(format!("0.{nanos:09}").parse::<f64>().unwrap());
            assert_eq!(response["cost"]["amount_usd"], cost, "{client:?} {n}: {response}");
            sum += nanos;
            number += 1;
        }
    }
    for by in ["model", "provider"] {
        let sums = gateway.stack.api.get(&format!("/api/usage?by={by}")).await.expect(200).json();
        let one = &sums["usage"][0];
        let expected = json!(format!("0.{sum:09}").parse::<f64>().unwrap());
        assert_eq!((&one["requests"], &one["cost_usd"]), (&json!(number), &expected), "{sums}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_has_an_estimated_cost() {
    for api in APIS {
        let gateway = api.gateway().await;
        let version = set_prices(&gateway).await;
        let words = Turn::says("one two three four five six seven eight nine ten eleven twelve");
        gateway.fake.script("m", words.after(12, FaultKind::Close));
        let answer = gateway.router.post(api.path(), &api.request("fake/m", true, "hello")).await;
        assert!(!answer.complete, "{api:?}: {}", answer.text());
        let row = logged(&gateway, &answer).await;
        let cost = &row["response"]["cost"];
        assert_eq!((&row["status"], &cost["origin"]), (&json!("truncated"), &json!("estimated")), "{api:?}: {row}");
        let amount = cost["amount_usd"].as_f64().unwrap();
        assert!((0.000_008..0.001).contains(&amount) && cost["price_version"] == version.as_str(), "{api:?}: {row}");
        let stats = gateway.stack.api.get("/api/responses/stats").await.expect(200).json();
        assert_eq!(
            (&stats["total_cost_usd"], &stats["unpriced"]),
            (&cost["amount_usd"], &json!(0)),
            "{api:?}: {stats}"
        );
    }
}
