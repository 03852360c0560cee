//! Reads and validates a route, as users write it.
//!
//! The REST API, configuration documents and the command line all use [`read`], so that a route accepted by one of them
//! is accepted by the others and by the router.

mod options;

use serde_json::{Map, Value};

use crate::fields::{Fields, alternatives, check_pattern};
use crate::guard_document;
use crate::provider_config::{MAX_KEY_NAME, MAX_MILLIS, Mistake, check_key_name};
use crate::rate_limits;
use crate::schema::{Ability, Hedge, Mirror, NewRoute, RouteDeadlines, RoutePlan, RouteTarget};
use crate::text::is_line;

/// Maximum characters of a model name.
pub const MAX_MODEL: usize = 256;

/// Maximum number of targets.
pub const MAX_TARGETS: usize = 32;

/// Maximum number of aliases.
pub const MAX_ALIASES: usize = 32;

/// Maximum number of attempts after the first one.
pub const MAX_RETRIES: u64 = 10;

/// Maximum weight of a target.
pub const MAX_WEIGHT: u64 = 1_000;

/// Maximum tokens of context of a target.
pub const MAX_CONTEXT_TOKENS: u64 = 1_000_000_000;

/// Maximum characters of the name of a region.
pub const MAX_REGION: usize = 64;

/// Maximum price of a request in US dollars.
pub const MAX_PRICE_USD: f64 = 1_000_000.0;

/// Smallest and largest quantile of a hedge.
pub const MIN_QUANTILE: f64 = 0.5;
/// See [`MIN_QUANTILE`].
pub const MAX_QUANTILE: f64 = 0.999;

/// Words of [`crate::schema::Ability`].
pub const ABILITIES: [&str; 3] = ["tools", "vision", "json_schema"];

/// Words of [`crate::Api`].
pub const APIS: [&str; 3] = ["chat", "messages", "responses"];

/// Words of [`crate::schema::RoutePolicy`].
pub const POLICIES: [&str; 6] = ["priority", "weighted", "round-robin", "least-busy", "latency", "cheapest"];

/// Words of [`crate::schema::Resume`].
pub const RESUMES: [&str; 2] = ["off", "verbatim"];

/// Words of [`crate::schema::Sticky`].
pub const STICKIES: [&str; 2] = ["session", "prefix"];

/// Words of [`crate::schema::CacheScope`].
pub const CACHE_SCOPES: [&str; 3] = ["key", "owner", "all"];

/// Maximum milliseconds for which an answer stays in a cache: 30 days.
pub const MAX_TTL_MS: u64 = 30 * 86_400_000;

/// Maximum bytes of an answer in a cache.
pub const MAX_CACHED_ANSWER: u64 = 64 << 20;

/// Fields of a request that the router reads itself, so that a target must not replace them.
pub const OWN_PARAMS: [&str; 4] = ["model", "stream", "messages", "input"];

/// Maximum characters of the id of a provider.
pub(crate) const MAX_PROVIDER: usize = 128;

