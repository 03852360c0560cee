//! Mistakes in documents: each is reported with its place, all at once, and nothing is applied.

use serde_json::{Value, json};
use signalbox_pricing::{Layer, LayerKind, Mistake};

fn mistakes(kind: LayerKind, document: &Value) -> Vec<Mistake> {
    Layer::from_value(kind, document).map(|_| Vec::new()).unwrap_or_else(|mistakes| mistakes.0)
}

/// Returns a right row with some fields replaced; `null` removes a field.
fn row(changes: &Value) -> Value {
    let mut row = json!({"id": "a/b", "base": {"in": "1", "out": "2"}});
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            row.as_object_mut().unwrap().remove(key);
        } else {
            row[key] = value.clone();
        }
    }
    row
}

/// One mistake each: changes of a right row, the path in the row, and a part of the text.
fn cases() -> Vec<(Value, &'static str, &'static str)> {
    let mut cases = fields();
    cases.extend(amounts());
    cases.extend(thresholds_and_tiers());
    cases
}

fn fields() -> Vec<(Value, &'static str, &'static str)> {
    let long = "m".repeat(257);
    vec![
        (json!({"id": null}), "id", "is missing"),
        (json!({"id": 7}), "id", "must be text"),
        (json!({"id": ""}), "id", "must be text"),
        (json!({"id": "a\nb/c"}), "id", "must be text on one line"),
        (json!({"id": "b"}), "provider", "is missing"),
        (json!({"id": "/b"}), "provider", "is missing"),
        (json!({"provider": 1}), "provider", "must be text"),
        (json!({"provider": []}), "provider", "empty list"),
        (json!({"provider": ["a", 1]}), "provider.1", "must be text"),
        (json!({"provider": "a*"}), "provider", "without wildcards"),
        (json!({"provider": ["a", "*"]}), "provider", "only *"),
        (json!({"provider": "a", "provider_id": "p1"}), "provider", "beside `provider_id`"),
        (json!({"provider_id": [""]}), "provider_id.0", "must be text"),
        (json!({"match": []}), "match", "empty list"),
        (json!({"match": ["m", 5]}), "match.1", "must be text"),
        (json!({"match": ["m x"]}), "match", "without blanks"),
        (json!({"match": [long]}), "match", "256 bytes"),
        (json!({"match": ["m", "M"]}), "match", "twice"),
        (json!({"from": "2026-02-30"}), "from", "must be a date"),
        (json!({"from": 20_260_101}), "from", "must be a date"),
        (json!({"until": "tomorrow"}), "until", "must be a date"),
        (json!({"from": "2026-01-02", "until": "2026-01-02"}), "until", "must be after `from`"),
        (json!({"hours_utc": ["16:30"]}), "hours_utc", "two different times"),
        (json!({"hours_utc": ["24:01", "01:00"]}), "hours_utc", "two different times"),
        (json!({"hours_utc": ["1:00", "02:00"]}), "hours_utc", "two different times"),
        (json!({"hours_utc": ["01:00", "01:00"]}), "hours_utc", "two different times"),
        (json!({"weekdays": []}), "weekdays", "empty list"),
        (json!({"weekdays": ["mon", "Monday"]}), "weekdays", "mon, tue"),
        (json!({"ctx": -1}), "ctx", "whole number of tokens"),
        (json!({"max": 1.5}), "max", "whole number of tokens"),
        (json!({"cache_min": "512"}), "cache_min", "whole number of tokens"),
        (json!({"unverified": "yes"}), "unverified", "true or false"),
        (json!({"free": 1}), "free", "true or false"),
        (json!({"free": true}), "base", "free model"),
        (json!({"source": 5}), "source", "must be text"),
        (json!({"note": ["x"]}), "note", "must be text"),
        (json!({"prize": 5}), "prize", "not a known field"),
        (json!({"ttl": "5m"}), "ttl", "object"),
        (json!({"ttl": {"cw_s": "5"}}), "ttl.cw_s", "5m or 1h"),
        (json!({"ttl": {"cw_s": "+5m"}}), "ttl.cw_s", "5m or 1h"),
        (json!({"ttl": {"cw_l": "0h"}}), "ttl.cw_l", "5m or 1h"),
        (json!({"ttl": {"cw": "5m"}}), "ttl.cw", "not a known field"),
    ]
}

