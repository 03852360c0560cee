//! Schemas of routes and keys, as strict as the validation in `signalbox_core::route_document` and
//! `signalbox_core::key_document`. An optional field may be null, which means that it is absent.

use serde_json::Value;
use signalbox_core::guard_document as guard;
use signalbox_core::key_document as key;
use signalbox_core::provider_config::MAX_MILLIS;
use signalbox_core::rate_limits as limits;
use signalbox_core::route_document as route;
use utoipa::openapi::schema::{AdditionalProperties, Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use super::schemas::{NAME, sendable, text};

/// A line with at least one visible character and at most one `*`.
const PATTERN: &str = r"^[^*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*([^\s*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\*)[^*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$";
/// A line with at least one visible character and no `*`.
const NO_PATTERN: &str = r"^[^*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*[^\s*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069][^*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$";

pub(in super::super) fn model() -> Object {
    pattern().build()
}

pub(in super::super) fn aliases() -> Array {
    texts(text(NO_PATTERN).min_length(Some(1)).max_length(Some(route::MAX_MODEL)), 0, route::MAX_ALIASES)
}

/// Name of a provider's key, see [`signalbox_core::provider_config::check_key_name`].
const KEY_NAME: &str = "^[A-Za-z0-9._-]{1,64}$";

pub(in super::super) fn policy() -> Object {
    words(&route::POLICIES)
}

pub(in super::super) fn targets() -> Array {
    let target = strict()
        .property("provider", line(128))
        .property("model", pattern())
        .property("key", nullable(ObjectBuilder::new().pattern(Some(KEY_NAME)), Type::String))
        .property("weight", whole(1, route::MAX_WEIGHT))
        .property("params", params())
        .property("context_tokens", whole(1, route::MAX_CONTEXT_TOKENS))
        .property("can", abilities())
        .property("region", nullable(line(route::MAX_REGION), Type::String))
        .property("max_price_usd", above_zero(route::MAX_PRICE_USD))
        .property("api", words(&route::APIS))
        .required("provider")
        .required("model");
    ArrayBuilder::new().items(target).min_items(Some(1)).max_items(Some(route::MAX_TARGETS)).build()
}

fn abilities() -> Array {
    let ability = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(route::ABILITIES));
    texts(ability, 0, route::ABILITIES.len())
}

fn above_zero(max: f64) -> ObjectBuilder {
    nullable(ObjectBuilder::new(), Type::Number).exclusive_minimum(Some(0)).maximum(Some(max))
}

pub(in super::super) fn retries() -> Object {
    whole(0, route::MAX_RETRIES)
}

pub(in super::super) fn deadlines() -> Object {
    let fields = ["connect_ms", "headers_ms", "first_token_ms", "idle_ms", "total_ms"];
    optional(fields.into_iter().fold(strict(), |all, name| all.property(name, whole(1, MAX_MILLIS))))
}

pub(in super::super) fn resume() -> Object {
    words(&route::RESUMES)
}

pub(in super::super) fn sticky() -> Object {
    words(&route::STICKIES)
}

pub(in super::super) fn cache() -> Object {
    let cache = strict()
        .property("ttl_ms", number(1, route::MAX_TTL_MS))
        .property("scope", words(&route::CACHE_SCOPES))
        .property("max_answer_bytes", whole(1, route::MAX_CACHED_ANSWER))
        .required("ttl_ms");
    optional(cache)
}

pub(in super::super) fn guard() -> Object {
    let action = || words(&guard::ACTIONS);
    let rules = strict()
        .property("secrets", action())
        .property("cards", action())
        .property("max_request_bytes", whole(1, guard::MAX_BYTES))
        .property("answer_secrets", action())
        .property("answer_cards", action())
        .property("max_answer_bytes", whole(1, guard::MAX_BYTES))
        .property("hook", flag());
    optional(rules)
}

pub(in super::super) fn flag() -> Object {
    nullable(ObjectBuilder::new(), Type::Boolean).build()
}

pub(in super::super) fn key_name() -> Object {
    line(key::MAX_NAME).build()
}

pub(in super::super) fn owner() -> Object {
    nullable(line(key::MAX_NAME), Type::String).build()
}

pub(in super::super) fn tags() -> Array {
    texts(line(key::MAX_TAG), 0, key::MAX_TAGS)
}

pub(in super::super) fn models() -> Array {
    texts(pattern(), 1, key::MAX_ALLOWED)
}

pub(in super::super) fn surfaces() -> Array {
    let surface = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(key::SURFACES));
    texts(surface, 1, key::MAX_ALLOWED)
}

