//! Finding prices: names, providers, dates and overrides.

use serde_json::{Value, json};
use signalbox_pricing::{Class, Layer, LayerKind, Price, Table, Tier};

use super::{NOW, layer, shipped};

const DAY_MS: i64 = 86_400_000;

fn input(price: Option<&Price>) -> Option<u64> {
    price?.schedule(Tier::Standard)?.base().get(Class::Input)
}

/// A table of one document, whose version is `t`.
fn table(rows: &Value) -> Table {
    let layer = Layer::from_value(LayerKind::Shipped, &json!({"v": 1, "version": "t", "prices": rows})).unwrap();
    shipped().with(layer)
}

#[test]
fn names_are_normalised_by_the_rule() {
    let table = shipped();
    for (kind, name, id) in [
        ("openai", "gpt-4.1", Some("openai/gpt-4.1")),
        ("openai", "GPT-4.1", Some("openai/gpt-4.1")),
        ("openai", "gpt-4.1-2025-04-14", Some("openai/gpt-4.1")),
        ("openai", "gpt-4.1-latest", Some("openai/gpt-4.1")),
        ("openai", "openai/gpt-4.1", Some("openai/gpt-4.1")),
        ("openai", "gpt-4.1-mini", Some("openai/gpt-4.1-mini")),
        ("openai", "gpt-4.1-pico", None),
        ("openai", "ft:gpt-4.1:org::id", None),
        ("anthropic", "claude-haiku-4-5-20251001", Some("anthropic/claude-haiku-4-5")),
        ("anthropic", "anthropic/claude-haiku-4-5@20251001", Some("anthropic/claude-haiku-4-5")),
        ("gemini", "models/gemini-2.5-flash", Some("gemini/gemini-2.5-flash")),
        ("mistral", "mistral-large-latest", Some("mistral/mistral-large-latest")),
        ("mistral", "mistral-large", None),
        ("groq", "gpt-4.1", None),
        ("openai-compatible", "gpt-4.1", None),
        ("openrouter", "anthropic/claude-opus-5-5", Some("anthropic/claude-opus-5-5")),
        ("openrouter", "x-ai/grok-4.7", Some("xai/grok-4.7")),
        ("openrouter", "google/gemini-2.5-flash:free", Some("openrouter/free")),
        ("openrouter", "google/gemini-2.5-flash:nitro", None),
        ("openrouter", "claude-opus-5-5", None),
        ("openrouter", "unknown/claude-opus-5-5", None),
        ("anthropic", "claude-opus-5-5:free", None),
        ("ollama", "llama3.2:3b", Some("ollama/*")),
        ("ollama", "gpt-oss:120b-cloud", Some("ollama/cloud")),
        ("openai", "", None),
    ] {
        assert_eq!(table.find(kind, "p1", name, NOW).map(Price::id), id, "{kind} {name}");
    }
}

#[test]
fn the_closest_row_wins() {
    let table = table(&json!([
        {"id": "any", "provider": "*", "match": "m", "base": {"in": "1"}},
        {"id": "any pattern", "provider": "*", "match": "*", "base": {"in": "2"}},
        {"id": "t/m", "base": {"in": "3"}},
        {"id": "t/m-2026-01-01", "base": {"in": "4"}},
        {"id": "t/pattern", "match": ["m*", "other"], "base": {"in": "5"}},
        {"id": "t/longer pattern", "match": "m-x*", "base": {"in": "6"}},
        {"id": "mine", "provider_id": ["p7", "p8"], "match": "m", "base": {"in": "7"}},
        {"id": "all of mine", "provider_id": "p9", "match": "*", "free": true},
    ]));
    for (kind, provider, model, dollars) in [
        ("u", "p1", "m", 1),
        ("u", "p1", "n", 2),
        ("t", "p1", "m", 3),
        ("t", "p1", "m-latest", 3),
        ("t", "p1", "v/m-2026-02-02", 3),
        ("t", "p1", "m-2026-01-01", 4),
        ("t", "p1", "m2", 5),
        ("t", "p1", "OTHER", 5),
        ("t", "p1", "m-xy", 6),
        ("t", "p1", "z", 2),
        ("t", "p7", "m", 7),
        ("u", "p8", "m", 7),
        ("t", "p7", "m2", 5),
        ("t", "p9", "m", 0),
        ("u", "p9", "z", 0),
    ] {
        let found = table.find(kind, provider, model, NOW);
        assert_eq!(input(found), Some(dollars * 1_000_000), "{kind} {provider} {model}");
    }
}

