//! Limits of the rate of one provider.

use std::sync::Arc;

use signalbox_core::schema::{KeyLimits, Priority};
use tokio::time::Instant;

use super::{
    Denial, Estimate, Now, Scope,
    account::{Account, Place, Ticket},
};

/// Limits of the rate of one provider, and what the attempts with it used of them. Times are milliseconds of a clock
/// that never jumps.
#[derive(Debug)]
pub struct ProviderQuota(Account);

/// Use of the limits of a provider by an attempt. Dropping it ends an attempt that used no tokens.
#[derive(Debug)]
pub struct Taken {
    quota: Arc<ProviderQuota>,
    ticket: Option<Ticket>,
    /// Tokens that were reserved.
    tokens: u64,
    at: Now,
    since: Instant,
}

/// Place of attempts: they never wait.
const NEXT: Place = Place { priority: Priority::High, number: 0 };

// === impl ProviderQuota ===

impl ProviderQuota {
    /// Creates the account of a provider without limits.
    #[must_use]
    pub fn new(provider: &str) -> Self {
        Self(Account::new(Scope::Provider(provider.into())))
    }

    /// Replaces the limits; what was used stays.
    pub fn set(&self, limits: KeyLimits) {
        self.0.set(limits, None, 0);
    }

    /// Returns the limit because of which an attempt that may use so many tokens would be refused now.
    #[must_use]
    pub fn denial(&self, now: u64, tokens: u64) -> Option<Denial> {
        self.0.denial(at(now), tokens)
    }

    /// Reserves what an attempt may use.
    ///
    /// # Errors
    /// Returns the limit that is reached.
    pub fn take(self: &Arc<Self>, now: u64, tokens: u64) -> Result<Taken, Denial> {
        let (at, estimate) = (at(now), Estimate { tokens, ..Estimate::default() });
        let ticket = self.0.reserve(at, &estimate, NEXT)?;
        Ok(Taken { quota: Arc::clone(self), ticket: Some(ticket), tokens, at, since: Instant::now() })
    }
}

impl Default for ProviderQuota {
    fn default() -> Self {
        Self::new("")
    }
}

const fn at(now: u64) -> Now {
    Now { monotonic_ms: now, unix_ms: 0 }
}

// === impl Taken ===

impl Taken {
    /// Ends the attempt, which used so many tokens; `None` if the provider did not tell.
    pub fn settle(mut self, tokens: Option<u64>) {
        self.end(tokens.unwrap_or(self.tokens));
    }

    fn end(&mut self, tokens: u64) {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let now = at(self.at.monotonic_ms.saturating_add(passed));
        if let Some(ticket) = self.ticket.take() {
            self.quota.0.settle(now, ticket, tokens, 0);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.end(0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, advance};

    use super::*;

    fn quota(rpm: Option<u32>, tpm: Option<u64>, concurrency: Option<u32>) -> Arc<ProviderQuota> {
        let quota = ProviderQuota::new("p");
        quota.set(KeyLimits { rpm, tpm, concurrency, queue: None });
        Arc::new(quota)
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_flight_end_with_their_attempt() {
        let quota = quota(None, None, Some(1));
        let held = quota.take(1, 0).unwrap();
        assert_eq!(
            quota.denial(1, 0).unwrap().to_string(),
            "the provider `p` is limited to 1 requests in flight; try again when one of them has ended"
        );
        assert!(quota.take(1, 0).is_err());
        drop(held);
        assert!(quota.denial(1, 0).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_attempt_counts_as_a_request_without_tokens() {
        let quota = quota(Some(2), Some(100), None);
        drop(quota.take(1, 90).unwrap());
        quota.take(1, 90).unwrap().settle(Some(20));
        assert!(matches!(quota.denial(1, 0), Some(Denial::Requests { limit: 2, .. })));
        quota.set(KeyLimits { tpm: Some(100), ..KeyLimits::default() });
        assert!(quota.denial(1, 80).is_none() && quota.denial(1, 81).is_some(), "20 were used");
        quota.take(1, 80).unwrap().settle(None);
        assert!(quota.denial(1, 1).is_some(), "without counts the reservation counts");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_count_in_the_minute_of_their_attempt() {
        let quota = quota(None, Some(100), None);
        let held = quota.take(1_000, 10).unwrap();
        advance(Duration::from_secs(30)).await;
        held.settle(Some(100));
        assert!(quota.denial(31_000, 1).is_some());
        assert!(quota.denial(62_000, 1).is_none());
    }
}
