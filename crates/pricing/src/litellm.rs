//! Converts LiteLLM's price map (`model_prices_and_context_window.json`) to a document of prices.
//!
//! The map names a model by `provider/model` or `model`, and gives dollars per token as JSON numbers. Only models that
//! are charged by tokens or by requests, and only those of provider types that this program knows, are converted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{Class, Layer, LayerKind, Mistakes, decimal};

/// Providers of the map, with the provider type that has their prices.
const PROVIDERS: [(&str, &str); 26] = [
    ("anthropic", "anthropic"),
    ("baseten", "baseten"),
    ("cerebras", "cerebras"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("dashscope", "dashscope"),
    ("deepinfra", "deepinfra"),
    ("deepseek", "deepseek"),
    ("fireworks_ai", "fireworks"),
    ("gemini", "gemini"),
    ("groq", "groq"),
    ("minimax", "minimax"),
    ("mistral", "mistral"),
    ("moonshot", "moonshot"),
    ("nebius", "nebius"),
    ("novita", "novita"),
    ("nvidia_nim", "nvidia"),
    ("openai", "openai"),
    ("perplexity", "perplexity"),
    ("sambanova", "sambanova"),
    ("scaleway", "scaleway"),
    ("stepfun", "stepfun"),
    ("together_ai", "together"),
    ("voyage", "voyage"),
    ("xai", "xai"),
    ("zai", "zai"),
];

/// Prices per token of the map, with their class.
const CLASSES: [(&str, Class); 10] = [
    ("input_cost_per_token", Class::Input),
    ("cache_read_input_token_cost", Class::CacheRead),
    ("cache_creation_input_token_cost", Class::CacheWriteShort),
    ("cache_creation_input_token_cost_above_1hr", Class::CacheWriteLong),
    ("output_cost_per_token", Class::Output),
    ("output_cost_per_reasoning_token", Class::Reasoning),
    ("input_cost_per_audio_token", Class::InputAudio),
    ("input_cost_per_image_token", Class::InputImage),
    ("output_cost_per_audio_token", Class::OutputAudio),
    ("output_cost_per_image_token", Class::OutputImage),
];

/// Service tiers, with the ends of their fields in the map.
const TIERS: [(&str, &str); 3] = [("batch", "_batches"), ("flex", "_flex"), ("priority", "_priority")];

/// Maximum terms of a ratio of a tier.
const MAX_RATIO_TERM: u128 = 1_000;

/// A converted map.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The document of prices, as [`Layer::from_value`] reads it.
    pub document: Value,
    /// Number of its rows.
    pub rows: usize,
    /// Models of the requested provider types that have no row, with the reason, in the order of their names.
    pub skipped: Vec<(String, &'static str)>,
}

/// Prices by class, in pico-dollars per token.
type Picos = BTreeMap<usize, u128>;

/// Returns the provider types whose prices are converted.
#[must_use]
pub fn types() -> Vec<&'static str> {
    let mut types = PROVIDERS.map(|(_, kind)| kind).to_vec();
    types.dedup();
    types
}

/// Returns whether prices of a provider type are converted.
#[must_use]
pub fn has_type(kind: &str) -> bool {
    PROVIDERS.into_iter().any(|(_, known)| known == kind)
}

/// Converts a map; `types` limits it to some provider types, and is empty for all.
///
/// # Errors
/// Returns the mistakes of the document, if the map has prices that no document may have, such as more than a dollar per
/// token.
pub fn import(map: &Map<String, Value>, types: &[&str]) -> Result<Imported, Mistakes> {
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    let mut skipped = Vec::new();
    for (key, entry) in map {
        let Some(provider) = entry.get("litellm_provider").and_then(Value::as_str) else { continue };
        let Some((_, kind)) = PROVIDERS.into_iter().find(|(known, _)| *known == provider) else { continue };
        if !types.is_empty() && !types.contains(&kind) {
            continue;
        }
        let model = key.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
        match row(kind, model, entry) {
            Ok(row) => {
                // The map has some models twice, with and without the name of their provider.
                rows.entry(format!("{kind}/{}", model.to_ascii_lowercase())).or_insert(row);
            }
            Err(why) => skipped.push((key.clone(), why)),
        }
    }
    without_repeated_dates(&mut rows);
    let document = json!({ "v": 1, "prices": rows.into_values().collect::<Vec<_>>() });
    let layer = Layer::from_value(LayerKind::File, &document)?;
    Ok(Imported { rows: layer.prices().len(), document, skipped })
}