#[test]
fn a_price_is_valid_from_its_first_day_until_another() {
    let table = table(&json!([
        {"id": "t/m", "until": "2026-11-29", "base": {"in": "1"}},
        {"id": "t/m", "from": "2026-11-29", "until": "2026-12-01", "base": {"in": "2"}},
        {"id": "t/m", "from": "2027-01-01", "base": {"in": "3"}},
        {"id": "t/any", "match": "*", "from": "2026-12-31", "base": {"in": "4"}},
    ]));
    for (at, dollars) in [
        (i64::MIN, Some(1)),
        (0, Some(1)),
        (NOW - 1, Some(1)),
        (NOW, Some(2)),
        (NOW + 2 * DAY_MS - 1, Some(2)),
        (NOW + 2 * DAY_MS, None),
        (NOW + 32 * DAY_MS, Some(4)),
        (NOW + 33 * DAY_MS, Some(3)),
        (i64::MAX - 1, Some(3)),
    ] {
        assert_eq!(input(table.find("t", "p1", "m", at)), dollars.map(|dollars| dollars * 1_000_000), "{at}");
    }
}

#[test]
fn a_price_for_some_hours_wins_over_one_for_the_whole_day() {
    // NOW is the beginning of a Sunday.
    let table = table(&json!([
        {"id": "t/m", "base": {"in": "4"}},
        {"id": "t/m", "hours_utc": ["16:30", "00:30"], "base": {"in": "2"}},
        {"id": "t/m", "weekdays": "mon", "hours_utc": ["00:30", "16:30"], "base": {"in": "3"}},
        {"id": "t/w", "weekdays": ["sat", "sun"], "base": {"in": "1"}},
        {"id": "t/w", "until": "1970-01-01", "base": {"in": "5"}},
    ]));
    let minutes = |day: i64, hour: i64, minute: i64| NOW + day * DAY_MS + (hour * 60 + minute) * 60_000;
    for (model, at, dollars) in [
        ("m", minutes(0, 0, 0), Some(2)),
        ("m", minutes(0, 0, 30) - 1, Some(2)),
        ("m", minutes(0, 0, 30), Some(4)),
        ("m", minutes(0, 16, 30) - 1, Some(4)),
        ("m", minutes(0, 16, 30), Some(2)),
        ("m", minutes(1, 0, 0), Some(2)),
        ("m", minutes(1, 0, 30), Some(3)),
        ("m", minutes(2, 0, 30), Some(4)),
        ("w", minutes(0, 0, 0), Some(1)),
        ("w", minutes(1, 0, 0) - 1, Some(1)),
        ("w", minutes(1, 0, 0), None),
        ("w", minutes(-1, 0, 0), Some(1)),
        ("w", -1, Some(5)),
        // 1969-12-28 and 1970-01-03 were a Sunday and a Saturday.
        ("w", -4 * DAY_MS, Some(1)),
        ("w", 2 * DAY_MS, Some(1)),
    ] {
        let found = input(table.find("t", "p1", model, at));
        assert_eq!(found, dollars.map(|dollars| dollars * 1_000_000), "{model} {at}");
    }
}

#[test]
fn overrides_win_in_their_order_however_they_are_applied() {
    let row = |dollars: &str| json!([{"id": "openai/gpt-4.1", "base": {"in": dollars, "out": "1"}}]);
    let (file, api) = (layer(LayerKind::File, &row("20")), layer(LayerKind::Api, &row("30")));
    let of = |table: &Table| input(table.find("openai", "p1", "gpt-4.1", NOW)).unwrap() / 1_000_000;
    let both = [shipped().with(file.clone()).with(api.clone()), shipped().with(api).with(file)];
    for table in &both {
        assert_eq!(of(table), 30);
        assert_eq!(of(&table.without(LayerKind::Api)), 20);
        assert_eq!(of(&table.without(LayerKind::File)), 30);
        assert_eq!(of(&table.without(LayerKind::File).without(LayerKind::Api)), 2);
        let kinds: Vec<_> = table.layers().map(Layer::kind).collect();
        assert_eq!(kinds, [LayerKind::Api, LayerKind::File, LayerKind::Shipped]);
    }
    assert_eq!(both[0].version(), both[1].version());
    assert_eq!(of(&both[0].with(layer(LayerKind::Api, &row("40")))), 40);
    assert_eq!(input(both[0].find("openai", "p1", "gpt-5.5", NOW)), Some(5_000_000), "other models keep their price");
}

