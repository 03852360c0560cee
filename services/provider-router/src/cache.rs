//! Cache of answers: a request that equals an earlier one of the same caller gets the answer of the earlier one.
//!
//! Only routes with the field `cache` use it. The [key](Key) is a digest of the canonical request, of the targets of
//! its route, of the rules for its answer, and of the callers that share answers. [`AnswerCache::ask`] returns an
//! answer, or a [`Recorder`] that records the new one while it is sent to the client, and stores it once it is
//! [complete].
//!
//! # Invariants
//! - Callers never share answers, unless the scope of the route says so.
//! - An answer is stored whole or not at all; errors, refusals and answers that were cut are never stored.
//! - Of equal requests at the same time, one is sent to a target. The others wait for a bounded time; if that one
//!   fails, each of them is sent.
//! - The stored bytes never exceed the bound of the configuration, and neither do those that all recorders hold together:
//!   an answer for which they have no room is not stored.
//! - An answer of Responses that was deleted is not given again: it is [removed](AnswerCache::forget) here, and before a hit
//!   with an [id](StoredAnswer::response_id) is given, the log is asked for it, because another process may have deleted
//!   it.

mod canonical;
mod complete;
mod control;
mod flights;
mod key;
mod recorder;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::HeaderMap;
use quick_cache::{
    DefaultHashBuilder, Options, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use serde::Deserialize;
use signalbox_core::{Api, route_document::MAX_CACHED_ANSWER, schema::RouteCache};
use signalbox_daemon::config::{Duration, Size};
use tokio::time::timeout;
use uuid::Uuid;

use self::flights::{Flights, Joined};
pub use self::{
    control::RequestControl,
    key::{CachedRequest, Key, key},
    recorder::{Recorded, Recorder},
};

/// Section `[cache]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// Maximum bytes of all answers of all routes.
    pub max_bytes: Size,
    /// Maximum time for which a request waits for the answer of an equal one.
    pub max_wait: Duration,
}

/// The cached answers of this process.
#[derive(Debug)]
pub struct AnswerCache {
    answers: Cache<Key, Arc<StoredAnswer>, Bytewise>,
    max_bytes: u64,
    /// Bytes that all recorders hold.
    recorded: AtomicU64,
    max_wait: std::time::Duration,
    flights: Flights,
}

/// An answer as a client received it.
#[derive(Debug)]
pub struct StoredAnswer {
    /// Request that it answered.
    pub request: Uuid,
    /// Time at which it was complete, in milliseconds of the clock given to [`AnswerCache::ask`].
    pub stored_at: u64,
    /// Headers that describe it.
    pub headers: HeaderMap,
    /// Id of the provider that gave it.
    pub provider: Option<String>,
    /// Name of the model there, if it differs from the requested one.
    pub model: Option<String>,
    /// Whether it is an event stream.
    pub streamed: bool,
    /// Id by which clients may continue, read or delete it; `None` for other APIs than Responses.
    pub response_id: Option<String>,
    /// Its bytes.
    pub body: Bytes,
}

/// A request that may be answered from the cache.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Digest of the request.
    pub key: Key,
    /// Cache settings of the route.
    pub terms: RouteCache,
    /// `Cache-Control` of the client.
    pub control: RequestControl,
    /// API of the client.
    pub api: Api,
    /// Whether it is an API that is not translated.
    pub is_direct: bool,
}

/// Result of asking the cache.
#[derive(Debug)]
pub enum Found {
    /// An answer, and its age in milliseconds.
    Hit(Arc<StoredAnswer>, u64),
    /// No answer; the recorder stores the next one.
    Miss(Box<Recorder>),
}

/// Weighs answers by their bytes.
#[derive(Clone, Debug)]
struct Bytewise;

/// Bytes that an entry takes beside its body.
const ENTRY_OVERHEAD: u64 = 512;
/// Bytes of an answer of usual length, from which the number of entries is estimated.
const USUAL_ANSWER: u64 = 4 << 10;
/// Maximum number of parts of the cache, each of which has a lock and an equal share of the bytes.
const MAX_SHARDS: u64 = 64;

// === impl AnswerCache ===

