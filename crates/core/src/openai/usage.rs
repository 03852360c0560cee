//! Token counts.

use serde::{Deserialize, Serialize};

/// Token counts as the provider reported them; never estimated here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    #[serde(default)]
    pub prompt_tokens: i64,
    /// Tokens of the answer, reasoning included.
    #[serde(default)]
    pub completion_tokens: i64,
    /// The sum, as reported.
    #[serde(default)]
    pub total_tokens: i64,
}
