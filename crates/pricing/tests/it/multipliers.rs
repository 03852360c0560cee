//! Factors of prices by region and by service tier.

use serde_json::{Value, json};
use signalbox_pricing::{Class, Expected, Layer, LayerKind, Missing, Table, Tier, Tokens, Units, Usage};

fn layer(row: &Value) -> Result<Layer, Vec<String>> {
    let document = json!({ "prices": [row] });
    Layer::from_value(LayerKind::Api, &document).map_err(|wrong| wrong.0.iter().map(ToString::to_string).collect())
}

fn row(mult: &Value) -> Value {
    json!({"id": "openai/m", "base": {"in": "0.000003", "out": "2"}, "mult": mult})
}

/// Returns the pico-dollars of 5 tokens of prompt at 3 pico-dollars each, and of one token of answer at 2 dollars per
/// million.
fn picos(mult: &Value, tier: Tier, region: Option<&str>) -> Result<(u128, u128), Missing> {
    let table = Table::shipped().unwrap().with(layer(&row(mult)).unwrap());
    let price = table.find("openai", "p", "m", 0).unwrap();
    let usage = Usage { tokens: Tokens { input: 5, output: 1, ..Tokens::default() }, units: Units::default(), tier };
    let cost = price.cost_in(region, &usage)?;
    assert_eq!(cost.total().picos(), cost.of(Class::Input).picos() + cost.of(Class::Output).picos());
    Ok((cost.of(Class::Input).picos(), cost.of(Class::Output).picos()))
}

#[test]
fn a_region_multiplies_the_prices_of_all_tokens() {
    let mult = json!([{"when": "region=EU", "x": [11, 10]}, {"when": "region=us", "x": [1, 2]}]);
    let of = |region| picos(&mult, Tier::Standard, region).unwrap();
    assert_eq!(of(None), (15, 2_000_000));
    assert_eq!(of(Some("asia")), (15, 2_000_000), "another region has the usual prices");
    assert_eq!(of(Some("eu")), (17, 2_200_000), "16.5 is rounded half up");
    assert_eq!(of(Some("US")), (8, 1_000_000));
}

#[test]
fn tiers_and_regions_are_multiplied() {
    let mult = json!([{"when": "region=eu", "x": [11, 10]}, {"when": "tier=batch", "x": [1, 2]}]);
    assert_eq!(picos(&mult, Tier::Batch, None).unwrap(), (8, 1_000_000));
    assert_eq!(picos(&mult, Tier::Batch, Some("eu")).unwrap().1, 1_100_000);
    assert_eq!(picos(&mult, Tier::Flex, None).unwrap_err(), Missing::Tier(Tier::Flex));
}

#[test]
fn a_reservation_covers_every_region() {
    let mult = json!([{"when": "region=eu", "x": [11, 10]}, {"when": "region=us", "x": [1, 2]},
        {"when": "tier=priority", "x": [2, 1]}]);
    let table = Table::shipped().unwrap().with(layer(&row(&mult)).unwrap());
    let price = table.find("openai", "p", "m", 0).unwrap();
    let bound = |tier| {
        let expected = Expected { input: 1_000_000, max_output: 1_000_000, has_media: false, tier };
        price.estimate(&expected).unwrap().total().picos()
    };
    let tokens = Tokens { input: 1_000_000, output: 1_000_000, ..Tokens::default() };
    for tier in [Tier::Standard, Tier::Priority] {
        for region in [None, Some("eu"), Some("us")] {
            let cost = price.cost_in(region, &Usage { tokens, units: Units::default(), tier }).unwrap();
            assert!(bound(tier) >= cost.total().picos(), "{tier} {region:?}");
        }
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (mult, place, told) in [
        (json!({}), "mult", "a list"),
        (json!([1]), "mult.0", "an object"),
        (json!([{"when": "region=eu"}]), "mult.0.x", "is missing"),
        (json!([{"x": [1, 2]}]), "mult.0.when", "is missing"),
        (json!([{"when": "region=", "x": [1, 2]}]), "mult.0.when", "region=NAME"),
        (json!([{"when": "tier=fast", "x": [1, 2]}]), "mult.0.when", "batch, flex, priority, ultrafast"),
        (json!([{"when": "moon=full", "x": [1, 2]}]), "mult.0.when", "region=NAME"),
        (json!([{"when": "region=eu", "x": [0, 2]}]), "mult.0.x", "ratio"),
        (json!([{"when": "region=eu", "x": 1.1}]), "mult.0.x", "ratio"),
        (
            json!([{"when": "region=eu", "x": [1, 2]}, {"when": "region=EU", "x": [1, 2]}]),
            "mult.1.when",
            "same condition",
        ),
        (json!([{"when": "region=eu", "x": [1, 2], "in": "1"}]), "mult.0.in", "not a known field"),
    ] {
        let wrong = layer(&row(&mult)).unwrap_err();
        assert!(wrong.iter().any(|wrong| wrong.contains(place) && wrong.contains(told)), "{mult}: {wrong:?}");
    }
    let both = json!({"id": "openai/m", "base": {"in": "1", "out": "2"}, "tier": {"batch": {"x": [1, 2]}},
        "mult": [{"when": "tier=batch", "x": [1, 2]}]});
    assert!(layer(&both).unwrap_err()[0].contains("remove one of them"));
    let free = json!({"id": "openai/m", "free": true, "mult": []});
    assert!(layer(&free).unwrap_err()[0].contains("mult"));
}