fn amounts() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (json!({"base": null}), "base", "is missing"),
        (json!({"base": []}), "base", "object"),
        (json!({"base": {"in": -1}}), "base.in", "dollars per million"),
        (json!({"base": {"in": "-1"}}), "base.in", "dollars per million"),
        (json!({"base": {"in": 2.5}}), "base.in", "dollars per million"),
        (json!({"base": {"in": null}}), "base.in", "dollars per million"),
        (json!({"base": {"in": "2,5"}}), "base.in", "dollars per million"),
        (json!({"base": {"in": "$2"}}), "base.in", "dollars per million"),
        // Ten dollars per million tokens, not ten pico-dollars per token.
        (json!({"base": {"in": 10}}), "base.in", "is only 10 pico-dollars"),
        (json!({"base": {"in": "0.0000001"}}), "base.in", "6 decimal places"),
        (json!({"base": {"in": 1_000_000_000_001_u64}}), "base.in", "at most"),
        (json!({"base": {"in": "1e30"}}), "base.in", "at most"),
        (json!({"base": {"input": "1"}}), "base.input", "not a known field"),
        (json!({"base": {"vin": "1"}}), "base.vin", "not a known field"),
        (json!({"units": []}), "units", "object"),
        (json!({"units": {"images": "1"}}), "units.images", "not a known unit"),
        (json!({"units": {"image": 5}}), "units.image", "is only 5 nano-dollars"),
        (json!({"units": {"image": true}}), "units.image", "dollars per unit"),
        (json!({"units": {"image": "0.0000000000001"}}), "units.image", "12 decimal places"),
        (json!({"units": {"image": "10001"}}), "units.image", "at most"),
        (json!({"units": {"audio_minute": "1", "audio_second": "1"}}), "units.audio_second", "beside"),
    ]
}

fn thresholds_and_tiers() -> Vec<(Value, &'static str, &'static str)> {
    let over = |items: Value| json!({"over": items});
    vec![
        (over(json!({})), "over", "list of thresholds"),
        (over(json!([5])), "over.0", "object"),
        (over(json!([{"x": [2, 1]}])), "over.0.input_gt", "is missing"),
        (over(json!([{"input_gt": "5", "x": [2, 1]}])), "over.0.input_gt", "whole number"),
        (over(json!([{"input_gt": 5}, {"input_gt": 5}])), "over.1.input_gt", "larger than"),
        (over(json!([{"input_gt": 9}, {"input_gt": 5}])), "over.1.input_gt", "larger than"),
        (over(json!([{"input_gt": 9, "in": "3"}])), "over.0.out", "is missing"),
        (over(json!([{"input_gt": 9, "x": 2}])), "over.0.x", "ratio"),
        (over(json!([{"input_gt": 9, "x": [1, 0]}])), "over.0.x", "ratio"),
        (over(json!([{"input_gt": 9, "x": [1.5, 1]}])), "over.0.x", "ratio"),
        (over(json!([{"input_gt": 9, "x": [1, 3]}])), "over.0.x", "whole pico-dollars"),
        (over(json!([{"input_gt": 9, "x": [1, 2], "input": "1"}])), "over.0.input", "not a known field"),
        (json!({"over_applies": "all"}), "over_applies", "request"),
        (
            json!({"over_applies": "excess", "over": [{"input_gt": 9, "in": "1", "out": "1"}]}),
            "over.0.out",
            "only the prompt",
        ),
        (json!({"tier": []}), "tier", "object"),
        (json!({"tier": {"slow": {"x": [1, 2]}}}), "tier.slow", "not a known service tier"),
        (json!({"tier": {"standard": {"x": [1, 2]}}}), "tier.standard", "not a known service tier"),
        (json!({"tier": {"flex": {}}}), "tier.flex", "ratio `x` or prices"),
        (json!({"tier": {"flex": {"x": [1, 3]}}}), "tier.flex.x", "whole pico-dollars"),
        (json!({"tier": {"flex": {"in": "1"}}}), "tier.flex.out", "is missing"),
        (json!({"tier": {"flex": {"x": "1/2"}}}), "tier.flex.x", "ratio"),
        (json!({"tier": {"flex": {"x": [1, 2], "y": 1}}}), "tier.flex.y", "not a known field"),
        (
            json!({"over": [{"input_gt": 9, "x": [2, 1]}], "tier": {"flex": {"x": [1, 2], "in": "3"}}}),
            "tier.flex",
            "its own `over`",
        ),
        (
            json!({"over": [{"input_gt": 9, "in": "1.000001", "out": "2"}], "tier": {"flex": {"x": [1, 2]}}}),
            "tier.flex",
            "above a threshold",
        ),
    ]
}

