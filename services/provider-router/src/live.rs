//! Requests in flight, for operators: their list, their cancellation, and the events of their beginning and end.
//!
//! A request is entered when its beginning has been logged, or before that if a limit may let it wait, and taken out when
//! its end is written, or when the limit refuses it. The entries are in
//! several maps, so that requests on different cores seldom wait for the same lock. Events are built only while
//! there are listeners.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use signalbox_core::{openai::Usage, schema::RequestStatus};
use signalbox_management::live::{Cancellation, EndedRequest, InFlightRequest, LiveEvent, Phase};
use tokio::{
    sync::broadcast,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{clock, journal::Begin, metrics::Totals, provider::Provider};

/// Number of maps.
const SHARDS: usize = 16;
/// Number of ended requests that each map remembers.
const MAX_ENDED: usize = 64;
/// Events that a slow listener may be behind.
const MAX_BEHIND: usize = 4_096;

/// A part of the requests.
#[derive(Debug, Default)]
struct Shard {
    requests: HashMap<Uuid, Arc<LiveRequest>>,
    /// The requests that ended last, the newest last, and whether each was cancelled. The database does not have them yet.
    ended: VecDeque<(Uuid, bool)>,
}

/// All requests in flight.
#[derive(Debug)]
pub struct LiveRequests {
    shards: [Mutex<Shard>; SHARDS],
    events: broadcast::Sender<Arc<LiveEvent>>,
    totals: Arc<Totals>,
    /// Cancelled when the shutdown stops waiting for requests.
    abort: CancellationToken,
}

/// A request in flight.
#[derive(Debug)]
struct LiveRequest {
    id: Uuid,
    begin: Begin,
    arrived: Instant,
    progress: Mutex<Progress>,
    response_bytes: AtomicU64,
    is_cancelled: AtomicBool,
    /// Cancelled with the request, and with the shutdown.
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Progress {
    /// Whether its beginning is not logged yet, because it waits for a limit.
    is_queued: bool,
    provider: Option<Arc<Provider>>,
    model: Option<String>,
    attempts: i64,
    first_byte: Option<Duration>,
}

/// The entry of one request. Dropping it takes the request out.
#[derive(Debug)]
pub struct LiveEntry {
    request: Arc<LiveRequest>,
    all: Arc<LiveRequests>,
    is_over: bool,
}

/// Facts about the end of a request.
#[derive(Debug)]
pub struct Ended<'a> {
    /// How it ended.
    pub status: RequestStatus,
    /// Status of the response, if it began.
    pub status_code: Option<u16>,
    /// Time from its arrival.
    pub duration: Duration,
    /// Token counts, if they are known.
    pub usage: Option<Usage>,
    /// Reason of a failure.
    pub error: Option<&'a str>,
}

// === impl LiveRequests ===

impl LiveRequests {
    /// Creates the list of a process that counts its requests in `totals`. Cancelling `abort` stops all requests.
    #[must_use]
    pub fn new(totals: Arc<Totals>, abort: CancellationToken) -> Self {
        Self { shards: Default::default(), events: broadcast::Sender::new(MAX_BEHIND), totals, abort }
    }

    /// Enters a request that arrived at `arrived`.
    #[must_use]
    pub fn enter(self: &Arc<Self>, id: Uuid, begin: Begin, arrived: Instant) -> LiveEntry {
        self.queue(id, begin, arrived).begun()
    }

    /// Enters a request that may wait for a limit. It has not [begun](LiveEntry::begun) yet, and counts nowhere.
    #[must_use]
    pub fn queue(self: &Arc<Self>, id: Uuid, begin: Begin, arrived: Instant) -> LiveEntry {
        let request = Arc::new(LiveRequest {
            id,
            begin,
            arrived,
            progress: Mutex::new(Progress { is_queued: true, ..Progress::default() }),
            response_bytes: AtomicU64::new(0),
            is_cancelled: AtomicBool::new(false),
            stop: self.abort.child_token(),
        });
        self.shard(id).requests.insert(id, Arc::clone(&request));
        LiveEntry { request, all: Arc::clone(self), is_over: false }
    }

    /// Returns all requests, in no order.
    #[must_use]
    pub fn list(&self) -> Vec<InFlightRequest> {
        let mut requests: Vec<Arc<LiveRequest>> = Vec::new();
        for shard in &self.shards {
            requests.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).requests.values().cloned());
        }
        requests.iter().map(|request| request.view()).collect()
    }

    /// Returns the number of requests.
    #[must_use]
    pub fn count(&self) -> usize {
        let len = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).requests.len();
        self.shards.iter().map(len).sum()
    }

    /// Cancels a request that is in flight. One that was cancelled and has just ended counts as cancelled again.
    pub fn cancel(&self, id: Uuid) -> Cancellation {
        let shard = self.shard(id);
        let Some(request) = shard.requests.get(&id).cloned() else {
            return match shard.ended.iter().find(|(ended, _)| *ended == id) {
                None => Cancellation::Unknown,
                Some((_, false)) => Cancellation::Ended,
                Some((_, true)) => Cancellation::Cancelled,
            };
        };
        drop(shard);
        request.is_cancelled.store(true, Ordering::Relaxed);
        request.stop.cancel();
        Cancellation::Cancelled
    }

    /// Returns a receiver of the events from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<LiveEvent>> {
        self.events.subscribe()
    }

    /// Returns the running totals.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    fn has_listeners(&self) -> bool {
        self.events.receiver_count() > 0
    }

    fn tell(&self, event: LiveEvent) {
        // The last listener may have just left.
        let _ = self.events.send(Arc::new(event));
    }

    /// Takes out a request that has ended.
    fn leave(&self, request: &LiveRequest) {
        let mut shard = self.shard(request.id);
        shard.requests.remove(&request.id);
        if shard.ended.len() == MAX_ENDED {
            shard.ended.pop_front();
        }
        shard.ended.push_back((request.id, request.is_cancelled.load(Ordering::Relaxed)));
    }

    fn shard(&self, id: Uuid) -> MutexGuard<'_, Shard> {
        // The last byte of an id is random.
        let shard = usize::from(id.as_bytes()[15]) % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LiveRequests {
    fn default() -> Self {
        Self::new(Arc::default(), CancellationToken::new())
    }
}