impl AnswerCache {
    /// Creates an empty cache.
    #[must_use]
    pub fn new(config: &CacheConfig) -> Self {
        let max_bytes = config.max_bytes.bytes();
        Self {
            answers: Cache::with_options(
                options(max_bytes),
                Bytewise,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            max_bytes,
            recorded: AtomicU64::new(0),
            max_wait: config.max_wait.get(),
            flights: Flights::default(),
        }
    }

    /// Returns the stored answer, or a recorder for the next one. Waits for an equal request that is being answered.
    /// `now` returns the time in milliseconds.
    pub async fn ask(self: &Arc<Self>, ask: &Ask, now: impl Fn() -> u64) -> Found {
        if let Some(hit) = self.get(ask, now()) {
            return hit;
        }
        if !ask.control.accepts_any() {
            return Found::Miss(Box::new(Recorder::new(self, ask, None)));
        }
        match self.flights.join(ask.key) {
            Joined::First(flight) => {
                // It may have been stored since.
                match self.get(ask, now()) {
                    Some(hit) => hit,
                    None => Found::Miss(Box::new(Recorder::new(self, ask, Some(flight)))),
                }
            }
            Joined::Next(mut landed) => {
                // A failure of the other request and a timeout have the same consequence.
                let _ = timeout(self.max_wait, landed.changed()).await;
                self.get(ask, now()).unwrap_or_else(|| Found::Miss(Box::new(Recorder::new(self, ask, None))))
            }
            Joined::Crowded => Found::Miss(Box::new(Recorder::new(self, ask, None))),
        }
    }

    fn get(&self, ask: &Ask, now: u64) -> Option<Found> {
        if !ask.control.looks_up {
            return None;
        }
        let answer = self.answers.get(&ask.key)?;
        let age = now.saturating_sub(answer.stored_at);
        if age >= ask.terms.ttl_ms {
            self.answers.remove(&ask.key);
            return None;
        }
        let max_age = ask.control.max_age_ms.unwrap_or(u64::MAX);
        (age <= max_age).then_some(Found::Hit(answer, age))
    }

    /// Stores an answer.
    fn insert(&self, key: Key, answer: StoredAnswer) {
        if weight(&answer) <= self.max_bytes {
            self.answers.insert(key, Arc::new(answer));
        }
    }

    /// Removes a hit that must not be given again.
    pub fn remove(&self, key: &Key, answer: &StoredAnswer) {
        self.answers.remove_if(key, |stored| stored.request == answer.request);
    }

    /// Removes the answers of Responses with this id.
    pub fn forget(&self, response_id: &str) {
        self.answers.retain(|_, answer| answer.response_id.as_deref() != Some(response_id));
    }

    /// Reserves bytes for a recorder. Returns whether there is room.
    fn reserve(&self, bytes: u64) -> bool {
        let sum = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= self.max_bytes);
        self.recorded.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
    }

    /// Releases bytes of a recorder.
    fn release(&self, bytes: u64) {
        self.recorded.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Removes all answers, and returns how many there were.
    pub fn clear(&self) -> usize {
        let count = self.answers.len();
        self.answers.clear();
        count
    }

    /// Returns the bytes of all answers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.answers.weight()
    }
}

/// Returns the options of a cache of so many bytes, with few enough parts that the largest answer fits into one.
#[expect(clippy::expect_used, reason = "both required options are set")]
fn options(max_bytes: u64) -> Options {
    let items = usize::try_from(max_bytes / USUAL_ANSWER).unwrap_or(usize::MAX).clamp(1, 1 << 20);
    // A part takes no answer beyond 97 % of its share.
    let parts = (max_bytes / 100).saturating_mul(96) / (MAX_CACHED_ANSWER + ENTRY_OVERHEAD);
    let parts = 1_usize << parts.clamp(1, MAX_SHARDS).ilog2();
    let mut options = OptionsBuilder::new();
    options.estimated_items_capacity(items).weight_capacity(max_bytes).shards(parts);
    options.build().expect("complete")
}

// === impl Bytewise ===

impl Weighter<Key, Arc<StoredAnswer>> for Bytewise {
    fn weight(&self, _: &Key, answer: &Arc<StoredAnswer>) -> u64 {
        weight(answer)
    }
}

fn weight(answer: &StoredAnswer) -> u64 {
    answer.body.len() as u64 + ENTRY_OVERHEAD
}

#[cfg(test)]
mod tests;
