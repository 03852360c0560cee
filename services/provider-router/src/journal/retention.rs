//! Deletes expired rows and bodies in small steps, between two batches of the loader.
//!
//! The loader's thread does both, so that the two writers never wait for each other. Expiry depends on the wall clock,
//! so a clock that jumped ahead is not trusted: see [`WallClock`].

use std::path::Path;

use serde::Deserialize;
use signalbox_daemon::{
    WallClock,
    config::{Duration, Size},
};
use signalbox_store::{
    Error, Store,
    retention::{self, Removed, RetentionPolicy},
};
use tokio::time::Instant;

use super::recovery::CLOCK_EXTENSION;
use crate::clock::{millis, unix_ms};

/// Interval between two checks for expired rows.
const STEP_INTERVAL: std::time::Duration = std::time::Duration::from_secs(60);

/// Section `[retention]` of the configuration. Zero means no limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Maximum age of requests.
    pub requests: Duration,
    /// Maximum age of the long bodies of requests and responses.
    pub bodies: Duration,
    /// Maximum total bytes of these bodies, compressed.
    pub max_body_bytes: Size,
}

/// Schedules the deletion.
#[derive(Debug)]
pub(crate) struct Retention {
    config: RetentionConfig,
    due: Instant,
    clock: WallClock,
}

impl Retention {
    /// Creates the scheduler. `journal` is the directory of the file that stores the last trusted time across restarts.
    pub(crate) fn new(config: RetentionConfig, journal: Option<&Path>) -> Self {
        let remembered = journal.map(|journal| journal.join("retention").with_extension(CLOCK_EXTENSION));
        Self { config, due: Instant::now(), clock: WallClock::new(remembered) }
    }

    /// Deletes a small batch, when due. Rows that cannot be deleted now are left for the next step.
    pub(crate) async fn step(&mut self, store: &Store) {
        let now_ms = unix_ms();
        let policy = self.policy(now_ms);
        // The sums by minute have an end even if all rows are kept.
        if Instant::now() < self.due {
            return;
        }
        if !self.trusts_clock(store, now_ms).await {
            self.due = Instant::now() + STEP_INTERVAL;
            return;
        }
        let removed = retention::step(store, &policy, now_ms).await;
        self.due = Instant::now() + self.pause(&removed);
        match removed {
            Ok(Removed { requests: 0, bodies: 0, .. }) => {}
            Ok(removed) => tracing::debug!(requests = removed.requests, bodies = removed.bodies, "old rows removed"),
            Err(error) if error.is_transient() => {}
            Err(error) => tracing::error!(%error, "cannot remove old rows"),
        }
    }

    /// Returns whether the wall clock is trusted.
    async fn trusts_clock(&mut self, store: &Store, now_ms: i64) -> bool {
        let newest = if self.clock.needs_newest() { retention::newest(store).await } else { Ok(None) };
        let Ok(newest) = newest else { return false };
        self.clock.is_trusted(now_ms, newest, "the request log")
    }

    fn pause(&self, removed: &Result<Removed, Error>) -> std::time::Duration {
        match removed {
            Ok(removed) if !removed.done => std::time::Duration::ZERO,
            _ => STEP_INTERVAL,
        }
    }

    fn policy(&self, now_ms: i64) -> RetentionPolicy {
        let before = |age: Duration| {
            let age = millis(age.get());
            (age > 0).then(|| now_ms - age)
        };
        let max = self.config.max_body_bytes.bytes();
        RetentionPolicy {
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
    fn zero_disables_retention() {
        let keep = RetentionConfig {
            requests: Duration::from_secs(0),
            bodies: Duration::from_secs(5),
            max_body_bytes: Size::from_bytes(0),
        };
        let policy = Retention::new(keep, None).policy(7000);
        assert_eq!(policy, RetentionPolicy { rows_before: None, bodies_before: Some(2000), max_body_bytes: None });
    }
}
