//! Prices of images, audio, requests and the like.

use serde_json::{Value, json};
use signalbox_pricing::{Missing, Tier, Tokens, Unit, Units, Usage};

use super::price;

fn cost(prices: &Value, units: Units) -> Result<String, Missing> {
    let price = price(&json!({"id": "t/m", "base": {}, "units": prices}));
    price.cost(&Usage { units, ..Usage::default() }).map(|cost| cost.total().to_string())
}

#[test]
fn units_are_charged_by_number() {
    let none = Units::default();
    for (prices, units, total) in [
        (json!({"image": "0.04"}), Units { images: 3, ..none }, "0.12"),
        (json!({"audio_minute": "0.006"}), Units { audio_ms: 60_000, ..none }, "0.006"),
        (json!({"audio_minute": "0.006"}), Units { audio_ms: 1_500, ..none }, "0.00015"),
        (json!({"audio_second": "0.0001"}), Units { audio_ms: 1_500, ..none }, "0.00015"),
        // A seventh of a minute is rounded to pico-dollars.
        (json!({"audio_minute": "0.0043"}), Units { audio_ms: 1, ..none }, "0.000000071667"),
        (json!({"web_search": 10_000_000_u64}), Units { web_searches: 2, ..none }, "0.02"),
        (json!({"page": "0.001"}), Units { pages: 1_000, ..none }, "1"),
        (json!({"character": "0.000015"}), Units { characters: 1_000_000, ..none }, "15"),
        (json!({"request": "0.005"}), none, "0.005"),
        (json!({"request": "0.005", "image": 0}), Units { images: 9, ..none }, "0.005"),
        (json!({}), none, "0"),
    ] {
        assert_eq!(cost(&prices, units), Ok(total.to_owned()), "{prices}");
    }
}

#[test]
fn a_unit_without_a_price_makes_the_cost_unknown() {
    for (unit, units) in [
        (Unit::Image, Units { images: 1, ..Units::default() }),
        (Unit::AudioMinute, Units { audio_ms: 1, ..Units::default() }),
        (Unit::WebSearch, Units { web_searches: 1, ..Units::default() }),
        (Unit::Page, Units { pages: 1, ..Units::default() }),
        (Unit::Character, Units { characters: 1, ..Units::default() }),
    ] {
        match cost(&json!({"request": "1"}), units) {
            Err(Missing::Parts(parts)) => assert!(parts.has_unit(unit) && !parts.has_unit(Unit::Request)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn items_are_named_as_in_price_documents() {
    let price = price(&json!({"id": "t/m", "base": {"in": "1", "out": "2"}, "units": {"request": "0.5", "page": 0}}));
    let tokens = Tokens { input: 1, reasoning: 1, ..Tokens::default() };
    let cost = price.cost(&Usage { units: Units { pages: 1, ..Units::default() }, ..tokens.into() }).unwrap();
    let items: Vec<_> = cost.items().map(|(key, amount)| format!("{key} {amount}")).collect();
    assert_eq!(items, ["in 0.000001", "rs 0.000002", "request 0.5"]);
}

#[test]
fn service_tiers_are_read_by_name() {
    for (name, tier) in [
        ("", Tier::Standard),
        ("default", Tier::Standard),
        ("auto", Tier::Standard),
        ("standard", Tier::Standard),
        ("ON_DEMAND", Tier::Standard),
        ("batch", Tier::Batch),
        ("flex", Tier::Flex),
        ("Priority", Tier::Priority),
        ("ultrafast", Tier::Ultrafast),
        ("scale", Tier::Other),
        ("other", Tier::Other),
    ] {
        assert_eq!(Tier::read(name), tier, "{name}");
    }
}