pub(in super::super) fn addresses() -> Array {
    // An address or a network; the exact syntax is checked by the handler.
    texts(text("^[0-9a-fA-F.:]+(/[0-9]{1,3})?$").max_length(Some(key::MAX_NAME)), 1, key::MAX_ALLOWED)
}

pub(in super::super) fn limits() -> Object {
    let queue = strict()
        .property("max_waiting", whole(1, limits::MAX_WAITING))
        .property("timeout_ms", whole(1, limits::MAX_QUEUE_MS))
        .required("max_waiting")
        .required("timeout_ms");
    let limits = strict()
        .property("rpm", whole(1, limits::MAX_REQUESTS))
        .property("tpm", whole(1, limits::MAX_TOKENS))
        .property("concurrency", whole(1, limits::MAX_REQUESTS))
        .property("queue", optional(queue));
    optional(limits)
}

pub(in super::super) fn hedge() -> Object {
    let quantile = ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(route::MIN_QUANTILE))
        .maximum(Some(route::MAX_QUANTILE));
    let hedge = strict()
        .property("quantile", quantile)
        .property("min_ms", whole(1, MAX_MILLIS))
        .required("quantile")
        .required("min_ms");
    optional(hedge)
}

pub(in super::super) fn mirror() -> Object {
    let percent = ObjectBuilder::new().schema_type(Type::Number).exclusive_minimum(Some(0)).maximum(Some(100));
    let mirror = strict()
        .property("provider", line(128))
        .property("model", pattern())
        .property("percent", percent)
        .required("provider")
        .required("model")
        .required("percent");
    optional(mirror)
}

pub(in super::super) fn priority() -> Object {
    words(&limits::PRIORITIES)
}

pub(in super::super) fn budget() -> Object {
    let amount =
        ObjectBuilder::new().schema_type(Type::Number).exclusive_minimum(Some(0)).maximum(Some(key::MAX_AMOUNT_USD));
    let period = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(key::PERIODS));
    let budget =
        strict().property("amount_usd", amount).property("period", period).required("amount_usd").required("period");
    optional(budget)
}

pub(in super::super) fn log_bodies() -> Object {
    words(&key::LOG_BODIES)
}

/// Returns the schema of a time as RFC 3339 or Unix milliseconds; whether it is in the future is checked by the handler.
pub(in super::super) fn expires_at() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::Array(vec![Type::String, Type::Integer, Type::Null])).build()
}

pub(in super::super) fn overlap() -> Object {
    whole(0, u64::from(key::MAX_OVERLAP_SECONDS))
}

/// Returns the schema of an object without unknown fields.
fn strict() -> ObjectBuilder {
    ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn optional(object: ObjectBuilder) -> Object {
    nullable(object, Type::Object).build()
}

fn nullable(schema: ObjectBuilder, kind: Type) -> ObjectBuilder {
    schema.schema_type(SchemaType::Array(vec![kind, Type::Null]))
}

fn line(max_chars: usize) -> ObjectBuilder {
    text(NAME).min_length(Some(1)).max_length(Some(max_chars))
}

fn pattern() -> ObjectBuilder {
    text(PATTERN).min_length(Some(1)).max_length(Some(route::MAX_MODEL))
}

#[expect(clippy::cast_precision_loss, reason = "all limits are exact")]
fn whole(min: u64, max: u64) -> Object {
    nullable(ObjectBuilder::new(), Type::Integer).minimum(Some(min as f64)).maximum(Some(max as f64)).build()
}

/// Returns the schema of a whole number that must not be null.
#[expect(clippy::cast_precision_loss, reason = "all limits are exact")]
fn number(min: u64, max: u64) -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min as f64)).maximum(Some(max as f64)).build()
}

fn words(words: &[&str]) -> Object {
    let values = words.iter().map(|word| Value::from(*word)).chain([Value::Null]);
    nullable(ObjectBuilder::new(), Type::String).enum_values(Some(values)).build()
}

fn texts(item: ObjectBuilder, min: usize, max: usize) -> Array {
    ArrayBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::Array, Type::Null]))
        .items(item)
        .min_items(Some(min))
        .max_items(Some(max))
        .unique_items(true)
        .build()
}

/// Returns the schema of fields that replace those of a request.
fn params() -> Object {
    let own = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^(?!(model|stream|messages|input)$)"));
    nullable(ObjectBuilder::new(), Type::Object)
        .property_names(Some(own))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::<Schema>::from(sendable()))))
        .build()
}
