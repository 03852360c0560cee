//! Converting LiteLLM's price map.

use serde_json::{Map, Value, json};
use signalbox_pricing::{Class, Layer, LayerKind, Tier, litellm};

use super::{NOW, shipped};

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn rows(value: Value) -> Vec<Value> {
    let imported = litellm::import(&map(value), &[]).unwrap();
    imported.document["prices"].as_array().unwrap().clone()
}

#[test]
fn classes_thresholds_tiers_and_units_are_converted() {
    let rows = rows(json!({
        "gpt-x": {
            "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 922_000, "max_output_tokens": 128_000,
            "input_cost_per_token": 1e-05, "output_cost_per_token": 5e-05, "cache_read_input_token_cost": 1e-06,
            "input_cost_per_token_above_272k_tokens": 2e-05, "output_cost_per_token_above_272k_tokens": 7.5e-05,
            "cache_read_input_token_cost_above_272k_tokens": 2e-06,
            "input_cost_per_token_priority": 2e-05, "output_cost_per_token_priority": 0.0001,
            "input_cost_per_token_above_272k_tokens_priority": 4e-05,
            "input_cost_per_token_flex": 5e-06,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01},
        },
        "mistral/m": {
            "litellm_provider": "mistral", "input_cost_per_token": 1.5e-07, "output_cost_per_token": 0.0000004,
            "input_cost_per_token_batches": 7.5e-08, "output_cost_per_token_batches": 2e-07,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.02},
        },
        "claude-x": {
            "litellm_provider": "anthropic", "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06,
            "cache_creation_input_token_cost": 1.25e-06, "cache_creation_input_token_cost_above_1hr": 2e-06,
            "cache_read_input_token_cost": 1e-07, "prompt_cache_min_tokens": 4096,
            "input_cost_per_token_above_200k_tokens": 2e-06,
        },
        "cohere/rerank-x": {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": 0.002, "input_cost_per_token": 0.0},
        "dashscope/q": {
            "litellm_provider": "dashscope", "tiered_pricing": [
                {"range": [0, 256_000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
                {"range": [256_000.0, 1_000_000.0], "input_cost_per_token": 3e-06, "output_cost_per_token": 6e-06},
            ],
            "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
        },
    }));
    assert_eq!(
        rows,
        [
            json!({"id": "anthropic/claude-x", "unverified": true, "cache_min": 4096, "ttl": {"cw_s": "5m", "cw_l": "1h"},
                "base": {"in": "1", "cr": "0.1", "cw_s": "1.25", "cw_l": "2", "out": "5"},
                "over": [{"input_gt": 200_000}]}),
            json!({"id": "cohere/rerank-x", "unverified": true, "base": {"in": "0"}, "units": {"request": "0.002"}}),
            json!({"id": "dashscope/q", "unverified": true, "base": {"in": "1", "out": "2"},
                "over": [{"input_gt": 256_000, "in": "3", "out": "6"}]}),
            json!({"id": "mistral/m", "unverified": true, "base": {"in": "0.15", "out": "0.4"},
                "tier": {"batch": {"x": [1, 2]}}}),
            json!({"id": "openai/gpt-x", "unverified": true, "ctx": 922_000, "max": 128_000,
                "base": {"in": "10", "cr": "1", "out": "50"},
                "over": [{"input_gt": 272_000, "in": "20", "cr": "2", "out": "75"}],
                "tier": {"priority": {"x": [2, 1]}}, "units": {"web_search": "0.01"}}),
        ]
    );
}

#[test]
fn dates_that_change_nothing_have_no_row() {
    let price = |dollars: f64| json!({"litellm_provider": "openai", "input_cost_per_token": dollars, "output_cost_per_token": 1e-06});
    let imported = litellm::import(
        &map(json!({"gpt-x": price(1e-06), "gpt-x-2026-01-02": price(1e-06), "gpt-x-2025-01-02": price(2e-06), "openai/gpt-x": price(1e-06)})),
        &[],
    )
    .unwrap();
    let ids: Vec<&Value> = imported.document["prices"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, ["openai/gpt-x", "openai/gpt-x-2025-01-02"]);
    assert_eq!(imported.rows, 2);
}

#[test]
fn what_has_no_price_is_left_out_with_a_reason() {
    let imported = litellm::import(
        &map(json!({
            "sample_spec": {"litellm_provider": "one of https://…"},
            "bedrock/x": {"litellm_provider": "bedrock", "input_cost_per_token": 1e-06},
            "dall-e": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
            "text": 7,
            "gpt-free": {"litellm_provider": "openai", "input_cost_per_token": 0, "output_cost_per_token": 0.0},
            "gpt-odd": {"litellm_provider": "openai", "input_cost_per_token": true},
            "gpt-minus": {"litellm_provider": "openai", "input_cost_per_token": -1e-06},
            "gpt-tiny": {"litellm_provider": "openai", "input_cost_per_token": 1e-14},
            "gpt *": {"litellm_provider": "openai", "input_cost_per_token": 1e-06},
            "xai/g": {"litellm_provider": "xai", "input_cost_per_token": 1e-06},
        })),
        &["openai"],
    )
    .unwrap();
    assert_eq!(imported.rows, 0);
    let names: Vec<&str> = imported.skipped.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["dall-e", "gpt *", "gpt-free", "gpt-minus", "gpt-odd", "gpt-tiny"]);
}

#[test]
fn prices_that_no_document_may_have_are_refused_as_a_whole() {
    let mistakes =
        litellm::import(&map(json!({"gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 2}})), &[]);
    assert!(mistakes.unwrap_err().to_string().contains("at most"), "two dollars per token");
}

#[test]
fn imported_prices_win_over_shipped_ones_and_lose_to_overrides() {
    let imported = litellm::import(
        &map(json!({"gpt-4.1": {"litellm_provider": "openai", "input_cost_per_token": 9e-06, "output_cost_per_token": 1e-05}})),
        &[],
    )
    .unwrap();
    let layer = |kind, document: &Value| Layer::from_value(kind, document).unwrap();
    let table = shipped().with(layer(LayerKind::File, &imported.document));
    let input = |table: &signalbox_pricing::Table| {
        table
            .find("openai", "p", "gpt-4.1", NOW)
            .and_then(|price| price.schedule(Tier::Standard)?.base().get(Class::Input))
    };
    assert_eq!(input(&table), Some(9_000_000));
    let mine = json!({"prices": [{"id": "openai/gpt-4.1", "base": {"in": "1", "out": "1"}}]});
    assert_eq!(input(&table.with(layer(LayerKind::Api, &mine))), Some(1_000_000));
}
