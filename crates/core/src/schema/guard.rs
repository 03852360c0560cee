//! Rules for the content of requests and answers, as routes and keys have them.

use serde::{Deserialize, Serialize};

/// Rules for the content of requests and answers. Those that are unset do not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct GuardRules {
    /// Action on credentials in a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<GuardAction>,
    /// Action on payment card numbers in a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cards: Option<GuardAction>,
    /// Maximum bytes of a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_request_bytes: Option<u64>,
    /// Action on credentials in an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_secrets: Option<GuardAction>,
    /// Action on payment card numbers in an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_cards: Option<GuardAction>,
    /// Maximum bytes of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_answer_bytes: Option<u64>,
    /// Whether the hook of the configuration is asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hook: bool,
}

/// Action on content that a rule finds. The stricter of two is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum GuardAction {
    /// Replace it.
    Redact,
    /// Refuse the whole request or answer.
    Refuse,
}

// === impl GuardRules ===

impl GuardRules {
    /// Returns whether no rule applies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the stricter of both for each rule.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            secrets: self.secrets.max(other.secrets),
            cards: self.cards.max(other.cards),
            max_request_bytes: least(self.max_request_bytes, other.max_request_bytes),
            answer_secrets: self.answer_secrets.max(other.answer_secrets),
            answer_cards: self.answer_cards.max(other.answer_cards),
            max_answer_bytes: least(self.max_answer_bytes, other.max_answer_bytes),
            hook: self.hook || other.hook,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_rule_counts() {
        use GuardAction::{Redact, Refuse};
        let a = GuardRules {
            secrets: Some(Redact),
            cards: Some(Refuse),
            max_request_bytes: Some(5),
            ..GuardRules::default()
        };
        let b = GuardRules { secrets: Some(Refuse), max_request_bytes: Some(9), hook: true, ..GuardRules::default() };
        let both = GuardRules { secrets: Some(Refuse), hook: true, ..a };
        assert_eq!((a.and(&b), b.and(&a)), (both, both));
        assert!(GuardRules::default().is_empty() && !b.is_empty());
        assert_eq!(a.and(&GuardRules::default()), a);
    }
}
