//! `breakers:changed` and `prompt-cache:fell`: alerts of the router's processes, for all listeners.
//!
//! The alerts of a second go out together, so that a provider that fails for every target does not flood listeners.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt as _;
use signalbox_management::live::{Alert, BreakerChange, PromptCacheFall};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::source::Source;
use super::{Broadcaster, payload};
use crate::app::App;

/// Time in which alerts are collected.
const COLLECT: Duration = Duration::from_secs(1);
/// Maximum alerts named in one event; its `count` has all.
const MAX_NAMED: usize = 50;

/// Alerts that have not been sent yet.
#[derive(Debug, Default)]
struct Batch {
    breakers: Newest<BreakerChange>,
    falls: Newest<PromptCacheFall>,
    missed: u64,
}

/// The newest alerts of one kind, and the number of all.
#[derive(Debug)]
struct Newest<T> {
    named: VecDeque<T>,
    count: u64,
}

/// Passes the alerts of the router on while there are listeners.
pub(super) async fn publish(app: App, broadcaster: &Broadcaster) -> Infallible {
    loop {
        while broadcaster.is_empty() {
            sleep(COLLECT).await;
        }
        let source = Source::open(&app).await;
        if source.events.is_empty() {
            sleep(COLLECT).await;
        } else {
            forward(&app, source, broadcaster).await;
        }
    }
}

/// Passes alerts on until there are no listeners, or the processes of the router have changed.
async fn forward(app: &App, mut source: Source<Alert>, broadcaster: &Broadcaster) {
    let mut ticks = interval(COLLECT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Batch::default();
    loop {
        tokio::select! {
            alert = source.events.next() => match alert {
                Some(alert) => batch.add(alert),
                None => {
                    batch.send(broadcaster);
                    return sleep(COLLECT).await;
                }
            },
            _ = ticks.tick() => {
                batch.send(broadcaster);
                if source.has_changed(app) || broadcaster.is_empty() {
                    return;
                }
            }
        }
    }
}

// === impl Batch ===

impl Batch {
    fn add(&mut self, alert: Alert) {
        match alert {
            Alert::Breaker(change) => self.breakers.add(change),
            Alert::PromptCache(fall) => self.falls.add(fall),
            Alert::Missed(count) => self.missed += count,
        }
    }

    fn send(&mut self, broadcaster: &Broadcaster) {
        let Self { breakers, falls, missed } = std::mem::take(self);
        // Alerts that the router could not keep may have been of either kind.
        if breakers.count > 0 || missed > 0 {
            let changes: Vec<BreakerChange> = breakers.named.into();
            broadcaster.emit(payload::BREAKERS, &payload::breakers(breakers.count, &changes, missed));
        }
        if falls.count > 0 {
            let named: Vec<PromptCacheFall> = falls.named.into();
            broadcaster.emit(payload::PROMPT_CACHE, &payload::prompt_cache(falls.count, &named));
        }
    }
}

// === impl Newest ===

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self { named: VecDeque::new(), count: 0 }
    }
}

impl<T> Newest<T> {
    fn add(&mut self, alert: T) {
        self.count += 1;
        self.named.push_back(alert);
        if self.named.len() > MAX_NAMED {
            self.named.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use signalbox_management::live::BreakerState;

    use super::*;

    #[test]
    fn an_event_names_the_newest_alerts_and_counts_all() {
        let mut batch = Batch::default();
        for n in 0..120 {
            batch.add(Alert::Breaker(BreakerChange {
                provider_id: "p".to_owned(),
                model: None,
                key: None,
                state: BreakerState::Open,
                cooldown_ms: Some(10_000),
                timestamp: n,
            }));
        }
        batch.add(Alert::Missed(3));
        batch.add(Alert::Missed(4));
        assert_eq!((batch.breakers.count, batch.breakers.named.len(), batch.missed), (120, MAX_NAMED, 7));
        assert_eq!(batch.breakers.named.front().map(|change| change.timestamp), Some(70));
        assert_eq!((batch.falls.count, batch.falls.named.len()), (0, 0));
    }
}
