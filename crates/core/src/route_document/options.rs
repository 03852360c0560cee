//! Reads and validates the cache of a route.

use super::{CACHE_SCOPES, MAX_CACHED_ANSWER, MAX_TTL_MS};
use crate::fields::Fields;
use crate::schema::RouteCache;

/// Reads the cache of a route.
pub(super) fn cache(mut fields: Fields<'_>) -> Option<RouteCache> {
    let is_given = fields.has("ttl_ms");
    let ttl_ms = fields.integer("ttl_ms", 1..=MAX_TTL_MS);
    if !is_given {
        fields.mistake("ttl_ms", "is required: the milliseconds for which an answer is given again");
    }
    let scope = fields.word("scope", &CACHE_SCOPES).unwrap_or_default();
    let max_answer_bytes = fields.integer("max_answer_bytes", 1..=MAX_CACHED_ANSWER);
    fields.finish();
    Some(RouteCache { ttl_ms: ttl_ms?, scope, max_answer_bytes })
}