// === impl LiveRequest ===

impl LiveRequest {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> InFlightRequest {
        let progress = self.progress();
        InFlightRequest {
            request_id: self.id.to_string(),
            timestamp: self.begin.received_at,
            method: "POST".to_owned(),
            path: self.begin.path.clone(),
            model: self.begin.model.clone(),
            stream: self.begin.stream,
            session_id: self.begin.session.clone(),
            key_id: self.begin.key.clone(),
            provider_id: progress.provider.as_ref().map(|provider| provider.id.clone()),
            upstream_model: progress.model.clone(),
            attempts: progress.attempts,
            phase: progress.phase(),
            elapsed_ms: clock::millis(self.arrived.elapsed()),
            first_byte_ms: progress.first_byte.map(clock::millis),
            response_bytes: self.response_bytes.load(Ordering::Relaxed),
        }
    }
}

// === impl Progress ===

impl Progress {
    const fn phase(&self) -> Phase {
        match (self.is_queued, self.first_byte) {
            (true, _) => Phase::Queued,
            (false, None) => Phase::Waiting,
            (false, Some(_)) => Phase::Answering,
        }
    }
}

// === impl LiveEntry ===

impl LiveEntry {
    /// Records that the request has begun: no limit lets it wait any longer.
    #[must_use]
    pub fn begun(self) -> Self {
        self.request.progress().is_queued = false;
        self.all.totals.begun();
        if self.all.has_listeners() {
            self.all.tell(LiveEvent::Started(Box::new(self.request.view())));
        }
        self
    }

    /// Records the attempt with this number.
    pub fn attempt(&self, number: i64, provider: &Arc<Provider>, model: Option<&str>) {
        let mut progress = self.request.progress();
        progress.attempts = number;
        progress.provider = Some(Arc::clone(provider));
        progress.model = model.map(str::to_owned);
    }

    /// Records the time to the first byte of the answer.
    pub fn answering(&self, first_byte: Duration) {
        self.request.progress().first_byte = Some(first_byte);
    }

    /// Counts bytes of the answer.
    pub fn add_bytes(&self, bytes: usize) {
        self.request.response_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns whether an operator has cancelled the request.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.request.is_cancelled.load(Ordering::Relaxed)
    }

    /// Returns the token that is cancelled when the request has to end at once.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.request.stop
    }

    /// Returns whether there are listeners for the end.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.all.has_listeners()
    }

    /// Takes the request out.
    pub fn end(&mut self, ended: &Ended<'_>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.all.leave(&self.request);
        let first_byte = self.request.progress().first_byte;
        self.all.totals.ended(ended.status, ended.duration, first_byte);
        if !self.all.has_listeners() {
            return;
        }
        self.all.tell(LiveEvent::Ended(Box::new(EndedRequest {
            request: self.request.view(),
            status: ended.status.as_str().to_owned(),
            status_code: ended.status_code,
            duration_ms: clock::millis(ended.duration),
            prompt_tokens: ended.usage.as_ref().map(|usage| usage.prompt_tokens),
            completion_tokens: ended.usage.as_ref().map(|usage| usage.completion_tokens),
            error: ended.error.map(str::to_owned),
        })));
    }
}

impl Drop for LiveEntry {
    fn drop(&mut self) {
        if !self.is_over {
            self.all.leave(&self.request);
        }
    }
}

#[cfg(test)]
mod tests;