/// Reads a route that is to be stored under `id`. `has_provider` tells whether a provider exists.
///
/// # Errors
/// Returns every mistake.
pub fn read(
    id: String,
    document: Map<String, Value>,
    has_provider: &dyn Fn(&str) -> bool,
) -> Result<NewRoute, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut fields = Fields::new(String::new(), document, &mut mistakes);
    let model = model(&mut fields);
    let enabled = fields.boolean("enabled").unwrap_or(true);
    let aliases = aliases(&mut fields, &model);
    let has_wildcard = model.contains('*');
    let policy = fields.word("policy", &POLICIES).unwrap_or_default();
    let targets = fields.list("targets", 1..=MAX_TARGETS, |path, item, mistakes| {
        target(path, item, has_wildcard, has_provider, mistakes)
    });
    let retries = fields.integer("retries", 0..=MAX_RETRIES).and_then(|retries| u8::try_from(retries).ok());
    let deadlines = fields.nested("deadlines").map(deadlines).unwrap_or_default();
    let plan = RoutePlan {
        aliases,
        policy,
        targets: targets.unwrap_or_default(),
        retries,
        deadlines,
        resume: fields.word("resume", &RESUMES).unwrap_or_default(),
        sticky: fields.word("sticky", &STICKIES),
        strict: fields.boolean("strict").unwrap_or(false),
        resumable: fields.boolean("resumable").unwrap_or(false),
        cache: fields.nested("cache").and_then(options::cache),
        guard: fields.nested("guard").and_then(guard_document::read),
        limits: fields.nested("limits").map(rate_limits::read).unwrap_or_default(),
        hedge: fields.nested("hedge").and_then(hedge),
        mirror: fields.nested("mirror").and_then(|fields| mirror(fields, has_wildcard, has_provider)),
    };
    if plan.hedge.is_some() && plan.targets.len() == 1 {
        fields.mistake("hedge", "needs a second target to ask");
    }
    fields.finish();
    if plan.targets.is_empty() && !mistakes.iter().any(|mistake| mistake.path.starts_with("targets")) {
        let what = "is required: a list with the provider and the model of each target".to_owned();
        mistakes.push(Mistake { path: "targets".to_owned(), what });
    }
    if mistakes.is_empty() { Ok(NewRoute { id, model, enabled, plan }) } else { Err(mistakes) }
}

/// Returns the route as users write it; [`read`] returns the same route.
#[must_use]
pub fn write(model: &str, enabled: bool, plan: &RoutePlan) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("model".to_owned(), model.into());
    document.insert("enabled".to_owned(), enabled.into());
    if let Ok(Value::Object(plan)) = serde_json::to_value(plan) {
        document.extend(plan);
    }
    document
}

/// Returns the sentence about a target whose provider does not exist.
#[must_use]
pub fn no_such_provider(id: &str) -> String {
    format!("must be the id of a provider; there is none with the id {}", crate::text::quoted(id))
}

fn model(fields: &mut Fields<'_>) -> String {
    let Some(value) = fields.take("model") else {
        fields.mistake("model", "is required: the name of the model in requests");
        return String::new();
    };
    match value {
        Value::String(name) if name.trim() == name && !name.is_empty() && name.chars().count() <= MAX_MODEL => {
            if !is_line(&name) {
                fields.mistake("model", crate::text::NOT_A_LINE);
            } else if let Err(what) = check_pattern(&name) {
                fields.mistake("model", what);
            }
            name
        }
        _ => {
            let what = format!("must be a text of 1 to {MAX_MODEL} characters, without spaces around it");
            fields.mistake("model", what);
            String::new()
        }
    }
}

fn aliases(fields: &mut Fields<'_>, model: &str) -> Vec<String> {
    let check = |alias: &str| {
        if alias.contains('*') {
            return Err("must not have a *; only the model of a route may have one".to_owned());
        }
        if alias == model { Err("is the model of the route already".to_owned()) } else { Ok(()) }
    };
    fields.texts("aliases", 0..=MAX_ALIASES, MAX_MODEL, check).unwrap_or_default()
}

fn hedge(mut fields: Fields<'_>) -> Option<Hedge> {
    let range = MIN_QUANTILE..=MAX_QUANTILE;
    let quantile = fields.take("quantile").and_then(|value| value.as_f64()).filter(|value| range.contains(value));
    if quantile.is_none() {
        fields.mistake("quantile", format!("must be a number from {MIN_QUANTILE} to {MAX_QUANTILE}, such as 0.95"));
    }
    let min_ms = fields.required_integer("min_ms", 1..=MAX_MILLIS);
    fields.finish();
    Some(Hedge { quantile: quantile?, min_ms: min_ms? })
}

fn mirror(mut fields: Fields<'_>, has_wildcard: bool, has_provider: &dyn Fn(&str) -> bool) -> Option<Mirror> {
    let (provider, model) = provider_and_model(&mut fields, has_wildcard, has_provider);
    let percent =
        fields.take("percent").and_then(|value| value.as_f64()).filter(|value| *value > 0.0 && *value <= 100.0);
    if percent.is_none() {
        fields.mistake("percent", "must be a number above 0 and up to 100");
    }
    fields.finish();
    Some(Mirror { provider: provider?, model: model?, percent: percent? })
}

