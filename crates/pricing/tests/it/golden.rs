//! Costs of real shapes of usage, with the shipped prices. The expected amounts were computed from the vendors' prices
//! with decimal arithmetic, not with this crate.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use signalbox_pricing::{Class, Cost, Missing, Money, Priced, Tier, Tokens, Unit, Units, Usage};

use super::{NOW, shipped};

#[derive(Deserialize)]
struct Case {
    name: String,
    provider: String,
    model: String,
    shape: String,
    usage: Value,
    tokens: Tokens,
    #[serde(default)]
    tier: String,
    #[serde(default)]
    web_searches: u64,
    items: serde_json::Map<String, Value>,
    total: Money,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../golden/costs.json")).unwrap()
}

fn field(class: Class) -> &'static str {
    match class {
        Class::Input => "input",
        Class::CacheRead => "cache_read",
        Class::CacheWriteShort => "cache_write_short",
        Class::CacheWriteLong => "cache_write_long",
        Class::InputAudio => "input_audio",
        Class::InputImage => "input_image",
        Class::Output => "output",
        Class::Reasoning => "reasoning",
        Class::OutputAudio => "output_audio",
        Class::OutputImage => "output_image",
    }
}

#[test]
fn each_shape_of_usage_costs_what_the_price_page_says() {
    let table = shipped();
    for case in cases() {
        let of = format!("{}: {}", case.model, case.name);
        let price = table.find(&case.provider, "p1", &case.model, NOW).unwrap();
        let units = Units { web_searches: case.web_searches, ..Units::default() };
        let usage = Usage { tokens: case.tokens, units, tier: Tier::read(&case.tier) };
        let cost = price.cost(&usage).unwrap_or_else(|missing| panic!("{of}: {missing}"));
        assert_eq!(cost.total(), case.total, "{of}");
        for class in Class::ALL {
            let expected = case.items.get(field(class)).and_then(Value::as_str).unwrap_or("0");
            assert_eq!(cost.of(class).to_string(), expected, "{of}: {}", class.label());
        }
        assert_eq!(items(&cost), cost.total().picos(), "{of}");
        assert_eq!(cost.items().map(|(_, amount)| amount.picos()).sum::<u128>(), cost.total().picos(), "{of}");
    }
}

/// Sums the items of a cost.
pub(crate) fn items(cost: &Cost) -> u128 {
    let tokens = Class::ALL.iter().map(|class| cost.of(*class).picos());
    tokens.chain(Unit::ALL.iter().map(|unit| cost.of_unit(*unit).picos())).sum()
}

#[test]
fn the_classes_of_each_case_sum_to_the_reported_total() {
    for case in cases() {
        let count = |name: &str| case.usage.get(name).and_then(Value::as_u64).unwrap_or_default();
        let total = match &*case.shape {
            "chat" | "responses" => count("total_tokens"),
            "gemini" => count("totalTokenCount"),
            "messages" => ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
                .iter()
                .map(|name| count(name))
                .sum(),
            shape => panic!("{shape}"),
        };
        assert_eq!(case.tokens.total(), u128::from(total), "{}: {}", case.model, case.name);
        assert_eq!(case.tokens.prompt() + case.tokens.completion(), case.tokens.total());
    }
}

#[test]
fn each_shipped_price_of_a_vendor_has_a_case() {
    let table = shipped();
    let cases = cases();
    let imported: Value = serde_json::from_str(include_str!("../../data/imported.json")).unwrap();
    let imported: HashSet<_> = imported["prices"].as_array().unwrap().iter().map(|row| row["id"].as_str()).collect();
    let rows = table.layers().flat_map(|layer| layer.prices());
    for price in rows.filter(|price| !price.is_free() && price.id() != "ollama/cloud") {
        let has_case = cases.iter().any(|case| format!("{}/{}", case.provider, case.model) == price.id());
        assert!(has_case || imported.contains(&Some(price.id())), "{}", price.id());
        assert!(!price.is_verified(), "{}", price.id());
    }
}

