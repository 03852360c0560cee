//! Deletes expired rows and bodies in small steps, between two batches of the loader.
//!
//! The loader's thread does both, so that the two writers never wait for each other. Expiry depends on the wall clock,
//! so a clock that jumped ahead is not trusted: see [`clock`].

mod clock;

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use signalbox_daemon::config::{Duration, Size};
use signalbox_store::{
    Error, Store,
    retention::{self, Policy, Removed},
};
use tokio::time::Instant;

use self::clock::{Clock, Verdict};
use super::recovery::CLOCK_EXTENSION;
use crate::clock::{millis, unix_ms};

/// Interval between two checks for expired rows.
const PERIOD: std::time::Duration = std::time::Duration::from_secs(60);

/// Interval at which the current time is stored.
const REMEMBER: std::time::Duration = std::time::Duration::from_secs(3600);

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
    clock: Clock,
    /// File that stores the last trusted time.
    remembered: Option<PathBuf>,
    /// Time at which the file was last written.
    written: Option<Instant>,
}

impl Retention {
    /// Creates the scheduler. `journal` is the directory of the file that stores the last trusted time across restarts.
    pub(crate) fn new(config: RetentionConfig, journal: Option<&Path>) -> Self {
        let remembered = journal.map(|journal| journal.join("retention").with_extension(CLOCK_EXTENSION));
        Self { config, due: Instant::now(), clock: Clock::default(), remembered, written: None }
    }

    /// Deletes a small batch, when due. Rows that cannot be deleted now are left for the next step.
    pub(crate) async fn step(&mut self, store: &Store) {
        let now_ms = unix_ms();
        let policy = self.policy(now_ms);
        if policy == Policy::default() || Instant::now() < self.due {
            return;
        }
        if !self.believes(store, now_ms).await {
            self.due = Instant::now() + PERIOD;
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

    /// Returns whether the wall clock is trusted; logs a warning when it stops being so.
    async fn believes(&mut self, store: &Store, now_ms: i64) -> bool {
        let now = Instant::now();
        let verdict = if self.clock.is_new() {
            let last = match self.remembered_ms() {
                Some(last) => Some(last),
                None => match retention::newest(store).await {
                    Ok(newest) => newest,
                    Err(_) => return false,
                },
            };
            self.clock.start(last, now_ms, now)
        } else {
            self.clock.look(now_ms, now)
        };
        match verdict {
            Verdict::Believed => {
                self.remember(now_ms, now);
                true
            }
            Verdict::Ahead { by, new } => {
                if new {
                    tracing::warn!(
                        days = by.as_secs() / 86_400,
                        hours = by.as_secs() / 3600 % 24,
                        "the clock jumped ahead, so nothing is removed from the request log. Correct the clock; a time \
                        without another jump is trusted after a day"
                    );
                }
                false
            }
        }
    }

    fn remembered_ms(&self) -> Option<i64> {
        let mut text = String::new();
        let file =
            signalbox_private_files::open_regular(std::fs::OpenOptions::new().read(true), self.remembered.as_ref()?);
        std::io::Read::take(file.ok()?, 32).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    fn remember(&mut self, now_ms: i64, now: Instant) {
        let Some(path) = self.remembered.as_ref() else { return };
        if self.written.is_some_and(|written| now.duration_since(written) < REMEMBER) {
            return;
        }
        let mut options = signalbox_private_files::options();
        let file = signalbox_private_files::open_regular(options.write(true).create(true).truncate(true), path);
        // If the file cannot be written, the newest request provides the last known time.
        let _ = file.and_then(|mut file| writeln!(file, "{now_ms}"));
        self.written = Some(now);
    }

    fn pause(&self, removed: &Result<Removed, Error>) -> std::time::Duration {
        match removed {
            Ok(removed) if !removed.done => std::time::Duration::ZERO,
            _ => PERIOD,
        }
    }

    fn policy(&self, now_ms: i64) -> Policy {
        let before = |age: Duration| {
            let age = millis(age.get());
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
    fn zero_disables_retention() {
        let keep = RetentionConfig {
            requests: Duration::from_secs(0),
            bodies: Duration::from_secs(5),
            max_body_bytes: Size::from_bytes(0),
        };
        let policy = Retention::new(keep, None).policy(7000);
        assert_eq!(policy, Policy { rows_before: None, bodies_before: Some(2000), max_body_bytes: None });
    }
}
