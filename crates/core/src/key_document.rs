//! Reads and validates the name, permissions and limits of a client key, as users write them.
//!
//! The REST API, configuration documents and the command line all use [`read`].

use serde_json::{Map, Value, json};

use crate::fields::{Fields, check_pattern};
use crate::guard_document;
use crate::network::Network;
use crate::provider_config::Mistake;
use crate::rate_limits::{self, PRIORITIES};
use crate::route_document::MAX_MODEL;
use crate::schema::{ApiKeyFields, BudgetPeriod, KeyBudget, KeyGrant};

/// Prefix of the names of keys of the configuration. A number follows it.
const CONFIGURED: &str = "config-";
/// Maximum characters of a name or an owner.
pub const MAX_NAME: usize = 128;

/// Maximum characters of a tag.
pub const MAX_TAG: usize = 64;

/// Maximum number of tags.
pub const MAX_TAGS: usize = 32;

/// Maximum number of models, surfaces or addresses.
pub const MAX_ALLOWED: usize = 256;

/// APIs that a key may be restricted to. Counting tokens belongs to the API whose tokens are counted.
pub const SURFACES: [&str; 7] = ["chat", "messages", "responses", "completions", "embeddings", "moderations", "rerank"];

/// Words of [`KeyGrant::log_bodies`].
pub const LOG_BODIES: [&str; 3] = ["full", "redact", "off"];

/// Words of [`BudgetPeriod`].
pub const PERIODS: [&str; 4] = ["day", "week", "month", "total"];

/// Maximum US dollars of a budget.
pub const MAX_AMOUNT_USD: f64 = 1_000_000_000.0;

/// Maximum seconds for which a rotated key stays valid: 30 days.
pub const MAX_OVERLAP_SECONDS: u32 = 30 * 86_400;

/// Latest expiry: the end of the year 9999.
pub const MAX_EXPIRES_AT: i64 = 253_402_300_799_999;

/// Which times of expiry are accepted.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// The current time in Unix milliseconds: the expiry has to be later.
    pub now_ms: i64,
    /// The stored expiry, which may stay in the past.
    pub stored: Option<i64>,
}

/// Reads the fields of a key.
///
/// # Errors
/// Returns every mistake.
pub fn read(document: Map<String, Value>, expiry: Expiry) -> Result<ApiKeyFields, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let is_named = document.get("name").is_some_and(|name| !name.is_null());
    let mut fields = Fields::new(String::new(), document, &mut mistakes);
    if !is_named {
        fields.mistake("name", "is required: what the key is for");
    }
    // Names that differ in blanks around them cannot be told apart.
    let name = fields.line("name", MAX_NAME).map(|name| name.trim().to_owned()).unwrap_or_default();
    if name.strip_prefix(CONFIGURED).is_some_and(|number| number.parse::<u32>().is_ok()) {
        fields.mistake("name", "is that of a key of the configuration; choose another one");
    }
    let any = |_: &str| Ok(());
    let grant = KeyGrant {
        owner: fields.line("owner", MAX_NAME),
        tags: fields.texts("tags", 0..=MAX_TAGS, MAX_TAG, any).unwrap_or_default(),
        models: fields.texts("models", 1..=MAX_ALLOWED, MAX_MODEL, check_model),
        surfaces: fields.texts("surfaces", 1..=MAX_ALLOWED, MAX_NAME, check_surface),
        addresses: fields.texts("addresses", 1..=MAX_ALLOWED, MAX_NAME, check_address),
        limits: fields.nested("limits").map(rate_limits::read).unwrap_or_default(),
        priority: fields.word("priority", &PRIORITIES),
        budget: fields.nested("budget").and_then(budget),
        log_bodies: fields.word("log_bodies", &LOG_BODIES),
        strict: fields.boolean("strict").unwrap_or(false),
        guard: fields.nested("guard").and_then(guard_document::read),
    };
    let expires_at = fields.take("expires_at").and_then(|value| {
        let read = expires_at(&value, expiry);
        read.map_err(|what| fields.mistake("expires_at", what)).ok()
    });
    fields.finish();
    if mistakes.is_empty() { Ok(ApiKeyFields { name, grant, expires_at }) } else { Err(mistakes) }
}

/// Returns the fields as users write them; [`read`] returns the same ones.
#[must_use]
pub fn write(name: &str, grant: &KeyGrant, expires_at: Option<i64>) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("name".to_owned(), name.into());
    if let Ok(Value::Object(grant)) = serde_json::to_value(grant) {
        document.extend(grant);
    }
    if let Some(expires_at) = expires_at {
        document.insert("expires_at".to_owned(), json!(expires_at));
    }
    document
}

/// Checks the name of a model that is allowed, or denied with `!` in front.
fn check_model(name: &str) -> Result<(), String> {
    let denied = name.strip_prefix('!');
    if denied.is_some_and(|denied| denied.trim().is_empty() || denied.starts_with('!')) {
        return Err("must have the name of the model that is denied behind its one !".to_owned());
    }
    check_pattern(denied.unwrap_or(name))
}

fn check_surface(surface: &str) -> Result<(), String> {
    if SURFACES.contains(&surface) { Ok(()) } else { Err(format!("must be one of {}", SURFACES.join(", "))) }
}

fn check_address(address: &str) -> Result<(), String> {
    let what = |_| "must be an address or a network, such as 192.168.1.7 or 10.0.0.0/8".to_owned();
    address.parse::<Network>().map(drop).map_err(what)
}

fn budget(mut fields: Fields<'_>) -> Option<KeyBudget> {
    let amount = fields.take("amount_usd");
    let amount_usd = amount.as_ref().and_then(Value::as_f64).filter(|usd| *usd > 0.0 && *usd <= MAX_AMOUNT_USD);
    if amount_usd.is_none() {
        fields.mistake("amount_usd", format!("must be a number above 0 and up to {MAX_AMOUNT_USD}"));
    }
    let period: Option<BudgetPeriod> = match fields.take("period") {
        Some(Value::String(word)) if PERIODS.contains(&&*word) => serde_json::from_value(word.into()).ok(),
        _ => None,
    };
    if period.is_none() {
        fields.mistake("period", "must be day, week, month or total");
    }
    fields.finish();
    Some(KeyBudget { amount_usd: amount_usd?, period: period? })
}

/// Reads a time as RFC 3339 or Unix milliseconds.
fn expires_at(value: &Value, expiry: Expiry) -> Result<i64, String> {
    let read = match value {
        Value::String(text) => text.trim().parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
        Value::Number(_) => {
            value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX)).or_else(|| integral(value.as_f64()?))
        }
        _ => None,
    };
    let at = read
        .filter(|at| (0..=MAX_EXPIRES_AT).contains(at))
        .ok_or("must be a text with a time, such as \"2027-01-31T00:00:00Z\", or Unix milliseconds")?;
    if at > expiry.now_ms || Some(at) == expiry.stored {
        Ok(at)
    } else {
        Err("must be in the future; to end a key now, revoke it".to_owned())
    }
}

/// Returns the integer that a fraction stands for, such as `5.0`.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked by the caller, and the cast saturates")]
fn integral(number: f64) -> Option<i64> {
    (number.fract() == 0.0).then_some(number as i64)
}

#[cfg(test)]
mod tests;
