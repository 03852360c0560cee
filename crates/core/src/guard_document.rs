//! Reads and validates the guard of a route or a key, as users write it.

use crate::fields::Fields;
use crate::schema::GuardRules;

/// Words of [`crate::schema::GuardAction`].
pub const ACTIONS: [&str; 2] = ["redact", "refuse"];

/// Maximum bytes of a request or an answer that a rule may name.
pub const MAX_BYTES: u64 = 1 << 30;

/// Reads the rules.
pub(crate) fn read(mut fields: Fields<'_>) -> Option<GuardRules> {
    let rules = GuardRules {
        secrets: fields.word("secrets", &ACTIONS),
        cards: fields.word("cards", &ACTIONS),
        max_request_bytes: fields.integer("max_request_bytes", 1..=MAX_BYTES),
        answer_secrets: fields.word("answer_secrets", &ACTIONS),
        answer_cards: fields.word("answer_cards", &ACTIONS),
        max_answer_bytes: fields.integer("max_answer_bytes", 1..=MAX_BYTES),
        hook: fields.boolean("hook").unwrap_or(false),
    };
    fields.finish();
    (!rules.is_empty()).then_some(rules)
}