#[test]
fn an_override_that_is_not_valid_yet_does_not_hide_the_shipped_price() {
    let rows = json!([{"id": "openai/gpt-4.1", "from": "2027-01-01", "base": {"in": "9"}}]);
    let table = shipped().with(layer(LayerKind::File, &rows));
    assert_eq!(input(table.find("openai", "p1", "gpt-4.1", NOW)), Some(2_000_000));
    assert_eq!(input(table.find("openai", "p1", "gpt-4.1", NOW + 40 * DAY_MS)), Some(9_000_000));
}

#[test]
fn an_override_of_a_vendor_applies_to_its_resellers() {
    let rows = json!([{"id": "anthropic/claude-opus-5-5", "base": {"in": "9"}}]);
    let table = shipped().with(layer(LayerKind::File, &rows));
    assert_eq!(input(table.find("openrouter", "p1", "anthropic/claude-opus-5-5", NOW)), Some(9_000_000));
}

#[test]
fn the_version_tells_tables_apart() {
    let shipped = shipped();
    assert_eq!(shipped.version(), "2026-11-30");
    let row = |dollars: &str| json!([{"id": "a/b", "base": {"in": dollars}}]);
    let version = |kind, rows: &Value| shipped.with(layer(kind, rows)).version().to_owned();
    let file = version(LayerKind::File, &row("1"));
    assert!(file.starts_with("2026-11-30+file.") && file.len() == "2026-11-30+file.".len() + 12, "{file}");
    assert_ne!(file, version(LayerKind::File, &row("2")));
    assert_ne!(file, version(LayerKind::Api, &row("1")));
    assert_eq!(version(LayerKind::File, &json!([])), "2026-11-30");
    let both = shipped.with(layer(LayerKind::Api, &row("1"))).with(layer(LayerKind::File, &row("1")));
    assert_eq!(both.version(), format!("{file}+api.{}", &file["2026-11-30+file.".len()..]));
    // The digest is that of the prices, not of their notation.
    let json = r#"{"prices": [{"base": {"in": "1"}, "id": "a/b"}], "note": "x"}"#;
    let toml = "note = 'y'\n[[prices]]\nid = 'a/b'\nbase = {in = '1'}\n";
    for other in [Layer::from_json(LayerKind::File, json), Layer::from_toml(LayerKind::File, toml)] {
        assert_eq!(shipped.with(other.unwrap()).version(), file);
    }
}

#[test]
fn each_row_has_a_digest() {
    let prices = layer(
        LayerKind::File,
        &json!([
            {"id": "a/b", "until": "2026-01-01", "base": {"in": "1"}},
            {"id": "a/b", "from": "2026-01-01", "base": {"in": "1"}},
        ]),
    );
    let digests: Vec<_> = prices.prices().iter().map(Price::digest).collect();
    assert!(digests.iter().all(|digest| digest.len() == 12));
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn toml_and_json_say_the_same() {
    let toml = r#"
        [[prices]]
        id = "acme/large"
        match = ["large", "large-v?"]
        from = 2026-01-01
        ctx = 128000
        max = 8192
        ttl = {cw_s = "5m", cw_l = "1h"}
        base = {in = "2.5", cr = 250000, out = "10"}
        over = [{input_gt = 1000, x = [2, 1], out = "15"}]
        tier = {batch = {x = [1, 2]}}
        units = {web_search = "0.01"}
    "#;
    let json = json!({"prices": [{
        "id": "acme/large", "match": ["large", "large-v?"], "from": "2026-01-01", "ctx": 128_000, "max": 8_192,
        "ttl": {"cw_s": "5m", "cw_l": "1h"}, "base": {"in": "2.5", "cr": 250_000, "out": "10"},
        "over": [{"input_gt": 1_000, "x": [2, 1], "out": "15"}], "tier": {"batch": {"x": [1, 2]}},
        "units": {"web_search": "0.01"},
    }]});
    let of_toml = Layer::from_toml(LayerKind::File, toml).unwrap();
    let of_json = Layer::from_value(LayerKind::File, &json).unwrap();
    assert_eq!(of_toml.prices(), of_json.prices());
    let price = &of_toml.prices()[0];
    assert_eq!(price.row(), &json["prices"][0]);
    assert_eq!((price.context_tokens(), price.max_output_tokens()), (Some(128_000), Some(8_192)));
    let minutes = [Class::CacheWriteShort, Class::CacheWriteLong, Class::Input].map(|class| price.cache_minutes(class));
    assert_eq!(minutes, [Some(5), Some(60), None]);
    let batch = price.schedule(Tier::Batch).unwrap();
    assert_eq!(batch.base().get(Class::CacheRead), Some(125_000));
    assert_eq!(batch.thresholds()[0].rates.get(Class::CacheRead), Some(250_000));
    assert_eq!(batch.thresholds()[0].rates.get(Class::Output), Some(7_500_000));
}