#[test]
fn the_row_that_is_changed_is_right() {
    assert_eq!(mistakes(LayerKind::File, &json!({"prices": [row(&json!({}))]})), []);
}

#[test]
fn each_mistake_is_found_at_its_place() {
    for (changes, path, what) in cases() {
        let found = mistakes(LayerKind::File, &json!({"prices": [row(&changes)]}));
        assert_eq!(found.len(), 1, "{changes}: {found:?}");
        assert_eq!(found[0].path, format!("prices.0.{path}"), "{changes}");
        assert!(found[0].what.contains(what), "{changes}: {}", found[0].what);
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let cases = cases();
    // Rows of different models, so that they do not collide as well.
    let rows: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(index, (changes, ..))| {
            let mut row = row(changes);
            if changes.get("id").is_none() && changes.get("match").is_none() {
                row["id"] = format!("a/b{index}").into();
            }
            row
        })
        .collect();
    let found = mistakes(LayerKind::Api, &json!({"v": 2, "as_of": "now", "prices": rows}));
    let paths: Vec<_> = found.iter().map(|mistake| &*mistake.path).collect();
    let expected: Vec<_> = ["v".to_owned(), "as_of".to_owned()]
        .into_iter()
        .chain(cases.iter().enumerate().map(|(index, (_, path, _))| format!("prices.{index}.{path}")))
        .collect();
    assert_eq!(paths, expected);
}

#[test]
fn documents_are_checked_too() {
    let prices = json!([]);
    for (kind, document, path) in [
        (LayerKind::File, json!([]), ""),
        (LayerKind::File, json!({}), "prices"),
        (LayerKind::File, json!({"prices": {}}), "prices"),
        (LayerKind::File, json!({"prices": [5]}), "prices.0"),
        (LayerKind::File, json!({"v": 2, "prices": prices}), "v"),
        (LayerKind::File, json!({"as_of": "29.11.2026", "prices": prices}), "as_of"),
        (LayerKind::File, json!({"version": "a b", "prices": prices}), "version"),
        (LayerKind::File, json!({"source": 1, "prices": prices}), "source"),
        (LayerKind::File, json!({"price": [], "prices": prices}), "price"),
        (LayerKind::File, json!({"resellers": [], "prices": prices}), "resellers"),
        (LayerKind::File, json!({"resellers": {"r": "x"}, "prices": prices}), "resellers.r"),
        (LayerKind::File, json!({"resellers": {"r": {"v": 1}}, "prices": prices}), "resellers.r.v"),
        (LayerKind::Shipped, json!({"version": "1", "prices": prices}), "v"),
        (LayerKind::Shipped, json!({"v": 1, "prices": prices}), "version"),
    ] {
        let paths: Vec<_> = mistakes(kind, &document).into_iter().map(|mistake| mistake.path).collect();
        assert_eq!(paths, [path], "{document}");
    }
}