/// Removes rows of dated names whose prices are those of the name without a date, which is looked up next.
fn without_repeated_dates(rows: &mut BTreeMap<String, Value>) {
    let prices = |row: &Value| {
        let mut row = row.clone();
        row.as_object_mut().and_then(|fields| fields.remove("id"));
        row
    };
    let repeated: BTreeSet<String> = rows
        .iter()
        .filter(|(id, row)| {
            let plain = crate::name::without_date(id);
            plain != id.as_str() && rows.get(plain).is_some_and(|other| prices(other) == prices(row))
        })
        .map(|(id, _)| id.clone())
        .collect();
    rows.retain(|id, _| !repeated.contains(id));
}

/// Converts one model.
fn row(kind: &str, model: &str, entry: &Value) -> Result<Value, &'static str> {
    if model.len() > crate::MAX_NAME_BYTES || model.contains(char::is_whitespace) || model.contains(['*', '?']) {
        return Err("its name is no name of a model");
    }
    let base = classes(entry, "")?;
    let per_request = number(entry, "input_cost_per_query", 12)?;
    if base.is_empty() && per_request.is_none() {
        return Err("it is not charged by tokens");
    }
    let mut row = Map::new();
    row.insert("id".to_owned(), json!(format!("{kind}/{model}")));
    row.insert("unverified".to_owned(), json!(true));
    for (field, name) in
        [("ctx", "max_input_tokens"), ("max", "max_output_tokens"), ("cache_min", "prompt_cache_min_tokens")]
    {
        if let Some(tokens) = entry.get(name).and_then(Value::as_u64).filter(|tokens| *tokens > 0) {
            row.insert(field.to_owned(), json!(tokens));
        }
    }
    if base.values().all(|picos| *picos == 0) && per_request.is_none_or(|picos| picos == 0) {
        // A subscription, a preview or a mistake of the map: nothing that may be taken for a price.
        return Err("the map says that it is free");
    }
    let limits = limits(entry)?;
    let tiers = tiers(entry, &base, &limits)?;
    row.insert("base".to_owned(), prices(&base));
    if !limits.is_empty() {
        row.insert("over".to_owned(), thresholds(limits, &base));
    }
    if !tiers.is_empty() {
        row.insert("tier".to_owned(), Value::Object(tiers));
    }
    let mut units = Map::new();
    if let Some(picos) = per_request {
        units.insert("request".to_owned(), json!(text(picos, 12)));
    }
    if let Some(picos) = per_search(entry)? {
        units.insert("web_search".to_owned(), json!(text(picos, 12)));
    }
    if !units.is_empty() {
        row.insert("units".to_owned(), Value::Object(units));
    }
    if kind == "anthropic" && base.contains_key(&(Class::CacheWriteShort as usize)) {
        row.insert("ttl".to_owned(), json!({ "cw_s": "5m", "cw_l": "1h" }));
    }
    Ok(Value::Object(row))
}

/// Reads the prices of all classes whose fields end in `suffix`.
fn classes(entry: &Value, suffix: &str) -> Result<Picos, &'static str> {
    let mut picos = Picos::new();
    for (field, class) in CLASSES {
        if let Some(price) = number(entry, &format!("{field}{suffix}"), 12)? {
            picos.insert(class as usize, price);
        }
    }
    Ok(picos)
}

/// Reads an amount of dollars as a multiple of 10⁻ᵖ dollars for `p` places.
fn number(entry: &Value, field: &str, places: u32) -> Result<Option<u128>, &'static str> {
    let Some(value) = entry.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return Err("a price is not a number"),
    };
    let scaled = decimal::parse(&text, places).map_err(|_| "a price is not a number from 0")?;
    if scaled.value == 0 && !scaled.is_exact {
        return Err("a price is less than a pico-dollar per token");
    }
    Ok(Some(scaled.value))
}

/// Reads the prices of prompts above a number of tokens: fields that end in `_above_200k_tokens`, or `tiered_pricing`.
fn limits(entry: &Value) -> Result<BTreeMap<u64, Picos>, &'static str> {
    let mut limits: BTreeMap<u64, Picos> = BTreeMap::new();
    for field in entry.as_object().into_iter().flat_map(Map::keys) {
        let rest = field.strip_prefix("input_cost_per_token_above_");
        let thousands = rest.and_then(|rest| rest.strip_suffix("k_tokens")?.parse::<u64>().ok());
        if let Some(thousands) = thousands {
            limits.insert(thousands.saturating_mul(1_000), classes(entry, &above(thousands))?);
        }
    }
    for step in entry.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        let from = step.pointer("/range/0").and_then(Value::as_f64).unwrap_or_default();
        if (1.0..1e12).contains(&from) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
            limits.insert(from as u64, classes(step, "")?);
        }
    }
    Ok(limits)
}

