//! Upper bounds for budgets.

use proptest::prelude::*;
use serde_json::json;
use signalbox_pricing::{Class, Expected, Missing, Tier, Tokens, Unit, Usage};

use super::{NOW, price, shipped};

#[test]
fn a_bound_uses_the_dearest_class_and_threshold() {
    let table = shipped();
    let price = table.find("anthropic", "p1", "claude-haiku-5-5", NOW).unwrap();
    // Long cache writes are the dearest class of the prompt.
    let bound = price.estimate(&Expected { input: 100_000, max_output: 1_000, ..Expected::default() }).unwrap();
    assert_eq!(bound.of(Class::CacheWriteLong).to_string(), "0.02");
    assert_eq!(bound.of(Class::Output).to_string(), "0.0005");
    assert_eq!(bound.total().to_string(), "0.0205");
    let bound = price.estimate(&Expected { input: 100_001, max_output: 1_000, ..Expected::default() }).unwrap();
    assert_eq!(bound.total().to_string(), "0.102501");
}

#[test]
fn a_bound_includes_the_request_the_tier_and_media() {
    let price = price(&json!({
        "id": "t/m",
        "base": {"in": "1", "in_audio": "5", "out": "2", "rs": "3", "out_audio": "7"},
        "tier": {"priority": {"x": [2, 1]}},
        "units": {"request": "0.5"},
    }));
    let bound = |has_media, tier| {
        let expected = Expected { input: 1_000_000, max_output: 1_000_000, has_media, tier };
        price.estimate(&expected).map(|cost| cost.total().to_string())
    };
    assert_eq!(bound(false, Tier::Standard), Ok("4.5".to_owned()));
    assert_eq!(bound(true, Tier::Standard), Ok("12.5".to_owned()));
    assert_eq!(bound(false, Tier::Priority), Ok("8.5".to_owned()));
    assert_eq!(bound(false, Tier::Flex), Err(Missing::Tier(Tier::Flex)));
    assert_eq!(price.estimate(&Expected::default()).unwrap().of_unit(Unit::Request).to_string(), "0.5");
}

#[test]
fn a_bound_needs_the_price_of_plain_text() {
    let table = shipped();
    let grok = table.find("xai", "p1", "grok-4.7", NOW).unwrap();
    let bound = |input| grok.estimate(&Expected { input, max_output: 1, ..Expected::default() });
    assert!(bound(200_000).is_ok());
    let missing = bound(200_001).unwrap_err().to_string();
    assert_eq!(missing, "the price of input tokens, output tokens is unknown");
    let embedding = price(&json!({"id": "t/m", "base": {"in": "0.02"}}));
    assert!(embedding.estimate(&Expected { input: 5, ..Expected::default() }).is_ok());
    assert!(embedding.estimate(&Expected { input: 5, max_output: 1, ..Expected::default() }).is_err());
}

#[test]
fn a_bound_holds_where_a_higher_threshold_is_cheaper() {
    for applies in ["request", "excess"] {
        let mut row = json!({
            "id": "t/m", "base": {"in": "9", "out": "1"}, "over_applies": applies,
            "over": [{"input_gt": 100, "in": "1", "out": "1"}],
        });
        if applies == "excess" {
            row["over"][0].as_object_mut().unwrap().remove("out");
        }
        let price = price(&row);
        let bound = price.estimate(&Expected { input: 101, ..Expected::default() }).unwrap();
        let cost = price.cost(&Tokens { input: 100, ..Tokens::default() }.into()).unwrap();
        assert!(cost.total() <= bound.total(), "{applies}");
    }
}

proptest! {
    #[test]
    fn no_shipped_price_exceeds_its_bound(parts in proptest::array::uniform6(0_u64..150_000)) {
        let [input, cache_read, cache_write_short, cache_write_long, output, reasoning] = parts;
        let tokens = Tokens {
            input, cache_read, cache_write_short, cache_write_long, output, reasoning, ..Tokens::default()
        };
        let table = shipped();
        for price in table.layers().flat_map(|layer| layer.prices()) {
            for tier in [Tier::Standard, Tier::Batch, Tier::Priority, Tier::Ultrafast] {
                let expected = Expected {
                    input: u64::try_from(tokens.prompt()).unwrap(),
                    max_output: u64::try_from(tokens.completion()).unwrap(),
                    tier,
                    ..Expected::default()
                };
                if let Ok(cost) = price.cost(&Usage { tier, ..tokens.into() }) {
                    prop_assert!(cost.total() <= price.estimate(&expected).unwrap().total(), "{}", price.id());
                }
            }
        }
    }
}

#[test]
fn the_largest_request_has_a_bound() {
    let table = shipped();
    let astra = table.find("openai", "p1", "gpt-6-astra", NOW).unwrap();
    let expected = Expected { input: u64::MAX, max_output: u64::MAX, ..Expected::default() };
    let bound = astra.estimate(&expected).unwrap();
    // 50 dollars of long cache writes and 75 of output, per million tokens, above the threshold.
    assert_eq!(bound.total().picos(), u128::from(u64::MAX) * 125_000_000);
}
