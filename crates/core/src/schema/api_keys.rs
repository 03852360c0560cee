//! Table `api_keys`: keys of clients, with their permissions and limits.

use serde::{Deserialize, Serialize};

use super::{GuardRules, KeyLimits, Priority};

/// A row of table `api_keys`. The key itself is never stored, only its digest.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    /// Identifier.
    pub id: String,
    /// Name, unique.
    pub name: String,
    /// First characters of the key, by which its owner recognises it.
    pub hint: String,
    /// SHA-256 of the key, in hexadecimal digits.
    pub digest: String,
    /// Digest of the key before the last rotation.
    pub previous_digest: Option<String>,
    /// When the previous key ends to be valid.
    pub previous_expires_at: Option<i64>,
    /// Permissions and limits.
    pub grant: KeyGrant,
    /// When the key ends to be valid.
    pub expires_at: Option<i64>,
    /// When the key was revoked.
    pub revoked_at: Option<i64>,
    /// Creation time.
    pub created_at: i64,
    /// Time of the last change.
    pub updated_at: i64,
}

/// The fields of a new key.
#[derive(Clone, Debug, PartialEq)]
pub struct NewApiKey {
    /// See [`ApiKey::id`].
    pub id: String,
    /// See [`ApiKey::hint`].
    pub hint: String,
    /// See [`ApiKey::digest`].
    pub digest: String,
    /// The fields that may change later.
    pub fields: ApiKeyFields,
}

/// The fields of a key that a user may change.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKeyFields {
    /// See [`ApiKey::name`].
    pub name: String,
    /// See [`ApiKey::grant`].
    pub grant: KeyGrant,
    /// See [`ApiKey::expires_at`].
    pub expires_at: Option<i64>,
}

/// Permissions and limits of a key, stored as one JSON document and shown by the REST API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct KeyGrant {
    /// Person or team that uses the key; budgets of the same owner add up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Labels for the sums of costs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Model names that may be requested, or, with `!` in front, that may not; a `*` matches any characters. Unset: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// APIs that may be used: `chat`, `messages`, `responses`, `completions`, `embeddings`, … Unset: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surfaces: Option<Vec<String>>,
    /// Addresses and networks that may present the key. Unset: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// Limits of the rate.
    #[serde(skip_serializing_if = "KeyLimits::is_empty")]
    pub limits: KeyLimits,
    /// Place of its requests among those that wait for a limit. Unset: normal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<KeyBudget>,
    /// How much of its requests is logged: `full`, `redact` or `off`. Unset: the setting of the router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_bodies: Option<String>,
    /// Whether a translation that loses a field is refused.
    pub strict: bool,
    /// Rules for the content of requests and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardRules>,
}

/// Amount of money that may be spent in a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyBudget {
    /// Amount in US dollars.
    pub amount_usd: f64,
    /// Period after which it starts anew.
    pub period: BudgetPeriod,
}

/// Period of a budget. Days, weeks and months begin at midnight UTC, weeks on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BudgetPeriod {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A calendar month.
    Month,
    /// All time.
    Total,
}
