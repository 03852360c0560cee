//! Reasons why a request is not admitted.

use std::fmt;

use jiff::Timestamp;
use signalbox_pricing::Money;
use tokio::time::Duration;

use super::{Quotas, Scope};

/// Reason why a request may not use more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of all variants are alike")]
pub enum Denial {
    /// Too many requests in the last minute.
    #[error("{scope} is limited to {limit} requests per minute; try again in {} s", seconds(*retry_after))]
    Requests { scope: Scope, limit: u32, retry_after: Duration, quotas: Box<Quotas> },
    /// Too many tokens in the last minute.
    #[error(
        "{scope} is limited to {limit} tokens per minute, and this request may need more than are left; try again in {} s",
        seconds(*retry_after)
    )]
    Tokens { scope: Scope, limit: u64, retry_after: Duration, quotas: Box<Quotas> },
    /// Too many requests in flight.
    #[error("{scope} is limited to {limit} requests in flight; try again when one of them has ended")]
    Concurrency { scope: Scope, limit: u32 },
    /// Other requests wait for a limit and come first.
    #[error("other requests wait for the limits of {scope} and come first; try again in a moment")]
    Queued { scope: Scope },
    /// The budget is spent, until the time in Unix milliseconds if it has a period.
    #[error("the budget of {scope}, {} dollars, is spent; {}", dollars(*nanos), anew(*resets_at))]
    Spent { scope: Scope, nanos: i64, resets_at: Option<i64> },
    /// Requests in flight may use the rest of the budget.
    #[error("requests in flight may use the rest of the budget of {scope}; try again when they have ended")]
    Reserved { scope: Scope },
    /// The price is unknown, and the settings refuse such requests.
    #[error(
        "the price of this model is unknown, so it cannot be used within a budget; add it to the prices, or set \
         `budget.unpriced` to `allow`"
    )]
    Unpriced,
}

/// Rounds up to whole seconds.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn dollars(nanos: i64) -> Money {
    Money::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

fn anew(resets_at: Option<i64>) -> String {
    let at = resets_at.and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| "it has to be raised".to_owned(), |at| format!("it starts anew at {at}"))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("this API key"),
            Self::Owner(owner) => write!(f, "the owner `{owner}`"),
            Self::Global => f.write_str("this gateway"),
            Self::Route(route) => write!(f, "the route `{route}`"),
            Self::Provider(provider) => write!(f, "the provider `{provider}`"),
        }
    }
}

impl Denial {
    /// Returns the time after which the request may be admitted, if waiting helps.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Requests { retry_after, .. } | Self::Tokens { retry_after, .. } => Some(*retry_after),
            Self::Concurrency { .. } | Self::Queued { .. } | Self::Reserved { .. } => Some(Duration::from_secs(1)),
            Self::Spent { .. } | Self::Unpriced => None,
        }
    }

    /// Returns what is left of the limits of the rate, if one of them is reached.
    #[must_use]
    pub fn quotas(&self) -> Option<&Quotas> {
        match self {
            Self::Requests { quotas, .. } | Self::Tokens { quotas, .. } => Some(quotas),
            _ => None,
        }
    }

    /// Returns whether the request may wait in a queue until it is admitted.
    #[must_use]
    pub const fn is_of_rate(&self) -> bool {
        matches!(self, Self::Requests { .. } | Self::Tokens { .. } | Self::Concurrency { .. } | Self::Queued { .. })
    }

    /// Returns the word for the limit in metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Requests { .. } => "requests",
            Self::Tokens { .. } => "tokens",
            Self::Concurrency { .. } => "concurrency",
            Self::Queued { .. } => "queue",
            Self::Spent { .. } => "budget",
            Self::Reserved { .. } => "budget_reserved",
            Self::Unpriced => "unpriced",
        }
    }
}