#[test]
fn two_prices_for_the_same_time_are_a_mistake() {
    let at = |row: Value| mistakes(LayerKind::File, &json!({"prices": [row, {"id": "a/b", "base": {}}]}));
    let found = at(json!({"id": "x", "provider": ["c", "a"], "match": ["z", "B"], "base": {}}));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "prices.1");
    assert!(found[0].what.starts_with("prices `b` at the same provider and time as prices.0"), "{}", found[0].what);
    assert_eq!(at(json!({"id": "a/b", "until": "2026-01-01", "base": {}})).len(), 1);
    for right in [
        json!({"id": "c/b", "base": {}}),
        json!({"id": "x", "provider": "*", "match": "b", "base": {}}),
        json!({"id": "x", "provider_id": "a", "match": "b", "base": {}}),
        json!({"id": "a/c", "base": {}}),
        json!({"id": "a/pattern", "match": "b*", "base": {}}),
    ] {
        assert_eq!(at(right.clone()), [], "{right}");
    }
    let hours = |mine: Value, theirs: Value| {
        let row = |hours: Value| json!({"id": "a/b", "base": {}, "hours_utc": hours[0], "weekdays": hours[1]});
        mistakes(LayerKind::File, &json!({"prices": [row(mine), row(theirs), {"id": "a/b", "base": {}}]})).len()
    };
    for (mine, theirs, count) in [
        (json!([["22:00", "02:00"], ["mon"]]), json!([["01:59", "03:00"], ["mon"]]), 1),
        (json!([["22:00", "02:00"], ["mon"]]), json!([["02:00", "22:00"], ["mon"]]), 0),
        (json!([["22:00", "02:00"], ["mon"]]), json!([["22:00", "02:00"], ["tue"]]), 0),
        (json!([["22:00", "02:00"], ["mon", "tue"]]), json!([["23:00", "00:30"], ["tue"]]), 1),
        (json!([["10:00", "12:00"], ["mon"]]), json!([["09:00", "13:00"], ["mon"]]), 1),
    ] {
        assert_eq!(hours(mine.clone(), theirs.clone()), count, "{mine} {theirs}");
    }
    let patterns = json!([{"id": "a/x", "match": "b*", "base": {}}, {"id": "a/y", "match": "b*", "base": {}}]);
    assert_eq!(mistakes(LayerKind::File, &json!({"prices": patterns})).len(), 1);
}

#[test]
fn texts_that_are_no_documents_are_one_mistake() {
    for text in ["", "{", "prices:", "{\"prices\": [}"] {
        let mistakes = Layer::from_json(LayerKind::File, text).unwrap_err();
        assert!(mistakes.to_string().starts_with("the document is not valid JSON: "), "{mistakes}");
    }
    let mistakes = Layer::from_toml(LayerKind::File, "prices = ").unwrap_err();
    assert!(mistakes.to_string().starts_with("the document is not valid TOML: "), "{mistakes}");
}

#[test]
fn mistakes_read_as_sentences() {
    let document = json!({"prices": [{"id": "a/\u{7}b", "base": {"in": "x"}}, {"base": {}, "provider": "*"}]});
    let mistakes = Layer::from_value(LayerKind::File, &document).unwrap_err().to_string();
    let lines: Vec<_> = mistakes.lines().collect();
    assert_eq!(lines.len(), 3, "{mistakes}");
    assert!(lines[0].starts_with(r"prices.0.id (a/\u{7}b) must be text on one line"), "{mistakes}");
    assert!(lines[1].starts_with(r"prices.0.base.in (a/\u{7}b) must be dollars per million tokens"), "{mistakes}");
    assert!(lines[2].starts_with("prices.1.id is missing"), "{mistakes}");
}
