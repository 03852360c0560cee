//! Forgetting what is old, a little at a time, between two batches of the loader: one writer writes and forgets, so that the
//! two never wait for each other.

use serde::Deserialize;
use signalbox_daemon::config::{Duration, Size};
use signalbox_store::{
    Error, Store,
    retention::{self, Policy, Removed},
};
use tokio::time::Instant;

use crate::clock;

/// Between two looks at whether something is old enough.
const PERIOD: std::time::Duration = std::time::Duration::from_secs(60);

/// Section `[retention]` of the configuration. Zero keeps for ever.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// How long requests are kept.
    pub requests: Duration,
    /// How long the long bodies of requests and answers are kept.
    pub bodies: Duration,
    /// How much these may be together, compressed.
    pub max_body_bytes: Size,
}

/// Knows when to forget.
#[derive(Debug)]
pub(crate) struct Retention {
    config: RetentionConfig,
    due: Instant,
}

impl Retention {
    pub(crate) fn new(config: RetentionConfig) -> Self {
        Self { config, due: Instant::now() }
    }

    /// Removes a small batch, when it is time. What cannot be removed now is still there the next time.
    pub(crate) async fn step(&mut self, store: &Store) {
        let policy = self.policy(clock::unix_ms());
        if policy == Policy::default() || Instant::now() < self.due {
            return;
        }
        let removed = retention::step(store, &policy, clock::unix_ms()).await;
        self.due = Instant::now() + self.pause(&removed);
        match removed {
            Ok(Removed { requests: 0, bodies: 0, .. }) => {}
            Ok(removed) => tracing::debug!(requests = removed.requests, bodies = removed.bodies, "forgot what is old"),
            Err(error) if error.is_transient() => {}
            Err(error) => tracing::error!(%error, "what is old cannot be removed"),
        }
    }

    fn pause(&self, removed: &Result<Removed, Error>) -> std::time::Duration {
        match removed {
            Ok(removed) if !removed.done => std::time::Duration::ZERO,
            _ => PERIOD,
        }
    }

    fn policy(&self, now_ms: i64) -> Policy {
        let before = |age: Duration| {
            let age = clock::millis(age.get());
            (age > 0).then(|| now_ms - age)
        };
        let max = self.config.max_body_bytes.bytes();
        Policy {
            rows_before: before(self.config.requests),
            bodies_before: before(self.config.bodies),
            max_body_bytes: (max > 0).then(|| i64::try_from(max).unwrap_or(i64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_keeps_for_ever() {
        let keep = RetentionConfig {
            requests: Duration::from_secs(0),
            bodies: Duration::from_secs(5),
            max_body_bytes: Size::from_bytes(0),
        };
        let policy = Retention::new(keep).policy(7000);
        assert_eq!(policy, Policy { rows_before: None, bodies_before: Some(2000), max_body_bytes: None });
    }
}