#[test]
fn the_popular_models_of_each_vendor_have_a_price() {
    let table = shipped();
    for (kind, model) in [
        ("anthropic", "claude-opus-4-5-20251101"),
        ("cerebras", "gpt-oss-120b"),
        ("cohere", "command-a-03-2025"),
        ("dashscope", "qwen-plus"),
        ("deepinfra", "deepseek-ai/DeepSeek-R1"),
        ("deepseek", "deepseek-chat"),
        ("fireworks", "accounts/fireworks/models/deepseek-v3"),
        ("gemini", "gemini-2.5-pro"),
        ("groq", "openai/gpt-oss-120b"),
        ("mistral", "codestral-latest"),
        ("moonshot", "kimi-k2.5"),
        ("nebius", "deepseek-ai/DeepSeek-R1"),
        ("novita", "deepseek/deepseek-r1-turbo"),
        ("openai", "gpt-4o"),
        ("openai", "o3"),
        ("openai", "text-embedding-3-small"),
        ("perplexity", "sonar-pro"),
        ("together", "deepseek-ai/DeepSeek-V3.1"),
        ("voyage", "voyage-3"),
        ("xai", "grok-4.20"),
        ("zai", "glm-4.6"),
    ] {
        assert!(table.find(kind, "p", model, NOW).is_some(), "{kind} {model}");
    }
}

#[test]
fn an_unknown_price_is_not_zero() {
    let table = shipped();
    let usage = Usage::from(Tokens { input: 200_001, output: 1, ..Tokens::default() });
    let missing = |priced: Priced| match priced {
        Priced::Unknown { missing } => missing.to_string(),
        priced => panic!("{priced:?}"),
    };
    let find = |kind: &str, model: &str| table.find(kind, "p1", model, NOW);

    assert_eq!(missing(Priced::new(None, Some(&usage), find("openai", "gpt-9"))), Missing::Price.to_string());
    assert_eq!(missing(Priced::new(None, None, find("openai", "gpt-4.1"))), Missing::Usage.to_string());
    // The source names the threshold of this model, but not the price above it.
    let grok = find("xai", "grok-4.7");
    assert_eq!(missing(Priced::new(None, Some(&usage), grok)), "the price of input tokens, output tokens is unknown");
    let audio = Usage::from(Tokens { input: 1, input_audio: 1, output_image: 1, ..Tokens::default() });
    let mini = find("openai", "gpt-5.4-mini");
    let expected = "the price of audio input tokens, image output tokens is unknown";
    assert_eq!(missing(Priced::new(None, Some(&audio), mini)), expected);
    let images = Usage { units: Units { images: 1, web_searches: 1, ..Units::default() }, ..Usage::default() };
    assert_eq!(missing(Priced::new(None, Some(&images), mini)), "the price of images, web searches is unknown");
    for tier in [Tier::Flex, Tier::Other] {
        let usage = Usage { tier, ..usage };
        let expected = format!("the price of the service tier `{tier}` is unknown");
        assert_eq!(missing(Priced::new(None, Some(&usage), mini)), expected);
    }
    let cloud = find("ollama", "gpt-oss:120b-cloud");
    assert_eq!(missing(Priced::new(None, Some(&usage), cloud)), "the price of input tokens, output tokens is unknown");
}

#[test]
fn a_reported_cost_wins_over_everything_else() {
    let table = shipped();
    let usage = Usage::from(Tokens { input: 1_000, ..Tokens::default() });
    let price = table.find("openai", "p1", "gpt-4.1", NOW);
    let reported = Money::from_reported("0.00014999999999999998").unwrap();
    assert_eq!(Priced::new(Some(reported), Some(&usage), price), Priced::Reported(reported));
    assert_eq!(Priced::new(Some(reported), None, None).amount().unwrap().to_string(), "0.00015");
    assert_eq!(Priced::new(Some(Money::ZERO), Some(&usage), price).amount(), Some(Money::ZERO));
    assert_eq!(Priced::new(None, Some(&usage), price).amount().unwrap().to_string(), "0.002");
    let unknown = Priced::new(None, None, price);
    assert_eq!((unknown.amount(), unknown.origin()), (None, "unknown"));
    assert_eq!(Priced::new(Some(reported), None, None).origin(), "reported");
    assert_eq!(Priced::new(None, Some(&usage), price).origin(), "computed");
}

#[test]
fn free_models_and_subscriptions_are_an_explicit_zero() {
    let table = shipped();
    let usage = Usage {
        tokens: Tokens { input: u64::MAX, reasoning: u64::MAX, output_image: u64::MAX, ..Tokens::default() },
        units: Units { images: 5, audio_ms: 5, web_searches: 5, pages: 5, characters: 5 },
        tier: Tier::Other,
    };
    for (kind, model) in [("echo", "echo"), ("qwen-proxy", "qwen3-max"), ("vllm", "a/b"), ("openrouter", "x/y:free")] {
        let price = table.find(kind, "p1", model, NOW);
        assert!(price.unwrap().is_free(), "{kind}");
        assert_eq!(Priced::new(None, Some(&usage), price), Priced::Computed(Cost::default()), "{kind}");
        assert_eq!(Priced::new(None, None, price).amount(), Some(Money::ZERO), "{kind}");
    }
}