/// Returns the end of the fields for prompts above some thousands of tokens.
fn above(thousands: u64) -> String {
    format!("_above_{thousands}k_tokens")
}

/// Writes `over`. Where the map lacks a class that has a price below the threshold, no price above it is known.
fn thresholds(limits: BTreeMap<u64, Picos>, base: &Picos) -> Value {
    let threshold = |(limit, mut picos): (u64, Picos)| {
        // A class that costs nothing below costs nothing above.
        for (class, _) in base.iter().filter(|(_, picos)| **picos == 0) {
            picos.entry(*class).or_insert(0);
        }
        let mut fields = complete(&picos, base).unwrap_or_default();
        fields.insert("input_gt".to_owned(), json!(limit));
        Value::Object(fields)
    };
    limits.into_iter().map(threshold).collect()
}

/// Returns the prices of a threshold or tier, if each class of `base` has one.
fn complete(picos: &Picos, base: &Picos) -> Option<Map<String, Value>> {
    if !base.keys().all(|class| picos.contains_key(class)) {
        return None;
    }
    prices(picos).as_object().cloned()
}

/// Reads the service tiers: as a ratio if all prices that the map gives have the same one, else as prices. A tier whose
/// prices for long prompts are not known is left out.
fn tiers(entry: &Value, base: &Picos, limits: &BTreeMap<u64, Picos>) -> Result<Map<String, Value>, &'static str> {
    let mut tiers = Map::new();
    for (tier, suffix) in TIERS {
        let own = classes(entry, suffix)?;
        let mut pairs = vec![(own.clone(), base)];
        for (limit, picos) in limits {
            pairs.push((classes(entry, &format!("{}{suffix}", above(limit / 1_000)))?, picos));
        }
        if pairs.iter().any(|(own, _)| own.is_empty()) {
            continue;
        }
        if let Some((numerator, denominator)) = ratio(&pairs) {
            tiers.insert(tier.to_owned(), json!({ "x": [numerator, denominator] }));
        } else if let Some(fields) = complete(&own, base).filter(|_| limits.is_empty()) {
            tiers.insert(tier.to_owned(), Value::Object(fields));
        }
    }
    Ok(tiers)
}

/// Returns the one ratio of all prices to those of the standard tier, if it gives whole pico-dollars for all of these.
fn ratio(pairs: &[(Picos, &Picos)]) -> Option<(u128, u128)> {
    let mut ratios = BTreeSet::new();
    for (own, standard) in pairs {
        let ratio = |(class, picos): (&usize, &u128)| standard.get(class).map(|whole| reduced(*picos, *whole));
        ratios.extend(own.iter().filter_map(ratio));
    }
    let (numerator, denominator) = ratios.pop_first().filter(|_| ratios.is_empty())?;
    let is_small = |term| (1..=MAX_RATIO_TERM).contains(&term);
    let is_whole = |picos: &u128| (picos * numerator).is_multiple_of(denominator);
    let fits = is_small(numerator) && is_small(denominator);
    (fits && pairs.iter().all(|(_, standard)| standard.values().all(is_whole))).then_some((numerator, denominator))
}

/// Reads the price of a web search, if it does not depend on how much the search reads.
fn per_search(entry: &Value) -> Result<Option<u128>, &'static str> {
    let Some(sizes) = entry.get("search_context_cost_per_query").and_then(Value::as_object) else { return Ok(None) };
    let sizes = Value::Object(sizes.clone());
    let mut prices = BTreeSet::new();
    for field in sizes.as_object().into_iter().flat_map(Map::keys) {
        prices.extend(number(&sizes, field, 12)?);
    }
    Ok(prices.first().copied().filter(|_| prices.len() == 1))
}

fn prices(picos: &Picos) -> Value {
    let price =
        |class: Class| picos.get(&(class as usize)).map(|price| (class.key().to_owned(), json!(text(*price, 6))));
    Value::Object(Class::ALL.into_iter().filter_map(price).collect())
}

/// Writes a multiple of 10⁻ᵖ for `p` places as a decimal number.
fn text(value: u128, places: usize) -> String {
    let digits = format!("{value:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// Reduces a fraction.
fn reduced(numerator: u128, denominator: u128) -> (u128, u128) {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    numerator.checked_div(a).zip(denominator.checked_div(a)).unwrap_or((numerator, denominator))
}