/// Reads the provider of a target, and the model there.
fn provider_and_model(
    fields: &mut Fields<'_>,
    has_wildcard: bool,
    has_provider: &dyn Fn(&str) -> bool,
) -> (Option<String>, Option<String>) {
    if !fields.has("provider") {
        fields.mistake("provider", "is required: the id of a provider");
    }
    if !fields.has("model") {
        fields.mistake("model", "is required: the name of the model at the provider");
    }
    let provider = fields.line("provider", MAX_PROVIDER);
    if let Some(provider) = provider.as_deref().filter(|provider| !has_provider(provider)) {
        fields.mistake("provider", no_such_provider(provider));
    }
    let model = fields.line("model", MAX_MODEL);
    if let Some(Err(what)) = model.as_deref().map(check_pattern) {
        fields.mistake("model", what);
    } else if !has_wildcard && model.as_deref().is_some_and(|model| model.contains('*')) {
        fields.mistake("model", "must not have a *, because the model of the route has none");
    }
    (provider, model)
}

fn target(
    path: String,
    item: Value,
    has_wildcard: bool,
    has_provider: &dyn Fn(&str) -> bool,
    mistakes: &mut Vec<Mistake>,
) -> Option<RouteTarget> {
    let Value::Object(item) = item else {
        mistakes.push(Mistake { path, what: "must be an object with provider and model".to_owned() });
        return None;
    };
    let mut fields = Fields::new(path, item, mistakes);
    let (provider, model) = provider_and_model(&mut fields, has_wildcard, has_provider);
    let key = fields.line("key", MAX_KEY_NAME);
    if let Some(Err(what)) = key.as_deref().map(check_key_name) {
        fields.mistake("key", what);
    }
    let weight = fields.integer("weight", 1..=MAX_WEIGHT).and_then(|weight| u16::try_from(weight).ok());
    let params = fields.object("params").unwrap_or_default();
    for own in OWN_PARAMS.iter().filter(|own| params.contains_key(**own)) {
        fields.mistake(&format!("params.{own}"), "must not be replaced; the router sets it");
    }
    let context_tokens = fields.integer("context_tokens", 1..=MAX_CONTEXT_TOKENS);
    let can = abilities(&mut fields);
    let region = fields.line("region", MAX_REGION);
    let max_price_usd = price(&mut fields);
    let api = fields.word("api", &APIS);
    fields.finish();
    let (provider, model) = (provider?, model?);
    Some(RouteTarget { provider, model, key, weight, params, context_tokens, can, region, max_price_usd, api })
}

fn abilities(fields: &mut Fields<'_>) -> Option<Vec<Ability>> {
    let check = |word: &str| {
        if ABILITIES.contains(&word) { Ok(()) } else { Err(format!("must be {}", alternatives(&ABILITIES))) }
    };
    let words = fields.texts("can", 0..=ABILITIES.len(), MAX_REGION, check)?;
    let ability = |word: String| serde_json::from_value(word.into()).ok();
    Some(words.into_iter().filter_map(ability).collect())
}

/// Reads `max_price_usd`.
pub(crate) fn price(fields: &mut Fields<'_>) -> Option<f64> {
    fields.number("max_price_usd", MAX_PRICE_USD)
}

/// Reads deadlines.
pub(crate) fn deadlines(mut fields: Fields<'_>) -> RouteDeadlines {
    let mut millis = |name| fields.integer(name, 1..=MAX_MILLIS);
    let deadlines = RouteDeadlines {
        connect_ms: millis("connect_ms"),
        headers_ms: millis("headers_ms"),
        first_token_ms: millis("first_token_ms"),
        idle_ms: millis("idle_ms"),
        total_ms: millis("total_ms"),
    };
    fields.finish();
    deadlines
}

#[cfg(test)]
mod tests;
