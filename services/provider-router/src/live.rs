//! Requests in flight, for operators: their list, their cancellation, and the events of their beginning and end.
//!
//! A request is entered when its beginning has been logged, and taken out when its end is written. The entries are in
//! several maps, so that requests on different cores seldom wait for the same lock. Events are built only while
//! there are listeners.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use signalbox_core::{openai::Usage, schema::RequestStatus};
use signalbox_management::live::{EndedRequest, InFlightRequest, LiveEvent, Phase};
use tokio::{
    sync::broadcast,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{clock, journal::Begin, metrics::Totals, provider::Provider};

/// Number of maps.
const SHARDS: usize = 16;
/// Events that a slow listener may be behind.
const MAX_BEHIND: usize = 4_096;

type Shard = Mutex<HashMap<Uuid, Arc<LiveRequest>>>;

/// All requests in flight.
#[derive(Debug)]
pub struct LiveRequests {
    shards: [Shard; SHARDS],
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
        let request = Arc::new(LiveRequest {
            id,
            begin,
            arrived,
            progress: Mutex::default(),
            response_bytes: AtomicU64::new(0),
            is_cancelled: AtomicBool::new(false),
            stop: self.abort.child_token(),
        });
        self.shard(id).insert(id, Arc::clone(&request));
        self.totals.begun();
        if self.has_listeners() {
            self.tell(LiveEvent::Started(Box::new(request.view())));
        }
        LiveEntry { request, all: Arc::clone(self), is_over: false }
    }

    /// Returns all requests, in no order.
    #[must_use]
    pub fn list(&self) -> Vec<InFlightRequest> {
        let mut requests: Vec<Arc<LiveRequest>> = Vec::new();
        for shard in &self.shards {
            requests.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).values().cloned());
        }
        requests.iter().map(|request| request.view()).collect()
    }

    /// Returns the number of requests.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Cancels a request. Returns whether it is in flight.
    pub fn cancel(&self, id: Uuid) -> bool {
        let request = self.shard(id).get(&id).cloned();
        if let Some(request) = &request {
            request.is_cancelled.store(true, Ordering::Relaxed);
            request.stop.cancel();
        }
        request.is_some()
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

    fn shard(&self, id: Uuid) -> MutexGuard<'_, HashMap<Uuid, Arc<LiveRequest>>> {
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
            phase: if progress.first_byte.is_some() { Phase::Answering } else { Phase::Waiting },
            elapsed_ms: clock::millis(self.arrived.elapsed()),
            first_byte_ms: progress.first_byte.map(clock::millis),
            response_bytes: self.response_bytes.load(Ordering::Relaxed),
        }
    }
}

// === impl LiveEntry ===

impl LiveEntry {
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
        self.all.shard(self.request.id).remove(&self.request.id);
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
            self.all.shard(self.request.id).remove(&self.request.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(model: &str) -> Begin {
        let (path, model) = ("/v1/chat/completions".to_owned(), model.to_owned());
        Begin { received_at: 7, path, model, stream: true, session: None, previous: None, key: Some("k".to_owned()) }
    }

    fn ended(status: RequestStatus) -> Ended<'static> {
        let (duration, usage) = (Duration::from_millis(30), Some(Usage::new(2, 3)));
        Ended { status, status_code: Some(200), duration, usage, error: None }
    }

    #[tokio::test]
    async fn a_request_is_listed_until_it_ends() {
        let live = Arc::new(LiveRequests::default());
        let mut entries: Vec<LiveEntry> =
            (0..40).map(|_| live.enter(Uuid::now_v7(), begin("m"), Instant::now())).collect();
        assert_eq!((live.count(), live.list().len()), (40, 40));
        entries[0].answering(Duration::from_millis(5));
        entries[0].add_bytes(9);
        let id = entries[0].request.id.to_string();
        let shown = live.list().into_iter().find(|request| request.request_id == id).unwrap();
        assert_eq!((shown.phase, shown.first_byte_ms, shown.response_bytes), (Phase::Answering, Some(5), 9));
        assert_eq!((shown.timestamp, &*shown.model, shown.key_id.as_deref()), (7, "m", Some("k")));
        entries[0].end(&ended(RequestStatus::Completed));
        entries[0].end(&ended(RequestStatus::Completed));
        assert_eq!(live.count(), 39);
        drop(entries);
        assert_eq!(live.count(), 0);
        assert_eq!(live.totals().now().ended, 1, "an end counts once");
    }

    #[tokio::test]
    async fn only_the_cancelled_request_stops() {
        let live = Arc::new(LiveRequests::default());
        let [first, second] = [(); 2].map(|()| live.enter(Uuid::now_v7(), begin("m"), Instant::now()));
        assert!(live.cancel(first.request.id));
        assert!(first.is_cancelled() && first.stop().is_cancelled());
        assert!(!second.is_cancelled() && !second.stop().is_cancelled());
        assert!(!live.cancel(Uuid::now_v7()), "unknown");
        let id = first.request.id;
        drop(first);
        assert!(!live.cancel(id), "over");
        live.abort.cancel();
        assert!(second.stop().is_cancelled() && !second.is_cancelled(), "a shutdown is no cancellation");
    }

    #[tokio::test]
    async fn events_are_told_to_listeners() {
        let live = Arc::new(LiveRequests::default());
        let unheard = live.enter(Uuid::now_v7(), begin("before"), Instant::now());
        let mut events = live.listen();
        let mut entry = live.enter(Uuid::now_v7(), begin("m"), Instant::now());
        assert!(unheard.is_watched());
        entry.end(&ended(RequestStatus::Completed));
        let LiveEvent::Started(started) = &*events.recv().await.unwrap() else { panic!("not the beginning") };
        assert_eq!((&*started.model, started.provider_id.as_deref()), ("m", None));
        let LiveEvent::Ended(last) = &*events.recv().await.unwrap() else { panic!("not the end") };
        assert_eq!((last.status.as_str(), last.duration_ms, last.completion_tokens), ("completed", 30, Some(3)));
        assert_eq!(last.request.request_id, started.request_id);
        let json = serde_json::to_value(LiveEvent::Ended(last.clone())).unwrap();
        assert_eq!(json["ended"]["model"], "m", "the fields of the request are flat: {json}");
        assert_eq!(serde_json::from_value::<LiveEvent>(json).unwrap(), LiveEvent::Ended(last.clone()));
    }
}
